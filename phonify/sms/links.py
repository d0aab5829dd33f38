"""Finds the links in a text message."""

import re
from typing import NamedTuple

_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]}'’”]", re.IGNORECASE)  # noqa: RUF001 - quotes that people write


class Link(NamedTuple):
    """A link in a text. The link is `text[start:end]`."""

    url: str
    start: int
    end: int


def find_links(text: str) -> list[Link]:
    """List the http and https links of a text, from first to last.

    Punctuation directly after a link, such as a full stop, does not belong to the link.
    """
    return [Link(match[0], *match.span()) for match in _LINK.finditer(text)]
