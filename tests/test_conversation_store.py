"""The inbox's statements: catching up, order, threads, search, removal; and that indexes serve them."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_store import FAILED, INBOUND, LATER, NOW, PHONES, SCHEMA, SENT, WAITING, assert_served_by, message_id, scatter

from phonify import conversation_store as conversations
from phonify import store
from phonify.conversation_store import MOST_UNREAD
from phonify.db import Database
from phonify.store import Message, MessageAttempt

PHONE = "+14560000000"
OTHER = "+14560000001"
OWN = "+15005550006"
END = 2**63 - 1


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes to a database with two accounts."""
    database = Database(tmp_path / "phonify.db")
    database.prepare(SCHEMA)
    with database.reading() as connection:
        for name in ("one", "two"):
            store.insert_account(connection, name=name, origin=None, now=NOW)
        yield connection
    database.close()


@pytest.fixture
def insert(connection: sqlite3.Connection) -> Callable[..., list[int]]:
    """Return a function that inserts messages with ascending ids and returns their seqs."""
    count = 0

    def insert(*messages: Message) -> list[int]:
        nonlocal count
        ids = []
        for message in messages:
            count += 1
            ids.append(message_id(count))
            assert store.insert_messages(connection, messages=[message._replace(id=ids[-1])])
        return [connection.execute("SELECT seq FROM messages WHERE id = ?", [id_]).fetchone()[0] for id_ in ids]

    return insert


def to(phone: str, **changes: Any) -> Message:
    return SENT._replace(to_number=phone, **changes)


def received(phone: str, **changes: Any) -> Message:
    return INBOUND._replace(origin_number=phone, **changes)


def catch_up(connection: sqlite3.Connection, limit: int = 1_000) -> int:
    """Catch up to the end; return how many transactions that would take."""
    rounds = 1
    while conversations.catch_up(connection, limit=limit):
        rounds += 1
    return rounds


def listed(
    connection: sqlite3.Connection, account: int = 1, below: int = END, limit: int = 1_000
) -> list[tuple[str, int, int]]:
    """Return phone, seq of the latest message, and unread messages of the conversations."""
    found = conversations.list_conversations(connection, account_id=account, below=below, limit=limit)
    return [(one.phone, one.last.seq, one.unread) for one in found]


def stale(connection: sqlite3.Connection, account: int = 1) -> list[str]:
    found = conversations.list_stale(connection, account_id=account, below=END, limit=1_000)
    return [phone for phone, _ in found]


def delete(connection: sqlite3.Connection, seq: int) -> None:
    connection.execute("DELETE FROM messages WHERE seq = ?", [seq])


def read(connection: sqlite3.Connection, seq: int, phone: str = PHONE, account: int = 1) -> None:
    (message_id,) = connection.execute("SELECT id FROM messages WHERE seq = ?", [seq]).fetchone()
    conversations.mark_read(connection, account_id=account, phone=phone, seq=seq, message_id=message_id)


# Catching up


def test_without_messages_there_is_nothing_to_catch_up_with(connection):
    assert not conversations.is_behind(connection)
    assert not conversations.catch_up(connection, limit=10)
    assert listed(connection) == []


def test_the_other_side_is_whom_a_message_went_to_or_came_from(connection, insert):
    insert(to(PHONE), received(OTHER))
    catch_up(connection)
    assert listed(connection) == [(OTHER, 2, 1), (PHONE, 1, 1)]


def test_messages_in_both_directions_are_one_conversation(connection, insert):
    insert(to(PHONE), received(PHONE))
    catch_up(connection)
    assert listed(connection) == [(PHONE, 2, 2)]


def test_only_what_came_since_is_caught_up_with(connection, insert):
    insert(to(PHONE), to(OTHER))
    catch_up(connection)
    assert not conversations.is_behind(connection)
    insert(to(PHONE))
    assert conversations.is_behind(connection)
    catch_up(connection)
    assert not conversations.is_behind(connection)
    assert listed(connection) == [(PHONE, 3, 2), (OTHER, 2, 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 11])
def test_catching_up_in_batches_gives_the_same_list(connection, insert, limit):
    insert(*(to(f"+1456000000{number % 3}") for number in range(10)))
    assert catch_up(connection, limit) == 10 // limit + 1
    assert listed(connection) == [("+14560000000", 10, 4), ("+14560000002", 9, 3), ("+14560000001", 8, 3)]


