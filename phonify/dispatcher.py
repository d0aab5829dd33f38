"""The loop that delivers: takes due messages under a lease, calls the gateway, records the outcome.

Any number of dispatchers may run on one database, in any process. What one has leased no other
touches until the lease ends; what a crash left is taken up then.
"""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Literal

from . import store, subscription_store, webhook_store
from .clock import Clock, format_time, parse_time
from .db import Database
from .doorbell import Doorbell
from .errors import StoreUnavailable
from .gateways.base import Gateway, OutboundMessage, Rejected, Unavailable, Unconfirmed
from .numbers import mask_number
from .store import Attempt, Message, MessageAttempt, Outcome
from .webhooks import Webhooks

logger = logging.getLogger(__name__)

Observe = Callable[[str, float], None]  # told of each attempt: its outcome and how many seconds it took

# Messages leased at once; one, where a crash in the middle of a batch would leave those in doubt that
# were not handed over at all.
BATCH = 300
# Where messages come one after another it waits so many seconds for more, and goes on doing so where
# there were more than so many: fewer, larger transactions leave the database to those who send.
GATHER = 0.1
FLOW = 10
FIRST_RETRY = 1.0  # seconds; doubled with each attempt
LAST_RETRY = 600.0
SHORTEST_RETRY = 0.5
AFTER_FAULT = 1.0  # seconds to wait where the database can't be used
CLEANING_INTERVAL = 60.0


@dataclass
class _Outcomes:
    """What became of leased messages and is not yet recorded."""

    sent: list[Attempt]
    failed: dict[str, list[Attempt]]  # by error type
    retried: list[tuple[Attempt, str]]  # and when
    doubtful: list[Attempt]
    untouched: list[Attempt]
    notes: list[MessageAttempt]  # on those that were not simply taken

    @classmethod
    def none(cls) -> "_Outcomes":
        return cls([], defaultdict(list), [], [], [], [])

    def __len__(self) -> int:
        failed = sum(map(len, self.failed.values()))
        return len(self.sent) + failed + len(self.retried) + len(self.doubtful) + len(self.untouched)


def retry_delay(attempt: int) -> float:
    """Return seconds to wait after a failed attempt: exponential, with jitter so that retries spread."""
    return min(FIRST_RETRY * 2.0 ** min(attempt - 1, 30), LAST_RETRY) * random.uniform(0.5, 1.0)  # noqa: S311


