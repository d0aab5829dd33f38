"""The resource /sandbox/messages: list, remove and release messages. The list has one-time codes and links."""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import rule_examples
from ..schemas import sandbox_examples as examples
from ..schemas.answers import MessageAnswer
from ..schemas.description import describe
from ..schemas.objects import dump_message
from ..schemas.requests import ListSchema, ReleaseSchema, RemoveSchema, load
from ..schemas.rules import OutcomeSchema
from ..schemas.sandbox import RemovedAnswer, SandboxMessagesAnswer, dump_sandbox_messages

bp = Blueprint("test_messages", __name__, url_prefix="/messages")

_LIST = ListSchema()
_REMOVE = RemoveSchema()
_RELEASE = ReleaseSchema()
_OUTCOME = OutcomeSchema()


@bp.get("")
@describe(
    arguments=ListSchema,
    answers={200: SandboxMessagesAnswer},
    errors=("too_many_waiting",),
    examples=examples.LIST,
    text=(
        "Lists messages in the same way as `GET /v1/messages`. Each message also has `code` and `links`. If a rule was"
        " applied to a message, the message also has `rule`."
    ),
)
def list_test_messages() -> dict[str, Any]:
    """List matching messages, newest first. Each message has its one-time codes and its links."""
    found = get_services().sending.find_all(current_account(), **load(_LIST, read_arguments()))
    return {"messages": dump_sandbox_messages(found, get_services().rules.find_met(found))}


@bp.route("", methods=["DELETE", "DESTROY"])
@describe(
    arguments=RemoveSchema,
    answers={200: RemovedAnswer},
    errors=("unknown_argument",),
    examples=examples.REMOVE,
    text=(
        "Without criteria, all messages are removed, even scheduled messages and messages that are being sent."
        " Phonify posts no events about removed messages. Opt-outs stay. If an argument is unknown, nothing is removed."
        " The method `DESTROY` does the same."
    ),
)
def remove_messages() -> dict[str, Any]:
    """Remove the matching messages of the account, in any state."""
    removed = get_services().retention.remove(current_account(), **load(_REMOVE, read_arguments()))
    return {"removed": removed}


@bp.post("/<message_id>/outcome")
@describe(
    arguments=OutcomeSchema,
    answers={200: MessageAnswer},
    errors=("unknown_argument", "argument_without_effect", "message_not_open"),
    examples=rule_examples.FORCE,
    text=(
        "The message must be outbound and in state `unconfirmed`. For example, the message is scheduled, is in doubt,"
        " or waits for an attempt. The outcome applies immediately. The answer still shows the old state of the"
        " message."
    ),
)
def force_outcome(message_id: str) -> dict[str, Any]:
    """Give an outcome to one waiting message."""
    draft = load(_OUTCOME, read_arguments())
    return {"message": dump_message(get_services().rules.force(current_account(), message_id, draft))}


@bp.post("/<message_id>/release")
@describe(
    arguments=ReleaseSchema,
    answers={201: MessageAnswer},
    errors=(
        "no_release_gateway",
        "message_not_releasable",
        "run_cannot_release",
        "recipient_not_permitted",
        "invalid_number",
        "unroutable_number",
        "country_not_permitted",
        "sender_not_permitted",
        "opted_out",
        "quota_used_up",
    ),
    examples=examples.RELEASE,
    links={"get_message": {"message_id": "$response.body#/message/id"}},
    text=(
        "The gateway in `PHONIFY_RELEASE_GATEWAY` sends a copy of the message. The copy is a new message with the same"
        " sender. The recipient must be in `PHONIFY_ONLY_TO`. If the recipient has opted out, or if the quota is"
        " used up, Phonify refuses the copy. If Phonify refuses the copy, nothing is stored."
    ),
)
def release_message(message_id: str) -> Response:
    """Send a caught message to the phone of the recipient."""
    releasing = get_services().releasing
    key = load(_RELEASE, {"Idempotency-Key": request.headers.get("Idempotency-Key")})["idempotency_key"]
    if key is None:
        response = jsonify({"message": dump_message(releasing.release(current_account(), message_id))})
    else:
        first, is_new = releasing.release_once(current_account(), message_id, key)
        response = jsonify({"message": json.loads(first.answer)["message"]})
        if not is_new:
            response.headers["Idempotent-Replayed"] = "true"
    response.status_code = 201
    return response