def test_catching_up_stops_where_a_batch_ends(connection, insert):
    insert(to(PHONE), to(OTHER))
    assert conversations.catch_up(connection, limit=1)
    assert listed(connection) == [(PHONE, 1, 1)]
    assert conversations.is_behind(connection)


def test_catching_up_passes_over_the_places_of_deleted_messages(connection, insert):
    seqs = insert(*[to(PHONE)] * 5, to(OTHER))
    for seq in seqs[:5]:
        delete(connection, seq)
    catch_up(connection, limit=2)
    assert listed(connection) == [(OTHER, 6, 1)]


def test_each_account_has_its_own_conversation_with_a_phone(connection, insert):
    insert(to(PHONE), to(PHONE, account_id=2), to(OTHER, account_id=2))
    catch_up(connection)
    assert listed(connection, account=1) == [(PHONE, 1, 1)]
    assert listed(connection, account=2) == [(OTHER, 3, 1), (PHONE, 2, 1)]


# The seq of the latest message is given again where that one was removed


def test_a_message_that_takes_the_place_of_a_removed_one_is_caught_up_with(connection, insert):
    (seq,) = insert(to(PHONE))
    catch_up(connection)
    delete(connection, seq)
    assert insert(to(OTHER)) == [seq]
    assert conversations.is_behind(connection)
    catch_up(connection)
    assert (OTHER, seq, 1) in listed(connection)


def test_messages_after_all_were_removed_are_caught_up_with(connection, insert):
    for seq in insert(*[to(PHONE)] * 5):
        read(connection, seq)
    catch_up(connection)
    connection.execute("DELETE FROM messages")
    insert(to(PHONE), to(OTHER))
    catch_up(connection)
    conversations.put_conversation(connection, account_id=1, phone=PHONE)
    assert listed(connection) == [(OTHER, 2, 1), (PHONE, 1, 1)]


def test_a_message_that_takes_the_place_of_one_that_was_read_is_unread(connection, insert):
    seqs = insert(to(PHONE), to(PHONE))
    catch_up(connection)
    read(connection, seqs[1])
    delete(connection, seqs[1])
    assert insert(to(PHONE)) == [seqs[1]]
    catch_up(connection)
    assert listed(connection) == [(PHONE, seqs[1], 1)]


def test_the_other_conversations_that_were_read_stay_so_when_the_latest_message_goes(connection, insert):
    seqs = insert(to(OTHER), to(PHONE))
    catch_up(connection)
    read(connection, seqs[0], OTHER)
    delete(connection, seqs[1])
    assert listed(connection) == [(OTHER, seqs[0], 0)]


def test_a_place_taken_by_another_account_shows_nothing_of_it(connection, insert):
    (seq,) = insert(to(PHONE))
    catch_up(connection)
    delete(connection, seq)
    assert insert(to(PHONE, account_id=2, body="secret")) == [seq]
    assert listed(connection, account=1) == []
    assert stale(connection, account=1) == [PHONE]


def test_a_place_taken_by_another_phone_is_not_shown_under_the_first(connection, insert):
    (seq,) = insert(to(PHONE))
    catch_up(connection)
    delete(connection, seq)
    insert(to(OTHER))
    catch_up(connection)
    assert listed(connection) == [(OTHER, seq, 1)]


# Stale rows


def test_nothing_is_stale_while_all_latest_messages_are_there(connection, insert):
    insert(to(PHONE), received(OTHER))
    catch_up(connection)
    assert stale(connection) == []


def test_a_conversation_whose_latest_message_is_gone_goes_back_to_the_one_before(connection, insert):
    insert(to(PHONE), to(OTHER), received(PHONE))
    catch_up(connection)
    delete(connection, 3)
    assert stale(connection) == [PHONE]
    conversations.put_conversation(connection, account_id=1, phone=PHONE)
    assert stale(connection) == []
    assert listed(connection) == [(OTHER, 2, 1), (PHONE, 1, 1)]


