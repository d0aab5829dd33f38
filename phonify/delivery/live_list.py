"""The live list of messages. With the stub gateway, the terminal shows one line for each message.

The list is for a person at the terminal. The log hides phone numbers and texts, but the list shows them. So Phonify
never prints the list to a file or to a pipe.
"""

import logging
import os
import shutil
import unicodedata
from collections.abc import Mapping
from io import TextIOWrapper
from typing import TextIO

from ..domain.news import News
from ..errors import StoreUnavailable
from ..storage.database import Database
from ..storage.records import Message

logger = logging.getLogger(__name__)

_RED, _GREEN, _YELLOW, _CYAN = 31, 32, 33, 36
_NUMBER_WIDTH = 16  # the longest E.164 number with its plus sign
_SHORTEST_TEXT, _LONGEST_TEXT = 20, 60  # columns
_OTHER_COLUMNS = 45  # for the direction, the number and the outcome


def has_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream shows colours. https://no-color.org describes the variable NO_COLOR."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


class LiveList:
    """Prints messages until `database.stopping` is true. Create the list before the first message is stored."""

    def __init__(self, database: Database, stream: TextIO) -> None:
        self._database = database
        self._stream = stream
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal may not be able to show all characters
        self._colour = has_colour(stream, os.environ)
        self._news = News(database)

    def run(self) -> None:
        """Print each message when it is received, is scheduled, or has an outcome."""
        watcher = None
        while not self._database.stopping:
            try:
                watcher = watcher or self._database.watch()
                for message in self._news.read():
                    columns = shutil.get_terminal_size().columns
                    print(write_line(message, columns=columns, colour=self._colour), file=self._stream, flush=True)
                watcher.wait(1.0)
            except StoreUnavailable:
                watcher = None
            except OSError:  # the terminal was closed
                return


def write_line(message: Message, *, columns: int, colour: bool) -> str:
    """Return the line for a message.

    The line has the direction, the number, the beginning of the text, and the outcome.
    """
    width = min(max(columns - _OTHER_COLUMNS, _SHORTEST_TEXT), _LONGEST_TEXT)
    outcome, code = _describe_outcome(message)
    direction = "to  " if message.direction == "outbound" else "from"
    if colour:
        outcome = f"\x1b[{code}m{outcome}\x1b[0m"
        direction = f"\x1b[{_CYAN}m{direction}\x1b[0m" if message.direction == "inbound" else direction
    return f"{direction} {message.other_side:{_NUMBER_WIDTH}}  {_shorten(message.body, width)}  {outcome}"


def _describe_outcome(message: Message) -> tuple[str, int]:
    """Return two values: a description of the outcome, and the ANSI code of a colour."""
    if message.direction == "inbound":
        return "received", _CYAN
    if message.state == "sent":
        return "sent", _GREEN
    if message.state == "error":
        return f"error: {message.error_type}", _RED
    if message.attempts == 0:
        return f"scheduled for {message.send_at}", _YELLOW
    if message.due_at == message.expires_at:
        return "in doubt: the message is not sent again", _YELLOW
    return f"tried again at {message.due_at}", _YELLOW


def _shorten(text: str, width: int) -> str:
    """Return a text as one line of exactly `width` columns.

    If the text needs more columns, replace its end with `...`. If the text needs fewer columns, add spaces.
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if _measure(line) > width:
        end = 0
        while _measure(line[: end + 1]) <= width - len("..."):
            end += 1
        line = f"{line[:end]}..."
    return line + " " * (width - _measure(line))


def _measure(text: str) -> int:
    """Return how many columns of the terminal a text needs.

    An East Asian character or an emoji is two columns wide. A combining character, such as an accent, adds no width.
    """
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )
