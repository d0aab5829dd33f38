"""The resource /sandbox/messages: list messages with their codes and links, and remove messages."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import sandbox_examples as examples
from ..schemas.description import describe
from ..schemas.requests import ListSchema, RemoveSchema, load
from ..schemas.sandbox import RemovedAnswer, SandboxMessagesAnswer, dump_sandbox_messages

bp = Blueprint("test_messages", __name__, url_prefix="/messages")

_LIST = ListSchema()
_REMOVE = RemoveSchema()


@bp.get("")
@describe(
    arguments=ListSchema,
    answers={200: SandboxMessagesAnswer},
    errors=("too_many_waiting",),
    examples=examples.LIST,
    text="Does the same as `GET /v1/messages`. Each message also has `code` and `links`.",
)
def list_test_messages() -> dict[str, Any]:
    """List the account's messages that match, with one-time codes and links, newest first."""
    found = get_services().sending.find_all(current_account(), **load(_LIST, read_arguments()))
    return {"messages": dump_sandbox_messages(found)}


@bp.route("", methods=["DELETE", "DESTROY"])
@describe(
    arguments=RemoveSchema,
    answers={200: RemovedAnswer},
    errors=("unknown_argument",),
    examples=examples.REMOVE,
    text=(
        "Without criteria, all messages are removed, also scheduled messages and messages that are being sent. No event"
        " about a removed message is posted. Opt-outs stay. An unknown argument is refused, and nothing is removed."
        " The method `DESTROY` does the same."
    ),
)
def remove_messages() -> dict[str, Any]:
    """Remove the account's messages that match. They may have any state."""
    removed = get_services().retention.remove(current_account(), **load(_REMOVE, read_arguments()))
    return {"removed": removed}
