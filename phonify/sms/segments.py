"""How many SMS a text needs, and in which encoding (3GPP TS 23.038 and TS 23.040).

GSM-7: 160 septets in a single SMS, 153 in each segment of a longer text; a character of the
extension table takes two septets (an escape and the character), which are never cut in two.
UCS-2: 70 units of UTF-16, or 67 a segment; a surrogate pair is never cut in two.
"""

import unicodedata
from typing import Literal, NamedTuple

from .one_time_codes import OriginBoundCode, find_bound_line, find_origin_bound_code

Encoding = Literal["gsm7", "ucs2"]

# TS 23.038 section 6.2.1 (without the escape) and section 6.2.1.1.
GSM7_DEFAULT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM7 = GSM7_DEFAULT | GSM7_EXTENSION

# What reads the same in GSM-7; further ones come from Unicode's compatibility forms.
_SUBSTITUTES = {
    **dict.fromkeys("‘’‚‛′ʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("•‣◦", "*"),  # not the middle dot, which Catalan has within words
    **dict.fromkeys("\u200b\u2060\ufeff\xad\ufe0e", ""),
    "‹": "<",
    "›": ">",
    "`": "'",
    "´": "'",
    "\t": " ",
    "×": "x",
    "⁄": "/",
}
_READS_THE_SAME = ("<compat>", "<wide>", "<narrow>", "<noBreak>", "<small>")  # and not <super>, <fraction>, ...

_LIMITS: dict[Encoding, tuple[int, int]] = {"gsm7": (160, 153), "ucs2": (70, 67)}


class Segmentation(NamedTuple):
    """How a text goes out: its encoding and the piece of text in each SMS."""

    encoding: Encoding
    segments: list[str]


class WideCharacter(NamedTuple):
    """A character that GSM-7 does not have, so that its text goes out in UCS-2."""

    position: int  # index in the text
    character: str
    name: str  # of Unicode
    substitute: str | None  # what reads the same in GSM-7, where there is such a thing; may be empty


class TextCheck(NamedTuple):
    """What a text becomes as SMS."""

    encoding: Encoding
    units: int  # septets, or units of UTF-16
    single: int  # how many units a text of one SMS may have
    segments: list[str]
    wide: list[WideCharacter]
    bound_code: OriginBoundCode | None  # in the last line
    bound_line: str | None  # the last line, where it begins as one with a code bound to a web site


def choose_encoding(text: str) -> Encoding:
    """Return `gsm7` where the default alphabet and its extension have every character, else `ucs2`."""
    return "gsm7" if _GSM7.issuperset(text) else "ucs2"


def count_segments(text: str) -> tuple[int, Encoding]:
    """Return how many SMS a text needs and its encoding."""
    if len(text) <= 160 and GSM7_DEFAULT.issuperset(text):
        return 1, "gsm7"
    encoding, segments = split_segments(text)
    return len(segments), encoding


def check_text(text: str) -> TextCheck:
    """Return all there is to say of a text before it goes out."""
    encoding, segments = split_segments(text)
    wide = [
        WideCharacter(position, character, _name(character), _find_substitute(character))
        for position, character in enumerate(text)
        if character not in _GSM7
    ]
    return TextCheck(
        encoding,
        count_units(text, encoding),
        _LIMITS[encoding][0],
        segments,
        wide,
        find_origin_bound_code(text),
        find_bound_line(text),
    )


def count_units(text: str, encoding: Encoding) -> int:
    """Return how many septets, or units of UTF-16, a text takes."""
    return sum(_sizes(text, encoding))


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}")


def _find_substitute(character: str) -> str | None:
    substitute = _SUBSTITUTES.get(character)
    if substitute is None and unicodedata.decomposition(character).startswith(_READS_THE_SAME):
        substitute = unicodedata.normalize("NFKC", character)
    return substitute if substitute is not None and _GSM7.issuperset(substitute) else None


def _sizes(text: str, encoding: Encoding) -> list[int]:
    if encoding == "gsm7":
        return [2 if character in GSM7_EXTENSION else 1 for character in text]
    return [2 if ord(character) > 0xFFFF else 1 for character in text]


def split_segments(text: str) -> Segmentation:
    """Cut a text into the pieces that its SMS carry."""
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