def test_a_conversation_without_messages_is_gone(connection, insert):
    insert(to(PHONE), to(OTHER))
    catch_up(connection)
    delete(connection, 1)
    conversations.put_conversation(connection, account_id=1, phone=PHONE)
    assert connection.execute("SELECT phone FROM conversations").fetchall() == [(OTHER,)]


def test_a_conversation_whose_latest_message_went_to_another_phone_is_stale(connection, insert):
    insert(to(PHONE), to(PHONE))
    catch_up(connection)
    connection.execute("UPDATE messages SET to_number = ? WHERE seq = 2", [OTHER])
    assert stale(connection) == [PHONE]


def test_only_those_on_the_page_are_looked_at_for_stale_ones(connection, insert):
    insert(*(to(f"+1456000000{number}") for number in range(6)))
    catch_up(connection)
    for seq in range(1, 7):
        delete(connection, seq)
    found = conversations.list_stale(connection, account_id=1, below=5, limit=2)
    assert found == [("+14560000003", 4), ("+14560000002", 3)]


def test_the_repair_of_one_account_leaves_anothers_alone(connection, insert):
    insert(to(PHONE), to(PHONE, account_id=2))
    catch_up(connection)
    delete(connection, 1)
    conversations.put_conversation(connection, account_id=1, phone=PHONE)
    assert listed(connection, account=2) == [(PHONE, 2, 1)]


# Unread


def test_what_came_after_the_last_look_is_unread(connection, insert):
    seqs = insert(to(PHONE), received(PHONE), to(PHONE), to(OTHER))
    catch_up(connection)
    read(connection, seqs[1])
    assert listed(connection) == [(OTHER, 4, 1), (PHONE, 3, 1)]


def test_a_look_further_back_makes_nothing_unread_again(connection, insert):
    seqs = insert(to(PHONE), to(PHONE))
    catch_up(connection)
    read(connection, seqs[1])
    read(connection, seqs[0])
    assert listed(connection) == [(PHONE, 2, 0)]
    assert conversations.get_read_seq(connection, account_id=1, phone=PHONE) == 2


def test_a_conversation_may_be_looked_at_before_it_is_listed(connection, insert):
    seqs = insert(to(PHONE), to(PHONE))
    read(connection, seqs[1])
    catch_up(connection)
    assert listed(connection) == [(PHONE, 2, 0)]


def test_a_look_is_that_of_one_account_at_one_phone(connection, insert):
    insert(to(OTHER), to(PHONE), to(PHONE, account_id=2))
    catch_up(connection)
    read(connection, 2)
    assert listed(connection) == [(PHONE, 2, 0), (OTHER, 1, 1)]
    assert listed(connection, account=2) == [(PHONE, 3, 1)]


@pytest.mark.parametrize("kinds", [[to(PHONE)], [received(PHONE)], [to(PHONE), received(PHONE)]])
def test_no_more_than_a_hundred_unread_messages_are_counted(connection, insert, kinds):
    insert(*(kinds * 201)[:201])
    catch_up(connection)
    assert listed(connection) == [(PHONE, 201, MOST_UNREAD)]


def place(connection: sqlite3.Connection, seq: int, message: Message) -> None:
    """Insert a message at a place of its own."""
    columns = ", ".join(("seq", *Message._fields))
    values = (seq, *message._replace(id=message_id(seq)))
    connection.execute(f"INSERT INTO messages ({columns}) VALUES ({', '.join('?' * len(values))})", values)


def test_unread_messages_of_many_stretches_are_counted_from_the_last_look_on(connection):
    for seq in (5, 300_000, 800_000, 900_000):
        place(connection, seq, to(PHONE))
    catch_up(connection)
    assert listed(connection) == [(PHONE, 900_000, 4)]
    read(connection, 300_000)
    assert listed(connection) == [(PHONE, 900_000, 2)]


def test_unread_messages_are_counted_in_the_accounts_own_last_32_stretches(connection):
    for stretch in range(34):
        place(connection, stretch * 131_072 + 1, to(PHONE))
    place(connection, 33 * 131_072 + 2, to(PHONE))
    catch_up(connection)
    assert listed(connection) == [(PHONE, 33 * 131_072 + 2, 33)]


