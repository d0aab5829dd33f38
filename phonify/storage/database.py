"""Access to the database. The class `Database` contains the connections. The class `Watcher` notices commits.

Connections for reading are in a pool. Each process has one connection for writing. Several threads can share one commit
(`shared_commit.py`). Only one process can write at a time. If another process is writing, Phonify tries again after
half a millisecond. Phonify does not use SQLite's own busy handler, because this handler sleeps longer after each try.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..clock import monotonic, sleep
from ..errors import AccountRemoved, StoreUnavailable
from .process_lock import ProcessLock
from .shared_commit import SharedCommit

# Other packages import these names from here, because only this package imports sqlite3.
Connection = sqlite3.Connection
SqliteError = sqlite3.Error

BUSY_TIMEOUT = 5.0  # seconds to wait for other threads and processes
_TRY_AGAIN = 0.0005  # seconds between two tries to begin a transaction
_POLL_INTERVAL = 0.01  # seconds between two checks for a commit
_WRITER_CACHE = 8_000  # KiB; all index changes of a request with 1,000 messages fit into this cache
_CHECKPOINT = 4_000  # database pages; SQLite copies the pages of a longer -wal file into the database
_WAL_LIMIT = _CHECKPOINT * (4_096 + 24)  # bytes; SQLite shortens a longer -wal file to this size

# Some errors of SQLite can be temporary. These are their primary result codes. Such an error comes from the disk, from
# a lock, or from the permissions of the file.
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

    This class is thread-safe. After each commit, it calls the function `committed`. Call `close` before a fork. This
    closes all idle connections, and the next use opens new connections. The class checks the file before it writes, and
    before it opens a connection. If another file has replaced the database file, the class raises StoreUnavailable.
    Without this check, the processes of a server could use different files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # a symbolic link to the file must use the same -wal file
        self.busy_timeout = BUSY_TIMEOUT
        self.stopping = False  # True at shutdown: loops and waiting requests end
        self.committed: Callable[[], None] = lambda: None
        self._shared_commit = SharedCommit(self._begin, self._end)
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer: sqlite3.Connection | None = None
        self._writer_failed = False  # whether a statement has failed, possibly because of the connection
        self._wal, self._shm = (self.path.with_name(self.path.name + suffix) for suffix in ("-wal", "-shm"))
        self._inodes: dict[Path, tuple[int, int]] = {}  # device and inode of each opened file
        self._open: set[sqlite3.Connection] = set()
        self._closing = threading.Lock()
        self._counting = threading.Lock()
        self._counter: sqlite3.Connection | None = None  # the connection that reads the counter of commits

    @property
    def lock(self) -> ProcessLock:
        """The lock that a process holds while it upgrades or closes the database."""
        return ProcessLock(self.path.with_name(f"{self.path.name}-lock"))

    def close(self) -> None:
        """Close all idle connections.

        When the last process closes the database, SQLite copies the -wal file into the database and removes the -wal
        file. The processes close the database one after another. If two processes close the database at the same time,
        the -wal file can stay on the disk.
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
        """Provide a connection for reading. Call this function in a `with` statement.

        Raises StoreUnavailable if the file can't be read.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(timeout=self.busy_timeout)
        usable = True
        try:
            yield connection
        except (sqlite3.DatabaseError, MemoryError) as error:
            usable = False  # the file of this connection may have been replaced
            raise translate(error) from error
        finally:
            if usable:
                self._idle.append(connection)
            else:
                self._disconnect(connection)

    def get_data_version(self) -> int:
        """Return a number that changes each time a process commits."""
        with self._counting:
            try:
                if self._counter is None:
                    self._counter = self._connect(timeout=self.busy_timeout)
                # The counter shows only the commits of other connections. So this connection is never used for writing.
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
        """Return a watcher that notices the commits of all processes."""
        return Watcher(self)

    # Writing

    @contextmanager
    def write(self, *, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Run a `with` block inside a transaction. When the block has ended, its changes are on disk.

        Several threads can share one transaction. Then their `with` blocks run one after another. If a block raises an
        exception, SQLite undoes the changes that this block has made. SQLite still commits the changes that the other
        blocks have made. Raises StoreUnavailable if the changes can't be stored, or if other writers use the database
        for more than `patience` seconds.
        """
        try:
            with self._shared_commit.block(self.busy_timeout if patience is None else patience) as connection:
                try:
                    yield connection
                except sqlite3.OperationalError:
                    self._writer_failed = True
                    raise
        except (sqlite3.DatabaseError, MemoryError) as error:
            raise translate(error) from error

    def _begin(self, deadline: float) -> sqlite3.Connection:
        """Begin a transaction. Returns the connection for writing."""
        self._check_files()
        if self._writer is None:
            self._writer = self._connect(
                timeout=0,
                cache_size=-_WRITER_CACHE,
                wal_autocheckpoint=_CHECKPOINT,
                journal_size_limit=_WAL_LIMIT,
            )
        writer = self._writer
        try:
            while True:
                try:
                    writer.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                        raise
                    sleep(_TRY_AGAIN)
                else:
                    return writer
        except BaseException:
            self._discard_writer()
            raise

    def _end(self, error: Exception | None) -> None:
        if error is not None or self._writer_failed:
            self._discard_writer()
        else:
            self.committed()

    def _discard_writer(self) -> None:
        # If the file was read-only when a connection was opened, the connection stays read-only. It can begin a
        # transaction, but it can't change anything. So the next transaction opens a new connection.
        self._writer_failed = False
        if self._writer is not None:
            self._disconnect(self._writer)
            self._writer = None

    def _check_files(self) -> None:
        for path in self._inodes.copy():
            self._check_file(path)

    def _check_file(self, path: Path) -> None:
        """Raise StoreUnavailable if a file was removed or replaced. Data that is written to the old file is lost."""
        try:
            found = path.stat()
        except OSError as error:
            raise StoreUnavailable from error
        inode = found.st_dev, found.st_ino
        if self._inodes.setdefault(path, inode) != inode:
            raise StoreUnavailable from OSError(f"{path} was replaced under the running server")

    def _connect(self, *, timeout: float, **settings: int) -> sqlite3.Connection:
        # This check prevents two faults. SQLite would create a removed -wal or -shm file again. If the database file
        # was replaced, SQLite would write the old -wal file into the new database file.
        self._check_files()
        if self._shm.exists() and not self._wal.exists() and self._shm.exists():
            raise StoreUnavailable from OSError(
                f"{self._wal} was removed; if no program has the database open, remove {self._shm} too"
            )
        try:
            # With mode=rw, SQLite does not create the file if it was removed.
            connection = sqlite3.connect(
                f"{self.path.as_uri()}?mode=rw",
                uri=True,
                timeout=self.busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            self._open.add(connection)
            try:
                connection.execute("PRAGMA schema_version").fetchone()  # opens the -wal file
                pragmas = {"foreign_keys": "ON", "synchronous": "FULL", **settings}
                for name, value in {**pragmas, "busy_timeout": int(timeout * 1_000)}.items():
                    connection.execute(f"PRAGMA {name} = {value}")
                self._check_file(self.path)
                for path in (self._wal, self._shm):
                    if path.exists():
                        self._check_file(path)
            except BaseException:
                self._disconnect(connection)
                raise
        except sqlite3.DatabaseError as error:
            raise translate(error) from error
        return connection

    def _disconnect(self, connection: sqlite3.Connection) -> None:
        connection.close()
        self._open.discard(connection)
        if not self._open:
            for path in (self._wal, self._shm):
                self._inodes.pop(path, None)  # the last connection of all processes removes these files


class Watcher:
    """Finds out whether any process has changed the database. This class is not thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = database.get_data_version()

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a commit.

        If there was a commit after the previous call, the function returns True at once. Returns False if there was no
        commit, or if the server is stopping.
        """
        end = monotonic() + timeout
        while not self._database.stopping:
            if self.changed():
                return True
            remaining = end - monotonic()
            if remaining <= 0:
                return False
            sleep(min(_POLL_INTERVAL, remaining))
        return False

    def changed(self) -> bool:
        """Return whether there was a commit since the last call."""
        before, self._seen = self._seen, self._database.get_data_version()
        return self._seen != before


def translate(error: Exception) -> Exception:
    """Return Phonify's own exception for an error of SQLite.

    If the error may be temporary, the result is a `StoreUnavailable` exception. If the account no longer exists, the
    result is an `AccountRemoved` exception. All other errors are returned unchanged.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return AccountRemoved()
    if isinstance(error, MemoryError) or (code is not None and code & 0xFF in _UNAVAILABLE):
        return StoreUnavailable()
    return error
