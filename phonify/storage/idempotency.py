"""The SQL for idempotency keys. For each key, the database has the answer to the first request."""

import sqlite3

from .records import Answer


def get_answer(connection: sqlite3.Connection, *, account_id: int, key: str, since: str) -> Answer | None:
    """Return the answer to the first request with the idempotency key `key`. Returns None if there is no such answer.

    If an answer was stored at the time `since` or earlier, it has expired. Expired answers are not returned.
    """
    row = connection.execute(
        "SELECT request_hash, status, answer FROM idempotency_keys"
        " WHERE account_id = :account_id AND key = :key AND created_at > :since",
        {"account_id": account_id, "key": key, "since": since},
    ).fetchone()
    return Answer._make(row) if row else None


def put_answer(connection: sqlite3.Connection, *, account_id: int, key: str, answer: Answer, now: str) -> None:
    """Store the answer to the first request with the idempotency key `key`. An expired answer is replaced."""
    connection.execute(
        "INSERT OR REPLACE INTO idempotency_keys (account_id, key, request_hash, status, answer, created_at)"
        " VALUES (:account_id, :key, :request_hash, :status, :answer, :now)",
        {"account_id": account_id, "key": key, "now": now, **answer._asdict()},
    )


def delete_answers(connection: sqlite3.Connection, *, until: str, limit: int) -> int:
    """Remove at most `limit` expired answers. Returns the number of removed answers."""
    return connection.execute(
        "DELETE FROM idempotency_keys WHERE (account_id, key) IN"
        " (SELECT account_id, key FROM idempotency_keys WHERE created_at <= :until LIMIT :limit)",
        {"until": until, "limit": limit},
    ).rowcount
