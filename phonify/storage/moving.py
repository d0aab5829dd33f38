"""The SQL that moves waiting messages to another gateway.

These functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Iterable

from .messages import COLUMNS
from .records import Message

# The condition for messages that can move to another gateway. Each attempt to send such a message has ended with the
# outcome `unavailable`. So the gateway does not have the message, and no phone can get it twice.
_NOT_TAKEN = (
    "(submitted_at IS NULL AND attempts = (SELECT count(*) FROM message_attempts"
    " WHERE message_id = messages.id AND outcome = 'unavailable'))"
)


def list_movable_messages(connection: sqlite3.Connection, *, gateway: str, limit: int) -> list[Message]:
    """Return a gateway's waiting messages that can move to another gateway.

    The gateway does not have these messages. Leased messages are excluded.
    """
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE gateway = :gateway AND due_at IS NOT NULL AND {_NOT_TAKEN}"
        " ORDER BY due_at, seq LIMIT :limit",
        {"gateway": gateway, "limit": limit},
    )
    return [Message._make(row) for row in rows]


def update_gateway(connection: sqlite3.Connection, *, messages: Iterable[Message], gateway: str) -> None:
    """Assign messages to another gateway."""
    connection.executemany(
        "UPDATE messages SET gateway = :gateway WHERE id = :id",
        [{"gateway": gateway, "id": message.id} for message in messages],
    )


def next_end(connection: sqlite3.Connection, *, gateway: str) -> str | None:
    """Find the message in a gateway's queue that will fail first. Returns the time of this failure.

    A message fails when its validity period and its waiting time are both over. Leased messages are excluded. Returns
    `None` if no message waits.
    """
    at: str | None = connection.execute(
        "SELECT min(max(due_at, expires_at)) FROM messages"
        " WHERE gateway = :gateway AND due_at IS NOT NULL AND lease_owner IS NULL",
        {"gateway": gateway},
    ).fetchone()[0]
    return at


def has_messages_without_gateway(connection: sqlite3.Connection) -> bool:
    """Return True if at least one waiting message has no gateway."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE gateway IS NULL AND due_at IS NOT NULL)"
    ).fetchone()
    return bool(row[0])


def adopt_messages(connection: sqlite3.Connection, *, gateway: str) -> int:
    """Assign waiting messages to this gateway if they have no gateway yet. Returns how many."""
    return connection.execute(
        "UPDATE messages SET gateway = :gateway WHERE gateway IS NULL AND due_at IS NOT NULL", {"gateway": gateway}
    ).rowcount


def may_have_been_taken(connection: sqlite3.Connection, *, message: Message) -> bool:
    """Return True if the gateway may already have the message. The message is still waiting in Phonify's queue."""
    row = connection.execute(f"SELECT NOT {_NOT_TAKEN} FROM messages WHERE id = :id", {"id": message.id}).fetchone()
    return bool(row[0])
