"""The clock of the server. Tests replace it with their own clock."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The interface of a clock."""

    def now(self) -> datetime:
        """Return the current date and time in UTC, as a datetime with a time zone."""

    def monotonic(self) -> float:
        """Return seconds from a clock that is never set back. Use it to measure durations."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the machine's time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return time.monotonic()


def format_time(moment: datetime) -> str:
    """Return a UTC time as text, as the database and the API show it: `2026-01-31T09:30:00.000Z`."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> datetime:
    """Read a time in ISO 8601 with a time zone. Raises ValueError for any other text."""
    if len(text) < len("2026-01-31T09:30Z") or text[10] not in "Tt ":
        raise ValueError("not a date and a time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
