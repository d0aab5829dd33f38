"""Creates the database file, or upgrades a file of an earlier version. The whole upgrade is one transaction.

`2.sql` upgrades a file from version 1 to version 2, and so on. After these steps, `schema.sql` creates missing tables
and indexes.

Each change of the schema needs a new version number, even if the old version was never released. To make a new version,
first copy the unchanged `schema.sql` to `tests/storage/former_schemas/version-N.sql`. `N` is the number of the old
version. For each old version, a test creates a database file and upgrades this file. Then change `schema.sql`, add the
SQL file of the step, and increase SCHEMA_VERSION.
"""

import logging
import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from ...errors import StoreUnavailable
from ..database import Database

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x50484F4E  # "PHON", in the header of the file
SCHEMA_VERSION = 7
_STEPS = Path(__file__).parent
_PATIENCE = 600.0  # seconds to wait for another process that upgrades the file
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables


class DatabaseUnusable(Exception):
    """The file can't be used as Phonify's database. The text of the exception explains the reason in one line."""


def find_schema() -> Path:
    """Return the path of schema.sql. An installed package contains this file.

    In a Git working copy, schema.sql is next to the folder `phonify/`.
    """
    package = _STEPS.parent.parent
    installed = package / "schema.sql"
    return installed if installed.exists() else package.with_name("schema.sql")


def prepare(database: Database) -> None:
    """Create or upgrade the file. Raises DatabaseUnusable if that is not possible."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        needed = ".".join(map(str, _OLDEST_SQLITE))
        raise DatabaseUnusable(f"this Python has SQLite {sqlite3.sqlite_version}; {needed} or newer is needed")
    path = database.path
    version = SCHEMA_VERSION
    try:
        _create_file(path)
        lock = database.lock
        lock.acquire(_PATIENCE)
        try:
            with database.reading() as connection:
                version = _check_version(connection, path)
                if version < SCHEMA_VERSION:
                    if version:
                        logger.info("%s: upgrading from version %d to %d", path, version, SCHEMA_VERSION)
                        _claim(connection, path)
                    _upgrade(connection, version)
                _check_columns(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
        finally:
            lock.release()
            if 0 < version < SCHEMA_VERSION:
                database.close()  # closes the connection, which ends the claim
    except OSError as error:
        raise DatabaseUnusable(f"{path}: {error.strerror}") from error
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusable(f"{path}: {error}") from error
    except StoreUnavailable as error:
        raise DatabaseUnusable(f"{path}: {error.__cause__}") from error


def _claim(connection: sqlite3.Connection, path: Path) -> None:
    """Lock the file, so that only this connection can use it. The lock ends when the connection closes.

    Without the lock, another program could copy the file during the upgrade. Without the lock, a running server of
    an earlier version could write rows in the old format after the upgrade. The function changes the journal mode. This
    change is possible only if no other program is using the file.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise DatabaseUnusable(
            f"{path}: can't be upgraded while another program has it open, such as a server of an earlier version,"
            " Litestream or a SQLite shell. Stop that program first."
        ) from error


def _read_columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Return the names of the columns of each table."""
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"
    ):
        columns.setdefault(table, set()).add(column)
    return columns


@cache
def _read_schema_columns() -> dict[str, set[str]]:
    """Return the names of the columns of each table in schema.sql.

    A call takes about 3 ms. The cache exists for tests, because they prepare thousands of databases in one process.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(find_schema().read_text(encoding="utf-8"))
        return _read_columns(connection)


def _check_columns(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseUnusable if the columns of a table differ from schema.sql."""
    found = _read_columns(connection)
    for table, columns in _read_schema_columns().items():
        missing, unknown = columns - found.get(table, set()), found.get(table, set()) - columns
        if missing or unknown:
            faults = [
                f"{', '.join(sorted(names))} {what}"
                for names, what in ((missing, "missing"), (unknown, "unknown"))
                if names
            ]
            raise DatabaseUnusable(
                f"{path}: has version {SCHEMA_VERSION}, but other columns in the table {table}: {'; '.join(faults)}."
                " It was probably written by a development version of Phonify"
            )


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    steps = []
    if version == 0:
        connection.execute("PRAGMA journal_mode = WAL")
    else:
        steps = [
            (_STEPS / f"{step}.sql").read_text(encoding="utf-8") for step in range(version + 1, SCHEMA_VERSION + 1)
        ]
    steps += [
        find_schema().read_text(encoding="utf-8"),
        f"PRAGMA application_id = {APPLICATION_ID};",
        f"PRAGMA user_version = {SCHEMA_VERSION};",
    ]
    try:
        connection.executescript("\n".join(["BEGIN IMMEDIATE;", *steps, "COMMIT;"]))
    except sqlite3.DatabaseError:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check_place(database: Database) -> bool:
    """Return whether the file exists. Raises DatabaseUnusable if the file is missing and can't be created."""
    path = database.path
    if path.exists():
        return True
    try:
        _check_missing(path)
        path.parent.stat()  # raises FileNotFoundError if there is no such folder
        _check_folder(path)
    except OSError as error:
        raise DatabaseUnusable(f"{path}: {error.strerror}") from error
    return False


def _create_file(path: Path) -> None:
    _check_missing(path)
    # These checks have clearer error texts. SQLite uses the same text for a missing folder and a missing permission.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    _check_folder(path)


def _check_missing(path: Path) -> None:
    for beside in (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm")):
        if beside.exists() and not path.exists():
            raise FileNotFoundError(0, f"is missing, but {beside} exists: put the database back, or remove {beside}")


def _check_folder(path: Path) -> None:
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(0, "its folder is not writable")


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    # Count the tables before the id is read. Between the two statements, another process can create the tables and the
    # id. In this case, `tables` is 0, so this function raises no error.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise DatabaseUnusable(f"{path}: a SQLite file, but not a Phonify database")
    if version > SCHEMA_VERSION:
        raise DatabaseUnusable(
            f"{path}: written by a newer version of Phonify (the file has version {version};"
            f" this Phonify reads versions up to {SCHEMA_VERSION})"
        )
    return version
