"""The resource /v1/messages: send, retrieve, list, change and cancel."""

import hashlib
import json
import socket
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, request

from ..errors import Fault, InvalidRequest
from ..messaging import Accepted, Idempotency
from ..request_id import current_request_id
from ..runtime import get_runtime
from ..showing import dump_message
from ..store import Criteria
from .arguments import read_arguments
from .auth import current_account
from .schemas import ChangeSchema, ListSchema, SendSchema, describe_request, load

bp = Blueprint("messages", __name__, url_prefix="/v1/messages")

_SEND = SendSchema()
_CHANGE = ChangeSchema()
_LIST = ListSchema()


@bp.post("")
def send_message() -> Response:
    """Send one message to each recipient."""
    arguments = load(_SEND, {**read_arguments(), "Idempotency-Key": request.headers.get("Idempotency-Key")})
    key = arguments.pop("idempotency_key", None)
    messaging = get_runtime().messaging
    if key is None:
        accepted = messaging.accept(current_account(), **arguments, request_id=current_request_id())
        return _answer(*render_accepted(accepted), ids=[message.id for message in accepted.messages])
    fingerprint = json.dumps(describe_request(arguments))
    idempotency = Idempotency(key, hashlib.sha256(fingerprint.encode()).hexdigest(), render_accepted)
    first, new = messaging.accept_once(current_account(), idempotency, **arguments, request_id=current_request_id())
    ids = [message["id"] for message in json.loads(first.answer)["messages"]]
    response = _answer(first.status, first.answer, ids=ids)
    if not new:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@bp.get("")
def list_messages() -> dict[str, Any]:
    """List the account's messages that match, newest first."""
    arguments = load(_LIST, read_arguments())
    paging = {name: arguments.pop(name) for name in ("offset", "limit", "wait")}
    for side in ("to", "origin", "phone"):
        if side in arguments:
            arguments[side] = arguments[side].number
    messages = get_runtime().messaging.find_all(
        current_account(), Criteria(**arguments), **paging, gone=_watch_client()
    )
    return {"messages": [dump_message(message) for message in messages]}


@bp.get("/<message_id>")
def get_message(message_id: str) -> dict[str, Any]:
    """Retrieve one message."""
    return {"message": dump_message(get_runtime().messaging.find(current_account(), message_id))}


@bp.put("/<message_id>")
def change_message(message_id: str) -> dict[str, Any]:
    """Change a message that still waits for its time."""
    arguments = load(_CHANGE, read_arguments())
    if not arguments:
        raise InvalidRequest([Fault("nothing_to_change")])
    if "to" in arguments:
        (arguments["to"],) = arguments["to"]
    message = get_runtime().messaging.change(current_account(), message_id, **arguments)
    return {"message": dump_message(message)}


@bp.route("/<message_id>", methods=["DELETE", "DESTROY"])
def cancel_message(message_id: str) -> dict[str, Any]:
    """Cancel and remove a message that still waits for its time."""
    return {"message": dump_message(get_runtime().messaging.cancel(current_account(), message_id))}


def render_accepted(accepted: Accepted) -> tuple[int, str]:
    """Return status and JSON of the answer to a request to send."""
    # Each message is encoded once, also where it is shown twice.
    shown = [current_app.json.dumps(dump_message(message)) for message in accepted.messages]
    members = [f'"messages":[{",".join(shown)}]']
    if len(shown) == 1:
        members.append(f'"message":{shown[0]}')
    if accepted.faults:
        members.append(f'"errors":{current_app.json.dumps([fault.to_dict() for fault in accepted.faults])}')
    return 402 if accepted.faults else 201, f"{{{','.join(members)}}}"


def _watch_client() -> Callable[[], bool]:
    """Return a function that tells from any thread whether the client has gone, where the server shows its socket."""
    client = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    if type(client) is not socket.socket or client.gettimeout() is not None:  # TLS, or none that we know
        return lambda: False

    def is_gone() -> bool:
        try:
            return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:  # it is there and silent
            return False
        except OSError:
            return True

    return is_gone


def _answer(status: int, answer: str, *, ids: list[str]) -> Response:
    response = current_app.response_class(answer, status, mimetype="application/json")
    if status == 201 and len(ids) == 1:
        response.headers["Location"] = f"{bp.url_prefix}/{ids[0]}"
    return response
