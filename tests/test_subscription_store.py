"""The SQL of subscriptions: what is kept, what is found, and by which index."""

import re
import sqlite3

import pytest
from conftest import ROOT

from phonify import create_app, store, subscription_store
from phonify.subscription_store import KeywordReplies, SubscriptionRow

PHONE = "+14560000000"
NOW = "2026-01-31T09:30:00.000Z"
LATER = "2026-01-31T09:31:00.000Z"


@pytest.fixture
def connection(app, tmp_path):
    connection = sqlite3.connect(tmp_path / "phonify.db", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    store.insert_account(connection, name="other", origin=None, now=NOW)
    yield connection
    connection.close()


def put(connection, phone=PHONE, *, account_id=1, subscribed=False, reason="api", now=NOW):
    return subscription_store.put_subscription(
        connection, account_id=account_id, phone=phone, subscribed=subscribed, reason=reason, now=now
    )


def get(connection, phone=PHONE, account_id=1):
    return subscription_store.get_subscription(connection, account_id=account_id, phone=phone)


def test_a_phone_that_is_not_there_is_subscribed(connection):
    assert get(connection) == SubscriptionRow(PHONE, subscribed=True, changed_at=None, reason=None)


def test_a_change_is_kept_and_one_that_changes_nothing_is_not(connection):
    assert put(connection)
    assert not put(connection, reason="inbox", now=LATER)
    assert get(connection) == (PHONE, False, NOW, "api")
    assert put(connection, subscribed=True, reason="keyword", now=LATER)
    assert not put(connection, subscribed=True, now=LATER)
    assert get(connection) == (PHONE, True, LATER, "keyword")


def test_subscribing_a_phone_that_is_subscribed_leaves_no_row(connection):
    assert not put(connection, subscribed=True)
    assert connection.execute("SELECT count(*) FROM subscriptions").fetchone() == (0,)


def test_a_reason_that_nobody_knows_is_refused(connection):
    with pytest.raises(sqlite3.IntegrityError):
        put(connection, reason="whim")


def test_accounts_have_subscriptions_of_their_own(connection):
    put(connection)
    assert get(connection, account_id=2).subscribed
    assert subscription_store.list_opted_out(connection, account_id=2, phones=[PHONE]) == set()
    assert subscription_store.has_opt_outs(connection, account_id=1)
    assert not subscription_store.has_opt_outs(connection, account_id=2)


def test_whether_there_are_opt_outs_at_all(connection):
    assert not subscription_store.has_opt_outs(connection)
    put(connection)
    assert subscription_store.has_opt_outs(connection)
    put(connection, subscribed=True)
    assert not subscription_store.has_opt_outs(connection)
    assert not subscription_store.has_opt_outs(connection, account_id=1)


def test_of_many_phones_those_are_found_that_opted_out(connection):
    phones = [f"+1456{number:07}" for number in range(2_000)]
    for phone in phones[::3]:
        put(connection, phone)
    put(connection, phones[3], subscribed=True)
    found = subscription_store.list_opted_out(connection, account_id=1, phones=phones)
    assert found == set(phones[::3]) - {phones[3]}
    assert subscription_store.list_opted_out(connection, account_id=1, phones=[]) == set()


def test_the_times_of_opt_outs_are_found_for_several_accounts_at_once(connection):
    put(connection)
    put(connection, account_id=2, now=LATER)
    put(connection, "+14560000001", account_id=2)
    asked = [(1, PHONE), (2, PHONE), (1, "+14560000001"), (3, PHONE)]
    assert subscription_store.list_opt_out_times(connection, phones=asked) == {(1, PHONE): NOW, (2, PHONE): LATER}


def test_replies_are_kept_as_they_are(connection):
    assert subscription_store.get_replies(connection, account_id=1) == KeywordReplies()
    replies = KeywordReplies(("NO MORE", "Ende"), "Grüße", None, "😀")
    subscription_store.put_replies(connection, account_id=1, replies=replies)
    assert subscription_store.get_replies(connection, account_id=1) == replies
    assert subscription_store.get_replies(connection, account_id=2) == KeywordReplies()
    subscription_store.put_replies(connection, account_id=1, replies=KeywordReplies())
    assert subscription_store.get_replies(connection, account_id=1) == KeywordReplies()


STATEMENTS = [
    lambda c: subscription_store.has_opt_outs(c),
    lambda c: subscription_store.has_opt_outs(c, account_id=1),
    lambda c: subscription_store.list_opted_out(c, account_id=1, phones=[PHONE]),
    lambda c: subscription_store.list_opt_out_times(c, phones=[(1, PHONE)]),
    lambda c: subscription_store.list_subscriptions(c, account_id=1, offset=0, limit=10),
    lambda c: store.get_quota_used(c, account_id=1, day="2026-01-31"),
]


@pytest.mark.parametrize("call", STATEMENTS)
def test_nothing_is_found_by_looking_at_every_row(connection, call):
    statements = []
    connection.set_trace_callback(statements.append)
    call(connection)
    connection.set_trace_callback(None)
    assert statements
    for statement in statements:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        scanned = {found[1] for step in plan if (found := re.match(r"SCAN (?!.* INDEX )(\w+)", step))}
        assert scanned <= {"asked", "c", "CONSTANT"}, plan
        assert not any(step.startswith("SCAN s") and "opted_out" not in step for step in plan), plan


def test_whether_an_account_has_opt_outs_is_looked_up_among_those_alone(connection):
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT 1 FROM subscriptions INDEXED BY subscriptions_opted_out"
        " WHERE subscribed = 0 AND account_id = 1"
    ).fetchall()
    assert "SEARCH subscriptions USING INDEX subscriptions_opted_out (account_id=?)" in plan[0][3]


def test_a_file_of_the_first_version_gets_the_tables(tmp_path):
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript((ROOT / "tests/schemas/version-1.sql").read_text(encoding="utf-8"))
    connection.execute("PRAGMA application_id = 0x50484F4E")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    app = create_app({"DATABASE": path, "API_KEY": "test-key"})
    client = app.test_client()
    response = client.post(f"/v1/subscriptions/{PHONE}/unsubscribe?api_key=test-key")
    assert response.get_json() == {"result": "OK"}
    app.extensions["phonify"].close()
