"""What the gateway `android` receives from the app: callbacks, and the states of messages."""

import hashlib
import hmac
import json
import logging
import re
from datetime import datetime
from typing import Any, NamedTuple

from ..clock import parse_time
from ..ids import is_message_id
from ..sms.numbers import parse_shown_number
from .events import (
    CallbackRequest,
    Forged,
    GatewayEvent,
    Receipt,
    ReceiptStatus,
    Received,
    Unreadable,
    clean,
    read_json_object,
)
from .variables import Secret

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 300  # seconds; the maximum difference between Phonify's clock and the time in a signature
LONGEST_CODE = 100  # characters

# For each event about an outbound message: the status for the receipt, and the name of the field with the time.
_REPORTS: dict[str, tuple[ReceiptStatus, str]] = {
    "sms:sent": ("sent", "sentAt"),
    "sms:delivered": ("delivered", "deliveredAt"),
    "sms:failed": ("undelivered", "failedAt"),
}
EVENTS = ("sms:received", *_REPORTS)
_STATES: dict[str, ReceiptStatus] = {
    "Sent": "sent",
    "Delivered": "delivered",
    "Failed": "undelivered",
    "Cancelled": "undelivered",
}

# Words from the app's explanations of failures. Each word has an error type. Phonify uses the first entry whose word
# is in the explanation.
_REASONS = (
    ("TTL expired", "validity_expired"),
    ("LIMIT_EXCEEDED", "queue_overflow"),  # Android allows only a limited number of texts in 30 minutes
    ("RATE_LIMITED", "queue_overflow"),
    ("SHORT_CODE_N", "unroutable_number"),  # the phone's owner has forbidden this short code
    ("FDN_CHECK_FAILURE", "unroutable_number"),  # the SIM has a list of allowed numbers, and this number is not in it
    ("CANCELLED", "canceled"),
    ("STOP_SENDING", "canceled"),  # the phone's owner has said no in a dialog
)
# The failures of a delivery report: TP-Status in 3GPP TS 23.040 section 9.2.3.15.
_STATUSES = {
    65: "cannot_receive_sms",  # incompatible destination
    67: "unknown_handset",  # not obtainable
    69: "cannot_receive_sms",  # no interworking
    70: "validity_expired",
    97: "unreachable_handset",  # busy
    98: "unreachable_handset",  # no response
    101: "unreachable_handset",  # error in the phone
}


class Place(NamedTuple):
    """What Phonify knows about the phone."""

    device: str  # the id of the device in the app; if it is empty, any device is accepted
    sim: int  # the number of its slot; 0: any
    country: str | None  # ISO 3166-1 alpha-2, for numbers in national form


