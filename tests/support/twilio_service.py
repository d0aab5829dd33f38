"""A replacement for Twilio, for tests of the gateway. It answers as a test says. Twilio's own package signs for it."""

import base64
import hashlib
import json
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from twilio.request_validator import RequestValidator

from phonify.gateways.base import OutboundMessage
from phonify.gateways.events import CallbackRequest
from phonify.gateways.twilio import TwilioGateway
from phonify.ids import generate_ids
from tests.support.receivers import Received, Receiver, status

SID = f"AC{'a' * 32}"
TOKEN = "0123456789abcdef0123456789abcdef"
MESSAGE_SID = f"SM{'b' * 32}"
PUBLIC_URL = "https://sms.example.org"
MESSAGE_ID = "019c1363-49c0-7000-8000-000000000001"
STATUS_PATH = f"status/{MESSAGE_ID}"
PHONE, OWN = "+14155552671", "+15005550006"
MESSAGES = f"/2010-04-01/Accounts/{SID}/Messages.json"


def make_gateway(url: str = "http://127.0.0.1:9", public_url: str | None = PUBLIC_URL, **given: str) -> TwilioGateway:
    """Return a gateway. `given` are more variables, without their prefix."""
    values = {"ACCOUNT_SID": SID, "AUTH_TOKEN": TOKEN, "URL": url, **given}
    environ = {f"PHONIFY_TWILIO_GATEWAY_{name}": value for name, value in values.items() if value}
    return TwilioGateway.from_environ({**environ, **({"PHONIFY_PUBLIC_URL": public_url} if public_url else {})})


def make_message_now(to: str, body: str = "Hello") -> OutboundMessage:
    """Return a message with a new id."""
    return OutboundMessage(next(generate_ids(datetime.now(UTC))), OWN, to, body, 1)


# Requests to the service


def make_resource(**members: object) -> dict[str, object]:
    """Return a message as the service shows it."""
    return {
        "sid": MESSAGE_SID,
        "to": PHONE,
        "from": OWN,
        "body": "Hello",
        "status": "queued",
        "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
        "error_code": None,
        **members,
    }


def write_answer(code: int, content: object, *headers: str) -> Callable[[socket.socket, Received], object]:
    """Return a function that answers each request with JSON."""
    return status(code, "Content-Type: application/json", *headers, body=json.dumps(content))


def write_error(code: int, http_status: int = 400, *headers: str) -> Callable[[socket.socket, Received], object]:
    """Return a function that answers each request with an error in Twilio's form."""
    return write_answer(http_status, {"code": code, "message": "It is wrong.", "status": http_status}, *headers)


def read_fields(received: Received) -> dict[str, str]:
    """Return the parameters of a request: of its form, or of its query."""
    encoded = received.body.decode() or urlsplit(received.line.split()[1]).query
    return dict(parse_qsl(encoded, keep_blank_values=True, strict_parsing=True))


def read_user(received: Received) -> str:
    """Return the user name and the password of a request, with a colon between them."""
    kind, _, encoded = received.headers["authorization"].partition(" ")
    assert kind == "Basic"
    return base64.b64decode(encoded).decode()


# Requests from the service


def make_hook(path: str, form: Mapping[str, str], *, token: str = TOKEN, **parts: Any) -> CallbackRequest:
    """Return a signed request to `/gateways/twilio/<path>`. `parts` replace parts of it, after it was signed."""
    url = f"{PUBLIC_URL}/gateways/twilio/{path}"
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-twilio-signature": RequestValidator(token).compute_signature(url, dict(form)),
    }
    request = CallbackRequest("POST", path, url, (), headers, urlencode(form).encode(), datetime.now(UTC))
    return request._replace(**parts)


def make_json(content: object, *, body: bytes | None = None) -> CallbackRequest:
    """Return a request with JSON, which is signed by the hash of the body in the query."""
    data = json.dumps(content).encode()
    url = f"{PUBLIC_URL}/gateways/twilio/{STATUS_PATH}?bodySHA256={hashlib.sha256(data).hexdigest()}"
    signature = RequestValidator(TOKEN).compute_signature(url, {})
    request = make_hook(STATUS_PATH, {}, url=url, query=tuple(parse_qsl(urlsplit(url).query)))
    headers = {"content-type": "application/json", "x-twilio-signature": signature}
    assert RequestValidator(TOKEN).validate(url, data.decode(), signature)
    return request._replace(headers=headers, body=data if body is None else body)


def sign_url(url: str, form: dict[str, str], token: str = TOKEN) -> dict[str, str]:
    """Return the headers of a form that is signed with another URL."""
    signature = RequestValidator(token).compute_signature(url, form)
    return {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}


def report(status: str, **more: str) -> dict[str, str]:
    """Return the form of a status, with the fields that the service sends."""
    return {
        "SmsSid": MESSAGE_SID,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": PHONE,
        "MessageSid": MESSAGE_SID,
        "AccountSid": SID,
        "From": OWN,
        "ApiVersion": "2010-04-01",
        **more,
    }


def write_text(body: str = "Hello", **more: str) -> dict[str, str]:
    """Return the form of a text from a phone, with the fields that the service sends."""
    return {
        "ToCountry": "US",
        "ToState": "",
        "SmsMessageSid": MESSAGE_SID,
        "NumMedia": "0",
        "FromZip": "",
        "SmsSid": MESSAGE_SID,
        "SmsStatus": "received",
        "Body": body,
        "To": OWN,
        "NumSegments": "1",
        "MessageSid": MESSAGE_SID,
        "AccountSid": SID,
        "From": PHONE,
        "ApiVersion": "2010-04-01",
        **more,
    }


def read_hook(received: Received, base: str) -> CallbackRequest:
    """Return a request to `/gateways/twilio/...` that a receiver got as the URL `base`."""
    method, target, _ = received.line.split()
    path, _, query = target.partition("?")
    return CallbackRequest(
        method,
        path.removeprefix("/gateways/twilio/"),
        base + target,
        tuple(parse_qsl(query, keep_blank_values=True)),
        received.headers,
        received.body,
        datetime.now(UTC),
    )


def get_base(receiver: Receiver) -> str:
    """Return the URL of a receiver without a path."""
    return f"http://127.0.0.1:{receiver.port}"
