"""The resource /v1/messages: send, retrieve, list, change and cancel."""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from ..errors import MESSAGE_ERRORS
from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import examples
from ..schemas.answers import MessageAnswer, MessagesAnswer, RefusedAnswer, SentAnswer, choose_status, dump_sent
from ..schemas.description import describe
from ..schemas.objects import dump_message, dump_messages
from ..schemas.requests import ChangeSchema, Draft, ListSchema, SendSchema, load

bp = Blueprint("messages", __name__, url_prefix="/messages")

_LIST = ListSchema()
_MESSAGE_ID = {"message_id": "$response.body#/messages/0/id"}


@bp.post("")
@describe(
    arguments=SendSchema,
    answers={201: SentAnswer, 402: RefusedAnswer},
    errors=MESSAGE_ERRORS,
    examples=examples.SEND,
    links={"get_message": _MESSAGE_ID, "change_message": _MESSAGE_ID, "cancel_message": _MESSAGE_ID},
    text=(
        "Phonify stores the messages on disk, and then answers 201. Phonify delivers the messages afterwards. If an"
        " argument is not valid, Phonify stores nothing. Phonify checks each recipient before it answers. If it refuses"
        " a recipient, it stores the message to this recipient in state `error`, and sends the messages to the other"
        " recipients. The answer is then 402 with `errors` and `messages`."
    ),
)
def send_message() -> Response:
    """Send one message to each recipient."""
    services, arguments = get_services(), read_arguments()
    schema = SendSchema(max_body=services.settings.max_body)
    draft: Draft = load(schema, {**arguments, "Idempotency-Key": request.headers.get("Idempotency-Key")})
    if draft.idempotency_key is None:
        return _answer(dump_sent(*services.sending.send(current_account(), draft)))
    first, is_new = services.sending.send_once(current_account(), draft, draft.idempotency_key)
    response = _answer(json.loads(first.answer))
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
        "The argument `wait` delays the answer until a message matches. This is useful in end-to-end tests. Set"
        " `after` to the newest id that you know. Repeat this to get all new messages. Leave out `state` in"
        " these calls. If a call has `state`, you can miss an older message that gets this state later."
    ),
)
def list_messages() -> dict[str, Any]:
    """List the account's messages, newest first."""
    found = get_services().sending.find_all(current_account(), **load(_LIST, read_arguments()))
    return {"messages": dump_messages(found)}


@bp.get("/<message_id>")
@describe(answers={200: MessageAnswer}, examples=examples.GET)
def get_message(message_id: str) -> dict[str, Any]:
    """Retrieve one message."""
    return {"message": dump_message(get_services().sending.find(current_account(), message_id))}


@bp.put("/<message_id>")
@describe(
    arguments=ChangeSchema,
    at_least_one=True,
    answers={200: MessageAnswer},
    errors=("nothing_to_change", "message_not_waiting", *MESSAGE_ERRORS),
    examples=examples.CHANGE,
    text="Give at least one argument. The values of the other arguments do not change.",
)
def change_message(message_id: str) -> dict[str, Any]:
    """Change a scheduled message before Phonify begins to send this message."""
    services = get_services()
    changes = load(ChangeSchema(max_body=services.settings.max_body), read_arguments())
    message = services.changing.change(current_account(), message_id, **changes)
    return {"message": dump_message(message)}


@bp.route("/<message_id>", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: MessageAnswer},
    errors=("message_not_waiting",),
    examples=examples.CANCEL,
    text="Later requests for this message get 404. The method `DESTROY` does the same.",
)
def cancel_message(message_id: str) -> dict[str, Any]:
    """Cancel and remove a scheduled message before its sending begins."""
    return {"message": dump_message(get_services().changing.cancel(current_account(), message_id))}


def _answer(sent: dict[str, Any]) -> Response:
    response = jsonify(sent)
    response.status_code = choose_status(sent)
    if response.status_code == 201 and "message" in sent:
        response.headers["Location"] = url_for(".get_message", message_id=sent["message"]["id"])
    return response
