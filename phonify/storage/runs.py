"""The SQL of test runs. Each run has its own account."""

import sqlite3

from .records import Run

_COLUMNS = ", ".join(Run._fields)

# The tables that contain rows of an account. For each table, there is a column that identifies one of these rows.
# Conversations are removed before messages, because each conversation must have its latest message.
TABLES = {
    "webhooks": "account_id",
    "labs": "account_id",
    "front_accounts": "account_id",
    "numbers": "number",
    "rules": "id",
    "front_refusals": "seq",
    "sign_in_links": "token_hash",
    "sessions": "id",
    "api_keys": "id",
    "webhook_deliveries": "seq",
    "conversations": "phone",
    "messages": "seq",
    "subscriptions": "phone",
    "keyword_replies": "account_id",
    "idempotency_keys": "key",
    "quota_days": "day",
    "rate_minutes": "minute",
}


def insert_run(connection: sqlite3.Connection, *, run: Run) -> None:
    """Add a run. The account of the run must exist. The id of the run must be greater than all existing ids."""
    names = ", ".join(f":{name}" for name in Run._fields)
    connection.execute(f"INSERT INTO runs ({_COLUMNS}) VALUES ({names})", run._asdict())


def get_last_run_id(connection: sqlite3.Connection) -> str | None:
    """Return the greatest id of all runs."""
    last_id: str | None = connection.execute("SELECT max(id) FROM runs").fetchone()[0]
    return last_id


def list_live_runs(connection: sqlite3.Connection, *, creator_id: int, now: str) -> list[Run]:
    """Return the runs that an account has created and that have not ended, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE creator_id = :creator_id AND expires_at > :now ORDER BY id DESC",
        {"creator_id": creator_id, "now": now},
    )
    return [Run._make(row) for row in rows]


def get_live_run(connection: sqlite3.Connection, *, run_id: str, now: str) -> Run | None:
    """Return a run that has not ended, or None."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE id = :id AND expires_at > :now", {"id": run_id, "now": now}
    ).fetchone()
    return Run._make(row) if row else None


def end_run(connection: sqlite3.Connection, *, run: Run) -> None:
    """Store the new `expires_at` of a run. Remove the keys and the webhook of the run.

    The function also removes the run's data for the Twilio-compatible API.
    """
    connection.execute("UPDATE runs SET expires_at = :expires_at WHERE id = :id", run._asdict())
    for table in ("api_keys", "webhooks", "front_accounts"):
        connection.execute(f"DELETE FROM {table} WHERE account_id = :account_id", run._asdict())


def list_ended_accounts(connection: sqlite3.Connection, *, now: str) -> list[int]:
    """Return the account ids of the runs that have ended."""
    rows = connection.execute("SELECT account_id FROM runs WHERE expires_at <= :now", {"now": now})
    return [account_id for (account_id,) in rows]


def delete_account_rows(connection: sqlite3.Connection, *, account_id: int, limit: int) -> bool:
    """Remove at most `limit` rows of an account. If no rows are left, also remove the run and the account.

    Returns whether the account was removed.
    """
    left = limit
    for table, key in TABLES.items():
        left -= connection.execute(
            f"DELETE FROM {table} WHERE account_id = :account_id AND {key} IN"
            f" (SELECT {key} FROM {table} WHERE account_id = :account_id LIMIT :left)",
            {"account_id": account_id, "left": left},
        ).rowcount
        if left <= 0:
            return False
    # One transaction removes the run and its account. So a crash never leaves the account of a run without its run.
    connection.execute("DELETE FROM runs WHERE account_id = :account_id", {"account_id": account_id})
    connection.execute("DELETE FROM accounts WHERE id = :account_id", {"account_id": account_id})
    return True
