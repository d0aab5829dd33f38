"""Tests of the SQL of accounts: finding keys, recording their use, counting messages a day and requests a minute."""

import pytest

from phonify.storage import accounts as account_store
from tests.storage.rows import NOW, explain, opening, serves


@pytest.fixture
def connection(tmp_path):
    with opening(tmp_path) as connection:
        yield connection


def test_the_use_of_a_key_is_noted_unless_another_process_has_done_so(connection):
    key_id = account_store.insert_key(connection, account_id=1, name="", key_hash="h", now=NOW)

    def note(now, unless_since):
        account_store.set_key_used(connection, key_id=key_id, now=now, unless_since=unless_since)
        return account_store.list_keys(connection)[0].used_at

    assert note("2026-01-31T09:30:00.000Z", "2026-01-31T09:29:00.000Z") == "2026-01-31T09:30:00.000Z"
    assert note("2026-01-31T09:30:59.000Z", "2026-01-31T09:29:59.000Z") == "2026-01-31T09:30:00.000Z"
    assert note("2026-01-31T09:31:00.000Z", "2026-01-31T09:30:00.000Z") == "2026-01-31T09:31:00.000Z"


def take_quota(connection, quota, wanted, day="2026-01-31"):
    return account_store.take_quota(connection, account_id=1, day=day, quota=quota, wanted=wanted)


def test_a_quota_that_was_lowered_below_what_is_used_refuses_and_takes_nothing(connection):
    taken = [take_quota(connection, *given) for given in [(5, 3), (2, 1), (5, 0), (5, 9), (5, 1)]]
    assert taken == [3, 0, 0, 2, 0]
    assert account_store.get_quota_used(connection, account_id=1, day="2026-01-31") == 5
    assert account_store.get_quota_used(connection, account_id=2, day="2026-01-31") == 0


def test_the_day_before_stays_and_older_ones_go(connection):
    for day in ("2026-01-30", "2026-01-31", "2026-02-01"):
        take_quota(connection, 5, 2, day)
    assert connection.execute("SELECT day FROM quota_days").fetchall() == [("2026-01-31",), ("2026-02-01",)]


def take_request(connection, minute, limit=2):
    return account_store.take_request(connection, account_id=1, minute=minute, limit=limit)


def test_a_request_that_was_kept_waiting_counts_for_its_own_minute(connection):
    taken = [take_request(connection, minute) for minute in (10, 10, 11, 11, 10, 11)]
    assert taken == [1, 2, 1, 2, None, None]


def test_a_limit_of_none_at_all_lets_nothing_pass(connection):
    assert take_request(connection, 1, limit=0) is None


def test_the_minute_before_stays_and_older_ones_go(connection):
    for minute in (10, 11, 12):
        take_request(connection, minute)
    assert connection.execute("SELECT minute FROM rate_minutes").fetchall() == [(11,), (12,)]


def test_an_index_serves_the_look_up_of_a_key(connection):
    steps = explain(connection, lambda explaining: account_store.find_account_by_key(explaining, key_hash="0" * 64))
    assert serves(steps, "sqlite_autoindex_api_keys_1 (key_hash=?)")
