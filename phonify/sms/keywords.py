"""Keywords. A phone sends a keyword to opt out, to opt in, or to ask for help."""

import string
import unicodedata
from collections.abc import Sequence
from typing import Literal

STOP_KEYWORDS = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
START_KEYWORDS = ("START", "UNSTOP", "YES")
HELP_KEYWORDS = ("HELP",)

Keyword = Literal["stop", "start", "help"]


def normalize_keyword(text: str) -> str:
    """Return a text in lower case, without the punctuation and spaces around it. Equal results are the same keyword."""
    start, end = 0, len(text)
    while start < end and _is_outer(text[start]):
        start += 1
    while end > start and _is_outer(text[end - 1]):
        end -= 1
    return text[start:end].casefold()


def _is_outer(character: str) -> bool:
    # In Unicode, some ASCII punctuation is in the category of symbols: $+<=>^`|~.
    return character in string.punctuation or unicodedata.category(character)[0] in "PZC"


_KEYWORDS: dict[str, Keyword] = {
    **dict.fromkeys(map(normalize_keyword, STOP_KEYWORDS), "stop"),
    **dict.fromkeys(map(normalize_keyword, START_KEYWORDS), "start"),
    **dict.fromkeys(map(normalize_keyword, HELP_KEYWORDS), "help"),
}


def find_keyword(text: str, own_stop_keywords: Sequence[str] = ()) -> Keyword | None:
    """Return the kind of a keyword, or None if the text is not a keyword."""
    keyword = normalize_keyword(text)
    if keyword and keyword in map(normalize_keyword, own_stop_keywords):
        return "stop"
    return _KEYWORDS.get(keyword)
