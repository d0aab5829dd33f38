"""The SQL for the tables `received_texts` (text messages from phones) and `numbers` (phone numbers of accounts).

These functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Sequence

from .gateway_records import TextRow
from .records import Account

_COLUMNS = ", ".join(TextRow._fields)


def insert_text(connection: sqlite3.Connection, *, text: TextRow) -> bool:
    """Store a text or a part of a text. Returns False if it is already stored."""
    names = ", ".join(f":{name}" for name in TextRow._fields)
    cursor = connection.execute(
        f"INSERT INTO received_texts ({_COLUMNS}) VALUES ({names}) ON CONFLICT DO NOTHING", text._asdict()
    )
    return cursor.rowcount == 1


def list_siblings(connection: sqlite3.Connection, *, text: TextRow) -> list[TextRow]:
    """Return the stored parts of an incomplete text message. `text` is one of these parts.

    If the `due_at` of a part is NULL, Phonify no longer waits for the missing parts. The result does not contain such
    parts.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM received_texts WHERE gateway = :gateway AND sender = :sender"
        " AND to_number IS :to_number AND part_reference = :part_reference AND part_total = :part_total"
        " AND message_id IS NULL AND due_at IS NOT NULL ORDER BY seq",
        text._asdict(),
    )
    return [TextRow._make(row) for row in rows]


def next_due_at(connection: sqlite3.Connection) -> str | None:
    """Return the earliest time at which Phonify stops waiting for missing parts, or None if it waits for no parts."""
    query = "SELECT min(due_at) FROM received_texts WHERE due_at IS NOT NULL"
    due_at: str | None = connection.execute(query).fetchone()[0]
    return due_at


def list_due_texts(connection: sqlite3.Connection, *, now: str, limit: int) -> list[TextRow]:
    """Return at most `limit` stored parts whose due time is `now` or earlier.

    These parts belong to incomplete text messages. Phonify no longer waits for the missing parts.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM received_texts WHERE due_at <= :now ORDER BY due_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [TextRow._make(row) for row in rows]


def has_texts_due_after(connection: sqlite3.Connection, *, latest: str) -> bool:
    """Return whether any incomplete text message has a due time after `latest`."""
    row = connection.execute("SELECT EXISTS (SELECT 1 FROM received_texts WHERE due_at > :latest)", {"latest": latest})
    return bool(row.fetchone()[0])


def shorten_waits(connection: sqlite3.Connection, *, latest: str) -> int:
    """Limit how long Phonify waits for the missing parts of text messages. Returns how many rows were changed.

    Phonify waits for missing parts until the due time. If a due time is later than `latest`, the function changes it to
    `latest`.
    """
    return connection.execute(
        "UPDATE received_texts SET due_at = :latest WHERE due_at > :latest", {"latest": latest}
    ).rowcount


def list_open_texts(connection: sqlite3.Connection, *, number: str | None, limit: int) -> list[TextRow]:
    """Return received text messages that belong to no account. The oldest message is first.

    If `number` is given, return only text messages to this number.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM received_texts WHERE message_id IS NULL AND due_at IS NULL"
        " AND (:number IS NULL OR to_number = :number) ORDER BY seq LIMIT :limit",
        {"number": number, "limit": limit},
    )
    return [TextRow._make(row) for row in rows]


def count_open_texts(connection: sqlite3.Connection) -> int:
    """Count the received text messages that belong to no account."""
    (count,) = connection.execute(
        "SELECT count(*) FROM received_texts WHERE message_id IS NULL AND due_at IS NULL"
    ).fetchone()
    return int(count)


def close_texts(connection: sqlite3.Connection, *, texts: Sequence[TextRow], message_id: str) -> None:
    """Assign received texts to a message. `message_id` is the id of this message.

    The function also removes the body of each text. The message already contains the complete body.
    """
    connection.executemany(
        "UPDATE received_texts SET message_id = :message_id, body = '', due_at = NULL"
        " WHERE gateway = :gateway AND event_id = :event_id",
        [{**text._asdict(), "message_id": message_id} for text in texts],
    )


def leave_open(connection: sqlite3.Connection, *, texts: Sequence[TextRow]) -> None:
    """Record that received text messages belong to no account.

    The recipient's phone number belongs to no account. When an account gets this number, Phonify gives the text
    messages to the account.
    """
    connection.executemany(
        "UPDATE received_texts SET due_at = NULL WHERE gateway = :gateway AND event_id = :event_id",
        [text._asdict() for text in texts],
    )


def delete_texts(connection: sqlite3.Connection, *, until: str, limit: int) -> int:
    """Remove at most `limit` old rows of received texts. Returns the number of removed rows.

    A row is old if its `received_at` is less than `until`. If a text does not belong to a message yet, the function
    keeps the row of the text.
    """
    return connection.execute(
        "DELETE FROM received_texts WHERE seq IN (SELECT seq FROM received_texts"
        " WHERE received_at < :until AND message_id IS NOT NULL LIMIT :limit)",
        {"until": until, "limit": limit},
    ).rowcount


def delete_texts_of(connection: sqlite3.Connection, *, account_id: int, sender: str) -> None:
    """Remove the rows of received texts that came from `sender` and that belong to no message.

    If the recipient's phone number belongs to another account, the row is not removed. A row that belongs to a message
    is not removed either. If this message no longer exists, the function erases the sender's number from the row. The
    row still contains the event id. So Phonify recognises the text if it comes again.
    """
    connection.execute(
        "DELETE FROM received_texts WHERE sender = :sender AND message_id IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM numbers WHERE number = to_number AND account_id <> :account_id)",
        {"account_id": account_id, "sender": sender},
    )
    connection.execute(
        "UPDATE received_texts SET sender = '' WHERE sender = :sender AND message_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)",
        {"sender": sender},
    )


# Numbers


def put_number(connection: sqlite3.Connection, *, number: str, account_id: int, now: str) -> None:
    """Assign a phone number to an account. If another account has the number, that account loses the number."""
    connection.execute(
        "INSERT INTO numbers (number, account_id, created_at) VALUES (:number, :account_id, :now)"
        " ON CONFLICT DO UPDATE SET account_id = :account_id, created_at = :now",
        {"number": number, "account_id": account_id, "now": now},
    )


def delete_number(connection: sqlite3.Connection, *, number: str) -> bool:
    """Remove a phone number from its account. Returns False if no account has this number."""
    return connection.execute("DELETE FROM numbers WHERE number = :number", {"number": number}).rowcount == 1


def list_numbers(connection: sqlite3.Connection, *, account_id: int | None = None) -> list[tuple[str, str]]:
    """Return phone numbers and the names of their accounts.

    If `account_id` is given, return only this account's numbers.
    """
    return connection.execute(
        "SELECT n.number, a.name FROM numbers AS n JOIN accounts AS a ON a.id = n.account_id"
        " WHERE :account_id IS NULL OR n.account_id = :account_id ORDER BY n.number",
        {"account_id": account_id},
    ).fetchall()


def find_owner(connection: sqlite3.Connection, *, number: str) -> Account | None:
    """Return the account to which this phone number belongs. Only an operator can assign numbers to accounts."""
    row = connection.execute(
        "SELECT a.id, a.name, a.origin, a.created_at, a.quota, a.rate_limit FROM numbers AS n"
        " JOIN accounts AS a ON a.id = n.account_id WHERE n.number = :number",
        {"number": number},
    ).fetchone()
    return Account(*row) if row else None
