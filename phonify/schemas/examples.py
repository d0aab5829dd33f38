"""Examples in the API's description. An example has a request and its answer. Tests check all the examples."""

from typing import Any

from ..errors import Fault
from .description import Example

MESSAGE_ID = "019c1353-98c0-7000-8000-5c0ffee00001"
_APP = {"number": "+15005550006", "country": "US", "carrier": None}
_PHONE = {"number": "+14560000000", "country": "US", "carrier": None}
_LATER = "2030-01-01T09:00:00.000Z"

MESSAGE: dict[str, Any] = {
    "id": MESSAGE_ID,
    "body": "Your Acme code is 482193",
    "to": "+14560000000",
    "origin": _APP,
    "phone": _PHONE,
    "state": "unconfirmed",
    "created_at": "2026-01-31T09:30:00.000Z",
    "direction": "outbound",
    "segments": 1,
    "encoding": "gsm7",
}
SCHEDULED = {**MESSAGE, "send_at": _LATER}
_SENT = {**MESSAGE, "state": "sent"}
_UNROUTABLE = Fault("unroutable_number").to_dict()
_REFUSED = {
    **MESSAGE,
    "id": "019c1353-98c0-7000-8000-5c0ffee00002",
    "to": "+15005550002",
    "phone": {"number": "+15005550002", "country": "US", "carrier": None},
    "state": "error",
    "errors": [_UNROUTABLE],
}
_SUBSCRIPTION = {**_PHONE, "subscribed": True, "changed_at": None, "reason": None}
_AT_MESSAGE = {"message_id": MESSAGE_ID}
_AT_PHONE = {"msisdn": "+14560000000"}

SEND = (
    Example(
        "One recipient",
        status=201,
        arguments={"to": "+14560000000", "body": "Your Acme code is 482193"},
        answer={"messages": [MESSAGE], "message": MESSAGE},
    ),
    Example(
        "Scheduled",
        status=201,
        arguments={"to": "+14560000000", "body": "Your Acme code is 482193", "send_at": "2030-01-01T10:00:00+01:00"},
        answer={"messages": [SCHEDULED], "message": SCHEDULED},
    ),
    Example(
        "Two recipients, one with an unroutable number",
        status=402,
        arguments={"to": ["+14560000000", "+15005550002"], "body": "Your Acme code is 482193"},
        answer={"messages": [MESSAGE, _REFUSED], "errors": [{**_UNROUTABLE, "param": "to[1]"}]},
    ),
)
LIST = (
    Example(
        "Wait for a text",
        arguments={"to": "+14560000000", "q": "code", "wait": 10},
        answer={"messages": [_SENT]},
    ),
    Example("The latest two", arguments={"limit": 2}, answer={"messages": [_SENT]}),
)
GET = (Example("A message", path=_AT_MESSAGE, answer={"message": _SENT}),)
CHANGE = (
    Example(
        "Another text",
        path=_AT_MESSAGE,
        arguments={"body": "See you at ten"},
        answer={"message": {**SCHEDULED, "body": "See you at ten"}},
    ),
)
CANCEL = (Example("A scheduled message", path=_AT_MESSAGE, answer={"message": SCHEDULED}),)

PHONE = (
    Example(
        "A landline",
        path={"msisdn": "+442083661177"},
        answer={
            "phone": {
                "number": "+442083661177",
                "country": "GB",
                "carrier": None,
                "type": "fixed_line",
                "valid": True,
                "subscribed": True,
            }
        },
    ),
)
PHONES = (
    Example(
        "The latest ten",
        arguments={"limit": 10},
        answer={"phones": [{**_PHONE, "type": "unknown", "valid": False, "subscribed": True}]},
    ),
)
SUBSCRIPTION = (Example("A phone without an opt-out", path=_AT_PHONE, answer={"subscription": _SUBSCRIPTION}),)
SUBSCRIPTIONS = (Example("The latest ten", arguments={"limit": 10}, answer={"subscriptions": [_SUBSCRIPTION]}),)
UNSUBSCRIBE = (Example("A phone", path=_AT_PHONE, answer={"result": "OK"}),)

_WEBHOOK = {
    "webhook": {
        "url": "https://example.com/sms",
        "secret": "whsec_UGhvbmlmeSBleGFtcGxlOiBzZWNyZXQu",
        "enabled": True,
        "created_at": "2026-01-31T09:30:00.000Z",
    }
}
GET_WEBHOOK = (Example("A webhook", answer=_WEBHOOK),)
SET_WEBHOOK = (Example("A URL", arguments={"url": "https://example.com/sms"}, answer=_WEBHOOK),)
REMOVE_WEBHOOK = (Example("A webhook", answer=_WEBHOOK),)
TEST_WEBHOOK = (Example("A webhook", status=202, answer={"delivery": {"id": "019c1353-98c0-7000-8000-5c0ffee00003"}}),)

INBOUND = (
    Example(
        "A reply",
        status=201,
        arguments={"from": "+14560000000", "to": "+15005550006", "body": "Yes, please"},
        answer={
            "message": {
                **_SENT,
                "body": "Yes, please",
                "to": "+15005550006",
                "origin": _PHONE,
                "phone": _APP,
                "direction": "inbound",
            }
        },
    ),
)
CHECK = (
    Example(
        "A text with a curly quote and a WebOTP code",
        arguments={"body": "It\N{RIGHT SINGLE QUOTATION MARK}s 482193.\n\n@example.com #482193"},
        answer={
            "check": {
                "encoding": "ucs2",
                "characters": 34,
                "units": 34,
                "single": 70,
                "segments": [
                    {
                        "start": 0,
                        "end": 34,
                        "units": 34,
                        "text": "It\N{RIGHT SINGLE QUOTATION MARK}s 482193.\n\n@example.com #482193",
                    }
                ],
                "wide": [
                    {
                        "position": 2,
                        "character": "\N{RIGHT SINGLE QUOTATION MARK}",
                        "name": "RIGHT SINGLE QUOTATION MARK",
                        "substitute": "'",
                    }
                ],
                "webotp": {
                    "valid": True,
                    "line": "@example.com #482193",
                    "host": "example.com",
                    "embedded_host": None,
                    "code": "482193",
                },
            }
        },
    ),
)
