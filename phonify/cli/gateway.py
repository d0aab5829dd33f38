"""The commands for the gateway: `flask --app app gateway COMMAND`."""

import click

from ..clock import monotonic
from ..domain.accounts import DEFAULT_ACCOUNT
from ..domain.gateway_health import GatewayStatus
from ..errors import InvalidRequest, Refused
from ..gateways.base import GatewayFault
from ..logs import escape_controls
from ..schemas.objects import dump_message
from ..schemas.requests import Draft, SendSchema, limit_body, load
from ..services import Services
from ..sms.segments import count_segments
from ..storage.gateway_records import TextRow
from ..storage.records import Account, Message
from .output import (
    Command,
    Failed,
    Group,
    echo,
    escape_body,
    get_account,
    get_services,
    json_option,
    load_services,
    print_json,
    print_table,
)

PERIODS = {1: "a second", 60: "a minute", 3_600: "an hour"}

gateway_cli = Group("gateway", help="Watch, try and pause the gateway that sends to phones.")

gateway_option = click.option("--gateway", "name", help="The gateway. Default: the one that sends to phones.")


def _choose_gateway(services: Services, name: str | None) -> str:
    """Return the name of a gateway of this server. Without a name, it is the one that sends to phones."""
    if name is None:
        sending = [name for name, running in services.gateways.items() if not running.gateway.sandbox]
        return sending[0] if sending else services.gateway.name
    if name not in services.gateways:
        known = ", ".join(services.gateways)
        raise click.BadParameter(f"this server has no gateway {name!r}, only: {known}", param_hint="--gateway")
    return name


# Watching


@gateway_cli.command("status", cls=Command)
@json_option
def show_status(as_json: bool) -> None:
    """Show whether the gateway works, and what waits for it."""
    services = get_services()
    open_texts = services.inbound.count_open()
    for running in services.gateways.values():
        _print_status(running.get_status(), open_texts, as_json=as_json)
    for left in services.moving.list_left():
        if as_json:
            print_json(
                {"gateway": left.gateway, "condition": "missing", "summary": left.summary, "messages": left.messages}
            )
        else:
            echo(f"{left.summary}. See: gateway move-messages")


def _print_status(status: GatewayStatus, open_texts: int, *, as_json: bool) -> None:
    state = status.state
    if as_json:
        print_json(
            {
                "gateway": status.name,
                "condition": status.condition,
                "summary": status.full_summary,
                "paused_until": state.paused_until,
                "last_success_at": state.taken_at,
                "last_fault_at": state.fault_at,
                "last_fault": state.fault,
                **status.queue._asdict(),
                "texts_without_account": open_texts,
                "limits": [limit._asdict() for limit in status.limits],
            }
        )
        return
    rows = [
        ("Gateway", status.name),
        ("State", status.full_summary),
        ("Last success", state.taken_at or "-"),
        ("Last fault", f"{state.fault_at}: {state.fault}" if state.fault is not None else "-"),
        ("Messages due", status.queue.due),
        ("Messages in doubt", status.queue.in_doubt),
        ("Look-ups due", status.queue.look_ups),
        ("Texts without account", open_texts),
    ]
    rows += [(f"SMS in {PERIODS[limit.seconds]}", f"{limit.used} of {limit.most}") for limit in status.limits]
    print_table((), rows)


@gateway_cli.command("check", cls=Command)
@gateway_option
def check_gateway(name: str | None) -> None:
    """Ask the provider whether it would take messages. Nothing is sent. No database is needed."""
    services = load_services()
    name = _choose_gateway(services, name)
    try:
        answer = services.gateways[name].gateway.probe()
    except GatewayFault as fault:
        raise Failed(f"the gateway {name} can't send: {escape_controls(str(fault))}") from fault
    echo(f"The gateway {name}: {escape_controls(answer)}")


@gateway_cli.command("texts", cls=Command)
@click.option("--limit", "-n", type=click.IntRange(1, 1_000), default=50, show_default=True)
@json_option
def list_texts(limit: int, as_json: bool) -> None:
    """List received texts that belong to no account, oldest first.

    The command `numbers add` gives a number to an account. The account then gets the texts to this number.
    """
    texts = get_services().inbound.list_open(limit=limit)
    if as_json:
        for text in texts:
            shown = text._asdict()
            print_json({name: shown[name] for name in shown if name not in ("event_id", "message_id", "due_at")})
        return
    rows = [(text.received_at, f"{text.sender} > {text.to_number or 'unknown'}", _write_text(text)) for text in texts]
    print_table(("RECEIVED", "FROM > TO", "TEXT"), rows)


def _write_text(text: TextRow) -> str:
    part = f"(part {text.part_number} of {text.part_total}) " if text.part_total is not None else ""
    return part + escape_body(text.body)


# Changing


@gateway_cli.command("pause", cls=Command)
@gateway_option
def pause(name: str | None) -> None:
    """Give the gateway no messages until `gateway resume`. Messages are still accepted, and they wait."""
    services = get_services()
    name = _choose_gateway(services, name)
    services.gateways[name].pacing.hold(held=True)
    echo(f"The gateway {name} gets no messages until: gateway resume")


