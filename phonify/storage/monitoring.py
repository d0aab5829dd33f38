"""The SQL for health checks, metrics and commands.

This module tests whether the file can be written, checks the file, and counts rows.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .outbox import next_due_at
from .received_texts import count_open_texts


class Gauges(NamedTuple):
    """Values for monitoring, mostly numbers of rows. Each value includes the data of all accounts."""

    messages: dict[tuple[str, str], int]  # by state and direction
    oldest_due_at: str | None  # when the oldest waiting message became due or will be due
    deliveries: dict[str, int]  # webhook deliveries, by state
    open_texts: int  # texts that belong to no account


def try_to_write(connection: sqlite3.Connection) -> None:
    """Try to insert a message, and try to update an account. The content of the database does not change.

    Raises an exception if one of these writes is not possible.
    """
    connection.execute("SAVEPOINT trial")
    connection.execute(
        "INSERT INTO messages (id, account_id, direction, body, origin_number, to_number, state, created_at, due_at)"
        " SELECT '~', id, 'outbound', '', '', '', 'unconfirmed', '', '' FROM accounts LIMIT 1"
    )
    connection.execute("ROLLBACK TO trial")
    connection.execute("RELEASE trial")
    connection.execute("UPDATE accounts SET name = name WHERE id = (SELECT min(id) FROM accounts)")


def read_gauges(connection: sqlite3.Connection, *, gateways: Iterable[str]) -> Gauges:
    """Count the rows. For a million messages, this takes about 10 milliseconds.

    `gateways` contains the names of gateways. `oldest_due_at` is the earliest due time of all messages that wait for
    these gateways.
    """
    total, inbound = connection.execute(
        "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM messages WHERE direction = 'inbound')"
    ).fetchone()
    counts = Counter({("sent", "inbound"): inbound, ("sent", "outbound"): total - inbound})
    for state, direction, count in connection.execute(
        "SELECT state, direction, count(*) FROM messages WHERE state <> 'sent' GROUP BY 1, 2"
    ):
        counts[state, direction] = count
        counts["sent", direction] -= count
    first_due = [next_due_at(connection, gateway=gateway) for gateway in gateways]
    oldest_due_at = min((at for at in first_due if at is not None), default=None)
    deliveries = dict(connection.execute("SELECT state, count(*) FROM webhook_deliveries GROUP BY 1").fetchall())
    return Gauges(counts, oldest_due_at, deliveries, count_open_texts(connection))


def is_used(connection: sqlite3.Connection) -> bool:
    """Return True if the database has at least one API key or at least one message."""
    (used,) = connection.execute("SELECT EXISTS (SELECT 1 FROM api_keys) OR EXISTS (SELECT 1 FROM messages)").fetchone()
    return bool(used)


def find_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Check the whole file. For each error, yields a description that people can read."""
    for (fault,) in connection.execute("PRAGMA integrity_check"):
        if fault != "ok":
            yield fault
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of {table} refers to a missing row of {parent}"
    (stale,) = connection.execute(
        "SELECT count(*) FROM conversations AS c WHERE NOT EXISTS"
        " (SELECT 1 FROM messages AS m WHERE m.seq = c.last_seq AND m.account_id = c.account_id)"
    ).fetchone()
    if stale:
        yield f"{stale} conversations have no latest message"
