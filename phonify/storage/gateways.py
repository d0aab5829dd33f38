"""The SQL for gateways. It stores states, reads queues, and counts the segments that each gateway got.

These functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Iterable

from .gateway_records import GatewayQueue, GatewayState

_COLUMNS = ", ".join(GatewayState._fields)


def get_state(connection: sqlite3.Connection, *, name: str) -> GatewayState:
    """Return the state of a gateway."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM gateways WHERE name = :name", {"name": name}).fetchone()
    return GatewayState(row[0], bool(row[1]), *row[2:]) if row else GatewayState(name)


def mark_started(connection: sqlite3.Connection, *, names: Iterable[str], at: str) -> None:
    """Record which gateways the new server has, and when it was started. Replaces the record of the previous server."""
    connection.execute("UPDATE gateways SET started_at = NULL WHERE started_at IS NOT NULL")
    connection.executemany(
        "INSERT INTO gateways (name, started_at) VALUES (:name, :at)"
        " ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at",
        [{"name": name, "at": at} for name in names],
    )


def list_started(connection: sqlite3.Connection) -> dict[str, str]:
    """Find the server that was started most recently. Return the names of its gateways, and its start time."""
    return dict(connection.execute("SELECT name, started_at FROM gateways WHERE started_at IS NOT NULL").fetchall())


def put_state(connection: sqlite3.Connection, *, state: GatewayState) -> None:
    """Store the state of a gateway."""
    names = ", ".join(f":{name}" for name in GatewayState._fields)
    connection.execute(f"INSERT OR REPLACE INTO gateways ({_COLUMNS}) VALUES ({names})", state._asdict())


def insert_sends(connection: sqlite3.Connection, *, gateway: str, at: str, parts: int) -> None:
    """Record how many segments Phonify passed to a gateway."""
    connection.execute(
        "INSERT INTO gateway_sends (gateway, at, parts) VALUES (:gateway, :at, :parts)",
        {"gateway": gateway, "at": at, "parts": parts},
    )


def count_sends(connection: sqlite3.Connection, *, gateway: str, since: str, now: str) -> int:
    """Count the segments that a gateway got during a period.

    The period begins directly after `since`, and includes `now`.
    """
    (count,) = connection.execute(
        "SELECT coalesce(sum(parts), 0) FROM gateway_sends WHERE gateway = :gateway AND at > :since AND at <= :now",
        {"gateway": gateway, "since": since, "now": now},
    ).fetchone()
    return int(count)


def find_send_time(connection: sqlite3.Connection, *, gateway: str, since: str, now: str, number: int) -> str | None:
    """Return the time at which a gateway got a segment. `number` is the position of this segment.

    The first segment after the time `since` has position 1. Segments that the gateway got after `now` are ignored.
    """
    at: str | None = connection.execute(
        "SELECT min(at) FROM (SELECT at, sum(parts) OVER (ORDER BY at, rowid) AS last FROM gateway_sends"
        " WHERE gateway = :gateway AND at > :since AND at <= :now) WHERE last >= :number",
        {"gateway": gateway, "since": since, "now": now, "number": number},
    ).fetchone()[0]
    return at


def delete_sends(connection: sqlite3.Connection, *, gateway: str, until: str) -> None:
    """Remove the records that `insert_sends` stored for a gateway. Records that are newer than `until` are kept."""
    connection.execute(
        "DELETE FROM gateway_sends WHERE gateway = :gateway AND at <= :until", {"gateway": gateway, "until": until}
    )


def count_waiting(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of waiting messages for each gateway. The keys of the result are the names of the gateways."""
    rows = connection.execute(
        "SELECT gateway, count(*) FROM messages WHERE due_at IS NOT NULL AND gateway IS NOT NULL GROUP BY gateway"
    )
    return dict(rows.fetchall())


def count_queue(connection: sqlite3.Connection, *, gateway: str, now: str) -> GatewayQueue:
    """Count the messages in the queue of a gateway."""
    values = {"gateway": gateway, "now": now}
    due, in_doubt = connection.execute(
        "SELECT count(*) FILTER (WHERE due_at <= :now),"
        " count(*) FILTER (WHERE due_at = expires_at AND submitted_at IS NOT NULL AND lease_owner IS NULL)"
        " FROM messages WHERE due_at IS NOT NULL AND gateway = :gateway",
        values,
    ).fetchone()
    (look_ups,) = connection.execute(
        "SELECT count(*) FROM look_ups WHERE gateway = :gateway AND due_at <= :now", values
    ).fetchone()
    return GatewayQueue(due, in_doubt, look_ups)
