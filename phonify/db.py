"""The database: connections, who writes when, waiting for commits, start and backup.

Reading takes a pooled connection. Each process writes over one connection, with commits that its
threads share (`group_commit.py`). Between processes a lock (flock on a file beside the database)
decides who writes next; SQLite's own busy handler would sleep longer with each try.
"""

import fcntl
import logging
import mmap
import os
import secrets
import sqlite3
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from .errors import PhonifyError, StoreUnavailable
from .group_commit import GroupCommit

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
Synchronous = Literal["FULL", "NORMAL"]

# What brings a file of version 1 (the first) to version 2, of 2 to 3, and so on: SQL for what
# schema.sql, which runs after it, can't do: it only creates what is missing.
UPGRADES: tuple[str, ...] = (
    """
    ALTER TABLE api_keys ADD COLUMN used_at TEXT;
    ALTER TABLE accounts ADD COLUMN quota INTEGER;
    ALTER TABLE accounts ADD COLUMN rate_limit INTEGER;
    ALTER TABLE messages ADD COLUMN request_id TEXT;
    DROP TRIGGER count_deleted_message; -- made anew, to step over fewer rows
    """,
    """
    ALTER TABLE messages ADD COLUMN stretch INTEGER AS (seq >> 17);
    DROP INDEX messages_by_to; -- both made anew, by stretch
    DROP INDEX messages_by_origin;
    DROP TRIGGER count_inserted_message; -- both made anew, with stretches of 17 bits instead of 16
    DROP TRIGGER IF EXISTS count_deleted_message;
    INSERT INTO message_counts SELECT account_id, 17, stretch >> 7, sum(messages) FROM message_counts
        WHERE bits = 10 GROUP BY account_id, stretch >> 7;
    DELETE FROM message_counts WHERE bits = 16;
    """,
)
SCHEMA_VERSION = 1 + len(UPGRADES)
_UPGRADE_PATIENCE = 600.0  # seconds that a start waits for another one, which may be bringing the file up to date
BUSY_TIMEOUT = 5.0  # seconds that a writer waits, for whatever and whomever
LOCK_INTERVAL = 0.0005
POLL_INTERVAL = 0.01  # seconds between looks for commits; a look costs microseconds
_COUNTER = struct.Struct("=Q")
# What a few thousand messages to as many phones change of the indexes: more than SQLite keeps in memory and in the
# -wal file unless told.
_WRITER_CACHE = 8_000  # KiB
_CHECKPOINT = 4_000  # pages of 4 KiB in the -wal file, from which on they are copied into the database
# Bytes that stay of the -wal file when it is begun anew, after a long read during which it could only grow.
_MOST_KEPT = _CHECKPOINT * (4_096 + 24)
_APPLICATION_ID = 0x50484F4E  # "PHON", in the header of the file
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables

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


class DatabaseUnusable(Exception):
    """The file can't be opened as Phonify's database; the message is one line for a person."""


