"""The database: connections for reading, the connection for writing, and watchers of commits.

Reading takes a connection from a pool. Each process has one connection for writing, whose commits the threads share
(`shared_commit.py`). If another process is writing, beginning is tried again every half a millisecond; SQLite's own
busy handler would sleep longer with each try.
"""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import AccountRemoved, StoreUnavailable
from .process_lock import ProcessLock
from .shared_commit import SharedCommit

# Only this package imports sqlite3; others name these in signatures and handlers.
Connection = sqlite3.Connection
SqliteError = sqlite3.Error

BUSY_TIMEOUT = 5.0  # seconds to wait for other threads and processes
_TRY_AGAIN = 0.0005  # seconds
_POLL_INTERVAL = 0.01  # seconds
_WRITER_CACHE = 8_000  # KiB; enough for the index pages that a thousand messages to a thousand phones change
_CHECKPOINT = 4_000  # pages in the -wal file at which SQLite copies them into the database
_MOST_KEPT = _CHECKPOINT * (4_096 + 24)  # bytes to which SQLite cuts the -wal file when it starts again at its
# beginning

# Primary result codes of temporary errors: the disk, a lock, the file's permissions.
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

    Any number of threads may use it. `committed` is called after each commit. `close` closes all idle connections, and
    the next use opens new ones: call it before a fork. After the first use, another file in the place of the database
    is refused for writing and for new connections, because the processes of a server would use different files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # another name of the file leads to the same -wal file
        self.busy_timeout = BUSY_TIMEOUT
        self.stopping = False  # set at shutdown: it ends loops and waiting requests
        self.committed: Callable[[], None] = lambda: None
        self._shared_commit = SharedCommit(self._begin, self._end)
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer: sqlite3.Connection | None = None
        self._file, self._wal, self._shm = str(self.path), f"{self.path}-wal", f"{self.path}-shm"
        self._inodes: dict[str, tuple[int, int]] = {}  # and devices, of the files that were opened
        self._open: set[sqlite3.Connection] = set()
        self._closing = threading.Lock()
        self._counting = threading.Lock()
        self._counter: sqlite3.Connection | None = None  # for the counter of commits

    @property
    def lock(self) -> ProcessLock:
        """A lock between processes, for opening and closing the whole database."""
        return ProcessLock(self.path.with_name(f"{self.path.name}-lock"))

    def close(self) -> None:
        """Close all idle connections. The last process that does so moves everything into the one file.

        One process closes at a time. If two did it at once, each would leave the work to the other.
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
        """Lend a connection for reading; raise StoreUnavailable if the file can't be read."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(timeout=self.busy_timeout)
        usable = True
        try:
            yield connection
        except (sqlite3.DatabaseError, MemoryError) as error:
            usable = False  # its file may have been replaced
            raise translate(error) from error
        finally:
            if usable:
                self._idle.append(connection)
            else:
                self._disconnect(connection)

    def get_data_version(self) -> int:
        """Return a counter that changes with each commit, of any process."""
        with self._counting:
            try:
                if self._counter is None:
                    self._counter = self._connect(timeout=self.busy_timeout)
                # The counter changes when another connection commits, and this connection never commits.
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
        """Return a watcher of commits, of any process."""
        return Watcher(self)

    # Writing

    @contextmanager
    def write(self, *, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Run a `with` block inside a transaction.

        Its changes are on disk when the block has ended.

        Threads may share the transaction, one block at a time. If a block raises an exception, only its own changes are
        undone. Raises StoreUnavailable if the block could not be stored. It waits at most `patience` seconds to begin.
        """
        try:
            with self._shared_commit.block(self.busy_timeout if patience is None else patience) as connection:
                yield connection
        except (sqlite3.DatabaseError, MemoryError) as error:
            raise translate(error) from error

    def _begin(self, deadline: float) -> sqlite3.Connection:
        """Begin a transaction; return the connection for writing."""
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
        # The next transaction gets a new connection: one that was opened on a read-only file stays read-only.
        if self._writer is not None:
            self._disconnect(self._writer)
            self._writer = None

    def _check_files(self) -> None:
        self._check_file(self._file)
        for path in (self._wal, self._shm):
            if path in self._inodes:
                self._check_file(path)

    def _check_file(self, path: str) -> None:
        """Raise StoreUnavailable if a file was replaced: what is written to the former one would be lost."""
        try:
            found = os.stat(path)  # noqa: PTH116 - quicker than Path
        except OSError as error:
            raise StoreUnavailable from error
        inode = found.st_dev, found.st_ino
        if self._inodes.setdefault(path, inode) != inode:
            raise StoreUnavailable from OSError(f"{path} was replaced under the running server")

    def _connect(self, *, timeout: float, **settings: int) -> sqlite3.Connection:
        # SQLite would make missing files, and write what is in the -wal file to another database in this place.
        for path in self._inodes.copy():
            self._check_file(path)
        if _exists(self._shm) and not _exists(self._wal) and _exists(self._shm):
            raise StoreUnavailable from OSError(
                f"{self._wal} was removed; if no program has the database open, remove {self._shm} too"
            )
        try:
            # With mode=rw, SQLite does not create a new, empty file if the file was removed.
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
            connection.execute("PRAGMA schema_version").fetchone()  # opens the -wal file
            pragmas = {"foreign_keys": "ON", "synchronous": "FULL", **settings, "busy_timeout": int(timeout * 1_000)}
            for name, value in pragmas.items():
                connection.execute(f"PRAGMA {name} = {value}")
            self._check_file(self._file)
            for path in (self._wal, self._shm):
                if _exists(path):
                    self._check_file(path)
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
            for path in (self._wal, self._shm):
                self._inodes.pop(path, None)  # SQLite removes them if nobody else has them open


class Watcher:
    """Notices commits that happen after it was made. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = database.get_data_version()

    def wait(self, timeout: float) -> bool:
        """Wait for a commit since the last call, at most `timeout` seconds.

        Returns False if there was none, or if the server is stopping.
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
        """Tell whether there was a commit since the last call."""
        before, self._seen = self._seen, self._database.get_data_version()
        return self._seen != before


def translate(error: Exception) -> Exception:
    """Return StoreUnavailable if the error may be temporary, AccountRemoved for a row of no account, or the error."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return AccountRemoved()
    if isinstance(error, MemoryError) or (code is not None and code & 0xFF in _UNAVAILABLE):
        unavailable = StoreUnavailable()
        unavailable.__cause__ = error
        return unavailable
    return error


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - quicker than Path