class Dispatcher:
    """One loop over one database; for one thread."""

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        gateway: Gateway,
        clock: Clock,
        webhooks: Webhooks,
        *,
        lease: timedelta,
        longest_nap: float,
        clean: Callable[[], None] = lambda: None,
        observe: Observe = lambda _outcome, _seconds: None,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._gateway = gateway
        self._clock = clock
        self._webhooks = webhooks
        self._lease = lease
        self._longest_nap = longest_nap
        self._clean = clean
        self._observe = observe
        self._outcomes = _Outcomes.none()
        self._cleaned_at: float | None = None  # by the clock that does not go back
        self._latest = clock.now()  # time of day that was seen
        self._batch = BATCH if gateway.repeatable else 1
        self.handed_over = 0  # how many times the gateway was called

    def run(self) -> None:
        """Deliver until the database is `stopping`; what is in hand then is finished first."""
        gathers = False
        while not self._database.stopping:
            try:
                self._clean_sometimes()
                flows = bool(self._outcomes)
                if not self.step():
                    self._doorbell.wait(max(self._seconds_to_next(), 0))
                found = len(self._outcomes)
                gathers = flows and (FLOW if gathers else 0) < found < self._batch
                if gathers:
                    time.sleep(GATHER)
            except StoreUnavailable as error:
                logger.warning("delivery pauses, the database can't be used: %s", error.__cause__)
                self._pause()
            except Exception:
                logger.exception("delivery pauses after an unexpected error")
                self._pause()
        try:
            self._record_and_lease()
        except StoreUnavailable as error:
            logger.warning("outcomes not recorded, the lease will show it: %s", error.__cause__)

    def deliver_due(self) -> int:
        """Deliver all messages that are due now; return how many times one was handed to the gateway."""
        before = self.handed_over
        while self.step():
            pass
        return self.handed_over - before

    def step(self) -> bool:
        """Record what the last step did and deliver the next batch; False where there was nothing to do."""
        if not self._outcomes and not self._is_due():
            return False
        begun = self._clock.monotonic()
        self._send_all(self._record_and_lease(), begun)
        return True

    def _clean_sometimes(self) -> None:
        now = self._clock.monotonic()
        if self._cleaned_at is None or now - self._cleaned_at > CLEANING_INTERVAL:
            self._cleaned_at = now
            try:
                self.follow_clock()
                self._clean()
            except StoreUnavailable as error:
                logger.warning("what is old stays for another minute, it can't be reached: %s", error.__cause__)
        before, self._latest = self._latest, self._clock.now()
        if self._latest < before:
            self.follow_clock()

    def follow_clock(self) -> None:
        """Take up what waits for a time that is far off only because the clock has been set back since."""
        clock_now = self._clock.now()
        now, until = format_time(clock_now), format_time(clock_now + self._lease)
        with self._database.reading() as connection:
            behind = store.has_messages_from_future(connection, now=until) or webhook_store.has_deliveries_from_future(
                connection, now=until
            )
        if not behind:
            return

        def work(connection: Connection) -> int:
            messages = store.take_up_messages_from_future(connection, now=now, until=until)
            return messages + webhook_store.take_up_deliveries_from_future(connection, now=now)

        logger.warning(
            "the clock has been set back: %d messages and webhooks no longer wait", self._database.write(work)
        )

    def _is_due(self) -> bool:
        return self._seconds_to_next() <= 0 and not self._database.stopping

    def _seconds_to_next(self) -> float:
        with self._database.reading() as connection:
            due_at = store.next_due_at(connection)
        if due_at is None:
            return self._longest_nap
        return min((parse_time(due_at) - self._clock.now()).total_seconds(), self._longest_nap)

    def _record_and_lease(self) -> list[Message]:
        """Record the outcomes at hand and lease the next messages, in one transaction."""
        outcomes = self._outcomes
        leased, hooked = self._database.write(lambda connection: self._exchange(connection, outcomes))
        self._outcomes = _Outcomes.none()
        if hooked:
            self._webhooks.wake()
        return leased

    def _exchange(self, connection: Connection, outcomes: _Outcomes) -> tuple[list[Message], bool]:
        """Return what was leased, and whether there are webhooks that may have something to tell."""
        now = self._clock.now()
        hooked = webhook_store.has_webhooks(connection)
        self._record(connection, outcomes, now, hooked=hooked)
        leased = [] if self._database.stopping else self._lease_due(connection, now, hooked=hooked)
        return leased, hooked

    def _record(self, connection: Connection, outcomes: _Outcomes, clock_now: datetime, *, hooked: bool) -> None:
        now = format_time(clock_now)
        if outcomes.sent:
            sent = store.mark_sent(connection, attempts=outcomes.sent, now=now, returning=hooked)
            self._webhooks.enqueue(connection, "message.sent", sent, clock_now)
        for error_type, attempts in outcomes.failed.items():
            failed = store.mark_error(connection, attempts=attempts, error_type=error_type, now=now, returning=hooked)
            self._webhooks.enqueue(connection, "message.error", failed, clock_now)
        for attempt, due_at in outcomes.retried:
            store.reschedule(connection, attempt=attempt, due_at=due_at)
        if outcomes.doubtful:
            store.await_validity(connection, attempts=outcomes.doubtful)
        if outcomes.notes:
            store.insert_message_attempts(connection, attempts=outcomes.notes)
        if outcomes.untouched:
            store.give_back(connection, attempts=outcomes.untouched, now=now)

    def _lease_due(self, connection: Connection, clock_now: datetime, *, hooked: bool) -> list[Message]:
        now = format_time(clock_now)
        leased, doubtful = [], []
        failed: defaultdict[str, list[Attempt]] = defaultdict(list)  # by error type
        due = store.list_due_messages(connection, now=now, limit=self._batch)
        opted_out = self._list_opted_out(connection, due)
        for message in due:
            if message.expires_at is not None and message.expires_at <= now:
                failed["validity_expired"].append(Attempt(message.id, message.attempts))
            elif message.submitted_at is not None and not self._gateway.repeatable:
                # Handed over once, and the lease ran out before anyone said what came of it.
                doubtful.append(Attempt(message.id, message.attempts))
            elif message.id in opted_out:
                failed["opted_out"].append(Attempt(message.id, message.attempts))
            else:
                leased.append(message._replace(attempts=message.attempts + 1))
        for error_type, attempts in failed.items():
            ended = store.mark_error(connection, attempts=attempts, error_type=error_type, now=now, returning=hooked)
            self._webhooks.enqueue(connection, "message.error", ended, clock_now)
        if doubtful:
            store.await_validity(connection, attempts=doubtful)
            notes = [MessageAttempt(*attempt, now, "unconfirmed") for attempt in doubtful]
            store.insert_message_attempts(connection, attempts=notes)
        if leased:
            store.lease_messages(
                connection,
                ids=[message.id for message in leased],
                now=now,
                until=format_time(clock_now + self._lease),
            )
        return leased

    def _list_opted_out(self, connection: Connection, due: Sequence[Message]) -> set[str]:
        """Return the ids of messages whose recipients have opted out since they were accepted.

        Not those that were accepted although the recipient had: the answers to STOP and HELP.
        """
        if not due or not subscription_store.has_opt_outs(connection):
            return set()
        times = subscription_store.list_opt_out_times(
            connection, phones={(message.account_id, message.to_number) for message in due}
        )
        return {
            message.id
            for message in due
            if (since := times.get((message.account_id, message.to_number))) is not None
            and (message.send_at is not None or message.created_at <= since)
        }

    def _send_all(self, messages: list[Message], begun: float) -> None:
        """Call the gateway for each message, with no transaction open."""
        # A third of the lease is left to one call, a third to recording it.
        give_up = begun + self._lease.total_seconds() / 3
        for message in messages:
            attempt = Attempt(message.id, message.attempts)
            if self._database.stopping or self._clock.monotonic() > give_up:
                self._outcomes.untouched.append(attempt)
                continue
            self.handed_over += 1
            self._send(message, attempt)

    def _send(self, message: Message, attempt: Attempt) -> None:
        begun = self._clock.monotonic()
        outcome: Outcome | Literal["sent"] = "sent"
        trace = {"message_id": message.id, "request_id": message.request_id}
        try:
            self._gateway.send(
                OutboundMessage(message.id, message.origin_number, message.to_number, message.body, message.attempts)
            )
        except Rejected as rejected:
            outcome = "rejected"
            self._outcomes.failed[rejected.error_type].append(attempt)
            self._note(attempt, outcome)
            number = mask_number(message.to_number)
            logger.info("message %s to %s: %s", message.id, number, rejected.error_type, extra=trace)
        except Unavailable as unavailable:
            outcome = "unavailable"
            due_at = self._retry_time(message, unavailable.retry_after)
            self._outcomes.retried.append((attempt, due_at))
            self._note(attempt, outcome, due_at)
            logger.info("message %s: gateway unavailable, attempt %d, again at %s", *attempt, due_at, extra=trace)
        except Unconfirmed:
            outcome = "unconfirmed"
            self._outcomes.doubtful.append(attempt)
            self._note(attempt, outcome)
            logger.info("message %s: not confirmed, attempt %d", *attempt, extra=trace)
        except Exception:
            outcome = "unconfirmed"
            self._outcomes.doubtful.append(attempt)
            self._note(attempt, outcome)
            logger.exception("message %s: the gateway failed in an unexpected way, attempt %d", *attempt, extra=trace)
        else:
            self._outcomes.sent.append(attempt)
            logger.debug("message %s: sent, attempt %d", *attempt, extra=trace)
        self._observe(outcome, self._clock.monotonic() - begun)

    def _note(self, attempt: Attempt, outcome: Outcome, due_at: str | None = None) -> None:
        at = format_time(self._clock.now())
        self._outcomes.notes.append(MessageAttempt(*attempt, at, outcome, due_at))

    def _retry_time(self, message: Message, retry_after: float | None) -> str:
        """Return when to try again: not at once, whatever the gateway says, and not after the validity period."""
        delay = retry_delay(message.attempts)
        if retry_after is not None:
            # In this order what is no number at all counts as the shortest.
            delay = max(SHORTEST_RETRY, retry_after)
        now = self._clock.now()
        expires_at = message.expires_at or format_time(now)
        if delay >= (parse_time(expires_at) - now).total_seconds():
            return expires_at
        return format_time(now + timedelta(seconds=delay))

    def _pause(self) -> None:
        end = self._clock.monotonic() + AFTER_FAULT
        while not self._database.stopping and self._clock.monotonic() < end:
            time.sleep(0.05)
