"""Keywords. A phone sends a keyword to opt out, to opt in, or to ask for help."""

import string
import unicodedata
from collections.abc import Sequence
from typing import Literal

STOP_KEYWORDS = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
START_KEYWORDS = ("START", "UNSTOP", "YES")
HELP_KEYWORDS = ("HELP",)
# People also write these keywords as two words, with a space or a hyphen between them.
_STOP_IN_TWO_WORDS = ("STOP ALL", "UN SUBSCRIBE", "OPT OUT")
_START_IN_TWO_WORDS = ("UN STOP",)

Keyword = Literal["stop", "start", "help"]

# Fillers, joiners, variation selectors and marks on symbols. `_simplify` removes these characters. Their Unicode
# categories are not enough to find them.
_INVISIBLE = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0])
) | frozenset(map(chr, [*range(0x20D0, 0x20F1), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))


def normalize_keyword(text: str) -> str:
    """Return a normalised text for the comparison of keywords.

    If the function returns equal strings for two texts, both texts count as the same keyword. The function applies NFKC
    and case folding. It removes invisible characters, and symbols such as emoji. It removes punctuation and spaces at
    both ends. A hyphen becomes a space, and several spaces become one space. If a text has only symbols, the symbols
    are kept.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(map(_simplify, folded))
    return _strip("".join(character for character in visible if not _is_symbol(character))) or _strip(visible)


def _simplify(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace() or category in ("Zs", "Zl", "Zp", "Pd"):
        return " "
    return "" if category[0] == "C" or character in _INVISIBLE else character


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character)[0] == "S"


def _strip(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _is_outer(text[start]):
        start += 1
    while end > start and _is_outer(text[end - 1]):
        end -= 1
    return unicodedata.normalize("NFKC", " ".join(text[start:end].split()))


def _is_outer(character: str) -> bool:
    # In Unicode, some ASCII punctuation is in the category of symbols: $+<=>^`|~.
    return character in string.punctuation or unicodedata.category(character)[0] in "PZ"


_KEYWORDS: dict[str, Keyword] = {
    **dict.fromkeys(map(normalize_keyword, (*STOP_KEYWORDS, *_STOP_IN_TWO_WORDS)), "stop"),
    **dict.fromkeys(map(normalize_keyword, (*START_KEYWORDS, *_START_IN_TWO_WORDS)), "start"),
    **dict.fromkeys(map(normalize_keyword, HELP_KEYWORDS), "help"),
}


def find_keyword(text: str, own_stop_keywords: Sequence[str] = ()) -> Keyword | None:
    """Return the kind of a keyword, or None if the text is not a keyword."""
    keyword = normalize_keyword(text)
    if keyword and keyword in map(normalize_keyword, own_stop_keywords):
        return "stop"
    return _KEYWORDS.get(keyword)
