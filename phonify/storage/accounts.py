"""The SQL for accounts, API keys and limits. See also `runs.py` for the accounts of test runs.

The first parameter of each function is the connection. All other parameters are keyword-only. These functions do not
commit. The caller commits the changes. Usually, the caller is a function in `domain/`. All times are strings in the
format of the function `clock.format_time`.
"""

import sqlite3

from .records import Account, ApiKey, KeyOwner

# These are parts of queries of `accounts AS a`. `r` is the test run of the account, if it has one. `l` is the account
# whose limits apply.
COLUMNS = "a.id, a.name, a.origin, a.created_at, l.quota, l.rate_limit, r.creator_id"
_KEYS = (
    "SELECT k.id, a.name, k.name, k.created_at, k.revoked_at, k.used_at"
    " FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id"
)
LIMITS = "LEFT JOIN runs AS r ON r.account_id = a.id JOIN accounts AS l ON l.id = coalesce(r.creator_id, a.id)"


def insert_account(
    connection: sqlite3.Connection, *, name: str, origin: str | None, now: str, account_id: int | None = None
) -> Account:
    """Add an account. The name must be new. If `account_id` is None, SQLite chooses the next id."""
    row = connection.execute(
        "INSERT INTO accounts (id, name, origin, created_at) VALUES (:id, :name, :origin, :now)"
        " RETURNING id, name, origin, created_at",
        {"id": account_id, "name": name, "origin": origin, "now": now},
    ).fetchone()
    return Account(*row)


def get_account(connection: sqlite3.Connection, *, name: str) -> Account | None:
    """Return the account with this name."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM accounts AS a {LIMITS} WHERE a.name = :name", {"name": name}
    ).fetchone()
    return Account._make(row) if row else None


def get_live_account(connection: sqlite3.Connection, *, account_id: int, now: str) -> Account | None:
    """Return the account with this id. Returns None if the account belongs to a test run that has ended."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM accounts AS a {LIMITS}"
        " WHERE a.id = :id AND (r.expires_at IS NULL OR r.expires_at > :now)",
        {"id": account_id, "now": now},
    ).fetchone()
    return Account._make(row) if row else None


def list_accounts(connection: sqlite3.Connection) -> list[Account]:
    """Return all accounts except the accounts of test runs, oldest first."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM accounts AS a {LIMITS} WHERE r.id IS NULL ORDER BY a.id")
    return [Account._make(row) for row in rows]


def insert_key(connection: sqlite3.Connection, *, account_id: int, name: str, key_hash: str, now: str) -> int:
    """Add a key and return its id. Raises sqlite3.IntegrityError if the hash exists already."""
    (key_id,) = connection.execute(
        "INSERT INTO api_keys (account_id, name, key_hash, created_at)"
        " VALUES (:account_id, :name, :key_hash, :now) RETURNING id",
        {"account_id": account_id, "name": name, "key_hash": key_hash, "now": now},
    ).fetchone()
    return int(key_id)


def get_key_by_hash(connection: sqlite3.Connection, *, key_hash: str) -> ApiKey | None:
    """Return the key with this hash. A revoked key is returned too."""
    row = connection.execute(f"{_KEYS} WHERE k.key_hash = :key_hash", {"key_hash": key_hash}).fetchone()
    return ApiKey._make(row) if row else None


def find_account_by_key(connection: sqlite3.Connection, *, key_hash: str) -> KeyOwner | None:
    """Return the owner of a valid key."""
    row = connection.execute(
        f"SELECT k.id, k.used_at, r.expires_at, {COLUMNS} FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id"
        f" {LIMITS} WHERE k.key_hash = :key_hash AND k.revoked_at IS NULL",
        {"key_hash": key_hash},
    ).fetchone()
    return KeyOwner(row[0], row[1], row[2], Account._make(row[3:])) if row else None


def set_key_used(connection: sqlite3.Connection, *, key_id: int, now: str, unless_since: str) -> None:
    """Record that a key was used at the time `now`.

    The database contains the time when the key was last used. If this time is later than `unless_since`, the function
    changes nothing.
    """
    connection.execute(
        "UPDATE api_keys SET used_at = :now WHERE id = :key_id AND coalesce(used_at, '') <= :unless_since",
        {"key_id": key_id, "now": now, "unless_since": unless_since},
    )


def list_keys(connection: sqlite3.Connection, *, account: str | None = None) -> list[ApiKey]:
    """Return the keys of an account, oldest first. Without `account`, return all keys except the keys of test runs."""
    rows = connection.execute(
        f"{_KEYS} WHERE iif(:account IS NULL, NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.account_id = a.id),"
        " a.name = :account) ORDER BY k.id",
        {"account": account},
    )
    return [ApiKey._make(row) for row in rows]


def revoke_key(connection: sqlite3.Connection, *, key_id: int, account_id: int | None, now: str) -> bool:
    """Revoke a key. Returns False if the key does not exist, is already revoked, or belongs to another account."""
    cursor = connection.execute(
        "UPDATE api_keys SET revoked_at = :now WHERE id = :key_id AND revoked_at IS NULL"
        " AND (:account_id IS NULL OR account_id = :account_id)",
        {"key_id": key_id, "account_id": account_id, "now": now},
    )
    return cursor.rowcount == 1


def set_account_limits(
    connection: sqlite3.Connection, *, account_id: int, quota: int | None, rate_limit: int | None
) -> None:
    """Set an account's limits: messages a day, and requests a minute. None means no limit."""
    connection.execute(
        "UPDATE accounts SET quota = :quota, rate_limit = :rate_limit WHERE id = :account_id",
        {"account_id": account_id, "quota": quota, "rate_limit": rate_limit},
    )


