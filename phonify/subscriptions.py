"""Which phones an account may write to: opt-outs by keyword or by hand, and the replies to keywords."""

import string
import unicodedata
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Literal, NamedTuple

from . import subscription_store as store
from .clock import Clock, format_time
from .conversations import Conversations
from .db import Database
from .store import Account
from .subscription_store import KeywordReplies, Reason, SubscriptionRow

STOP_KEYWORDS = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
START_KEYWORDS = ("START", "UNSTOP", "YES")
HELP_KEYWORDS = ("HELP",)
_REMEMBER = 1.0  # seconds
_MOST_KNOWN = 10_000

Keyword = Literal["stop", "start", "help"]


class Heard(NamedTuple):
    """What a received text has done."""

    changed: bool  # of the subscription
    reply: str | None  # what the account has set to be answered


def normalize_keyword(text: str) -> str:
    """Return a text as keywords are compared: without case, and without punctuation and spaces around it."""
    start, end = 0, len(text)
    while start < end and _is_outer(text[start]):
        start += 1
    while end > start and _is_outer(text[end - 1]):
        end -= 1
    return text[start:end].casefold()


def _is_outer(character: str) -> bool:
    # To Unicode some of what is punctuation in ASCII is a symbol: $+<=>^`|~.
    return character in string.punctuation or unicodedata.category(character)[0] in "PZC"


_KEYWORDS: dict[str, Keyword] = {
    **dict.fromkeys(map(normalize_keyword, STOP_KEYWORDS), "stop"),
    **dict.fromkeys(map(normalize_keyword, START_KEYWORDS), "start"),
    **dict.fromkeys(map(normalize_keyword, HELP_KEYWORDS), "help"),
}


def find_keyword(text: str, own_stop_keywords: Sequence[str] = ()) -> Keyword | None:
    """Return what a whole text means to subscriptions, if it is a keyword."""
    keyword = normalize_keyword(text)
    if keyword and keyword in map(normalize_keyword, own_stop_keywords):
        return "stop"
    return _KEYWORDS.get(keyword)


class Subscriptions:
    """The operations on subscriptions. Every one concerns a single account and sees nothing of another's."""

    def __init__(self, database: Database, clock: Clock, conversations: Conversations) -> None:
        self._database = database
        self._clock = clock
        self._conversations = conversations
        self._known: dict[int, tuple[int, float, bool]] = {}  # by account

    def has_opt_outs(self, account: Account) -> bool:
        """Tell whether any phone has opted out of an account, at next to no cost.

        Remembered as keys are (`accounts.KeyRing`): until some process changes a subscription, a second at most.
        """
        generation, now = self._database.generation, self._clock.monotonic()
        known = self._known.get(account.id)
        if known is None or known[0] != generation or not 0 <= now - known[1] < _REMEMBER:
            with self._database.reading() as connection:
                known = (generation, now, store.has_opt_outs(connection, account_id=account.id))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[account.id] = known
        return known[2]

    def are_opt_outs_stored(self, connection: Connection, account_id: int) -> bool:
        """Tell whether any phone has opted out of an account, in the transaction of what depends on it."""
        return store.has_opt_outs(connection, account_id=account_id)

    def list_opted_out(self, connection: Connection, account: Account, phones: Sequence[str]) -> set[str]:
        """Return those of the phones that have opted out of an account."""
        return store.list_opted_out(connection, account_id=account.id, phones=phones)

    def hear(self, connection: Connection, account: Account, phone: str, text: str, *, now: str) -> Heard:
        """Do what a text that a phone has sent says, in the transaction that stores it.

        Where it changed something, `announce` is to be called after the commit. Short codes and
        alphanumeric senders are no phones: there is nothing that they could opt out of.
        """
        if not phone.startswith("+"):
            return Heard(changed=False, reply=None)
        replies = store.get_replies(connection, account_id=account.id)
        keyword = find_keyword(text, replies.stop_keywords)
        if keyword == "help":
            return Heard(changed=False, reply=replies.help_reply)
        if keyword is None:
            return Heard(changed=False, reply=None)
        changed = store.put_subscription(
            connection,
            account_id=account.id,
            phone=phone,
            subscribed=keyword == "start",
            reason="keyword",
            now=now,
        )
        reply = replies.stop_reply if keyword == "stop" else replies.start_reply
        return Heard(changed, reply if changed else None)

    def announce(self) -> None:
        """Let all processes know at once that a subscription has changed."""
        self._database.advance_generation()

    def change(self, account: Account, phone: str, *, subscribed: bool, reason: Reason) -> None:
        """Opt a phone out, or in again; where it is so already, nothing changes."""
        now = format_time(self._clock.now())
        changed = self._database.write(
            lambda connection: store.put_subscription(
                connection, account_id=account.id, phone=phone, subscribed=subscribed, reason=reason, now=now
            )
        )
        if changed:
            self.announce()

    def get(self, account: Account, phone: str) -> SubscriptionRow:
        """Return whether the account may write to a phone; one that never said anything is subscribed."""
        with self._database.reading() as connection:
            return store.get_subscription(connection, account_id=account.id, phone=phone)

    def find_all(self, account: Account, *, offset: int, limit: int) -> list[SubscriptionRow]:
        """Return the phones the account has exchanged messages with, then others that have opted out or in."""
        self._conversations.freshen(account, most=offset + limit)
        with self._database.reading() as connection:
            return store.list_subscriptions(connection, account_id=account.id, offset=offset, limit=limit)

    def find_phones(self, account: Account, *, offset: int, limit: int) -> list[SubscriptionRow]:
        """Return the phones the account has exchanged messages with, by their latest message, the latest first."""
        self._conversations.freshen(account, most=offset + limit)
        with self._database.reading() as connection:
            return store.list_phones(connection, account_id=account.id, offset=offset, limit=limit)

    def get_replies(self, account: Account) -> KeywordReplies:
        """Return the account's own opt-out keywords and what it replies to keywords."""
        with self._database.reading() as connection:
            return store.get_replies(connection, account_id=account.id)

    def set_replies(self, account: Account, replies: KeywordReplies) -> None:
        """Set the account's own opt-out keywords and what it replies to keywords."""
        self._database.write(lambda connection: store.put_replies(connection, account_id=account.id, replies=replies))
