"""Shared parts of the OpenAPI document: texts, headers, path parameters and common errors."""

from typing import Any

from ...request_id import HEADER as REQUEST_ID
from ...schemas.fields import MESSAGE_ID, MSISDN, RUN_ID

Json = dict[str, Any]

# Errors that any request with a key may get, in addition to the errors of its view.
ALWAYS = (
    "bad_request",
    "malformed_json",
    "json_not_object",
    "malformed_form",
    "json_sent_as_form",
    "unauthorized",
    "request_too_large",
    "unsupported_media_type",
    "unsupported_content_encoding",
    "rate_limited",
    "internal_error",
    "store_unavailable",
)
# The path parameters, and the error types that they may cause.
PARTS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "message_id": ({"description": "The message's `id`.", "schema": MESSAGE_ID}, ("not_found",)),
    "run_id": ({"description": "The run's `id`.", "schema": RUN_ID}, ("not_found",)),
    "rule_id": ({"description": "The rule's `id`.", "schema": RUN_ID}, ("not_found",)),
    "msisdn": (
        {"description": "A number in E.164 with the plus sign.", "schema": MSISDN},
        ("invalid_msisdn", "not_found"),
    ),
}
_ONLY_SANDBOX = "These paths exist only in a sandbox. A sandbox is a server whose gateway sends nothing to phones."
TAGS = {
    "messages": "Send, find, change and cancel messages. Sent and received messages are the same kind of object.",
    "phones": "Get facts about a number, and list the phones of the account.",
    "subscriptions": (
        "Find out whether a phone has opted out. If a phone sends STOP, the phone opts out. If the phone sends START"
        " later, the phone opts in."
    ),
    "webhook": "Set the URL for the account's events, get the signing secret, and post a test event.",
    "sandbox": "These paths exist only with a gateway that sends nothing, such as the stub.",
    "test_messages": f"Read and remove messages in a test. {_ONLY_SANDBOX}",
    "test_problems": f"Find out why no message arrived. {_ONLY_SANDBOX}",
    "test_rules": f"Decide what happens to messages and requests. {_ONLY_SANDBOX}",
    "test_runs": "Create an account for each test run. Parallel runs do not see each other's messages.",
    "test_lab": "Try the account's webhook with repeated, forged and damaged events. The lab exists only in a sandbox.",
    "test_clock": f"Control the server's clock in a test: stop the clock, or advance it. {_ONLY_SANDBOX}",
    "test_twilio": f"Set up the Twilio-compatible API of the account. {_ONLY_SANDBOX}",
    "openapi": "Get this description of the API.",
}
HEADERS: Json = {
    "Location": {
        "description": "The URL of the message. If the request has several recipients, this header is missing.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` if Phonify repeats a stored answer. An earlier request had the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Wait this number of seconds before the next request.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "`Basic`.", "required": True, "schema": {"type": "string"}},
    REQUEST_ID: {
        "description": "The id of the request. If the request's header has no valid id, Phonify makes a new id.",
        "required": True,
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": (
            "This header exists only if the account has a rate limit. "
            '`"default";r=58;t=30` means that 58 more requests are allowed in the next 30 seconds.'
        ),
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": (
            "This header exists only if the account has a rate limit. "
            '`"default";q=60;w=60` means that 60 requests are allowed in 60 seconds.'
        ),
        "schema": {"type": "string"},
    },
}
REQUEST_ID_PARAMETER: Json = {
    "in": "header",
    "name": REQUEST_ID,
    "required": False,
    "description": (
        "An id for the request. Use 1 to 64 ASCII letters, digits, `.`, `_`, `:` and `-`. The answer and the log show "
        "this id. If the value breaks these rules, Phonify makes a new id instead."
    ),
    "schema": {"type": "string"},
}
RATE_HEADERS = ("RateLimit", "RateLimit-Policy")
HEADERS_BY_STATUS = {
    201: ("Location", "Idempotent-Replayed"),
    401: ("WWW-Authenticate",),
    402: ("Idempotent-Replayed",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
TEXT = """\
Send and receive text messages.

**Key.** Every request needs an API key. Send the key as the username of HTTP Basic, with any password. Or send it as
the argument `api_key` in the query string, the form or the JSON object. If there is an `Authorization` header, the
argument is ignored.

**Arguments** are in the query string, in a form (urlencoded or multipart) or in a JSON object. If an argument is in the
query string and in the body, the value in the body is used. Unknown arguments are ignored. JSON `null` means that the
argument is not given. In a query string or a form, write the plus sign of a number as `%2B`. A space at the beginning
of a number is read as a plus sign. A slash at the end of an address makes no difference.

**Answers** are always JSON. Later versions may add attributes.

**Errors** are `{"errors": [{"type": "...", "title": "...", "param": "..."}]}`. `type` never changes. `title` is for
people. `param` is the argument with the error. One answer lists all errors of a request. 402 means that the request is
valid, but Phonify refused the request or a part of it.

**DESTROY.** The method `DESTROY` does the same as `DELETE`.

**Sending again.** With the header `Idempotency-Key`, you can safely repeat a request that sends messages. For 24 hours,
a request with the same key and the same arguments gets the first answer again.
"""
