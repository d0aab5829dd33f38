"""Tests of numbers that a person types, pastes or searches for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonify.sms.numbers import is_msisdn, list_searched_numbers, read_typed_number


@pytest.mark.parametrize(
    "text",
    [
        "+4915112345678",
        "+49 1511 2345678",
        " +49\u00a01511\u20072345678\n",
        "+49-1511-2345678",
        "+49 1511\u20132345\u2011678",
        "+49 (1511) 234.56.78",
        "(+49) 1511/2345678",
        "tel:+49-1511-2345678",
        "TEL: +49 1511 2345678",
        "\u202a+49 1511 2345678\u202c",
        "\u200e+49\u200b1511\u20602345678\ufeff",
        "0049 1511 2345678",
    ],
)
def test_a_typed_number_is_read_without_its_separators(text: str) -> None:
    assert read_typed_number(text) == "+4915112345678"


@pytest.mark.parametrize(
    "text", ["", " ", "+", "SHOP 24", "12a", "+49 1511 CALL", "++49", "4+9", "tel:", "()", "٤٩١٥", "<b>"]
)
def test_any_other_text_is_left_as_it_is(text: str) -> None:
    assert read_typed_number(text) == text


def test_two_zeros_stay_in_a_short_code() -> None:
    assert read_typed_number("00 12") == "0012"


@given(st.text(alphabet="+0123456789 -()./\u00a0\u200e", max_size=40))
@settings(max_examples=300, deadline=None)
def test_a_typed_number_read_again_is_the_same(text: str) -> None:
    assert read_typed_number(read_typed_number(text)) == read_typed_number(text)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("1511 234", ["1511234"]),
        ("+49 1511", ["+491511"]),
        ("0049 1511", ["00491511", "+491511"]),
        ("01511 234", ["01511234", "1511234"]),
        ("+49 (0)1511 2345678", ["+49015112345678", "+4915112345678"]),
        ("0", ["0"]),
        ("code 1", []),
        ("", []),
    ],
)
def test_a_search_for_digits_has_each_form_of_the_number(text: str, forms: list[str]) -> None:
    assert list_searched_numbers(text) == forms


@pytest.mark.parametrize("text", ["4915112345678", "+49 15112345678", "+4901511234567", "+999123", "SHOP", "", "12345"])
def test_only_a_number_in_its_one_form_is_an_msisdn(text: str) -> None:
    assert is_msisdn("+4915112345678")
    assert not is_msisdn(text)
