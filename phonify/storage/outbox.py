"""The SQL for delivering messages: due messages, leases, outcomes.

These functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Iterable

from .messages import COLUMNS
from .records import Message, MessageAttempt


def next_due_at(connection: sqlite3.Connection, *, gateway: str) -> str | None:
    """Return the earliest due time of a gateway's messages, or None. Leased messages are excluded."""
    row = connection.execute(
        "SELECT due_at FROM messages WHERE gateway = :gateway AND due_at IS NOT NULL AND lease_owner IS NULL"
        " ORDER BY due_at LIMIT 1",
        {"gateway": gateway},
    ).fetchone()
    return row[0] if row else None


def next_lease_end(connection: sqlite3.Connection, *, gateway: str) -> str | None:
    """Return the time when the next lease ends. Returns None if there is no lease.

    The function checks the leases of one gateway's messages. The result is a time of the machine's clock.
    """
    lease_end: str | None = connection.execute(
        "SELECT min(due_at) FROM messages WHERE lease_owner IS NOT NULL AND gateway = :gateway", {"gateway": gateway}
    ).fetchone()[0]
    return lease_end


def next_expiry(connection: sqlite3.Connection, *, gateway: str) -> str | None:
    """Return the earliest time at which a waiting message of a gateway expires. Returns `None` if no message waits.

    Leased messages are excluded.
    """
    row = connection.execute(
        "SELECT expires_at FROM messages WHERE gateway = :gateway AND due_at IS NOT NULL AND lease_owner IS NULL"
        " ORDER BY expires_at LIMIT 1",
        {"gateway": gateway},
    ).fetchone()
    return row[0] if row else None


def list_due_messages(connection: sqlite3.Connection, *, gateway: str, now: str, limit: int) -> list[Message]:
    """Return a gateway's messages that are due. The message with the earliest due time is first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE gateway = :gateway AND due_at <= :now AND lease_owner IS NULL"
        " ORDER BY due_at, seq LIMIT :limit",
        {"gateway": gateway, "now": now, "limit": limit},
    )
    return [Message._make(row) for row in rows]


def find_late_message(
    connection: sqlite3.Connection, *, gateway: str, before: str, machine_before: str
) -> Message | None:
    """Return the most overdue message of a gateway. Returns None if no message is overdue.

    A message without a lease is overdue if its due time is `before` or earlier. A message with a lease is overdue if
    the lease ended at the time `machine_before` or earlier.
    """
    row = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE gateway = :gateway AND due_at <= max(:before, :machine_before)"
        " AND due_at <= iif(lease_owner IS NULL, :before, :machine_before) ORDER BY due_at, seq LIMIT 1",
        {"gateway": gateway, "before": before, "machine_before": machine_before},
    ).fetchone()
    return Message._make(row) if row else None


def list_interrupted_messages(connection: sqlite3.Connection, *, gateway: str, now: str, limit: int) -> list[Message]:
    """Return a gateway's messages whose latest attempt was interrupted. The outcome of this attempt is unknown."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE gateway = :gateway AND due_at <= :now AND lease_owner IS NULL"
        " AND submitted_at IS NOT NULL AND expires_at > :now LIMIT :limit",
        {"gateway": gateway, "now": now, "limit": limit},
    )
    return [Message._make(row) for row in rows]


def list_expired_messages(connection: sqlite3.Connection, *, gateway: str, now: str, limit: int) -> list[Message]:
    """Return a gateway's expired messages. Their validity period is over, but they are still waiting in the queue.

    Leased messages are excluded.
    """
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE gateway = :gateway AND due_at IS NOT NULL AND expires_at <= :now"
        " AND due_at <= :now AND lease_owner IS NULL ORDER BY expires_at LIMIT :limit",
        {"gateway": gateway, "now": now, "limit": limit},
    )
    return [Message._make(row) for row in rows]


