"""Tests of the SQL of the inbox: conversations, unread messages, threads, search, counts, and the use of indexes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phonify.storage import conversations
from phonify.storage import messages as store
from phonify.storage.conversations import MOST_UNREAD
from tests.storage.rows import (
    FAILED,
    INBOUND,
    OTHER,
    OWN,
    PHONE,
    SENT,
    WAITING,
    explain,
    insert,
    message_id,
    opening,
    received,
    serves,
    to,
)

END = 2**63 - 1


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with opening(tmp_path) as connection:
        yield connection


def listed(
    connection: sqlite3.Connection, account: int = 1, below: int = END, limit: int = 1_000
) -> list[tuple[str, int, int]]:
    """Return the conversations: phone, seq of the latest message, and number of unread messages."""
    found = conversations.list_conversations(connection, account_id=account, below=below, limit=limit)
    return [(one.phone, one.last.seq, one.unread) for one in found]


def read(connection: sqlite3.Connection, number: int, phone: str = PHONE) -> None:
    conversations.mark_read(connection, account_id=1, phone=phone, message_id=message_id(number))


# Conversations


def test_the_list_has_each_phone_once_by_its_latest_message_and_of_one_account(connection):
    insert(connection, to(PHONE), to(OTHER, account_id=2), received(OTHER), received(PHONE))
    assert listed(connection) == [(PHONE, 4, 2), (OTHER, 3, 1)]
    assert listed(connection, account=2) == [(OTHER, 2, 1)]


def test_conversations_with_unread_messages_are_counted_by_account(connection):
    def count(besides: str | None = None, account: int = 1) -> int:
        return conversations.count_unread(connection, account_id=account, selected=besides)

    insert(connection, to(PHONE), to(PHONE), received(OTHER), to(OTHER, account_id=2))
    assert (count(), count(PHONE), count("+1"), count(account=2)) == (2, 1, 2, 1)
    read(connection, 1)
    assert (count(), count(PHONE)) == (2, 1)
    read(connection, 2)
    assert (count(), count(PHONE), count(OTHER), count(account=2)) == (1, 1, 0, 1)


def test_all_conversations_of_one_account_are_read_up_to_a_message(connection):
    insert(connection, to(PHONE), to(OTHER, account_id=2), received(OTHER), received(PHONE), to(PHONE))
    conversations.mark_all_read(connection, account_id=1, up_to=4)
    assert listed(connection) == [(PHONE, 5, 1), (OTHER, 3, 0)]
    conversations.mark_all_read(connection, account_id=1, up_to=2)
    assert listed(connection) == [(PHONE, 5, 1), (OTHER, 3, 0)]
    conversations.mark_all_read(connection, account_id=1, up_to=END)
    assert listed(connection) == [(PHONE, 5, 0), (OTHER, 3, 0)]
    assert listed(connection, account=2) == [(OTHER, 2, 1)]
    insert(connection, to(OTHER))
    assert [unread for _, _, unread in listed(connection)] == [1, 0]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
def test_paging_visits_each_conversation_exactly_once(connection, limit):
    insert(connection, *(to(f"+1456000{number % 20:04d}", account_id=1 + (number % 3 == 0)) for number in range(60)))
    seen, below = [], END
    while page := listed(connection, below=below, limit=limit):
        assert len(page) <= limit
        seen += page
        below = page[-1][1]
    assert seen == listed(connection)
    assert len({phone for phone, _, _ in seen}) == 20


# Unread


def has_unread(connection: sqlite3.Connection, number: int, account: int = 1) -> bool:
    return conversations.has_unread(connection, account_id=account, phone=PHONE, message_id=message_id(number))


def test_what_came_after_the_last_look_is_unread(connection):
    insert(connection, to(PHONE), received(PHONE), to(PHONE), to(OTHER), to(PHONE, account_id=2))
    assert has_unread(connection, 2)
    read(connection, 2)
    assert listed(connection) == [(OTHER, 4, 1), (PHONE, 3, 1)]
    assert [has_unread(connection, number) for number in (1, 2, 3)] == [False, False, True]
    assert listed(connection, account=2) == [(PHONE, 5, 1)]
    assert has_unread(connection, 5, account=2)


def test_a_look_further_back_makes_nothing_unread_again(connection):
    insert(connection, to(PHONE), to(PHONE))
    read(connection, 2)
    read(connection, 1)
    assert listed(connection) == [(PHONE, 2, 0)]


def test_a_look_at_a_message_that_is_gone_or_unknown_is_none(connection):
    insert(connection, to(PHONE))
    read(connection, 9)
    read(connection, 1, OTHER)
    assert listed(connection) == [(PHONE, 1, 1)]


def test_a_look_at_a_message_that_went_over_to_another_number_reads_nothing_that_is_to_come(connection):
    insert(connection, to(PHONE), WAITING)
    moved = store.get_message(connection, account_id=1, message_id=message_id(2))
    store.update_waiting_message(connection, message=moved._replace(to_number=OTHER))
    read(connection, 2)
    store.delete_message(connection, message=moved._replace(to_number=OTHER))
    insert(connection, to(PHONE))  # with the seq of the removed message
    assert listed(connection) == [(PHONE, 2, 1)]


@pytest.mark.parametrize("kinds", [[to(PHONE)], [received(PHONE)], [to(PHONE), received(PHONE)]])
def test_no_more_than_a_hundred_unread_messages_are_counted(connection, kinds):
    insert(connection, *(kinds * 201)[:201])
    assert listed(connection) == [(PHONE, 201, MOST_UNREAD)]


# Threads


def thread(connection: sqlite3.Connection, phone: str = PHONE, **paging: int) -> list[int]:
    paging = {"below": END, "limit": 1_000, **paging}
    return [entry.seq for entry in conversations.list_thread(connection, account_id=1, phone=phone, **paging)]


def test_a_thread_has_both_directions_the_latest_first(connection):
    insert(
        connection,
        *[to(PHONE), received(PHONE), to(OTHER), received(OTHER), to(PHONE, account_id=2), received(PHONE), to(PHONE)],
    )
    assert thread(connection) == [7, 6, 2, 1]
    assert thread(connection, OWN) == []


def test_a_message_to_its_own_sender_is_in_the_thread_once(connection):
    insert(connection, to(OWN, origin_number=OWN), received(OWN, to_number=OWN))
    assert thread(connection, OWN) == [2, 1]


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_paging_through_a_thread_visits_each_message_once(connection, limit):
    insert(connection, *[to(PHONE), received(PHONE), to(OTHER)] * 8)
    seen, below = [], END
    while page := thread(connection, below=below, limit=limit):
        seen += page
        below = page[-1]
    assert seen == thread(connection)
    assert len(seen) == 16


def test_a_thread_can_end_at_a_message(connection):
    insert(connection, *[to(PHONE), received(PHONE)] * 3)
    assert thread(connection, since=3) == [6, 5, 4, 3]
    assert thread(connection, since=3, below=5) == [4, 3]
    assert thread(connection, since=3, limit=2) == [6, 5]


def test_a_message_is_found_by_its_account_alone(connection):
    insert(connection, to(PHONE, body="mine"))
    found = conversations.get_entry(connection, account_id=1, message_id=message_id(1))
    assert found is not None
    assert (found.seq, found.message.body) == (1, "mine")
    assert conversations.get_entry(connection, account_id=2, message_id=message_id(1)) is None
    assert conversations.get_entry(connection, account_id=1, message_id="nothing") is None


# Search


def search(connection: sqlite3.Connection, **wanted: Any) -> tuple[list[int], int | None]:
    given = {
        "text": None,
        "state": None,
        "direction": None,
        "below": END,
        "limit": 1_000,
        "search_limit": 1_000,
        **wanted,
    }
    entries, further = conversations.search_messages(connection, account_id=1, **given)
    return [entry.seq for entry in entries], further


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("needle", [1]),
        ("NEEDLE", [1]),
        ("+14560000001", [3, 2]),
        ("0000001", [3, 2]),
        (OWN, [4, 3, 2, 1]),
        ("100%", [2]),
        ("%", [2]),
        ("_", [3]),
        ("e_c", [3]),
        ("\\", [4]),
        ("'", [4]),
        ("nothing", []),
        ("x" * 161, []),
    ],
)
def test_a_search_finds_a_text_in_body_and_numbers_and_means_it_literally(connection, text, expected):
    insert(
        connection,
        to(PHONE, body="hay needle hay"),
        to(OTHER, body="100% sure"),
        received(OTHER, body="snake_case"),
        received(PHONE, body="it's a back\\slash"),
        to(OTHER, body="needle 100% _ \\ '", account_id=2),
    )
    assert search(connection, text=text) == (expected, None)


def test_a_search_finds_other_forms_of_a_number_in_numbers_alone(connection):
    insert(connection, to("+4915112345678"), to(PHONE, body="pay 1511234 now"), to(PHONE, body="1511 234"))
    assert search(connection, text="1511 234", numbers=["1511234", "+1511%"]) == ([3, 1], None)


def test_a_search_for_scheduled_messages_finds_those_that_wait_for_their_time(connection):
    insert(
        connection, SENT, WAITING._replace(send_at="2026-02-01T09:30:00.000Z"), WAITING._replace(send_at=None), INBOUND
    )
    insert(connection, WAITING._replace(send_at="2026-02-01T09:30:00.000Z", attempts=1))
    assert search(connection, scheduled=True) == ([2], None)


def test_a_page_of_results_says_that_there_are_more_only_if_there_are(connection):
    insert(connection, SENT, SENT, SENT)
    assert search(connection, limit=3) == ([3, 2, 1], None)
    assert search(connection, limit=2) == ([3, 2], 2)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"state": "sent"}, [4, 1]),
        ({"state": "unconfirmed"}, [2]),
        ({"state": "error"}, [3]),
        ({"direction": "inbound"}, [4]),
        ({"direction": "outbound"}, [3, 2, 1]),
        ({"direction": "outbound", "state": "sent", "text": "hello"}, [1]),
        ({"direction": "inbound", "state": "error"}, []),
    ],
)
def test_a_search_may_be_for_a_state_and_a_direction(connection, wanted, expected):
    insert(connection, SENT, WAITING, FAILED, INBOUND)
    insert(connection, *(message._replace(account_id=2) for message in (SENT, WAITING, FAILED, INBOUND)))
    assert search(connection, **wanted) == (expected, None)


@pytest.mark.parametrize("most", [1, 2, 7, 30, 100])
@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("text", [None, "needle"])
def test_a_search_in_steps_sees_each_message_exactly_once(connection, most, limit, text):
    insert(
        connection,
        *(
            SENT._replace(account_id=1 + (number % 4 == 1), body="needle" if number % 5 == 0 else "hay")
            for number in range(30)
        ),
    )
    expected, _ = search(connection, text=text)
    assert len(expected) == (22 if text is None else 4)
    seen: list[int] = []
    below: int | None = END
    while below is not None:
        found, below = search(connection, text=text, search_limit=most, limit=limit, below=below)
        assert len(found) <= min(limit, most)
        seen += found
    assert seen == expected


def test_a_search_looks_at_a_bounded_number_of_messages(connection):
    insert(connection, SENT._replace(body="needle"), *[SENT] * 20)
    assert search(connection, text="needle", search_limit=10) == ([], 12)
    assert search(connection, text="needle", search_limit=10, below=12) == ([], 2)
    assert search(connection, text="needle", search_limit=10, below=2) == ([1], None)


# Counts


def test_messages_are_counted_by_account(connection):
    insert(connection, *[SENT, SENT._replace(account_id=2), WAITING] * 10)
    assert [conversations.count_messages(connection, account_id=account) for account in (1, 2, 3)] == [20, 10, 0]
    assert conversations.list_account_ids(connection) == [1, 2]


# Indexes


@pytest.fixture
def filled(connection: sqlite3.Connection) -> sqlite3.Connection:
    insert(connection, SENT, WAITING, FAILED, INBOUND)
    return connection


def test_each_direction_of_a_thread_has_its_index(filled):
    steps = explain(filled, lambda explaining: thread(explaining, since=1))
    for column in ("to", "origin"):
        index = f"messages_by_{column} (account_id=? AND {column}_number=? AND rowid>? AND rowid<?)"
        assert any(index in step for step in steps), steps


def test_the_list_of_conversations_comes_from_its_index_in_order(filled):
    steps = explain(filled, lambda explaining: listed(explaining))
    assert serves(steps, "conversations_by_last (account_id=? AND last_seq<?)"), steps
    assert serves(steps, "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"), steps
    for column in ("to", "origin"):
        assert serves(steps, f"messages_by_{column} (account_id=? AND {column}_number=? AND rowid>? AND rowid<?)"), (
            steps
        )


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda c: conversations.mark_read(c, account_id=1, phone=PHONE, message_id="x"), "PRIMARY KEY (account_id=?"),
        (lambda c: conversations.has_unread(c, account_id=1, phone=PHONE, message_id="x"), "PRIMARY KEY (account_id=?"),
        (lambda c: conversations.mark_all_read(c, account_id=1, up_to=1), "PRIMARY KEY (account_id=?"),
        (lambda c: conversations.count_unread(c, account_id=1, selected=None), "PRIMARY KEY (account_id=?"),
        (lambda c: conversations.get_entry(c, account_id=1, message_id="x"), "sqlite_autoindex_messages_1 (id=?)"),
        (lambda c: conversations.list_attempts(c, message_id="x"), "PRIMARY KEY (message_id=?)"),
        (lambda c: conversations.count_messages(c, account_id=1), "COVERING INDEX messages_by_account (account_id=?)"),
    ],
    ids=["mark_read", "has_unread", "mark_all_read", "count_unread", "get_entry", "list_attempts", "count_messages"],
)
def test_an_index_serves_what_concerns_one_conversation_or_message(filled, call, index):
    steps = explain(filled, call)
    assert serves(steps, index), steps


@pytest.mark.parametrize(
    "wanted", [{"text": "a"}, {"state": "sent"}, {"state": "error", "text": "a"}, {"direction": "outbound"}]
)
def test_a_search_reads_only_messages_of_the_account_in_order(filled, wanted):
    steps = explain(filled, lambda explaining: search(explaining, search_limit=2, **wanted))
    assert serves(steps, "SEARCH m USING INDEX messages_by_account (account_id=? AND rowid>? AND rowid<?)"), steps


def test_a_search_for_inbound_messages_reads_only_those(filled):
    steps = explain(filled, lambda explaining: search(explaining, search_limit=2, direction="inbound"))
    assert serves(steps, "messages_inbound (account_id=? AND rowid>? AND rowid<?)"), steps
