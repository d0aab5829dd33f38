"""Applies delivery receipts to messages. A receipt is a provider's report about a sent message.

A receipt can arrive before the provider's answer to Phonify's request. It can also arrive days after this answer. The
provider can send a receipt twice. The receipts of a message can arrive in the wrong order. So Phonify stores each
receipt unchanged. Later receipts do not replace the first final receipt.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..clock import format_time
from ..errors import ERROR_TYPES
from ..gateways.base import Gateway
from ..gateways.events import Receipt
from ..sms.segments import count_segments
from ..storage import receipts as store
from ..storage.database import Connection
from ..storage.gateway_records import ReceiptRow
from ..storage.records import Message, ReceiptResult
from .outcomes import end_as_error, end_as_sent
from .webhook_kinds import Event
from .webhooks import Webhooks

logger = logging.getLogger(__name__)

LOOK_UP_DOUBT = timedelta(seconds=15)  # if a message is in doubt, Phonify waits this time before the first look-up
LOOK_UP_TAKEN = timedelta(minutes=10)  # if a message has no receipt, Phonify waits this time before the first look-up
_EVENTS: dict[ReceiptResult, Event] = {"delivered": "message.delivered", "undelivered": "message.undelivered"}


class Receipts:
    """Applies receipts to messages. Each method runs in the caller's transaction."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def take(self, connection: Connection, gateway: str, receipts: Sequence[Receipt], now: datetime) -> None:
        """Store the receipts of a gateway.

        Each receipt reports the result of one message. If the database has this message, apply the receipt immediately.
        """
        for receipt in receipts:
            row = self._match(connection, _make_row(gateway, receipt, now))
            if row is not None and store.insert_receipt(connection, receipt=row):
                self._apply(connection, row, now)

    def _match(self, connection: Connection, row: ReceiptRow) -> ReceiptRow | None:
        """Find the message to which a receipt belongs.

        Returns a copy of `row`. In the copy, `message_id` is the id of the message. If the message is unknown, return
        `row` unchanged. Returns None if the receipt is wrong.
        """
        message = store.get_message(connection, message_id=row.message_id) if row.message_id is not None else None
        if message is not None and message.gateway != row.gateway:
            text = "Message %s: a receipt of the gateway %s is ignored, because the message belongs to %s"
            logger.warning(text, row.message_id, row.gateway, message.gateway)
            return None
        if row.reference is None:
            return row
        owner = store.find_message_id(connection, gateway=row.gateway, reference=row.reference)
        if row.message_id is None:
            return row._replace(message_id=owner)
        if owner is None:
            if self._get_message(connection, row) is not None:
                store.insert_reported_part(
                    connection, message_id=row.message_id, gateway=row.gateway, reference=row.reference
                )
        elif owner != row.message_id:
            logger.warning(
                "Message %s: a receipt is ignored, because the receipt's reference belongs to another message: %s",
                row.message_id,
                owner,
            )
            return None
        return row

    def note_taken(
        self,
        connection: Connection,
        gateway: Gateway,
        message: Message,
        references: Sequence[str],
        now: datetime,
    ) -> None:
        """Store the ids that the provider has given to a message.

        Receipts of this message can arrive before Phonify stores these ids. Apply such receipts now.
        """
        store.insert_parts(connection, message_id=message.id, gateway=gateway.name, references=references)
        store.claim_waiting_receipts(connection, message_id=message.id, gateway=gateway.name, references=references)
        came_before = self._apply_again(connection, message, now)
        if gateway.can_look_up and not came_before:
            store.put_look_up(connection, message_id=message.id, due_at=format_time(now + LOOK_UP_TAKEN))

    def note_doubt(self, connection: Connection, gateway: Gateway, message: Message, now: datetime) -> None:
        """Plan the first look-up of `message`. Apply the receipts that came during the attempt.

        Nobody knows whether the gateway has accepted this message.
        """
        if gateway.can_look_up:
            store.put_look_up(connection, message_id=message.id, due_at=format_time(now + LOOK_UP_DOUBT))
        self._apply_again(connection, message, now)

    def _apply_again(self, connection: Connection, message: Message, now: datetime) -> bool:
        """Apply all stored receipts of a message. Returns whether the message has receipts.

        If a receipt arrives before Phonify can use it, the receipt has no effect at first. So this method applies all
        receipts again.
        """
        rows = store.list_receipts(connection, message_id=message.id)
        for row in rows:
            self._apply(connection, row, now)
        return bool(rows)

    def _apply(self, connection: Connection, row: ReceiptRow, now: datetime) -> None:
        message = self._get_message(connection, row)
        if message is None:
            return
        result = self._conclude(connection, message, row)
        if result == "undelivered":
            end_as_error(connection, self._webhooks, {message: row.error_type or "delivery_failed"}, now)
        elif result == "delivered" or row.status == "sent":
            end_as_sent(connection, self._webhooks, [message], now)
        if result is not None and store.set_receipt(
            connection, message_id=message.id, receipt=result, at=row.at, code=row.code or None
        ):
            store.delete_look_up(connection, message_id=message.id)
            self._tell(connection, _EVENTS[result], message.id, now)
            logger.debug("Message %s: %s", message.id, result, extra={"message_id": message.id})

    def _get_message(self, connection: Connection, row: ReceiptRow) -> Message | None:
        """Find the message that belongs to a receipt.

        Returns None if Phonify does not know the message, or if Phonify has never tried to send the message.
        """
        message = store.get_message(connection, message_id=row.message_id) if row.message_id is not None else None
        return message if message is not None and message.direction == "outbound" and message.attempts else None

    def _conclude(self, connection: Connection, message: Message, row: ReceiptRow) -> ReceiptResult | None:
        """Return the message's result. The result takes this receipt into account.

        Returns None if the result is not known yet.
        """
        if row.status == "sent":
            return None
        if row.partial:
            if row.status == "undelivered":
                return "undelivered"
            count = store.count_partial(connection, message_id=message.id)
            # If the body was redacted, nobody knows how many segments the message had.
            return "delivered" if message.body and count >= count_segments(message.body)[0] else None
        parts = store.list_parts(connection, message_id=message.id)
        # If a receipt has added a part, the part's number is 0 or less. Nobody knows how many such parts will follow.
        # So `statuses` does not contain these parts.
        statuses = {part.reference: part.status for part in parts if part.part > 0 and part.gateway == row.gateway}
        if row.reference not in statuses:
            # While a long text is being sent, its references are unknown. So it is possible that this receipt reports
            # on a single part of the text.
            may_be_partial = (
                row.status == "delivered" and row.reference is not None and _is_long_and_being_sent(message)
            )
            return None if may_be_partial else row.status
        store.update_part(
            connection, message_id=message.id, gateway=row.gateway, reference=row.reference, status=row.status
        )
        statuses[row.reference] = statuses[row.reference] or row.status
        if row.status == "undelivered" or "undelivered" in statuses.values():
            return "undelivered"
        return "delivered" if set(statuses.values()) == {"delivered"} else None

    def _tell(self, connection: Connection, event: Event, message_id: str, now: datetime) -> None:
        message = store.get_message(connection, message_id=message_id)
        if message is not None:
            self._webhooks.enqueue(connection, event, [message], now)


def _is_long_and_being_sent(message: Message) -> bool:
    is_being_sent = message.state == "unconfirmed" and message.submitted_at is not None and not message.in_doubt
    return is_being_sent and count_segments(message.body)[0] > 1


def _make_row(gateway: str, receipt: Receipt, now: datetime) -> ReceiptRow:
    """Return the row of a receipt.

    If the receipt has no event id, Phonify makes an event id from the receipt's content. So two receipts with the same
    content have the same id, and Phonify stores only one of them.
    """
    content = (receipt.message_id, receipt.reference, receipt.status, receipt.code)
    known = receipt.error_type in ERROR_TYPES
    return ReceiptRow(
        gateway=gateway,
        event_id=receipt.event_id or " ".join(part or "-" for part in content),
        message_id=receipt.message_id,
        reference=receipt.reference,
        status=receipt.status,
        error_type=receipt.error_type if known else None,
        code=receipt.code,
        partial=receipt.partial,
        at=format_time((receipt.at or now).astimezone(UTC)),
        received_at=format_time(now),
    )
