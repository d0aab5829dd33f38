"""The SQL for message ids from providers, for delivery receipts, and for look-ups.

These functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Sequence

from .gateway_records import MessagePart, ReceiptRow
from .messages import COLUMNS
from .records import Message, ReceiptResult

_RECEIPT = ", ".join(ReceiptRow._fields)


# The provider's ids


def insert_parts(connection: sqlite3.Connection, *, message_id: str, gateway: str, references: Sequence[str]) -> None:
    """Store the ids that the provider has given to a message.

    If another message already has one of these ids, the function removes the id from the other message.
    """
    connection.executemany(
        "INSERT OR REPLACE INTO message_parts (message_id, part, gateway, reference)"
        " SELECT id, :part, :gateway, :reference FROM messages WHERE id = :id",
        [
            {"id": message_id, "part": part, "gateway": gateway, "reference": reference}
            for part, reference in enumerate(references, start=1)
        ],
    )


def insert_reported_part(connection: sqlite3.Connection, *, message_id: str, gateway: str, reference: str) -> None:
    """Store another id that the provider has given to a message. Phonify got this id from a receipt.

    In the new row, `part` is 0 or a negative number.
    """
    connection.execute(
        "INSERT OR IGNORE INTO message_parts (message_id, part, gateway, reference)"
        " SELECT :id, min(coalesce(min(part), 1), 1) - 1, :gateway, :reference FROM message_parts"
        " WHERE message_id = :id",
        {"id": message_id, "gateway": gateway, "reference": reference},
    )


def list_parts(connection: sqlite3.Connection, *, message_id: str) -> list[MessagePart]:
    """Return the ids that the provider has given to a message."""
    rows = connection.execute(
        "SELECT part, gateway, reference, status FROM message_parts WHERE message_id = :id ORDER BY part",
        {"id": message_id},
    )
    return [MessagePart._make(row) for row in rows]


def find_message_id(connection: sqlite3.Connection, *, gateway: str, reference: str) -> str | None:
    """Return Phonify's id of a message. `reference` is an id that the provider has given to this message."""
    row = connection.execute(
        "SELECT message_id FROM message_parts WHERE reference = :reference AND gateway = :gateway",
        {"gateway": gateway, "reference": reference},
    ).fetchone()
    return row[0] if row else None


def update_part(
    connection: sqlite3.Connection, *, message_id: str, gateway: str, reference: str, status: ReceiptResult
) -> None:
    """Record the final status of a part. If the part already has a status, nothing changes."""
    connection.execute(
        "UPDATE message_parts SET status = :status WHERE message_id = :message_id AND gateway = :gateway"
        " AND reference = :reference AND status IS NULL",
        {"message_id": message_id, "gateway": gateway, "reference": reference, "status": status},
    )


# Receipts


def insert_receipt(connection: sqlite3.Connection, *, receipt: ReceiptRow) -> bool:
    """Store a receipt. Returns False if the receipt is already stored."""
    names = ", ".join(f":{name}" for name in ReceiptRow._fields)
    cursor = connection.execute(
        f"INSERT INTO receipts ({_RECEIPT}) VALUES ({names}) ON CONFLICT DO NOTHING", receipt._asdict()
    )
    return cursor.rowcount == 1


def claim_waiting_receipts(
    connection: sqlite3.Connection, *, message_id: str, gateway: str, references: Sequence[str]
) -> None:
    """Assign stored receipts to a message.

    These receipts arrived before Phonify received the provider's ids for the message. `references` contains these ids.
    """
    connection.executemany(
        "UPDATE receipts SET message_id = :message_id"
        " WHERE reference = :reference AND gateway = :gateway AND message_id IS NULL",
        [{"message_id": message_id, "gateway": gateway, "reference": reference} for reference in references],
    )


def list_receipts(connection: sqlite3.Connection, *, message_id: str) -> list[ReceiptRow]:
    """Return the receipts of a message in the order of arrival."""
    rows = connection.execute(
        f"SELECT {_RECEIPT} FROM receipts WHERE message_id = :id ORDER BY seq", {"id": message_id}
    )
    return [ReceiptRow._make(row) for row in rows]


def count_partial(connection: sqlite3.Connection, *, message_id: str) -> int:
    """Count the delivered segments of a message.

    A partial receipt is a receipt for one segment. The function counts the partial receipts whose status is
    `delivered`.
    """
    (count,) = connection.execute(
        "SELECT count(*) FROM receipts WHERE message_id = :id AND partial AND status = 'delivered'", {"id": message_id}
    ).fetchone()
    return int(count)