def test_the_messages_of_other_accounts_have_no_effect_on_what_is_unread(connection):
    place(connection, 1, to(PHONE))
    for stretch in range(1, 12):
        place(connection, stretch * 131_072, to(PHONE, account_id=2))
    place(connection, 12 * 131_072, to(PHONE))
    catch_up(connection)
    assert listed(connection) == [(PHONE, 12 * 131_072, 2)]


def test_where_nothing_was_looked_at_no_message_was_read(connection):
    assert conversations.get_read_seq(connection, account_id=1, phone=PHONE) == 0


# Paging


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
def test_paging_visits_each_conversation_exactly_once(connection, insert, limit):
    insert(*(to(f"+1456000{number % 20:04d}", account_id=1 + (number % 3 == 0)) for number in range(60)))
    catch_up(connection)
    seen, below = [], END
    while page := listed(connection, below=below, limit=limit):
        assert len(page) <= limit
        seen += page
        below = page[-1][1]
    assert seen == listed(connection)
    assert len({phone for phone, _, _ in seen}) == 20


# Threads


def thread(connection: sqlite3.Connection, phone: str = PHONE, **paging: int) -> list[int]:
    paging = {"below": END, "limit": 1_000, **paging}
    return [entry.seq for entry in conversations.list_thread(connection, account_id=1, phone=phone, **paging)]


def test_a_thread_has_both_directions_the_latest_first(connection, insert):
    insert(to(PHONE), received(PHONE), to(OTHER), received(OTHER), to(PHONE, account_id=2), received(PHONE), to(PHONE))
    assert thread(connection) == [7, 6, 2, 1]


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize(("since", "below"), [(0, END), (131_072, 4 * 131_072), (1, 131_073), (400_000, END)])
def test_a_thread_has_the_messages_of_all_stretches(connection, phone, since, below):
    expected = [
        seq
        for seq, message in sorted(scatter(connection).items(), reverse=True)
        if message.account_id == 1
        and since <= seq < below
        and phone == (message.to_number if message.direction == "outbound" else message.origin_number)
    ]
    assert thread(connection, phone, since=since, below=below) == expected
    assert thread(connection, phone, since=since, below=below, limit=5) == expected[:5]


def test_the_latest_message_of_a_conversation_is_found_in_whichever_stretch_it_is(connection):
    latest = {PHONE: 5, OTHER: 2 * 131_072 + 7, OWN: 4 * 131_072}
    for phone, seq in latest.items():
        place(connection, seq, to(phone))
    for phone, seq in latest.items():
        conversations.put_conversation(connection, account_id=1, phone=phone)
        assert (phone, seq, 1) in listed(connection)
        conversations.put_conversation(connection, account_id=1, phone=phone, stale=seq)
        assert (phone, seq, 1) in listed(connection)


def test_a_conversation_that_was_caught_up_since_it_was_found_stale_is_left_as_it_is(connection):
    place(connection, 5, to(PHONE))
    catch_up(connection)
    delete(connection, 5)
    place(connection, 3 * 131_072 + 7, to(PHONE))
    catch_up(connection)
    conversations.put_conversation(connection, account_id=1, phone=PHONE, stale=5)
    assert listed(connection) == [(PHONE, 3 * 131_072 + 7, 1)]


def test_a_thread_has_nothing_of_the_apps_own_number(connection, insert):
    insert(to(PHONE), received(PHONE))
    assert thread(connection, OWN) == []


def test_a_message_to_its_own_sender_is_in_the_thread_once(connection, insert):
    insert(to(OWN, origin_number=OWN), received(OWN, to_number=OWN))
    assert thread(connection, OWN) == [2, 1]


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_paging_through_a_thread_visits_each_message_once(connection, insert, limit):
    insert(*[to(PHONE), received(PHONE), to(OTHER)] * 8)
    seen, below = [], END
    while page := thread(connection, below=below, limit=limit):
        seen += page
        below = page[-1]
    assert seen == thread(connection)
    assert len(seen) == 16


def test_a_thread_can_end_at_a_message(connection, insert):
    insert(*[to(PHONE), received(PHONE)] * 3)
    assert thread(connection, since=3) == [6, 5, 4, 3]
    assert thread(connection, since=3, below=5) == [4, 3]
    assert thread(connection, since=3, limit=2) == [6, 5]


