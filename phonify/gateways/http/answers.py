"""Rules for the answers of a provider. Each rule leads to an outcome.

A rule has a status, such as `400`. A rule can also have a pattern and a word: `400 /receiver/ invalid_number`. The
slashes enclose the pattern. A `Finder` finds the id that the provider gave to a message.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import ERROR_TYPES, Kind
from ...outgoing.http_client import Answer
from ..base import Doubt, Later, Outcome, Refused, Taken

MOST_ANSWER = 16_384  # bytes; the rest of an answer is not read
_MOST_SEARCHED = 2_048  # characters; patterns do not search the rest of an answer
_LONGEST = 200  # characters; the maximum length of a provider's id
_RULE = re.compile(
    r"""\s* ([1-5](?:[0-9]{2}|xx))            # a status: 202, or 2xx for each that begins with 2
        (?: \s+ / ((?:\\.|[^/\\])+) / )?  # a pattern
        (?: \s+ ([a-z_]+) )?         # a word
        \s* (?:,|$)""",
    re.VERBOSE,
)


class Rule(NamedTuple):
    """A rule. An answer matches if it has the status and contains the pattern."""

    status: str
    pattern: re.Pattern[str] | None
    word: str

    def matches(self, answer: Answer) -> bool:
        """Return whether an answer matches this rule."""
        if not str(answer.status).startswith(self.status.rstrip("x")):
            return False
        return self.pattern is None or self.pattern.search(answer.text[:_MOST_SEARCHED]) is not None


def parse_rules(text: str, *words: str) -> list[Rule]:
    """Read rules that are separated by commas.

    Raises ValueError in two cases: a rule can't be read, or a rule has a word that is not in `words`.
    """
    rules, position = [], 0
    while position < len(text):
        found = _RULE.match(text, position)
        if found is None:
            raise ValueError(
                f"{text[position:].strip()!r} can't be read: use STATUS /PATTERN/ WORD, with commas between"
            )
        status, pattern, word = found.groups(default="")
        if word and word not in words:
            raise ValueError(f"{word!r} must be {' or '.join(words)}" if words else f"{word!r} has no meaning here")
        rules.append(Rule(status, compile_pattern(pattern.replace(r"\/", "/")) if pattern else None, word))
        position = found.end()
    return rules


REFUSALS = tuple(name for name, error in ERROR_TYPES.items() if error.kind is Kind.REFUSED)


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression.

    Raises ValueError if the expression is not valid, or if a search with this expression can take very long. A group
    must not have the quantifier `*`, `+` or `{`. With such a group, the duration of a search can grow exponentially
    with the length of the answer.
    """
    if re.search(r"\)[*+{]", re.sub(r"\\.|\[[^\]]*\]", "", text)):
        raise ValueError(f"the pattern {text!r} repeats a group; searches with this pattern can be too slow")
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"the pattern {text!r} is not a regular expression: {error}") from error


class Finder:
    """Finds values in an answer.

    The argument `text` has one of two forms. `json:PATH`, such as `json:data.0.id`, finds values in JSON.
    `regex:PATTERN` finds one value in an answer of any format. The pattern must have exactly one group.
    """

    def __init__(self, text: str) -> None:
        kind, _, place = text.partition(":")
        self._path = place.split(".") if kind == "json" and place else []
        self._pattern = compile_pattern(place) if kind == "regex" else None
        if (self._pattern.groups != 1 if self._pattern else not self._path) and text:
            raise ValueError(f"{text!r} must be json:PATH, or regex:PATTERN with one group")

    def find(self, text: str) -> tuple[str, ...]:
        """Return the values, without duplicates.

        A path can find several values: an asterisk in a path stands for each item of a list.
        """
        if self._pattern is not None:
            found = self._pattern.search(text[:_MOST_SEARCHED])
            values = [found[1]] if found is not None and found[1] else []
        else:
            try:
                values = list(_follow(json.loads(text), self._path)) if self._path else []
            except (ValueError, RecursionError):
                values = []
        return tuple(dict.fromkeys(value for value in values if is_identifier(value)))


def is_identifier(text: str) -> bool:
    """Return whether `text` can be a provider's id or code.

    Such a text is printable, and has between 1 and `_LONGEST` characters.
    """
    return 0 < len(text) <= _LONGEST and text.isprintable()


def _follow(document: Any, path: list[str]) -> Iterator[str]:
    if not path:
        if isinstance(document, str | int) and not isinstance(document, bool):
            yield str(document)
        return
    step, *rest = path
    if isinstance(document, dict) and step in document:
        yield from _follow(document[step], rest)
    elif isinstance(document, list) and step == "*":
        for item in document:
            yield from _follow(item, rest)
    elif isinstance(document, list) and step.isdecimal() and len(step) < 4 and int(step) < len(document):
        yield from _follow(document[int(step)], rest)


@dataclass(frozen=True)
class Answers:
    """Judges answers. If no rule matches an answer, the message is in doubt."""

    later: list[Rule]
    refused: list[Rule]
    taken: list[Rule]
    reference: Finder
    code: Finder

    def judge(self, answer: Answer) -> Outcome:
        """Return the outcome of the first rule that matches.

        This method tries the rules in this order: the list `later`, the list `refused`, the list `taken`.
        """
        for rule in self.later:
            if rule.matches(answer):
                reason = _describe(answer) + suggest_cause(answer)
                return Later(answer.retry_after, pause=rule.word == "pause", reason=reason)
        for rule in self.refused:
            if rule.matches(answer):
                codes = self.code.find(answer.text)
                return Refused(rule.word or "delivery_failed", codes[0] if codes else str(answer.status))
        if any(rule.matches(answer) for rule in self.taken):
            return Taken(self.reference.find(answer.text))
        return Doubt(f"{_describe(answer)}, which no rule explains", pause=answer.status >= 500)


def suggest_cause(answer: Answer) -> str:
    """Return a hint if the provider refused the credentials. Otherwise, return an empty string.

    The hint begins with a semicolon, because the caller adds the hint to a sentence.
    """
    if answer.status not in (401, 403):
        return ""
    return "; check the credentials: PHONIFY_HTTP_USERNAME and PHONIFY_HTTP_PASSWORD"


def _describe(answer: Answer) -> str:
    """Describe an answer only by its HTTP status, because its text can contain the message or the password."""
    return f"the provider answered with status {answer.status}"
