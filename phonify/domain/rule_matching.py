"""How a rule of the sandbox matches a message or a request. These are pure functions."""

import hashlib
from collections import defaultdict
from typing import NamedTuple

from ..storage.records import Direction
from ..storage.rule_records import Rule


class Text(NamedTuple):
    """What a rule knows about a message."""

    direction: Direction
    to: str
    origin: str
    body: str


def matches(rule: Rule, text: Text) -> bool:
    """Return whether a text has all that a rule asks for, apart from `nth` and `share`."""
    return (
        rule.direction == text.direction
        and (rule.to_number is None or _has_number(rule.to_number, text.to))
        and (rule.origin_number is None or _has_number(rule.origin_number, text.origin))
        and (rule.contains is None or rule.contains.casefold() in text.body.casefold())
        and (rule.pattern is None or match_pattern(rule.pattern, text.body))
    )


def has_criteria(rule: Rule) -> bool:
    """Return whether a rule asks for anything in a message, so that it can't match other requests."""
    return any(one is not None for one in (rule.to_number, rule.origin_number, rule.contains, rule.pattern))


def is_drawn(rule: Rule) -> bool:
    """Return whether a rule applies to the latest of the `seen` messages that it has seen.

    The answer depends only on the rule and on `seen`. So it is the same in each run and in each process.
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
