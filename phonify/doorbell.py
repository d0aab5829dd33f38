"""Wakes the dispatchers, in whichever process they run: a FIFO beside the database."""

import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path

_WITHOUT = 0.05  # seconds to wait where there can be no FIFO
_BYTES = 65_536  # the most a FIFO holds on Linux


class Doorbell:
    """Rung after each commit, listened to by those who deliver.

    It only spares waiting: whoever listens looks for work from time to time in any case, so a ring
    that is lost does no harm, nor does one too many.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def ring(self) -> None:
        """Wake who listens; also from a signal handler."""
        # Where it is full it rings already; where it can't be had they look from time to time.
        with suppress(OSError):
            os.write(self._open(), b"\0")

    def wait(self, timeout: float) -> None:
        """Wait until it rings, at most `timeout` seconds; return at once where it has rung since the last call."""
        try:
            descriptor = self._open()
        except OSError:
            time.sleep(min(timeout, _WITHOUT))
            return
        if select.select([descriptor], [], [], timeout)[0]:
            with suppress(BlockingIOError):  # another listener was quicker
                os.read(descriptor, _BYTES)

    def close(self) -> None:
        """Close it; it is opened again on next use."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            if not self._path.exists():
                with suppress(FileExistsError):
                    os.mkfifo(self._path, 0o600)
            # For both: opened for writing alone it would fail while nobody listens.
            descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise FileExistsError(0, "is there and no FIFO", str(self._path))
            self._descriptor = descriptor
        return self._descriptor
