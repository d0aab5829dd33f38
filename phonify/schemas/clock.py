"""The schemas for the clock of the server: schemas for requests, and schemas for answers.

The functions `write_duration` and `write_summary` return texts for people.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from ..clock import parse_time
from ..storage.advancing import Advance
from ..storage.server_clock import ClockStatus
from .fields import Argument, time_field
from .objects import MOMENT, RecordSchema, Shown
from .requests import ArgumentsSchema

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = "".join(f"([0-9]{{1,6}}{unit})?" for unit in _UNITS)
# A summary shows these counts in this order.
_COUNTS = ("sent", "failed", "received", "receipts", "webhooks", "failed_webhooks", "expired", "removed")


def read_duration(text: str) -> timedelta:
    """Read a duration such as `24h` or `1d12h`. Raises ValueError for any other text."""
    match = re.fullmatch(_DURATION, text, re.ASCII)
    if not text or match is None:
        raise ValueError("not a duration")
    return timedelta(**{_UNITS[part[-1]]: int(part[:-1]) for part in match.groups() if part is not None})


def write_duration(duration: timedelta) -> str:
    """Return a readable text for a duration, such as `24 h` or `365 d 2 h`. Fractions of seconds are left out."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24) if hours > 48 else (0, hours)
    parts = {"d": days, "h": hours, "min": minutes, "s": seconds}
    return " ".join(f"{count} {unit}" for unit, count in parts.items() if count) or "0 s"


def write_summary(advance: Advance) -> str:
    """Return one line that says what happened when the clock was advanced."""
    duration = write_duration(parse_time(advance.ended_at) - parse_time(advance.begun_at))
    counts = advance.ended._asdict()
    done = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in _COUNTS if counts[name])
    rest = "" if advance.finished else "; some work is not done. Advance the clock again"
    return f"{duration}: {done or 'nothing was due'}{rest}"


class AdvanceSchema(ArgumentsSchema):
    """The arguments for advancing the clock."""

    by = Argument(
        read_duration,
        invalid="invalid_duration",
        form={
            "type": "string",
            "pattern": f"^(?=.){_DURATION}$",
            "description": "A duration: numbers with the units `d`, `h`, `m` and `s`.",
            "examples": ["24h"],
        },
    )
    to = time_field("A time, in ISO 8601 with a time zone. Give either `to` or `by`.")

    @validates_schema(pass_original=True, skip_on_field_errors=True)
    def require_one(self, _loaded: dict[str, Any], given: Mapping[str, Any], **_: Any) -> None:
        """Require exactly one of the two arguments."""
        if ("by" in given) == ("to" in given):
            raise ValidationError("by_or_to")


class ClockSchema(RecordSchema):
    """The clock of the server."""

    now = fields.String(required=True, metadata={**MOMENT, "description": "The time of the clock, in UTC."})
    machine_now = fields.String(required=True, metadata={**MOMENT, "description": "The real time, in UTC."})
    frozen = fields.Boolean(required=True, metadata={"description": "Whether the clock is stopped."})
    changed = fields.Boolean(
        required=True,
        metadata={"description": "A change of the clock sets this field to true. A reset sets this field to false."},
    )


def _count_field(description: str) -> fields.Integer:
    return fields.Integer(required=True, strict=True, metadata={"minimum": 0, "description": description})


class EndedSchema(RecordSchema):
    """The fields show how many messages, receipts and events Phonify processed while it advanced the clock."""

    sent = _count_field("Messages that reached the state `sent`.")
    expired = _count_field("Messages that failed at the end of their validity period.")
    failed = _count_field("Messages that failed for another reason.")
    received = _count_field("Messages from phones.")
    receipts = _count_field("Delivery receipts.")
    webhooks = _count_field("Events that Phonify has successfully posted to the webhook.")
    failed_webhooks = _count_field("Events that failed. Phonify does not post them again.")
    removed = _count_field("Old messages that were removed.")


class AdvancedSchema(RecordSchema):
    """The results of advancing the clock."""

    begun_at = fields.String(
        required=True, metadata={**MOMENT, "description": "The clock's time before the advance, in UTC."}
    )
    ended_at = fields.String(required=True, metadata={**MOMENT, "description": "The new time of the clock, in UTC."})
    target = fields.String(required=True, metadata={**MOMENT, "description": "The requested time, in UTC."})
    finished = fields.Boolean(
        required=True,
        metadata={
            "description": "True if the clock has reached `target`. If the value is false, send another request to"
            " advance the clock to `target`."
        },
    )
    ended = fields.Nested(EndedSchema, required=True)
    summary = fields.Function(
        write_summary,
        required=True,
        metadata={
            "type": "string",
            "description": "A summary for people.",
            "examples": ["24 h: 3 sent, 2 webhooks, 1 expired"],
        },
    )


class ClockAnswer(Schema):
    """The clock of the server."""

    clock = fields.Nested(ClockSchema, required=True)


class AdvanceAnswer(ClockAnswer):
    """The answer to a request that advances the clock. It contains the state of the clock, and the results."""

    advance = fields.Nested(AdvancedSchema, required=True)


_CLOCK = ClockSchema()
_ADVANCED = AdvancedSchema()


def dump_clock(status: ClockStatus) -> Shown:
    """Convert the status of the clock to the format of the API."""
    shown: Shown = _CLOCK.dump(status)
    return shown


def dump_advance(advance: Advance) -> Shown:
    """Convert an `Advance` to the format of the API."""
    shown: Shown = _ADVANCED.dump(advance)
    return shown
