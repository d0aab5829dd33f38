"""Stores which phones accept messages from an account. Each phone has a subscription.

The subscription ends in two cases: the phone sends a keyword such as STOP, or a person ends the subscription. For each
kind of keyword, an account can choose the reply that Phonify sends.
"""

from ..clock import Clock, format_time
from ..sms.keywords import Keyword, find_keyword
from ..storage import subscriptions as store
from ..storage.database import Connection, Database
from ..storage.records import Account, KeywordReplies, Reason, SubscriptionRow


class Subscriptions:
    """The operations on subscriptions. Each operation uses only data of one account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def is_opted_out(self, connection: Connection, account: Account, phone: str) -> bool:
        """Return whether a phone has opted out of messages from the account.

        Call this method in the same transaction in which the new message is stored.
        """
        return not store.get_subscription(connection, account_id=account.id, phone=phone).subscribed

    def apply_keyword(self, connection: Connection, account: Account, phone: str, text: str, *, now: str) -> str | None:
        """If `text` is a keyword, change the phone's subscription accordingly.

        A keyword such as STOP ends the subscription. A keyword such as START begins the subscription. A keyword such as
        HELP changes nothing. Call this method in the same transaction in which the received message is stored.

        Returns the account's reply to the keyword, or None. Short codes and alphanumeric senders can't opt out.
        """
        if not phone.startswith("+"):
            return None
        replies = store.get_replies(connection, account_id=account.id)
        keyword = find_keyword(text, replies.stop_keywords)
        if keyword is None:
            return None
        if keyword == "help":
            return replies.help_reply
        changed = store.put_subscription(
            connection,
            account_id=account.id,
            phone=phone,
            subscribed=keyword == "start",
            reason="keyword",
            now=now,
        )
        if not changed:
            return None
        return replies.stop_reply if keyword == "stop" else replies.start_reply

    def find_answered_keyword(self, connection: Connection, account_id: int, text: str) -> Keyword | None:
        """Return the kind of a keyword: `stop`, `start` or `help`. Returns None if `text` is not a keyword.

        If the account has no replies to keywords, this always returns None.
        """
        replies = store.get_replies(connection, account_id=account_id)
        if replies.stop_reply is None and replies.start_reply is None and replies.help_reply is None:
            return None
        return find_keyword(text, replies.stop_keywords)

    def change(self, account: Account, phone: str, *, subscribed: bool, reason: Reason) -> None:
        """Set whether a phone is subscribed. If `subscribed` is false, the account can't send messages to the phone."""
        now = format_time(self._clock.now())
        with self._database.write() as connection:
            store.put_subscription(
                connection, account_id=account.id, phone=phone, subscribed=subscribed, reason=reason, now=now
            )

    def get(self, account: Account, phone: str) -> SubscriptionRow:
        """Return the subscription of a phone. A phone is subscribed if it has never opted out."""
        with self._database.reading() as connection:
            return store.get_subscription(connection, account_id=account.id, phone=phone)

    def find_all(self, account: Account, *, offset: int, limit: int) -> list[SubscriptionRow]:
        """Return the subscriptions of all known phones.

        The list begins with the result of `find_phones`. After these phones, the list contains all other phones that
        have opted out or opted in.
        """
        with self._database.reading() as connection:
            return store.list_subscriptions(connection, account_id=account.id, offset=offset, limit=limit)

    def find_phones(self, account: Account, *, offset: int, limit: int) -> list[SubscriptionRow]:
        """Return one subscription for each phone that has a conversation.

        The phone with the latest message comes first.
        """
        with self._database.reading() as connection:
            return store.list_phones(connection, account_id=account.id, offset=offset, limit=limit)

    def get_replies(self, account: Account) -> KeywordReplies:
        """Return the account's additional opt-out keywords, and the account's replies to keywords."""
        with self._database.reading() as connection:
            return store.get_replies(connection, account_id=account.id)

    def set_replies(self, account: Account, replies: KeywordReplies) -> None:
        """Store the account's additional opt-out keywords, and the account's replies to keywords."""
        with self._database.write() as connection:
            store.put_replies(connection, account_id=account.id, replies=replies)
