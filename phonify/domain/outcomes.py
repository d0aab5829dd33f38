"""The final outcomes of messages. Each function changes messages and stores their webhook events."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from ..clock import format_time
from ..storage import outbox as store
from ..storage.database import Connection
from ..storage.records import Message
from .webhooks import Webhooks


def end_as_sent(
    connection: Connection, webhooks: Webhooks, messages: Iterable[Message], now: datetime
) -> list[Message]:
    """Set the state of messages to `sent`. Returns the changed messages. Call this in a transaction.

    A message stays unchanged if its state is final, or if another process has claimed it in the meantime.
    """
    at = format_time(now)
    sent = [
        message._replace(state="sent", finished_at=at, due_at=None, submitted_at=None)
        for message in messages
        if store.mark_sent(connection, message=message, now=at)
    ]
    webhooks.enqueue(connection, "message.sent", sent, now)
    return sent


def end_as_error(
    connection: Connection, webhooks: Webhooks, errors: Mapping[Message, str], now: datetime
) -> list[Message]:
    """Set the state of each message in `errors` to `error`, and store the error type. Returns the changed messages.

    See `end_as_sent`.
    """
    at = format_time(now)
    failed = [
        message._replace(state="error", error_type=error_type, finished_at=at, due_at=None, submitted_at=None)
        for message, error_type in errors.items()
        if store.mark_error(connection, message=message, error_type=error_type, now=at)
    ]
    webhooks.enqueue(connection, "message.error", failed, now)
    return failed