def delete_receipts(connection: sqlite3.Connection, *, until: str, limit: int) -> int:
    """Remove at most `limit` old receipts. Returns the number of removed receipts.

    A receipt is old if Phonify got it before the time `until`.
    """
    return connection.execute(
        "DELETE FROM receipts WHERE seq IN (SELECT seq FROM receipts WHERE received_at < :until LIMIT :limit)",
        {"until": until, "limit": limit},
    ).rowcount


# Messages of any account


def get_message(connection: sqlite3.Connection, *, message_id: str) -> Message | None:
    """Return a message of any account."""
    row = connection.execute(f"SELECT {COLUMNS} FROM messages WHERE id = :id", {"id": message_id}).fetchone()
    return Message._make(row) if row else None


def set_receipt(
    connection: sqlite3.Connection, *, message_id: str, receipt: ReceiptResult, at: str, code: str | None
) -> bool:
    """Record a message's receipt. If the message already has a receipt, nothing changes, and the result is False."""
    cursor = connection.execute(
        "UPDATE messages SET receipt_status = :receipt, receipt_at = :at, receipt_code = :code"
        " WHERE id = :id AND receipt_status IS NULL",
        {"id": message_id, "receipt": receipt, "at": at, "code": code},
    )
    return cursor.rowcount == 1


# Look-ups


def put_look_up(connection: sqlite3.Connection, *, message_id: str, due_at: str) -> None:
    """Schedule the first look-up for a message: Phonify will ask the provider what happened to the message.

    If a look-up is already scheduled, nothing changes.
    """
    connection.execute(
        "INSERT INTO look_ups (message_id, due_at, gateway) SELECT id, :due_at, gateway FROM messages WHERE id = :id"
        " ON CONFLICT DO NOTHING",
        {"id": message_id, "due_at": due_at},
    )


def next_look_up_at(connection: sqlite3.Connection, *, gateway: str) -> str | None:
    """Return the time when a gateway's next look-up is due. Returns `None` if no look-up is scheduled."""
    due_at: str | None = connection.execute(
        "SELECT min(due_at) FROM look_ups WHERE gateway = :gateway", {"gateway": gateway}
    ).fetchone()[0]
    return due_at


def list_due_look_ups(
    connection: sqlite3.Connection, *, gateway: str, now: str, limit: int
) -> list[tuple[Message, int]]:
    """Find a gateway's messages that need a look-up now.

    Returns pairs. Each pair contains a message and a number. The number says how many look-ups Phonify has already made
    for this message.
    """
    columns = ", ".join(f"m.{name}" for name in Message._fields)
    rows = connection.execute(
        f"SELECT l.tries, {columns} FROM look_ups AS l JOIN messages AS m ON m.id = l.message_id"
        " WHERE l.gateway = :gateway AND l.due_at <= :now ORDER BY l.due_at LIMIT :limit",
        {"gateway": gateway, "now": now, "limit": limit},
    )
    return [(Message._make(row[1:]), row[0]) for row in rows]


def has_look_ups_after(connection: sqlite3.Connection, *, latest: str) -> bool:
    """Return whether any look-up is due after the time `latest`."""
    row = connection.execute("SELECT EXISTS (SELECT 1 FROM look_ups WHERE due_at > :latest)", {"latest": latest})
    return bool(row.fetchone()[0])


def hasten_look_ups(connection: sqlite3.Connection, *, now: str, latest: str) -> int:
    """Find all look-ups with a due time after `latest`, and make them due now. Returns how many."""
    values = {"now": now, "latest": latest}
    return connection.execute("UPDATE look_ups SET due_at = :now WHERE due_at > :latest", values).rowcount


def postpone_look_up(connection: sqlite3.Connection, *, message_id: str, due_at: str) -> None:
    """Schedule the next look-up for a message."""
    connection.execute(
        "UPDATE look_ups SET due_at = :due_at, tries = tries + 1 WHERE message_id = :id",
        {"id": message_id, "due_at": due_at},
    )


def delete_look_up(connection: sqlite3.Connection, *, message_id: str) -> None:
    """Cancel the scheduled look-up of a message. If no look-up is scheduled, nothing changes."""
    connection.execute("DELETE FROM look_ups WHERE message_id = :id", {"id": message_id})
