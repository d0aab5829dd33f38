"""The processes of a server. The parent starts two children: gunicorn and the delivery process.

When the parent ends, the children also end.

After the fork, signals are blocked in each child. The child sets its own handlers, and then unblocks the signals.
Therefore, no signal is lost.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

_FROM_TERMINAL = {signal.SIGINT, signal.SIGQUIT}  # a terminal sends these signals to all of its processes
_STOPPING = _FROM_TERMINAL | {signal.SIGTERM}
_HELD = _STOPPING | {signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM}
_LOOK = 0.2  # seconds between two checks of the parent
_LAST = 0.2  # seconds; after its parent has ended, a process must end within this time
# If a delivery process works for less than _PAUSE seconds, the next process waits _PAUSE seconds before its work.
_PAUSE = 1.0
_MARGIN = 5  # seconds between the end of the grace period and SIGKILL


def hold_signals() -> None:
    """Block signals in this thread, and in all processes that this thread forks."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def heed_signals() -> None:
    """Unblock the signals that `hold_signals` has blocked."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def begin(parent: int, stop: Callable[[int, FrameType | None], None] | None = None) -> None:
    """Set the signal handlers of this process, and unblock signals. Make this process end when the parent ends.

    If `stop` is given, SIGTERM calls `stop`, and SIGHUP has no effect. If `stop` is missing, the handlers of SIGTERM
    and SIGHUP do not change.

    This process ignores SIGINT and SIGQUIT from the terminal. The parent also gets these signals, and then ends its
    children. If the parent has ended, this process sends SIGTERM to itself. This process then ends within 0.2 seconds.
    `parent` is the process id of the parent.
    """

    def look(*_: object) -> None:
        if os.getppid() != parent:
            signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
            signal.setitimer(signal.ITIMER_REAL, _LAST)
            os.kill(os.getpid(), signal.SIGTERM)

    for signum in _FROM_TERMINAL:
        signal.signal(signum, signal.SIG_IGN)
    if stop is not None:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, look)
    # A timer needs no thread. A thread would not be safe here, because gunicorn's master forks.
    signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
    heed_signals()


def start(function: Callable[..., None], *arguments: Any, daemon: bool = False) -> BaseProcess:
    """Fork a child that calls a function. The child ends when the function returns.

    If `daemon` is true, the parent sends SIGTERM to the child when the parent ends. If `daemon` is false, the parent
    sends no signal when it ends, but waits until `function` returns.
    """
    process = multiprocessing.get_context("fork").Process(target=_run, args=(function, *arguments), daemon=daemon)
    process.start()
    return process


def _run(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function. Log an exception here, because multiprocessing would print it in another format."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("the process fails")
        sys.exit(1)


def supervise(web_server: BaseProcess, start_delivery: Callable[[float], BaseProcess], *, grace: int) -> int:
    """Wait until Phonify must stop. Then stop Phonify's processes, and return the exit status.

    Phonify must stop when the process of the web server has ended. Phonify must also stop when this process gets one of
    the signals SIGTERM, SIGINT and SIGQUIT. This function forwards SIGHUP to the web server. If the delivery process
    ends, `start_delivery` starts a new process. The argument of `start_delivery` is a pause in seconds. The new process
    begins its work after this pause. At the end, both children get SIGTERM. If a child still runs five seconds after
    the grace period, it is killed.
    """
    pause = 0.0
    delivery, started = start_delivery(pause), time.monotonic()
    received = None
    while web_server.exitcode is None and received not in _STOPPING:
        received = signal.sigwait(_HELD)
        if received == signal.SIGHUP and web_server.pid is not None:
            os.kill(web_server.pid, signal.SIGHUP)
        if delivery.exitcode is not None:
            logger.error(
                "the delivery process has ended with status %s; starting a new delivery process", delivery.exitcode
            )
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