def test_a_message_is_found_by_its_account_alone(connection, insert):
    insert(to(PHONE, body="mine"))
    found = conversations.get_entry(connection, account_id=1, message_id=message_id(1))
    assert found is not None
    assert (found.seq, found.message.body) == (1, "mine")
    assert conversations.get_entry(connection, account_id=2, message_id=message_id(1)) is None
    assert conversations.get_entry(connection, account_id=1, message_id="nothing") is None


# Search


def search(connection: sqlite3.Connection, **wanted: Any) -> tuple[list[int], int | None]:
    given = {"text": None, "state": None, "direction": None, "below": END, "limit": 1_000, "most": 1_000, **wanted}
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
def test_a_search_finds_a_text_in_body_and_numbers_and_means_it_literally(connection, insert, text, expected):
    insert(
        to(PHONE, body="hay needle hay"),
        to(OTHER, body="100% sure"),
        received(OTHER, body="snake_case"),
        received(PHONE, body="it's a back\\slash"),
        to(OTHER, body="needle 100% _ \\ '", account_id=2),
    )
    assert search(connection, text=text) == (expected, None)


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
def test_a_search_may_be_for_a_state_and_a_direction(connection, insert, wanted, expected):
    insert(SENT, WAITING, FAILED, INBOUND)
    insert(*(message._replace(account_id=2) for message in (SENT, WAITING, FAILED, INBOUND)))
    assert search(connection, **wanted) == (expected, None)


@pytest.mark.parametrize("most", [1, 2, 7, 30, 100])
@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("text", [None, "needle"])
def test_a_search_in_steps_sees_each_message_exactly_once(connection, insert, most, limit, text):
    insert(
        *(
            SENT._replace(account_id=1 + (number % 4 == 1), body="needle" if number % 5 == 0 else "hay")
            for number in range(30)
        )
    )
    expected, _ = search(connection, text=text)
    assert len(expected) == (22 if text is None else 4)
    seen: list[int] = []
    below: int | None = END
    while below is not None:
        found, below = search(connection, text=text, most=most, limit=limit, below=below)
        assert len(found) <= min(limit, most)
        seen += found
    assert seen == expected


def test_a_search_looks_at_a_bounded_number_of_messages(connection, insert):
    insert(SENT._replace(body="needle"), *[SENT] * 20)
    assert search(connection, text="needle", most=10) == ([], 12)
    assert search(connection, text="needle", most=10, below=12) == ([], 2)
    assert search(connection, text="needle", most=10, below=2) == ([1], None)


# Attempts


def test_attempts_are_listed_first_one_first_and_only_those_of_the_message(connection, insert):
    insert(WAITING._replace(attempts=2), WAITING._replace(attempts=1))
    first, second = message_id(1), message_id(2)
    for attempt in (
        MessageAttempt(first, 2, LATER, "unconfirmed"),
        MessageAttempt(second, 1, NOW, "rejected"),
    ):
        store.insert_message_attempts(connection, attempts=[attempt])
    connection.execute("UPDATE messages SET attempts = 1 WHERE id = ?", [first])
    store.insert_message_attempts(connection, attempts=[MessageAttempt(first, 1, NOW, "unavailable", LATER)])
    assert conversations.list_attempts(connection, message_id=first) == [
        (1, NOW, "unavailable", LATER),
        (2, LATER, "unconfirmed", None),
    ]


def test_the_attempts_of_a_message_go_with_it(connection, insert):
    insert(WAITING._replace(attempts=1))
    store.insert_message_attempts(connection, attempts=[MessageAttempt(message_id(1), 1, NOW, "rejected")])
    delete(connection, 1)
    assert connection.execute("SELECT count(*) FROM message_attempts").fetchone() == (0,)


# Removing


def remaining(connection: sqlite3.Connection) -> list[int]:
    return [seq for (seq,) in connection.execute("SELECT seq FROM messages ORDER BY seq")]


def test_only_settled_messages_of_the_account_are_removed(connection, insert):
    insert(SENT, WAITING, FAILED, INBOUND, SENT._replace(account_id=2))
    removed = conversations.delete_settled(connection, account_id=1, above=0, limit=10)
    assert sorted(removed) == [1, 3, 4]
    assert remaining(connection) == [2, 5]


