"""Reads the request that creates a message. Phonify checks the parameters in the same order as Twilio.

If several parameters are wrong, Phonify returns the first error.

Each error has Twilio's code and Twilio's text.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from ...clock import parse_time
from ...http.arguments import read_fields
from ...schemas.fields import Recipient
from ...schemas.requests import Draft
from ...sms.numbers import Number, parse_msisdn, parse_originator
from ...sms.segments import replace_look_alikes
from ...storage.front_records import FrontMessage
from .errors import TwilioError

FRONT = "twilio"  # in the column `front`
MAX_BODY = 1_600  # characters
MAX_MEDIA = 10
MAX_VALIDITY = 36_000  # seconds
# Limits in characters. MOST_SHOWN is for a value in an error text. MOST_KEPT is for a stored parameter.
MOST_SHOWN, MOST_KEPT = 100, 200
SCHEDULE_FROM, SCHEDULE_UNTIL = timedelta(seconds=300), timedelta(days=35)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SENDER = re.compile(r"\+?[A-Za-z0-9 _&+-]+")

# Phonify stores and shows these parameters. Only ContentRetention has an effect: with the value `discard`, Phonify
# removes the body of a message in a final state.
KEPT = (
    "ProvideFeedback", "Attempt", "ContentRetention", "AddressRetention", "SendAsMms", "ShortenUrls", "MessageIntent",
    "RiskCheck", "TrafficType", "ForceDelivery", "MaxPrice", "PersistentAction", "ApplicationSid", "FallbackFrom",
    "ContentSid", "ContentVariables", "SmartEncoded",
)  # fmt: skip

# Twilio's documentation has these test numbers. MAGIC_SENDERS has the error codes of senders. MAGIC_RECIPIENTS has the
# error codes of recipients.
MAGIC_SENDERS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_RECIPIENTS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
# If Phonify's own rules refuse a recipient, Twilio's error code depends on the error type.
CODES = {
    "invalid_number": 21211,
    "unroutable_number": 21612,
    "country_not_permitted": 21408,
    "opted_out": 21610,
    "blocked_by_recipient": 21610,
    "cannot_receive_sms": 21614,
    "quota_used_up": 20429,
}
OTHER_CODE = 21612  # Twilio's error code for all other error types
_MESSAGES = {
    20429: "Too Many Requests",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {origin} is not a valid phone number, shortcode, or alphanumeric sender ID.",
    21266: "'To' and 'From' number cannot be the same: {to}",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: (
        "The From phone number {origin} is not a valid, SMS-capable inbound phone number"
        " or short code for your account."
    ),
    21609: "The 'StatusCallback' URL {url} is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "SMS queue is full.",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: {origin} via {way}.",
    21614: "To number: {to}, is not a mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21620: "The media URL {url} is not valid.",
    21623: "The number of media files is above the limit of 10.",
    21624: "The validity period must be from 1 to 36000 seconds.",
    21655: "The ContentSid is not valid.",
    21701: "The Messaging Service does not exist.",
    35111: "To schedule a message, use the parameter SendAt.",
    35114: "SendAt must be an ISO 8601 time, from 300 seconds to 35 days in the future.",
    35118: "A MessagingServiceSid is required to schedule a message.",
}
_STATUSES = {20429: 429, 21611: 429}


def cut(text: str, limit: int) -> str:
    """Return the first `limit` characters of a text. If the text is longer, an ellipsis is added."""
    return text if len(text) <= limit else f"{text[:limit]}…"


class Parameters:
    """The parameters of the current request. If a parameter is repeated, Phonify uses the last value.

    For the parameter MediaUrl, Phonify uses all values.
    """

    def __init__(self) -> None:
        self._fields = read_fields()

    def get(self, name: str) -> str:
        """Return the value of a parameter, or an empty text."""
        return next((value for given, value in reversed(self._fields) if given == name), "")

    def has(self, name: str) -> bool:
        """Return whether a parameter was given, even if its value is empty."""
        return any(given == name for given, _ in self._fields)

    def get_all(self, name: str) -> list[str]:
        """Return all values of a parameter, except empty values."""
        return [value for given, value in self._fields if given == name and value]

    def get_number(self, name: str) -> str:
        """Return a phone number. If a plus sign was not escaped, it arrives as a space."""
        value = self.get(name)
        return f"+{value[1:]}" if value.startswith(" ") else value

    def refuse(self, code: int, url: str = "") -> TwilioError:
        """Return the error with this code. The text of the error contains values of the parameters."""
        message = _MESSAGES[code].format(
            to=cut(self.get_number("To"), MOST_SHOWN),
            origin=cut(self.get_number("From"), MOST_SHOWN),
            url=cut(url, MOST_SHOWN),
            way="MMS" if self.get_all("MediaUrl") else "SMS",
        )
        return TwilioError(code, message, _STATUSES.get(code, 400))


def read_draft(given: Parameters, *, now: datetime, magic: bool, is_url: Callable[[str], bool]) -> Draft:
    """Read the message in a request. Raises TwilioError for the first error.

    If `magic` is true, the test numbers have their special meaning. `is_url` returns whether Phonify can post to a URL.
    """
    _require(given)
    to = _read_recipient(given, magic=magic)
    origin = _read_sender(given, magic=magic)
    if origin is not None and origin.number == to.number:
        raise given.refuse(21266)
    service_sid = given.get("MessagingServiceSid") or None
    callback = given.get("StatusCallback") or None
    if callback is not None and not is_url(callback):
        raise given.refuse(21609, callback)
    return Draft(
        to=[Recipient(to, "to")],
        body=_read_body(given),
        origin=origin,
        send_at=_read_send_at(given, now=now, service_sid=service_sid),
        validity=_read_validity(given),
        front=FrontMessage(
            service_sid=service_sid,
            status_callback=callback,
            media=_read_media(given),
            parameters={name: cut(given.get(name), MOST_KEPT) for name in KEPT if given.get(name)},
        ),
        front_name=FRONT,
    )


def _require(given: Parameters) -> None:
    if not given.get("To"):
        raise given.refuse(21604)
    if not given.get("From") and not given.get("MessagingServiceSid"):
        raise given.refuse(21603)
    if not given.get("Body") and not given.get_all("MediaUrl") and not given.get("ContentSid"):
        raise given.refuse(21602)
    if given.get("MessagingServiceSid") and not re.fullmatch("MG[0-9a-fA-F]{32}", given.get("MessagingServiceSid")):
        raise given.refuse(21701)


def _read_recipient(given: Parameters, *, magic: bool) -> Number:
    text = given.get_number("To")
    try:
        number = parse_msisdn(text)
    except ValueError as error:
        raise given.refuse(21211) from error
    if magic and number.number in MAGIC_RECIPIENTS:
        raise given.refuse(MAGIC_RECIPIENTS[number.number])
    return number


def _read_sender(given: Parameters, *, magic: bool) -> Number | None:
    text = given.get_number("From")
    if not text:
        return None
    try:
        number = parse_originator(text)
    except ValueError as error:
        raise given.refuse(21212) from error
    if not _SENDER.fullmatch(text):
        raise given.refuse(21212)
    if magic and number.number in MAGIC_SENDERS:
        raise given.refuse(MAGIC_SENDERS[number.number])
    return number


def _read_body(given: Parameters) -> str:
    body = given.get("Body")
    if given.get("ContentSid"):
        body = _describe_content(given)
    if _NO_TEXT.search(body):
        raise TwilioError(20001, "The body has a NUL character or an unpaired surrogate.")
    if given.get("SmartEncoded").lower() == "true":
        body = replace_look_alikes(body)
    if len(body) > MAX_BODY:
        raise given.refuse(21617)
    return body


def _describe_content(given: Parameters) -> str:
    """Return a text in place of a content template, because this server has no content templates."""
    sid = given.get("ContentSid")
    if not re.fullmatch("HX[0-9a-fA-F]{32}", sid):
        raise given.refuse(21655)
    try:
        variables = json.loads(given.get("ContentVariables") or "{}")
        shown = ", ".join(f"{name}={value}" for name, value in variables.items())
    except (ValueError, AttributeError, RecursionError) as error:
        raise TwilioError(21656, "The ContentVariables parameter is not a valid JSON object.") from error
    return f"[content {sid}: {shown}]" if shown else f"[content {sid}]"


def _read_media(given: Parameters) -> tuple[str, ...]:
    media = given.get_all("MediaUrl")
    if len(media) > MAX_MEDIA:
        raise given.refuse(21623)
    for url in media:
        if not is_media_url(url):
            raise given.refuse(21620, url)
    return tuple(media)


def is_media_url(url: str) -> bool:
    """Return whether a text is an absolute URL of a file. Phonify never fetches the file, so any host is allowed."""
    if not url.isprintable() or re.search(r"\s", url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _read_validity(given: Parameters) -> timedelta | None:
    text = given.get("ValidityPeriod")
    if not text:
        return timedelta(seconds=MAX_VALIDITY)
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= MAX_VALIDITY:
        raise given.refuse(21624)
    return timedelta(seconds=int(text))


def _read_send_at(given: Parameters, *, now: datetime, service_sid: str | None) -> datetime | None:
    """Return the time when the message must be sent. Without ScheduleType=fixed, SendAt has no effect."""
    if given.get("ScheduleType") != "fixed":
        return None
    if not given.get("SendAt"):
        raise given.refuse(35111)
    if service_sid is None:
        raise given.refuse(35118)
    try:
        moment = parse_time(given.get("SendAt").replace(" ", "+"))
    except ValueError as error:
        raise given.refuse(35114) from error
    if not now + SCHEDULE_FROM <= moment <= now + SCHEDULE_UNTIL:
        raise given.refuse(35114)
    return moment
