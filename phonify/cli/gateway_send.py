"""The command `gateway send`, which sends one text and waits for its outcome."""

import click

from ..clock import monotonic
from ..domain.accounts import DEFAULT_ACCOUNT
from ..errors import RequestRefused
from ..schemas.objects import dump_message
from ..schemas.requests import Draft, SendSchema, load
from ..services import Services
from ..sms.numbers import read_typed_number
from ..sms.segments import count_segments
from ..storage.records import Account, Message
from .gateway import choose_gateway, gateway_option, warn_of_other_gateway
from .output import Command, Failed, echo, get_account, get_services, json_option, note_done, print_json, usage_errors


@click.command("send", cls=Command)
@click.argument("to")
@click.argument("text")
@click.option("--from", "origin", help="The sender. Default: the default sender of the account.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 600),
    default=20,
    show_default=True,
    help="The maximum wait for the outcome, in seconds.",
)
@gateway_option
@json_option
def send_one(
    to: str, text: str, origin: str | None, yes: bool, wait: float, gateway_name: str | None, as_json: bool
) -> None:
    """Send TEXT to the number TO, and show the outcome. The message belongs to the account `default`.

    A server or worker must be running to deliver the message. The exit status is 0 only if the gateway accepts it.
    """
    services = get_services()
    account = get_account(services, DEFAULT_ACCOUNT)
    draft = _read_draft(services, to, text, origin)
    name = choose_gateway(services, gateway_name)
    warn_of_other_gateway(services)
    if not services.is_delivering():
        raise Failed("nothing was sent, because no server or worker is running on this database")
    if not yes:
        number = draft.to[0].number.number
        click.confirm(
            f"Send {count_segments(text)[0]} SMS to {number} through the gateway {name}?", abort=True, err=True
        )
    try:
        (message,) = services.senders[name].send(account, draft, keep_refused=False).messages
    except RequestRefused as refusal:
        raise Failed(f"nothing was sent: {refusal.faults[0].title}") from refusal
    note_done(f"Message {message.id} was stored. What happens next: explain {message.id}")
    message = _wait_for_outcome(services, account, message, wait)
    if as_json:
        print_json(dump_message(message))
    outcome = _describe_outcome(services, message, name)
    if message.state != "sent":
        raise Failed(outcome)
    if not as_json:
        echo(outcome)


def _read_draft(services: Services, to: str, text: str, origin: str | None) -> Draft:
    given = {"to": read_typed_number(to), "body": text}
    if origin is not None:
        given["origin"] = read_typed_number(origin)
    with usage_errors({"to": "TO", "body": "TEXT", "origin": "--from"}):
        draft: Draft = load(SendSchema(max_body=services.settings.max_body), given)
    return draft


def _wait_for_outcome(services: Services, account: Account, message: Message, seconds: float) -> Message:
    """Wait at most `seconds` for the outcome of a message. Return the latest version of this message.

    If the message is in doubt (nobody knows its outcome), return immediately.
    """
    watcher, end = services.database.watch(), monotonic() + seconds
    while message.state == "unconfirmed" and not message.in_doubt and (left := end - monotonic()) > 0:
        watcher.wait(min(left, 1.0))
        message = services.sending.find(account, message.id)
    return message


def _describe_outcome(services: Services, message: Message, name: str) -> str:
    begin = f"Message {message.id}: "
    if message.state == "sent":
        simulated = " The gateway sends nothing to phones." if services.gateways[name].gateway.sandbox else ""
        return f"{begin}sent.{simulated} What happens next: explain {message.id}"
    if message.state == "error":
        return f"{begin}failed, {message.error_type}"
    if message.in_doubt:
        return f"{begin}in doubt. Nobody knows whether the gateway has taken it, and it is not sent again."
    status = services.gateways[name].get_status()
    return f"{begin}not sent yet. The gateway {status.name}: {status.full_summary}"
