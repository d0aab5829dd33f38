"""The SQL of delivering messages: what is due, leases, outcomes. As in `accounts.py`, none commits."""

import sqlite3
from collections.abc import Iterable, Sequence

from .messages import COLUMNS
from .records import Message, MessageAttempt


def next_due_at(connection: sqlite3.Connection) -> str | None:
    """Return when delivery has to turn to a message next; None if none waits."""
    row = connection.execute("SELECT due_at FROM messages WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1").fetchone()
    return row[0] if row else None


def list_due_messages(connection: sqlite3.Connection, *, now: str, limit: int) -> list[Message]:
    """Return messages whose time has come, the longest waiting first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE due_at <= :now ORDER BY due_at, seq LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [Message._make(row) for row in rows]


def lease_messages(
    connection: sqlite3.Connection, *, messages: Iterable[Message], owner: str, now: str, until: str
) -> list[Message]:
    """Note that messages are being handed to the gateway; return them as they are now.

    Nobody else turns to them until the lease ends, or its owner has.
    """
    leased = [message._replace(attempts=message.attempts + 1, submitted_at=now, due_at=until) for message in messages]
    connection.executemany(
        "UPDATE messages SET attempts = ?, submitted_at = ?, due_at = ?, lease_owner = ? WHERE id = ?",
        [(message.attempts, now, until, owner, message.id) for message in leased],
    )
    return leased


def list_lease_owners(connection: sqlite3.Connection) -> list[str]:
    """Return who has messages in hand."""
    rows = connection.execute("SELECT DISTINCT lease_owner FROM messages WHERE lease_owner IS NOT NULL")
    return [owner for (owner,) in rows]


# When a message was due before it was leased: a lease that ends early puts it back into its place.
_FORMER_DUE = (
    "coalesce((SELECT due_at FROM message_attempts WHERE message_id = id AND attempt = messages.attempts - 1),"
    " max(created_at, coalesce(send_at, created_at)))"
)


def end_leases(connection: sqlite3.Connection, *, owner: str, now: str) -> None:
    """End the leases of an owner."""
    connection.execute(
        f"UPDATE messages SET due_at = min({_FORMER_DUE}, :now), lease_owner = NULL WHERE lease_owner = :owner",
        {"owner": owner, "now": now},
    )


# Messages that wait for a time that lies in the future only because the clock has been set back since: the last
# attempt or, before the first one, the message itself is from the future. Scheduled ones are left out, and those that
# wait for the end of their validity in doubt.
_FROM_FUTURE = (
    " WHERE due_at > :now AND due_at IS NOT expires_at AND (attempts > 0 OR send_at IS NULL OR send_at < due_at)"
    " AND coalesce(submitted_at, (SELECT max(at) FROM message_attempts WHERE message_id = messages.id),"
    " created_at) > :now"
)


def has_messages_from_future(connection: sqlite3.Connection, *, now: str) -> bool:
    """Tell whether any message waits because the clock has been set back."""
    row = connection.execute("SELECT EXISTS (SELECT 1 FROM messages" + _FROM_FUTURE + ")", {"now": now}).fetchone()
    return bool(row[0])


def reschedule_messages_from_future(connection: sqlite3.Connection, *, now: str, until: str) -> int:
    """Make messages due that wait because the clock has been set back, leased ones at the end of a new lease."""
    return connection.execute(
        "UPDATE messages SET due_at = iif(lease_owner IS NULL, :now, :until)" + _FROM_FUTURE,
        {"now": now, "until": until},
    ).rowcount


# Outcomes. `attempts` is the fence: if another process has leased the message since, the late outcome is dropped, and
# the function returns False.
_FENCE = ", lease_owner = NULL WHERE id = :id AND attempts = :attempts AND state = 'unconfirmed'"


def mark_sent(connection: sqlite3.Connection, *, message: Message, now: str) -> bool:
    """Record that the gateway took a message."""
    return _update(connection, "state = 'sent', finished_at = :now, due_at = NULL, submitted_at = NULL", message, now)


def mark_error(connection: sqlite3.Connection, *, message: Message, error_type: str, now: str) -> bool:
    """Record that a message has failed for good."""
    return _update(
        connection,
        "state = 'error', error_type = :value, finished_at = :now, due_at = NULL, submitted_at = NULL",
        message,
        now,
        error_type,
    )


def reschedule(connection: sqlite3.Connection, *, message: Message, due_at: str) -> bool:
    """Record that a message was surely not sent, and when to try again."""
    return _update(connection, "due_at = :value, submitted_at = NULL", message, value=due_at)


def give_back(connection: sqlite3.Connection, *, message: Message) -> bool:
    """Undo the lease of a message that was not handed to the gateway after all."""
    return _update(connection, f"due_at = {_FORMER_DUE}, submitted_at = NULL, attempts = attempts - 1", message)


def await_validity(connection: sqlite3.Connection, *, message: Message) -> bool:
    """Record that nobody knows whether a message was sent: it waits for the end of its validity, without a lease."""
    return _update(connection, "due_at = expires_at", message)


def _update(
    connection: sqlite3.Connection, assignments: str, message: Message, now: str | None = None, value: str | None = None
) -> bool:
    changed = connection.execute(
        f"UPDATE messages SET {assignments}{_FENCE}",
        {"id": message.id, "attempts": message.attempts, "now": now, "value": value},
    ).rowcount
    return changed == 1


def insert_attempts(connection: sqlite3.Connection, *, attempts: Sequence[tuple[Message, MessageAttempt]]) -> None:
    """Note attempts, if nobody else has leased the message since; what is known later replaces a doubt."""
    connection.executemany(
        "INSERT OR REPLACE INTO message_attempts (message_id, attempt, at, outcome, due_at)"
        " SELECT id, :attempt, :at, :outcome, :due_at FROM messages WHERE id = :id AND attempts = :attempt",
        [{"id": message.id, **attempt._asdict()} for message, attempt in attempts],
    )
