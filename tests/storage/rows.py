"""Rows for tests of the SQL, and the way in which SQLite finds rows."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phonify.storage import accounts as account_store
from phonify.storage import messages as store
from phonify.storage.database import Database
from phonify.storage.records import Message
from phonify.storage.upgrades import prepare

NOW = "2026-01-31T09:30:00.000Z"
LATER = "2026-02-01T09:30:00.000Z"
PHONE = "+14560000000"
OTHER = "+14560000001"
OWN = "+15005550006"
SENT = Message(
    id="",
    account_id=1,
    direction="outbound",
    body="Hello",
    origin_number=OWN,
    origin_country="US",
    origin_carrier=None,
    to_number=PHONE,
    to_country="US",
    to_carrier=None,
    state="sent",
    error_type=None,
    created_at=NOW,
    send_at=None,
    due_at=None,
    expires_at=LATER,
    attempts=1,
    submitted_at=None,
    finished_at=NOW,
)
WAITING = SENT._replace(gateway="stub", state="unconfirmed", due_at=NOW, attempts=0, finished_at=None)
FAILED = SENT._replace(state="error", error_type="cannot_receive_sms")
INBOUND = SENT._replace(direction="inbound", origin_number=PHONE, to_number=OWN)


def message_id(number: int) -> str:
    return f"019c1363-49c0-7000-8000-{number:012x}"


def to(phone: str, **changes: Any) -> Message:
    return SENT._replace(to_number=phone, **changes)


def received(phone: str, **changes: Any) -> Message:
    return INBOUND._replace(origin_number=phone, **changes)


@contextmanager
def opening(folder: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a new database with two accounts."""
    database = Database(folder / "phonify.db")
    prepare(database)
    with database.reading() as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for name in ("one", "two"):
            account_store.insert_account(connection, name=name, origin=None, now=NOW)
        yield connection
    database.close()


def insert(connection: sqlite3.Connection, *messages: Message) -> list[str]:
    """Insert messages with ascending ids. Returns the ids. In a new database, the ids are `message_id(1)` and so on."""
    last = store.get_last_message_id(connection)
    first = int(last[-12:], 16) + 1 if last is not None else 1
    numbered = [message._replace(id=message_id(first + index)) for index, message in enumerate(messages)]
    connection.execute("BEGIN")
    try:
        store.insert_messages(connection, messages=numbered)
    finally:
        connection.execute("COMMIT")
    return [message.id for message in numbered]


class Explaining:
    """A connection that records how SQLite finds the rows of each statement."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.steps: list[str] = []

    def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        plan = self._connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        self.steps += [row[3] for row in plan]
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, many: Iterable[Any]) -> None:
        for values in many:
            self.execute(statement, values)


def explain(connection: sqlite3.Connection, call: Callable[[Any], object]) -> list[str]:
    """Return how SQLite finds the rows of each statement in a call.

    Fails if a statement reads the whole of a large table.
    """
    explaining = Explaining(connection)
    call(explaining)
    many = r"SCAN (messages|m|conversations|webhook_deliveries|subscriptions|s|api_keys|idempotency_keys)\b"
    assert not [step for step in explaining.steps if re.match(many, step)], explaining.steps
    return explaining.steps


def serves(steps: list[str], index: str) -> bool:
    """Return whether SQLite uses an index, also for the order."""
    return any(index in step for step in steps) and "USE TEMP B-TREE FOR ORDER BY" not in steps
