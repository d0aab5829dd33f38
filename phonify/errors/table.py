"""Every error of the API: its type, its kind and its title.

The table below defines all error types. `http/errors.py` has the HTTP status of each kind.
"""

import enum
from typing import Literal, NamedTuple, get_args

MAX_BODY = 160  # characters (Unicode code points); the limit of a body if PHONIFY_MAX_BODY is not set
HIGHEST_MAX_BODY = 1_600  # characters

# The outcomes that a rule of the sandbox can have. A person can choose most of them for a single message.
RuleOutcome = Literal[
    "sent",
    "refused",
    "failed",
    "delayed",
    "unavailable",
    "unconfirmed",
    "delivered",
    "undelivered",
    "reply",
    "api_error",
    "api_slow",
]
OUTCOMES = get_args(RuleOutcome)


class Kind(enum.Enum):
    """The kind of an error."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    REFUSED = "refused"
    NOT_FOUND = "not found"
    METHOD_NOT_ALLOWED = "method not allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "too large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported media type"
    HEADERS_TOO_LARGE = "headers too large"
    TOO_MANY = "too many"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


class ErrorType(NamedTuple):
    """One row of the table of errors. `type` never changes. `title` is a text for people."""

    type: str
    kind: Kind
    title: str


_TITLES = {
    # The request can't be read, or an argument is missing or has the wrong form.
    Kind.INVALID: {
        "bad_request": "The request is not valid HTTP.",
        "malformed_json": "The body is not valid JSON in UTF-8.",
        "json_sent_as_form": (
            "The body is JSON, but it was sent as a form. Send the body with the header Content-Type: application/json."
        ),
        "json_not_object": 'The JSON body must be an object, such as {"to": "+14560000000"}.',
        "malformed_form": (
            "The form or the query string is not valid. Use percent-encoded UTF-8, or multipart with a boundary."
        ),
        "missing_argument": "This argument is missing. It is required.",
        "unknown_argument": "This request has no argument with this name. Nothing was done.",
        "repeated_argument": "This argument was given more than once. Give it once.",
        "invalid_msisdn": (
            "Not a valid E.164 number. Use the plus sign, country code and number, for example +14560000000."
        ),
        "invalid_originator": (
            "Not a valid sender. Use an E.164 number with the plus sign, a short code of 3 to 8 digits, or a name. A "
            "name has up to 11 printable characters of the GSM 7-bit alphabet. At least one of these characters is a "
            "letter."
        ),
        "too_many_recipients": "Too many recipients. Use at most 1,000 in one request.",
        "invalid_text": "Not a valid text. Use a string without NUL characters or unpaired surrogates.",
        "empty_text": "The text is empty. Use at least 1 character.",
        "text_too_long": (
            f"The text is too long. A body can have {MAX_BODY} characters. The setting PHONIFY_MAX_BODY can allow more."
        ),
        "invalid_limit": "The limit must be a whole number from 1 to 1000.",
        "invalid_offset": "The offset must be a whole number from 0 to 2147483647.",
        "invalid_wait": "The wait must be a number of seconds from 0 to 30.",
        "invalid_state": "The state must be one of these values: unconfirmed, sent, error.",
        "invalid_direction": "The direction must be one of these values: outbound, inbound.",
        "invalid_message_id": "Not a valid message id. Use the id of a message object.",
        "invalid_time": "Not a valid time. Use ISO 8601 with a time zone, for example 2026-01-31T09:30:00Z.",
        "invalid_idempotency_key": "The header Idempotency-Key must contain 1 to 255 printable ASCII characters.",
        "nothing_to_change": 'Nothing to change. Give at least one of these arguments: "body", "to", "send_at".',
        "invalid_webhook_url": (
            "Not a valid webhook URL. Use https:// or http:// and an allowed host. Leave out the user name and "
            "password."
        ),
        "invalid_form": (
            'The argument "form" must be "standard" or "twilio". Only a server with the Twilio-compatible API accepts '
            '"twilio".'
        ),
        "invalid_method": "The method must be GET or POST.",
        "invalid_keyword": (
            "Not valid keywords. Use at most 20 keywords. A keyword has 1 to 40 characters. Commas are not allowed. "
            "Punctuation alone is not a keyword. Do not use a keyword that already has another meaning, for example "
            "START or HELP."
        ),
        "reply_is_keyword": (
            "The text of the reply must not be a keyword. If a phone sent this keyword back to Phonify, Phonify would "
            "reply again. This exchange would never end."
        ),
        "invalid_name": "Not a valid name. Use 1 to 100 characters.",
        "invalid_auth_token": "Not a valid auth token. Use 1 to 64 printable ASCII characters without spaces.",
        "invalid_ttl": 'The argument "ttl" must be a whole number of seconds from 10 to 86400.',
        "invalid_duration": (
            "Not a valid duration. Use numbers with the units d, h, m and s, for example 24h, 1d12h or 90s."
        ),
        "by_or_to": 'Give exactly one of these two arguments: "by" (a duration) or "to" (a time).',
        # Rules of the sandbox.
        "invalid_match": (
            "Use a number or a sender. You can also write its first characters and then an asterisk. Examples: "
            "+14560000000, SHOP, +49*."
        ),
        "invalid_outcome": (
            f"Not a valid outcome. Use one of these values: {', '.join(OUTCOMES)}. A rule for received messages "
            'must have the outcome "reply". For a single message, these values are not allowed: refused, api_error, '
            "api_slow."
        ),
        "argument_without_effect": (
            "This argument has no effect with this outcome. Nothing was done. Leave out the argument."
        ),
        "invalid_error_type": (
            "A message can't have this error type. Use another type, for example unreachable_handset."
        ),
        "invalid_status": "The status must be 429, 500 or 503.",
        "invalid_count": "Not a valid number. Use a whole number from 1 to 1000000.",
        "invalid_share": "The share must be a percentage from 0.001 to 100.",
        "invalid_seed": "The seed must be a whole number from 0 to 2147483647.",
        "invalid_seconds": (
            "Not a valid number of seconds. Use a number from 0 to 1000000. For the outcome "
            '"api_slow", use a number from 0 to 30.'
        ),
        "invalid_scenario": (
            "Not a valid scenario. Use TOML with a table [[rules]] for each rule. Nothing else is allowed in the TOML."
        ),
    },
    # Authentication.
    Kind.UNAUTHORIZED: {
        "unauthorized": (
            "The API key is missing or not valid. Send the key as the username of HTTP Basic authentication, or in the "
            'argument "api_key".'
        ),
    },
    # The request is valid but did not complete as expected.
    Kind.REFUSED: {
        "invalid_number": "The gateway refuses this number as invalid.",
        "unroutable_number": "The gateway has no route to this number.",
        "country_not_permitted": "The account has no permission to send to this country.",
        "sender_not_permitted": "The gateway can't send from this sender.",
        "recipient_not_permitted": "This server sends only to the numbers that PHONIFY_ONLY_TO contains.",
        "message_not_waiting": (
            "Only a scheduled message can be changed or cancelled. After Phonify has begun to send a message, "
            "nobody can change or cancel the message."
        ),
        "message_not_final": (
            'This message is still being sent. You can redact or remove it when its state is "sent" or "error".'
        ),
        "canceled": "The message was cancelled before it was sent.",
        "queue_overflow": "The queue of messages from this sender is full.",
        "account_suspended": "The account was suspended before the message was sent.",
        "unreachable_handset": "The phone is switched off or can't be reached.",
        "unknown_handset": "The phone is unknown or no longer exists.",
        "filtered_by_carrier": "A carrier has filtered out the message.",
        "delivery_failed": "The message was not delivered. The reason is unknown.",
        "blocked_by_recipient": "The recipient has blocked messages from this sender.",
        "cannot_receive_sms": "This number cannot receive SMS.",
        "opted_out": "The recipient has opted out of messages from this account.",
        "quota_used_up": "The account has used up its quota of messages for today.",
        "validity_expired": "The validity period ended before the gateway confirmed the message.",
        "webhook_failed": "The account's webhook did not accept this message within a day.",
        "no_webhook": "The account has no webhook. Set a webhook URL first.",
        "no_release_gateway": "This server can't release messages, because PHONIFY_RELEASE_GATEWAY is not set.",
        "message_not_releasable": (
            "This message can't be released. You can release only an outbound message of the sandbox. The "
            'message must be in state "sent", and its body must not be empty.'
        ),
        "run_cannot_release": "A test run can't release messages. Use the key of an account.",
        "run_cannot_create_runs": (
            "A test run can't create test runs. Use the key of the account that created the test run."
        ),
        "clock_not_permitted": 'Only a key of the account "default" can change the clock of the server.',
        "clock_not_changeable": (
            "This server sends messages to phones, so its clock can't be changed. Use the setting "
            "PHONIFY_GATEWAY=stub, and remove PHONIFY_RELEASE_GATEWAY."
        ),
        "clock_only_forward": (
            "The given time is earlier than the current time of the clock. You can move the clock only forward. "
            "To return to the real time, reset the clock."
        ),
        "clock_too_far": "The clock can be at most 100 years ahead of the real time.",
        "too_many_rules": "An account can have at most 100 rules. Delete a rule first.",
        "message_not_open": (
            'You can set the outcome of an outbound message while its state is "unconfirmed". '
            "You can't set the outcome of a released copy, because another gateway sends this copy."
        ),
    },
    # The HTTP status alone already explains these errors.
    Kind.NOT_FOUND: {
        "not_found": "There is nothing at this address.",
    },
    Kind.METHOD_NOT_ALLOWED: {
        "method_not_allowed": "This address does not support this method. See the Allow header.",
    },
    Kind.TOO_LARGE: {
        "request_too_large": "The request is too large. A body can have at most 256 KiB and 1,100 fields.",
    },
    Kind.UNSUPPORTED_MEDIA_TYPE: {
        "unsupported_media_type": (
            "The body must be application/json, application/x-www-form-urlencoded or multipart/form-data."
        ),
        "unsupported_content_encoding": (
            "The body has a Content-Encoding, such as gzip. Send the body without compression."
        ),
    },
    Kind.HEADERS_TOO_LARGE: {
        "headers_too_large": (
            "The headers of the request are too large. Each header, for example Cookie, can have at most 32 KiB."
        ),
    },
    Kind.CONFLICT: {
        "idempotency_key_reused": (
            "This Idempotency-Key was already used with other arguments. For a new request, use a new Idempotency-Key."
        ),
        "clock_is_advancing": (
            "Another request or command is advancing the clock. Wait until it has finished, then try again."
        ),
    },
    Kind.TOO_MANY: {
        "too_many_waiting": (
            'Too many requests are waiting already. Try again later, or send the request without "wait".'
        ),
        "rate_limited": "Too many requests in this minute. See the Retry-After header.",
        "lab_running": "A webhook lab of the account is running. Wait until the lab has ended.",
        "too_many_runs": "The account has 100 test runs already. End one of these test runs, or try again later.",
    },
    Kind.INTERNAL: {
        "internal_error": "An unexpected error happened on the server. The log of the server has the details.",
    },
    Kind.UNAVAILABLE: {
        "store_unavailable": "The database can't be used at the moment. Nothing was stored. Try again.",
    },
}

ERROR_TYPES = {
    type_: ErrorType(type_, kind, title) for kind, titles in _TITLES.items() for type_, title in titles.items()
}

# The errors that a message can have. `schemas/twilio.py` has their codes.
MESSAGE_ERRORS = (
    "invalid_number",
    "unroutable_number",
    "country_not_permitted",
    "sender_not_permitted",
    "recipient_not_permitted",
    "canceled",
    "queue_overflow",
    "account_suspended",
    "unreachable_handset",
    "unknown_handset",
    "filtered_by_carrier",
    "delivery_failed",
    "blocked_by_recipient",
    "cannot_receive_sms",
    "opted_out",
    "quota_used_up",
    "validity_expired",
)
