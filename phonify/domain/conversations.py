"""The data of the inbox: conversations, threads and search results."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ..errors import NotFound, StoreUnavailable
from ..storage import conversations as conversation_store
from ..storage.database import Database
from ..storage.records import Account, Conversation, Direction, Entry, State

END = 2**63 - 1  # greater than the seq of every message
_PATIENCE = 0.5  # seconds; if the database is busy for longer, the thread stays unread


class Found(NamedTuple):
    """One page of search results."""

    entries: list[Entry]
    next: int | None  # the argument `below` for the next page; None: this is the last page


class Conversations:
    """The operations on conversations. Each operation uses only data of one account."""

    def __init__(self, database: Database, *, search_at_once: int = 20_000) -> None:
        self._database = database
        self._search_at_once = search_at_once

    def find_all(self, account: Account, *, below: int = END, limit: int = 50) -> list[Conversation]:
        """Return conversations. The conversation with the latest message comes first."""
        with self._database.reading() as connection:
            return conversation_store.list_conversations(connection, account_id=account.id, below=below, limit=limit)

    def mark_read(self, account: Account, phone: str, entries: list[Entry]) -> None:
        """Mark the messages of a thread as read. Does nothing if the database can't be written.

        `entries` has messages of the thread, latest first. Messages that are newer than these messages stay unread.
        """
        if not entries:
            return
        account_id, message_id = account.id, entries[0].message.id
        with self._database.reading() as connection:
            if not conversation_store.has_unread(connection, account_id=account_id, phone=phone, message_id=message_id):
                return
        with suppress(StoreUnavailable), self._database.write(patience=_PATIENCE) as connection:
            conversation_store.mark_read(connection, account_id=account_id, phone=phone, message_id=message_id)

    def count_unread(self, account: Account, *, selected: str | None = None) -> int:
        """Return how many conversations have unread messages.

        `selected` is a phone number. The conversation with this phone is not included in the result.
        """
        with self._database.reading() as connection:
            return conversation_store.count_unread(connection, account_id=account.id, selected=selected)

    def mark_all_read(self, account: Account, *, up_to: int = END) -> None:
        """Mark all conversations as read. Messages with a seq greater than `up_to` stay unread."""
        with self._database.write() as connection:
            conversation_store.mark_all_read(connection, account_id=account.id, up_to=up_to)

    def find_thread(
        self, account: Account, phone: str, *, below: int = END, since: int = 0, limit: int = 50
    ) -> list[Entry]:
        """Return the messages to and from a phone, latest first."""
        with self._database.reading() as connection:
            return conversation_store.list_thread(
                connection, account_id=account.id, phone=phone, below=below, since=since, limit=limit
            )

    def find_entry(self, account: Account, message_id: str) -> Entry:
        """Return one message. Raises NotFound if the account has no message with this id."""
        with self._database.reading() as connection:
            entry = conversation_store.get_entry(connection, account_id=account.id, message_id=message_id)
        if entry is None:
            raise NotFound
        return entry

    def search(
        self,
        account: Account,
        *,
        text: str | None,
        numbers: Sequence[str] = (),
        state: State | None,
        direction: Direction | None,
        scheduled: bool = False,
        failed: bool = False,
        below: int = END,
        limit: int = 50,
    ) -> Found:
        """Return the messages whose body, sender or recipient contains `text`, latest first.

        If `text` is the id that a provider has given to a message, the search finds this message. If `text` looks
        like a phone number, `numbers` contains the same phone number in other formats. The search looks for these
        formats in senders and recipients. If `scheduled` is true, the result has only scheduled messages. If `failed`
        is true, the result has only failed messages. A message has failed if its state is `error` or its receipt is
        `undelivered`.

        One call searches a limited number of messages, because a search through all messages would take too long. To
        search older messages, call this method again. The value for `below` is in `Found.next`.
        """
        with self._database.reading() as connection:
            return Found(
                *conversation_store.search_messages(
                    connection,
                    account_id=account.id,
                    text=text,
                    numbers=numbers,
                    state=state,
                    direction=direction,
                    scheduled=scheduled,
                    failed=failed,
                    below=below,
                    limit=limit,
                    search_limit=self._search_at_once,
                )
            )

    def count(self, account: Account) -> int:
        """Return how many messages an account has."""
        with self._database.reading() as connection:
            return conversation_store.count_messages(connection, account_id=account.id)
