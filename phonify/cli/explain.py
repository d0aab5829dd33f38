"""The command `explain`."""

from datetime import datetime
from math import ceil

import click

from ..clock import parse_time
from ..errors import NotFound
from ..schemas.twilio import read_message_sid
from .output import Command, Failed, echo, get_services, json_option, print_json, print_table


@click.command(cls=Command)
@click.argument("message_id")
@json_option
def explain(message_id: str, as_json: bool) -> None:
    """Show what happened to the message MESSAGE_ID, and when.

    MESSAGE_ID is the id of a message, or its SID in the Twilio-compatible API. The message can belong to any account.

    The command shows the request, the checks, the attempts, the webhooks and the provider's receipts.
    """
    services = get_services()
    try:
        message, account, steps = services.history.find(read_message_sid(message_id) or message_id, whole=True)
    except NotFound as error:
        raise Failed(f"unknown message {message_id}; to list the messages, use `messages`") from error
    if as_json:
        for step in steps:
            print_json({**step._asdict(), "parts": [part._asdict() for part in step.parts]})
        return
    echo(
        f"{message.direction} message of the account {account.name!r}, {message.origin_number} > {message.to_number},"
        f" in state {message.state}\n"
    )
    rows, now = [], services.clock.now()
    for step in steps:
        for at, text in [(step.at, step.text), *((part.at, f"  {part.text}") for part in step.parts)]:
            rows.append((at, text + (_write_distance(at, now) if step.state == "waiting" else "")))
    print_table(("TIME (UTC)", "STEP"), rows)


def _write_distance(at: str, now: datetime) -> str:
    """Describe the delay between the times `now` and `at`, for example ` (in 5 min)`.

    If `at` is empty or not later than `now`, return an empty string.
    """
    seconds = ceil((parse_time(at) - now).total_seconds()) if at else 0
    if seconds <= 0:
        return ""
    minutes = ceil(seconds / 60)
    if minutes >= 60:
        return f" (in {minutes // 60} h {minutes % 60} min)"
    return f" (in {minutes} min)" if seconds > 120 else f" (in {seconds} s)"
