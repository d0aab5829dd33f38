"""Rows of the tables `rules` and `met_rules` as Python objects. schema.sql explains the columns."""

from typing import NamedTuple

from ..errors import RuleOutcome
from .records import Direction


class Rule(NamedTuple):
    """A rule of the sandbox."""

    outcome: RuleOutcome
    id: str = ""  # a built-in rule has its special number here
    account_id: int = 0
    position: int = 0
    name: str | None = None
    to_number: str | None = None
    origin_number: str | None = None
    contains: str | None = None
    pattern: str | None = None
    direction: Direction = "outbound"
    nth: int | None = None
    share: float | None = None
    seed: int = 0
    error_type: str | None = None
    seconds: float = 0.0
    times: int = 1
    reply: str | None = None
    status: int | None = None
    uses: int | None = None
    expires_at: str | None = None
    seen: int = 0
    used: int = 0

    @property
    def is_about_requests(self) -> bool:
        """True if the rule is about requests. If the rule is about messages, the value is False."""
        return self.outcome in ("api_error", "api_slow")

    @property
    def refusal(self) -> str | None:
        """The error type if the outcome is `refused`. For other outcomes, it is None."""
        return self.error_type or "delivery_failed" if self.outcome == "refused" else None

    def has_ended(self, now: str) -> bool:
        """Return whether the rule has expired or is used up."""
        used_up = self.uses is not None and self.used >= self.uses
        return used_up or (self.expires_at is not None and self.expires_at <= now)


class MetRule(NamedTuple):
    """The rule that was applied to a message. If the rule changes later, this record does not change."""

    message_id: str
    rule_id: str | None  # None if a person has chosen the outcome
    name: str | None
    outcome: RuleOutcome
    error_type: str | None = None
    seconds: float = 0.0
    times: int = 1
    reply: str | None = None
    since: int = 0  # the number of earlier attempts, to which the outcome does not apply
    due_at: str | None = None  # when the receipt or the reply comes
