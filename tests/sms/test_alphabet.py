"""Tests of the codes of the GSM 7-bit alphabet."""

import pytest

from phonify.sms.alphabet import GSM7, count_septets, decode_gsm7, encode_gsm7


@pytest.mark.parametrize(
    ("text", "codes"),
    [("@", "00"), ("Hello", "48656c6c6f"), ("€", "1b65"), ("[]\\", "1b3c1b3e1b2f"), ("\f", "1b0a"), ("à", "7f")],
)
def test_codes_are_those_of_the_specification(text: str, codes: str) -> None:
    assert encode_gsm7(text).hex() == codes


def test_each_character_comes_back_and_has_as_many_codes_as_septets() -> None:
    text = "".join(sorted(GSM7))
    assert decode_gsm7(encode_gsm7(text)) == text
    assert len(encode_gsm7(text)) == count_septets(text)


@pytest.mark.parametrize("text", ["ç", "`", "\x1b", "😀"])
def test_other_characters_have_no_code(text: str) -> None:
    with pytest.raises(ValueError, match="is not in the GSM 7-bit alphabet"):
        encode_gsm7(text)


def test_codes_that_mean_nothing_do_no_harm() -> None:
    assert decode_gsm7(b"\x1b\x41\x80\x1b") == "A\N{REPLACEMENT CHARACTER}"
