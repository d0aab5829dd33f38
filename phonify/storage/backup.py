"""Makes, checks and restores backups of the database. Servers can write to the database during a backup."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from .database import Database
from .upgrades import APPLICATION_ID, SCHEMA_VERSION, DatabaseUnusable


class DatabaseInUse(Exception):
    """A server or a command is using the database."""


def backup(database: Database, target: Path) -> None:
    """Copy the database into a new file. Other processes can continue to write.

    Raises FileExistsError if the file already exists. Raises OSError or sqlite3.Error if the file can't be written.
    Raises DatabaseUnusable if the copy is damaged. After an error, the function removes its incomplete file.
    """
    if target.exists():
        raise FileExistsError(0, "exists already", str(target))
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    try:
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(partial)) as copy:
            with database.reading() as connection:
                connection.backup(copy)
            # Without WAL, the copy is one file and can be read from a read-only disk.
            copy.execute("PRAGMA journal_mode = DELETE")
        fault = check_backup(partial)
        if fault is not None:
            raise DatabaseUnusable(f"the database is damaged, so no backup was made: {fault}")
        _name_new(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def check_backup(path: Path) -> str | None:
    """Check a backup. Returns None if the file can be used.

    Otherwise, returns a reason that people can read.
    """
    try:
        with closing(_open_copy(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (soundness,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    if application != APPLICATION_ID:
        return "it is not a Phonify database"
    if version > SCHEMA_VERSION:
        return (
            f"it was written by a newer version of Phonify (the file has version {version};"
            f" this Phonify reads versions up to {SCHEMA_VERSION})"
        )
    return None if soundness == "ok" else str(soundness)


def restore(path: Path, source: Path) -> Path | None:
    """Replace the database with a copy of a backup.

    Returns the new name of the old database, or None if there was no old database. Raises DatabaseInUse if any process
    uses the database. Raises OSError or sqlite3.Error if the copy can't be written.
    """
    if _is_in_use(path):
        raise DatabaseInUse
    incoming = path.with_name(f"{path.name}.restored-{os.getpid()}")
    try:
        os.close(os.open(incoming, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(_open_copy(source)) as backup, closing(sqlite3.connect(incoming)) as copy:
            backup.backup(copy)
            copy.execute("PRAGMA journal_mode = WAL")
        former = _move_aside(path)
        incoming.rename(path)
    finally:
        incoming.unlink(missing_ok=True)
    return former


def _open_copy(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _name_new(file: Path, name: Path) -> None:
    """Give a file a new name. Raises FileExistsError if a file with this name exists."""
    try:
        os.link(file, name)
    except FileExistsError:
        raise
    except OSError:  # this file system has no hard links
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        file.rename(name)


def _is_in_use(path: Path) -> bool:
    """Return whether any process uses the database. Returns False if the file is not a database."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return False


def _move_aside(path: Path) -> Path | None:
    """Rename the database, its -wal file and its -shm file. Returns the new path of the database."""
    if not path.exists():
        return None
    former = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("-wal", "-shm", ""):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(former.with_name(former.name + suffix))
    return former
