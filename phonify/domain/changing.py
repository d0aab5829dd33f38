"""Operations that change stored messages.

Users can change or cancel a scheduled message. If a message is in a final state, users can redact or remove it.
"""

from collections.abc import Mapping
from datetime import datetime

from ..clock import Clock, format_time
from ..errors import Fault, RequestRefused
from ..schemas.fields import Recipient
from ..storage import deliveries as delivery_store
from ..storage import messages as store
from ..storage.database import Connection, Database
from ..storage.records import Account, Message
from .outcomes import end_as_error
from .rules import Rules
from .sending import Sending, find_message
from .subscriptions import Subscriptions
from .webhooks import Webhooks


class Changing:
    """The operations that change messages. Each operation uses only data of one account."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        sending: Mapping[str, Sending],
        rules: Rules,
        *,
        main: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._sending = sending  # name of a gateway of this server -> its Sending
        self._rules = rules
        self._main = main  # the name of the main gateway

    def change(
        self,
        account: Account,
        message_id: str,
        *,
        to: Recipient | None = None,
        body: str | None = None,
        send_at: datetime | None = None,
    ) -> Message:
        """Change a scheduled message. If the new time is in the past, the message is sent now.

        Raises NotFound if the account has no message with this id. Raises RequestRefused in four cases: the message is
        not scheduled, Phonify has begun to send it, the new recipient has opted out, or the gateway or a rule refuses
        the new version of the message.
        """
        main = self._sending[self._main]
        found = main.find(account, message_id)
        sending = self._sending.get(found.gateway or self._main)
        if to is not None and sending is not None:  # None: this server does not have the gateway
            number = to.number.number
            refusal = sending.find_refusal(number, origin=found.origin_number, body=body or found.body)
            if refusal is not None:
                raise RequestRefused([Fault(refusal, to.param)])
        with self._database.write() as connection:
            now = self._clock.now()
            message = self._get_waiting(connection, account, message_id, now)
            if to is not None:
                if self._subscriptions.is_opted_out(connection, account, to.number.number):
                    raise RequestRefused([Fault("opted_out", to.param)])
                recipient = to.number
                message = message._replace(
                    to_number=recipient.number, to_country=recipient.country, to_carrier=recipient.carrier
                )
            if body is not None:
                message = message._replace(body=body)
            if send_at is not None:
                due, expires_at = main.plan(now, send_at)
                message = message._replace(send_at=format_time(send_at), due_at=due, expires_at=expires_at)
            meets_again = to is not None or body is not None
            rule = self._rules.meet_again(connection, message) if meets_again else None
            refusal = rule.refusal if rule is not None else None
            if refusal is None:
                store.update_waiting_message(connection, message=message)
                if meets_again:
                    self._rules.note_again(connection, message, rule)
        if refusal is not None:  # raised after the commit, so that the new count of the rule is stored
            raise RequestRefused([Fault(refusal, to.param if to is not None else None)])
        return message

    def cancel(self, account: Account, message_id: str) -> Message:
        """Remove a scheduled message.

        Raises NotFound if the account has no message with this id. Raises RequestRefused if the message is not
        scheduled, or if Phonify has begun to send it.
        """
        with self._database.write() as connection:
            message = self._get_waiting(connection, account, message_id, self._clock.now())
            store.delete_message(connection, message=message)
        return message

    def call_off(self, account: Account, message_id: str) -> Message:
        """Cancel a scheduled message without removing it.

        The state becomes `error`, and the error type becomes `canceled`. Raises the same errors as `cancel`.
        """
        with self._database.write() as connection:
            now = self._clock.now()
            message = self._get_waiting(connection, account, message_id, now)
            (ended,) = end_as_error(connection, self._webhooks, {message: "canceled"}, now)
        return ended

    def redact(self, account: Account, message_id: str) -> Message:
        """Remove the body from a message and from its webhook events.

        Raises NotFound if the account has no message with this id. Raises RequestRefused if an outbound message is
        still in state `unconfirmed`.
        """
        with self._database.write() as connection:
            message = self._get_final(connection, account, message_id)
            store.update_body(connection, message_id=message_id, body="")
            delivery_store.empty_bodies(connection, account_id=account.id, message_id=message_id)
        return message._replace(body="")

    def remove(self, account: Account, message_id: str) -> Message:
        """Remove a message. The webhook events of the message are still posted. Raises the same errors as `redact`."""
        with self._database.write() as connection:
            message = self._get_final(connection, account, message_id)
            store.delete_message(connection, message=message)
        return message

    def _get_final(self, connection: Connection, account: Account, message_id: str) -> Message:
        message = find_message(connection, account, message_id)
        if message.state == "unconfirmed" and message.direction == "outbound":
            raise RequestRefused([Fault("message_not_final")])
        return message

    def _get_waiting(self, connection: Connection, account: Account, message_id: str, now: datetime) -> Message:
        message = find_message(connection, account, message_id)
        waits = message.state == "unconfirmed" and message.attempts == 0 and message.send_at is not None
        # Usually both times are in the future. If a person has chosen the outcome of the message, `due_at` is now.
        if not waits or min(message.send_at or "", message.due_at or "") <= format_time(now):
            raise RequestRefused([Fault("message_not_waiting")])
        return message
