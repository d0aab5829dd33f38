"""A pipe that wakes a delivery loop as soon as any process of the server has committed something."""

import os
import select
import time
from contextlib import suppress

_BYTES = 65_536  # the most that a pipe holds on Linux


class Wakeup:
    """Wakes one loop, in any process of the server.

    A loop looks for work from time to time in any case, so a wake-up that is lost or superfluous does no harm. Before
    `share` is called, `wake` has no effect.
    """

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def share(self) -> None:
        """Connect this process, its threads, and all processes that it forks from now on."""
        if self._ends is None:
            self._ends = os.pipe()
            for end in self._ends:
                os.set_blocking(end, False)

    def wake(self) -> None:
        """Wake the loop that waits; also from a signal handler."""
        if self._ends is not None:
            with suppress(BlockingIOError):  # full: the loop will wake anyway
                os.write(self._ends[1], b"\0")

    def wait(self, timeout: float) -> None:
        """Wait for a wake-up, at most `timeout` seconds; return at once if there was one since the last call."""
        if self._ends is None:
            time.sleep(timeout)
        elif select.select([self._ends[0]], [], [], timeout)[0]:
            with suppress(BlockingIOError):  # another loop was quicker
                os.read(self._ends[0], _BYTES)

    def close(self) -> None:
        """Close the pipe."""
        if self._ends is not None:
            for end in self._ends:
                os.close(end)
            self._ends = None