def test_the_oldest_are_removed_first_a_few_at_a_time(connection, insert):
    insert(*[SENT] * 5)
    assert sorted(conversations.delete_settled(connection, account_id=1, above=0, limit=2)) == [1, 2]
    assert sorted(conversations.delete_settled(connection, account_id=1, above=2, limit=2)) == [3, 4]
    assert remaining(connection) == [5]


def test_what_came_after_a_message_is_not_removed_whatever_its_place(connection, insert):
    insert(SENT, SENT)
    connection.execute("DELETE FROM messages")
    assert insert(SENT) == [1]  # with a greater id than both
    removed = conversations.delete_settled(connection, account_id=1, above=0, limit=10, upto_id=message_id(2))
    assert removed == []


def test_old_messages_of_all_accounts_are_removed_by_their_ids(connection, insert):
    insert(SENT, SENT._replace(account_id=2), WAITING, SENT)
    assert sorted(conversations.delete_old(connection, id_below=message_id(4), above=0, limit=10)) == [1, 2]
    assert remaining(connection) == [3, 4]


def test_counts_stay_right_when_messages_are_removed(connection, insert):
    insert(*[SENT, SENT._replace(account_id=2), WAITING] * 10)
    assert conversations.count_messages(connection, account_id=1) == 20
    conversations.delete_settled(connection, account_id=1, above=0, limit=4)
    assert conversations.count_messages(connection, account_id=1) == 16
    assert conversations.count_messages(connection, account_id=2) == 10
    conversations.delete_old(connection, id_below="~", above=0, limit=100)
    assert conversations.count_messages(connection, account_id=1) == 10
    assert conversations.count_messages(connection, account_id=2) == 0
    insert(SENT)
    for bits in (10, 17):
        kept = connection.execute(
            "SELECT sum(messages) FROM message_counts WHERE bits = ? AND account_id = 1", [bits]
        ).fetchone()
        assert kept == (11,)


# Query plans

STRETCHES_WITHIN = "SEARCH message_counts USING PRIMARY KEY (account_id=? AND bits=? AND stretch>? AND stretch<?)"


