"""The clock of the server. Tests replace this clock with their own clock.

In a sandbox, a developer can stop and advance the clock (`domain/server_clock.py`). Therefore, `now` and
`machine_now` can return different times.
"""

import re
import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

# These functions wait and measure durations. Some test suites use a library that stops the time. This library
# replaces the functions of the module `time`. The library does not replace these `partial` objects. So a server in the
# same process continues to run.
monotonic = partial(time.monotonic)
sleep = partial(time.sleep)

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# The forms that `fromisoformat` accepts depend on the version of Python. This pattern is the same in all versions.
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

        Phonify uses this time for leases, signatures, sessions, keys and test runs.
        Developers can change the clock of a sandbox, but not the machine's time.
        """

    def monotonic(self) -> float:
        """Return the seconds on a clock that never goes backwards.

        To measure a duration, subtract an earlier result from a later result.
        """


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the machine's date and time in UTC."""
        return datetime.now(UTC)

    def machine_now(self) -> datetime:
        """Return the result of `now`."""
        return self.now()

    def monotonic(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return monotonic()


def format_time(moment: datetime) -> str:
    """Return a UTC time as a string. The database and the API use this form: `2026-01-31T09:30:00.000Z`."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds_until(text: str | None, now: datetime) -> float:
    """Return the seconds from `now` to the time in `text`, or infinity if `text` is None. See `parse_time`."""
    return (parse_time(text) - now).total_seconds() if text is not None else float("inf")


def parse_time(text: str) -> datetime:
    """Parse a time in the format of RFC 3339, such as `2026-01-31T09:30:00Z`.

    The T and the Z can be lower case, and a space can replace the T. Two more forms of ISO 8601 are accepted: a time
    without seconds, and a time zone without a colon. Only the first six decimal digits of the seconds are used.

    Raises ValueError if the string is not a valid time in one of these formats.

    If the time in UTC is before the year 1, the result is `FIRST`. If the time in UTC is after the year 9999, the
    result is `LAST`.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("must contain a date, a time and a time zone")
    date, hours, seconds, fraction, zone = match.groups(default="")
    zone = zone.upper().replace("Z", "+00:00")
    moment = datetime.fromisoformat(f"{date}T{hours}{seconds or ':00'}.{fraction[:6]:0<6}{zone}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year == 1 else LAST
