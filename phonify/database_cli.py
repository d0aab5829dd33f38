"""The command line of the database file: create, back up, check, restore."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
from flask.cli import with_appcontext

from .config import read_settings
from .db import Database, DatabaseUnusable, check_backup
from .errors import StoreUnavailable
from .monitoring_store import find_faults, is_used
from .runtime import get_runtime
from .terminal import Command, Failed


@click.command("init-db", cls=Command)
@with_appcontext
def init_db() -> None:
    """Create the database, or bring it up to date."""
    # The app itself has done so on its way here.
    click.echo(f"{get_runtime().settings.database} is ready.")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@with_appcontext
def backup(file: Path) -> None:
    """Copy the database into FILE, which must not exist yet; servers may go on writing."""
    database = get_runtime().database
    try:
        _refuse_unused(database)
        database.backup(file)
    except FileExistsError as error:
        raise Failed(f"{file} exists already") from error
    except OSError as error:
        raise Failed(f"{file} can't be written: {error.strerror}") from error
    except (DatabaseUnusable, sqlite3.Error, StoreUnavailable) as error:
        raise Failed(f"{file} was not written: {error.__cause__ or error}") from error
    click.echo(f"Backup written to {file}.")


@click.command(cls=Command)
@with_appcontext
def check() -> None:
    """Check the whole database file; exit with status 1 where something is wrong with it."""
    database = get_runtime().database
    try:
        _refuse_unused(database)
        with database.reading() as connection:
            faults = list(find_faults(connection))
    except sqlite3.DatabaseError as error:
        faults = [str(error)]
    for fault in faults:
        click.echo(fault)
    if faults:
        raise Failed(f"{database.path} is damaged; a backup can be put in its place: python -m phonify restore FILE")
    click.echo(f"{database.path} is sound.")


def _refuse_unused(database: Database) -> None:
    """Raise Failed where the file has nothing in it: the command itself has made it, in the wrong place most likely."""
    with database.reading() as connection:
        if not is_used(connection):
            raise Failed(f"{database.path.absolute()} is empty: is it the right one? PHONIFY_DATABASE says which it is")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Put a copy of the backup FILE in the database's place; the former one is kept under another name.

    Servers and workers must not be running. Needs no database that can be used, so it is a command of `phonify`
    alone.
    """
    path = read_settings(os.environ).database
    fault = check_backup(file)
    if fault is not None:
        raise Failed(f"{file} can't be restored: {fault}")
    if _is_in_use(path):
        raise Failed(f"{path} is in use: stop all servers and workers first")
    incoming = path.with_name(f"{path.name}.restored-{os.getpid()}")
    try:
        os.close(os.open(incoming, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as source,
            closing(sqlite3.connect(incoming)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = WAL")
        former = _move_aside(path)
        incoming.rename(path)
    except (OSError, sqlite3.Error) as error:
        raise Failed(f"{path}: {error}") from error
    finally:
        incoming.unlink(missing_ok=True)
    click.echo(f"{path} is what {file} was.")
    if former is not None:
        click.echo(f"The former database is {former}.")


def _is_in_use(path: Path) -> bool:
    """Tell whether some process has the database open; of a file that can't be opened nobody can tell."""
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
    """Give the database and what lies beside it another name."""
    if not path.exists():
        return None
    former = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("-wal", "-shm", ""):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(former.with_name(former.name + suffix))
    return former
