"""Tests of times: their written form, the forms that are read, and the system clock."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.clock import SystemClock, format_time, parse_time


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00.000Z"),
        (datetime(2026, 1, 31, 9, 30, 1, 500_000, tzinfo=UTC), "2026-01-31T09:30:01.500Z"),
        (datetime(2026, 1, 31, 9, 30, 1, 999_999, tzinfo=UTC), "2026-01-31T09:30:01.999Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_written_in_one_width_with_milliseconds(moment: datetime, text: str) -> None:
    assert format_time(moment) == text


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_the_order_of_the_text_is_the_order_of_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])

    assert format_time(earlier) <= format_time(later)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00.000Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00.123Z", datetime(2026, 1, 31, 9, 30, 0, 123_000, tzinfo=UTC)),
        ("2026-01-31T09:30:00.123456Z", datetime(2026, 1, 31, 9, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-01-31 09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00+00:00", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00+02:00", datetime(2026, 1, 31, 7, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00-0530", datetime(2026, 1, 31, 15, 0, tzinfo=UTC)),
        ("2030-01-01T00:00:00z", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01t00:00:00+01:00", datetime(2029, 12, 31, 23, tzinfo=UTC)),
        ("2030-01-01T00:00:00.5Z", datetime(2030, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2030-01-01T00:00:00.123456789Z", datetime(2030, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
        ("2030-01-01T00:00:00-00:00", datetime(2030, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:17:01+05:49", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+00:01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-00:01", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_iso_8601_with_a_zone_is_read_as_utc(text: str, moment: datetime) -> None:
    parsed = parse_time(text)

    assert parsed == moment
    assert parsed.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "tomorrow",
        "2026",
        "2026-01-31",
        "2026-01-31T09:30:00",
        "2026-01-31 09:30:00",
        "2026-01-31Z",
        "09:30:00Z",
        "1769851800",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:30:00Z",
        "2026-01-31T09:60:00Z",
        "2026-01-31T09:30:00Zulu",
        "2026-01-31T09:30:00Z ",
        "2026-01-31x09:30:00Z",
        "31.01.2026 09:30:00Z",
        "Sat, 31 Jan 2026 09:30:00 GMT",
        "2026-01-31T24:00:00Z",
        "2026-01-31T09:30:00,5Z",
        "2026-01-31T09Z",
        "2026-01-31T09:30.5Z",
        "20260131T093000Z",
        "2026-W05-6T09:30:00Z",
        "2026-031T09:30:00Z",
        "2026-01-31T09:30:00+02",
        "2026-01-31T09:30:00+02:00:30",
        "2026-01-31T09:30:00+25:00",
        "2026-01-31T09:30:60Z",
        "2026-01-31T09:30:00 02:00",
        "\0",
        "\ud800",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        moment = parse_time(text)
    except ValueError:
        return
    assert moment.utcoffset() == timedelta(0)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_was_written_is_read_as_the_same_millisecond(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


def test_a_time_of_another_zone_is_read_as_the_same_moment() -> None:
    moment = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))

    assert parse_time(moment.isoformat()) == datetime(2026, 1, 31, 3, 45, tzinfo=UTC)


def test_the_clock_of_the_machine_is_in_utc() -> None:
    before = time.time()
    now = SystemClock().now()
    after = time.time()

    assert now.utcoffset() == timedelta(0)
    assert before - 1 <= now.timestamp() <= after + 1


def test_the_clock_of_the_machine_measures_in_seconds() -> None:
    before = time.monotonic()
    measured = SystemClock().monotonic()
    after = time.monotonic()

    assert before <= measured <= after
