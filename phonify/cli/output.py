"""Functions that all commands use. They define options, report errors, find accounts and print output."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from ..config import ConfigError
from ..domain import accounts
from ..errors import Fault, InvalidRequest, PhonifyError, StoreUnavailable
from ..logs import escape_controls
from ..services import Services
from ..sms.numbers import parse_msisdn, read_typed_number
from ..storage.records import Account

_T = TypeVar("_T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object in each line.")
_DONE = f"{__name__}.done"  # `note_done` stores its text in `Context.meta` under this key
account_option = click.option("--account", "account_name", default=accounts.DEFAULT_ACCOUNT, show_default=True)


def _read_msisdn(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return parse_msisdn(read_typed_number(value)).number
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a valid E.164 number: {error}") from error


msisdn_argument = click.argument("msisdn", callback=_read_msisdn)


class Failed(click.ClickException):
    """A failure of a command. The exit status is 1."""


def note_done(text: str) -> None:
    """Store a note about what the command has changed.

    Call this function before the command prints its result. If the result can't be printed, the error text ends with
    the note.
    """
    click.get_current_context().meta[_DONE] = text


@contextmanager
def _writing() -> Iterator[None]:
    """Raise `Failed` if the output can't be written.

    If two conditions are true, raise OSError instead: the output is a closed pipe, and `note_done` has stored no note.
    The library `click` handles this error and prints no text.
    """
    try:
        yield
    except OSError as error:
        context = click.get_current_context(silent=True)
        done = context.meta.get(_DONE) if context is not None else None
        if error.errno == errno.EPIPE and done is None:
            raise
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - at its end, Python would write the rest and fail again
        raise Failed("\n".join(filter(None, [f"the output can't be written: {error.strerror}", done]))) from error


class Command(click.Command):
    """A command that prints a short text if an error occurs.

    It handles errors from the database, errors of the class PhonifyError, and output that can't be printed.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments. The argument --help prints the help."""
        with _writing():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except StoreUnavailable as error:
            raise Failed(f"the database can't be used: {error.__cause__}") from error
        except PhonifyError as error:
            raise Failed("\n".join(fault.title for fault in error.faults)) from error


class Group(click.Group):
    """A group of commands. Each command is an object of the class `Command`.

    If the group's help can't be printed, the user sees a short error.
    """

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments. The argument --help prints the help."""
        with _writing():
            return super().parse_args(ctx, args)


def load_services() -> Services:
    """Return the services of the app, even if no database exists.

    If the app does not exist yet, Flask builds the app.
    """
    services: Services = click.get_current_context().obj.load_app().extensions["phonify"]
    return services


def get_services(*, may_create: bool = False, quiet: bool = False) -> Services:
    """Prepare the app's database, and return the app's services.

    Raises ConfigError if the database does not exist and `may_create` is False. If the function creates the database,
    it prints the path on standard error. The user can then notice a wrong path. With `quiet`, it prints nothing.
    """
    services = load_services()
    if not services.prepared.is_set():
        if not may_create:
            raise ConfigError(f"no database at {services.database.path}; is PHONIFY_DATABASE set?")
        services.prepare()
        if not quiet:
            click.echo(f"Made a new database at {services.database.path.absolute()}.", err=True)
    return services


def get_account(services: Services, name: str, *, hint: str = "--account") -> Account:
    """Return the account with the given name. Raises click.BadParameter with `hint` if no account has this name."""
    account = accounts.find_account(services.database, name)
    if account is None:
        raise click.BadParameter(
            f"unknown account {name!r}; to list the accounts, use `accounts list`", param_hint=hint
        )
    return account


@contextmanager
def usage_errors(names: Mapping[str, str]) -> Iterator[None]:
    """If the block raises InvalidRequest, raise click.UsageError instead. For `names`, see `describe_faults`."""
    try:
        yield
    except InvalidRequest as error:
        raise click.UsageError(describe_faults(error.faults, names)) from error


def describe_faults(faults: Sequence[Fault], names: Mapping[str, str]) -> str:
    """Return a text with one line for each error.

    `names` maps arguments to the names that the command shows. For example, it maps `body` to `TEXT`. An element of a
    list, such as `to[1]`, can have its own name.
    """
    lines = []
    for fault in faults:
        name = fault.param or ""
        shown = names.get(name) or names.get(name.partition("[")[0], name)
        lines.append(f"{shown}: {fault.title}" if shown else fault.title)
    return "\n".join(lines)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output. With `err`, use standard error. Raises Failed if the line can't be written."""
    with _writing():
        click.echo(text, err=err)


def report(text: str, shown: dict[str, Any] | None = None) -> None:
    """Print what the command has done.

    If `shown` is None, print `text`. Otherwise, print the object `shown` as JSON.

    If the output can't be written, raise Failed. This error contains `text`.
    """
    note_done(text)
    echo(text if shown is None else json.dumps(shown))


def print_json(shown: dict[str, Any]) -> None:
    """Print an object as one line of JSON."""
    echo(json.dumps(shown))


def print_list(
    found: Sequence[_T],
    dump: Callable[[_T], dict[str, Any]],
    heading: Sequence[str],
    write_row: Callable[[_T], Sequence[object]],
    *,
    as_json: bool,
) -> None:
    """Print a row of a table for each object. With `as_json`, print a line of JSON for each object.

    `write_row` makes the row, and `dump` makes the JSON.
    """
    if as_json:
        for one in found:
            print_json(dump(one))
    else:
        print_table(heading, [write_row(one) for one in found])


def escape_body(body: str) -> str:
    """Return a text on one line, without control characters."""
    return body if body.isprintable() else body.encode("unicode_escape").decode()


def print_table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns, without control characters. The last column gets no extra spaces."""
    table = [[escape_controls(str(cell)) for cell in row] for row in [*([heading] if heading else []), *rows]]
    if not table:
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    for row in table:
        echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]))
