"""The resource /v1/messages: send, retrieve, list, change and cancel."""

import hashlib
import json
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, request, url_for

from ..messaging import Accepted, Idempotency
from ..request_id import current_request_id
from ..runtime import get_runtime
from ..showing import dump_message
from ..store import ListedMessage, Message
from . import examples
from .answers import MessageAnswer, MessagesAnswer, RefusedAnswer, SentAnswer
from .arguments import read_arguments
from .auth import current_account
from .description import describe
from .schemas import ChangeSchema, ListSchema, SendSchema, describe_request, load

bp = Blueprint("messages", __name__, url_prefix="/messages")

_SEND = SendSchema()
_CHANGE = ChangeSchema()
_LIST = ListSchema()
_MESSAGE_ID = {"message_id": "$response.body#/messages/0/id"}
_GATEWAY_REFUSES = ("invalid_number", "unroutable_number", "country_not_permitted")


@bp.post("")
@describe(
    arguments=SendSchema,
    answers={201: SentAnswer, 402: RefusedAnswer},
    errors=(*_GATEWAY_REFUSES, "opted_out", "quota_used_up"),
    examples=examples.SEND,
    links={"get_message": _MESSAGE_ID, "change_message": _MESSAGE_ID, "cancel_message": _MESSAGE_ID},
    text=(
        "Answers 201 once the messages are on disk; delivery follows. One wrong argument refuses the request and"
        " nothing is stored. A recipient that is refused at once gets its message in state `error`, the others go"
        " out, and the answer is 402 with `errors` and `messages`."
    ),
)
def send_message() -> Response:
    """Send one message to each recipient."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    arguments = load(_SEND, {**read_arguments(), "Idempotency-Key": key})
    messaging = get_runtime().messaging
    del arguments["idempotency_key"]
    if key is None:
        accepted = messaging.accept(current_account(), **arguments, request_id=current_request_id())
        return _answer_sent(*render_accepted(accepted), ids=[message.id for message in accepted.messages])
    fingerprint = json.dumps(describe_request(arguments))
    idempotency = Idempotency(key, hashlib.sha256(fingerprint.encode()).hexdigest(), render_accepted)
    first, new = messaging.accept_once(current_account(), idempotency, **arguments, request_id=current_request_id())
    ids = [message["id"] for message in json.loads(first.answer)["messages"]]
    response = _answer_sent(first.status, first.answer, ids=ids)
    if not new:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@bp.get("")
@describe(
    arguments=ListSchema,
    answers={200: MessagesAnswer},
    errors=("too_many_waiting",),
    examples=examples.LIST,
    text=(
        "With `wait`, the request is held until something matches: what an end-to-end test needs. To miss nothing"
        " between two calls, pass the newest id seen as `after`, and no `state`: states do not change in the order of"
        " the ids."
    ),
)
def list_messages() -> Response:
    """List the account's messages that match, newest first."""
    messages = get_runtime().messaging.find_all(current_account(), **load(_LIST, read_arguments()))
    return _answer(f'{{"messages":[{",".join(map(_render_again, messages))}]}}')


@bp.get("/<message_id>")
@describe(answers={200: MessageAnswer}, examples=examples.GET)
def get_message(message_id: str) -> Response:
    """Retrieve one message."""
    message = get_runtime().messaging.find(current_account(), message_id)
    return _answer(f'{{"message":{_render_again(message)}}}')


@bp.put("/<message_id>")
@describe(
    arguments=ChangeSchema,
    at_least_one=True,
    answers={200: MessageAnswer},
    errors=("nothing_to_change", "message_not_waiting", *_GATEWAY_REFUSES, "opted_out"),
    examples=examples.CHANGE,
    text="At least one argument is to be given; what is not given stays.",
)
def change_message(message_id: str) -> dict[str, Any]:
    """Change a message that still waits for its time."""
    message = get_runtime().messaging.change(current_account(), message_id, **load(_CHANGE, read_arguments()))
    return {"message": dump_message(message)}


@bp.route("/<message_id>", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: MessageAnswer},
    errors=("message_not_waiting",),
    examples=examples.CANCEL,
    text="It is 404 from then on. The method `DESTROY` does the same.",
)
def cancel_message(message_id: str) -> dict[str, Any]:
    """Cancel and remove a message that still waits for its time."""
    return {"message": dump_message(get_runtime().messaging.cancel(current_account(), message_id))}


def render_accepted(accepted: Accepted) -> tuple[int, str]:
    """Return status and JSON of the answer to a request to send."""
    # Each message is encoded once, also where it is shown twice.
    shown = [_render(message) for message in accepted.messages]
    members = [f'"messages":[{",".join(shown)}]']
    if len(shown) == 1:
        members.append(f'"message":{shown[0]}')
    if accepted.faults:
        members.append(f'"errors":{_encode([fault.to_dict() for fault in accepted.faults])}')
    return 402 if accepted.faults else 201, f"{{{','.join(members)}}}"


def _encode(shown: Any) -> str:
    return json.dumps(shown, separators=(",", ":"))


def _render(message: Message | ListedMessage) -> str:
    return _encode(dump_message(message))


# Those who poll see mostly the same messages.
_render_again = lru_cache(maxsize=2_048)(_render)


def _answer_sent(status: int, answer: str, *, ids: list[str]) -> Response:
    response = _answer(answer, status)
    if status == 201 and len(ids) == 1:
        response.headers["Location"] = url_for(".get_message", message_id=ids[0])
    return response


def _answer(answer: str, status: int = 200) -> Response:
    return current_app.response_class(answer, status, content_type="application/json")
