"""The path /sandbox/inbound simulates a message from a phone. The path /sandbox/check shows how a text is encoded."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import examples
from ..schemas.answers import CheckAnswer, MessageAnswer
from ..schemas.description import describe
from ..schemas.objects import dump_message
from ..schemas.requests import CheckSchema, InboundSchema, load
from ..schemas.text_check import dump_check
from ..sms.segments import check_text

bp = Blueprint("sandbox", __name__)  # the API reference shows these paths under this name


@bp.post("/inbound")
@describe(
    arguments=InboundSchema,
    answers={201: MessageAnswer},
    examples=examples.INBOUND,
    links={"get_message": {"message_id": "$response.body#/message/id"}},
    text=(
        "Phonify stores the message and posts it to the webhook. If the body is a keyword such as"
        " `STOP`, the person opts out. Then the account can't send messages to this phone. A keyword such as `START`"
        " ends this opt-out."
    ),
)
def simulate_inbound() -> tuple[dict[str, Any], int]:
    """Simulate a message from a phone to the account."""
    services = get_services()
    arguments = load(InboundSchema(max_body=services.settings.max_body), read_arguments())
    message = services.receiving.receive(current_account(), **arguments)
    return {"message": dump_message(message)}, 201


@bp.post("/check")
@describe(
    arguments=CheckSchema,
    answers={200: CheckAnswer},
    examples=examples.CHECK,
    text="Nothing is stored. The command `check-text` shows the same information about a text.",
)
def check() -> dict[str, Any]:
    """Check a text: its encoding, its segments, the characters that need UCS-2, and its WebOTP code."""
    arguments = load(CheckSchema(max_body=get_services().settings.max_body), read_arguments())
    return {"check": dump_check(check_text(arguments["body"]))}
