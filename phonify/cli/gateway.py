"""The commands for the gateway: `flask --app app gateway COMMAND`."""

from typing import Any

import click

from ..domain.gateway_health import GatewayStatus, find_other_start
from ..gateways.base import GatewayFault
from ..logs import escape_controls
from ..services import Services
from ..storage.gateway_records import TextRow
from .output import (
    Failed,
    Group,
    echo,
    escape_body,
    get_services,
    json_option,
    load_services,
    note_done,
    print_json,
    print_list,
    print_table,
    report,
)

PERIODS = {1: "a second", 60: "a minute", 3_600: "an hour"}

gateway_cli = Group("gateway", help="Show, check and pause the gateway that sends to phones.")

gateway_option = click.option(
    "--gateway", "gateway_name", help="The gateway. Default: the gateway that sends to phones."
)


def choose_gateway(services: Services, name: str | None) -> str:
    """Return the name of a gateway of this server. Raises click.BadParameter if the server has no such gateway.

    If `name` is None, the function chooses the gateway that sends to phones. If the server has two gateways, the
    function then prints the chosen gateway on standard error.
    """
    if name is None:
        sending = [name for name, running in services.gateways.items() if not running.gateway.sandbox]
        chosen = sending[0] if sending else services.gateway.name
        if len(services.gateways) > 1:
            names = " and ".join(services.gateways)
            text = f"This server has the gateways {names}. The command uses {chosen}."
            echo(f"{text} To choose the other gateway, use --gateway.", err=True)
        return chosen
    if name not in services.gateways:
        known = ", ".join(services.gateways)
        raise click.BadParameter(f"this server has no gateway {name!r}, only: {known}", param_hint="--gateway")
    return name


def warn_of_other_gateway(services: Services) -> None:
    """Print a warning if this command and the server use different gateways.

    For example, if the server's environment variables are missing in the shell, the command uses the stub gateway. If
    several servers have used the database, the function checks the server that was started last.
    """
    start = find_other_start(services.database, services.gateways)
    if start is None:
        return
    echo(
        f"This command uses the gateway {' and '.join(services.gateways)}. The latest server on this"
        f" database was started at {start.at} with the gateway {escape_controls(' and '.join(start.gateways))}."
        " Run the command with the variables of the server.",
        err=True,
    )


# Watching


@gateway_cli.command("status")
@click.option("--gateway", "gateway_name", help="Show only this gateway. Default: all gateways of this server.")
@json_option
def show_status(gateway_name: str | None, as_json: bool) -> None:
    """Show whether the gateway works, and how many messages wait for it."""
    services = get_services()
    warn_of_other_gateway(services)
    names = [choose_gateway(services, gateway_name)] if gateway_name is not None else list(services.gateways)
    open_texts = services.inbound.count_open()
    for name in names:
        _print_status(services.gateways[name].get_status(), open_texts, as_json=as_json)
    if gateway_name is None:
        for left in services.moving.list_left():
            if as_json:
                status = {"gateway": left.gateway, "condition": "missing", "summary": left.summary}
                print_json({**status, "messages": left.messages})
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


@gateway_cli.command("check")
@gateway_option
def check_gateway(gateway_name: str | None) -> None:
    """Ask the provider whether it accepts messages. The command sends no message and needs no database."""
    services = load_services()
    name = choose_gateway(services, gateway_name)
    if services.prepared.is_set():
        warn_of_other_gateway(services)
    try:
        answer = services.gateways[name].gateway.probe()
    except GatewayFault as fault:
        raise Failed(f"the gateway {name} can't send: {escape_controls(str(fault))}") from fault
    echo(f"The gateway {name}: {escape_controls(answer)}")


