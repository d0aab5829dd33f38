"""Locks between processes. Each lock is a file that one process has locked.

When the process ends, the kernel unlocks the file.
"""

import fcntl
import glob
import os
import secrets
from pathlib import Path

from ..clock import monotonic, sleep

_INTERVAL = 0.005  # seconds


class ProcessLock:
    """A lock for the threads of all processes. At each moment, at most one of these threads holds the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float) -> None:
        """Wait for the lock. Raises TimeoutError if the lock is not free within `patience` seconds.

        Raises OSError if the file of the lock can't be created.
        """
        end = monotonic() + patience
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        while not _try_to_lock(descriptor):
            if monotonic() > end:
                os.close(descriptor)
                raise TimeoutError(0, "another process still holds the lock")
            sleep(_INTERVAL)
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock. If this object does not hold the lock, nothing happens."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Owner:
    """A process that owns leases. The process has a random id and a locked file.

    The file stays locked until the process ends. A process that is stopped with SIGSTOP keeps its lock. If the process
    calls `os.fork`, create the `Owner` object after this call.
    """

    def __init__(self, database: Path) -> None:
        self._database = database.resolve()  # a symbolic link to the database must use the same lock files
        for file in _list_files(self._database):
            _remove_if_dead(file)
        while True:
            self.id = secrets.token_hex(8)
            self._file = _name_file(self._database, self.id)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Another process may have removed the file before it was locked.
            if _try_to_lock(descriptor) and self._file.exists():
                self._descriptor: int | None = descriptor
                break
            os.close(descriptor)

    def is_alive(self, owner_id: str) -> bool:
        """Return whether the process with this owner id is still running."""
        return owner_id == self.id or not _remove_if_dead(_name_file(self._database, owner_id))

    def close(self) -> None:
        """Unlock and remove the file."""
        if self._descriptor is not None:
            self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def has_owner(database: Path) -> bool:
    """Return whether any process that owns leases is still running.

    If Phonify can't check the file of an owner, the function returns True.
    """
    return any(not _remove_if_dead(file) for file in _list_files(database.resolve()))


def _list_files(database: Path) -> list[Path]:
    return list(database.parent.glob(f"{glob.escape(database.name)}-owner-*"))


def _name_file(database: Path, owner_id: str) -> Path:
    return database.with_name(f"{database.name}-owner-{owner_id}")


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_if_dead(file: Path) -> bool:
    """Remove an owner's file if the owner's process has ended.

    Returns True if the process has certainly ended. In all other cases, returns False.
    """
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        dead = _try_to_lock(descriptor)
        if dead:
            file.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return dead
