"""Delivers webhook events: claims due events, posts them in parallel, records the answers.

Each account has its own limit of parallel posts, so a receiver that hangs delays only its own account.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from ..clock import Clock, format_time, parse_time
from ..domain.webhooks import sign
from ..outgoing.http_client import NotPosted, post
from ..outgoing.url_guard import Resolve, resolve
from ..storage import runs as run_store
from ..storage import webhooks as webhook_store
from ..storage.database import Connection, Database
from ..storage.records import Delivery, WebhookAttempt
from .loop import Observe

logger = logging.getLogger(__name__)

# Seconds to wait before each retry: about a day in all.
RETRIES = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
JITTER = 0.1
LEASE = timedelta(seconds=60)  # at least: a post takes up to 10 seconds, plus the time to resolve the name
# Parallel posts: for one account, and in all. If an account's receiver did not answer quickly the last time, it gets
# one post at a time, and none of the last places. So slow receivers never use up the places of the others.
PLACES, ALL_PLACES = 4, 64
PLACES_IF_SLOW, ALL_PLACES_IF_SLOW = 1, 48
QUICK = 2_000  # milliseconds


class WebhookJob(NamedTuple):
    """An event to be posted, and the webhook that it goes to."""

    delivery: Delivery
    url: str
    secret: str


class WebhookOutcome(NamedTuple):
    """The result of a post."""

    delivery: Delivery
    attempt: WebhookAttempt

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted the event."""
        return self.attempt.status is not None and 200 <= self.attempt.status < 300

    @property
    def quick(self) -> bool:
        """Whether the receiver answered quickly, with any status."""
        return self.attempt.status is not None and self.attempt.took_ms < QUICK


class WebhookDelivery:
    """What the loop does for webhooks. Each post has a thread of its own."""

    name = "webhooks"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lease: timedelta,
        private_allowed: bool,
        resolve: Resolve = resolve,
        observe: Observe = lambda _outcome, _seconds: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease = max(lease, LEASE)
        self._private_allowed = private_allowed
        self._resolve = resolve
        self._observe = observe
        self._lock = threading.Lock()  # guards _under_way and _quick
        self._under_way: Counter[int] = Counter()  # by account
        self._quick: set[int] = set()  # accounts whose receiver answered quickly the last time

    def seconds_to_next(self) -> float:
        """Return the seconds until an event is due and may be posted."""
        with self._database.reading() as connection:
            webhooks = webhook_store.list_due_webhooks(connection)
        waiting = [due.due_at for due in webhooks if due.due_at is not None and self._count_free_places(due.account_id)]
        return (parse_time(waiting[0]) - self._clock.now()).total_seconds() if waiting else float("inf")

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return the owners that have events leased."""
        return webhook_store.list_lease_owners(connection)

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner."""
        webhook_store.end_leases(connection, owner=owner)

    def _count_free_places(self, account_id: int, claimed: int = 0) -> int:
        """Return how many more posts an account may have in parallel, besides those that are being claimed."""
        with self._lock:
            quick = account_id in self._quick
            places, all_places = (PLACES, ALL_PLACES) if quick else (PLACES_IF_SLOW, ALL_PLACES_IF_SLOW)
            return max(0, min(places - self._under_way[account_id], all_places - self._under_way.total() - claimed))

    def claim(self, connection: Connection, owner: str) -> list[WebhookJob]:
        """Lease due events, up to the limits of parallel posts."""
        clock_now = self._clock.now()
        now, until = format_time(clock_now), format_time(clock_now + self._lease)
        claimed: list[WebhookJob] = []
        for account_id in run_store.list_ended_accounts(connection, now=now):
            webhook_store.delete_webhook(connection, account_id=account_id)
        for account_id, url, secret, due_at in webhook_store.list_due_webhooks(connection):
            free = self._count_free_places(account_id, len(claimed))
            if due_at is not None and due_at <= now and free > 0:
                deliveries = webhook_store.lease_deliveries(
                    connection, account_id=account_id, owner=owner, now=now, until=until, limit=free
                )
                claimed += [WebhookJob(delivery, url, secret) for delivery in deliveries]
        return claimed

    def record(self, connection: Connection, outcomes: Sequence[WebhookOutcome]) -> None:
        """Record outcomes: delivered, retried later, or given up."""
        for outcome in outcomes:
            self._record(connection, outcome)

    def _record(self, connection: Connection, outcome: WebhookOutcome) -> None:
        delivery, clock_now = outcome.delivery, self._clock.now()
        now = format_time(clock_now)
        webhook_store.insert_attempt(connection, delivery_id=delivery.id, attempt=outcome.attempt)
        if outcome.delivered:
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
                error_type=None if outcome.delivered else "webhook_failed",
                now=now,
            )

    # Posting

    def deliver(self, jobs: Sequence[WebhookJob], finish: Callable[[WebhookOutcome], None]) -> None:
        """Post each event in its own thread. If no thread can be started, the attempt has failed."""
        for job in jobs:
            with self._lock:
                self._under_way[job.delivery.account_id] += 1
            try:
                threading.Thread(target=self._post, args=(job, finish), name="webhook", daemon=True).start()
            except RuntimeError as error:
                logger.warning("webhook %s, attempt %d: %s", *_name(job.delivery), error)
                at, fault = format_time(self._clock.now()), "the server had no thread left to post with"
                self._end(job, WebhookAttempt(job.delivery.attempts, at, 0, None, None, fault), finish)

    def _post(self, job: WebhookJob, finish: Callable[[WebhookOutcome], None]) -> None:
        """Post one event, with no transaction open."""
        delivery = job.delivery
        at, begun = self._clock.now(), self._clock.monotonic()
        status, answer, error = None, None, None
        try:
            status, answer = self._send(job, int(at.timestamp()))
        except NotPosted as failure:
            error = str(failure)
        except Exception:
            logger.exception("webhook %s: posting failed unexpectedly, attempt %d", *_name(delivery))
            error = "an unexpected error, which has been logged"
        seconds = self._clock.monotonic() - begun
        attempt = WebhookAttempt(delivery.attempts, format_time(at), round(seconds * 1000), status, answer, error)
        self._observe(str(status) if status is not None else "no answer", seconds)
        self._end(job, attempt, finish)

    def _end(self, job: WebhookJob, attempt: WebhookAttempt, finish: Callable[[WebhookOutcome], None]) -> None:
        outcome = WebhookOutcome(job.delivery, attempt)
        account_id = job.delivery.account_id
        level = logging.DEBUG if outcome.delivered else logging.INFO
        logger.log(level, "webhook %s, attempt %d: %s", *_name(job.delivery), attempt.error or attempt.status)
        with self._lock:
            self._under_way[account_id] -= 1
            if outcome.quick:
                self._quick.add(account_id)
            else:
                self._quick.discard(account_id)
        finish(outcome)

    def _send(self, job: WebhookJob, timestamp: int) -> tuple[int, str]:
        payload = job.delivery.payload
        signature = sign(job.secret, delivery_id=job.delivery.id, timestamp=timestamp, payload=payload)
        return post(
            job.url,
            payload.encode(),
            {
                "Content-Type": "application/json",
                "User-Agent": "Phonify",
                "webhook-id": job.delivery.id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature,
            },
            private_allowed=self._private_allowed,
            resolve=self._resolve,
        )


def _name(delivery: Delivery) -> tuple[str, int]:
    return delivery.id, delivery.attempts
