"""The SQL of the live list: new messages of all accounts. These functions change nothing."""

import sqlite3
from collections.abc import Sequence

from .messages import COLUMNS
from .records import Entry, Message


def get_last_seq(connection: sqlite3.Connection) -> int:
    """Return the seq of the latest message, or 0."""
    (seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
    return int(seq)


def list_new_messages(connection: sqlite3.Connection, *, after: int, limit: int) -> list[Entry]:
    """Return messages with a seq greater than `after`, oldest first."""
    rows = connection.execute(
        f"SELECT seq, {COLUMNS} FROM messages WHERE seq > :after ORDER BY seq LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [Entry(row[0], Message._make(row[1:])) for row in rows]


def list_messages_by_id(connection: sqlite3.Connection, *, message_ids: Sequence[str]) -> list[Message]:
    """Return the existing messages with these ids."""
    found = (
        connection.execute(f"SELECT {COLUMNS} FROM messages WHERE id = ?", (message_id,)).fetchone()
        for message_id in message_ids
    )
    return [Message._make(row) for row in found if row is not None]
