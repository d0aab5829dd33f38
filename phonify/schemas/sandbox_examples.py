"""Examples of requests and answers under /sandbox. `examples.py` has more examples. A test checks each example."""

from .description import Example
from .examples import MESSAGE, MESSAGE_ID

_WITH_CODE = {**MESSAGE, "state": "sent", "code": "482193", "links": []}

LIST = (
    Example(
        "Wait for a code",
        arguments={"to": "+14560000000", "wait": 10},
        answer={"messages": [_WITH_CODE]},
    ),
)
REMOVE = (Example("Messages to and from one phone", arguments={"phone": "+14560000000"}, answer={"removed": 1}),)

_PROBLEM = {
    "at": "2026-01-31T09:30:00.000Z",
    "seconds_ago": 0.0,
    "text": "refused message to 123: 21211 The 'To' number 123 is not a valid phone number.",
}
LIST_PROBLEMS = (Example("A refused request", answer={"problems": [_PROBLEM]}),)
_RELEASED = {**MESSAGE, "id": "019c1353-98c0-7000-8000-5c0ffee00004"}
RELEASE = (Example("A caught message", status=201, path={"message_id": MESSAGE_ID}, answer={"message": _RELEASED}),)

RUN_ID = "019c1353-98c0-7000-8000-5c0ffee00003"
_RUN = {
    "id": RUN_ID,
    "name": "checkout, worker 3",
    "created_at": "2026-01-31T09:30:00.000Z",
    "expires_at": "2026-01-31T10:30:00.000Z",
}
_TWILIO = {
    "account_sid": "AC00000000000000000000000000000001",
    "auth_token": "5c0ffee05c0ffee05c0ffee05c0ffee0",
    "inbound_url": None,
    "inbound_method": "POST",
    "fallback_url": None,
    "fallback_method": "POST",
}
_AT_RUN = {"run_id": RUN_ID}
CREATE_RUN = (
    Example(
        "For an hour",
        status=201,
        arguments={"name": "checkout, worker 3"},
        answer={"run": {**_RUN, "api_key": "phk_GfPXyRhLyVnXfJIPJ0XvJSBlSxY9Ph3S", "twilio": _TWILIO}},
    ),
)
LIST_RUNS = (Example("One run", answer={"runs": [_RUN]}),)
GET_RUN = (Example("A run", path=_AT_RUN, answer={"run": _RUN}),)
END_RUN = (Example("A run", path=_AT_RUN, answer={"run": {**_RUN, "expires_at": "2026-01-31T09:30:00.000Z"}}),)
GET_TWILIO = (Example("The settings", answer={"twilio": _TWILIO}),)
CHANGE_TWILIO = (
    Example(
        "Received messages",
        arguments={"inbound_url": "http://127.0.0.1:5000/sms"},
        answer={"twilio": {**_TWILIO, "inbound_url": "http://127.0.0.1:5000/sms"}},
    ),
)

_LAB = {
    "id": "019c1353-98c0-7000-8000-5c0ffee00005",
    "form": "standard",
    "state": "running",
    "started_at": "2026-01-31T09:30:00.000Z",
    "finished_at": None,
    "trial": None,
    "report": None,
}
_FORGED = {
    "verdict": "accepted_forgery",
    "severity": "failure",
    "title": "The app accepted a forgery",
    "detail": "a request without webhook-signature got 200",
    "why": "Everyone who knows the URL can post false events. For example, they can fake a received message from any"
    " phone number.",
    "fix": "First check the signature of each request. If the signature is missing or wrong, answer 401 or 403.",
}
_REPORT = {
    "form": "standard",
    "url": "http://127.0.0.1:3000/sms",
    "started_at": "2026-01-31T09:30:00.000Z",
    "seconds": 3.2,
    "probed": False,
    "passed": 20,
    "warnings": 0,
    "failed": 1,
    "skipped": 1,
    "trials": [
        {
            "name": "missing",
            "title": "No signature",
            "outcome": "failed",
            "seconds": 0.1,
            "reason": None,
            "findings": [_FORGED],
        }
    ],
}
START_LAB = (
    Example("With a probe", status=202, arguments={"probe_url": "http://127.0.0.1:3000/probe"}, answer={"lab": _LAB}),
)
GET_LAB = (
    Example(
        "A lab that has ended",
        answer={"lab": {**_LAB, "state": "finished", "finished_at": "2026-01-31T09:30:03.200Z", "report": _REPORT}},
    ),
)
_MOMENT = "2026-01-31T09:30:00.000Z"
_CLOCK = {"now": _MOMENT, "machine_now": _MOMENT, "frozen": False, "changed": False}
_LATER = "2026-02-01T09:30:00.000Z"
_ENDED = ("sent", "expired", "failed", "received", "receipts", "webhooks", "failed_webhooks", "removed")
GET_CLOCK = (Example("The real time", answer={"clock": _CLOCK}),)
FREEZE_CLOCK = (Example("Freeze", answer={"clock": {**_CLOCK, "frozen": True, "changed": True}}),)
RUN_CLOCK = (Example("Run on", answer={"clock": {**_CLOCK, "changed": True}}),)
ADVANCE_CLOCK = (
    Example(
        "A day",
        arguments={"by": "24h"},
        answer={
            "clock": {"now": _LATER, "machine_now": _MOMENT, "frozen": False, "changed": True},
            "advance": {
                "begun_at": _MOMENT,
                "ended_at": _LATER,
                "target": _LATER,
                "finished": True,
                "ended": dict.fromkeys(_ENDED, 0),
                "summary": "24 h: nothing was due",
            },
        },
    ),
)
RESET_CLOCK = (Example("Reset", answer={"clock": _CLOCK}),)
