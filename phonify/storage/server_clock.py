"""The SQL for the table `server_clock`. As in `accounts.py`, the caller commits the changes."""

import sqlite3
from typing import NamedTuple


class ClockRow(NamedTuple):
    """The difference between the server's clock and the machine's clock. schema.sql explains the columns."""

    ahead_ms: int
    frozen_at: str | None


class ClockStatus(NamedTuple):
    """The status of the server's clock."""

    now: str
    machine_now: str
    frozen: bool
    changed: bool  # whether it differs from the machine's clock


def get_clock(connection: sqlite3.Connection) -> ClockRow | None:
    """Return the row of the clock, or None if nobody has changed the clock."""
    row = connection.execute("SELECT ahead_ms, frozen_at FROM server_clock").fetchone()
    return ClockRow._make(row) if row else None


def put_clock(connection: sqlite3.Connection, *, row: ClockRow) -> None:
    """Set the clock."""
    connection.execute(
        "INSERT OR REPLACE INTO server_clock (id, ahead_ms, frozen_at) VALUES (1, :ahead_ms, :frozen_at)",
        row._asdict(),
    )


def delete_clock(connection: sqlite3.Connection) -> None:
    """Let the clock show the machine's time again."""
    connection.execute("DELETE FROM server_clock")
