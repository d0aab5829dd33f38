"""Messages whose gateway is missing. For example, messages still wait for a gateway that the operator has replaced.

Each accepted message belongs to one gateway. Only the operator can move the message to another gateway.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from ..clock import Clock, format_time
from ..errors import StoreUnavailable
from ..storage import gateways as gateway_store
from ..storage import moving as store
from ..storage import outbox as outbox_store
from ..storage.database import Connection, Database
from ..storage.records import Message
from .outcomes import end_as_error
from .rules import Rules
from .sending import Sending
from .webhooks import Webhooks

logger = logging.getLogger(__name__)

_ROWS = 100  # one transaction changes at most this number of messages


class Left(NamedTuple):
    """The number of messages that wait for a gateway. This server does not have the gateway."""

    gateway: str
    messages: int

    @property
    def summary(self) -> str:
        """A sentence that tells the operator about the waiting messages."""
        messages = "1 message waits" if self.messages == 1 else f"{self.messages} messages wait"
        return f"{messages} for the gateway {self.gateway}, which this server does not have"


class Moved(NamedTuple):
    """The result of moving messages to another gateway."""

    moved: int
    refused: int  # they are in state `error` now
    left: int  # their gateway may have got them


class Moving:
    """Finds messages whose gateway is missing: this server does not have the gateway.

    `move` moves these messages to another gateway. `end_expired` sets the state of expired messages to `error`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        webhooks: Webhooks,
        sending: Mapping[str, Sending],
        rules: Rules,
        *,
        main: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._sending = sending  # name of a gateway of this server -> its Sending
        self._rules = rules
        self._main = main  # the name of the main gateway

    def adopt(self) -> None:
        """Assign the main gateway to all waiting messages that have no gateway.

        Such messages come from an earlier version.
        """
        with self._database.reading() as connection:
            if not store.has_messages_without_gateway(connection):
                return
        with self._database.write() as connection:
            count = store.adopt_messages(connection, gateway=self._main)
        text = "Messages without a gateway: %d. An earlier version stored these messages. The gateway %s gets them now."
        logger.warning(text, count, self._main)

    def warn(self) -> None:
        """Log how many messages wait for gateways that this server does not have."""
        with suppress(StoreUnavailable):  # the loops log this error
            for left in self.list_left():
                logger.warning("%s. See: gateway move-messages", left.summary)

    def list_left(self) -> list[Left]:
        """Count the messages that wait for gateways that this server does not have.

        The result has one item for each of these gateways.
        """
        with self._database.reading() as connection:
            return self.read_left(connection)

    def read_left(self, connection: Connection) -> list[Left]:
        """Return the same result as `list_left`. Uses the caller's connection."""
        found = gateway_store.count_waiting(connection)
        return [Left(name, found[name]) for name in sorted(found.keys() - self._sending.keys())]

    def move(self, gateway: str, to: str) -> Moved:
        """Move the waiting messages of one gateway to another gateway.

        `gateway` is the name of the old gateway, and `to` is the name of the new gateway. This server must have the new
        gateway. Before the move, the new gateway checks each message. The checks are the same as for new messages. If
        the new gateway is the sandbox, the rules of the sandbox apply. A refused message ends in state `error`. Some
        messages are in doubt: nobody knows whether the old gateway has received them. This method does not change these
        messages.
        """
        moved = refused = 0
        while found := self._list_movable(gateway):
            checks = {
                message: self._sending[to].find_refusal(
                    message.to_number, origin=message.origin_number, body=message.body
                )
                for message in found
            }
            with self._database.write() as connection:
                # Meanwhile, somebody may have changed or cancelled some of these messages.
                # The next round moves the changed messages.
                same = [
                    message
                    for message in store.list_movable_messages(connection, gateway=gateway, limit=_ROWS)
                    if message in checks
                ]
                refusals = {message: checks[message] or self._meet_rules(connection, message, to) for message in same}
                taken = [message for message in same if refusals[message] is None]
                store.update_gateway(connection, messages=taken, gateway=to)
                errors = {message: error for message, error in refusals.items() if error is not None}
                end_as_error(connection, self._webhooks, errors, self._clock.now())
            for message in taken:
                logger.info("Message %s: moved from the gateway %s to %s", message.id, gateway, to)
            moved, refused = moved + len(taken), refused + len(errors)
        with self._database.reading() as connection:
            left = gateway_store.count_waiting(connection).get(gateway, 0)
        return Moved(moved, refused, left)

    def _meet_rules(self, connection: Connection, message: Message, to: str) -> str | None:
        """Find the rule for a message that will be moved. `to` is the name of the new gateway.

        Stores this rule with the message. Returns the error type if the rule refuses the message.
        """
        moved = message._replace(gateway=to)
        rule = self._rules.meet_again(connection, moved)
        self._rules.note_again(connection, moved, rule)
        return rule.refusal if rule is not None else None

    def _list_movable(self, gateway: str) -> list[Message]:
        with self._database.reading() as connection:
            return store.list_movable_messages(connection, gateway=gateway, limit=_ROWS)

    def next_end(self) -> str | None:
        """Return the time at which `end_expired` must run next. Returns None if no message waits."""
        with self._database.reading() as connection:
            ends = [store.next_end(connection, gateway=left.gateway) for left in self.read_left(connection)]
        return min((end for end in ends if end is not None), default=None)

    def end_expired(self) -> None:
        """Find expired messages whose gateway is missing. Set the state of these messages to `error`."""
        now = self._clock.now()
        for left in self.list_left():
            while self._list_expired(left.gateway, now) and not self._database.stopping:
                with self._database.write() as connection:
                    expired = outbox_store.list_expired_messages(
                        connection, gateway=left.gateway, now=format_time(now), limit=_ROWS
                    )
                    end_as_error(connection, self._webhooks, dict.fromkeys(expired, "validity_expired"), now)

    def _list_expired(self, gateway: str, now: datetime) -> list[Message]:
        with self._database.reading() as connection:
            return outbox_store.list_expired_messages(connection, gateway=gateway, now=format_time(now), limit=1)
