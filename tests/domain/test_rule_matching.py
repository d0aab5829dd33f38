"""Tests of how rules match: numbers, texts, patterns, the n-th message, and a share."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.domain.rule_matching import Counting, Text, is_drawn, match_pattern
from phonify.storage.rule_records import Rule

TEXT = Text("outbound", "+4915112345678", "SHOP", "Your code is 482193")


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, True),
        ({"to_number": "+4915112345678"}, True),
        ({"to_number": "+491511234567"}, False),
        ({"to_number": "+49151*"}, True),
        ({"to_number": "+44*"}, False),
        ({"origin_number": "SHOP"}, True),
        ({"origin_number": "SH*"}, True),
        ({"origin_number": "shop"}, False),
        ({"contains": "CODE IS"}, True),
        ({"contains": "password"}, False),
        ({"contains": "*"}, False),
        ({"pattern": "your code is ??????"}, True),
        ({"pattern": "code is *"}, False),
        ({"direction": "inbound"}, False),
        ({"to_number": "+49*", "contains": "code", "origin_number": "OTHER"}, False),
    ],
)
def test_a_rule_matches_if_the_message_has_all_that_it_asks_for(criteria: dict[str, str], expected: bool) -> None:
    assert (Counting([Rule("sent", id="1", **criteria)], "").find([TEXT]) is not None) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("?", "", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("[!ab]*", "[!ab]c", True),
        ("a*", "A\nb", True),
        ("a?c", "a\nc", True),
        ("\\*", "\\x", True),
        ("ü?", "ÜX", True),
        ("İ", "İ", True),
        ("**a**", "bab", True),
        ("a", "aa", False),
    ],
)
def test_only_the_asterisk_and_the_question_mark_are_special(pattern: str, text: str, expected: bool) -> None:
    assert match_pattern(pattern, text) is expected


@given(st.text("ab*?.", max_size=8), st.text("ab.", max_size=10))
def test_a_pattern_matches_what_the_same_regular_expression_matches(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    assert match_pattern(pattern, text) == bool(re.fullmatch(expression, text, re.DOTALL))


def test_a_pattern_with_many_asterisks_takes_no_longer_than_others() -> None:
    begun = time.process_time()
    for _ in range(10):
        assert not match_pattern("*a" * 800, "a" * 799 + "b" * 801)
    assert time.process_time() - begun < 1


def test_a_rule_for_the_nth_message_applies_once() -> None:
    assert [seen for seen in range(1, 10) if is_drawn(Rule("sent", nth=3, seen=seen))] == [3]


def draw(seed: int, share: float = 25, count: int = 1_000) -> list[int]:
    return [seen for seen in range(1, count + 1) if is_drawn(Rule("sent", share=share, seed=seed, seen=seen))]


def test_a_share_is_the_same_for_the_same_seed_and_another_for_another_seed() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


@pytest.mark.parametrize("share", [1, 25, 50, 99.5, 100])
def test_a_share_is_about_the_given_percentage(share: float) -> None:
    assert len(draw(7, share, 10_000)) == pytest.approx(share * 100, rel=0.2)


def test_with_a_greater_share_and_the_same_seed_no_message_is_left_out_that_a_smaller_share_has() -> None:
    assert set(draw(7, 10)) < set(draw(7, 20))


def test_many_recipients_and_rules_take_no_time_for_each_pair() -> None:
    rules = [Rule("sent", id=str(number), pattern="*a" * 800) for number in range(100)]
    texts = [Text("outbound", f"+1456{number:07}", "SHOP", "a" * 160) for number in range(1_000)]
    counting, begun = Counting(rules, ""), time.process_time()
    assert [counting.find([text]) for text in texts] == [None] * 1_000
    assert time.process_time() - begun < 5
