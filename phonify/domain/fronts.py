"""Reads and writes the data of fronts.

A front is a part of Phonify that implements the API of an SMS provider, such as Twilio. The data contains the
credentials and the URLs of each account. The data also contains details of messages, and the requests that a front has
refused.
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from ..clock import Clock, format_time
from ..errors import Fault, InvalidRequest, NotFound
from ..outgoing.url_guard import BadUrl, check_url
from ..storage import accounts as account_store
from ..storage import fronts as store
from ..storage import messages as message_store
from ..storage.database import Connection, Database
from ..storage.front_records import FrontAccount, FrontMessage, Refusal
from ..storage.records import Account, Message
from .accounts import DEFAULT_ACCOUNT

MOST_REFUSALS = 200  # of one account
_TOKEN_BYTES = 16


class TokenIsSet(Exception):
    """The auth token can't be changed, because PHONIFY_TWILIO_AUTH_TOKEN sets it at each start."""


class Fronts:
    """Reads and writes the data of fronts. A front implements the API of an SMS provider, such as Twilio.

    Each operation uses only data of one account. `default_token` is the auth token of the account `default`. This
    token comes from the setting PHONIFY_TWILIO_AUTH_TOKEN. Without this setting, `default_token` is None.
    """

    def __init__(
        self, database: Database, clock: Clock, *, private_allowed: bool, default_token: str | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._private_allowed = private_allowed
        self._default_token = default_token

    # Accounts

    def ensure_account(self, account: Account, *, auth_token: str | None = None) -> FrontAccount:
        """Return an account's `FrontAccount`. If the account has no auth token yet, make a token.

        If `auth_token` is given, this string becomes the token of the account.
        """
        found = self.find(account)
        if found is not None and auth_token in (None, found.auth_token):
            return found
        return self.configure(account, {} if auth_token is None else {"auth_token": auth_token})

    def find(self, account: Account) -> FrontAccount | None:
        """Return an account's `FrontAccount`, or None if the account has no auth token."""
        with self._database.reading() as connection:
            return self.get_account(connection, account.id)

    def get_account(self, connection: Connection, account_id: int) -> FrontAccount | None:
        """Return the same result as `find`. Runs in the caller's transaction."""
        return store.get_front_account(connection, account_id=account_id)

    def get_owner(self, connection: Connection, account_id: int) -> Account | None:
        """Return the account with this id, or None if there is no such account. Runs in the caller's transaction."""
        now = format_time(self._clock.now())
        return account_store.get_live_account(connection, account_id=account_id, now=now)

    def find_account(self, account_id: int, auth_token: str) -> Account | None:
        """Return the account with this id and this auth token, or None if there is no such account."""
        with self._database.reading() as connection:
            account = self.get_owner(connection, account_id)
            kept = store.get_front_account(connection, account_id=account_id)
        # `compare_digest` raises TypeError for a non-ASCII string. So both arguments are bytes.
        given = auth_token.encode("utf-8", "surrogatepass")
        return account if kept is not None and hmac.compare_digest(kept.auth_token.encode(), given) else None

    def is_token_set(self, account: Account) -> bool:
        """Return whether the auth token of an account comes from a setting."""
        return self._default_token is not None and account.name == DEFAULT_ACCOUNT

    def rotate_token(self, account: Account) -> FrontAccount:
        """Set a new auth token for an account. The old token is not valid any more.

        Raises TokenIsSet if the token comes from a setting.
        """
        if self.is_token_set(account):
            raise TokenIsSet
        return self.configure(account, {"auth_token": make_token()})

    def configure(self, account: Account, settings: Mapping[str, Any]) -> FrontAccount:
        """Change settings of an account. Each name in `settings` is a field name of `FrontAccount`.

        If the account has no auth token yet, it gets a new token. Raises InvalidRequest if a URL is not allowed.
        """
        self.check(settings)
        with self._database.write() as connection:
            kept = self.get_account(connection, account.id) or FrontAccount(account.id, make_token())
            kept = kept._replace(**settings)
            store.put_front_account(connection, account=kept)
        return kept

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise InvalidRequest if the settings have a URL that is not allowed."""
        faults = [
            Fault("invalid_webhook_url", name)
            for name in ("inbound_url", "fallback_url")
            if (url := settings.get(name)) is not None and not self.is_url(url)
        ]
        if faults:
            raise InvalidRequest(faults)

    def is_url(self, url: str) -> bool:
        """Return whether Phonify is allowed to post to a URL."""
        try:
            check_url(url, private_allowed=self._private_allowed)
        except BadUrl:
            return False
        return True

    # Messages

    def get_message(self, connection: Connection, message: Message) -> FrontMessage:
        """Return the data that the front stores for a message. Runs in the caller's transaction. See `find_message`."""
        return store.get_front_message(connection, message_id=message.id)

    def find_message(self, message: Message) -> FrontMessage:
        """Return the data that the front stores for a message. Returns the defaults if nothing is stored."""
        return self.find_messages([message])[0]

    def find_messages(self, messages: Iterable[Message]) -> list[FrontMessage]:
        """Return the data that the front stores for each of these messages. See `find_message`."""
        with self._database.reading() as connection:
            return [self.get_message(connection, message) for message in messages]

    def empty_body(self, connection: Connection, message: Message) -> None:
        """Remove the body of a message, in the caller's transaction."""
        message_store.update_body(connection, message_id=message.id, body="")

    def set_feedback(self, message: Message, outcome: str) -> FrontMessage:
        """Store the outcome that the app reports for a message. Raises NotFound if the message was removed."""
        with self._database.write() as connection:
            found = message_store.get_message(connection, account_id=message.account_id, message_id=message.id)
            if found is None:
                raise NotFound
            kept = store.get_front_message(connection, message_id=message.id)
            kept = kept._replace(feedback=outcome, feedback_at=format_time(self._clock.now()))
            store.insert_front_messages(connection, message_ids=[message.id], message=kept)
        return kept

    # Refused requests

    def note_refusal(self, account: Account, *, to: str, origin: str, body: str, code: int, meaning: str) -> None:
        """Store a send request that a front, such as the Twilio-compatible API, has refused."""
        refusal = Refusal(format_time(self._clock.now()), to, origin, body, code, meaning)
        with self._database.write() as connection:
            store.insert_refusal(connection, account_id=account.id, refusal=refusal, limit=MOST_REFUSALS)

    def list_refusals(self, account: Account) -> list[Refusal]:
        """Return the latest refused requests of an account, newest first."""
        with self._database.reading() as connection:
            return store.list_refusals(connection, account_id=account.id)

    def clear_refusals(self, account: Account) -> None:
        """Remove the refused requests of an account."""
        with self._database.write() as connection:
            store.delete_refusals(connection, account_id=account.id)


def make_token() -> str:
    """Return a new auth token of 32 lower-case hexadecimal digits."""
    return secrets.token_hex(_TOKEN_BYTES)
