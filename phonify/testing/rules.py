"""The rules of the sandbox. `client.py` needs this file. The server sends both as one file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

Outcome = Literal[
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
# These outcomes give a message its state without delay.
ENDS = {"sent": "sent", "failed": "error", "delivered": "sent", "undelivered": "sent", "reply": "sent"}


class OutcomeSettings(TypedDict, total=False):
    """Details of an outcome, for example the error type. If a setting is None, it has no effect."""

    error: str | None  # an error type, such as `unreachable_handset`
    seconds: float | None
    times: int | None
    reply: str | None
    status: Literal[429, 500, 503] | None


class RuleSettings(OutcomeSettings, total=False):
    """Details of a rule: the conditions, the details of the outcome, and the limits."""

    name: str | None
    to: str | None  # a number, or its beginning and `*`
    origin: str | None
    contains: str | None
    pattern: str | None  # of the whole body, with `*` and `?`
    direction: Literal["outbound", "inbound"] | None
    nth: int | None
    share: float | None  # percent
    seed: int | None
    uses: int | None
    ttl: int | None  # seconds
    position: int | None  # 1 is the first


@dataclass(frozen=True)
class Rule:
    """A copy of a rule on the server. The copy shows the values at the time of the request."""

    id: str
    position: int
    name: str | None
    outcome: Outcome
    seen: int  # how many messages or requests have matched; `nth` and `share` do not change this number
    used: int  # how often the rule was applied

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> Self:
        """Read a rule from the server's answer."""
        same = {name: shown[name] for name in ("id", "position", "outcome", "seen", "used")}
        return cls(**same, name=shown.get("name"))


class RuleCalls:
    """The methods for the rules of an account."""

    def _call(self, method: str, path: str, arguments: Any) -> Any:
        raise NotImplementedError

    def rules(self) -> list[Rule]:
        """Return the account's rules, sorted by position."""
        return [Rule.read(shown) for shown in self._call("GET", "/sandbox/rules", {})["rules"]]

    def add_rule(self, outcome: Outcome, **settings: Unpack[RuleSettings]) -> Rule:
        """Add a rule, by default at the end. The server applies the first rule that matches."""
        return Rule.read(self._call("POST", "/sandbox/rules", {"outcome": outcome, **settings})["rule"])

    def change_rule(self, rule: Rule, outcome: Outcome, **settings: Unpack[RuleSettings]) -> Rule:
        """Replace a rule. Its counts begin again at 0."""
        return Rule.read(self._call("PUT", f"/sandbox/rules/{rule.id}", {"outcome": outcome, **settings})["rule"])

    def move_rule(self, rule: Rule, position: int) -> Rule:
        """Move a rule to another position in the list. The first position is 1."""
        return Rule.read(self._call("POST", f"/sandbox/rules/{rule.id}/move", {"position": position})["rule"])

    def delete_rule(self, rule: Rule) -> None:
        """Delete a rule. This does not change the outcomes of earlier messages."""
        self._call("DELETE", f"/sandbox/rules/{rule.id}", {})

    def clear_rules(self) -> None:
        """Delete all rules of the account."""
        self._call("DELETE", "/sandbox/rules", {})

    def load_scenario(self, file: str | Path) -> list[Rule]:
        """Replace all rules with the rules of a scenario file. All counts begin at 0."""
        text = Path(file).read_text(encoding="utf-8")
        return [Rule.read(shown) for shown in self._call("PUT", "/sandbox/rules", {"scenario": text})["rules"]]
