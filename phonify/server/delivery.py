"""The process that delivers messages and events, and the process that prints the live list of messages.

In a web process, this work would slow down requests.
"""

import time
from collections.abc import Callable

from ..services import Services
from . import processes


def deliver(services: Services, parent: int, pause: float) -> None:
    """Deliver until SIGTERM. Then wait for the current attempts, at most until the grace period ends.

    Delivery begins after `pause` seconds. If a loop fails, the process ends, and the parent starts a new process.
    """
    processes.begin(parent, lambda *_: services.stop())
    time.sleep(pause)
    loops = services.start_delivery()
    while all(loop.is_alive() for loop in loops):
        loops[0].join(1.0)
    services.stop()
    end = time.monotonic() + services.settings.grace
    for loop in loops:
        loop.join(max(end - time.monotonic(), 0))
    services.close()


def show_messages(services: Services, run: Callable[[], None], parent: int) -> None:
    """Print messages until SIGTERM. The function `run` prints them until `database.stopping` is True."""
    processes.begin(parent, lambda *_: services.stop())
    run()
    services.close()
