"""The SQL of what operators see: can it be written, what waits, how much there is, whether it is sound."""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from .store import SMALL_STRETCH_BITS, STRETCH_BITS


class Gauges(NamedTuple):
    """How much there is, of all accounts."""

    messages: dict[tuple[str, str], int]  # by state and direction
    due: int  # messages that wait for the gateway and whose time has come
    oldest_due_at: str | None
    deliveries: dict[str, int]  # of webhooks, by state


def try_to_write(connection: sqlite3.Connection) -> None:
    """Store a message and take it back, which meets damage where messages belong; write what stays as it is."""
    connection.execute("SAVEPOINT trial")
    connection.execute(
        "INSERT INTO messages (id, account_id, direction, body, origin_number, to_number, state, created_at, due_at)"
        " SELECT '~', id, 'outbound', '', '', '', 'unconfirmed', '', '' FROM accounts LIMIT 1"
    )
    connection.execute("ROLLBACK TO trial")
    connection.execute("RELEASE trial")
    connection.execute("UPDATE conversations_upto SET seq = seq")


def get_oldest_due(connection: sqlite3.Connection) -> str | None:
    """Return since when the longest waiting message has been due."""
    row = connection.execute("SELECT min(due_at) FROM messages WHERE due_at IS NOT NULL").fetchone()
    return row[0] if row else None


def read_gauges(connection: sqlite3.Connection, *, now: str) -> Gauges:
    """Return how much there is. Messages are counted by indexes and counters, not by looking at each."""
    (total,) = connection.execute(
        "SELECT coalesce(sum(messages), 0) FROM message_counts WHERE bits = :bits", {"bits": STRETCH_BITS}
    ).fetchone()
    counts = {
        (state, direction): count
        for state, direction, count in connection.execute(
            "SELECT state, direction, count(*) FROM messages WHERE state <> 'sent' GROUP BY 1, 2"
        )
    }
    (inbound,) = connection.execute("SELECT count(*) FROM messages WHERE direction = 'inbound'").fetchone()
    others = {
        direction: counts.get(("unconfirmed", direction), 0) + counts.get(("error", direction), 0)
        for direction in ("inbound", "outbound")
    }
    counts["sent", "inbound"] = inbound - others["inbound"]
    counts["sent", "outbound"] = total - inbound - others["outbound"]
    (due,) = connection.execute("SELECT count(*) FROM messages WHERE due_at <= :now", {"now": now}).fetchone()
    deliveries = dict(connection.execute("SELECT state, count(*) FROM webhook_deliveries GROUP BY 1").fetchall())
    return Gauges(counts, due, get_oldest_due(connection), deliveries)


def is_used(connection: sqlite3.Connection) -> bool:
    """Tell whether there is anything in the file: a key or a message."""
    (used,) = connection.execute("SELECT EXISTS (SELECT 1 FROM api_keys) OR EXISTS (SELECT 1 FROM messages)").fetchone()
    return bool(used)


def find_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield what is wrong with the whole file, in words; nothing where it is sound."""
    for (fault,) in connection.execute("PRAGMA integrity_check"):
        if fault != "ok":
            yield fault
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of {table} refers to a row of {parent} that is not there"
    for bits in (SMALL_STRETCH_BITS, STRETCH_BITS):
        (differing,) = connection.execute(
            "SELECT count(*) FROM (SELECT * FROM (SELECT account_id, :bits AS bits, seq >> :bits AS stretch,"
            "  count(*) AS messages FROM messages GROUP BY 1, 3)"
            " EXCEPT SELECT * FROM message_counts WHERE bits = :bits)",
            {"bits": bits},
        ).fetchone()
        (more,) = connection.execute(
            "SELECT count(*) FROM message_counts AS c WHERE bits = :bits AND messages <> 0 AND NOT EXISTS"
            " (SELECT 1 FROM messages WHERE account_id = c.account_id AND seq >> :bits = c.stretch"
            "  AND seq BETWEEN c.stretch << :bits AND ((c.stretch + 1) << :bits) - 1)",
            {"bits": bits},
        ).fetchone()
        differing += more
        if differing:
            yield f"{differing} counts of messages are not what there are"
