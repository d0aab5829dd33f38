"""The SQL for the tables `sign_in_links` and `sessions`. As in `accounts.py`, the caller commits the changes."""

import sqlite3
from typing import NamedTuple

from .accounts import COLUMNS, LIMITS
from .records import Account, KeyOwner

_LIVE = "s.expires_at > :now AND (s.key_id IS NULL OR k.revoked_at IS NULL)"
_SESSIONS = "sessions AS s JOIN accounts AS a ON a.id = s.account_id LEFT JOIN api_keys AS k ON k.id = s.key_id"


class Session(NamedTuple):
    """A session on the web pages. This record does not contain the session's token."""

    id: int
    account: str
    key_id: int | None  # the key of the sign-in; None: the user signed in with a link
    created_at: str
    expires_at: str


def insert_link(connection: sqlite3.Connection, *, token_hash: str, account_id: int, now: str, expires_at: str) -> None:
    """Store a new sign-in link."""
    connection.execute(
        "INSERT INTO sign_in_links (token_hash, account_id, created_at, expires_at)"
        " VALUES (:token_hash, :account_id, :now, :expires_at)",
        {"token_hash": token_hash, "account_id": account_id, "now": now, "expires_at": expires_at},
    )


def take_link(connection: sqlite3.Connection, *, token_hash: str, now: str) -> int | None:
    """Remove a sign-in link, and return the id of the link's account. So each link works only once.

    Returns None if the link is missing or has expired.
    """
    row = connection.execute(
        "DELETE FROM sign_in_links WHERE token_hash = :token_hash RETURNING account_id, expires_at",
        {"token_hash": token_hash},
    ).fetchone()
    return row[0] if row is not None and row[1] > now else None


def insert_session(
    connection: sqlite3.Connection, *, token_hash: str, account_id: int, key_id: int | None, now: str, expires_at: str
) -> None:
    """Add a session."""
    connection.execute(
        "INSERT INTO sessions (account_id, token_hash, key_id, created_at, expires_at)"
        " VALUES (:account_id, :token_hash, :key_id, :now, :expires_at)",
        {"account_id": account_id, "token_hash": token_hash, "key_id": key_id, "now": now, "expires_at": expires_at},
    )


def find_account_by_session(connection: sqlite3.Connection, *, token_hash: str, now: str) -> KeyOwner | None:
    """Find a session that has not ended. Return its account and its API key.

    Returns None if the session has ended or does not exist.
    """
    row = connection.execute(
        f"SELECT s.key_id, k.used_at, r.expires_at, {COLUMNS} FROM {_SESSIONS} {LIMITS}"
        f" WHERE s.token_hash = :token_hash AND {_LIVE}",
        {"token_hash": token_hash, "now": now},
    ).fetchone()
    return KeyOwner(row[0], row[1], row[2], Account._make(row[3:])) if row else None


def list_sessions(connection: sqlite3.Connection, *, account: str | None, now: str) -> list[Session]:
    """Return the sessions that have not ended, oldest first. Without `account`, return the sessions of all accounts."""
    rows = connection.execute(
        f"SELECT s.id, a.name, s.key_id, s.created_at, s.expires_at FROM {_SESSIONS}"
        f" WHERE {_LIVE} AND (:account IS NULL OR a.name = :account) ORDER BY s.id",
        {"account": account, "now": now},
    )
    return [Session._make(row) for row in rows]


def delete_session(connection: sqlite3.Connection, *, session_id: int) -> bool:
    """Remove a session. Returns False if the session does not exist."""
    return connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,)).rowcount == 1


def delete_session_of_token(connection: sqlite3.Connection, *, token_hash: str) -> None:
    """Remove the session that has this token. If there is no such session, nothing changes."""
    connection.execute("DELETE FROM sessions WHERE token_hash = ?", (token_hash,))


def delete_ended(connection: sqlite3.Connection, *, now: str, limit: int) -> int:
    """Remove all expired links and at most `limit` expired sessions. Returns the number of removed rows."""
    values = {"now": now, "limit": limit}
    sessions = connection.execute(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= :now LIMIT :limit)", values
    ).rowcount
    links = connection.execute("DELETE FROM sign_in_links WHERE expires_at <= :now", values).rowcount
    return sessions + links
