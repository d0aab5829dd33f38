"""The delivery of messages: claim due messages, call the gateway, record the outcomes."""

import logging
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from ..clock import Clock, format_time, monotonic, parse_time
from ..domain.webhooks import Webhooks
from ..gateways.base import Doubt, Gateway, Later, OutboundMessage, Outcome, Refused, Taken
from ..sms.numbers import mask_number
from ..storage import messages as message_store
from ..storage import outbox as outbox_store
from ..storage import runs as run_store
from ..storage import subscriptions as subscription_store
from ..storage.database import Connection, Database
from ..storage.records import AttemptOutcome, Message, MessageAttempt
from .loop import Observe

logger = logging.getLogger(__name__)

CLAIM = 300  # messages that are claimed in one transaction
# Seconds. Claimed messages that are not sent within this time are released. During this time, the loop takes over no
# leases.
CLAIM_TIME = 0.3
FIRST_RETRY = 1.0  # seconds; doubled with each attempt
LAST_RETRY = 600.0
SHORTEST_RETRY = 0.5

# The names of the outcomes in metrics, in attempts and in the inbox.
OUTCOME_NAMES: dict[type[Outcome], Literal["sent", "rejected", "unavailable", "unconfirmed"]] = {
    Taken: "sent",
    Refused: "rejected",
    Later: "unavailable",
    Doubt: "unconfirmed",
}


class MessageOutcome(NamedTuple):
    """The result of an attempt to send a message."""

    message: Message
    outcome: Outcome | None  # None: the gateway was not called
    at: str
    due_at: str | None = None  # the time of the next attempt, if the outcome is Later


def retry_delay(attempt: int) -> float:
    """Return the seconds to wait after a failed attempt. They grow exponentially and have jitter."""
    return min(FIRST_RETRY * 2.0 ** min(attempt - 1, 30), LAST_RETRY) * random.uniform(0.5, 1.0)  # noqa: S311


