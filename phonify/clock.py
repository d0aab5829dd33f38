"""The clock of the server. Tests replace this clock with their own clock.

In a sandbox, a developer can stop and advance the clock (`domain/server_clock.py`). Therefore, each clock has two
times: its own time and the time of the machine.
"""

import re
import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

# These functions wait and measure durations. The tests of an app may use a library that stops the clock. Such a library
# replaces the functions of the module `time`, but not a `partial`. So a server in the same process continues to run.
monotonic = partial(time.monotonic)
sleep = partial(time.sleep)

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# In each version of Python, `fromisoformat` accepts different forms. This pattern is the same in all versions.
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}) [Tt\ ] ((?:[01][0-9]|2[0-3]):[0-9]{2}) (?: (:[0-9]{2}) (?:\.([0-9]+))? )?"
    r" ([Zz] | [+-][0-9]{2}:?[0-9]{2})",
    re.VERBOSE,
)


class Clock(Protocol):
    """The interface of a clock."""

    def now(self) -> datetime:
        """Return the current date and time in UTC, as a datetime with a time zone."""

    def machine_now(self) -> datetime:
        """Return the machine's date and time in UTC.

        Leases, signatures, sessions, keys and test runs use this time. A developer can't change it.
        """

    def monotonic(self) -> float:
        """Return the seconds of a clock that is never set back. This clock measures durations."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the machine's date and time in UTC."""
        return datetime.now(UTC)

    def machine_now(self) -> datetime:
        """Return the same time as `now`."""
        return self.now()

    def monotonic(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return monotonic()


def format_time(moment: datetime) -> str:
    """Return a UTC time as text, in the form of the database and the API: `2026-01-31T09:30:00.000Z`."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds_until(text: str | None, now: datetime) -> float:
    """Return the seconds from `now` until a time that `format_time` has written. If `text` is None, return infinity."""
    return (parse_time(text) - now).total_seconds() if text is not None else float("inf")


def parse_time(text: str) -> datetime:
    """Read a date and a time with a time zone, in the form of RFC 3339. Raises ValueError for any other text.

    The T and the Z can be lower case, and a space can replace the T. Two more forms of ISO 8601 are accepted: a time
    without seconds, and a time zone without a colon. Only the first six decimal digits of the seconds are used. If the
    year in UTC is not from 1 to 9999, the result is the first or the last possible time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a date and a time with a time zone")
    date, hours, seconds, fraction, zone = match.groups(default="")
    zone = zone.upper().replace("Z", "+00:00")
    moment = datetime.fromisoformat(f"{date}T{hours}{seconds or ':00'}.{fraction[:6]:0<6}{zone}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year == 1 else LAST
