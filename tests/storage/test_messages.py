"""Tests of the SQL of messages: criteria, paging, conversations, and the use of indexes."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonify.storage import messages as store
from phonify.storage.records import Criteria, Message
from tests.storage.rows import (
    FAILED,
    INBOUND,
    LATER,
    NOW,
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

ALL = Criteria()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with opening(tmp_path) as connection:
        yield connection


def list_ids(
    connection: sqlite3.Connection, criteria: Criteria = ALL, offset: int = 0, limit: int = 1_000, account: int = 1
) -> list[str]:
    found = store.list_messages(connection, account_id=account, criteria=criteria, offset=offset, limit=limit)
    return [message.id for message in found]


def get(connection: sqlite3.Connection, id_: str) -> Message:
    message = store.get_message(connection, account_id=1, message_id=id_)
    assert message is not None
    return message


# Inserting


def test_a_message_is_read_as_it_was_inserted(connection):
    message = FAILED._replace(body="Olá 👋\n\t'\"%_\\", send_at=LATER, attempts=7, submitted_at=NOW, request_id="one")
    (id_,) = insert(connection, message)
    assert get(connection, id_) == message._replace(id=id_)


def test_a_message_of_another_account_is_not_read(connection):
    (id_,) = insert(connection, SENT._replace(account_id=2))
    assert store.get_message(connection, account_id=1, message_id=id_) is None


def test_messages_are_inserted_in_order(connection):
    ids = insert(connection, *[SENT] * 1_000)
    assert [row[0] for row in connection.execute("SELECT id FROM messages ORDER BY seq")] == ids


def test_the_last_message_id_is_the_greatest_of_all_accounts(connection):
    assert store.get_last_message_id(connection) is None
    ids = insert(connection, SENT, SENT._replace(account_id=2))
    assert store.get_last_message_id(connection) == ids[1]


@pytest.mark.parametrize(
    "impossible",
    [
        SENT._replace(state="lost"),
        SENT._replace(direction="sideways"),
        SENT._replace(state="error"),
        SENT._replace(error_type="cannot_receive_sms"),
        SENT._replace(finished_at=None),
        SENT._replace(due_at=NOW),
        WAITING._replace(finished_at=NOW),
    ],
)
def test_a_message_in_a_state_that_can_not_be_is_refused_by_the_database(connection, impossible):
    with pytest.raises(sqlite3.IntegrityError):
        insert(connection, impossible)


# Filters


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (ALL, [3, 2, 1, 0]),
        (Criteria(to=OWN), [3]),
        (Criteria(origin=OWN), [2, 1, 0]),
        (Criteria(phone=PHONE), [3, 2, 1, 0]),
        (Criteria(phone=PHONE, direction="inbound"), [3]),
        (Criteria(state="unconfirmed"), [1]),
        (Criteria(state="error"), [2]),
        (Criteria(state="sent"), [3, 0]),
        (Criteria(direction="inbound"), [3]),
        (Criteria(direction="outbound"), [2, 1, 0]),
        (Criteria(state="error", direction="inbound"), []),
        (Criteria(state="sent", direction="outbound", to=PHONE), [0]),
        (Criteria(after=message_id(2)), [3, 2]),
        (Criteria(before=message_id(3)), [1, 0]),
        (Criteria(after=message_id(1), before=message_id(4)), [2, 1]),
        (Criteria(after=message_id(4)), []),
        (Criteria(before=message_id(1)), []),
        (Criteria(after=message_id(0)), [3, 2, 1, 0]),
        (Criteria(before=message_id(99)), [3, 2, 1, 0]),
    ],
)
def test_a_filter_finds_what_it_names_newest_first_and_nothing_else(connection, criteria, expected):
    ids = insert(connection, SENT, WAITING, FAILED, INBOUND)
    insert(connection, *(message._replace(account_id=2) for message in (SENT, WAITING, FAILED, INBOUND)))
    assert list_ids(connection, criteria) == [ids[index] for index in expected]


def test_a_message_to_its_own_sender_is_listed_once_by_phone(connection):
    ids = insert(connection, SENT._replace(origin_number=PHONE), SENT)
    assert list_ids(connection, Criteria(phone=PHONE)) == ids[::-1]


def test_messages_around_one_that_was_removed_are_still_found(connection):
    ids = insert(connection, SENT, SENT, SENT)
    store.delete_message(connection, message=get(connection, ids[1]))
    assert list_ids(connection, Criteria(after=ids[1])) == [ids[2]]
    assert list_ids(connection, Criteria(before=ids[1])) == [ids[0]]


def scatter(connection: sqlite3.Connection) -> list[Message]:
    """Insert messages of two accounts and three phones, and remove some. Returns the other messages."""
    chance = random.Random(20_260_201)
    messages = [
        chance.choice([SENT, FAILED, INBOUND])._replace(
            account_id=chance.choice([1, 1, 2]),
            origin_number=chance.choice([PHONE, OTHER, OWN]),
            to_number=chance.choice([PHONE, OTHER, OWN]),
            body=chance.choice(["Hello", "Goodbye"]),
        )
        for _ in range(600)
    ]
    ids = insert(connection, *messages)
    removed = {id_ for id_ in ids if chance.random() < 0.1}
    connection.executemany("DELETE FROM messages WHERE id = ?", [(id_,) for id_ in removed])
    numbered = [message._replace(id=id_) for id_, message in zip(ids, messages, strict=True)]
    return [message for message in numbered if message.id not in removed]


@pytest.mark.parametrize("account", [1, 2])
@pytest.mark.parametrize(
    "criteria",
    [
        ALL,
        Criteria(to=PHONE),
        Criteria(origin=OTHER),
        Criteria(phone=PHONE),
        Criteria(to=PHONE, origin=OTHER),
        Criteria(phone=OWN, to=OTHER),
        Criteria(to=OTHER, state="error", direction="outbound"),
        Criteria(origin=PHONE, direction="inbound", after=message_id(150)),
        Criteria(phone=OTHER, before=message_id(400), after=message_id(100)),
        Criteria(phone=OTHER, q="hello"),
        Criteria(to="+14560000009"),
    ],
)
def test_a_list_has_what_matches_newest_first_at_any_offset(connection, account, criteria):
    expected = [
        message.id
        for message in reversed(scatter(connection))
        if message.account_id == account
        and criteria.to in (None, message.to_number)
        and criteria.origin in (None, message.origin_number)
        and criteria.phone in (None, message.to_number, message.origin_number)
        and criteria.state in (None, message.state)
        and criteria.direction in (None, message.direction)
        and (criteria.q is None or message.body == "Hello")
        and (criteria.after is None or message.id > criteria.after)
        and (criteria.before is None or message.id < criteria.before)
    ]
    assert len(expected) > 4 or criteria.to == "+14560000009"
    assert list_ids(connection, criteria, account=account) == expected
    nearest = expected[::-1] if criteria.after and not criteria.before else expected
    for offset in (1, len(expected) // 2, len(expected), 2**31 - 1):
        page = nearest[offset : offset + 7]
        assert list_ids(connection, criteria, offset, 7, account) == sorted(page, reverse=True)


BODIES = ["100% sure", "100 sure", "snake_case", "snake case", "back\\slash", "backslash", "it's", "[a-z]*?", "Ärger"]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("%", ["100% sure"]),
        ("0% s", ["100% sure"]),
        ("_", ["snake_case"]),
        ("e_c", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("k\\s", ["back\\slash"]),
        ("\\%", []),
        ("%%", []),
        ("'", ["it's"]),
        ("*?", ["[a-z]*?"]),
        ("SNAKE", ["snake_case", "snake case"]),
        ("Ärger", ["Ärger"]),
        (" sure", ["100% sure", "100 sure"]),
        ("nothing", []),
    ],
)
def test_text_to_find_is_meant_literally(connection, q, expected):
    insert(connection, *(SENT._replace(body=body) for body in BODIES))
    found = store.list_messages(connection, account_id=1, criteria=Criteria(q=q), offset=0, limit=50)
    assert [message.body for message in reversed(found)] == expected


# Changing and removing


def test_what_may_change_while_a_message_waits_is_written_and_nothing_else(connection):
    ids = insert(connection, WAITING, WAITING)
    changed = get(connection, ids[0])._replace(
        body="Bye", to_number=OTHER, to_country="CA", to_carrier="X", send_at=LATER, due_at=LATER, expires_at=LATER
    )
    store.update_waiting_message(connection, message=changed._replace(state="sent", attempts=5, created_at=LATER))
    assert get(connection, ids[0]) == changed
    assert get(connection, ids[1]) == WAITING._replace(id=ids[1])


def test_settled_messages_of_an_account_are_removed_oldest_first_a_few_at_a_time(connection):
    ids = insert(connection, SENT, WAITING, FAILED, INBOUND, SENT, SENT._replace(account_id=2))
    last = store.delete_settled(connection, account_id=1, limit=2)
    assert (last, list_ids(connection)) == (3, [ids[4], ids[3], ids[1]])
    assert store.delete_settled(connection, account_id=1, limit=10, after=4) == 5
    assert store.delete_settled(connection, account_id=1, limit=10) == 4
    assert store.delete_settled(connection, account_id=1, limit=10) is None
    assert list_ids(connection) == [ids[1]]
    assert list_ids(connection, account=2) == [ids[5]]


def test_what_came_after_a_message_is_not_removed_whatever_its_seq(connection):
    ids = insert(connection, SENT, SENT)
    store.delete_settled(connection, account_id=1, limit=1)
    store.delete_message(connection, message=get(connection, ids[1]))
    store.insert_messages(connection, messages=[SENT._replace(id=message_id(3))])  # with the first seq again
    assert store.delete_settled(connection, account_id=1, limit=10, upto_id=ids[1]) is None


def test_old_messages_of_all_accounts_are_removed_by_their_ids(connection):
    ids = insert(connection, SENT, SENT._replace(account_id=2), WAITING, SENT, SENT)
    assert store.delete_old(connection, id_below=ids[4], limit=1) == 1
    assert store.delete_old(connection, id_below=ids[4], limit=10, after=1) == 4
    assert store.delete_old(connection, id_below=ids[4], limit=10, after=4) is None
    assert list_ids(connection) == [ids[4], ids[2]]
    assert list_ids(connection, account=2) == []


# Conversations


def list_conversations(connection: sqlite3.Connection, account: int = 1) -> list[tuple[str, int, int]]:
    """Return phone, last_seq and read_seq."""
    return connection.execute(
        "SELECT phone, last_seq, read_seq FROM conversations WHERE account_id = ? ORDER BY last_seq DESC", [account]
    ).fetchall()


def read_all(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE conversations SET read_seq = last_seq")


def test_a_message_is_the_latest_with_whom_it_went_to_or_came_from(connection):
    insert(connection, to(PHONE), received(OTHER), received(PHONE), to(OWN, origin_number=OWN))
    assert list_conversations(connection) == [(OWN, 4, 0), (PHONE, 3, 0), (OTHER, 2, 0)]


def test_each_account_has_conversations_of_its_own(connection):
    insert(connection, to(PHONE), to(PHONE, account_id=2), to(OTHER, account_id=2))
    store.delete_settled(connection, account_id=2, limit=1)
    assert list_conversations(connection, account=1) == [(PHONE, 1, 0)]
    assert list_conversations(connection, account=2) == [(OTHER, 3, 0)]


def test_what_was_read_stays_so_when_more_comes(connection):
    insert(connection, to(PHONE))
    read_all(connection)
    insert(connection, to(PHONE))
    assert list_conversations(connection) == [(PHONE, 2, 1)]


@pytest.mark.parametrize("how", ["delete_message", "delete_messages", "delete_settled", "delete_old"])
def test_when_messages_are_removed_the_latest_of_those_left_is_the_last(connection, how):
    ids = insert(connection, received(PHONE), to(OTHER), to("+14560000002"), to(PHONE))
    read_all(connection)
    connection.execute("UPDATE messages SET due_at = ?, state = 'unconfirmed', finished_at = NULL WHERE seq < 3", [NOW])
    if how == "delete_message":
        for id_ in ids[2:]:
            store.delete_message(connection, message=get(connection, id_))
    elif how == "delete_messages":
        assert store.delete_messages(connection, account_id=1, message_ids=[*ids[2:], message_id(99)]) == 2
    elif how == "delete_settled":
        store.delete_settled(connection, account_id=1, limit=10)
    else:
        store.delete_old(connection, id_below="~", limit=10)
    assert list_conversations(connection) == [(OTHER, 2, 2), (PHONE, 1, 1)]


def test_another_account_s_message_is_not_deleted(connection):
    ids = insert(connection, to(PHONE))
    assert store.delete_messages(connection, account_id=2, message_ids=ids) == 0
    assert get(connection, ids[0]) is not None


def test_a_message_with_the_seq_of_one_that_was_read_and_removed_is_unread(connection):
    ids = insert(connection, to(PHONE), to(PHONE))
    read_all(connection)
    store.delete_message(connection, message=get(connection, ids[1]))
    insert(connection, to(PHONE))
    assert list_conversations(connection) == [(PHONE, 2, 1)]


def test_a_message_that_goes_to_another_number_goes_over_to_its_conversation(connection):
    ids = insert(connection, to(PHONE), to(PHONE))
    read_all(connection)
    store.update_waiting_message(connection, message=get(connection, ids[1])._replace(to_number=OTHER))
    assert list_conversations(connection) == [(OTHER, 2, 0), (PHONE, 1, 1)]
    store.update_waiting_message(connection, message=get(connection, ids[0])._replace(to_number=OTHER))
    assert list_conversations(connection) == [(OTHER, 2, 0)]


# Indexes


@pytest.mark.parametrize(
    ("criteria", "index"),
    [
        (ALL, "messages_by_account (account_id=?"),
        (Criteria(to=PHONE), "messages_by_to (account_id=? AND to_number=?)"),
        (Criteria(to=PHONE, before=message_id(3)), "messages_by_to (account_id=? AND to_number=? AND rowid<?)"),
        (Criteria(origin=PHONE), "messages_by_origin (account_id=? AND origin_number=?)"),
        (
            Criteria(origin=PHONE, after=message_id(3)),
            "messages_by_origin (account_id=? AND origin_number=? AND rowid>",
        ),
        (Criteria(state="unconfirmed"), "messages_unsettled (account_id=? AND state=?)"),
        (Criteria(state="error"), "messages_unsettled (account_id=? AND state=?)"),
        (Criteria(state="sent"), "messages_by_account (account_id=?)"),
        (Criteria(direction="inbound"), "messages_inbound (account_id=?)"),
        (Criteria(direction="outbound"), "messages_by_account (account_id=?)"),
        (Criteria(direction="inbound", state="sent"), "messages_inbound (account_id=?)"),
        (Criteria(direction="inbound", origin=PHONE), "messages_by_origin (account_id=? AND origin_number=?)"),
        (Criteria(state="error", to=PHONE), "messages_by_to (account_id=? AND to_number=?)"),
        (Criteria(q="hello"), "messages_by_account (account_id=?)"),
        (Criteria(after=message_id(3)), "messages_by_account (account_id=? AND rowid>?)"),
        (Criteria(before=message_id(3)), "messages_by_account (account_id=? AND rowid<?)"),
    ],
)
def test_an_index_serves_each_filter_and_gives_the_order(connection, criteria, index):
    insert(connection, SENT, WAITING, FAILED, INBOUND)
    steps = explain(connection, lambda explaining: list_ids(explaining, criteria))
    assert serves(steps, index), steps


@pytest.mark.parametrize("direction", [None, "inbound"])
def test_each_side_has_its_index_in_a_list_by_phone(connection, direction):
    insert(connection, SENT, WAITING, FAILED, INBOUND)
    criteria = Criteria(phone=PHONE, direction=direction)
    steps = explain(connection, lambda explaining: list_ids(explaining, criteria))
    for column in ("to", "origin"):
        assert any(f"messages_by_{column} (account_id=? AND {column}_number=?)" in step for step in steps), steps


ONE = "sqlite_autoindex_messages_1 (id=?)"


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda c, one: store.get_message(c, account_id=1, message_id=one.id), ONE),
        (lambda c, one: store.insert_messages(c, messages=[one._replace(id=message_id(9))]), ONE),
        (lambda c, one: store.update_waiting_message(c, message=one._replace(to_number=OTHER)), ONE),
        (lambda c, one: store.delete_message(c, message=one), ONE),
        (lambda c, one: store.delete_settled(c, account_id=1, limit=1), "messages_by_account (account_id=? AND rowid>"),
        (lambda c, one: store.delete_old(c, id_below="~", limit=1), "sqlite_autoindex_messages_1 (id<?)"),
    ],
    ids=["get", "insert", "update", "delete", "delete settled", "delete old"],
)
def test_an_index_serves_what_concerns_single_messages(connection, call, index):
    (id_,) = insert(connection, WAITING)
    insert(connection, SENT)
    steps = explain(connection, lambda explaining: call(explaining, get(connection, id_)))
    assert serves(steps, index), steps


def test_an_index_of_each_side_serves_the_look_for_the_latest_message(connection):
    insert(connection, SENT, INBOUND)
    steps = explain(connection, lambda explaining: store.refresh_conversations(explaining, phones=[(1, PHONE)]))
    for column in ("to", "origin"):
        assert serves(steps, f"messages_by_{column} (account_id=? AND {column}_number=?)"), steps
