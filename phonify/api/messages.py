"""The resource /v1/messages: send, retrieve, list, change and cancel."""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from ..domain.sending import Accepted, Idempotency
from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..request_id import current_request_id
from ..schemas import examples
from ..schemas.answers import MessageAnswer, MessagesAnswer, RefusedAnswer, SentAnswer
from ..schemas.description import describe
from ..schemas.objects import dump_message, dump_messages
from ..schemas.requests import ChangeSchema, ListSchema, SendSchema, hash_request, load

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
    arguments = load(_SEND, {**read_arguments(), "Idempotency-Key": request.headers.get("Idempotency-Key")})
    key, request_id = arguments.pop("idempotency_key"), current_request_id()
    messaging = get_services().messaging
    if key is None:
        accepted = messaging.accept(current_account(), **arguments, request_id=request_id)
        return _answer(_choose_status(accepted), _show(accepted))
    idempotency = Idempotency(key, hash_request(arguments), render_accepted)
    first, is_new = messaging.accept_once(current_account(), idempotency, **arguments, request_id=request_id)
    response = _answer(first.status, json.loads(first.answer))
    if not is_new:
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
def list_messages() -> dict[str, Any]:
    """List the account's messages that match, newest first."""
    found = get_services().messaging.find_all(current_account(), **load(_LIST, read_arguments()))
    return {"messages": dump_messages(found)}


@bp.get("/<message_id>")
@describe(answers={200: MessageAnswer}, examples=examples.GET)
def get_message(message_id: str) -> dict[str, Any]:
    """Retrieve one message."""
    return {"message": dump_message(get_services().messaging.find(current_account(), message_id))}


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
    message = get_services().messaging.change(current_account(), message_id, **load(_CHANGE, read_arguments()))
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
    return {"message": dump_message(get_services().messaging.cancel(current_account(), message_id))}


def render_accepted(accepted: Accepted) -> tuple[int, str]:
    """Return status and JSON of the answer to a request to send, as they are kept for an idempotency key."""
    return _choose_status(accepted), json.dumps(_show(accepted))


def _choose_status(accepted: Accepted) -> int:
    return 402 if accepted.faults else 201


def _show(accepted: Accepted) -> dict[str, Any]:
    answer: dict[str, Any] = {"messages": dump_messages(accepted.messages)}
    if len(accepted.messages) == 1:
        answer["message"] = answer["messages"][0]
    if accepted.faults:
        answer["errors"] = [fault.to_dict() for fault in accepted.faults]
    return answer


def _answer(status: int, answer: dict[str, Any]) -> Response:
    response = jsonify(answer)
    response.status_code = status
    if status == 201 and "message" in answer:
        response.headers["Location"] = url_for(".get_message", message_id=answer["message"]["id"])
    return response