def explain(connection: sqlite3.Connection, call: Callable[[], object]) -> list[str]:
    """Return the steps of the plans of all statements that a call runs."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    call()
    connection.set_trace_callback(None)
    steps = []
    for statement in statements:
        # What begins with -- is run by a trigger.
        if re.match("SELECT|INSERT|UPDATE|DELETE", statement):
            steps += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert steps
    return steps


@pytest.fixture
def filled(connection: sqlite3.Connection, insert: Callable[..., list[int]]) -> sqlite3.Connection:
    insert(SENT, WAITING, FAILED, INBOUND)
    return connection


def assert_no_scan(steps: list[str]) -> None:
    """See that no table of many rows is read as a whole; what a subquery has found may be."""
    assert not [step for step in steps if re.match(r"SCAN (messages|m|conversations)\b", step)], steps


def test_each_direction_of_a_thread_has_its_index(filled):
    steps = explain(filled, lambda: thread(filled, since=1))
    assert_served_by(steps, "messages_by_to (account_id=? AND stretch=? AND to_number=? AND rowid>? AND rowid<?)")
    assert_served_by(
        steps, "messages_by_origin (account_id=? AND stretch=? AND origin_number=? AND rowid>? AND rowid<?)"
    )
    assert steps.count(STRETCHES_WITHIN) == 2
    assert_no_scan(steps)


def test_the_list_of_conversations_comes_from_its_index_in_order(filled):
    catch_up(filled)
    steps = explain(filled, lambda: listed(filled))
    assert any("conversations_by_last (account_id=? AND last_seq<?)" in step for step in steps), steps
    assert "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)" in steps
    assert_served_by(steps, "messages_by_to (account_id=? AND stretch=? AND to_number=? AND rowid>?)")
    assert_served_by(steps, "messages_by_origin (account_id=? AND stretch=? AND origin_number=? AND rowid>?)")
    assert steps.count(STRETCHES_WITHIN) == 2
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
    assert_no_scan(steps)


def test_stale_conversations_are_found_by_the_list_and_the_messages_it_names(filled):
    catch_up(filled)
    steps = explain(filled, lambda: stale(filled))
    assert any("conversations_by_last (account_id=? AND last_seq<?)" in step for step in steps), steps
    assert any(step.startswith("SEARCH m USING INTEGER PRIMARY KEY (rowid=?)") for step in steps), steps
    assert_no_scan(steps)


def test_catching_up_reads_only_what_came_since(filled):
    steps = explain(filled, lambda: catch_up(filled))
    assert "SEARCH messages USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in steps
    assert_no_scan(steps)


@pytest.mark.parametrize(
    "call",
    [
        lambda connection: conversations.is_behind(connection),
        lambda connection: conversations.put_conversation(connection, account_id=1, phone=PHONE),
        lambda connection: conversations.get_read_seq(connection, account_id=1, phone=PHONE),
        lambda connection: conversations.get_entry(connection, account_id=1, message_id=message_id(1)),
        lambda connection: conversations.list_attempts(connection, message_id=message_id(1)),
        lambda connection: conversations.count_messages(connection, account_id=1),
        lambda connection: conversations.delete_settled(connection, account_id=1, above=0, limit=1),
        lambda connection: conversations.delete_settled(connection, account_id=1, above=0, limit=1, upto_id="~"),
        lambda connection: conversations.delete_old(connection, id_below="~", above=0, limit=1),
    ],
    ids=[
        "is_behind",
        "put_conversation",
        "get_read_seq",
        "get_entry",
        "list_attempts",
        "count_messages",
        "delete_settled",
        "delete_settled up to",
        "delete_old",
    ],
)
def test_nothing_reads_a_whole_table(filled, call):
    catch_up(filled)
    steps = explain(filled, lambda: call(filled))
    # The greatest seq of all is at the end of the table: that is no reading of it.
    assert_no_scan([step for step in steps if step != "SEARCH messages"])


def test_the_oldest_settled_messages_are_found_in_order(filled):
    steps = explain(filled, lambda: conversations.delete_settled(filled, account_id=1, above=0, limit=1, upto_id="~"))
    assert_served_by(steps, "messages_by_account (account_id=? AND rowid>?)")
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


def test_the_oldest_messages_of_all_are_found_by_their_ids(filled):
    steps = explain(filled, lambda: conversations.delete_old(filled, id_below="~", above=0, limit=1))
    assert any("sqlite_autoindex_messages_1 (id<?)" in step for step in steps), steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"text": "a"}, "messages_by_account (account_id=? AND rowid>? AND rowid<?)"),
        ({"state": "sent"}, "messages_by_account (account_id=? AND rowid>? AND rowid<?)"),
        ({"state": "error"}, "messages_unsettled (account_id=? AND state=? AND rowid>? AND rowid<?)"),
        ({"state": "unconfirmed", "text": "a"}, "messages_unsettled (account_id=? AND state=? AND rowid>? AND rowid<?"),
        ({"direction": "outbound"}, "messages_by_account (account_id=? AND rowid>? AND rowid<?)"),
        ({"direction": "inbound"}, "messages_inbound (account_id=? AND direction=? AND rowid>? AND rowid<?)"),
    ],
)
def test_a_search_reads_only_messages_of_the_account_in_order(filled, wanted, index):
    steps = explain(filled, lambda: search(filled, most=2, **wanted))
    assert any(step.startswith("SEARCH m USING") and index in step for step in steps), steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
    assert_no_scan(steps)


def test_removing_a_message_looks_only_at_the_two_counts_it_is_in(connection):
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'count_deleted_message'").fetchone()
    updates = re.findall(r"UPDATE.*?;", sql.replace("old.", ":"), re.DOTALL)
    assert len(updates) == 2
    for update in updates:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {update}", {"account_id": 1, "seq": 1}).fetchall()
        assert [row[3] for row in plan] == [
            "SEARCH message_counts USING PRIMARY KEY (account_id=? AND bits=? AND stretch=?)"
        ]


def test_removing_the_latest_message_looks_only_at_conversations_beyond_it(connection):
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'forget_last_message'").fetchone()
    update = re.search(r"UPDATE conversations SET.*?;", sql, re.DOTALL)
    assert update is not None
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {update[0]}")]
    assert any("conversations_by_last (account_id=? AND last_seq>?)" in step for step in steps), steps
