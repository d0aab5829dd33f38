"""Wakes a delivery loop of a server as soon as one of its processes has stored something: a pipe."""

import os
import select
import time
from contextlib import suppress

_BYTES = 65_536  # the most that a pipe holds on Linux


class Doorbell:
    """Rung after each commit; a delivery loop listens.

    It only spares waiting: whoever listens looks for work from time to time in any case, so a ring
    that is lost does no harm, nor does one too many. Until it is shared, ringing does nothing and
    waiting is just that.
    """

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def share(self) -> None:
        """Connect this process, its threads and all that it forks from now on."""
        if self._ends is None:
            self._ends = os.pipe()
            for end in self._ends:
                os.set_blocking(end, False)

    def ring(self) -> None:
        """Wake who listens; also from a signal handler."""
        if self._ends is not None:
            with suppress(BlockingIOError):  # full: it rings already
                os.write(self._ends[1], b"\0")

    def wait(self, timeout: float) -> None:
        """Wait until it rings, at most `timeout` seconds; return at once where it has rung since the last call."""
        if self._ends is None:
            time.sleep(timeout)
        elif select.select([self._ends[0]], [], [], timeout)[0]:
            with suppress(BlockingIOError):  # another listener was quicker
                os.read(self._ends[0], _BYTES)

    def close(self) -> None:
        """Take it down."""
        if self._ends is not None:
            for end in self._ends:
                os.close(end)
            self._ends = None
