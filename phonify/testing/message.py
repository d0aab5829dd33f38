"""The messages that a test gets, and the criteria that select them.

`client.py` needs this file. The server sends both as one file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

State = Literal["unconfirmed", "sent", "error"]
Direction = Literal["outbound", "inbound"]


class Criteria(TypedDict, total=False):
    """Criteria of messages. If a criterion is missing or None, it has no effect."""

    to: str | None
    origin: str | None
    contains: str | None  # a part of the body; upper and lower case are the same
    state: State | None
    direction: Direction | None


@dataclass(frozen=True, repr=False)
class Message:
    """A message, with its state at the time of the request. The object does not show later changes."""

    id: str
    direction: Direction
    origin: str
    to: str
    body: str
    state: State
    errors: list[str]  # error types, such as `blocked_by_recipient`; empty unless the state is `error`
    created_at: str
    code: str | None = None  # the one-time code in the body
    links: list[str] = field(default_factory=list)  # the URLs in the body
    receipt: Literal["delivered", "undelivered"] | None = None  # the delivery receipt
    rule: str | None = None  # the name of the rule that was applied; for a rule without a name, its id

    def __repr__(self) -> str:
        state = " ".join([self.state, *self.errors])
        return f"<Message {self.created_at[11:]} {self.origin} > {self.to} {state} {self.body!r}>"


def read_message(shown: Mapping[str, Any]) -> Message:
    """Read a message from the server's answer."""
    same = {name: shown[name] for name in ("id", "direction", "to", "body", "state", "created_at")}
    errors = [error["type"] for error in shown.get("errors", [])]
    more = {
        "code": shown.get("code"),
        "links": shown.get("links", []),
        "receipt": shown.get("receipt", {}).get("status"),
    }
    rule = shown.get("rule", {}).get("name") or shown.get("rule", {}).get("id")
    return Message(**same, origin=shown["origin"]["number"], errors=errors, rule=rule, **more)
