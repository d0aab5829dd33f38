"""The loop that posts to webhooks: takes due deliveries under a lease, posts them side by side, records the outcome.

Any number may run on one database, as with `dispatcher.py`. Each account has places of its own, so
that a receiver that hangs keeps nobody waiting but its own account.
"""

import logging
import random
import threading
import time
from collections import Counter, deque
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import NamedTuple

from . import webhook_store
from .clock import Clock, format_time, parse_time
from .db import Database
from .dispatcher import Observe
from .doorbell import Doorbell
from .errors import StoreUnavailable
from .posting import NotPosted, Resolve, post, resolve
from .webhook_store import DeliveryRow, WebhookAttempt
from .webhooks import sign

logger = logging.getLogger(__name__)

# Seconds to wait before each retry: about a day in all.
RETRIES = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
JITTER = 0.1
LEASE = timedelta(seconds=60)  # at least; a post takes 10 seconds and what it takes to resolve the name
# Posts under way: for one account, and in all. One whose receiver did not answer quickly the last time has
# a single place, and none of the last ones: however many are down or slow, the others find a place at once.
PLACES, ALL_PLACES = 4, 64
PLACES_IF_SLOW, ALL_PLACES_IF_SLOW = 1, 48
QUICK = 2_000  # milliseconds
GATHER = 0.01  # seconds in which more posts may end, to be recorded together
AFTER_FAULT = 1.0  # seconds to wait where the database can't be used


class _Leased(NamedTuple):
    """What is to be posted, and where."""

    delivery: DeliveryRow
    url: str
    secret: str


class _Finished(NamedTuple):
    """A post that has ended and is not yet recorded."""

    delivery: DeliveryRow
    attempt: WebhookAttempt

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return self.attempt.status is not None and 200 <= self.attempt.status < 300

    @property
    def quick(self) -> bool:
        """Whether the receiver answered soon, whatever it said."""
        return self.attempt.status is not None and self.attempt.took_ms < QUICK


