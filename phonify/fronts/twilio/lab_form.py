"""Imitates Twilio in the webhook lab: builds test requests in Twilio's format, and reads TwiML answers."""

import hashlib
import re
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode

from ...ids import is_auth_token
from ...lab.forms import AppUnderTest, LabEvent, ProviderForm, Reading, make_message
from ...outgoing.http_client import Answer, Request
from ...storage.front_records import FrontMessage
from .payloads import list_inbound_parameters, list_status_parameters
from .requests import TIMEOUT, build_request
from .twiml import MOST_TWIML, TwimlFault, read_answer

_STATUSES = {"error": "failed", "unknown": "lab_unknown"}


class TwilioForm(ProviderForm):
    """Builds requests for the webhook lab. The same functions also build real callbacks."""

    name = "twilio"
    title = "Twilio"
    limit = TIMEOUT
    signature = "X-Twilio-Signature"
    has_time = False
    repeats_refused = False
    statuses = ("error", "undelivered")

    def check_secret(self, secret: str) -> bool:
        """Return whether a string is valid as an auth token."""
        return is_auth_token(secret)

    def make_wrong_secret(self, secret: str) -> str:
        """Return a wrong auth token. It differs from `secret`."""
        return hashlib.sha256(secret.encode()).hexdigest()[:32]

    def write_message_id(self, message_id: str) -> str:
        """Return the SID of a message."""
        return f"SM{message_id.replace('-', '')}"

    def build_request(self, event: LabEvent, app: AppUnderTest, at: datetime) -> Request:  # noqa: ARG002 - no time is sent
        """Return a signed request.

        If the method is GET, the parameters are in the query string. Otherwise, the body contains the parameters as
        form data.
        """
        received = event.kind == "received"
        url, method = (app.url, app.method) if received else (app.status_url, "POST")
        request = build_request(
            method,
            url or "",
            _list_parameters(event, app),
            auth_token=app.secret,
            token=event.id,
            most_answer=MOST_TWIML + 1,
        )
        if event.respelled and isinstance(request.body, bytes):
            return request._replace(body=_respell(request.body))
        return request

    def read_answer(self, event: LabEvent, app: AppUnderTest, answer: Answer) -> Reading:
        """Read TwiML from the answer to a received message."""
        if event.kind != "received":
            return super().read_answer(event, app, answer)
        try:
            document = read_answer(answer, app.url or "")
        except TwimlFault as fault:
            return Reading(accepted=False, error=str(fault))
        replies = [reply.body for reply in document.replies]
        if document.redirect is not None:
            replies.append(f"<Redirect>{document.redirect.url}")
        return Reading(accepted=True, replies=tuple(replies))


def _list_parameters(event: LabEvent, app: AppUnderTest) -> dict[str, str]:
    message = make_message(event, app.account_id)
    if event.kind == "received":
        parameters = list_inbound_parameters(message)
    else:
        status = _STATUSES.get(event.kind, event.kind)
        parameters = list_status_parameters(message, FrontMessage(), status, event.at)
    return {**parameters, "LabParameter": "x" * event.extra} if event.extra else parameters


def _respell(body: bytes) -> bytes:
    """Change the encoding of a request body.

    The order of the parameters is reversed. Spaces become %20. Hexadecimal digits are written in lower case. The
    signature is made from the decoded parameters. So the signature is still valid.
    """
    pairs = reversed(parse_qsl(body.decode(), keep_blank_values=True))
    encoded = urlencode(list(pairs), quote_via=quote, safe="")
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded).encode()
