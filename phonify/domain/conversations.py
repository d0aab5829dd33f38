"""Messages as the inbox shows them: conversations, threads, search, history; clearing and retention."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from ..clock import Clock
from ..errors import NotFound, StoreUnavailable
from ..ids import generate_ids
from ..storage import conversations as conversation_store
from ..storage import messages as store
from ..storage.database import Connection, Database
from ..storage.records import Account, Conversation, Direction, Entry, MessageAttempt, State

END = 2**63 - 1  # a seq after all existing ones
_PATIENCE = 0.5  # seconds that a page may wait to mark a thread as read


class Found(NamedTuple):
    """One page of search results."""

    entries: list[Entry]
    next: int | None  # the `below` of the next page; None if everything was searched


class Conversations:
    """The operations on conversations. Each is limited to one account."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        most_messages: int | None = None,
        longest: timedelta | None = None,
        delete_at_once: int = 500,
        search_at_once: int = 20_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._most_messages = most_messages
        self._longest = longest
        self._delete_at_once = delete_at_once
        self._search_at_once = search_at_once

    def find_all(self, account: Account, *, below: int = END, limit: int = 50) -> list[Conversation]:
        """Return conversations, ordered by their latest message, the latest first."""
        with self._database.reading() as connection:
            return conversation_store.list_conversations(connection, account_id=account.id, below=below, limit=limit)

    def mark_read(self, account: Account, phone: str, entries: list[Entry]) -> None:
        """Mark a thread as read up to the latest of these messages, if that can be written."""
        if not entries:
            return
        account_id, message_id = account.id, entries[0].message.id
        with self._database.reading() as connection:
            if not conversation_store.has_unread(connection, account_id=account_id, phone=phone, message_id=message_id):
                return
        with suppress(StoreUnavailable), self._database.write(patience=_PATIENCE) as connection:
            conversation_store.mark_read(connection, account_id=account_id, phone=phone, message_id=message_id)

    def find_thread(
        self, account: Account, phone: str, *, below: int = END, since: int = 0, limit: int = 50
    ) -> list[Entry]:
        """Return messages exchanged with a phone, the latest first."""
        with self._database.reading() as connection:
            return conversation_store.list_thread(
                connection, account_id=account.id, phone=phone, below=below, since=since, limit=limit
            )

    def find_entry(self, account: Account, message_id: str) -> Entry:
        """Return one message; raise NotFound if the account has no message with this id."""
        with self._database.reading() as connection:
            entry = conversation_store.get_entry(connection, account_id=account.id, message_id=message_id)
        if entry is None:
            raise NotFound
        return entry

    def find_attempts(self, message_id: str) -> list[MessageAttempt]:
        """Return the attempts to send a message, except one that succeeded at once."""
        with self._database.reading() as connection:
            return conversation_store.list_attempts(connection, message_id=message_id)

    def search(
        self,
        account: Account,
        *,
        text: str | None,
        state: State | None,
        direction: Direction | None,
        below: int = END,
        limit: int = 50,
    ) -> Found:
        """Return messages that contain a text in their body or in a number, the latest first.

        Searches a limited number of messages, so that it never takes long; `next` says where to go on.
        """
        with self._database.reading() as connection:
            return Found(
                *conversation_store.search_messages(
                    connection,
                    account_id=account.id,
                    text=text,
                    state=state,
                    direction=direction,
                    below=below,
                    limit=limit,
                    most=self._search_at_once,
                )
            )

    def count(self, account: Account) -> int:
        """Return how many messages an account has."""
        with self._database.reading() as connection:
            return conversation_store.count_messages(connection, account_id=account.id)

    def clear(self, account: Account) -> None:
        """Remove all messages whose state is final. The others stay."""
        with self._database.reading() as connection:
            upto_id = store.get_last_message_id(connection)
        if upto_id is None:
            return
        self._delete(
            lambda connection, after: store.delete_settled(
                connection, account_id=account.id, after=after, limit=self._delete_at_once, upto_id=upto_id
            )
        )

    def prune(self) -> None:
        """Remove the oldest messages in a final state, as the limits of age and number say."""
        if self._longest is not None:
            id_below = next(generate_ids(self._clock.now() - self._longest))
            self._delete(
                lambda connection, after: store.delete_old(
                    connection, id_below=id_below, after=after, limit=self._delete_at_once
                )
            )
        if self._most_messages is not None:
            with self._database.reading() as connection:
                account_ids = conversation_store.list_account_ids(connection)
            for account_id in account_ids:
                self._prune_account(account_id, self._most_messages)

    def _prune_account(self, account_id: int, most: int) -> None:
        with self._database.reading() as connection:
            excess = conversation_store.count_messages(connection, account_id=account_id) - most
        after: int | None = 0
        while excess > 0 and after is not None and not self._database.stopping:
            limit = min(excess, self._delete_at_once)
            with self._database.write() as connection:
                after = store.delete_settled(connection, account_id=account_id, after=after, limit=limit)
            excess -= limit

    def _delete(self, delete_next: Callable[[Connection, int], int | None]) -> None:
        """Delete in small transactions, so that nobody waits long; each one goes on where the last one ended."""
        after: int | None = 0
        while after is not None and not self._database.stopping:
            with self._database.write() as connection:
                after = delete_next(connection, after)
