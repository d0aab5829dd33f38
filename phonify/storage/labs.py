"""The SQL for webhook labs. For each account, the database has only the latest lab."""

import sqlite3

from .records import LabRun

_COLUMNS = ", ".join(LabRun._fields)


def get_lab(connection: sqlite3.Connection, *, account_id: int) -> LabRun | None:
    """Return the latest lab of an account, or None."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM labs WHERE account_id = :account_id", {"account_id": account_id}
    ).fetchone()
    return LabRun._make(row) if row else None


def put_lab(connection: sqlite3.Connection, *, lab: LabRun) -> None:
    """Add a lab. The new lab replaces the account's latest lab."""
    names = ", ".join(f":{name}" for name in LabRun._fields)
    connection.execute(f"INSERT OR REPLACE INTO labs ({_COLUMNS}) VALUES ({names})", lab._asdict())


def extend_lab(connection: sqlite3.Connection, *, lab: LabRun, trial: str, until: str) -> bool:
    """Update the current trial and the time limit of a lab.

    `trial` is the name of the current trial. `until` is the new time limit. Returns False if the lab has finished or
    was replaced.
    """
    cursor = connection.execute(
        "UPDATE labs SET trial = :trial, until = :until"
        " WHERE account_id = :account_id AND id = :id AND finished_at IS NULL",
        {**lab._asdict(), "trial": trial, "until": until},
    )
    return cursor.rowcount == 1


def finish_lab(connection: sqlite3.Connection, *, lab: LabRun, report: str | None, now: str) -> None:
    """Store the report of a lab. The report is None if the lab was interrupted.

    If the lab was replaced, nothing changes.
    """
    connection.execute(
        "UPDATE labs SET trial = NULL, finished_at = :now, report = :report"
        " WHERE account_id = :account_id AND id = :id AND finished_at IS NULL",
        {**lab._asdict(), "report": report, "now": now},
    )
