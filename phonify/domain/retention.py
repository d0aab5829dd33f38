"""Removes two kinds of data from the database: old rows, and messages that a user has chosen."""

from collections.abc import Callable
from datetime import timedelta

from ..clock import Clock, format_time
from ..errors import StoreUnavailable
from ..ids import generate_ids
from ..sms.numbers import is_same_number
from ..storage import conversations as conversation_store
from ..storage import deliveries as delivery_store
from ..storage import forgetting as forgetting_store
from ..storage import fronts as front_store
from ..storage import idempotency as idempotency_store
from ..storage import messages as message_store
from ..storage import receipts as receipt_store
from ..storage import received_texts as text_store
from ..storage import webhooks as webhook_store
from ..storage.database import Connection, Database
from ..storage.records import Account, Criteria
from .sending import IDEMPOTENCY_PERIOD

KEEP_DELIVERIES = timedelta(days=30)  # after the end of the delivery
KEEP_EVENTS = timedelta(days=30)  # receipts and texts are kept, so that Phonify recognises a repetition
_ROWS = 100  # one transaction removes at most this number of rows; for messages, see `messages_at_once`


class Retention:
    """Removes rows in small transactions, so that other writers never wait long."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        most_messages: int | None,
        longest: timedelta | None,
        messages_at_once: int = 500,
    ) -> None:
        self._database = database
        self._clock = clock
        self._most_messages = most_messages
        self._longest = longest
        self._messages_at_once = messages_at_once

    def clean(self) -> None:
        """Remove all rows that are too old. If an account has too many messages, remove its oldest messages.

        Only messages in a final state are removed. If a received text has no account, Phonify keeps the text.
        """
        with self._database.write() as connection:
            webhook_store.delete_former_secrets(connection, now=format_time(self._clock.machine_now()))
            if self._longest is not None:
                until = format_time(self._clock.now() - self._longest)
                front_store.delete_old_refusals(connection, until=until)
        self._remove_old_messages()
        self._remove_old_rows(idempotency_store.delete_answers, IDEMPOTENCY_PERIOD)
        self._remove_old_rows(delivery_store.delete_deliveries, KEEP_DELIVERIES)
        self._remove_old_rows(receipt_store.delete_receipts, KEEP_EVENTS)
        self._remove_old_rows(text_store.delete_texts, KEEP_EVENTS)

    def clear(self, account: Account) -> None:
        """Remove the account's messages that are in a final state."""
        with self._database.reading() as connection:
            upto_id = message_store.get_last_message_id(connection)
        if upto_id is None:
            return
        self._go_through(
            lambda connection, after: message_store.delete_settled(
                connection, account_id=account.id, after=after, limit=self._messages_at_once, upto_id=upto_id
            )
        )

    def remove(self, account: Account, criteria: Criteria) -> int:
        """Remove the account's messages that match the criteria. Returns the number of removed messages.

        The messages can be in any state. If the gateway is sending a message now, Phonify removes the message and
        ignores the outcome. Pending events about the messages are cancelled. Raises StoreUnavailable if the server
        stops before the last message is removed.
        """
        with self._database.reading() as connection:
            last_id = message_store.get_last_message_id(connection)
        removed, before = 0, f"{last_id}~"  # greater than the last id, and less than the ids of newer messages
        if criteria.before is not None:
            before = min(before, criteria.before)
        while True:
            with self._database.reading() as connection:
                found = message_store.list_messages(
                    connection,
                    account_id=account.id,
                    criteria=criteria._replace(before=before),
                    offset=0,
                    limit=self._messages_at_once,
                )
            if not found:
                return removed
            if self._database.stopping:
                raise StoreUnavailable
            ids, now = [message.id for message in found], format_time(self._clock.now())
            with self._database.write() as connection:
                removed += message_store.delete_messages(connection, account_id=account.id, message_ids=ids)
                delivery_store.cancel_deliveries_of_messages(
                    connection, account_id=account.id, message_ids=ids, now=now
                )
            before = ids[-1]

    def forget(self, account: Account, phone: str) -> int:
        """Remove all messages between an account and a phone. Returns how many messages were removed.

        The messages can be in any state. Then this method removes other rows that contain the phone's number. These
        rows are webhook deliveries, stored answers for idempotency keys, refused requests, and received texts that have
        not become messages. The subscription stays. Raises StoreUnavailable if the server stops before the last message
        is removed.
        """
        removed = self.remove(account, Criteria(phone=phone))
        with self._database.reading() as connection:
            seqs = forgetting_store.list_deliveries_about(connection, account_id=account.id, phone=phone)
        for start in range(0, len(seqs), self._messages_at_once):
            with self._database.write() as connection:
                forgetting_store.delete_deliveries(connection, seqs=seqs[start : start + self._messages_at_once])
        with self._database.write() as connection:
            forgetting_store.delete_answers(connection, account_id=account.id, phone=phone)
            refused = forgetting_store.list_refused_numbers(connection, account_id=account.id)
            seqs = [seq for seq, given in refused if is_same_number(given, phone)]
            forgetting_store.delete_refusals(connection, seqs=seqs)
            text_store.delete_texts_of(connection, account_id=account.id, sender=phone)
        return removed

    def _remove_old_messages(self) -> None:
        """Remove messages that are too old. If an account has too many messages, remove its oldest messages."""
        if self._longest is not None:
            id_below = next(generate_ids(self._clock.now() - self._longest))
            self._go_through(
                lambda connection, after: message_store.delete_old(
                    connection, id_below=id_below, after=after, limit=self._messages_at_once
                )
            )
        if self._most_messages is not None:
            with self._database.reading() as connection:
                account_ids = conversation_store.list_account_ids(connection)
            for account_id in account_ids:
                self._remove_excess(account_id, self._most_messages)

    def _remove_excess(self, account_id: int, most: int) -> None:
        with self._database.reading() as connection:
            excess = conversation_store.count_messages(connection, account_id=account_id) - most
        after: int | None = 0
        while excess > 0 and after is not None and not self._database.stopping:
            limit = min(excess, self._messages_at_once)
            with self._database.write() as connection:
                after = message_store.delete_settled(connection, account_id=account_id, after=after, limit=limit)
            excess -= limit

    def _go_through(self, delete_next: Callable[[Connection, int], int | None]) -> None:
        """Delete messages in steps, until `delete_next` returns None.

        Each call deletes some messages. The `seq` of each deleted message is greater than the argument of the call. The
        call returns the greatest `seq` of the deleted messages. The next call gets this `seq` as its argument.
        """
        after: int | None = 0
        while after is not None and not self._database.stopping:
            with self._database.write() as connection:
                after = delete_next(connection, after)

    def _remove_old_rows(self, delete: Callable[..., int], age: timedelta) -> None:
        """Remove all rows that are older than `age`. Each transaction removes only some of them."""
        until, deleted = format_time(self._clock.now() - age), 1
        while deleted and not self._database.stopping:
            with self._database.write() as connection:
                deleted = delete(connection, until=until, limit=_ROWS)
