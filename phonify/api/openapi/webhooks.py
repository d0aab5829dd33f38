"""The webhooks in the OpenAPI document."""

from ...errors import Fault
from ...schemas.examples import MESSAGE
from .texts import Json

_RECEIPT = {"at": MESSAGE["created_at"], "code": None}
# For each event: a summary of the event, and a message for the example.
_EVENTS: dict[str, tuple[str, Json]] = {
    "message.received": ("A phone has sent a message to the account", {**MESSAGE, "direction": "inbound"}),
    "message.sent": ("The gateway has accepted a message", {**MESSAGE, "state": "sent"}),
    "message.error": (
        "A message has failed",
        {**MESSAGE, "state": "error", "errors": [Fault("cannot_receive_sms").to_dict()]},
    ),
    "message.delivered": (
        "The provider has reported that the phone got the message",
        {**MESSAGE, "state": "sent", "receipt": {"status": "delivered", **_RECEIPT}},
    ),
    "message.undelivered": (
        "The provider has reported that the phone did not get the message",
        {**MESSAGE, "state": "sent", "receipt": {"status": "undelivered", **_RECEIPT}},
    ),
}
_HEADERS = {
    "webhook-id": "The id of the event. All attempts have the same id.",
    "webhook-timestamp": "The time of the attempt, in Unix seconds.",
    "webhook-signature": (
        "The signature. It begins with `v1,`. An HMAC-SHA256 value in Base64 follows. Phonify computes this value from"
        " one string: the event's id, the timestamp and the body, with dots between them. For some time after a"
        " change of the secret, the header contains two signatures with a space between them. The specification"
        " “Standard Webhooks” defines this format."
    ),
}


def describe_webhooks(message: Json) -> Json:
    """Return the object `webhooks` of the OpenAPI document. `message` is the schema of a message."""
    return {event: {"post": _describe_event(event, message)} for event in _EVENTS}


def _describe_event(event: str, message: Json) -> Json:
    summary, shown = _EVENTS[event]
    payload = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": event},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "required": ["message"], "properties": {"message": message}},
        },
    }
    example = {"type": event, "timestamp": MESSAGE["created_at"], "data": {"message": shown}}
    return {
        "operationId": f"hear_{event.replace('.', '_')}",
        "summary": summary,
        "parameters": [
            {"in": "header", "name": name, "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": payload, "example": example}}},
        "responses": {
            "2XX": {"description": "The event is delivered. Phonify does not post it again."},
            "default": {
                "description": (
                    "The attempt has failed. Phonify tries again several times within about one day. The delays"
                    " between the attempts get longer."
                )
            },
        },
    }