class MessageDelivery:
    """The work of the loop for messages. It calls the gateway in the loop's own thread."""

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
        # After a crash, all claimed messages are in doubt, unless the gateway may get a message twice.
        self._claim = CLAIM if gateway.repeatable else gateway.limits.batch

    def seconds_to_next(self) -> float:
        """Return the seconds until a message is due."""
        with self._database.reading() as connection:
            due_at = outbox_store.next_due_at(connection)
        return (parse_time(due_at) - self._clock.now()).total_seconds() if due_at is not None else float("inf")

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return the owners of leased messages."""
        return outbox_store.list_lease_owners(connection)

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner."""
        outbox_store.end_leases(connection, owner=owner, now=self._now())

    # Claiming

    def claim(self, connection: Connection, owner: str) -> list[Message]:
        """Lease due messages. Ends the messages that must not be sent any more."""
        clock_now = self._clock.now()
        now = format_time(clock_now)
        leased, failed = [], []
        ended = run_store.list_ended_accounts(connection, now=now)
        for message in outbox_store.list_due_messages(connection, now=now, limit=self._claim):
            if message.account_id in ended:
                message_store.delete_message(connection, message=message)
            elif message.expires_at is not None and message.expires_at <= now:
                failed += self._fail(connection, message, "validity_expired", now)
            elif message.submitted_at is not None and not self._gateway.repeatable:
                # The gateway may have this message already: the outcome of an earlier attempt is unknown.
                self._doubt(connection, message, now)
            elif self._is_opted_out(connection, message):
                failed += self._fail(connection, message, "opted_out", now)
            else:
                leased.append(message)
        self._webhooks.enqueue(connection, "message.error", failed, clock_now)
        until = format_time(clock_now + self._lease)
        return outbox_store.lease_messages(connection, messages=leased, owner=owner, now=now, until=until)

    def _is_opted_out(self, connection: Connection, message: Message) -> bool:
        """Return whether the recipient has opted out after the message was accepted.

        A message that was accepted after the opt-out is the reply to STOP or HELP. It is sent.
        """
        since = subscription_store.get_opt_out_time(connection, account_id=message.account_id, phone=message.to_number)
        return since is not None and (message.send_at is not None or message.created_at <= since)

    # Recording

    def record(self, connection: Connection, outcomes: Sequence[MessageOutcome]) -> None:
        """Record outcomes. Stores webhook events for final outcomes and for doubt."""
        clock_now = self._clock.now()
        now = format_time(clock_now)
        sent, failed = [], []
        for message, outcome, at, due_at in outcomes:
            match outcome:
                case None:
                    outbox_store.give_back(connection, message=message)
                case Taken():
                    if outbox_store.mark_sent(connection, message=message, now=now):
                        sent.append(message._replace(state="sent", finished_at=now, due_at=None, submitted_at=None))
                case Refused(error_type):
                    self._note_attempt(connection, message, "rejected", at)
                    failed += self._fail(connection, message, error_type, now)
                case Later():
                    self._note_attempt(connection, message, "unavailable", at, due_at)
                    outbox_store.reschedule(connection, message=message, due_at=due_at or at)
                case Doubt():
                    self._doubt(connection, message, at)
        self._webhooks.enqueue(connection, "message.sent", sent, clock_now)
        self._webhooks.enqueue(connection, "message.error", failed, clock_now)

    def _fail(self, connection: Connection, message: Message, error_type: str, now: str) -> list[Message]:
        """Set a message to `error`. Returns it in its new state, or nothing if another owner has claimed it."""
        if not outbox_store.mark_error(connection, message=message, error_type=error_type, now=now):
            return []
        return [message._replace(state="error", error_type=error_type, finished_at=now, due_at=None, submitted_at=None)]

    def _doubt(self, connection: Connection, message: Message, at: str) -> None:
        """Record that a message is in doubt. It is not sent again."""
        self._note_attempt(connection, message, "unconfirmed", at)
        if outbox_store.await_validity(connection, message=message):
            self._webhooks.enqueue(connection, "message.in_doubt", [message], self._clock.now())

    def _note_attempt(
        self, connection: Connection, message: Message, outcome: AttemptOutcome, at: str, due_at: str | None = None
    ) -> None:
        attempt = MessageAttempt(message.attempts, at, outcome, due_at)
        outbox_store.insert_attempts(connection, attempts=[(message, attempt)])

    # Sending

    def deliver(self, jobs: Sequence[Message], finish: Callable[[MessageOutcome], None]) -> None:
        """Send the messages batch by batch. No transaction is open."""
        # A third of the lease remains for the last batch, and another third for recording its outcomes.
        third = self._lease.total_seconds() / 3
        give_up = self._clock.monotonic() + min(third, CLAIM_TIME)
        size = self._gateway.limits.batch
        for batch in (jobs[start : start + size] for start in range(0, len(jobs), size)):
            if self._database.stopping or self._clock.monotonic() > give_up:
                for message in batch:
                    finish(MessageOutcome(message, None, self._now()))
            else:
                self._send(batch, monotonic() + third, finish)

    def _send(self, batch: Sequence[Message], deadline: float, finish: Callable[[MessageOutcome], None]) -> None:
        """Call the gateway with one batch. A message without an outcome is in doubt."""
        begun = self._clock.monotonic()
        waiting = {message.id: message for message in batch}
        outbound = [
            OutboundMessage(message.id, message.origin_number, message.to_number, message.body, message.attempts)
            for message in batch
        ]
        failure: Exception | None = None
        try:
            for message_id, outcome in self._gateway.send(outbound, deadline):
                name = OUTCOME_NAMES[type(outcome)]
                concluded = self._conclude(waiting[message_id], outcome)
                del waiting[message_id]
                self._observe(name, self._clock.monotonic() - begun)
                finish(concluded)
                begun = self._clock.monotonic()
        except Exception as error:
            failure = error
            if not waiting:
                logger.exception("The gateway failed after its last outcome")
        for message in waiting.values():
            text = "Message %s: the gateway gave no outcome, attempt %d"
            logger.error(text, message.id, message.attempts, exc_info=failure, extra=_trace(message))
            failure = None  # one traceback is enough
            self._observe("unconfirmed", self._clock.monotonic() - begun)
            finish(MessageOutcome(message, Doubt(), self._now()))

    def _conclude(self, message: Message, outcome: Outcome) -> MessageOutcome:
        """Log the outcome of an attempt. Chooses the time of the next attempt."""
        due_at = None
        attempt = message.id, message.attempts
        trace = _trace(message)
        match outcome:
            case Taken():
                logger.debug("Message %s: sent, attempt %d", *attempt, extra=trace)
            case Refused(error_type):
                number = mask_number(message.to_number)
                logger.info("Message %s to %s: refused, %s", message.id, number, error_type, extra=trace)
            case Later(retry_after):
                due_at = self._retry_time(message, retry_after)
                logger.info("Message %s: gateway unavailable, attempt %d, next at %s", *attempt, due_at, extra=trace)
            case Doubt():
                logger.info("Message %s: in doubt, attempt %d", *attempt, extra=trace)
        return MessageOutcome(message, outcome, self._now(), due_at)

    def _now(self) -> str:
        return format_time(self._clock.now())

    def _retry_time(self, message: Message, retry_after: float | None) -> str:
        """Return the time of the next attempt. It is after now, but not after the end of the validity period."""
        delay = retry_delay(message.attempts)
        if retry_after is not None:
            # With the arguments in this order, NaN gives the shortest delay.
            delay = max(SHORTEST_RETRY, retry_after)
        now = self._clock.now()
        expires_at = message.expires_at or format_time(now)
        if delay >= (parse_time(expires_at) - now).total_seconds():
            return expires_at
        return format_time(now + timedelta(seconds=delay))


def _trace(message: Message) -> dict[str, str | None]:
    """Return the fields of a message in a JSON log line."""
    return {"message_id": message.id, "request_id": message.request_id}