def take_quota(
    connection: sqlite3.Connection, *, account_id: int, day: str, quota: int, wanted: int, partly: bool = True
) -> int:
    """Reserve a part of an account's daily quota.

    `wanted` is the number of messages to reserve for the day `day`. Returns how many of these messages the quota still
    allows.

    If `partly` is true and the quota allows fewer messages than `wanted`, the function reserves only the allowed number
    of messages. If `partly` is false and the quota allows fewer messages than `wanted`, the function reserves nothing.
    """
    taken = max(0, min(wanted, quota - get_quota_used(connection, account_id=account_id, day=day)))
    if taken and (partly or taken == wanted):
        (used,) = connection.execute(
            "INSERT INTO quota_days VALUES (:account_id, :day, :taken)"
            " ON CONFLICT DO UPDATE SET messages = messages + :taken RETURNING messages",
            {"account_id": account_id, "day": day, "taken": taken},
        ).fetchone()
        if used == taken:  # with the first message of a day, remove the rows that are older than the previous day
            connection.execute(
                "DELETE FROM quota_days WHERE account_id = :account_id AND day < date(:day, '-1 day')",
                {"account_id": account_id, "day": day},
            )
    return taken


def get_quota_used(connection: sqlite3.Connection, *, account_id: int, day: str) -> int:
    """Return how many messages an account has used from its quota on one day."""
    row = connection.execute(
        "SELECT messages FROM quota_days WHERE account_id = :account_id AND day = :day",
        {"account_id": account_id, "day": day},
    ).fetchone()
    return int(row[0]) if row else 0


def take_request(connection: sqlite3.Connection, *, account_id: int, minute: int, limit: int) -> int | None:
    """Add 1 to the number of requests that an account has sent in this minute.

    Returns the new number. If the account has already reached its limit, nothing changes, and the result is None.
    """
    row = connection.execute(
        "INSERT INTO rate_minutes SELECT :account_id, :minute, 1 WHERE :limit > 0"
        " ON CONFLICT DO UPDATE SET requests = requests + 1 WHERE requests < :limit RETURNING requests",
        {"account_id": account_id, "minute": minute, "limit": limit},
    ).fetchone()
    if row == (1,):  # with the first request of a minute, remove the rows that are older than the previous minute
        connection.execute(
            "DELETE FROM rate_minutes WHERE account_id = :account_id AND minute < :minute - 1",
            {"account_id": account_id, "minute": minute},
        )
    return row[0] if row else None


def set_account_origin(connection: sqlite3.Connection, *, account_id: int, origin: str | None) -> None:
    """Set an account's default sender."""
    connection.execute(
        "UPDATE accounts SET origin = :origin WHERE id = :account_id", {"account_id": account_id, "origin": origin}
    )
