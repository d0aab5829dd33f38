"""Every error the API can name: its stable type and its title.

The table below is the only place where an error type is defined. A `Kind` says what sort of
error it is; which HTTP status that means is known to `api/error_handlers.py` alone.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Kind(enum.Enum):
    """What sort of error a type is."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    REFUSED = "refused"
    NOT_FOUND = "not found"
    METHOD_NOT_ALLOWED = "method not allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "too large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported media type"
    TOO_MANY = "too many"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class ErrorType:
    """One row of the table: `type` never changes, `title` is for people."""

    type: str
    kind: Kind
    title: str


_TABLE = (
    # The request can't be read, or an argument is missing or has the wrong form.
    ("bad_request", Kind.INVALID, "The request could not be read as HTTP."),
    ("malformed_json", Kind.INVALID, "The body is not valid JSON in UTF-8."),
    ("json_not_object", Kind.INVALID, 'The JSON body must be an object, such as {"to": "+14560000000"}.'),
    (
        "malformed_form",
        Kind.INVALID,
        "The form or query could not be read; it must be percent-encoded UTF-8, or multipart with a boundary.",
    ),
    ("missing_argument", Kind.INVALID, "This argument is required and was not given."),
    ("repeated_argument", Kind.INVALID, "This argument was given more than once; give it once."),
    (
        "invalid_msisdn",
        Kind.INVALID,
        "This is no E.164 number; give country code and number with the plus sign, such as +14560000000.",
    ),
    (
        "invalid_originator",
        Kind.INVALID,
        (
            "This is no sender; give an E.164 number with the plus sign, a short code of 3 to 8 digits, "
            "or up to 11 letters, digits and spaces with at least one letter."
        ),
    ),
    ("too_many_recipients", Kind.INVALID, "One request takes at most 1,000 recipients; split the list."),
    ("invalid_text", Kind.INVALID, "Text must be a string without NUL characters or unpaired surrogates."),
    ("empty_text", Kind.INVALID, "This text is empty; give at least 1 character."),
    ("text_too_long", Kind.INVALID, "This text is too long; give at most 160 characters."),
    ("invalid_limit", Kind.INVALID, "The limit must be a whole number from 1 to 1000."),
    ("invalid_offset", Kind.INVALID, "The offset must be a whole number from 0 to 2147483647."),
    ("invalid_wait", Kind.INVALID, "The wait must be a number of seconds from 0 to 30."),
    ("invalid_state", Kind.INVALID, "The state must be one of unconfirmed, sent and error."),
    ("invalid_direction", Kind.INVALID, "The direction must be outbound or inbound."),
    ("invalid_message_id", Kind.INVALID, "This is no message id; give the id of a message object."),
    (
        "invalid_time",
        Kind.INVALID,
        "This is no time; give ISO 8601 with a time zone, such as 2026-01-31T09:30:00Z.",
    ),
    (
        "invalid_idempotency_key",
        Kind.INVALID,
        "The Idempotency-Key header must be 1 to 255 printable ASCII characters.",
    ),
    ("nothing_to_change", Kind.INVALID, "Nothing to change; give at least one of body, to and send_at."),
    (
        "invalid_webhook_url",
        Kind.INVALID,
        "This URL can't be posted to; give https:// or http:// and an allowed host, without user name and password.",
    ),
    (
        "invalid_keyword",
        Kind.INVALID,
        (
            "These are no keywords; give at most 20, each of 1 to 40 characters without commas, none of them only "
            "punctuation or one that opts in or asks for help."
        ),
    ),
    (
        "reply_is_keyword",
        Kind.INVALID,
        "A reply must not be a keyword itself: a phone that sends it back would be answered again and again.",
    ),
    # Authentication.
    (
        "unauthorized",
        Kind.UNAUTHORIZED,
        "No valid API key; send it as the username of HTTP Basic authentication or as the argument api_key.",
    ),
    # Valid, but did not complete as expected.
    ("invalid_number", Kind.REFUSED, "The gateway refuses this number as invalid."),
    ("unroutable_number", Kind.REFUSED, "The gateway has no route to this number."),
    ("country_not_permitted", Kind.REFUSED, "The account has no permission to send to this country."),
    ("message_not_waiting", Kind.REFUSED, "The message no longer waits for its time; it is too late to change it."),
    ("blocked_by_recipient", Kind.REFUSED, "The recipient has blocked messages from this sender."),
    ("cannot_receive_sms", Kind.REFUSED, "This number cannot receive SMS."),
    ("opted_out", Kind.REFUSED, "The recipient has opted out of messages from this account."),
    ("quota_used_up", Kind.REFUSED, "The account's quota of messages for today is used up."),
    ("validity_expired", Kind.REFUSED, "The validity period ended before the message was confirmed as sent."),
    ("webhook_failed", Kind.REFUSED, "The account's webhook did not take this message for a day."),
    ("no_webhook", Kind.REFUSED, "The account has no webhook; set its URL first."),
    # As in HTTP.
    ("not_found", Kind.NOT_FOUND, "There is nothing at this address."),
    ("method_not_allowed", Kind.METHOD_NOT_ALLOWED, "This address does not take this method; see the Allow header."),
    ("request_too_large", Kind.TOO_LARGE, "The request is too large; a body may have 256 KiB and 1,100 fields."),
    (
        "unsupported_media_type",
        Kind.UNSUPPORTED_MEDIA_TYPE,
        "The body must be application/json, application/x-www-form-urlencoded or multipart/form-data.",
    ),
    (
        "idempotency_key_reused",
        Kind.CONFLICT,
        "This Idempotency-Key was already used with other arguments; use a new key for a new request.",
    ),
    ("too_many_waiting", Kind.TOO_MANY, "Too many requests are waiting already; try again later or without wait."),
    (
        "rate_limited",
        Kind.TOO_MANY,
        "The account has made too many requests in this minute; see the Retry-After header.",
    ),
    ("internal_error", Kind.INTERNAL, "Something went wrong on the server; it has been logged."),
    ("store_unavailable", Kind.UNAVAILABLE, "The database can't take it just now; nothing was stored, try again."),
)

