"""Tests of encodings and segments, from 3GPP TS 23.038 and TS 23.040."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.sms.segments import (
    GSM7_DEFAULT,
    GSM7_EXTENSION,
    check_text,
    choose_encoding,
    count_segments,
    replace_look_alikes,
    split_segments,
)

# TS 23.038 section 6.2.1: the characters of the default alphabet, by row of the table from 0x00 to 0x7F. 0x1B is not a
# character. It is the escape to the extension table.
DEFAULT_ALPHABET = [
    *(0x0040, 0x00A3, 0x0024, 0x00A5, 0x00E8, 0x00E9, 0x00F9, 0x00EC),
    *(0x00F2, 0x00C7, 0x000A, 0x00D8, 0x00F8, 0x000D, 0x00C5, 0x00E5),
    *(0x0394, 0x005F, 0x03A6, 0x0393, 0x039B, 0x03A9, 0x03A0, 0x03A8),
    *(0x03A3, 0x0398, 0x039E, 0x00C6, 0x00E6, 0x00DF, 0x00C9),
    *(0x0020, 0x0021, 0x0022, 0x0023, 0x00A4, 0x0025, 0x0026, 0x0027),
    *range(0x0028, 0x0040),
    0x00A1,
    *range(0x0041, 0x005B),
    *(0x00C4, 0x00D6, 0x00D1, 0x00DC, 0x00A7),
    0x00BF,
    *range(0x0061, 0x007B),
    *(0x00E4, 0x00F6, 0x00F1, 0x00FC, 0x00E0),
]

# Section 6.2.1.1, the extension table: form feed ^ { } \ [ ~ ] | and the euro sign.
EXTENSION = [0x000C, 0x005E, 0x007B, 0x007D, 0x005C, 0x005B, 0x007E, 0x005D, 0x007C, 0x20AC]

EURO = "\N{EURO SIGN}"
GRIN = "\N{GRINNING FACE}"  # one code point, two units of UTF-16


# The alphabets


def test_the_default_alphabet_is_that_of_the_specification() -> None:
    assert len(DEFAULT_ALPHABET) == 127
    assert sorted(map(ord, GSM7_DEFAULT)) == sorted(DEFAULT_ALPHABET)


def test_the_extension_table_is_that_of_the_specification() -> None:
    assert sorted(map(ord, GSM7_EXTENSION)) == sorted(EXTENSION)


@pytest.mark.parametrize("code_point", [*DEFAULT_ALPHABET, *EXTENSION])
def test_each_character_of_the_alphabet_is_gsm7(code_point: int) -> None:
    assert choose_encoding(chr(code_point)) == "gsm7"


@pytest.mark.parametrize(
    "character",
    [
        "`",
        "ç",  # only the capital letter is in the alphabet
        "á",
        "ê",
        "Á",
        "\N{GREEK CAPITAL LETTER ALPHA}",  # the alphabet has only the Greek letters without a Latin twin
        "Σ".lower(),
        "ж",
        "\N{LATIN SMALL LETTER N}\N{COMBINING TILDE}",
        "\N{RIGHT SINGLE QUOTATION MARK}",
        "\N{EN DASH}",
        "\N{NO-BREAK SPACE}",
        "\N{MICRO SIGN}",
        "\N{OHM SIGN}",  # looks like the capital omega, but is another character
        "\N{ANGSTROM SIGN}",
        "\t",
        "\0",
        "\x1b",  # the escape itself
        "\x7f",
        GRIN,
    ],
)
def test_any_other_character_is_ucs2(character: str) -> None:
    assert choose_encoding(character) == "ucs2"


def test_one_character_outside_the_alphabet_makes_the_whole_text_ucs2() -> None:
    assert choose_encoding("x" * 159 + "ж") == "ucs2"


# Counting


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("x", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),  # 2 * 153
        ("x" * 307, 3),
        ("x" * 459, 3),
        ("x" * 460, 4),
        (EURO * 80, 1),
        (EURO * 80 + "x", 2),
        (EURO * 81, 2),
        (EURO * 152, 2),  # 76 fit into 153 septets; the last septet is too small for half a character
        (EURO * 153, 3),
        ("x" * 158 + EURO, 1),
        ("x" * 159 + EURO, 2),
        ("x" + EURO * 76 + "x" * 153, 2),
    ],
)
def test_gsm7_has_160_septets_alone_and_153_in_each_of_several(text: str, segments: int) -> None:
    assert count_segments(text) == (segments, "gsm7")


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("ж", 1),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),  # 2 * 67
        ("ж" * 135, 3),
        ("ж" * 160, 3),
        (GRIN * 35, 1),
        (GRIN * 35 + "x", 2),
        (GRIN * 36, 2),
        (GRIN * 66, 2),  # 33 pairs fit into 67 units; the last unit is too small for half a pair
        (GRIN * 67, 3),
        (GRIN * 160, 5),
        ("x" * 69 + "ж", 1),
        ("x" * 70 + "ж", 2),
        (EURO * 69 + "ж", 1),  # in UCS-2 the euro sign is one unit
    ],
)
def test_ucs2_has_70_units_alone_and_67_in_each_of_several(text: str, segments: int) -> None:
    assert count_segments(text) == (segments, "ucs2")


# Cutting


def test_a_text_that_fits_is_one_piece() -> None:
    assert split_segments("x" * 160) == ("gsm7", ["x" * 160])
    assert split_segments("ж" * 70) == ("ucs2", ["ж" * 70])


def test_a_longer_text_is_cut_into_full_pieces() -> None:
    assert split_segments("x" * 161) == ("gsm7", ["x" * 153, "x" * 8])
    assert split_segments("ж" * 71) == ("ucs2", ["ж" * 67, "ж" * 4])


def test_an_escape_is_not_cut_from_its_character() -> None:
    assert split_segments("x" * 152 + EURO + "x" * 10) == ("gsm7", ["x" * 152, EURO + "x" * 10])
    assert split_segments("x" * 151 + EURO + "x" * 10) == ("gsm7", ["x" * 151 + EURO, "x" * 10])


def test_a_surrogate_pair_is_not_cut_in_two() -> None:
    assert split_segments("ж" * 66 + GRIN + "ж" * 10) == ("ucs2", ["ж" * 66, GRIN + "ж" * 10])
    assert split_segments("ж" * 65 + GRIN + "ж" * 10) == ("ucs2", ["ж" * 65 + GRIN, "ж" * 10])


@given(st.text(st.sampled_from("ab^€\n@"), max_size=500))
def test_each_piece_of_gsm7_fits_and_together_they_are_the_text(text: str) -> None:
    encoding, segments = split_segments(text)

    sizes = [sum(2 if character in "^€" else 1 for character in segment) for segment in segments]
    assert encoding == "gsm7"
    assert "".join(segments) == text
    assert sizes[0] <= 160 if len(sizes) == 1 else max(sizes) <= 153
    # Only the last segment may have room for the next character.
    assert all(size >= 152 for size in sizes[:-1])


@given(st.text(max_size=300).map(lambda text: text + "ж"))
def test_each_piece_of_ucs2_fits_and_together_they_are_the_text(text: str) -> None:
    encoding, segments = split_segments(text)

    sizes = [len(segment.encode("utf-16-be", "surrogatepass")) // 2 for segment in segments]
    assert encoding == "ucs2"
    assert "".join(segments) == text
    assert sizes[0] <= 70 if len(sizes) == 1 else max(sizes) <= 67
    assert all(size >= 66 for size in sizes[:-1])


@given(st.text(max_size=300))
def test_the_count_is_the_number_of_pieces(text: str) -> None:
    encoding, segments = split_segments(text)

    assert count_segments(text) == (len(segments), encoding)


# Checking


def test_a_check_tells_the_units_used_and_how_many_one_sms_has() -> None:
    assert check_text("x" * 5 + EURO)[:3] == ("gsm7", 7, 160)
    assert check_text("x" * 5 + GRIN)[:3] == ("ucs2", 7, 70)
    assert check_text("")[:3] == ("gsm7", 0, 160)


@given(st.text(max_size=300))
def test_a_check_cuts_a_text_as_it_goes_out(text: str) -> None:
    check = check_text(text)

    assert (check.encoding, check.segments) == split_segments(text)
    assert bool(check.wide) == (check.encoding == "ucs2")


@given(st.text(max_size=300))
def test_a_check_names_each_character_that_gsm7_has_not_by_its_place(text: str) -> None:
    found = check_text(text).wide

    assert [one.position + len(one.character) - 1 for one in found] == [
        position for position, character in enumerate(text) if choose_encoding(character) == "ucs2"
    ]
    assert all(text[one.position :].startswith(one.character) for one in found)


def test_a_check_tells_place_name_and_substitute() -> None:
    assert check_text("a’b€ж").wide == [
        (1, "’", "RIGHT SINGLE QUOTATION MARK", "'"),
        (4, "ж", "CYRILLIC SMALL LETTER ZHE", None),
    ]


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("cafe\u0301", "café"),
        ("Man\u0303ana u\u0308ber A\u030angstro\u0308m", "Mañana über Ångström"),
        ("Gr\u200cüße", "Grüße"),
        ("\u200eHi\u200f \u2066there\u2069 a\u200db\ufe0f", "Hi there ab"),
        ("ΑΒΕ ΖΗΙΚΜΝΟΡΤΥΧ", "ABE ZHIKMNOPTYX"),
        ("\u212bngstrom 5\u2126", "Ångstrom 5Ω"),
        ("z\u030c and c\u0327", "z\u030c and c\u0327"),
        ("👩\u200d💻 می\u200cخواهم", "👩\u200d💻 می\u200cخواهم"),
    ],
)
def test_what_is_offered_for_each_character_makes_a_text_that_reads_the_same(text: str, replaced: str) -> None:
    assert replace_look_alikes(text) == replaced


def test_a_letter_and_its_accent_are_told_together() -> None:
    assert check_text("cafe\u0301!").wide == [(3, "e\u0301", "LATIN SMALL LETTER E WITH ACUTE", "é")]


def test_a_character_that_comes_several_times_is_told_of_each_time() -> None:
    assert [position for position, *_ in check_text("жaжa").wide] == [0, 2]


@pytest.mark.parametrize(("character", "name"), [("\x00", "U+0000"), ("\x1b", "U+001B"), ("\ue000", "U+E000")])
def test_a_character_without_a_name_is_told_by_its_number(character: str, name: str) -> None:
    ((_, _, found, substitute),) = check_text(character).wide
    assert (found, substitute) == (name, None)


@pytest.mark.parametrize(
    ("character", "substitute"),
    [
        ("‘", "'"),
        ("”", '"'),
        ("–", "-"),
        ("…", "..."),
        ("\N{NO-BREAK SPACE}", " "),
        ("\N{ZERO WIDTH SPACE}", ""),
        ("\N{SOFT HYPHEN}", ""),
        ("\t", " "),
        ("ﬁ", "fi"),
        ("！", "!"),
        ("Ａ", "A"),
        ("№", "No"),
        ("•", "*"),
    ],
)
def test_what_reads_the_same_in_gsm7_is_offered_instead(character: str, substitute: str) -> None:
    assert check_text(character).wide[0].substitute == substitute


@pytest.mark.parametrize("character", [*"áçêõžłıđşčњ½²³¹ªº①ΆαЖВжμµ™©®°÷¬·"])
def test_what_would_read_otherwise_is_not_offered(character: str) -> None:
    assert check_text(character).wide[0].substitute is None


def test_every_substitute_is_in_gsm7_and_none_takes_a_letters_accent_or_height() -> None:
    characters = "".join(map(chr, range(0x20000)))
    for _, character, _, substitute in check_text(characters).wide:
        if substitute is None:
            continue
        assert choose_encoding(substitute) == "gsm7", character
        # Unicode decomposes an accented letter canonically. Such letters are not replaced.
        decomposition = unicodedata.decomposition(character)
        same = unicodedata.normalize("NFC", character) == substitute
        assert not decomposition or decomposition.startswith("<") or same, character
        assert not decomposition.startswith(("<super>", "<sub>", "<fraction>", "<circle>")), character
        if unicodedata.category(character).startswith("L"):
            name = unicodedata.name(character)
            looks_latin = re.fullmatch("GREEK CAPITAL LETTER [A-Z]+", name) and substitute.isascii()
            assert unicodedata.normalize("NFKC", character) == substitute or character == "ʼ" or looks_latin
