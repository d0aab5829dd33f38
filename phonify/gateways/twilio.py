"""The gateway `twilio`. It works with Twilio, and with other services that offer Twilio's API at their own URL.

To send a message, the gateway uses `POST /2010-04-01/Accounts/{AccountSid}/Messages.json`. `twilio_callbacks.py` reads
the requests that Twilio posts to Phonify.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlencode, urlsplit

from ..ids import read_time
from ..outgoing.http_client import Answer, Request
from .base import Doubt, GatewayFault, Later, Limits, OutboundMessage, Outcome, Refused, Taken
from .events import CallbackRequest, Heard, Receipt
from .over_http import HttpGateway, encode_credentials, read_object
from .twilio_callbacks import FAILED, Callbacks, make_receipt
from .twilio_codes import (
    ERROR_TYPES,
    OTHER_ERROR_TYPE,
    PAUSING,
    QUEUE_OF_SENDER_FULL,
    UNCLEAR,
    choose_error_type,
    read_code,
)
from .variables import Secret, Variables

DEFAULT_URL = "https://api.twilio.com"
PREFIX = "PHONIFY_TWILIO_GATEWAY_"
LONGEST_VALIDITY = 36_000  # seconds
MOST_ANSWER = 65_536  # bytes for one message in an answer; JSON escapes make the text longer
MOST_LISTED = 100
SKEW = timedelta(minutes=1)  # between the clock of the service and ours
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a SID from Twilio has two letters and 32 hexadecimal digits
_CONCERN_ALL = (401, 404, 407, 429)  # HTTP statuses


class Account(NamedTuple):
    """The account at the service."""

    sid: str
    auth_token: Secret
    key_sid: str  # the SID of an API key; if it is empty, Phonify sends with the auth token
    key_secret: Secret
    messaging_service_sid: str
    url: str


class TwilioGateway(HttpGateway):
    """Sends through Twilio. Twilio does not recognise a repeated message, so a message in doubt is not sent again."""

    name = "twilio"
    can_look_up = True
    limits = Limits(calls=10)
    variables = tuple(
        PREFIX + name
        for name in (
            "ACCOUNT_SID",
            "AUTH_TOKEN",
            "AUTH_TOKEN_FILE",
            "SECONDARY_AUTH_TOKEN",
            "SECONDARY_AUTH_TOKEN_FILE",
            "KEY_SID",
            "KEY_SECRET",
            "KEY_SECRET_FILE",
            "MESSAGING_SERVICE_SID",
            "URL",
            "NUMBER",
        )
    )

    def __init__(self, account: Account, callbacks: Callbacks, number: str | None = None) -> None:
        self._account = account
        self._callbacks = callbacks
        self.number = number
        self.peer = urlsplit(account.url).netloc

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from `environ`, and create the gateway. Raises ValueError with one line for each error."""
        given = Variables(environ, PREFIX)
        public_url = environ.get("PHONIFY_PUBLIC_URL", "").rstrip("/")
        sid, key_sid = given.read("ACCOUNT_SID"), given.read("KEY_SID", "")
        key_secret = given.read_secret("KEY_SECRET", required=bool(key_sid))
        if key_secret and not key_sid:
            given.add_error("KEY_SID", "is missing. If KEY_SECRET is set, KEY_SID must be set")
        service = given.read("MESSAGING_SERVICE_SID", "")
        for name, text in (("ACCOUNT_SID", sid), ("KEY_SID", key_sid), ("MESSAGING_SERVICE_SID", service)):
            if text and not _SID.fullmatch(text):
                given.add_error(name, "must be a SID, for example AC followed by 32 hexadecimal digits")
        # Phonify checks signatures with the auth token. The token is required if there are callbacks, or if there is no
        # API key.
        auth_token = given.read_secret("AUTH_TOKEN", required=bool(public_url) or not key_sid)
        secondary = given.read_secret("SECONDARY_AUTH_TOKEN", required=False)
        url, number = given.read_url("URL", DEFAULT_URL), given.read_number("NUMBER")
        given.finish()
        account = Account(sid, auth_token, key_sid, key_secret, service, url)
        return cls(account, Callbacks(public_url, [token for token in (auth_token, secondary) if token]), number)

    # Sending

    def build_request(self, message: OutboundMessage) -> Request:
        """Return the request that sends a message."""
        fields = {
            "To": message.to,
            "From": message.origin,
            "Body": message.body,
            "ValidityPeriod": str(max(1, min(int(message.validity), LONGEST_VALIDITY))),
        }
        if self._account.messaging_service_sid:
            fields["MessagingServiceSid"] = self._account.messaging_service_sid
        if callback := self._callbacks.write_callback(message.id):
            fields["StatusCallback"] = callback
        request = self._build("POST", "/Messages.json")
        headers = {**request.headers, "Content-Type": "application/x-www-form-urlencoded"}
        return request._replace(body=urlencode(fields).encode(), headers=headers)

    def _build(self, method: str, path: str, *, as_account: bool = False) -> Request:
        """Return a request. Its credentials are the API key or the auth token.

        The auth token is used if there is no API key, or if `as_account` is true.
        """
        account = self._account
        user, password = account.sid, account.auth_token
        if account.key_sid and not as_account:
            user, password = account.key_sid, account.key_secret
        headers = {"Authorization": f"Basic {encode_credentials(user, password)}", "Accept": "application/json"}
        url = f"{account.url}/2010-04-01/Accounts/{account.sid}{path}"
        return Request(method, url, None, headers, most_answer=MOST_ANSWER)

    def judge(self, message: OutboundMessage, answer: Answer) -> Outcome:  # noqa: ARG002 - the answer says it all
        """Convert an answer to an outcome.

        The error code in the answer decides the outcome. If the code is missing or unknown, the HTTP status decides.
        """
        content = read_object(answer)
        if 200 <= answer.status < 300:
            return _judge_message(content)
        code = read_code(content.get("code"))
        return _judge_code(code, answer.retry_after) or _judge_status(answer, code)

    # Asking

    def look_up(self, message: OutboundMessage, references: Sequence[str]) -> Sequence[Receipt]:
        """Ask Twilio for the receipts of a message.

        `references` contains SIDs. If it is empty, look for a message with the same sender, recipient and text. In this
        case, if several messages match, return no receipt.
        """
        if not references:
            return self._find(message)
        found = [self._fetch(f"/Messages/{quote(sid, safe='')}.json", missing_allowed=True) for sid in references]
        return [receipt for resource in found if (receipt := _read_receipt(message.id, resource))]

    def _find(self, message: OutboundMessage) -> Sequence[Receipt]:
        since = read_time(message.id) - SKEW
        query = urlencode({"To": message.to, "DateSent>": f"{since:%Y-%m-%dT%H:%M:%SZ}", "PageSize": MOST_LISTED})
        content = self._fetch("/Messages.json", query=query)
        listed = content.get("messages")
        if not isinstance(listed, list) or content.get("next_page_uri"):
            return []
        wanted = (message.to, message.origin, message.body)
        objects = [one for one in listed if isinstance(one, dict)]
        same = [one for one in objects if (one.get("to"), one.get("from"), one.get("body")) == wanted]
        receipt = _read_receipt(message.id, same[0]) if len(same) == 1 else None
        return [receipt] if receipt else []

    def probe(self) -> str:
        """Check the credentials.

        If there is an auth token, the method uses it to read the account's data. If there is an API key, the method
        uses it to read the latest message.
        """
        found = []
        if self._account.key_sid:
            self._fetch("/Messages.json", query="PageSize=1")
            found.append("the API key is accepted")
        if self._account.auth_token:
            content = self._fetch(".json", as_account=True)
            if content.get("status") != "active":
                raise GatewayFault("the account is not active")
            found.append("the account is active" + (", for trial" if content.get("type") == "Trial" else ""))
        return "; ".join(found)

    def _fetch(
        self, path: str, *, query: str = "", as_account: bool = False, missing_allowed: bool = False
    ) -> dict[str, Any]:
        """Fetch a JSON object from the service. If `missing_allowed` is true, return an empty object for status 404."""
        request = self._build("GET", path, as_account=as_account)
        answer = self.ask(request._replace(query=query, most_answer=MOST_ANSWER * (MOST_LISTED if query else 1)))
        content = read_object(answer)
        if answer.status == 200 and content:
            return content
        code = read_code(content.get("code"))
        if missing_allowed and answer.status == 404:
            return {}
        raise GatewayFault(f"{PAUSING[code]} ({code})" if code in PAUSING else _describe(answer, code))

    def hear(self, request: CallbackRequest) -> Heard:
        """Check the signature of a request, and read its content.

        A request reports the status of a message, or contains a received message.
        """
        return self._callbacks.hear(request)


