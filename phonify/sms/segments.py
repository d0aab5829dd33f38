"""The encoding of a text, and the number of SMS that the text needs (3GPP TS 23.038 and TS 23.040).

In GSM-7, a single SMS can have 160 septets. If a text needs several SMS, each segment can have 153 septets. A character
of the extension table takes two septets. In UCS-2, a single SMS can have 70 units of UTF-16. If a text needs several
SMS, each segment can have 67 units. A surrogate pair takes two units. A character is never split between two segments.
"""

import unicodedata
from typing import Literal, NamedTuple

from .alphabet import GSM7, GSM7_DEFAULT, GSM7_EXTENSION
from .one_time_codes import OriginBoundCode, find_bound_line, find_origin_bound_code

Encoding = Literal["gsm7", "ucs2"]

# Characters of GSM-7 that can replace other characters. More replacements come from Unicode's compatibility forms.
_SUBSTITUTES = {
    **dict.fromkeys("‘’‚‛′ʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("•‣◦", "*"),  # not the middle dot: it is a part of words in Catalan
    **dict.fromkeys("\u200b\u2060\ufeff\xad\ufe0e", ""),
    # TS 23.038 leaves these Greek capitals out, because they look like Latin ones.
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    "‹": "<",
    "›": ">",
    "`": "'",
    "´": "'",
    "\t": " ",
    "×": "x",
    "⁄": "/",
}
# <super> and <fraction> are not here, because they change the meaning.
_READS_THE_SAME = ("<compat>", "<wide>", "<narrow>", "<noBreak>", "<small>")

_LIMITS: dict[Encoding, tuple[int, int]] = {"gsm7": (160, 153), "ucs2": (70, 67)}


class Segmentation(NamedTuple):
    """The encoding of a text, and the part of the text in each SMS."""

    encoding: Encoding
    segments: list[str]


class WideCharacter(NamedTuple):
    """A character that is not in GSM-7. A text with such a character needs UCS-2."""

    position: int  # index in the text
    character: str  # one character, or a letter and its accent that form one character of GSM-7
    name: str  # the name in Unicode
    substitute: str | None  # a replacement in GSM-7. Empty: delete the character. None: GSM-7 has no replacement


class TextCheck(NamedTuple):
    """Facts about a text that is sent as SMS."""

    encoding: Encoding
    units: int  # septets, or units of UTF-16
    single: int  # the highest number of units in a single SMS
    segments: list[str]
    wide: list[WideCharacter]
    bound_code: OriginBoundCode | None  # in the last line
    bound_line: str | None  # the last line, if it begins with `@`


def choose_encoding(text: str) -> Encoding:
    """Return `gsm7` if GSM-7 can encode every character of the text. Otherwise, return `ucs2`."""
    return "gsm7" if GSM7.issuperset(text) else "ucs2"


def count_segments(text: str) -> tuple[int, Encoding]:
    """Return the number of SMS that a text needs, and the encoding of the text."""
    if len(text) <= 160 and GSM7_DEFAULT.issuperset(text):
        return 1, "gsm7"
    encoding, segments = split_segments(text)
    return len(segments), encoding


def check_text(text: str) -> TextCheck:
    """Return the encoding and the segments of a text.

    The field `wide` lists the characters that are not in GSM-7. The field `bound_code` is the one-time code in the last
    line of the text.
    """
    encoding, segments = split_segments(text)
    return TextCheck(
        encoding,
        count_units(text, encoding),
        _LIMITS[encoding][0],
        segments,
        _list_wide(text),
        find_origin_bound_code(text),
        find_bound_line(text),
    )


def replace_look_alikes(text: str) -> str:
    """Replace characters that are not in GSM-7 with similar characters of GSM-7, and return the text."""
    parts, end = [], 0
    for wide in _list_wide(text):
        parts.append(text[end : wide.position])
        parts.append(wide.character if wide.substitute is None else wide.substitute)
        end = wide.position + len(wide.character)
    return "".join(parts) + text[end:]


def count_units(text: str, encoding: Encoding) -> int:
    """Return the length of a text, in septets or in UTF-16 units."""
    return sum(_sizes(text, encoding))


def _list_wide(text: str) -> list[WideCharacter]:
    return [_describe(text, position) for position, character in enumerate(text) if character not in GSM7]


def _describe(text: str, position: int) -> WideCharacter:
    pair = text[max(position - 1, 0) : position + 1]
    composed = unicodedata.normalize("NFC", pair)
    if len(pair) == 2 and len(composed) == 1 and composed in GSM7:  # a letter and its accent
        return WideCharacter(position - 1, pair, _name(composed), composed)
    character = text[position]
    substitute = _find_substitute(character)
    if (
        substitute is None
        and _is_invisible(character)
        and GSM7.issuperset(pair[:-1] + text[position + 1 : position + 2])
    ):
        substitute = ""  # next to characters outside GSM-7, this character can join emoji or change a letter
    return WideCharacter(position, character, _name(character), substitute)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}")


def _find_substitute(character: str) -> str | None:
    substitute = _SUBSTITUTES.get(character)
    if substitute is None and unicodedata.decomposition(character).startswith(_READS_THE_SAME):
        substitute = unicodedata.normalize("NFKC", character)
    if substitute is None:
        substitute = unicodedata.normalize("NFC", character)  # U+212B is the same character as Å
    return substitute if GSM7.issuperset(substitute) else None


def _sizes(text: str, encoding: Encoding) -> list[int]:
    if encoding == "gsm7":
        return [2 if character in GSM7_EXTENSION else 1 for character in text]
    return [2 if ord(character) > 0xFFFF else 1 for character in text]


def split_segments(text: str) -> Segmentation:
    """Split a text into segments, one for each SMS."""
    encoding = choose_encoding(text)
    single, several = _LIMITS[encoding]
    sizes = _sizes(text, encoding)
    if sum(sizes) <= single:
        return Segmentation(encoding, [text])
    segments, start, used = [], 0, 0
    for position, size in enumerate(sizes):
        if used + size > several:
            segments.append(text[start:position])
            start, used = position, 0
        used += size
    segments.append(text[start:])
    return Segmentation(encoding, segments)
