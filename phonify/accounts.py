"""Accounts and their API keys."""

import hashlib
import secrets
import sqlite3
from contextlib import suppress
from datetime import timedelta

from . import store
from .clock import Clock, format_time
from .db import Database
from .errors import StoreUnavailable
from .store import Account, ApiKey, KeyOwner

DEFAULT_ACCOUNT = "default"
_KEY_BYTES = 24  # 192 random bits
_REMEMBER = 1.0  # seconds
_MOST_KNOWN = 10_000
_NOTE_USE = 60.0  # seconds
_NOTE_PATIENCE = 0.1  # seconds that a request waits so that the use of its key is noted


class NameTaken(Exception):
    """There is an account of that name already."""


class KeyTaken(Exception):
    """The key is another account's."""


def hash_key(key: str) -> str:
    """Return what the database keeps of a key: its SHA-256, in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def create_account(database: Database, clock: Clock, *, name: str, origin: str | None = None) -> Account:
    """Add an account; raise NameTaken where there is one of that name."""
    now = format_time(clock.now())
    try:
        return database.write(lambda connection: store.insert_account(connection, name=name, origin=origin, now=now))
    except sqlite3.IntegrityError as error:
        raise NameTaken(name) from error


def find_account(database: Database, name: str) -> Account | None:
    """Return the account of that name."""
    with database.reading() as connection:
        return store.get_account(connection, name=name)


def list_accounts(database: Database) -> list[Account]:
    """Return all accounts, oldest first."""
    with database.reading() as connection:
        return store.list_accounts(connection)


def ensure_default_account(database: Database, clock: Clock) -> Account:
    """Return the account `default`, made where it is missing."""
    now = format_time(clock.now())

    def work(connection: sqlite3.Connection) -> Account:
        account = store.get_account(connection, name=DEFAULT_ACCOUNT)
        return account or store.insert_account(connection, name=DEFAULT_ACCOUNT, origin=None, now=now)

    return find_account(database, DEFAULT_ACCOUNT) or database.write(work)


def create_key(database: Database, clock: Clock, account: Account, *, name: str) -> tuple[int, str]:
    """Make a key; return its id and the key, which is shown this once and kept nowhere."""
    key = f"phk_{secrets.token_urlsafe(_KEY_BYTES)}"
    now = format_time(clock.now())
    key_id = database.write(
        lambda connection: store.insert_key(
            connection, account_id=account.id, name=name, key_hash=hash_key(key), now=now
        )
    )
    return key_id, key


def create_first_key(database: Database, clock: Clock, account: Account) -> str | None:
    """Make a key where there is none at all, by whatever process gets there first; else return None."""
    key = f"phk_{secrets.token_urlsafe(_KEY_BYTES)}"
    now = format_time(clock.now())

    def work(connection: sqlite3.Connection) -> bool:
        if store.list_keys(connection):
            return False
        store.insert_key(connection, account_id=account.id, name="first", key_hash=hash_key(key), now=now)
        return True

    return key if database.write(work) else None


def admit_key(database: Database, clock: Clock, account: Account, *, name: str, key: str) -> bool:
    """Make a given key valid for an account; False where it was revoked and stays so.

    Raises KeyTaken where it is another account's.
    """
    key_hash, now = hash_key(key), format_time(clock.now())

    def work(connection: sqlite3.Connection) -> ApiKey | None:
        known = store.get_key_by_hash(connection, key_hash=key_hash)
        if known is None:
            store.insert_key(connection, account_id=account.id, name=name, key_hash=key_hash, now=now)
        return known

    with database.reading() as connection:
        known = store.get_key_by_hash(connection, key_hash=key_hash)
    known = known or database.write(work)
    if known is not None and known.account != account.name:
        raise KeyTaken
    return known is None or known.revoked_at is None


def list_keys(database: Database, *, account: str | None = None) -> list[ApiKey]:
    """Return the keys of one account, or of all, oldest first."""
    with database.reading() as connection:
        return store.list_keys(connection, account=account)


def find_key_id(database: Database, key: str) -> int | None:
    """Return the number of a valid key."""
    with database.reading() as connection:
        owner = store.find_account_by_key(connection, key_hash=hash_key(key))
    return owner.key_id if owner is not None else None


def revoke_key(database: Database, clock: Clock, key_id: int, *, account: Account | None = None) -> bool:
    """Make a key invalid at once, in every process; False where there is no such valid key (of that account)."""
    now, account_id = format_time(clock.now()), account.id if account is not None else None
    revoked = database.write(
        lambda connection: store.revoke_key(connection, key_id=key_id, account_id=account_id, now=now)
    )
    database.advance_generation()
    return revoked


def set_origin(database: Database, account: Account, origin: str | None) -> None:
    """Set an account's default sender, at once in every process; None: the server's."""
    database.write(lambda connection: store.set_account_origin(connection, account_id=account.id, origin=origin))
    database.advance_generation()


def set_limits(database: Database, account: Account, *, quota: int | None, rate_limit: int | None) -> None:
    """Set an account's messages a day and requests a minute, at once in every process; None: any number."""
    database.write(
        lambda connection: store.set_account_limits(
            connection, account_id=account.id, quota=quota, rate_limit=rate_limit
        )
    )
    database.advance_generation()


def count_quota_used(database: Database, clock: Clock, account: Account) -> int:
    """Return how many messages of an account count for its quota of today, in UTC; none where it has no quota."""
    day = format_time(clock.now())[:10]
    with database.reading() as connection:
        return store.get_quota_used(connection, account_id=account.id, day=day)


class KeyRing:
    """Finds the account of a key, at the speed of a look into a dictionary while nothing changes.

    A query costs a request four hand-overs of the interpreter lock, more than the rest of
    authentication. What is remembered is dropped as soon as any process revokes a key
    (`Database.generation`), and after a second in any case.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[int, float, Account]] = {}
        self._noted: dict[int, float] = {}  # when the use of a key was last written down

    def find_account(self, key: str) -> Account | None:
        """Return the account that a key belongs to; None for a key that is not valid."""
        key_hash = hash_key(key)
        generation, now = self._database.generation, self._clock.monotonic()
        known = self._known.get(key_hash)
        if known is not None and known[0] == generation and now - known[1] < _REMEMBER:
            return known[2]
        with self._database.reading() as connection:
            owner = store.find_account_by_key(connection, key_hash=key_hash)
        if owner is None:
            return None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
            self._noted.clear()
        self._known[key_hash] = (generation, now, owner.account)
        self._note_use(owner, now)
        return owner.account

    def _note_use(self, owner: KeyOwner, now: float) -> None:
        """Write down that a key is in use, once a minute; where that can't be written, it is left."""
        last = self._noted.get(owner.key_id)
        moment = self._clock.now()
        recently = format_time(moment - timedelta(seconds=_NOTE_USE))
        if (last is not None and now - last < _NOTE_USE) or (owner.used_at or "") > recently:
            return
        self._noted[owner.key_id] = now
        with suppress(StoreUnavailable):
            self._database.write_unsynced(
                lambda connection: store.set_key_used(
                    connection, key_id=owner.key_id, now=format_time(moment), unless_since=recently
                ),
                patience=_NOTE_PATIENCE,
            )
