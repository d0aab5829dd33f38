"""The commands for accounts: `flask --app app accounts COMMAND`."""

import shlex
from typing import Any

import click

from ..domain import accounts
from ..sms.numbers import parse_originator, read_typed_number
from ..storage.records import Account
from .output import (
    Failed,
    Group,
    get_account,
    get_services,
    json_option,
    note_done,
    print_json,
    print_list,
    print_table,
    report,
)

accounts_cli = Group("accounts", help="Manage the accounts of this server.")


@accounts_cli.command("create")
@click.argument("name")
@click.option(
    "--origin", help="The account's default sender. Without this option, the sender is the value of PHONIFY_ORIGIN."
)
@json_option
def create_account(name: str, origin: str | None, as_json: bool) -> None:
    """Create the account NAME."""
    services = get_services(may_create=True)
    if not name.strip() or not name.isprintable():
        raise click.BadParameter("must be printable and not empty", param_hint="NAME")
    if origin is not None:
        try:
            origin = parse_originator(read_typed_number(origin)).number
        except ValueError as error:
            raise click.BadParameter(f"{origin!r} is not a valid sender: {error}", param_hint="--origin") from error
    try:
        account = accounts.create_account(services.database, services.clock, name=name, origin=origin)
    except accounts.NameTaken as error:
        raise Failed(f"an account {name!r} exists already") from error
    done = f"Account {name!r} created. Make a key for it with: keys create --account {shlex.quote(name)}"
    report(done, _show(account) if as_json else None)


@accounts_cli.command("list")
@json_option
def list_accounts(as_json: bool) -> None:
    """List the accounts, but not the accounts of test runs."""
    print_list(
        accounts.list_accounts(get_services().database),
        _show,
        ("ID", "NAME", "ORIGIN", "QUOTA", "RATE", "CREATED"),
        lambda one: (
            one.id,
            one.name,
            one.origin or "-",
            _show_limit(one.quota),
            _show_limit(one.rate_limit),
            one.created_at,
        ),
        as_json=as_json,
    )


def _show(account: Account) -> dict[str, Any]:
    """Return all values of an account, except `creator_id`. Only test runs have a creator."""
    return {name: value for name, value in account._asdict().items() if name != "creator_id"}


def _show_limit(limit: int | None) -> object:
    return "-" if limit is None else limit


_NO_LIMIT = -1  # the user typed `none`. If the option is missing, the value is None


class _LimitType(click.IntRange):
    """The type of a limit: a whole number, or `none`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or _NO_LIMIT for `none`."""
        return _NO_LIMIT if value == "none" else super().convert(value, param, ctx)


@accounts_cli.command("limit")
@click.argument("name")
@click.option(
    "--quota", type=_LimitType(0, 2**31 - 1), metavar="N|none", help="The maximum number of messages in a day (UTC)."
)
@click.option(
    "--rate", type=_LimitType(1, 2**31 - 1), metavar="N|none", help="The maximum number of requests in a minute."
)
@json_option
def limit_account(name: str, quota: int | None, rate: int | None, as_json: bool) -> None:
    """Show the limits of the account NAME. The options set new limits, which apply immediately."""
    services = get_services()
    account = get_account(services, name, hint="NAME")
    if account.creator_id is not None:
        raise Failed("a test run has the limits of its creator")
    given = {"quota": quota, "rate_limit": rate}
    changed: dict[str, Any] = {
        key: None if limit == _NO_LIMIT else limit for key, limit in given.items() if limit is not None
    }
    if changed:
        account = account._replace(**changed)
        accounts.set_limits(services.database, account, quota=account.quota, rate_limit=account.rate_limit)
        note_done(
            f"The limits of the account {name!r} were set. To see the limits: `accounts limit {shlex.quote(name)}`"
        )
    used = accounts.count_quota_used(services.database, services.clock, account)
    if as_json:
        print_json({**_show(account), "quota_used": used})
    else:
        print_table(
            ("NAME", "QUOTA", "USED TODAY", "RATE"),
            [(account.name, _show_limit(account.quota), used, _show_limit(account.rate_limit))],
        )