@gateway_cli.command("texts")
@click.option("--limit", "-n", type=click.IntRange(1, 1_000), default=50, show_default=True)
@json_option
def list_texts(limit: int, as_json: bool) -> None:
    """List received texts that belong to no account, oldest first.

    The command `numbers add` gives a number to an account. The account then gets the texts to this number.
    """
    texts = get_services().inbound.list_open(limit=limit)
    print_list(
        texts,
        _dump_text,
        ("RECEIVED", "FROM > TO", "TEXT"),
        lambda text: (text.received_at, f"{text.sender} > {text.to_number or 'unknown'}", _write_text(text)),
        as_json=as_json,
    )


def _dump_text(text: TextRow) -> dict[str, Any]:
    shown = text._asdict()
    return {name: shown[name] for name in shown if name not in ("event_id", "message_id", "due_at")}


def _write_text(text: TextRow) -> str:
    part = f"(part {text.part_number} of {text.part_total}) " if text.part_total is not None else ""
    return part + escape_body(text.body)


# Changing


@gateway_cli.command("pause")
@gateway_option
def pause(gateway_name: str | None) -> None:
    """Pause the gateway. The command `gateway resume` ends the pause.

    The server still accepts messages, but does not send them.
    """
    services = get_services()
    name = choose_gateway(services, gateway_name)
    warn_of_other_gateway(services)
    services.gateways[name].pacing.hold(held=True)
    report(f"The gateway {name} is paused. To resume the gateway: `gateway resume{_write_option(gateway_name)}`")


def _write_option(name: str | None) -> str:
    """Return the string ` --gateway NAME` for the gateway `name`. If `name` is None, return an empty string."""
    return f" --gateway {name}" if name is not None else ""


@gateway_cli.command("resume")
@gateway_option
def resume(gateway_name: str | None) -> None:
    """Resume the gateway. The command also ends a pause that a fault has caused."""
    services = get_services()
    name = choose_gateway(services, gateway_name)
    warn_of_other_gateway(services)
    services.gateways[name].pacing.hold(held=False)
    due = services.gateways[name].get_status().queue.due
    report(f"The gateway {name} gets messages again. Messages due: {due}.")


@gateway_cli.command("move-messages")
@click.argument("former", metavar="NAME")
@gateway_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def move_messages(former: str, gateway_name: str | None, yes: bool) -> None:
    """Move messages from the gateway NAME to a gateway of this server.

    NAME is a gateway that this server does not have. Its messages wait until they are moved or expire. The new gateway
    checks each message. If the new gateway refuses a message, the message fails. The command does not move messages
    that the gateway NAME may already have received.
    """
    services = get_services()
    name = choose_gateway(services, gateway_name)
    warn_of_other_gateway(services)
    if former in services.gateways:
        text = f"this server has the gateway {former!r}; NAME must be a gateway that this server does not have"
        raise click.BadParameter(text, param_hint="NAME")
    left = next((left for left in services.moving.list_left() if left.gateway == former), None)
    if left is None:
        echo(f"No messages wait for the gateway {escape_controls(former)}.")
        return
    if not yes:
        where = "sends nothing to phones" if services.gateways[name].gateway.sandbox else "sends to phones"
        click.confirm(f"{left.summary}. Move them to the gateway {name}, which {where}?", abort=True, err=True)
    moved = services.moving.move(former, name)
    note_done(f"Messages were moved to the gateway {name}.")
    echo(f"Moved to the gateway {name}: {moved.moved}. Refused by it: {moved.refused}. Left: {moved.left}.")
    if moved.left:
        echo(
            f"Some messages were not moved, because the gateway {former} may already have received these messages."
            " They wait until their validity period ends."
        )


@gateway_cli.command("callbacks")
@gateway_option
def register_callbacks(gateway_name: str | None) -> None:
    """Send the address of this server to the provider. Only some providers need this address.

    You can repeat this command. The command needs no database.
    """
    services = load_services()
    name = choose_gateway(services, gateway_name)
    try:
        lines = services.gateways[name].gateway.register()
    except GatewayFault as fault:
        raise Failed(f"the gateway {name}: {escape_controls(str(fault))}") from fault
    note_done("The provider has received the address of this server.")
    for line in lines:
        echo(escape_controls(line))
