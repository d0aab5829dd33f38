"""How a rule of the sandbox matches a message or a request. These are pure functions."""

import fnmatch
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..storage.records import Direction
from ..storage.rule_records import Rule


class Text(NamedTuple):
    """The data that a rule can check in a message."""

    direction: Direction
    to: str
    origin: str
    body: str


class Counting:
    """Finds the rule for a request or for a message, and counts how often each rule matches and applies.

    A request can send one body to many recipients. So for each rule and body, this object stores
    whether the rule matches the body.
    """

    def __init__(self, rules: Sequence[Rule], now: str) -> None:
        self._rules = {rule.id: rule for rule in rules}
        self._now = now
        self._counted: set[str] = set()
        self._fits: dict[tuple[str, str], bool] = {}  # by the rule's id and the body

    def find(self, texts: Sequence[Text]) -> Rule | None:
        """Find the first rule that applies to one of these messages.

        Updates the counts of this rule and of earlier rules.
        """
        for rule in self._rules.values():
            if rule.has_ended(self._now) or not self._is_met(rule, texts):
                continue
            seen = rule._replace(seen=rule.seen + 1)
            applies = is_drawn(seen)
            self._rules[rule.id] = seen._replace(used=seen.used + applies)
            self._counted.add(rule.id)
            if applies:
                return self._rules[rule.id]
        return None

    def list_counted(self) -> list[Rule]:
        """Return the rules that `find` has counted. Their fields `seen` and `used` contain the new counts."""
        return [self._rules[rule_id] for rule_id in self._counted]

    def _is_met(self, rule: Rule, texts: Sequence[Text]) -> bool:
        criteria = (rule.to_number, rule.origin_number, rule.contains, rule.pattern)
        if rule.is_about_requests and all(one is None for one in criteria):
            return True  # it applies to all requests, also to requests that send nothing
        return any(_matches_sides(rule, text) and self._matches_body(rule, text.body) for text in texts)

    def _matches_body(self, rule: Rule, body: str) -> bool:
        if (rule.id, body) not in self._fits:
            self._fits[rule.id, body] = (rule.contains is None or rule.contains.casefold() in body.casefold()) and (
                rule.pattern is None or match_pattern(rule.pattern, body)
            )
        return self._fits[rule.id, body]


def is_drawn(rule: Rule) -> bool:
    """Return whether a rule applies to a message. This message already matches the conditions of the rule.

    A rule with `nth` or `share` applies only to some matching messages. `rule.seen` counts all matching messages,
    including this message. The result depends only on the rule and on this count. So all processes get the same result.
    If two runs of a test send the same messages in the same order, both runs have the same results.
    """
    if rule.nth is not None and rule.nth != rule.seen:
        return False
    if rule.share is None:
        return True
    digest = hashlib.sha256(f"{rule.seed} {rule.seen}".encode()).digest()
    return int.from_bytes(digest[:8]) < rule.share / 100 * 2**64


def match_pattern(pattern: str, text: str) -> bool:
    """Return whether a pattern matches the whole text.

    `*` stands for any number of characters, and `?` for one character. Upper and lower case count as equal.
    """
    # In `fnmatch`, a `[` begins a set of characters. In a rule, `[` is an ordinary character.
    expression = fnmatch.translate(pattern.replace("[", "[[]"))
    return re.fullmatch(expression, text, re.IGNORECASE) is not None


def _matches_sides(rule: Rule, text: Text) -> bool:
    return (
        rule.direction == text.direction
        and (rule.to_number is None or _matches_number(rule.to_number, text.to))
        and (rule.origin_number is None or _matches_number(rule.origin_number, text.origin))
    )


def _matches_number(wanted: str, number: str) -> bool:
    return number.startswith(wanted[:-1]) if wanted.endswith("*") else number == wanted
