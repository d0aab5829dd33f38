"""Callbacks of the app SMS Gateway for Android, and a gateway that hears them."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from phonify.gateways.android import AndroidGateway
from phonify.gateways.events import CallbackRequest, GatewayEvent, Receipt, Received
from phonify.gateways.variables import Secret

USERNAME, PASSWORD, SIGNING_KEY = "phonify", "correct horse", "signing key"
DEVICE, OTHER_DEVICE = "PyDmBQZZXYmyxMwED8Fzy", "QyDmBQZZXYmyxMwED8Fzz"
NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
OWN = "+46701234567"
MESSAGE = "019c1363-49c0-7000-8000-000000000000"
# Reasons for failures as the app words them, and the error types that they mean.
REASONS = {
    "Send result: RESULT_ERROR_LIMIT_EXCEEDED (Failed because we reached the sending queue limit)": "queue_overflow",
    "Send result: RESULT_RIL_REQUEST_RATE_LIMITED (The radio denied the operation)": "queue_overflow",
    "Send result: RESULT_ERROR_GENERIC_FAILURE (Generic failure cause)": "delivery_failed",
    "Send result: RESULT_ERROR_NO_SERVICE (Failed because service is currently unavailable)": "delivery_failed",
    "Send result: RESULT_ERROR_SHORT_CODE_NOT_ALLOWED (Failed because user denied)": "unroutable_number",
    "Send result: RESULT_ERROR_SHORT_CODE_NEVER_ALLOWED (Failed because the user)": "unroutable_number",
    "Send result: RESULT_ERROR_FDN_CHECK_FAILURE (Failed because FDN is enabled)": "unroutable_number",
    "Send result: RESULT_CANCELLED (Failed because the operation was cancelled)": "canceled",
    "Send result: RESULT_RIL_CANCELLED (The request has been cancelled)": "canceled",
    "Send result: RESULT_UNEXPECTED_EVENT_STOP_SENDING (Failed because the user denied)": "canceled",
    "Delivery result from SC +46705008999: 65": "cannot_receive_sms",
    "Delivery result from SC +46705008999: 67": "unknown_handset",
    "Delivery result from SC +46705008999: 70": "validity_expired",
    "Delivery result from SC +46705008999: 98": "unreachable_handset",
    "Delivery result from SC null: 64": "delivery_failed",
    "Delivery result: 1": "delivery_failed",
    "Can't send message: No SIMs found": "delivery_failed",
    "TTL expired": "validity_expired",
    "Unknown": "delivery_failed",
}
TEXT = {"messageId": "c3", "sender": "+46700000001", "message": "Hej", "receivedAt": "2026-01-31T10:29:58.000+01:00"}


def sign(body: bytes, at: datetime, key: str = SIGNING_KEY) -> dict[str, str]:
    """Return the headers with which the app signs a callback."""
    timestamp = str(int(at.timestamp()))
    signature = hmac.new(key.encode(), body + timestamp.encode(), hashlib.sha256).hexdigest()
    return {"X-Signature": signature, "X-Timestamp": timestamp, "Content-Type": "application/json; charset=UTF-8"}


def make_hook(content: object, at: datetime | None = None, key: str = SIGNING_KEY) -> CallbackRequest:
    """Return a signed callback as Phonify gets it."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    at = at or datetime.now(UTC)
    url = "https://sms.example.org/gateways/android/callback"
    return CallbackRequest("POST", "callback", url, (), sign(body, at, key), body, at)


def make_gateway(
    *, device: str = DEVICE, sim: int = 0, number: str | None = OWN, signing_key: str = SIGNING_KEY
) -> AndroidGateway:
    return AndroidGateway(
        "http://127.0.0.1", "sms", Secret("x"), device=device, sim=sim, number=number, signing_key=Secret(signing_key)
    )


def make_callback(event: str, payload: object, **others: Any) -> dict[str, Any]:
    return {"id": "ev1", "event": event, "deviceId": DEVICE, "webhookId": "w", "payload": payload, **others}


def hear(content: object, **options: Any) -> list[GatewayEvent]:
    return list(make_gateway(**options).hear(make_hook(content, NOW)).events)


def hear_text(payload: Mapping[str, Any] = {}, /, **options: Any) -> Received:
    (received,) = hear(make_callback("sms:received", {**TEXT, **payload}), **options)
    assert isinstance(received, Received)
    return received


def hear_receipt(event: str, payload: Mapping[str, Any] = {}, **others: Any) -> Receipt:
    (receipt,) = hear(make_callback(event, {"messageId": MESSAGE, **payload}, **others))
    assert isinstance(receipt, Receipt)
    return receipt
