"""The process that prints the live list of messages on the terminal."""

import signal
from collections.abc import Callable

from ..services import Services
from . import processes


def show_messages(services: Services, run: Callable[[], None], parent: int) -> None:
    """Print messages until SIGTERM. `run` prints them until the database is `stopping`."""
    signal.signal(signal.SIGTERM, lambda *_: services.stop())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    processes.begin(parent)
    run()
    services.close()
