"""Delivering messages: claims those that are due, calls the gateway, records what it said."""

import logging
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from ..clock import Clock, format_time, parse_time
from ..domain.webhooks import Webhooks
from ..gateways.base import Gateway, OutboundMessage, Rejected, Unavailable, Unconfirmed
from ..sms.numbers import mask_number
from ..storage import outbox as outbox_store
from ..storage import subscriptions as subscription_store
from ..storage.database import Connection, Database
from ..storage.records import Message, MessageAttempt
from .loop import Observe

logger = logging.getLogger(__name__)

BATCH = 300  # messages that are claimed at once
BATCH_TIME = 0.3  # seconds after which the rest of them is given back: meanwhile the loop takes nothing over
FIRST_RETRY = 1.0  # seconds; doubled with each attempt
LAST_RETRY = 600.0
SHORTEST_RETRY = 0.5


class MessageOutcome(NamedTuple):
    """What became of an attempt to send a message."""

    message: Message
    kind: Literal["sent", "rejected", "unavailable", "unconfirmed", "untouched"]
    at: str
    error_type: str | None = None  # of one that was rejected
    due_at: str | None = None  # of the next attempt, if the gateway was unavailable


def retry_delay(attempt: int) -> float:
    """Return seconds to wait after a failed attempt: exponential, with jitter so that retries spread."""
    return min(FIRST_RETRY * 2.0 ** min(attempt - 1, 30), LAST_RETRY) * random.uniform(0.5, 1.0)  # noqa: S311


