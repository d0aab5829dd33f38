"""The SQL that removes a phone's number from webhook deliveries, stored answers and refused requests.

Deliveries and answers contain the number as a JSON string. They still contain it after the message was removed. These
functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Sequence


def list_deliveries_about(connection: sqlite3.Connection, *, account_id: int, phone: str) -> list[int]:
    """Find an account's webhook deliveries that have a phone's number in the payload. Returns their seqs."""
    rows = connection.execute(
        "SELECT seq FROM webhook_deliveries WHERE account_id = :account_id AND instr(payload, :phone)",
        {"account_id": account_id, "phone": f'"{phone}"'},
    )
    return [seq for (seq,) in rows]


def delete_deliveries(connection: sqlite3.Connection, *, seqs: Sequence[int]) -> None:
    """Remove webhook deliveries and their attempts."""
    connection.executemany("DELETE FROM webhook_deliveries WHERE seq = ?", [(seq,) for seq in seqs])


def delete_answers(connection: sqlite3.Connection, *, account_id: int, phone: str) -> None:
    """Remove an account's stored answers that contain the given phone number."""
    connection.execute(
        "DELETE FROM idempotency_keys WHERE account_id = :account_id AND instr(answer, :phone)",
        {"account_id": account_id, "phone": f'"{phone}"'},
    )


def list_refused_numbers(connection: sqlite3.Connection, *, account_id: int) -> list[tuple[int, str]]:
    """Find an account's refused requests. For each request, returns the `seq` and the recipient.

    The recipient is a string as the app sent it. This string may be an invalid phone number.
    """
    return connection.execute(
        "SELECT seq, to_number FROM front_refusals WHERE account_id = :account_id", {"account_id": account_id}
    ).fetchall()


def delete_refusals(connection: sqlite3.Connection, *, seqs: Sequence[int]) -> None:
    """Remove refused requests."""
    connection.executemany("DELETE FROM front_refusals WHERE seq = ?", [(seq,) for seq in seqs])
