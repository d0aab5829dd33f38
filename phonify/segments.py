"""How many SMS a text needs, and in which encoding (3GPP TS 23.038 and TS 23.040).

GSM-7: 160 septets in a single SMS, 153 in each segment of a longer text; a character of the
extension table takes two septets (an escape and the character), which are never cut in two.
UCS-2: 70 units of UTF-16, or 67 a segment; a surrogate pair is never cut in two.
"""

from typing import Literal, NamedTuple

Encoding = Literal["gsm7", "ucs2"]

# TS 23.038 section 6.2.1 (without the escape) and section 6.2.1.1.
GSM7_DEFAULT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM7 = GSM7_DEFAULT | GSM7_EXTENSION

_LIMITS: dict[Encoding, tuple[int, int]] = {"gsm7": (160, 153), "ucs2": (70, 67)}


class Segmentation(NamedTuple):
    """How a text goes out: its encoding and the piece of text in each SMS."""

    encoding: Encoding
    segments: list[str]


def choose_encoding(text: str) -> Encoding:
    """Return `gsm7` where the default alphabet and its extension have every character, else `ucs2`."""
    return "gsm7" if _GSM7.issuperset(text) else "ucs2"


def count_segments(text: str) -> tuple[int, Encoding]:
    """Return how many SMS a text needs and its encoding."""
    if len(text) <= 160 and GSM7_DEFAULT.issuperset(text):
        return 1, "gsm7"
    encoding, segments = split_segments(text)
    return len(segments), encoding


def split_segments(text: str) -> Segmentation:
    """Cut a text into the pieces that its SMS carry."""
    encoding = choose_encoding(text)
    single, several = _LIMITS[encoding]
    if encoding == "gsm7":
        sizes = [2 if character in GSM7_EXTENSION else 1 for character in text]
    else:
        sizes = [2 if ord(character) > 0xFFFF else 1 for character in text]
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
