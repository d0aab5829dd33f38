"""What only a sandbox has, under /sandbox; not registered where the gateway is a real one."""

from flask import Blueprint, Response, jsonify

from .api.arguments import read_arguments
from .api.auth import current_account
from .api.schemas import InboundSchema, load
from .request_id import current_request_id
from .runtime import get_runtime
from .showing import dump_message

bp = Blueprint("sandbox", __name__, url_prefix="/sandbox")

_INBOUND = InboundSchema()


@bp.post("/inbound")
def simulate_inbound() -> Response:
    """Pretend that a phone sent a message to the account."""
    arguments = load(_INBOUND, read_arguments())
    message = get_runtime().messaging.receive(current_account(), **arguments, request_id=current_request_id())
    response = jsonify(message=dump_message(message))
    response.status_code = 201
    return response
