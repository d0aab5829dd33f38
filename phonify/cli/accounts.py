"""The command line: `flask --app app COMMAND`, and `phonify COMMAND` where it is installed."""

import signal
from collections.abc import Sequence
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from ..domain import accounts
from ..errors import InvalidRequest
from ..json_log import configure_logs
from ..schemas.objects import dump_message
from ..schemas.requests import SendSchema, load
from ..services import Runtime, get_runtime
from ..sms.numbers import parse_originator
from ..storage.records import Account, Criteria, Message
from .database import backup, check, init_db
from .output import Command, Failed, account_option, get_account, json_option, print_json, print_table
from .subscriptions import keywords_cli, subscriptions_cli
from .text import check_text_command
from .webhooks import webhooks_cli

accounts_cli = AppGroup("accounts", help="Accounts that share this server.")
keys_cli = AppGroup("keys", help="API keys.")


def register_commands(group: click.Group) -> None:
    """Add the commands to those of an app, or to a command of one's own."""
    groups = (accounts_cli, keys_cli, webhooks_cli, subscriptions_cli, keywords_cli)
    for command in (*groups, send, messages, worker, init_db, backup, check, check_text_command):
        group.add_command(command)


@accounts_cli.command("create", cls=Command)
@click.argument("name")
@click.option("--origin", help="The account's default sender; without it, PHONIFY_ORIGIN.")
@json_option
def create_account(name: str, origin: str | None, as_json: bool) -> None:
    """Create an account called NAME."""
    runtime = get_runtime()
    if not name.strip() or not name.isprintable():
        raise click.BadParameter("must be printable and not empty", param_hint="NAME")
    if origin is not None:
        try:
            origin = parse_originator(origin).number
        except ValueError as error:
            raise click.BadParameter(f"{origin!r} is no sender: {error}", param_hint="--origin") from error
    try:
        account = accounts.create_account(runtime.database, runtime.clock, name=name, origin=origin)
    except accounts.NameTaken as error:
        raise Failed(f"there is an account {name!r} already") from error
    if as_json:
        print_json(account._asdict())
    else:
        click.echo(f"Account {name!r} created. Make a key for it with: keys create --account {name}")


@accounts_cli.command("list", cls=Command)
@json_option
def list_accounts(as_json: bool) -> None:
    """List all accounts."""
    found = accounts.list_accounts(get_runtime().database)
    if as_json:
        for account in found:
            print_json(account._asdict())
    else:
        print_table(
            ("ID", "NAME", "ORIGIN", "QUOTA", "RATE", "CREATED"),
            [
                (
                    account.id,
                    account.name,
                    account.origin or "-",
                    _show_limit(account.quota),
                    _show_limit(account.rate_limit),
                    account.created_at,
                )
                for account in found
            ],
        )


def _show_limit(limit: int | None) -> object:
    return "-" if limit is None else limit


_NO_LIMIT = -1  # None is what was not given


