"""The SQL that Phonify uses when it advances the clock. For example, this SQL counts sent messages and new receipts."""

import sqlite3
from typing import NamedTuple


def has_leases(connection: sqlite3.Connection) -> bool:
    """Return whether any process is delivering messages or webhook events now."""
    (found,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE lease_owner IS NOT NULL)"
        " OR EXISTS (SELECT 1 FROM webhook_deliveries WHERE lease_owner IS NOT NULL)"
    ).fetchone()
    return bool(found)


class Pending(NamedTuple):
    """The messages and webhook deliveries that are due at the time `until` or before. Leased rows are included."""

    until: str
    receipts: int  # how many stored receipts have `until` as the time of arrival
    messages: list[int]  # the seqs of due messages
    deliveries: list[int]  # the seqs of due webhook deliveries
    last_message: int  # the greatest seq of all messages
    last_delivery: int


class Ended(NamedTuple):
    """The number of events of each type that happened while Phonify moved the clock forward.

    For example, `webhooks` is the number of delivered webhooks.
    """

    sent: int = 0
    expired: int = 0
    failed: int = 0  # for a reason other than the validity period
    received: int = 0
    receipts: int = 0
    webhooks: int = 0
    failed_webhooks: int = 0
    removed: int = 0  # old messages that were removed


class Advance(NamedTuple):
    """The result of moving the clock forward."""

    begun_at: str
    ended_at: str
    target: str
    finished: bool  # False: the time limit was over, or the server was stopping
    ended: Ended


def list_pending(connection: sqlite3.Connection, *, until: str) -> Pending:
    """Find the messages and webhook deliveries that are due at the time `until` or before.

    Leased rows are included. Messages with a look-up are included if the look-up is due by then.
    """
    messages = connection.execute(
        "SELECT seq FROM messages WHERE due_at <= :until"
        " UNION SELECT seq FROM messages WHERE lease_owner IS NOT NULL"
        " UNION SELECT seq FROM look_ups AS l JOIN messages AS m ON m.id = l.message_id"
        "  WHERE l.due_at <= :until AND finished_at IS NULL",
        {"until": until},
    )
    deliveries = connection.execute(
        "SELECT seq FROM webhook_deliveries WHERE due_at <= :until"
        " UNION SELECT seq FROM webhook_deliveries WHERE lease_owner IS NOT NULL",
        {"until": until},
    )
    last = connection.execute(
        "SELECT (SELECT coalesce(max(seq), 0) FROM messages), (SELECT coalesce(max(seq), 0) FROM webhook_deliveries)"
    )
    receipts = _count_receipts(connection, at=until)
    return Pending(until, receipts, [seq for (seq,) in messages], [seq for (seq,) in deliveries], *last.fetchone())


def count_ended(connection: sqlite3.Connection, *, pending: Pending) -> Ended:
    """Count the finished messages, the finished deliveries and the new receipts.

    The function checks the messages and deliveries in `pending`. It also checks all messages and deliveries that were
    stored after the call of `list_pending`.
    """
    messages = _find_rows(
        connection, "SELECT direction, state, error_type FROM messages", pending.messages, pending.last_message
    )
    outbound = [row[1:] for row in messages if row[0] == "outbound"]
    failed = [error_type for state, error_type in outbound if state == "error"]
    deliveries = _find_rows(
        connection, "SELECT state FROM webhook_deliveries", pending.deliveries, pending.last_delivery
    )
    states = [state for (state,) in deliveries]
    return Ended(
        sent=outbound.count(("sent", None)),
        expired=failed.count("validity_expired"),
        failed=len(failed) - failed.count("validity_expired"),
        received=len(messages) - len(outbound),
        receipts=_count_receipts(connection, at=pending.until) - pending.receipts,
        webhooks=states.count("delivered"),
        failed_webhooks=states.count("failed"),
    )


def _find_rows(connection: sqlite3.Connection, select: str, seqs: list[int], last: int) -> list[tuple[str | None, ...]]:
    """Return two groups of rows: those with a seq from the list `seqs`, and those with a seq greater than `last`."""
    found = [connection.execute(f"{select} WHERE seq = ?", (seq,)).fetchone() for seq in seqs]
    found += connection.execute(f"{select} WHERE seq > ?", (last,)).fetchall()
    return [row for row in found if row is not None]


def count_messages(connection: sqlite3.Connection, *, upto: int) -> int:
    """Count the messages whose seq is at most `upto`."""
    (count,) = connection.execute("SELECT count(*) FROM messages WHERE seq <= :upto", {"upto": upto}).fetchone()
    return int(count)


def _count_receipts(connection: sqlite3.Connection, *, at: str) -> int:
    (count,) = connection.execute("SELECT count(*) FROM receipts WHERE received_at = :at", {"at": at}).fetchone()
    return int(count)