ERROR_TYPES: dict[str, ErrorType] = {type_: ErrorType(type_, kind, title) for type_, kind, title in _TABLE}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: a type of the table, and the argument it is about, if any."""

    type: str
    param: str | None = None

    def __post_init__(self) -> None:
        if self.type not in ERROR_TYPES:
            raise LookupError(f"unknown error type {self.type!r}")

    @property
    def kind(self) -> Kind:
        """What sort of error it is."""
        return ERROR_TYPES[self.type].kind

    @property
    def title(self) -> str:
        """The plain English sentence."""
        return ERROR_TYPES[self.type].title

    def to_dict(self) -> dict[str, Any]:
        """Return it as the API shows it: `type`, `title` and, where it has one, `param`."""
        shown = {"type": self.type, "title": self.title}
        if self.param is not None:
            shown["param"] = self.param
        return shown


# The types of errors that the framework or the server has found, by HTTP status.
_TYPES_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
}


def fault_for_status(status: int) -> Fault:
    """Return the fault of an error that the framework or the server has found."""
    return Fault(_TYPES_BY_STATUS.get(status, "bad_request"))


class PhonifyError(Exception):
    """Base of all errors of the domain: one or more faults of the same kind."""

    retry_after: int | None = None  # seconds after which trying again may help

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(", ".join(fault.type for fault in faults))
        self.faults = list(faults)


class InvalidRequest(PhonifyError):
    """The request can't be read, or an argument is missing or has the wrong form."""


class NotFound(PhonifyError):
    """There is no such thing, or it is another account's."""

    def __init__(self) -> None:
        super().__init__([Fault("not_found")])


class Refused(PhonifyError):
    """The request is valid but did not complete as expected."""


class Conflict(PhonifyError):
    """The request contradicts an earlier one."""


class TooManyWaiting(PhonifyError):
    """All places for waiting requests are taken."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__([Fault("too_many_waiting")])


class RateLimited(PhonifyError):
    """The account has used up its requests for this minute."""

    def __init__(self, retry_after: int) -> None:
        super().__init__([Fault("rate_limited")])
        self.retry_after = retry_after


class StoreUnavailable(PhonifyError):
    """The database can't take it just now; nothing was stored."""

    retry_after = 2

    def __init__(self) -> None:
        super().__init__([Fault("store_unavailable")])
