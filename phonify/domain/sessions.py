"""Manages sessions. A person signs in to the pages with an API key or with a link, and gets a session."""

import secrets
from datetime import timedelta

from ..clock import Clock, format_time
from ..storage import accounts as account_store
from ..storage import sessions as store
from ..storage.database import Connection, Database
from ..storage.records import Account
from ..storage.sessions import Session
from .accounts import KeyRing, hash_key

LINK_AGE = timedelta(minutes=10)
SESSION_AGE = timedelta(days=30)
_TOKEN_BYTES = 24  # 192 random bits
_ROWS = 100  # one transaction removes at most this number of rows


class Sessions:
    """The operations on sessions."""

    def __init__(self, database: Database, clock: Clock, keys: KeyRing) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys

    def create_link(self, account: Account, address: str) -> str:
        """Make a link for signing in without a key. `address` is the address of the server.

        The link works once. The link is valid for a limited period (`LINK_AGE`).
        """
        token, now = f"phl_{secrets.token_urlsafe(_TOKEN_BYTES)}", self._clock.machine_now()
        with self._database.write() as connection:
            store.insert_link(
                connection,
                token_hash=hash_key(token),
                account_id=account.id,
                now=format_time(now),
                expires_at=format_time(now + LINK_AGE),
            )
        return f"{address.rstrip('/')}/inbox/sign-in?token={token}"

    def open_by_link(self, link: str) -> str | None:
        """Use a sign-in link to begin a session. Returns the session's token, or None if the link is not valid."""
        with self._database.write() as connection:
            account_id = store.take_link(
                connection, token_hash=hash_key(link), now=format_time(self._clock.machine_now())
            )
            return self._open(connection, account_id, None) if account_id is not None else None

    def open_by_key(self, key: str) -> str | None:
        """Use an API key to begin a session. Returns the new session's token. If the key is not valid, returns None."""
        if self._keys.find_account(key) is None:
            return None
        with self._database.write() as connection:
            owner = account_store.find_account_by_key(connection, key_hash=hash_key(key))
            return self._open(connection, owner.account.id, owner.key_id) if owner is not None else None

    def _open(self, connection: Connection, account_id: int, key_id: int | None) -> str:
        token, now = f"phs_{secrets.token_urlsafe(_TOKEN_BYTES)}", self._clock.machine_now()
        store.insert_session(
            connection,
            token_hash=hash_key(token),
            account_id=account_id,
            key_id=key_id,
            now=format_time(now),
            expires_at=format_time(now + SESSION_AGE),
        )
        return token

    def find_account(self, token: str) -> Account | None:
        """Return the account of a session, or None if the session has ended."""
        now = format_time(self._clock.machine_now())
        with self._database.reading() as connection:
            owner = store.find_account_by_session(connection, token_hash=hash_key(token), now=now)
        return self._keys.admit(owner)

    def find_all(self, account: Account | None = None) -> list[Session]:
        """Return the sessions of one account or of all accounts, oldest first."""
        name, now = account.name if account is not None else None, format_time(self._clock.machine_now())
        with self._database.reading() as connection:
            return store.list_sessions(connection, account=name, now=now)

    def end(self, session_id: int) -> bool:
        """End a session. Returns False if there is no such session."""
        with self._database.write() as connection:
            return store.delete_session(connection, session_id=session_id)

    def sign_out(self, token: str) -> None:
        """End the session with this token. An unknown token changes nothing."""
        with self._database.write() as connection:
            store.delete_session_of_token(connection, token_hash=hash_key(token))

    def remove_ended(self) -> None:
        """Remove expired sessions and links."""
        removed = 1
        while removed and not self._database.stopping:
            with self._database.write() as connection:
                removed = store.delete_ended(connection, now=format_time(self._clock.machine_now()), limit=_ROWS)
