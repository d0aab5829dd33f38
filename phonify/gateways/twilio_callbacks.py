"""Reads the requests that Twilio posts to `/gateways/twilio/...`. All these requests are signed.

A request contains one of two things: a status report, or a message from a phone.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from ..ids import is_message_id
from ..outgoing.twilio_signature import sign
from .events import (
    CallbackAnswer,
    CallbackRequest,
    Forged,
    Heard,
    Receipt,
    ReceiptStatus,
    Received,
    Unreadable,
    read_json_object,
)
from .twilio_codes import choose_error_type, read_code
from .variables import Secret

PATH = "/gateways/twilio/"
# If a callback URL ends with this fragment, Twilio retries the callback 5 times. Twilio's request and its signature do
# not contain the fragment.
RETRIES = "#rc=5&rp=ct,rt,5xx"
MOST_FIELDS = 200
NO_REPLY = CallbackAnswer(200, "<Response/>", "text/xml; charset=utf-8")

FAILED = frozenset({"failed", "undelivered", "canceled"})
_STATUSES: dict[str, ReceiptStatus] = {
    "accepted": "sent",
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "partially_delivered": "sent",
    "delivered": "delivered",
    "read": "delivered",
    **dict.fromkeys(FAILED, "undelivered"),
}


class Callbacks:
    """Reads Twilio's requests for one account. Without a public URL, no requests are accepted."""

    def __init__(self, public_url: str, auth_tokens: Sequence[Secret]) -> None:
        self._public_url = public_url
        self._auth_tokens = auth_tokens
        self._forms = _list_forms(public_url)

    def write_callback(self, message_id: str) -> str | None:
        """Return the callback URL of a message, or None if there is no public URL."""
        return f"{self._public_url}{PATH}status/{message_id}{RETRIES}" if self._public_url else None

    def hear(self, request: CallbackRequest) -> Heard:
        """Check the signature of a request, and read the request."""
        parameters = self._read_signed(request)
        kind, _, message_id = request.path.partition("/")
        if kind == "status" and is_message_id(message_id):
            return Heard(_read_status(message_id, parameters), CallbackAnswer(204))
        if request.path == "received":
            return Heard([_read_received(parameters)], NO_REPLY)
        raise Unreadable("there is nothing at this address")

    def _read_signed(self, request: CallbackRequest) -> dict[str, str]:
        """Return the parameters in the query and in the body."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == "application/x-www-form-urlencoded":
            form = _read_form(request.body)
            self._check_signature(request, form)
            return {**dict(request.query), **dict(form)}
        self._check_signature(request, ())
        query = dict(request.query)
        if not request.body:
            return query
        # If the body is not a form, the signed URL contains its hash.
        if not _is_same(hashlib.sha256(request.body).hexdigest(), query.get("bodySHA256", "")):
            raise Forged("the body is not signed")
        content = read_json_object(request.body)
        return {**query, **{name: value for name, value in content.items() if isinstance(value, str)}}

    def _check_signature(self, request: CallbackRequest, form: Sequence[tuple[str, str]]) -> None:
        given = request.headers.get("x-twilio-signature", "")
        if not self._public_url or not request.url.startswith(self._public_url):
            raise Forged("callbacks need PHONIFY_PUBLIC_URL")
        rest = request.url.removeprefix(self._public_url)
        try:
            expected = [sign(token.reveal(), url + rest, form) for token in self._auth_tokens for url in self._forms]
        except ValueError as error:  # unpaired surrogates
            raise Forged("the signature is wrong") from error
        if not any(_is_same(one, given) for one in expected):
            raise Forged("the signature is wrong" if given else "the header X-Twilio-Signature is missing")


def _list_forms(url: str) -> list[str]:
    """Return two URLs: one without a port, and one with a port. Twilio has signed one of these URLs."""
    parts = urlsplit(url)
    bare = parts.netloc.removesuffix(f":{parts.port}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return [parts._replace(netloc=netloc).geturl() for netloc in (bare, f"{bare}:{port}")]


def _is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _read_form(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form, including empty fields. Twilio signs all fields, even empty fields."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Unreadable("the body is not a form") from error


def make_receipt(
    message_id: str, sid: str, status: str, code: int | None, at: datetime | None = None
) -> Receipt | None:
    """Convert a status of Twilio to a receipt. Returns None if the status is unknown."""
    meaning = _STATUSES.get(status)
    if meaning is None:
        return None
    failed = meaning == "undelivered"
    error_type = "canceled" if status == "canceled" else choose_error_type(code)
    return Receipt(
        meaning,
        message_id=message_id,
        reference=sid,
        error_type=error_type if failed else None,
        code=str(code) if failed and code else status,
        at=at,
        event_id=f"{sid}:{status}",
    )


def _read_status(message_id: str, parameters: dict[str, str]) -> list[Receipt]:
    sid, status = _require(parameters, "MessageSid"), _require(parameters, "MessageStatus")
    receipt = make_receipt(message_id, sid, status, read_code(parameters.get("ErrorCode")))
    return [receipt] if receipt else []


def _read_received(parameters: dict[str, str]) -> Received:
    sid, sender = _require(parameters, "MessageSid"), _require(parameters, "From")
    return Received(sender, parameters.get("Body", ""), event_id=sid, to=parameters.get("To") or None)


def _require(parameters: dict[str, str], name: str) -> str:
    if not parameters.get(name):
        raise Unreadable(f"{name} is missing")
    return parameters[name]
