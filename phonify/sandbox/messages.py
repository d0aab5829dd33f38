"""The resource /sandbox/messages: what a test looks for in messages."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import sandbox_examples as examples
from ..schemas.description import describe
from ..schemas.requests import ListSchema, load
from ..schemas.sandbox import SandboxMessagesAnswer, dump_sandbox_messages

bp = Blueprint("test_messages", __name__, url_prefix="/messages")

_LIST = ListSchema()


@bp.get("")
@describe(
    arguments=ListSchema,
    answers={200: SandboxMessagesAnswer},
    errors=("too_many_waiting",),
    examples=examples.LIST,
    text="As `GET /v1/messages`, with `code` and `links` in each message.",
)
def list_test_messages() -> dict[str, Any]:
    """List the account's messages that match, with one-time codes and links, newest first."""
    found = get_services().sending.find_all(current_account(), **load(_LIST, read_arguments()))
    return {"messages": dump_sandbox_messages(found)}
