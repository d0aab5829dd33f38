"""Requests and their answers under /sandbox/messages and /sandbox/runs; a test checks each, as in `examples.py`."""

from .description import Example
from .examples import MESSAGE

_WITH_CODE = {**MESSAGE, "state": "sent", "code": "482193", "links": []}

LIST = (
    Example(
        "Wait for a code",
        arguments={"to": "+14560000000", "wait": 10},
        answer={"messages": [_WITH_CODE]},
    ),
)
REMOVE = (Example("The messages to one phone", arguments={"phone": "+14560000000"}, answer={"removed": 1}),)
