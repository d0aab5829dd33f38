"""What schemathesis can't know by the API's description: which numbers there are, that nobody is to wait, and that
no other machine is to hear of it.

And that DELETE has another name: no description in OpenAPI 3.1 can say so.
"""

from typing import Any

import schemathesis
from hypothesis import strategies as st

from phonify.schemas.rules import ARGUMENTS, CreateRuleSchema, OutcomeSchema

_NUMBERS = st.from_regex(
    r"\+(1456[0-9]{7}|150055500(0[1-9]|1[0-2])|447[0-9]{9}|4915[0-9]{9}|336[0-9]{8})", fullmatch=True
)
_SHORT_CODES = st.from_regex(r"[0-9]{3,8}", fullmatch=True).filter(str.isascii)
_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9&.!-]{0,10}", fullmatch=True)
_TWILIO_SETTINGS = {"auth_token", "inbound_url", "inbound_method", "fallback_url", "fallback_method"}
# What requests that refuse unknown arguments may have.
_OUTCOME, _RULE = OutcomeSchema().fields.keys(), CreateRuleSchema().fields.keys()
_STRICT: dict[str, Any] = {
    "POST /sandbox/lab": {"form", "status_url", "probe_url"},
    "POST /sandbox/messages/{message_id}/outcome": _OUTCOME,
    "POST /sandbox/rules": _RULE,
    "PUT /sandbox/rules/{rule_id}": _RULE,
    "POST /sandbox/rules/{rule_id}/move": {"position"},
    "PUT /sandbox/rules": {"scenario"},
}
_IDS = st.uuids(version=4).map(lambda uuid: f"{str(uuid)[:14]}7{str(uuid)[15:]}")

schemathesis.openapi.format("msisdn", _NUMBERS)
schemathesis.openapi.format("own-number", _NUMBERS | _SHORT_CODES)
schemathesis.openapi.format("originator", _NUMBERS | _SHORT_CODES | _NAMES)
schemathesis.openapi.format("recipient-or-beginning", _NUMBERS | _SHORT_CODES.map("{}*".format))
schemathesis.openapi.format("sender-or-beginning", _NUMBERS | _NAMES | _SHORT_CODES.map("+{}*".format))
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
    if case.meta is not None and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        _make_valid(case.operation.label, body)
    if case.operation.label == "POST /sandbox/clock/advance" and {"by", "to"} <= given:
        del body["to"]
    if isinstance(case.body, dict) and str(case.body.get("url")).startswith("https://example.com"):
        case.body["url"] = "http://127.0.0.1:1/sms"
    try:
        if 0 < float(case.query["wait"]) <= 30:
            case.query["wait"] = 0.01
    except (KeyError, TypeError, ValueError):
        pass


def _make_valid(operation: str, body: dict[str, Any]) -> None:
    """Give a rule only arguments that fit its outcome, and leave out unknown arguments where they are refused.

    No rule lets the API fail, because the other tests would meet it.
    """
    if "/rules" in operation or operation.endswith("/outcome"):
        outcome = "sent" if str(body.get("outcome")).startswith("api_") else body.get("outcome")
        if operation.endswith("/outcome") and outcome == "refused":
            outcome = "failed"
        if body.get("direction") == "inbound":
            outcome = "reply"
        known = ARGUMENTS.get(outcome, {})
        needed = {"error": "unknown_handset", "seconds": 1, "reply": "YES"}
        body |= {name: needed[name] for name, required in known.items() if required and body.get(name) is None}
        for name in {"error", "seconds", "times", "reply", "status"} - known.keys() & body.keys():
            del body[name]
        # In a form, a very small number has an exponent, which is not allowed.
        body |= {name: round(body[name], 6) for name in ("seconds", "share") if isinstance(body.get(name), float)}
        if "outcome" in body:
            body["outcome"] = outcome
        if "scenario" in body:
            body["scenario"] = '[[rules]]\noutcome = "sent"\n'
    if operation == "POST /sandbox/clock/advance" and not any(body.get(name) for name in ("by", "to")):
        body["by"] = "1s"
    if operation in _STRICT:
        for name in body.keys() - _STRICT[operation]:
            del body[name]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Leave out of Allow what can't be described."""
    if "allow" in response.headers:
        (allowed,) = response.headers["allow"]
        response.headers["allow"] = [", ".join(method for method in allowed.split(", ") if method != "DESTROY")]
