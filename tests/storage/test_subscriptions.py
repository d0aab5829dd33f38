"""Tests of the SQL of subscriptions: stored rows, found rows, and the index."""

import sqlite3

import pytest

from phonify.storage import subscriptions as subscription_store
from phonify.storage.records import KeywordReplies, SubscriptionRow
from tests.storage.rows import LATER, NOW, PHONE, explain, insert, opening, received, to


@pytest.fixture
def connection(tmp_path):
    with opening(tmp_path) as connection:
        yield connection


def put(connection, phone=PHONE, *, account_id=1, subscribed=False, reason="api", now=NOW):
    return subscription_store.put_subscription(
        connection, account_id=account_id, phone=phone, subscribed=subscribed, reason=reason, now=now
    )


def get(connection, account_id=1):
    return subscription_store.get_subscription(connection, account_id=account_id, phone=PHONE)


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


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_the_list_has_phones_by_their_latest_message_then_others(connection, limit):
    insert(connection, to("+1456"), to("+1457"), received("12345"), received("SHOP"), to("+1459", account_id=2))
    put(connection, "+1457")
    put(connection, "+1600")
    put(connection, "+1500", subscribed=False)
    put(connection, "+1700", account_id=2)
    pages = [
        subscription_store.list_subscriptions(connection, account_id=1, offset=offset, limit=limit)
        for offset in range(0, 6, limit)
    ]
    assert [(one.phone, one.subscribed) for page in pages for one in page] == [
        ("+1457", False),
        ("+1456", True),
        ("+1500", False),
        ("+1600", False),
    ]
    assert all(len(page) <= limit for page in pages)


def test_replies_are_kept_as_they_are(connection):
    assert subscription_store.get_replies(connection, account_id=1) == KeywordReplies()
    replies = KeywordReplies(("NO MORE", "Ende"), "Grüße", None, "😀")
    subscription_store.put_replies(connection, account_id=1, replies=replies)
    assert subscription_store.get_replies(connection, account_id=1) == replies
    assert subscription_store.get_replies(connection, account_id=2) == KeywordReplies()
    subscription_store.put_replies(connection, account_id=1, replies=KeywordReplies())
    assert subscription_store.get_replies(connection, account_id=1) == KeywordReplies()


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda c: get(c), "PRIMARY KEY (account_id=? AND phone=?)"),
        (
            lambda c: subscription_store.list_phones(c, account_id=1, offset=0, limit=10),
            "conversations_by_last (account_id=?)",
        ),
    ],
)
def test_an_index_serves_each_look_up(connection, call, index):
    steps = explain(connection, call)
    assert any(index in step for step in steps), steps