class WebhookDispatcher:
    """One loop over one database; for one thread, which starts others for the posts."""

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        clock: Clock,
        *,
        lease: timedelta,
        grace: float,
        longest_nap: float,
        private_allowed: bool,
        resolve: Resolve = resolve,
        observe: Observe = lambda _outcome, _seconds: None,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._clock = clock
        self._lease = max(lease, LEASE)
        self._grace = grace
        self._longest_nap = longest_nap
        self._private_allowed = private_allowed
        self._resolve = resolve
        self._observe = observe
        self._under_way: Counter[int] = Counter()  # by account
        self._quick: set[int] = set()  # accounts whose receiver answered quickly the last time
        self._finished: deque[_Finished] = deque()  # filled by the threads that post
        self._unrecorded: list[_Finished] = []

    def run(self) -> None:
        """Post until the database is `stopping`; what is under way then is finished first, if it ends in time."""
        while not self._database.stopping:
            try:
                leased = self._record_and_lease()
                for one in leased:
                    self._start(one)
                if not leased:
                    self._doorbell.wait(max(self._seconds_to_next(), 0))
                    if self._finished:
                        time.sleep(GATHER)
            except StoreUnavailable as error:
                logger.warning("webhooks pause, the database can't be used: %s", error.__cause__)
                self._pause()
            except Exception:
                logger.exception("webhooks pause after an unexpected error")
                self._pause()
        self._finish()

    def deliver_due(self) -> int:
        """Post all that is due now, one after the other, and record it; return how many posts that took."""
        posts = 0
        while leased := self._record_and_lease():
            for one in leased:
                self._post(*one)
            posts += len(leased)
        return posts

    def _finish(self) -> None:
        end = time.monotonic() + self._grace
        try:
            while self._under_way.total() and time.monotonic() < end:
                if not self._finished:
                    self._doorbell.wait(0.05)
                self._record_and_lease()
        except StoreUnavailable as error:
            logger.warning("outcomes not recorded, they are posted again: %s", error.__cause__)

    def _pause(self) -> None:
        end = time.monotonic() + AFTER_FAULT
        while not self._database.stopping and time.monotonic() < end:
            time.sleep(0.05)

    # Taking and recording

    def _seconds_to_next(self) -> float:
        """Return when to look again: negative where something is due for which there is a place."""
        with self._database.reading() as connection:
            accounts = webhook_store.list_due_accounts(connection)
        waiting = [due.due_at for due in accounts if due.due_at is not None and self._free_places(due.account_id)]
        if not waiting:
            return self._longest_nap
        return min((parse_time(waiting[0]) - self._clock.now()).total_seconds(), self._longest_nap)

    def _free_places(self, account_id: int, leased: int = 0) -> int:
        """Return how many more posts may be under way for an account, beside those that are just being leased."""
        quick = account_id in self._quick
        places, all_places = (PLACES, ALL_PLACES) if quick else (PLACES_IF_SLOW, ALL_PLACES_IF_SLOW)
        return max(0, min(places - self._under_way[account_id], all_places - self._under_way.total() - leased))

    def _record_and_lease(self) -> list[_Leased]:
        """Record the posts that have ended and take up what is due, in one transaction, if there is anything."""
        while self._finished:
            finished = self._finished.popleft()
            account_id = finished.delivery.account_id
            self._under_way[account_id] -= 1
            (self._quick.add if finished.quick else self._quick.discard)(account_id)
            self._unrecorded.append(finished)
        if not self._unrecorded and (self._database.stopping or self._seconds_to_next() > 0):
            return []
        leased = self._database.write(self._exchange)
        self._unrecorded.clear()
        self._under_way.update(one.delivery.account_id for one in leased)
        return leased

    def _exchange(self, connection: Connection) -> list[_Leased]:
        now = self._clock.now()
        for finished in self._unrecorded:
            self._record(connection, finished, now)
        return [] if self._database.stopping else self._lease_due(connection, now)

    def _lease_due(self, connection: Connection, clock_now: datetime) -> list[_Leased]:
        now, until = format_time(clock_now), format_time(clock_now + self._lease)
        leased: list[_Leased] = []
        for account_id, url, secret, due_at in webhook_store.list_due_accounts(connection):
            free = self._free_places(account_id, len(leased))
            if due_at is not None and due_at <= now and free > 0:
                leased += [
                    _Leased(delivery, url, secret)
                    for delivery in webhook_store.lease_deliveries(
                        connection, account_id=account_id, now=now, until=until, limit=free
                    )
                ]
        return leased

    def _record(self, connection: Connection, finished: _Finished, clock_now: datetime) -> None:
        delivery, now = finished.delivery, format_time(clock_now)
        webhook_store.insert_attempt(connection, delivery_id=delivery.id, attempt=finished.attempt)
        if finished.delivered:
            settled = webhook_store.mark_delivered(connection, delivery=delivery, now=now)
        elif delivery.retries < len(RETRIES):
            delay = RETRIES[delivery.retries] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            again_at = format_time(clock_now + timedelta(seconds=delay))
            webhook_store.reschedule(connection, delivery=delivery, again_at=again_at)
            settled = False
        else:
            settled = webhook_store.mark_failed(connection, delivery=delivery, now=now)
        if settled and delivery.message_id is not None:
            webhook_store.settle_received(
                connection,
                message_id=delivery.message_id,
                error_type=None if finished.delivered else "webhook_failed",
                now=now,
            )

    # Posting

    def _start(self, leased: _Leased) -> None:
        """Post in a thread of its own; where none can be had, that is the attempt's fault."""
        try:
            threading.Thread(target=self._post, args=leased, name="webhook", daemon=True).start()
        except RuntimeError as error:
            logger.warning("webhook %s, attempt %d: %s", *_name(leased.delivery), error)
            at, fault = format_time(self._clock.now()), "the server had no thread left to post with"
            attempt = WebhookAttempt(leased.delivery.attempts, at, 0, None, None, fault)
            self._finished.append(_Finished(leased.delivery, attempt))

    def _post(self, delivery: DeliveryRow, url: str, secret: str) -> None:
        """Post one delivery, with no transaction open, and leave the outcome to the loop."""
        at, begun = self._clock.now(), self._clock.monotonic()
        status, answer, error = None, None, None
        try:
            status, answer = self._send(delivery, url, secret, at)
        except NotPosted as failure:
            error = str(failure)
        except Exception:
            logger.exception("webhook %s: posting failed in an unexpected way, attempt %d", *_name(delivery))
            error = "an unexpected error, which has been logged"
        seconds = self._clock.monotonic() - begun
        took_ms = round(seconds * 1000)
        attempt = WebhookAttempt(delivery.attempts, format_time(at), took_ms, status, answer, error)
        finished = _Finished(delivery, attempt)
        level = logging.DEBUG if finished.delivered else logging.INFO
        logger.log(level, "webhook %s, attempt %d: %s", *_name(delivery), error or status)
        self._finished.append(finished)
        self._doorbell.ring()
        self._observe(str(status) if status is not None else "no answer", seconds)

    def _send(self, delivery: DeliveryRow, url: str, secret: str, at: datetime) -> tuple[int, str]:
        timestamp = int(at.timestamp())
        return post(
            url,
            delivery.payload.encode(),
            {
                "Content-Type": "application/json",
                "User-Agent": "Phonify",
                "webhook-id": delivery.id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(
                    secret, delivery_id=delivery.id, timestamp=timestamp, payload=delivery.payload
                ),
            },
            private_allowed=self._private_allowed,
            resolve=self._resolve,
        )


def _name(delivery: DeliveryRow) -> tuple[str, int]:
    return delivery.id, delivery.attempts