class MessageDelivery:
    """What the loop does for messages. The gateway is called in the loop's own thread, for one after the other."""

    name = "messages"

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        clock: Clock,
        webhooks: Webhooks,
        *,
        lease: timedelta,
        observe: Observe = lambda _outcome, _seconds: None,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._webhooks = webhooks
        self._lease = lease
        self._observe = observe
        # A crash leaves all claimed messages in doubt, unless the gateway may be given a message twice.
        self._batch = BATCH if gateway.repeatable else 1

    def seconds_to_next(self) -> float:
        """Return in how many seconds a message is due."""
        with self._database.reading() as connection:
            due_at = outbox_store.next_due_at(connection)
        return (parse_time(due_at) - self._clock.now()).total_seconds() if due_at is not None else float("inf")

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return who has messages in hand."""
        return outbox_store.list_lease_owners(connection)

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner."""
        outbox_store.end_leases(connection, owner=owner, now=self._now())

    # Claiming

    def claim(self, connection: Connection, owner: str) -> list[Message]:
        """Lease messages that are due; end those that may not go out any more."""
        clock_now = self._clock.now()
        now = format_time(clock_now)
        leased, failed = [], []
        for message in outbox_store.list_due_messages(connection, now=now, limit=self._batch):
            if message.expires_at is not None and message.expires_at <= now:
                failed += self._fail(connection, message, "validity_expired", now)
            elif message.submitted_at is not None and not self._gateway.repeatable:
                # It was handed over once, and nobody has said what came of it.
                self._doubt(connection, message, now)
            elif self._is_opted_out(connection, message):
                failed += self._fail(connection, message, "opted_out", now)
            else:
                leased.append(message)
        self._webhooks.enqueue(connection, "message.error", failed, clock_now)
        until = format_time(clock_now + self._lease)
        return outbox_store.lease_messages(connection, messages=leased, owner=owner, now=now, until=until)

    def _is_opted_out(self, connection: Connection, message: Message) -> bool:
        """Tell whether the recipient has opted out since the message was accepted.

        A message that was accepted although the recipient had goes out: it is the answer to STOP or HELP.
        """
        since = subscription_store.get_opt_out_time(connection, account_id=message.account_id, phone=message.to_number)
        return since is not None and (message.send_at is not None or message.created_at <= since)

    # Recording

    def record(self, connection: Connection, outcomes: Sequence[MessageOutcome]) -> None:
        """Record outcomes, and webhook events for those that are final."""
        clock_now = self._clock.now()
        now = format_time(clock_now)
        sent, failed = [], []
        for outcome in outcomes:
            message = outcome.message
            if outcome.kind == "sent":
                if outbox_store.mark_sent(connection, message=message, now=now):
                    sent.append(message._replace(state="sent", finished_at=now, due_at=None, submitted_at=None))
            elif outcome.kind == "untouched":
                outbox_store.give_back(connection, message=message)
            elif outcome.kind == "unconfirmed":
                self._doubt(connection, message, outcome.at)
            else:
                attempt = MessageAttempt(message.attempts, outcome.at, outcome.kind, outcome.due_at)
                outbox_store.insert_attempts(connection, attempts=[(message, attempt)])
                if outcome.due_at is not None:
                    outbox_store.reschedule(connection, message=message, due_at=outcome.due_at)
                elif outcome.error_type is not None:
                    failed += self._fail(connection, message, outcome.error_type, now)
        self._webhooks.enqueue(connection, "message.sent", sent, clock_now)
        self._webhooks.enqueue(connection, "message.error", failed, clock_now)

    def _fail(self, connection: Connection, message: Message, error_type: str, now: str) -> list[Message]:
        """End a message in error; return it as it is then, or nothing if another owner has claimed it since."""
        if not outbox_store.mark_error(connection, message=message, error_type=error_type, now=now):
            return []
        return [message._replace(state="error", error_type=error_type, finished_at=now, due_at=None, submitted_at=None)]

    def _doubt(self, connection: Connection, message: Message, at: str) -> None:
        """Note that nobody knows whether a message was sent; it is not sent again."""
        outbox_store.insert_attempts(
            connection, attempts=[(message, MessageAttempt(message.attempts, at, "unconfirmed"))]
        )
        outbox_store.await_validity(connection, message=message)

    # Sending

    def deliver(self, jobs: Sequence[Message], finish: Callable[[MessageOutcome], None]) -> None:
        """Call the gateway for each message, with no transaction open."""
        self._webhooks.wake()
        # Of the lease, a third at least is left to the last call, and a third to recording it.
        give_up = self._clock.monotonic() + min(self._lease.total_seconds() / 3, BATCH_TIME)
        for message in jobs:
            if self._database.stopping or self._clock.monotonic() > give_up:
                finish(MessageOutcome(message, "untouched", format_time(self._clock.now())))
            else:
                begun = self._clock.monotonic()
                outcome = self._send(message)
                self._observe(outcome.kind, self._clock.monotonic() - begun)
                finish(outcome)

    def _send(self, message: Message) -> MessageOutcome:
        trace = {"message_id": message.id, "request_id": message.request_id}
        attempt = message.id, message.attempts
        outbound = OutboundMessage(message.id, message.origin_number, message.to_number, message.body, message.attempts)
        try:
            self._gateway.send(outbound)
        except Rejected as rejected:
            number = mask_number(message.to_number)
            logger.info("message %s to %s: %s", message.id, number, rejected.error_type, extra=trace)
            return MessageOutcome(message, "rejected", self._now(), error_type=rejected.error_type)
        except Unavailable as unavailable:
            due_at = self._retry_time(message, unavailable.retry_after)
            logger.info("message %s: gateway unavailable, attempt %d, again at %s", *attempt, due_at, extra=trace)
            return MessageOutcome(message, "unavailable", self._now(), due_at=due_at)
        except Unconfirmed:
            logger.info("message %s: not confirmed, attempt %d", *attempt, extra=trace)
            return MessageOutcome(message, "unconfirmed", self._now())
        except Exception:
            logger.exception("message %s: the gateway failed in an unexpected way, attempt %d", *attempt, extra=trace)
            return MessageOutcome(message, "unconfirmed", self._now())
        logger.debug("message %s: sent, attempt %d", *attempt, extra=trace)
        return MessageOutcome(message, "sent", self._now())

    def _now(self) -> str:
        return format_time(self._clock.now())

    def _retry_time(self, message: Message, retry_after: float | None) -> str:
        """Return when to try again: not at once, whatever the gateway says, and not after the validity period."""
        delay = retry_delay(message.attempts)
        if retry_after is not None:
            # In this order, NaN counts as the shortest.
            delay = max(SHORTEST_RETRY, retry_after)
        now = self._clock.now()
        expires_at = message.expires_at or format_time(now)
        if delay >= (parse_time(expires_at) - now).total_seconds():
            return expires_at
        return format_time(now + timedelta(seconds=delay))
