"""The command `explain`."""

import click

from ..errors import NotFound
from ..schemas.twilio import read_message_sid
from .output import Command, Failed, echo, get_services, json_option, print_json, print_table


@click.command(cls=Command)
@click.argument("message_id")
@json_option
def explain(message_id: str, as_json: bool) -> None:
    """Show what happened to the message MESSAGE_ID, and when.

    It may be a message of any account, or its SID in the Twilio-compatible API.

    The steps are the request, the checks, the attempts, the receipts of the provider and the webhooks.
    """
    try:
        message, account, steps = get_services().history.find(read_message_sid(message_id) or message_id)
    except NotFound as error:
        raise Failed(f"there is no message {message_id}; see: messages") from error
    if as_json:
        for step in steps:
            print_json({**step._asdict(), "parts": [part._asdict() for part in step.parts]})
        return
    echo(
        f"{message.direction} message of the account {account.name!r}, {message.origin_number} > {message.to_number},"
        f" in state {message.state}\n"
    )
    rows = []
    for step in steps:
        rows.append((step.at, step.text))
        rows += [(part.at, f"  {part.text}") for part in step.parts]
    print_table(("TIME", "STEP"), rows)
