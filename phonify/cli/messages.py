"""The commands `send` and `messages`."""

from collections.abc import Sequence

import click

from ..schemas.objects import dump_message
from ..schemas.requests import SendSchema, load
from ..services import Services
from ..sms.numbers import read_typed_number
from ..storage.records import Account, Criteria, Message
from .gateway import warn_of_other_gateway
from .output import (
    Command,
    Failed,
    account_option,
    describe_faults,
    echo,
    escape_body,
    get_account,
    get_services,
    json_option,
    note_done,
    print_list,
    usage_errors,
)


@click.command(cls=Command)
@click.argument("to", nargs=-1, required=True)
@click.argument("body")
@click.option("--origin", help="The sender. Default: the default sender of the account.")
@click.option("--send-at", help="The time of sending, for example 2026-01-31T09:30:00Z. Default: now.")
@account_option
@json_option
def send(
    to: Sequence[str], body: str, origin: str | None, send_at: str | None, account_name: str, as_json: bool
) -> None:
    """Send BODY to each number TO.

    A running server or worker delivers the messages. If a recipient is refused, the exit status is 1. If an argument is
    not valid, nothing is stored and the exit status is 2.
    """
    services = get_services()
    warn_of_other_gateway(services)
    account = get_account(services, account_name)
    numbers = [read_typed_number(number) for number in to]
    sender = read_typed_number(origin) if origin is not None else None
    given = {"to": numbers, "body": body, "origin": sender, "send_at": send_at}
    schema = SendSchema(max_body=services.settings.max_body)
    names = {"to": "TO", "body": "BODY", "origin": "--origin", "send_at": "--send-at"}
    if len(to) > 1:
        names.update((f"to[{index}]", f"TO {number!r}") for index, number in enumerate(to))
    with usage_errors(names):
        draft = load(schema, {name: value for name, value in given.items() if value is not None})
    sent = services.sending.send(account, draft)
    note_done(f"Messages stored: {' '.join(message.id for message in sent.messages)}")
    _print_messages(services, sent.messages, as_json=as_json)
    if not services.is_delivering() and len(sent.faults) < len(sent.messages):
        echo("Nothing is delivered yet, because no server or worker is running on this database.", err=True)
    if sent.faults:
        raise Failed(describe_faults(sent.faults, names))


@click.command(cls=Command)
@click.option("--follow", "-f", is_flag=True, help="Keep printing new messages.")
@click.option("--limit", "-n", type=click.IntRange(0, 1_000), default=10, show_default=True)
@click.option("--state", type=click.Choice(("unconfirmed", "sent", "error")))
@click.option("--direction", type=click.Choice(("outbound", "inbound")))
@account_option
@json_option
def messages(
    follow: bool, limit: int, state: str | None, direction: str | None, account_name: str, as_json: bool
) -> None:
    """List the latest messages. The newest message is at the end."""
    if follow and state is not None:
        raise click.UsageError(
            "Give --follow or --state, but not both. --follow shows each new message immediately. The state of the"
            " message can still change."
        )
    services = get_services()
    warn_of_other_gateway(services)
    account = get_account(services, account_name)
    criteria = Criteria(state=state, direction=direction)  # type: ignore[arg-type]
    watcher = services.database.watch()
    found = services.sending.find_all(account, criteria, limit=max(limit, 1))
    _print_messages(services, found[:limit][::-1], as_json=as_json)
    last = found[0].id if found else None
    while follow:
        watcher.wait(1.0)
        found = _find_since(services, account, criteria, last)
        _print_messages(services, found, as_json=as_json, heading=False)
        last = found[-1].id if found else last


def _find_since(services: Services, account: Account, criteria: Criteria, after: str | None) -> list[Message]:
    """Return all messages that are newer than a given message, oldest first. `after` is the id of this message."""
    found: list[Message] = []
    while True:
        before = found[-1].id if found else None
        page = services.sending.find_all(account, criteria._replace(after=after, before=before), limit=1_000)
        if not page:
            return found[::-1]
        found += page


def _describe_state(services: Services, message: Message) -> str:
    """Return the text for the column DETAIL of a message.

    The function looks for four values in this order: the error type, the receipt's status, the scheduled time, and the
    reason why the message waits. The result describes the first value that exists. If no value exists, the result is
    `-`.
    """
    if message.error_type is not None:
        return message.error_type
    if message.receipt_status is not None:
        return message.receipt_status
    if message.is_scheduled:
        return f"scheduled for {message.send_at}"
    return _describe_wait(services, message) or "-"


def _describe_wait(services: Services, message: Message) -> str | None:
    """Describe why a message waits for its gateway.

    Returns None in two cases: the message does not wait for a gateway, or the gateway works normally.
    """
    if message.state != "unconfirmed" or message.gateway is None or message.in_doubt:
        return None
    running = services.gateways.get(message.gateway)
    if running is None:
        return f"waits for the gateway {message.gateway}, which this server does not have"
    trouble = running.find_trouble()
    if trouble is None:
        return None
    return (
        f"waits for the gateway {trouble.name}, which {'has failed' if trouble.condition == 'failing' else 'is paused'}"
    )


def _print_messages(services: Services, found: Sequence[Message], *, as_json: bool, heading: bool = True) -> None:
    print_list(
        found,
        dump_message,
        ("CREATED", "ID", "STATE", "DETAIL", "FROM > TO", "BODY") if heading else (),
        lambda message: (
            message.created_at,
            message.id,
            message.state,
            _describe_state(services, message),
            f"{message.origin_number} > {message.to_number}",
            escape_body(message.body),
        ),
        as_json=as_json,
    )