@gateway_cli.command("resume", cls=Command)
@gateway_option
def resume(name: str | None) -> None:
    """Give the gateway messages again. This also ends a pause after a fault."""
    services = get_services()
    name = _choose_gateway(services, name)
    services.gateways[name].pacing.hold(held=False)
    due = services.gateways[name].get_status().queue.due
    echo(f"The gateway {name} gets messages again. Messages due: {due}.")


@gateway_cli.command("move-messages", cls=Command)
@click.argument("former", metavar="NAME")
@gateway_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def move_messages(former: str, name: str | None, yes: bool) -> None:
    """Move the messages that wait for the gateway NAME, which this server does not have.

    The other gateway checks them first, and those that it refuses fail. Messages that NAME may have got are not moved.
    """
    services = get_services()
    name = _choose_gateway(services, name)
    if former in services.gateways:
        raise click.BadParameter(f"this server has the gateway {former!r}, which gets its messages", param_hint="NAME")
    left = next((left for left in services.moving.list_left() if left.gateway == former), None)
    if left is None:
        echo(f"No messages wait for the gateway {escape_controls(former)}.")
        return
    if not yes:
        where = "sends nothing to phones" if services.gateways[name].gateway.sandbox else "sends to phones"
        click.confirm(f"{left.summary}. Move them to the gateway {name}, which {where}?", abort=True, err=True)
    moved = services.moving.move(former, name)
    echo(f"Moved to the gateway {name}: {moved.moved}. Refused by it: {moved.refused}. Left: {moved.left}.")
    if moved.left:
        echo(f"The gateway {former} may have got the messages that are left. They wait for the end of their validity.")


@gateway_cli.command("callbacks", cls=Command)
@gateway_option
def register_callbacks(name: str | None) -> None:
    """Tell the provider the address of Phonify, if it needs that. May be repeated. No database is needed."""
    services = load_services()
    name = _choose_gateway(services, name)
    try:
        lines = services.gateways[name].gateway.register()
    except GatewayFault as fault:
        raise Failed(f"the gateway {name}: {escape_controls(str(fault))}") from fault
    for line in lines:
        echo(escape_controls(line))


# Sending


@gateway_cli.command("send", cls=Command)
@click.argument("to")
@click.argument("text")
@click.option("--from", "origin", help="The sender. Default: the default sender of the account default.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait", type=click.FloatRange(0, 600), default=20, show_default=True, help="Seconds to wait for the outcome."
)
@json_option
def send_one(to: str, text: str, origin: str | None, yes: bool, wait: float, as_json: bool) -> None:
    """Send TEXT to the number TO, as a message of the account default, and show what became of it.

    A running server or worker must deliver it. The exit status is 0 only if the gateway has taken the message.
    """
    services = get_services()
    account = get_account(services, DEFAULT_ACCOUNT)
    draft = _read_draft(services, to, text, origin)
    if not services.is_delivering():
        raise Failed("nothing was sent, because no server or worker is running on this database")
    if not yes:
        name, number = services.gateway.name, draft.to[0].number.number
        click.confirm(
            f"Send {count_segments(text)[0]} SMS to {number} through the gateway {name}?", abort=True, err=True
        )
    try:
        (message,) = services.sending.send(account, draft, keep_refused=False).messages
    except Refused as refusal:
        raise Failed(f"nothing was sent: {refusal.faults[0].title}") from refusal
    message = _wait_for_outcome(services, account, message, wait)
    if as_json:
        print_json(dump_message(message))
    outcome = _describe_outcome(services, message)
    if message.state != "sent":
        raise Failed(outcome)
    if not as_json:
        echo(outcome)


def _read_draft(services: Services, to: str, text: str, origin: str | None) -> Draft:
    given = {"to": to, "body": text} if origin is None else {"to": to, "body": text, "origin": origin}
    try:
        draft: Draft = load(limit_body(SendSchema, services.settings.max_body), given)
    except InvalidRequest as error:
        names = {"to": "TO", "body": "TEXT", "origin": "--from"}
        lines = [f"{names[(fault.param or 'to').partition('[')[0]]}: {fault.title}" for fault in error.faults]
        raise click.UsageError("\n".join(lines)) from error
    return draft


def _wait_for_outcome(services: Services, account: Account, message: Message, seconds: float) -> Message:
    """Return the message when its outcome is known or in doubt, or after the given time."""
    watcher, end = services.database.watch(), monotonic() + seconds
    while message.state == "unconfirmed" and not message.in_doubt and (left := end - monotonic()) > 0:
        watcher.wait(min(left, 1.0))
        message = services.sending.find(account, message.id)
    return message


def _describe_outcome(services: Services, message: Message) -> str:
    begin = f"Message {message.id}: "
    if message.state == "sent":
        simulated = " The gateway sends nothing to phones." if services.gateway.sandbox else ""
        return f"{begin}sent.{simulated} What happens next: explain {message.id}"
    if message.state == "error":
        return f"{begin}failed, {message.error_type}"
    if message.in_doubt:
        return f"{begin}in doubt. Nobody knows whether the gateway has taken it, and it is not sent again."
    status = services.gateways[services.gateway.name].get_status()
    return f"{begin}not sent yet. The gateway {status.name}: {status.full_summary}"
