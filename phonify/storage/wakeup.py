"""A pipe between the processes of a server. It wakes a delivery loop after each commit."""

import os
import select
from contextlib import suppress

from ..clock import sleep

_BYTES = 65_536  # the size of a pipe on Linux


class Wakeup:
    """Wakes one waiting loop. This loop can be in any process of the server.

    A lost wake-up does no harm, because a loop also checks for work from time to time. Before `share` is called, `wake`
    has no effect.
    """

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def share(self) -> None:
        """Open the pipe. Processes that are forked later use the same pipe."""
        if self._ends is None:
            self._ends = os.pipe()
            for end in self._ends:
                os.set_blocking(end, False)

    def wake(self) -> None:
        """Wake a waiting loop. A signal handler can call this method."""
        if self._ends is not None:
            with suppress(BlockingIOError):  # a full pipe already has bytes that wake the loop
                os.write(self._ends[1], b"\0")

    def wait(self, timeout: float) -> None:
        """Wait for a call of `wake`. Wait at most `timeout` seconds.

        If no loop is waiting when `wake` is called, the next call of `wait` returns immediately.
        """
        if self._ends is None:
            sleep(timeout)
        elif select.select([self._ends[0]], [], [], timeout)[0]:
            with suppress(BlockingIOError):  # another loop has already read the bytes
                os.read(self._ends[0], _BYTES)

    def close(self) -> None:
        """Close the pipe."""
        if self._ends is not None:
            for end in self._ends:
                os.close(end)
            self._ends = None
