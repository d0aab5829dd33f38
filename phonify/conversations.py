"""Messages as a person looks at them: conversations, threads, search, history; clearing and retention."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from sqlite3 import Connection
from typing import NamedTuple, TypeVar

from . import conversation_store as store
from .clock import Clock
from .conversation_store import Attempt, Conversation, Entry
from .db import Database
from .errors import NotFound, StoreUnavailable
from .ids import generate_ids
from .store import Account, Direction, State, get_last_message_id

T = TypeVar("T")

END = 2**63 - 1  # a seq that comes after all there are
_CATCH_UP = 50_000  # messages in a transaction
_PATIENCE = 0.5  # seconds
_DELETED_AT_ONCE = 500
_REPAIRED_AT_ONCE = 1_000
_SEARCHED_AT_ONCE = 20_000


class Found(NamedTuple):
    """A page of what a search has found."""

    entries: list[Entry]
    next: int | None  # the `below` to go on with; None where all has been searched


class Conversations:
    """What an account has exchanged with phones. It sees nothing of another's."""

    def __init__(
        self, database: Database, clock: Clock, *, most_messages: int | None = None, longest: timedelta | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._most_messages = most_messages
        self._longest = longest
        self._looked_at: dict[tuple[int, str], Entry] = {}  # what is to be noted as read: up to which message
        self._lock = threading.Lock()

    def find_all(self, account: Account, *, below: int = END, limit: int = 50) -> list[Conversation]:
        """Return conversations by their latest message, the latest first."""
        self.catch_up()
        while True:
            with self._database.reading() as connection:
                stale = store.list_stale(connection, account_id=account.id, below=below, limit=limit)
                if stale:  # where some are, there are many: messages were cleared
                    many = max(limit, _REPAIRED_AT_ONCE)
                    stale = store.list_stale(connection, account_id=account.id, below=below, limit=many)
                found = store.list_conversations(connection, account_id=account.id, below=below, limit=limit)
            if not stale or not self._repair(account, stale):
                return found

    def freshen(self, account: Account, *, most: int) -> None:
        """Let an account's first `most` conversations with phones be as its messages are, where they can be written.

        `find_all` does so by itself for those that it returns.
        """
        self.catch_up()
        while True:
            with self._database.reading() as connection:
                stale = store.list_stale(connection, account_id=account.id, below=END, limit=most, phones_only=True)
            if not stale or not self._repair(account, stale):
                return

    def catch_up(self) -> None:
        """Let the list take account of all messages and of what was read; where it can't be written it stays behind."""
        with self._database.reading() as connection:
            behind = store.is_behind(connection)
        with self._lock:
            looked_at, self._looked_at = self._looked_at, {}

        def work(connection: Connection) -> bool:
            for (account_id, phone), (seq, message) in looked_at.items():
                store.mark_read(connection, account_id=account_id, phone=phone, seq=seq, message_id=message.id)
            return store.catch_up(connection, limit=_CATCH_UP)

        try:
            while behind or looked_at:
                # Made from the messages, it can be made again: no page waits for the disk, nor do those who send.
                behind = self._note(work)
                looked_at = {}
        except StoreUnavailable:
            self._remember(looked_at)

    def _remember(self, looked_at: Mapping[tuple[int, str], Entry]) -> None:
        with self._lock:
            for whose, entry in looked_at.items():
                if self._looked_at.setdefault(whose, entry).seq < entry.seq:
                    self._looked_at[whose] = entry

    def _note(self, work: Callable[[Connection], T]) -> T:
        """Write what no page is to wait for long, nor for the disk."""
        return self._database.write_unsynced(work, patience=_PATIENCE)

    def _repair(self, account: Account, stale: list[tuple[str, int]]) -> bool:
        """Correct conversations whose latest message was deleted, or went to another number."""

        def work(connection: Connection) -> None:
            for phone, last_seq in stale:
                store.put_conversation(connection, account_id=account.id, phone=phone, stale=last_seq)

        try:
            self._note(work)
        except StoreUnavailable:
            return False
        return True

    def mark_read(self, account: Account, phone: str, entries: list[Entry]) -> None:
        """Let these messages, the latest first, be noted as looked at when the list is caught up next.

        Whoever looks at messages looks at the list, and many open pages are noted together. Where the
        process ends before, or in a power cut, they are unread again.
        """
        if not entries:
            return
        with self._database.reading() as connection:
            if store.get_read_seq(connection, account_id=account.id, phone=phone) >= entries[0].seq:
                return
        self._remember({(account.id, phone): entries[0]})

    def find_thread(
        self, account: Account, phone: str, *, below: int = END, since: int = 0, limit: int = 50
    ) -> list[Entry]:
        """Return messages exchanged with a phone, the latest first."""
        with self._database.reading() as connection:
            return store.list_thread(
                connection, account_id=account.id, phone=phone, below=below, since=since, limit=limit
            )

    def find_entry(self, account: Account, message_id: str) -> Entry:
        """Return one message; raise NotFound where the account has none of that id."""
        with self._database.reading() as connection:
            entry = store.get_entry(connection, account_id=account.id, message_id=message_id)
        if entry is None:
            raise NotFound
        return entry

    def find_attempts(self, message_id: str) -> list[Attempt]:
        """Return the attempts to send a message that the gateway did not simply take."""
        with self._database.reading() as connection:
            return store.list_attempts(connection, message_id=message_id)

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
        """Return messages that have a text in their body or a number, the latest first.

        Looks at so many messages that an answer never takes long; `next` says where to go on.
        """
        with self._database.reading() as connection:
            return Found(
                *store.search_messages(
                    connection,
                    account_id=account.id,
                    text=text,
                    state=state,
                    direction=direction,
                    below=below,
                    limit=limit,
                    most=_SEARCHED_AT_ONCE,
                )
            )

    def count(self, account: Account) -> int:
        """Return how many messages an account has."""
        with self._database.reading() as connection:
            return store.count_messages(connection, account_id=account.id)

    def clear(self, account: Account) -> int:
        """Remove all messages whose state is final; return how many. Those still on their way stay."""
        with self._database.reading() as connection:
            upto_id = get_last_message_id(connection)
        if upto_id is None:
            return 0
        return self._delete(
            lambda connection, above: store.delete_settled(
                connection, account_id=account.id, above=above, limit=_DELETED_AT_ONCE, upto_id=upto_id
            )
        )

    def prune(self) -> None:
        """Remove the oldest settled messages of each account that has more, or older ones, than are to be kept."""
        if self._longest is not None:
            id_below = next(generate_ids(self._clock.now() - self._longest))
            self._delete(
                lambda connection, above: store.delete_old(
                    connection, id_below=id_below, above=above, limit=_DELETED_AT_ONCE
                )
            )
        if self._most_messages is not None:
            with self._database.reading() as connection:
                account_ids = store.list_account_ids(connection)
            for account_id in account_ids:
                self._prune_account(account_id, self._most_messages)

    def _prune_account(self, account_id: int, most: int) -> None:
        def delete_excess(connection: Connection, above: int) -> list[int]:
            excess = store.count_messages(connection, account_id=account_id) - most
            if excess <= 0:
                return []
            limit = min(excess, _DELETED_AT_ONCE)
            return store.delete_settled(connection, account_id=account_id, above=above, limit=limit)

        self._delete(delete_excess)

    def _delete(self, work: Callable[[Connection, int], list[int]]) -> int:
        """Delete in small transactions, so that nobody waits for long; `work` gets the seq where the last one ended."""
        deleted, above = 0, 0
        while not self._database.stopping:

            def delete_next(connection: Connection, above: int = above) -> list[int]:
                return work(connection, above)

            seqs = self._database.write(delete_next)
            if not seqs:
                break
            deleted, above = deleted + len(seqs), max(seqs)
        return deleted
