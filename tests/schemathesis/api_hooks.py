"""What schemathesis can't know by the API's description: which numbers there are, that nobody is to wait, and that
no other machine is to hear of it.

And that DELETE has another name: no description in OpenAPI 3.1 can say so.
"""

from typing import Any

import schemathesis
from hypothesis import strategies as st

_NUMBERS = st.from_regex(
    r"\+(1456[0-9]{7}|150055500(0[1-9]|1[0-2])|447[0-9]{9}|4915[0-9]{9}|336[0-9]{8})", fullmatch=True
)
_SHORT_CODES = st.from_regex(r"[0-9]{3,8}", fullmatch=True).filter(str.isascii)
_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9&.!-]{0,10}", fullmatch=True)
_TWILIO_SETTINGS = {"auth_token", "inbound_url", "inbound_method", "fallback_url", "fallback_method"}
_IDS = st.uuids(version=4).map(lambda uuid: f"{str(uuid)[:14]}7{str(uuid)[15:]}")

schemathesis.openapi.format("msisdn", _NUMBERS)
schemathesis.openapi.format("own-number", _NUMBERS | _SHORT_CODES)
schemathesis.openapi.format("originator", _NUMBERS | _SHORT_CODES | _NAMES)
schemathesis.openapi.format("message-id", _IDS)
schemathesis.openapi.format("uri", st.sampled_from(["http://127.0.0.1:1/sms", "http://localhost:1/sms?key=1"]))
schemathesis.openapi.format("callback-url", st.sampled_from(["", "http://127.0.0.1:1/sms"]))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Make a valid wait a short one, and let no event be posted to another machine.

    And let a change change something, let no setting be unknown, and let an advance have one argument: the description
    has plain objects, which can't say so.
    """
    body = case.body if isinstance(case.body, dict) else {}
    given = {name for name, value in body.items() if value is not None}
    if case.operation.label.startswith("PUT /v1/messages/") and body and not given & {"to", "body", "send_at"}:
        body["body"] = "Hello"
    if case.operation.label == "PUT /sandbox/twilio":
        for name in given - _TWILIO_SETTINGS:
            del body[name]
    if case.operation.label == "POST /sandbox/clock/advance" and {"by", "to"} <= given:
        del body["to"]
    if isinstance(case.body, dict) and str(case.body.get("url")).startswith("https://example.com"):
        case.body["url"] = "http://127.0.0.1:1/sms"
    try:
        if 0 < float(case.query["wait"]) <= 30:
            case.query["wait"] = 0.01
    except (KeyError, TypeError, ValueError):
        pass


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Leave out of Allow what can't be described."""
    if "allow" in response.headers:
        (allowed,) = response.headers["allow"]
        response.headers["allow"] = [", ".join(method for method in allowed.split(", ") if method != "DESTROY")]