def lease_messages(
    connection: sqlite3.Connection, *, messages: Iterable[Message], place: str, owner: str, now: str, until: str
) -> list[Message]:
    """Give each message a lease. Call this function before the gateway gets the messages. Returns the updated messages.

    During the lease, no other loop can deliver these messages. `until` is the end of the lease. If the owner's process
    ends before this time, another process removes the lease. The end of a lease is measured with the machine's clock,
    not with Phonify's clock. In a sandbox, a developer can stop or advance Phonify's clock, but this does not change
    the lease. `place` comes from `Gateway.place`.
    """
    leased = [
        message._replace(attempts=message.attempts + 1, submitted_at=now, submitted_to=place, due_at=until)
        for message in messages
    ]
    connection.executemany(
        "UPDATE messages SET attempts = ?, submitted_at = ?, submitted_to = ?, due_at = ?, lease_owner = ?"
        " WHERE id = ?",
        [(message.attempts, now, place, until, owner, message.id) for message in leased],
    )
    return leased


def list_lease_owners(connection: sqlite3.Connection) -> list[str]:
    """Return the owners of all leases."""
    rows = connection.execute("SELECT DISTINCT lease_owner FROM messages WHERE lease_owner IS NOT NULL")
    return [owner for (owner,) in rows]


# A lease replaces the due time of the message. This is the former due time. If the lease ends early, the former due
# time is restored.
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


def end_expired_leases(connection: sqlite3.Connection, *, now: str, machine_now: str) -> None:
    """Remove all expired leases. `machine_now` is the time of the machine's clock."""
    connection.execute(
        f"UPDATE messages SET due_at = min({_FORMER_DUE}, :now), lease_owner = NULL"
        " WHERE lease_owner IS NOT NULL AND due_at <= :machine_now",
        {"now": now, "machine_now": machine_now},
    )


# The condition for messages with a due time too far in the future. Somebody has set the clock back. The clock shows a
# time before the latest attempt. If there was no attempt, the clock shows a time before the creation of the message.
# Scheduled messages and messages in doubt are excluded.
_FROM_FUTURE = (
    " WHERE gateway = :gateway AND due_at > :now AND due_at IS NOT expires_at"
    " AND (attempts > 0 OR send_at IS NULL OR send_at < due_at)"
    " AND coalesce(submitted_at, (SELECT max(at) FROM message_attempts WHERE message_id = messages.id),"
    " created_at) > :now"
)


def has_messages_from_future(connection: sqlite3.Connection, *, gateway: str, now: str) -> bool:
    """Return whether any message of a gateway has a due time too far in the future.

    Such due times exist if somebody has set the clock to an earlier time.
    """
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM messages" + _FROM_FUTURE + ")", {"gateway": gateway, "now": now}
    ).fetchone()
    return bool(row[0])


def reschedule_messages_from_future(connection: sqlite3.Connection, *, gateway: str, now: str, until: str) -> int:
    """Replace due times that are too far in the future. Returns the number of changed messages.

    Such due times exist if somebody has set the clock to an earlier time. If a message has no lease, its due time
    becomes `now`. If a message has a lease, the end of the lease becomes `until`.
    """
    return connection.execute(
        "UPDATE messages SET due_at = iif(lease_owner IS NULL, :now, :until)" + _FROM_FUTURE,
        {"gateway": gateway, "now": now, "until": until},
    ).rowcount


# The condition for messages with a validity period that ends too late. Phonify created these messages before somebody
# set the clock back. Messages in doubt are included. Scheduled messages are excluded.
_VALID_TOO_LONG = (
    " WHERE gateway = :gateway AND due_at IS NOT NULL AND expires_at > :latest"
    " AND created_at > :now AND send_at IS NULL"
)


def has_messages_valid_too_long(connection: sqlite3.Connection, *, gateway: str, now: str, latest: str) -> bool:
    """Check the waiting messages of a gateway. Return True if at least one validity period is too long.

    If a message was created after `now` and its validity period ends after `latest`, the period is too long. Such
    messages exist if somebody has set the clock to an earlier time. Scheduled messages are excluded.
    """
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM messages" + _VALID_TOO_LONG + ")",
        {"gateway": gateway, "now": now, "latest": latest},
    ).fetchone()
    return bool(row[0])


