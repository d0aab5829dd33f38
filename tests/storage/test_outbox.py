"""Tests of the SQL of delivery: due messages, leases, outcomes, fencing, and a clock that was set back."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phonify.storage import conversations as conversation_store
from phonify.storage import messages as store
from phonify.storage import moving as moving_store
from phonify.storage import outbox as outbox_store
from phonify.storage.records import Message, MessageAttempt
from tests.storage.rows import LATER, NOW, SENT, WAITING, explain, insert, opening, serves

EARLIER = "2026-01-30T09:30:00.000Z"
LEASED = WAITING._replace(attempts=1, submitted_at=NOW, submitted_to="stub", due_at="2026-01-31T09:30:30.000Z")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with opening(tmp_path) as connection:
        yield connection


def get(connection: sqlite3.Connection, id_: str) -> Message:
    message = store.get_message(connection, account_id=1, message_id=id_)
    assert message is not None
    return message


def list_due(connection: sqlite3.Connection, now: str = NOW, limit: int = 100) -> list[str]:
    return [message.id for message in outbox_store.list_due_messages(connection, gateway="stub", now=now, limit=limit)]


def lease(connection: sqlite3.Connection, id_: str, owner: str = "owner") -> Message:
    (message,) = outbox_store.lease_messages(
        connection, messages=[get(connection, id_)], place="stub", owner=owner, now=NOW, until=LEASED.due_at or ""
    )
    return message


# Due messages


def test_what_is_due_is_listed_longest_waiting_first_up_to_the_limit(connection):
    assert outbox_store.next_due_at(connection, gateway="stub") is None
    times = ["2026-01-31T09:29:59.999Z", "2026-01-31T09:30:00.001Z", NOW, EARLIER, EARLIER]
    ids = insert(connection, SENT, *(WAITING._replace(due_at=due_at) for due_at in times))
    assert list_due(connection, limit=3) == [ids[4], ids[5], ids[1]]
    assert len(list_due(connection)) == 4
    assert outbox_store.next_due_at(connection, gateway="stub") == EARLIER


# Leases


def test_a_leased_message_is_not_due_and_has_a_new_attempt(connection):
    (id_,) = insert(connection, WAITING)
    leased = lease(connection, id_)
    assert leased == get(connection, id_) == LEASED._replace(id=id_)
    assert list_due(connection) == []
    assert outbox_store.list_lease_owners(connection) == ["owner"]


def test_when_the_leases_of_an_owner_end_its_messages_come_first_in_their_order(connection):
    scheduled = WAITING._replace(created_at=EARLIER, send_at="2026-01-31T09:29:00.000Z")
    ids = insert(connection, scheduled, WAITING, WAITING, WAITING._replace(created_at=EARLIER), WAITING)
    for id_ in (ids[0], ids[2], ids[3]):
        lease(connection, id_, "ended")
    lease(connection, ids[4], "living")
    outbox_store.end_leases(connection, owner="ended", now=NOW)
    assert list_due(connection) == [ids[3], ids[0], ids[1], ids[2]]
    assert outbox_store.list_lease_owners(connection) == ["living"]
    assert get(connection, ids[0]).submitted_at == NOW  # it may have been sent


def test_a_message_from_the_future_is_due_as_soon_as_its_lease_ends(connection):
    (id_,) = insert(connection, WAITING._replace(created_at=LATER))
    lease(connection, id_)
    outbox_store.end_leases(connection, owner="owner", now=NOW)
    assert list_due(connection) == [id_]


# Outcomes


Report = Callable[[sqlite3.Connection, Message], bool]
REPORTS: dict[str, Report] = {
    "mark_sent": lambda c, one: outbox_store.mark_sent(c, message=one, now=NOW),
    "mark_error": lambda c, one: outbox_store.mark_error(c, message=one, error_type="cannot_receive_sms", now=NOW),
    "reschedule": lambda c, one: outbox_store.reschedule(c, message=one, due_at=LATER),
    "give_back": lambda c, one: outbox_store.give_back(c, message=one, now=NOW),
    "await_validity": lambda c, one: outbox_store.await_validity(c, message=one, now=LATER),
}
AFTER = {
    "mark_sent": LEASED._replace(state="sent", finished_at=NOW, due_at=None, submitted_at=None),
    "mark_error": LEASED._replace(
        state="error", error_type="cannot_receive_sms", finished_at=NOW, due_at=None, submitted_at=None
    ),
    "reschedule": LEASED._replace(due_at=LATER, submitted_at=None),
    "give_back": WAITING,
    "await_validity": LEASED._replace(due_at=LEASED.expires_at),
}


@pytest.mark.parametrize("name", REPORTS)
def test_an_outcome_ends_the_lease(connection, name):
    ids = insert(connection, WAITING, WAITING)
    leased = [lease(connection, id_) for id_ in ids]
    assert REPORTS[name](connection, leased[0])
    assert get(connection, ids[0]) == AFTER[name]._replace(id=ids[0])
    assert connection.execute("SELECT lease_owner FROM messages").fetchall() == [(None,), ("owner",)]
    assert get(connection, ids[1]) == leased[1]


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("message", [LEASED._replace(attempts=2), SENT], ids=["leased again", "final"])
def test_an_outcome_of_an_attempt_that_is_not_the_current_one_changes_nothing(connection, name, message):
    (id_,) = insert(connection, message)
    assert not REPORTS[name](connection, LEASED._replace(id=id_))
    assert get(connection, id_) == message._replace(id=id_)


# Attempts


def put_attempt(connection: sqlite3.Connection, id_: str, *attempt: str | int) -> None:
    outbox_store.insert_attempt(connection, message_id=id_, attempt=MessageAttempt._make([*attempt, None][:4]))


def list_attempts(connection: sqlite3.Connection, id_: str) -> list[MessageAttempt]:
    return conversation_store.list_attempts(connection, message_id=id_)


def test_attempts_are_listed_first_one_first_and_only_those_of_the_message(connection):
    ids = insert(connection, WAITING._replace(attempts=1), WAITING._replace(attempts=1))
    put_attempt(connection, ids[0], 1, NOW, "unavailable", LATER)
    put_attempt(connection, ids[1], 1, NOW, "rejected")
    connection.execute("UPDATE messages SET attempts = 2")
    put_attempt(connection, ids[0], 2, LATER, "unconfirmed")
    assert list_attempts(connection, ids[0]) == [(1, NOW, "unavailable", LATER), (2, LATER, "unconfirmed", None)]


def test_what_is_known_later_replaces_a_doubt(connection):
    (id_,) = insert(connection, LEASED)
    put_attempt(connection, id_, 1, NOW, "unconfirmed")
    put_attempt(connection, id_, 1, LATER, "rejected")
    assert list_attempts(connection, id_) == [(1, LATER, "rejected", None)]


def test_an_attempt_that_is_not_the_current_one_is_not_noted(connection):
    (id_,) = insert(connection, LEASED._replace(attempts=2))
    put_attempt(connection, id_, 1, NOW, "rejected")
    assert list_attempts(connection, id_) == []


def test_the_attempts_of_a_message_go_with_it(connection):
    (id_,) = insert(connection, LEASED)
    put_attempt(connection, id_, 1, NOW, "rejected")
    store.delete_message(connection, message=get(connection, id_))
    assert connection.execute("SELECT count(*) FROM message_attempts").fetchone() == (0,)


# Indexes


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda c, one: outbox_store.next_due_at(c, gateway="stub"), "messages_due (gateway=? AND due_at>?)"),
        (
            lambda c, one: outbox_store.list_due_messages(c, gateway="stub", now=NOW, limit=100),
            "messages_due (gateway=? AND due_at<?)",
        ),
        (
            lambda c, one: outbox_store.list_expired_messages(c, gateway="stub", now=NOW, limit=100),
            "messages_expiring (gateway=? AND expires_at<?)",
        ),
        (
            lambda c, one: moving_store.list_movable_messages(c, gateway="stub", limit=100),
            "messages_due (gateway=? AND due_at>?)",
        ),
        (lambda c, one: moving_store.adopt_messages(c, gateway="stub"), "messages_due (gateway=? AND due_at>?)"),
        (lambda c, one: outbox_store.list_lease_owners(c), "messages_leased (lease_owner>?)"),
        (lambda c, one: outbox_store.end_leases(c, owner="owner", now=NOW), "messages_leased (lease_owner=?)"),
        (
            lambda c, one: outbox_store.has_messages_valid_too_long(c, gateway="stub", now=NOW, latest=LATER),
            "messages_expiring (gateway=? AND expires_at>?)",
        ),
        (
            lambda c, one: outbox_store.has_messages_from_future(c, gateway="stub", now=NOW),
            "messages_due (gateway=? AND due_at>?)",
        ),
        (
            lambda c, one: outbox_store.lease_messages(
                c, messages=[one], place="stub", owner="owner", now=NOW, until=LATER
            ),
            "sqlite_autoindex_messages_1 (id=?)",
        ),
        *((report, "sqlite_autoindex_messages_1 (id=?)") for report in REPORTS.values()),
    ],
)
def test_an_index_serves_each_statement(connection, call, index):
    (id_,) = insert(connection, WAITING)
    steps = explain(connection, lambda explaining: call(explaining, WAITING._replace(id=id_)))
    assert serves(steps, index), steps
