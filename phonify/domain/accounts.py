"""Accounts and their API keys."""

import hashlib
import secrets
from datetime import timedelta

from ..clock import Clock, format_time
from ..errors import StoreUnavailable
from ..request_id import current_key_id
from ..storage import accounts as account_store
from ..storage.database import Database
from ..storage.records import Account, ApiKey, KeyOwner

DEFAULT_ACCOUNT = "default"
_KEY_BYTES = 24  # 192 random bits
_NOTE_USE = 60.0  # seconds; the use of a key is recorded at most once in this time
_NOTE_PATIENCE = 0.1  # seconds; if the database is busy for longer, the use of the key is not recorded


class NameTaken(Exception):
    """Another account already has this name."""


class KeyTaken(Exception):
    """The key belongs to another account."""


def hash_key(key: str) -> str:
    """Return the SHA-256 hash of a key as hexadecimal digits. The database stores only this hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def generate_key() -> str:
    """Return a new key."""
    return f"phk_{secrets.token_urlsafe(_KEY_BYTES)}"


def create_account(database: Database, clock: Clock, *, name: str, origin: str | None = None) -> Account:
    """Add an account. Raises NameTaken if the name is taken."""
    now = format_time(clock.machine_now())
    with database.write() as connection:
        if account_store.get_account(connection, name=name) is not None:
            raise NameTaken(name)
        return account_store.insert_account(connection, name=name, origin=origin, now=now)


def find_account(database: Database, name: str) -> Account | None:
    """Return the account with this name, or None."""
    with database.reading() as connection:
        return account_store.get_account(connection, name=name)


def list_accounts(database: Database) -> list[Account]:
    """Return the accounts, oldest first. The result does not contain the accounts of test runs."""
    with database.reading() as connection:
        return account_store.list_accounts(connection)


def ensure_default_account(database: Database, clock: Clock) -> Account:
    """Return the account `default`. If the account does not exist, create it."""
    account = find_account(database, DEFAULT_ACCOUNT)
    if account is not None:
        return account
    now = format_time(clock.machine_now())
    with database.write() as connection:
        account = account_store.get_account(connection, name=DEFAULT_ACCOUNT)
        return account or account_store.insert_account(connection, name=DEFAULT_ACCOUNT, origin=None, now=now)


def create_key(database: Database, clock: Clock, account: Account, *, name: str) -> tuple[int, str]:
    """Make a key for an account. Returns two values: the id of the key, and the key."""
    key = generate_key()
    now = format_time(clock.machine_now())
    with database.write() as connection:
        key_id = account_store.insert_key(connection, account_id=account.id, name=name, key_hash=hash_key(key), now=now)
    return key_id, key


def create_first_key(database: Database, clock: Clock, account: Account) -> str | None:
    """Make a key if the database has no key yet, otherwise return None.

    If several processes call this at the same time, only one process makes a key.
    """
    key = generate_key()
    now = format_time(clock.machine_now())
    with database.write() as connection:
        if account_store.list_keys(connection):
            return None
        account_store.insert_key(connection, account_id=account.id, name="first", key_hash=hash_key(key), now=now)
    return key


def admit_key(database: Database, clock: Clock, account: Account, *, name: str, key: str) -> bool:
    """Register `key` as an API key of an account. If the key was revoked earlier, it stays revoked.

    Returns False if the key is revoked. Raises KeyTaken if the key belongs to another account.
    """
    key_hash, now = hash_key(key), format_time(clock.machine_now())
    with database.reading() as connection:
        known = account_store.get_key_by_hash(connection, key_hash=key_hash)
    if known is None:
        with database.write() as connection:
            known = account_store.get_key_by_hash(connection, key_hash=key_hash)
            if known is None:
                account_store.insert_key(connection, account_id=account.id, name=name, key_hash=key_hash, now=now)
    if known is not None and known.account != account.name:
        raise KeyTaken
    return known is None or known.revoked_at is None


def list_keys(database: Database, *, account: str | None = None) -> list[ApiKey]:
    """Return the keys of one account, oldest first.

    If `account` is None, return all keys except the keys of test runs.
    """
    with database.reading() as connection:
        return account_store.list_keys(connection, account=account)


def find_key_id(database: Database, key: str) -> int | None:
    """Return the id of a key, or None if the key is not valid."""
    with database.reading() as connection:
        owner = account_store.find_account_by_key(connection, key_hash=hash_key(key))
    return owner.key_id if owner is not None else None


def revoke_key(database: Database, clock: Clock, key_id: int, *, account: Account | None = None) -> bool:
    """Revoke a key. All processes refuse the key immediately.

    Returns False if there is no valid key with this id. If `account` is given, the key must belong to this account.
    """
    now, account_id = format_time(clock.machine_now()), account.id if account is not None else None
    with database.write() as connection:
        return account_store.revoke_key(connection, key_id=key_id, account_id=account_id, now=now)


def set_origin(database: Database, account: Account, origin: str | None) -> None:
    """Set an account's default sender. If `origin` is None, the account uses the default sender of the server."""
    with database.write() as connection:
        account_store.set_account_origin(connection, account_id=account.id, origin=origin)


def set_limits(database: Database, account: Account, *, quota: int | None, rate_limit: int | None) -> None:
    """Set an account's limits: messages for each day and requests for each minute. With None, there is no limit."""
    with database.write() as connection:
        account_store.set_account_limits(connection, account_id=account.id, quota=quota, rate_limit=rate_limit)


def count_quota_used(database: Database, clock: Clock, account: Account) -> int:
    """Return how much of an account's daily quota is used today (UTC). Returns 0 if the account has no quota."""
    day = format_time(clock.now())[:10]
    with database.reading() as connection:
        return account_store.get_quota_used(connection, account_id=account.limits_id, day=day)


class KeyRing:
    """Finds the account of a key, and counts the requests of each account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._failed_at: float | None = None  # the monotonic time of the last failure in `_note_use`

    def find_account(self, key: str) -> Account | None:
        """Return the account of a key, or None if the key is not valid."""
        with self._database.reading() as connection:
            owner = account_store.find_account_by_key(connection, key_hash=hash_key(key))
        return self.admit(owner)

    def admit(self, owner: KeyOwner | None) -> Account | None:
        """Return the account that `owner` can use. Record the use of the key.

        Returns None if `owner` is None. Returns None if the account belongs to a test run, and this test run has ended.
        """
        if owner is None or (
            owner.expires_at is not None and owner.expires_at <= format_time(self._clock.machine_now())
        ):
            return None
        if owner.key_id is not None:
            current_key_id.set(owner.key_id)
            self._note_use(owner.key_id, owner.used_at or "")
        return owner.account

    def count_request(self, account: Account, *, minute: int, limit: int) -> int | None:
        """Count one request of an account.

        `minute` is the number of minutes since 1970 (UTC). Returns the number of requests in this minute, or None if
        this request exceeds the limit.
        """
        with self._database.write() as connection:
            return account_store.take_request(connection, account_id=account.limits_id, minute=minute, limit=limit)

    def _note_use(self, key_id: int, used_at: str) -> None:
        """Record the use of a key, at most once a minute. After a failure, try again a minute later."""
        now, moment = self._clock.monotonic(), self._clock.machine_now()
        recently = format_time(moment - timedelta(seconds=_NOTE_USE))
        if used_at > recently or (self._failed_at is not None and now - self._failed_at < _NOTE_USE):
            return
        try:
            with self._database.write(patience=_NOTE_PATIENCE) as connection:
                account_store.set_key_used(connection, key_id=key_id, now=format_time(moment), unless_since=recently)
        except StoreUnavailable:
            self._failed_at = now
