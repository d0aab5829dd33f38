"""What fronts of other providers' APIs keep: credentials, inbound URLs, facts about messages, refused requests."""

import hmac
import secrets

from ..clock import Clock, format_time
from ..errors import Fault, InvalidRequest
from ..outgoing.url_guard import BadUrl, check_url
from ..storage import accounts as account_store
from ..storage import fronts as store
from ..storage import messages as message_store
from ..storage.database import Connection, Database
from ..storage.records import Account, FrontAccount, FrontMessage, Message, Refusal

MOST_REFUSALS = 200  # of one account
_TOKEN_BYTES = 16


class Fronts:
    """The operations of fronts. Each is limited to one account."""

    def __init__(self, database: Database, clock: Clock, *, private_allowed: bool) -> None:
        self._database = database
        self._clock = clock
        self._private_allowed = private_allowed

    # Accounts

    def ensure_account(self, account: Account, *, auth_token: str | None = None) -> FrontAccount:
        """Return what is kept about an account, with a new auth token if it has none or with the given token."""
        found = self.find(account)
        if found is not None and auth_token in (None, found.auth_token):
            return found
        with self._database.write() as connection:
            found = self.get_account(connection, account.id)
            if found is None:
                found = FrontAccount(account.id, auth_token or make_token())
            elif auth_token is not None:
                found = found._replace(auth_token=auth_token)
            store.put_front_account(connection, account=found)
        return found

    def find(self, account: Account) -> FrontAccount | None:
        """Return what is kept about an account; None if it has no auth token yet."""
        with self._database.reading() as connection:
            return self.get_account(connection, account.id)

    def get_account(self, connection: Connection, account_id: int) -> FrontAccount | None:
        """Return what is kept about an account, in a transaction that is open already."""
        return store.get_front_account(connection, account_id=account_id)

    def get_owner(self, connection: Connection, account_id: int) -> Account | None:
        """Return an account by its number, in a transaction that is open already; None if it is not there any more."""
        now = format_time(self._clock.now())
        return account_store.get_live_account(connection, account_id=account_id, now=now)

    def find_account(self, account_id: int, auth_token: str) -> Account | None:
        """Return the account with a number if the auth token is right."""
        with self._database.reading() as connection:
            account = self.get_owner(connection, account_id)
            kept = store.get_front_account(connection, account_id=account_id)
        # As bytes, because `compare_digest` refuses texts that are not ASCII.
        given = auth_token.encode("utf-8", "surrogatepass")
        return account if kept is not None and hmac.compare_digest(kept.auth_token.encode(), given) else None

    def rotate_token(self, account: Account) -> FrontAccount:
        """Give an account a new auth token. The old one stops working."""
        return self.ensure_account(account, auth_token=make_token())

    def set_inbound(
        self, account: Account, *, url: str | None, method: str, fallback_url: str | None, fallback_method: str
    ) -> FrontAccount:
        """Set where received messages are posted to, and what is used if that fails; None means nowhere.

        Raises InvalidRequest for a bad URL or method.
        """
        faults = [
            Fault("invalid_webhook_url", param)
            for param, given in (("url", url), ("fallback_url", fallback_url))
            if given is not None and not self.is_url(given)
        ]
        faults += [
            Fault("invalid_method", param)
            for param, given in (("method", method), ("fallback_method", fallback_method))
            if given not in ("GET", "POST")
        ]
        if faults:
            raise InvalidRequest(faults)
        self.ensure_account(account)
        with self._database.write() as connection:
            kept = self.get_account(connection, account.id) or FrontAccount(account.id, make_token())
            kept = kept._replace(
                inbound_url=url, inbound_method=method, fallback_url=fallback_url, fallback_method=fallback_method
            )
            store.put_front_account(connection, account=kept)
        return kept

    def is_url(self, url: str) -> bool:
        """Tell whether a URL may be posted to."""
        try:
            check_url(url, private_allowed=self._private_allowed)
        except BadUrl:
            return False
        return True

    # Messages

    def get_message(self, connection: Connection, message: Message) -> FrontMessage:
        """Return what is kept about a message, in a transaction that is open already; the defaults if nothing is."""
        return store.get_front_message(connection, message_id=message.id)

    def find_message(self, message: Message) -> FrontMessage:
        """Return what is kept about a message; the defaults if nothing is."""
        with self._database.reading() as connection:
            return self.get_message(connection, message)

    def empty_body(self, connection: Connection, message: Message) -> None:
        """Empty the body of a message, in a transaction that is open already."""
        message_store.update_body(connection, message_id=message.id, body="")

    def set_feedback(self, message: Message, outcome: str) -> FrontMessage:
        """Store what the app says about the outcome of a message."""
        with self._database.write() as connection:
            kept = store.get_front_message(connection, message_id=message.id)
            kept = kept._replace(feedback=outcome, feedback_at=format_time(self._clock.now()))
            store.insert_front_messages(connection, message_ids=[message.id], message=kept)
        return kept

    # Refused requests

    def note_refusal(self, account: Account, *, to: str, origin: str, body: str, code: int, meaning: str) -> None:
        """Store a request to send that was refused."""
        refusal = Refusal(format_time(self._clock.now()), to, origin, body, code, meaning)
        with self._database.write() as connection:
            store.insert_refusal(connection, account_id=account.id, refusal=refusal, most=MOST_REFUSALS)

    def list_refusals(self, account: Account) -> list[Refusal]:
        """Return the latest refused requests of an account, the latest first."""
        with self._database.reading() as connection:
            return store.list_refusals(connection, account_id=account.id)

    def clear_refusals(self, account: Account) -> None:
        """Forget the refused requests of an account."""
        with self._database.write() as connection:
            store.delete_refusals(connection, account_id=account.id)


def make_token() -> str:
    """Return a new auth token: 32 lower-case hexadecimal digits."""
    return secrets.token_hex(_TOKEN_BYTES)
