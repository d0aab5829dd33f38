"""How a rule of the sandbox matches a message or a request. These are pure functions."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ..storage.records import Direction
from ..storage.rule_records import Rule


class Text(NamedTuple):
    """What a rule knows about a message."""

    direction: Direction
    to: str
    origin: str
    body: str


class Counting:
    """Finds the rules that apply to the messages of a request, or to the request, and counts.

    A body is matched only once, because a request may send one body to many recipients.
    """

    def __init__(self, rules: Sequence[Rule], now: str) -> None:
        self._rules = {rule.id: rule for rule in rules}
        self._now = now
        self._counted: set[str] = set()
        self._fits: dict[tuple[str, str], bool] = {}  # by the rule's id and the body

    def find(self, texts: Sequence[Text]) -> Rule | None:
        """Return the first rule that applies to one of the texts, and count."""
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
        """Return the rules whose counts have changed."""
        return [self._rules[rule_id] for rule_id in self._counted]

    def _is_met(self, rule: Rule, texts: Sequence[Text]) -> bool:
        if rule.is_about_requests and not has_criteria(rule):
            return True
        return any(matches_sides(rule, text) and self._fits_body(rule, text.body) for text in texts)

    def _fits_body(self, rule: Rule, body: str) -> bool:
        if (rule.id, body) not in self._fits:
            self._fits[rule.id, body] = matches_body(rule, body)
        return self._fits[rule.id, body]


def matches_sides(rule: Rule, text: Text) -> bool:
    """Return whether a text has the direction, the recipient and the sender that a rule asks for."""
    return (
        rule.direction == text.direction
        and (rule.to_number is None or _has_number(rule.to_number, text.to))
        and (rule.origin_number is None or _has_number(rule.origin_number, text.origin))
    )


def matches_body(rule: Rule, body: str) -> bool:
    """Return whether a body has what a rule asks for."""
    return (rule.contains is None or rule.contains.casefold() in body.casefold()) and (
        rule.pattern is None or match_pattern(rule.pattern, body)
    )


def has_criteria(rule: Rule) -> bool:
    """Return whether a rule names a recipient, a sender, a text or a pattern.

    Other requests can't match such a rule.
    """
    return any(one is not None for one in (rule.to_number, rule.origin_number, rule.contains, rule.pattern))


def is_drawn(rule: Rule) -> bool:
    """Return whether a rule applies to the latest message that it has seen.

    `seen` is the number of messages that it has seen. The answer depends only on the rule and on `seen`. So the answer
    is the same in each run and in each process.
    """
    if rule.nth is not None and rule.nth != rule.seen:
        return False
    if rule.share is None:
        return True
    digest = hashlib.sha256(f"{rule.seed} {rule.seen}".encode()).digest()
    return int.from_bytes(digest[:8]) < rule.share / 100 * 2**64


def match_pattern(pattern: str, text: str) -> bool:
    """Return whether a pattern matches the whole text.

    `*` stands for any number of characters, `?` for one character. Upper and lower case are the same. The time grows
    with the length of the text, not with the number of ways in which the pattern may match.
    """
    pieces = pattern.split("*")
    # Bit i of a number stands for the place after the first i characters of the pattern, not counting each `*`.
    places: dict[str, int] = defaultdict(int)
    anything, repeating, length = 0, 0, 0
    for index, piece in enumerate(pieces):
        if index:
            repeating |= 1 << length
        for character in piece:
            if character == "?":
                anything |= 1 << length
            else:
                places[character.lower()] |= 1 << length
            length += 1
    reached = 1
    for character in text:
        reached = (reached & (places.get(character.lower(), 0) | anything)) << 1 | reached & repeating
        if not reached:
            return False
    return bool(reached >> length & 1)


def _has_number(wanted: str, number: str) -> bool:
    return number.startswith(wanted[:-1]) if wanted.endswith("*") else number == wanted
