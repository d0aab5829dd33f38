"""Sends claimed messages through a gateway. Each message gets an outcome.

When this code calls the gateway, no transaction is open.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ..clock import Clock, format_time, monotonic, parse_time
from ..gateways.base import Doubt, Gateway, Later, OutboundMessage, Outcome, Refused, Taken
from ..sms.numbers import mask_number
from ..storage.database import Database
from ..storage.records import Message
from .loop import Observe

logger = logging.getLogger(__name__)

FIRST_RETRY = 1.0  # seconds to wait after the first failed attempt; doubled with each attempt
LAST_RETRY = 600.0
SHORTEST_RETRY = 0.5
DAY = 86_400.0  # seconds

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
    """Return the seconds to wait after a failed attempt. The wait doubles with each attempt. A part of it is random."""
    return min(FIRST_RETRY * 2.0 ** min(attempt - 1, 30), LAST_RETRY) * random.uniform(0.5, 1.0)  # noqa: S311


def write_outbound(message: Message, now: datetime) -> OutboundMessage:
    """Convert a stored message to the form that a gateway gets."""
    left = (parse_time(message.expires_at) - now).total_seconds() if message.expires_at is not None else DAY
    return OutboundMessage(
        message.id, message.origin_number, message.to_number, message.body, message.attempts, max(left, 0.0)
    )


class GatewayCalls:
    """Calls one gateway.

    Some gateways accept only one call at a time. The method `deliver` calls such a gateway directly. For other
    gateways, each call runs in a separate thread. So if a call to the gateway is slow, only the messages in this call
    are delayed.
    """

    def __init__(
        self, database: Database, gateway: Gateway, clock: Clock, *, lease: timedelta, observe: Observe
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._lease = lease
        self._observe = observe
        self._lock = threading.Lock()  # for changes of _in_flight
        self._in_flight = 0  # messages without an outcome

    def is_calling(self) -> bool:
        """Return whether the gateway has messages without an outcome."""
        return self._in_flight > 0

    def count_places(self) -> int:
        """Return how many more messages the gateway can get now."""
        return self._gateway.limits.window - self._in_flight

    def deliver(self, jobs: Sequence[Message], finish: Callable[[MessageOutcome], None]) -> None:
        """Send the messages batch by batch. The caller must not have an open transaction."""
        limits = self._gateway.limits
        self._reserve(len(jobs))
        # A third of the lease remains for recording the outcomes, and another third is in reserve.
        deadline = monotonic() + self._lease.total_seconds() / 3
        for batch in (jobs[start : start + limits.batch] for start in range(0, len(jobs), limits.batch)):
            if self._database.stopping:
                for message in batch:
                    self._end(MessageOutcome(message, None, self._now()), finish)
            elif limits.calls == 1:
                self._send(batch, deadline, finish)
            else:
                thread = threading.Thread(
                    target=self._send, args=(batch, deadline, finish), name="gateway", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError as error:
                    logger.warning("%d messages wait, because no thread can be started: %s", len(batch), error)
                    for message in batch:
                        retry = Later(reason="no thread could be started")
                        self._end(self._conclude(message, retry), finish)

    def _end(self, outcome: MessageOutcome, finish: Callable[[MessageOutcome], None]) -> None:
        self._reserve(-1)
        finish(outcome)

    def _reserve(self, places: int) -> None:
        with self._lock:
            self._in_flight += places

    def _send(self, batch: Sequence[Message], deadline: float, finish: Callable[[MessageOutcome], None]) -> None:
        """Call the gateway with one batch of messages.

        If the gateway gives no outcome for a message, the message is in doubt.
        """
        begun = self._clock.monotonic()
        waiting = {message.id: message for message in batch}
        now = self._clock.now()
        outbound = [write_outbound(message, now) for message in batch]
        failure: Exception | None = None
        try:
            for message_id, outcome in self._gateway.send(outbound, deadline):
                name = OUTCOME_NAMES[type(outcome)]
                concluded = self._conclude(waiting[message_id], outcome)
                del waiting[message_id]
                self._observe(name, self._clock.monotonic() - begun)
                self._end(concluded, finish)
                begun = self._clock.monotonic()
        except Exception as error:
            failure = error
            if not waiting:
                logger.exception("The gateway raised an error after it had returned the outcomes of all messages")
        except BaseException:  # this thread will end without an outcome for these messages
            self._reserve(-len(waiting))
            raise
        for message in waiting.values():
            text = "Message %s: the gateway returned no outcome in attempt %d"
            logger.error(text, message.id, message.attempts, exc_info=failure, extra=_trace(message))
            failure = None  # one traceback is enough
            self._observe("unconfirmed", self._clock.monotonic() - begun)
            self._end(MessageOutcome(message, Doubt(), self._now()), finish)

    def _conclude(self, message: Message, outcome: Outcome) -> MessageOutcome:
        """Log the outcome of an attempt, and choose the time of the next attempt."""
        due_at = None
        attempt = message.id, message.attempts
        trace = _trace(message)
        match outcome:
            case Taken():
                logger.debug("Message %s: sent in attempt %d", *attempt, extra=trace)
            case Refused(error_type):
                number = mask_number(message.to_number)
                logger.info("Message %s to %s: refused, %s", message.id, number, error_type, extra=trace)
            case Later(pause=True, unsure=False):
                logger.info("Message %s: not sent, because the gateway is paused", message.id, extra=trace)
            case Later(retry_after):
                due_at = self._retry_time(message, retry_after)
                logger.info(
                    "Message %s: gateway unavailable in attempt %d, next attempt at %s", *attempt, due_at, extra=trace
                )
            case Doubt():
                logger.info("Message %s: in doubt after attempt %d", *attempt, extra=trace)
        return MessageOutcome(message, outcome, self._now(), due_at)

    def _now(self) -> str:
        return format_time(self._clock.now())

    def _retry_time(self, message: Message, retry_after: float | None) -> str:
        """Return the time of the next attempt. The latest possible time is the end of the validity period."""
        delay = retry_delay(message.attempts)
        if retry_after is not None:
            # The order of the arguments matters: if retry_after is NaN, the result is the shortest delay.
            delay = max(SHORTEST_RETRY, retry_after)
        now = self._clock.now()
        expires_at = message.expires_at or format_time(now)
        if delay >= (parse_time(expires_at) - now).total_seconds():
            return expires_at
        return format_time(now + timedelta(seconds=delay))


def _trace(message: Message) -> dict[str, str | None]:
    """Return the id of a message and the id of its request, as fields for the JSON log."""
    return {"message_id": message.id, "request_id": message.request_id}