def _judge_message(content: Mapping[str, Any]) -> Outcome:
    sid, code = content.get("sid"), read_code(content.get("error_code"))
    if content.get("status") in FAILED:
        return Refused(choose_error_type(code), str(code or ""))
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        return Doubt("the answer contains no valid SID of a message")
    return Taken((sid,))


def _judge_code(code: int | None, retry_after: float | None) -> Outcome | None:
    """Return the outcome for Twilio's error code. If the outcome depends on the HTTP status, return None."""
    if code == QUEUE_OF_SENDER_FULL:
        return Later(retry_after, reason=f"the queue of the sender is full ({code})")
    if code in PAUSING:
        return Later(retry_after, pause=True, reason=f"{PAUSING[code]} ({code})")
    if code in ERROR_TYPES and code not in UNCLEAR:
        return Refused(ERROR_TYPES[code], str(code))
    return None


def _judge_status(answer: Answer, code: int | None) -> Outcome:
    reason = _describe(answer, code)
    if answer.status >= 500 or answer.status == 408 or code in UNCLEAR:
        return Doubt(reason, pause=code not in UNCLEAR)
    if answer.status < 400 or answer.status in _CONCERN_ALL or (answer.status == 403 and code is not None):
        return Later(answer.retry_after, pause=True, reason=reason)
    if code is None:  # a proxy has answered, so the message did not reach the service
        return Later(answer.retry_after, reason=reason)
    return Refused(OTHER_ERROR_TYPE, str(code))


def _read_receipt(message_id: str, resource: Mapping[str, Any]) -> Receipt | None:
    """Make a receipt. `resource` is Twilio's JSON object for the message. `message_id` is Phonify's id."""
    sid, status = resource.get("sid"), resource.get("status")
    if not isinstance(sid, str) or not isinstance(status, str):
        return None
    at = _read_date(resource.get("date_updated"))
    return make_receipt(message_id, sid, status, read_code(resource.get("error_code")), at)


def _read_date(value: object) -> datetime | None:
    """Read a time in the form of RFC 2822, and return it in UTC.

    Returns None if the text is not valid or has no time zone.
    """
    try:
        moment = parsedate_to_datetime(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _describe(answer: Answer, code: int | None) -> str:
    return f"HTTP status {answer.status}" + (f", code {code}" if code is not None else "")
