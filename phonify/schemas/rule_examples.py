"""Examples of requests to `/sandbox/rules`, and examples of the answers. A test checks each example."""

from .description import Example
from .examples import MESSAGE, MESSAGE_ID

RULE_ID = "019c1353-98c0-7000-8000-5c0ffee00005"
_ARGUMENTS = {"name": "unreachable German phones", "to": "+49*", "outcome": "failed", "error": "unreachable_handset"}
_RULE = {"id": RULE_ID, "position": 1, "direction": "outbound", **_ARGUMENTS, "seen": 0, "used": 0}
_AT_RULE = {"rule_id": RULE_ID}
_SHARE = {"to": "+49*", "share": 10.0, "seed": 7, "outcome": "unavailable", "times": 2}
_SCENARIO = """\
[[rules]]
name = "unreachable German phones"
to = "+49*"
outcome = "failed"
error = "unreachable_handset"
"""

LIST_RULES = (Example("One rule", answer={"rules": [_RULE]}),)
CREATE_RULE = (Example("Messages to Germany fail", status=201, arguments=_ARGUMENTS, answer={"rule": _RULE}),)
LOAD_RULES = (Example("A file", arguments={"scenario": _SCENARIO}, answer={"rules": [_RULE]}),)
DELETE_RULES = (Example("All rules", answer={"rules": []}),)
GET_RULE = (Example("A rule", path=_AT_RULE, answer={"rule": _RULE}),)
CHANGE_RULE = (
    Example(
        "A tenth is late",
        path=_AT_RULE,
        arguments=_SHARE,
        answer={"rule": {"id": RULE_ID, "position": 1, "direction": "outbound", **_SHARE, "seen": 0, "used": 0}},
    ),
)
MOVE_RULE = (Example("To the beginning", path=_AT_RULE, arguments={"position": 1}, answer={"rule": _RULE}),)
DELETE_RULE = (Example("A rule", path=_AT_RULE, answer={"rule": _RULE}),)
FORCE = (
    Example(
        "A waiting message fails",
        path={"message_id": MESSAGE_ID},
        arguments={"outcome": "failed", "error": "blocked_by_recipient"},
        answer={"message": {**MESSAGE, "send_at": "2030-01-01T09:00:00.000Z"}},
    ),
)
