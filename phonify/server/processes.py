"""The processes of a server: a small parent with two children, gunicorn and delivery, which end when it ends.

Signals are held back in each process from its fork until its own handlers are there, so that none is lost.
"""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

logger = logging.getLogger(__name__)

_FROM_TERMINAL = {signal.SIGINT, signal.SIGQUIT}  # these reach every process of the terminal at once
_STOPPING = _FROM_TERMINAL | {signal.SIGTERM}
_HELD = _STOPPING | {signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM}
_LOOK = 0.2  # seconds between looks whether the parent is there
_LAST = 0.2  # seconds that a process has to end in after that
_PAUSE = 1.0  # seconds before delivery is started again if it has ended sooner than that
_MARGIN = 5  # seconds beyond the grace period, after which a child is killed


def hold_signals() -> None:
    """Hold signals back in this thread, and in all processes that it forks."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def heed_signals() -> None:
    """Let the signals through that `hold_signals` holds back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def begin(parent: int) -> None:
    """Heed signals and end with the parent, from now on: for a child that has set its own handlers.

    Only the parent heeds what a terminal sends to all of its processes; it ends the others in order. If the process
    with the id `parent` has ended without doing so, this one sends itself SIGTERM and ends 0.2 seconds later at the
    latest.
    """

    def look(*_: object) -> None:
        if os.getppid() != parent:
            signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
            signal.setitimer(signal.ITIMER_REAL, _LAST)
            os.kill(os.getpid(), signal.SIGTERM)

    for signum in _FROM_TERMINAL:
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, look)
    # A timer and no thread: gunicorn's master forks, and other threads do not survive a fork.
    signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
    heed_signals()


def start(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Fork a child that calls a function and ends with it."""
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def supervise(web_server: BaseProcess, start_delivery: Callable[[float], BaseProcess], *, grace: int) -> int:
    """Keep delivery running until this process is told to stop or the web server ends; return the exit status.

    SIGHUP is passed on to the web server. `start_delivery` takes the seconds that the new process is to wait first.
    Whatever has not ended some seconds after the grace period is killed.
    """
    pause = 0.0
    delivery, started = start_delivery(pause), time.monotonic()
    received = None
    while web_server.exitcode is None and received not in _STOPPING:
        received = signal.sigwait(_HELD)
        if received == signal.SIGHUP and web_server.pid is not None:
            os.kill(web_server.pid, signal.SIGHUP)
        if delivery.exitcode is not None:
            logger.error("the process that delivers has ended with status %s; it is started again", delivery.exitcode)
            pause = _PAUSE if time.monotonic() - started < pause + _PAUSE else 0.0
            delivery, started = start_delivery(pause), time.monotonic()
    status = web_server.exitcode or 0
    _end(web_server, delivery, within=grace + _MARGIN)
    return status if status >= 0 else 128 - status


def _end(*children: BaseProcess, within: int) -> None:
    for child in children:
        child.terminate()
    signal.alarm(within)
    while any(child.exitcode is None for child in children):
        if signal.sigwait({signal.SIGCHLD, signal.SIGALRM}) == signal.SIGALRM:
            for child in children:
                child.kill()
