"""Tests of message ids: they are UUIDv7, nobody can guess them, and they sort by creation."""

import uuid
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.ids import generate_ids, is_message_id, read_time

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
MILLISECONDS = 1_769_851_800_000  # of NOW, since 1970


def test_an_id_is_a_uuid_of_version_7() -> None:
    id_ = next(generate_ids(NOW))

    parsed = uuid.UUID(id_)
    assert str(parsed) == id_
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122


def test_an_id_begins_with_the_milliseconds_since_1970() -> None:
    assert uuid.UUID(next(generate_ids(NOW))).int >> 80 == MILLISECONDS


def test_the_time_of_an_id_can_be_read() -> None:
    assert read_time(next(generate_ids(NOW + timedelta(microseconds=1_999)))) == NOW + timedelta(milliseconds=1)


@pytest.mark.parametrize(("microseconds", "fraction"), [(0, 0), (250, 1_024), (500, 2_048), (999, 4_091)])
def test_the_12_bits_behind_go_on_with_the_fraction_of_the_millisecond(microseconds: int, fraction: int) -> None:
    id_ = uuid.UUID(next(generate_ids(NOW + timedelta(microseconds=microseconds))))

    assert id_.int >> 80 == MILLISECONDS
    assert abs((id_.int >> 64 & 0xFFF) - fraction) <= 1  # a float of seconds has no more digits


def test_ids_of_one_moment_ascend() -> None:
    ids = list(islice(generate_ids(NOW), 10_000))

    assert ids == sorted(set(ids))


def test_ids_of_later_moments_are_greater() -> None:
    ids = [next(generate_ids(NOW + timedelta(milliseconds=number))) for number in range(1_000)]

    assert ids == sorted(set(ids))


def test_an_id_after_another_is_greater_where_the_clock_stands_still() -> None:
    id_ = next(generate_ids(NOW))
    for _ in range(100):
        following = next(generate_ids(NOW, after=id_))
        assert following > id_
        id_ = following


@pytest.mark.parametrize("back", [timedelta(milliseconds=1), timedelta(hours=1), timedelta(days=10_000)])
def test_an_id_after_another_is_greater_where_the_clock_went_back(back: timedelta) -> None:
    last = next(generate_ids(NOW))

    ids = list(islice(generate_ids(NOW - back, after=last), 100))

    assert [last, *ids] == sorted({last, *ids})


def test_an_id_after_the_last_fraction_goes_on_in_the_next_millisecond() -> None:
    id_ = next(generate_ids(NOW, after="019c1363-49c0-7fff-bfff-ffffffffffff"))

    assert id_.startswith("019c1363-49c1-7000-")


def test_an_id_after_an_old_one_has_the_time_of_the_clock() -> None:
    id_ = next(generate_ids(NOW, after="01800000-0000-7000-8000-000000000000"))

    assert uuid.UUID(id_).int >> 80 == MILLISECONDS


def test_62_bits_are_random() -> None:
    tails = [uuid.UUID(next(generate_ids(NOW))).int & (1 << 62) - 1 for _ in range(400)]

    assert len(set(tails)) == 400
    # Each bit is set in about half of the ids. The chance that a bit is equal in all 400 ids is 1 in 10^120.
    for bit in range(62):
        assert 100 < sum(tail >> bit & 1 for tail in tails) < 300


@given(st.datetimes(datetime(1971, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - the zone comes below
def test_the_time_of_any_year_fits(moment: datetime) -> None:
    ids = list(islice(generate_ids(moment.replace(tzinfo=UTC)), 3))

    assert ids == sorted(set(ids))
    assert all(is_message_id(id_) for id_ in ids)


@pytest.mark.parametrize("text", ["019c1363-49c0-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff"])
def test_the_form_of_an_id_is_known(text: str) -> None:
    assert is_message_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "019C1363-49C0-7000-8000-000000000000",
        "019c136349c070008000000000000000",
        "019c1363-49c0-4000-8000-000000000000",  # version 4
        "019c1363-49c0-7000-c000-000000000000",  # another variant
        "019c1363-49c0-7000-8000-00000000000",
        "019c1363-49c0-7000-8000-0000000000000",
        "019c1363-49c0-7000-8000-000000000000\n",
        "{019c1363-49c0-7000-8000-000000000000}",
        "019c1363-49c0-7000-8000-00000000000g",
        "019c1363-49c0-7000-8000-00000000000\N{ARABIC-INDIC DIGIT ZERO}",
    ],
)
def test_anything_else_is_no_id(text: str) -> None:
    assert not is_message_id(text)
