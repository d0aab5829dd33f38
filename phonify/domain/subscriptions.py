"""The phones that an account is allowed to write to. Each phone has a subscription.

The subscription ends if the phone sends a keyword such as STOP. A person can also end the subscription. The account can
set replies to keywords.
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
        """Return whether a phone has opted out of an account.

        Call this in the transaction that stores a message to this phone.
        """
        return not store.get_subscription(connection, account_id=account.id, phone=phone).subscribed

    def apply_keyword(self, connection: Connection, account: Account, phone: str, text: str, *, now: str) -> str | None:
        """End or begin the subscription of a phone if `text` is a keyword.

        Call this in the transaction that stores the message with this text.

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
        """Set whether a phone is subscribed. If `subscribed` is false, the account can't write to the phone."""
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
        """Return the result of `find_phones`, and then the other phones that have opted out or in."""
        with self._database.reading() as connection:
            return store.list_subscriptions(connection, account_id=account.id, offset=offset, limit=limit)

    def find_phones(self, account: Account, *, offset: int, limit: int) -> list[SubscriptionRow]:
        """Return the subscriptions of phones that have a conversation.

        The phone with the latest message comes first.
        """
        with self._database.reading() as connection:
            return store.list_phones(connection, account_id=account.id, offset=offset, limit=limit)

    def get_replies(self, account: Account) -> KeywordReplies:
        """Return the account's own opt-out keywords and its replies to keywords."""
        with self._database.reading() as connection:
            return store.get_replies(connection, account_id=account.id)

    def set_replies(self, account: Account, replies: KeywordReplies) -> None:
        """Set the account's own opt-out keywords and its replies to keywords."""
        with self._database.write() as connection:
            store.put_replies(connection, account_id=account.id, replies=replies)