def verify(request: CallbackRequest, key: Secret) -> None:
    """Check the signature of a callback, and the time of the signature.

    Raises the error Forged if the signature is not valid. Raises the same error if the time of the signature differs
    from the current time by more than 5 minutes.
    """
    timestamp = request.headers.get("X-Timestamp", "")
    given = request.headers.get("X-Signature", "").lower()
    if not key:
        raise Forged("PHONIFY_ANDROID_SIGNING_KEY is missing, so no callback can be verified")
    signed = request.body + timestamp.encode(errors="replace")
    expected = hmac.new(key.reveal().encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
        raise Forged("the signature is missing or wrong; PHONIFY_ANDROID_SIGNING_KEY must equal the app's signing key")
    if not re.fullmatch("[0-9]{1,12}", timestamp):
        raise Forged("the time of the signature is missing")
    if abs(request.at.timestamp() - int(timestamp)) > LARGEST_DIFFERENCE:
        raise Forged(
            "the time of the signature differs from the current time by more than 5 minutes;"
            " check the clocks of the phone and of Phonify"
        )


def read_callback(body: bytes, place: Place) -> list[GatewayEvent]:
    """Return the events of a verified callback. Raises Unreadable if the content is not valid."""
    callback = read_json_object(body)
    name = _read_text(callback, "event")
    if name not in EVENTS:
        return []  # such as system:ping, or another event that somebody has registered
    if place.device and (device := _read_text(callback, "deviceId")) != place.device:
        log.warning(
            "a callback from the device %r is ignored, because PHONIFY_ANDROID_DEVICE contains another id", device
        )
        return []
    payload = callback.get("payload")
    if not isinstance(payload, dict):
        raise Unreadable("the payload is missing")
    if name == "sms:received":
        return _read_received(callback, payload, place)
    return _read_receipt(callback, payload, name)


def _read_received(callback: dict[str, Any], payload: dict[str, Any], place: Place) -> list[GatewayEvent]:
    if place.sim and payload.get("simNumber") not in (None, place.sim):
        return []  # Phonify does not use the other SIM
    sender = _read_text(payload, "sender" if payload.get("sender") else "phoneNumber").strip()
    body, at = _read_text(payload, "message"), _read_time(payload.get("receivedAt"))
    if not sender:
        raise Unreadable("the sender is empty")
    # Duplicates of a text have different event ids. Different texts may have the same messageId.
    same = [_read_text(callback, "deviceId"), sender, body, at.timestamp() if at else _read_text(callback, "id")]
    recipient = payload.get("recipient")
    to = parse_shown_number(recipient, place.country) if isinstance(recipient, str) else ""
    return [
        Received(
            sender=parse_shown_number(sender, place.country),
            body=body,
            event_id=hashlib.sha256(json.dumps(same).encode()).hexdigest(),
            to=to if re.fullmatch(r"\+[0-9]{3,15}", to) else None,
            at=at,
        )
    ]


def _read_receipt(callback: dict[str, Any], payload: dict[str, Any], name: str) -> list[GatewayEvent]:
    message_id = _read_text(payload, "messageId")
    if not is_message_id(message_id):
        return []  # another program sends through this phone too
    status, time = _REPORTS[name]
    error_type, code = read_reason(payload.get("reason")) if status == "undelivered" else (None, "")
    return [
        Receipt(
            status,
            message_id=message_id,
            error_type=error_type,
            code=code,
            at=_read_time(payload.get(time)),
            event_id=_read_text(callback, "id"),
            partial=status == "delivered",  # the app reports the delivery of each part
        )
    ]


def read_state(message_id: str, found: dict[str, Any]) -> list[Receipt]:
    """Return a receipt that shows the state of a message. `found` is the app's JSON for this message.

    Returns an empty list if the app has not sent the message yet.
    """
    state = found.get("state")
    status = _STATES.get(state) if isinstance(state, str) else None
    if status is None:
        return []
    times, recipients = found.get("states"), found.get("recipients")
    at = _read_time(times.get(state)) if isinstance(times, dict) else None
    error_type, code = None, ""
    if state == "Cancelled":
        error_type = "canceled"
    elif status == "undelivered":
        first = recipients[0] if isinstance(recipients, list) and recipients else None
        error_type, code = read_reason(first.get("error") if isinstance(first, dict) else None)
    return [Receipt(status, message_id=message_id, error_type=error_type, code=code, at=at)]


def read_reason(reason: Any) -> tuple[str, str]:
    """Return an error type and a code. `reason` is the app's explanation of a failure."""
    text = reason if isinstance(reason, str) else ""
    code = word[0] if (word := re.search("RESULT_[A-Z_]+", text)) else shorten(text)
    for part, error_type in _REASONS:
        if part in text:
            return error_type, code
    status = re.match(r"Delivery result\b.*: ([0-9]{1,3})$", text)
    return _STATUSES.get(int(status[1]) if status else 0, "delivery_failed"), code


def shorten(text: str) -> str:
    """Shorten a string that the app has sent. Phone numbers are masked, and control characters are removed."""
    return re.sub(r"\+?[0-9]{5,}", "*", "".join(filter(str.isprintable, clean(text))))[:LONGEST_CODE]


def _read_text(values: dict[str, Any], name: str) -> str:
    text = values.get(name)
    if not isinstance(text, str):
        raise Unreadable(f"{name} is missing or is not a text")
    return clean(text)


def _read_time(text: Any) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
