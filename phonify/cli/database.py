"""The commands for the database file: create, back up, check, restore."""

import os
from pathlib import Path

import click

from ..config import read_settings
from ..errors import StoreUnavailable
from ..storage.backup import DatabaseInUse, check_backup
from ..storage.backup import backup as make_backup
from ..storage.backup import restore as restore_backup
from ..storage.database import Database, SqliteError
from ..storage.monitoring import find_faults, is_used
from ..storage.upgrades import DatabaseUnusable
from .output import Command, Failed, echo, get_services, report


@click.command("init-db", cls=Command)
def init_db() -> None:
    """Create the database, or upgrade it to the current version."""
    report(f"{get_services(may_create=True).settings.database} is ready.")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the database into the new file FILE. Servers can continue to write during the copy."""
    database = get_services().database
    try:
        _refuse_unused(database)
        make_backup(database, file)
    except FileExistsError as error:
        raise Failed(f"{file} exists already") from error
    except OSError as error:
        raise Failed(f"{file} can't be written: {error.strerror}") from error
    except (DatabaseUnusable, SqliteError, StoreUnavailable) as error:
        raise Failed(f"{file} was not written: {error.__cause__ or error}") from error
    report(f"Backup written to {file}.")


@click.command(cls=Command)
def check() -> None:
    """Check the whole database file. If the file is damaged, the exit status is 1."""
    database = get_services().database
    try:
        _refuse_unused(database)
        with database.reading() as connection:
            faults = list(find_faults(connection))
    except SqliteError as error:
        faults = [str(error)]
    for fault in faults:
        echo(fault)
    if faults:
        raise Failed(f"{database.path} is damaged. Restore a backup with: python -m phonify restore FILE")
    echo(f"{database.path} is not damaged.")


def _refuse_unused(database: Database) -> None:
    """Raise Failed if the database is empty. Then PHONIFY_DATABASE probably names the wrong file."""
    with database.reading() as connection:
        if not is_used(connection):
            raise Failed(f"{database.path.absolute()} is empty. Is PHONIFY_DATABASE set to the right file?")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Replace the database with a copy of the backup FILE. The old database is kept under another name.

    Stop all servers and workers first. This command also works if the database is damaged. `flask --app app` opens the
    database before each command. Therefore, this command exists only under `phonify`.
    """
    path = read_settings(os.environ).database
    fault = check_backup(file)
    if fault is not None:
        raise Failed(f"{file} can't be restored: {fault}")
    try:
        former = restore_backup(path, file)
    except DatabaseInUse as error:
        raise Failed(f"{path} is in use. Stop all servers and workers first.") from error
    except (OSError, SqliteError) as error:
        raise Failed(f"{path}: {error}") from error
    lines = [f"{path} is now a copy of {file}."]
    if former is not None:
        lines.append(f"The former database is {former}.")
    report("\n".join(lines))