def _run_each(connection: sqlite3.Connection, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    outcomes: list[Any] = []
    for work in works:
        try:
            outcomes.append(work(connection))
        except PhonifyError as refusal:  # nothing was written, so nothing is to be undone
            outcomes.append(refusal)
    return outcomes


class Database:
    """One SQLite file.

    Safe to use from any number of threads. `committed` is called after each commit. Nothing is held
    open after `close`, and what is needed is opened again on next use: close it before a fork.
    """

    def __init__(self, path: Path, *, committed: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.stopping = False  # set at shutdown: whoever waits in a Watcher returns
        self._idle: deque[sqlite3.Connection] = deque()
        self._group_commit = GroupCommit(self._locked, committed)
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._writers: dict[Synchronous, sqlite3.Connection] = {}
        self._file, self._wal = str(path), f"{path}-wal"
        self._written = False  # since it was opened; from then on the -wal file is ours
        self._inodes: dict[str, tuple[int, int]] = {}  # and devices, of the files that are open
        self._lock_file: int | None = None
        self._shared: mmap.mmap | None = None

    def close(self) -> None:
        """Close all idle connections and the lock file; the last process to do so leaves all in the one file.

        One process at a time: of two that closed at once, each would leave that to the other.
        """
        with self._writing:
            if self._idle or self._writers:
                with suppress(OSError):  # it is waited for, but not for ever
                    _lock(self._open_lock_file(), time.monotonic() + BUSY_TIMEOUT)
            while self._idle:
                self._idle.pop().close()
            while self._writers:
                self._writers.popitem()[1].close()
            self._written = False
            self._inodes.clear()
            if self._lock_file is not None:
                os.close(self._lock_file)  # and let go of it
                self._lock_file = None
            if self._shared is not None:
                self._shared.close()
                self._shared = None

    # Caching

    @property
    def generation(self) -> int:
        """A number that is the same as long as what may be cached of the database is; reading it is nearly free.

        It lies in the lock file, in memory that all processes share.
        """
        if self._shared is None:
            self._map_lock_file()
        (number,) = _COUNTER.unpack(self._shared[: _COUNTER.size])  # type: ignore[index]
        return int(number)

    def advance_generation(self) -> None:
        """Tell all processes that what they have cached is out of date; to be called after the commit."""
        if self._shared is None:
            self._map_lock_file()
        # A number that was never there before needs no lock, which another process might not let go of.
        self._shared[: _COUNTER.size] = _COUNTER.pack(secrets.randbits(64))  # type: ignore[index]

    def _map_lock_file(self) -> None:
        try:
            self._open_lock_file()
        except OSError as error:
            raise StoreUnavailable from error

    # Reading

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to read from; raise StoreUnavailable where the file can't be read."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        usable = True
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            usable = False  # it may have a file open that is not the one in its place any more
            raise _translate(error) from error
        finally:
            if usable:
                self._idle.append(connection)
            else:
                connection.close()

    def watch(self) -> "Watcher":
        """Return a watcher that tells when something was committed, by whichever process."""
        return Watcher(self)

    # Writing

    def write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Call `work` with a connection inside a transaction; return its result when it is on disk.

        The work may share its transaction with that of other threads, and may be called a second
        time when theirs had to be rolled back: it must do nothing but read and write the database.
        What it raises undoes its own changes alone; a PhonifyError it must raise before its first
        change.
        """
        result: R = self.write_batched(_run_each, work)
        return result

    def write_unsynced(self, work: Callable[[sqlite3.Connection], R], *, patience: float | None = None) -> R:
        """Like `write`, without waiting for the disk: a power cut may undo it. Not for what was promised.

        Waits for other writers `patience` seconds, where that is given.
        """
        try:
            # A connection of its own: one whose setting goes to and fro might be left with the wrong one.
            with self._locked("NORMAL", patience) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            raise _translate(error) from error
        return result

    def write_batched(self, function: Callable[[sqlite3.Connection, Sequence[T]], Sequence[Any]], item: T) -> Any:
        """Like `write`, for work that is cheaper done for many at once; see `GroupCommit.submit`."""
        try:
            return self._group_commit.submit(function, item)
        except sqlite3.DatabaseError as error:
            raise _translate(error) from error

    @contextmanager
    def _locked(self, synchronous: Synchronous = "FULL", patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Lend a connection that writes, to one thread of one process at a time.

        It is waited for in three places, for `patience` seconds in all: for the other threads, for
        the other processes, and for whoever else holds SQLite's own lock.
        """
        patience = BUSY_TIMEOUT if patience is None else patience
        end = time.monotonic() + patience
        if not self._writing.acquire(timeout=patience):
            raise StoreUnavailable from TimeoutError("another thread does not let go of the lock")
        try:
            writer = self._writers.get(synchronous)
            if writer is None:
                writer = self._writers[synchronous] = self._connect(
                    synchronous=synchronous,
                    cache_size=-_WRITER_CACHE,
                    wal_autocheckpoint=_CHECKPOINT,
                    journal_size_limit=_MOST_KEPT,
                )
            self._check_file(self._file)
            if self._written and (self._wal in self._inodes or os.path.exists(self._wal)):  # noqa: PTH110 - quicker than Path
                self._check_file(self._wal)
            try:
                lock_file = self._open_lock_file()
                _lock(lock_file, end)
            except OSError as error:
                raise StoreUnavailable from error
            left = max(end - time.monotonic(), 0)
            hurried = left < 0.9 * BUSY_TIMEOUT
            try:
                if hurried:
                    _set_patience(writer, left)
                yield writer
                self._written = True
                if hurried:
                    _set_patience(writer, BUSY_TIMEOUT)
            except BaseException:
                # Another time another connection: one that was opened while the file was read-only stays so.
                del self._writers[synchronous]
                writer.close()
                raise
            finally:
                fcntl.flock(lock_file, fcntl.LOCK_UN)
        finally:
            self._writing.release()

    def _check_file(self, path: str) -> None:
        """Raise StoreUnavailable where a file is no longer the one that is open: what is written there is lost."""
        try:
            found = os.stat(path)  # noqa: PTH116 - quicker than Path
        except OSError as error:
            raise StoreUnavailable from error
        inode = found.st_dev, found.st_ino
        if self._inodes.setdefault(path, inode) != inode:
            raise StoreUnavailable from OSError(f"{path} was replaced under the running server")

    def _open_lock_file(self) -> int:
        with self._opening:
            if self._lock_file is None:
                descriptor = os.open(f"{self.path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    if os.fstat(descriptor).st_size < _COUNTER.size:
                        # Written, not just made long enough: memory of a file needs its place on the disk.
                        os.pwrite(descriptor, _COUNTER.pack(0), 0)
                    self._shared = mmap.mmap(descriptor, _COUNTER.size)
                except OSError:
                    os.close(descriptor)
                    raise
                self._lock_file = descriptor
            return self._lock_file

    def _connect(self, **settings: str | int) -> sqlite3.Connection:
        if self._wal in self._inodes:
            self._check_file(self._wal)  # where it is missing, SQLite would make a new one
        try:
            # A URI with mode=rw: a file that was removed is not silently made anew, empty.
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=128,
            )
            for name, value in {"foreign_keys": "ON", "synchronous": "FULL", **settings}.items():
                connection.execute(f"PRAGMA {name} = {value}")
        except sqlite3.DatabaseError as error:
            raise _translate(error) from error
        try:
            self._check_file(self._file)
        except StoreUnavailable:
            connection.close()
            raise
        return connection

    # Start

    def prepare(self, schema: str) -> None:
        """Create the file or bring it up to date; raise DatabaseUnusable where that can't be done."""
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            needed = ".".join(map(str, _OLDEST_SQLITE))
            raise DatabaseUnusable(f"this Python has SQLite {sqlite3.sqlite_version}; {needed} or newer is needed")
        try:
            self._create_file()
            with self.reading() as connection:
                version = self._check_version(connection)
            if version < SCHEMA_VERSION:
                if version:
                    logger.info(
                        "%s: from version %d to %d; a million messages take seconds", self.path, version, SCHEMA_VERSION
                    )
                with self._locked(patience=_UPGRADE_PATIENCE) as connection:
                    self._upgrade(connection, schema)
        except OSError as error:
            raise DatabaseUnusable(f"{self.path}: {error.strerror}") from error
        except sqlite3.DatabaseError as error:
            raise DatabaseUnusable(f"{self.path}: {error}") from error
        except StoreUnavailable as error:
            raise DatabaseUnusable(f"{self.path}: {error.__cause__}") from error

    def _upgrade(self, connection: sqlite3.Connection, schema: str) -> None:
        version = self._check_version(connection)  # another process may have been quicker
        steps = [schema, f"PRAGMA application_id = {_APPLICATION_ID};"]
        if version == 0:
            connection.execute("PRAGMA journal_mode = WAL")
        else:
            steps = [*UPGRADES[version - 1 :], *steps]
        try:
            connection.executescript(
                "\n".join(["BEGIN IMMEDIATE;", *steps, f"PRAGMA user_version = {SCHEMA_VERSION};", "COMMIT;"])
            )
        except sqlite3.DatabaseError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _create_file(self) -> None:
        # SQLite's own words for a missing folder and for a missing permission are the same.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        if not os.access(self.path.absolute().parent, os.W_OK):
            raise PermissionError(0, "its folder can't be written to")

    def _check_version(self, connection: sqlite3.Connection) -> int:
        # In this order: another process may make the tables, and say whose they are, in between.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables and application != _APPLICATION_ID:
            raise DatabaseUnusable(f"{self.path}: a SQLite file, but not one of Phonify's")
        if version > SCHEMA_VERSION:
            raise DatabaseUnusable(
                f"{self.path}: written by a newer Phonify (version {version}; this one knows up to {SCHEMA_VERSION})"
            )
        return version

    def backup(self, target: Path) -> None:
        """Copy the database as of now into a new file, while others go on writing.

        Raises FileExistsError where there is such a file, OSError or sqlite3.Error where it can't
        be written, DatabaseUnusable where the copy, which is looked through, is not sound; nothing
        half-done stays under that name.
        """
        if target.exists():
            raise FileExistsError(0, "exists already", str(target))
        partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
        try:
            os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            copy = sqlite3.connect(partial)
            try:
                with self.reading() as connection:
                    connection.backup(copy)
                # A file by itself, which can be read where nothing can be written.
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
            fault = check_backup(partial)
            if fault is not None:
                raise DatabaseUnusable(f"the database is damaged, there is no backup: {fault}")
            _name_new(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def check_backup(path: Path) -> str | None:
    """Return what is wrong with a file as a copy of the database, in words; None where it is one and sound."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (soundness,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return str(error)
    if application != _APPLICATION_ID:
        return "it is not one of Phonify's"
    if version > SCHEMA_VERSION:
        return f"it was written by a newer Phonify (version {version}; this one knows up to {SCHEMA_VERSION})"
    return None if soundness == "ok" else str(soundness)


def _name_new(file: Path, name: Path) -> None:
    """Give a file a name that must be new: unlike a rename, never over a file that has come meanwhile."""
    try:
        os.link(file, name)
    except FileExistsError:
        raise
    except OSError:  # no hard links there
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        file.rename(name)


class Watcher:
    """Tells of commits, beginning with those after it was made. For one thread at a time, to be closed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lent = database.reading()
        # data_version changes when another connection commits, of this process or of any other.
        self._connection = self._lent.__enter__()
        self._seen = self._look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._lent.__exit__(None, None, None)

    def wait(self, timeout: float) -> bool:
        """Wait until something was committed since the last call, at most `timeout` seconds.

        Returns False where nothing was, or where the server is stopping.
        """
        end = time.monotonic() + timeout
        while not self._database.stopping:
            if self.changed():
                return True
            remaining = end - time.monotonic()
            if remaining <= 0:
                return False
            time.sleep(min(POLL_INTERVAL, remaining))
        return False

    def changed(self) -> bool:
        """Tell whether something was committed since the last call."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> int:
        try:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise _translate(error) from error
        return int(version)


def _set_patience(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def _lock(lock_file: int, end: float) -> None:
    """Wait for the lock between the processes; raise TimeoutError where it can't be had in time."""
    while True:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError(0, "another process does not let go of the lock") from None
            time.sleep(LOCK_INTERVAL)
        else:
            return


def _translate(error: Exception) -> Exception:
    """Return StoreUnavailable for what may pass; the error itself for what is a mistake in the code."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _UNAVAILABLE:
        unavailable = StoreUnavailable()
        unavailable.__cause__ = error
        return unavailable
    return error