def shorten_validity(connection: sqlite3.Connection, *, gateway: str, now: str, latest: str) -> int:
    """Shorten validity periods that are too long. Returns how many messages were changed.

    If a message was created after `now` and its validity period ends after `latest`, the period is too long. Such
    messages exist if somebody has set the clock to an earlier time. The function changes the end of such a period to
    `latest`. Scheduled messages are excluded.
    """
    return connection.execute(
        "UPDATE messages SET expires_at = :latest, due_at = iif(due_at = expires_at, :latest, due_at)"
        + _VALID_TOO_LONG,
        {"gateway": gateway, "now": now, "latest": latest},
    ).rowcount


# The functions below record outcomes. `attempts` is the fencing token, because each new lease changes `attempts`. If
# another process has leased the message in the meantime, these functions change nothing and return False.
_FENCE = ", lease_owner = NULL WHERE id = :id AND attempts = :attempts AND state = 'unconfirmed'"


def mark_sent(connection: sqlite3.Connection, *, message: Message, now: str) -> bool:
    """Record that the gateway took a message."""
    return _update(connection, "state = 'sent', finished_at = :now, due_at = NULL, submitted_at = NULL", message, now)


def mark_error(connection: sqlite3.Connection, *, message: Message, error_type: str, now: str) -> bool:
    """Record that a message has failed. This is final."""
    return _update(
        connection,
        "state = 'error', error_type = :value, finished_at = :now, due_at = NULL, submitted_at = NULL",
        message,
        now,
        error_type,
    )


def reschedule(connection: sqlite3.Connection, *, message: Message, due_at: str) -> bool:
    """Record that a message was not sent. The next attempt is at the time `due_at`."""
    return _update(connection, "due_at = :value, submitted_at = NULL", message, value=due_at)


def give_back(connection: sqlite3.Connection, *, message: Message, now: str) -> bool:
    """End a message's lease. The gateway has not received this message, so the attempt is not counted."""
    return _update(
        connection,
        f"due_at = min({_FORMER_DUE}, :now), submitted_at = NULL, submitted_to = iif(attempts = 1, NULL, submitted_to),"
        " attempts = attempts - 1",
        message,
        now,
    )


def make_due(connection: sqlite3.Connection, *, message: Message, now: str) -> int | None:
    """Set the due time of an outbound message to `now`. Returns the number of attempts to send the message.

    If the message already has a final state, nothing changes, and the function returns None.

    If an attempt has no outcome yet, the function ends the lease. Phonify then ignores the outcome of this attempt. So
    use this function only for a gateway that sends no real messages.
    """
    row = connection.execute(
        "UPDATE messages SET due_at = :now, submitted_at = NULL, lease_owner = NULL, attempts = attempts"
        " + (lease_owner IS NOT NULL OR (submitted_at IS NOT NULL AND due_at IS NOT expires_at))"
        " WHERE id = :id AND direction = 'outbound' AND state = 'unconfirmed' RETURNING attempts",
        {"id": message.id, "now": now},
    ).fetchone()
    return int(row[0]) if row else None


def await_validity(connection: sqlite3.Connection, *, message: Message, now: str) -> bool:
    """Record that a message is in doubt. The message then waits without a lease until its validity period ends."""
    return _update(connection, "due_at = expires_at, submitted_at = coalesce(submitted_at, :now)", message, now)


def _update(
    connection: sqlite3.Connection, assignments: str, message: Message, now: str | None = None, value: str | None = None
) -> bool:
    changed = connection.execute(
        f"UPDATE messages SET {assignments}{_FENCE}",
        {"id": message.id, "attempts": message.attempts, "now": now, "value": value},
    ).rowcount
    return changed == 1


def insert_attempt(connection: sqlite3.Connection, *, message_id: str, attempt: MessageAttempt) -> None:
    """Record an attempt to send a message. If another process has leased the message in the meantime, nothing changes.

    Sometimes, the outcome of an attempt is unknown at first. If the outcome becomes known, the new record replaces the
    old record.
    """
    connection.execute(
        "INSERT OR REPLACE INTO message_attempts (message_id, attempt, at, outcome, due_at)"
        " SELECT id, :attempt, :at, :outcome, :due_at FROM messages WHERE id = :id AND attempts = :attempt",
        {"id": message_id, **attempt._asdict()},
    )
