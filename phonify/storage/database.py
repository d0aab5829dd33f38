"""The database: connections to read from, the one to write with, and who tells of commits.

Reading takes a pooled connection. Each process writes over one connection, with commits that its threads share
(`shared_commit.py`). SQLite's own busy handler would sleep longer with each try while another process writes; here it
is tried again every half a millisecond.
"""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import StoreUnavailable
from .process_lock import ProcessLock
from .shared_commit import SharedCommit

# Only this package imports sqlite3; others name these in signatures and handlers.
Connection = sqlite3.Connection
SqliteError = sqlite3.Error

BUSY_TIMEOUT = 5.0  # seconds that a writer waits for other threads and processes
_TRY_AGAIN = 0.0005  # seconds
_POLL_INTERVAL = 0.01  # seconds
_WRITER_CACHE = 8_000  # KiB; what a thousand messages to as many phones change of the indexes
_CHECKPOINT = 4_000  # pages in the -wal file, from which on SQLite copies them into the database
_MOST_KEPT = _CHECKPOINT * (4_096 + 24)  # bytes of the -wal file that stay when it is begun anew after a long read

# Primary result codes that say "not now": the disk, a lock, the file's permissions.
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}


class Database:
    """One SQLite file.

    Safe to use from any number of threads. `committed` is called after each commit. Nothing is held open after
    `close`, and what is needed is opened again on next use: close it before a fork. Once it was opened, another file in
    its place is refused: what some of the processes wrote there would be missing for the others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # whoever opens the file by another name finds the same files beside it
        self.busy_timeout = BUSY_TIMEOUT
        self.stopping = False  # set at shutdown: loops end, and requests that wait return
        self.committed: Callable[[], None] = lambda: None
        self._shared_commit = SharedCommit(self._begin, self._end)
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer: sqlite3.Connection | None = None
        self._file, self._wal, self._shm = str(self.path), f"{self.path}-wal", f"{self.path}-shm"
        self._inodes: dict[str, tuple[int, int]] = {}  # and devices, of the files that were opened
        self._open: set[sqlite3.Connection] = set()
        self._closing = threading.Lock()
        self._counting = threading.Lock()
        self._counter: sqlite3.Connection | None = None  # tells of commits

    @property
    def lock(self) -> ProcessLock:
        """A lock between processes, for whoever opens or closes the database as a whole."""
        return ProcessLock(self.path.with_name(f"{self.path.name}-lock"))

    def close(self) -> None:
        """Close all idle connections; the last process to do so leaves all in the one file.

        One process at a time: of two that closed at once, each would leave that to the other.
        """
        with self._closing:
            if not self._open:
                return
            lock = self.lock
            with suppress(OSError):
                lock.acquire(self.busy_timeout)
            try:
                while self._idle:
                    self._disconnect(self._idle.pop())
                self._discard_writer()
                with self._counting:
                    self._discard_counter()
            finally:
                lock.release()

    # Reading

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to read from; raise StoreUnavailable if the file can't be read."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(timeout=self.busy_timeout)
        usable = True
        try:
            yield connection
        except (sqlite3.DatabaseError, MemoryError) as error:
            usable = False  # it may have a file open that is not the one in its place any more
            raise translate(error) from error
        finally:
            if usable:
                self._idle.append(connection)
            else:
                self._disconnect(connection)

    def get_data_version(self) -> int:
        """Return a number that changes with each commit, of this process or of any other."""
        with self._counting:
            try:
                if self._counter is None:
                    self._counter = self._connect(timeout=self.busy_timeout)
                # It changes when another connection commits; this one never does.
                (version,) = self._counter.execute("PRAGMA data_version").fetchone()
            except sqlite3.DatabaseError as error:
                self._discard_counter()
                raise translate(error) from error
        return int(version)

    def _discard_counter(self) -> None:
        if self._counter is not None:
            self._disconnect(self._counter)
            self._counter = None

    def watch(self) -> "Watcher":
        """Return a watcher that tells when something was committed, by whichever process."""
        return Watcher(self)

    # Writing

    @contextmanager
    def write(self, *, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Run a `with` block inside a transaction; what it wrote is on disk when the block has ended.

        Threads may share the transaction, one block at a time. A block that raises undoes only its own rows. Raises
        StoreUnavailable if nothing of the block could be stored; `patience` is how many seconds it waits to begin.
        """
        try:
            with self._shared_commit.block(self.busy_timeout if patience is None else patience) as connection:
                yield connection
        except (sqlite3.DatabaseError, MemoryError) as error:
            raise translate(error) from error

    def _begin(self, deadline: float) -> sqlite3.Connection:
        """Return the connection to write with, in a transaction."""
        self._check_files()
        if self._writer is None:
            self._writer = self._connect(
                timeout=0,
                cache_size=-_WRITER_CACHE,
                wal_autocheckpoint=_CHECKPOINT,
                journal_size_limit=_MOST_KEPT,
            )
        writer = self._writer
        try:
            while True:
                try:
                    writer.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(_TRY_AGAIN)
                else:
                    return writer
        except BaseException:
            self._discard_writer()
            raise

    def _end(self, error: Exception | None) -> None:
        if error is not None:
            self._discard_writer()
        else:
            self.committed()

    def _discard_writer(self) -> None:
        # Another time another connection: one that was opened while the file was read-only stays so.
        if self._writer is not None:
            self._disconnect(self._writer)
            self._writer = None

    def _check_files(self) -> None:
        self._check_file(self._file)
        if self._wal in self._inodes:
            self._check_file(self._wal)

    def _check_file(self, path: str) -> None:
        """Raise StoreUnavailable if a file is no longer the one that is open: what is written there is lost."""
        try:
            found = os.stat(path)  # noqa: PTH116 - quicker than Path
        except OSError as error:
            raise StoreUnavailable from error
        inode = found.st_dev, found.st_ino
        if self._inodes.setdefault(path, inode) != inode:
            raise StoreUnavailable from OSError(f"{path} was replaced under the running server")

    def _connect(self, *, timeout: float, **settings: int) -> sqlite3.Connection:
        # If the -wal file is missing, SQLite makes a new one. But it is never missing while the -shm file is there,
        # unless somebody took it away from those who have it open.
        if self._wal in self._inodes or (not _exists(self._wal) and _exists(self._shm)):
            self._check_file(self._wal)
        try:
            # A URI with mode=rw: a file that was removed is not silently made anew, empty.
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=self.busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.DatabaseError as error:
            raise translate(error) from error
        self._open.add(connection)
        try:
            pragmas = {"foreign_keys": "ON", "synchronous": "FULL", **settings, "busy_timeout": int(timeout * 1_000)}
            for name, value in pragmas.items():
                connection.execute(f"PRAGMA {name} = {value}")
            connection.execute("PRAGMA schema_version").fetchone()  # the first that opens the -wal file
            self._check_file(self._file)
            if _exists(self._wal):
                self._check_file(self._wal)
        except BaseException as error:
            self._disconnect(connection)
            if isinstance(error, sqlite3.DatabaseError):
                raise translate(error) from error
            raise
        return connection

    def _disconnect(self, connection: sqlite3.Connection) -> None:
        connection.close()
        self._open.discard(connection)
        if not self._open:
            self._inodes.pop(self._wal, None)  # SQLite removes it if nobody else has it open


class Watcher:
    """Tells of commits, beginning with those after it was made. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = database.get_data_version()

    def wait(self, timeout: float) -> bool:
        """Wait until something was committed since the last call, at most `timeout` seconds.

        Returns False if nothing was, or if the server is stopping.
        """
        end = time.monotonic() + timeout
        while not self._database.stopping:
            if self.changed():
                return True
            remaining = end - time.monotonic()
            if remaining <= 0:
                return False
            time.sleep(min(_POLL_INTERVAL, remaining))
        return False

    def changed(self) -> bool:
        """Tell whether something was committed since the last call."""
        before, self._seen = self._seen, self._database.get_data_version()
        return self._seen != before


def translate(error: Exception) -> Exception:
    """Return StoreUnavailable for what may pass; the error itself for what is a mistake in the code."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, MemoryError) or (code is not None and code & 0xFF in _UNAVAILABLE):
        unavailable = StoreUnavailable()
        unavailable.__cause__ = error
        return unavailable
    return error


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - quicker than Path