class _LimitType(click.IntRange):
    """A whole number, or `none`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        return _NO_LIMIT if value == "none" else super().convert(value, param, ctx)


@accounts_cli.command("limit", cls=Command)
@click.argument("name")
@click.option("--quota", type=_LimitType(0, 2**31 - 1), metavar="N|none", help="Messages a day (UTC).")
@click.option("--rate", type=_LimitType(1, 2**31 - 1), metavar="N|none", help="Requests a minute.")
@json_option
def limit_account(name: str, quota: int | None, rate: int | None, as_json: bool) -> None:
    """Set the limits of the account NAME, at once in every process, or show them; what is not given stays."""
    runtime = get_runtime()
    account = accounts.find_account(runtime.database, name)
    if account is None:
        raise click.BadParameter(f"there is no account {name!r}; see: accounts list", param_hint="NAME")
    if quota is not None or rate is not None:
        if quota is not None:
            account = account._replace(quota=None if quota == _NO_LIMIT else quota)
        if rate is not None:
            account = account._replace(rate_limit=None if rate == _NO_LIMIT else rate)
        accounts.set_limits(runtime.database, account, quota=account.quota, rate_limit=account.rate_limit)
    used = accounts.count_quota_used(runtime.database, runtime.clock, account)
    if as_json:
        print_json({**account._asdict(), "quota_used": used})
    else:
        print_table(
            ("NAME", "QUOTA", "USED TODAY", "RATE"),
            [(account.name, _show_limit(account.quota), used, _show_limit(account.rate_limit))],
        )


@keys_cli.command("create", cls=Command)
@account_option
@click.option("--name", default="", help="What the key is for.")
@json_option
def create_key(account_name: str, name: str, as_json: bool) -> None:
    """Create a key and print it: it is shown only this once."""
    runtime = get_runtime()
    if name and not name.isprintable():
        raise click.BadParameter("must be printable", param_hint="--name")
    account = get_account(runtime, account_name)
    key_id, key = accounts.create_key(runtime.database, runtime.clock, account, name=name)
    if as_json:
        print_json({"id": key_id, "account": account.name, "name": name, "key": key})
    else:
        click.echo(key)
        click.echo(f"Key {key_id} of the account {account.name!r}; it is shown only this once.", err=True)


@keys_cli.command("list", cls=Command)
@click.option("--account", "account_name", help="Only the keys of this account.")
@json_option
def list_keys(account_name: str | None, as_json: bool) -> None:
    """List keys, without the keys themselves: only their hashes are kept."""
    runtime = get_runtime()
    if account_name is not None:
        get_account(runtime, account_name)
    found = accounts.list_keys(runtime.database, account=account_name)
    if as_json:
        for key in found:
            print_json(key._asdict())
    else:
        print_table(
            ("ID", "ACCOUNT", "NAME", "CREATED", "LAST USED", "REVOKED"),
            [
                (key.id, key.account, key.name or "-", key.created_at, key.used_at or "-", key.revoked_at or "-")
                for key in found
            ],
        )


@keys_cli.command("revoke", cls=Command)
@click.argument("key_id", type=click.IntRange(1, 2**63 - 1))
def revoke_key(key_id: int) -> None:
    """Make the key with number KEY_ID invalid, at once."""
    runtime = get_runtime()
    if not accounts.revoke_key(runtime.database, runtime.clock, key_id):
        raise Failed(f"there is no valid key {key_id}; see: keys list")
    click.echo(f"Key {key_id} is no longer valid.")


@click.command(cls=Command)
@click.argument("to", nargs=-1, required=True)
@click.argument("body")
@click.option("--origin", help="The sender; without it, the account's.")
@click.option("--send-at", help="When to send, such as 2026-01-31T09:30:00Z; without it, now.")
@account_option
@json_option
@with_appcontext
def send(
    to: Sequence[str], body: str, origin: str | None, send_at: str | None, account_name: str, as_json: bool
) -> None:
    """Send BODY to each number TO.

    A running server or worker delivers it. Exit status 1 where the gateway refused a recipient, 2
    where an argument is wrong and nothing was stored.
    """
    runtime = get_runtime()
    account = get_account(runtime, account_name)
    given = {"to": list(to), "body": body, "origin": origin, "send_at": send_at}
    try:
        arguments = load(SendSchema(), {name: value for name, value in given.items() if value is not None})
    except InvalidRequest as error:
        lines = [f"{fault.param}: {fault.title}" if fault.param else fault.title for fault in error.faults]
        raise click.UsageError("\n".join(lines)) from error
    accepted = runtime.messaging.accept(account, **arguments)
    _print_messages(accepted.messages, as_json=as_json)
    if accepted.faults:
        raise Failed("\n".join(f"{fault.param}: {fault.title}" for fault in accepted.faults))


@click.command(cls=Command)
@click.option("--follow", "-f", is_flag=True, help="Go on printing messages as they are stored.")
@click.option("--limit", "-n", type=click.IntRange(0, 1_000), default=10, show_default=True)
@click.option("--state", type=click.Choice(("unconfirmed", "sent", "error")))
@click.option("--direction", type=click.Choice(("outbound", "inbound")))
@account_option
@json_option
@with_appcontext
def messages(
    follow: bool, limit: int, state: str | None, direction: str | None, account_name: str, as_json: bool
) -> None:
    """List the latest messages, the newest last."""
    if follow and state is not None:
        raise click.UsageError("--follow shows messages as they are stored, before their state is final: no --state")
    runtime = get_runtime()
    account = get_account(runtime, account_name)
    criteria = Criteria(state=state, direction=direction)  # type: ignore[arg-type]
    watcher = runtime.database.watch()
    found = runtime.messaging.find_all(account, criteria, limit=max(limit, 1))
    _print_messages(found[:limit][::-1], as_json=as_json)
    last = found[0].id if found else None
    while follow:
        watcher.wait(1.0)
        found = _find_since(runtime, account, criteria, last)
        _print_messages(found, as_json=as_json, heading=False)
        last = found[-1].id if found else last


def _find_since(runtime: Runtime, account: Account, criteria: Criteria, after: str | None) -> list[Message]:
    """Return all messages after one, oldest first."""
    found: list[Message] = []
    while True:
        before = found[-1].id if found else None
        page = runtime.messaging.find_all(account, criteria._replace(after=after, before=before), limit=1_000)
        if not page:
            return found[::-1]
        found += page


@click.command(cls=Command)
@with_appcontext
def worker() -> None:
    """Deliver messages until SIGTERM or Ctrl-C; the message in hand is finished."""
    runtime = get_runtime()
    configure_logs(runtime.settings.log_format)

    def stop(*_: object) -> None:
        runtime.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    click.echo(f"Delivering messages of {runtime.settings.database} (gateway: {runtime.settings.gateway})", err=True)
    # Those who store messages are other processes: nobody rings.
    for loop in runtime.start_delivery(longest_nap=0.02):
        loop.join()
    runtime.close()


def _print_messages(found: Sequence[Message], *, as_json: bool, heading: bool = True) -> None:
    if as_json:
        for message in found:
            print_json(dump_message(message))
        return
    rows = [
        (
            message.created_at,
            message.id,
            message.state,
            f"{message.origin_number} > {message.to_number}",
            message.body.encode("unicode_escape").decode() if not message.body.isprintable() else message.body,
        )
        for message in found
    ]
    if heading or rows:
        print_table(("CREATED", "ID", "STATE", "FROM > TO", "BODY") if heading else (), rows)
