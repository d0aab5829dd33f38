"""Delivers webhook events: claims due deliveries, posts them in parallel, and records the answers.

For each account, the number of parallel HTTP requests is limited. So a slow app delays only the events of its own
account.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from ..clock import Clock, format_time, seconds_until
from ..domain.webhook_kinds import Result, Target, Verdict
from ..domain.webhooks import Webhooks
from ..logs import escape_controls
from ..outgoing.http_client import Answer, NotAnswered, send
from ..outgoing.url_guard import Resolve, resolve
from ..storage import deliveries as delivery_store
from ..storage.database import Connection, Database
from ..storage.records import Delivery, WebhookAttempt
from ..storage.savepoint import PartFailed, isolating
from .loop import Observe

logger = logging.getLogger(__name__)

# The shortest possible lease. An HTTP post takes up to 15 seconds, plus the time to resolve the host name.
LEASE = timedelta(seconds=60)
MOST_SHOWN = 2_048  # how many characters of an answer are stored
MOST_ERROR = 500  # how many characters of an error are stored
_UNEXPECTED = "an unexpected error, which has been logged"
# The limits of parallel posts: for one account, and for all accounts together. The limits `..._IF_SLOW`
# apply to an account if the latest answer of its app was slow, or if there was no answer. So slow apps can't use all
# places.
PLACES, ALL_PLACES = 4, 64
PLACES_IF_SLOW, ALL_PLACES_IF_SLOW = 1, 48
QUICK = 2_000  # milliseconds


class WebhookJob(NamedTuple):
    """A delivery that the loop has claimed. `target` is the receiver."""

    delivery: Delivery
    target: Target | None  # None: the target was removed


class WebhookOutcome(NamedTuple):
    """The outcome of one attempt. `attempt` is the record for the database."""

    result: Result
    attempt: WebhookAttempt


class WebhookDelivery:
    """Delivers webhook events. The delivery loop calls these methods. Each HTTP post runs in a separate thread."""

    name = "webhooks"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        webhooks: Webhooks,
        *,
        lease: timedelta,
        resolve: Resolve = resolve,
        observe: Observe = lambda _outcome, _seconds: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._lease = max(lease, LEASE)
        self._resolve = resolve
        self._observe = observe
        self._lock = threading.Lock()  # guards _under_way and _quick
        self._under_way: Counter[int] = Counter()  # for each account, the number of unfinished posts
        self._quick: set[int] = set()  # accounts whose app answered the latest post in less than QUICK

    def seconds_to_next(self) -> float:
        """Return the number of seconds until a delivery is due or a lease ends. See `seconds_to_due`."""
        with self._database.reading() as connection:
            lease_ends_at = delivery_store.next_lease_end(connection)
        return min(self.seconds_to_due(), seconds_until(lease_ends_at, self._clock.machine_now()))

    def seconds_to_due(self) -> float:
        """Return the seconds until a delivery is due.

        The method ignores an account if no more HTTP requests for this account can begin now.
        """
        machine_now = format_time(self._clock.machine_now())
        with self._database.reading() as connection:
            accounts = delivery_store.list_due_accounts(connection, machine_now=machine_now)
        waiting = [due_at for account_id, due_at in accounts if self._count_free_places(account_id)]
        return seconds_until(waiting[0] if waiting else None, self._clock.now())

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return the id of each owner that has a lease on a webhook delivery."""
        return delivery_store.list_lease_owners(connection)

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner."""
        delivery_store.end_leases(connection, owner=owner)

    def _count_free_places(self, account_id: int, claimed: int = 0) -> int:
        """Return how many more HTTP requests for this account can begin now.

        `claimed` is the number of deliveries that are claimed but not posted yet.
        """
        with self._lock:
            quick = account_id in self._quick
            places, all_places = (PLACES, ALL_PLACES) if quick else (PLACES_IF_SLOW, ALL_PLACES_IF_SLOW)
            return max(0, min(places - self._under_way[account_id], all_places - self._under_way.total() - claimed))

    def claim(self, connection: Connection, owner: str) -> list[WebhookJob]:
        """Claim deliveries that are due, and return a job for each claimed delivery. `owner` holds the leases.

        Each claimed delivery occupies one place of the loop. Therefore, the number of free places limits the number of
        claimed deliveries. See `_count_free_places`.
        """
        now, machine = format_time(self._clock.now()), self._clock.machine_now()
        machine_now, until = format_time(machine), format_time(machine + self._lease)
        delivery_store.end_expired_leases(connection, machine_now=machine_now)
        claimed: list[WebhookJob] = []
        for account_id, due_at in delivery_store.list_due_accounts(connection, machine_now=machine_now):
            free = self._count_free_places(account_id, len(claimed))
            if due_at <= now and free > 0:
                deliveries = delivery_store.lease_deliveries(
                    connection, account_id=account_id, owner=owner, now=now, until=until, limit=free
                )
                claimed += [WebhookJob(one, self._find_target(connection, one)) for one in deliveries]
        return claimed

    def _find_target(self, connection: Connection, delivery: Delivery) -> Target | None:
        kind = self._webhooks.kinds.get(delivery.kind)
        return kind.find_target(connection, delivery) if kind is not None else None

    def record(self, connection: Connection, outcomes: Sequence[WebhookOutcome]) -> None:
        """Record the outcomes of attempts.

        If an outcome is final, end the delivery. Otherwise, set the time of the next attempt. If an outcome can't be
        recorded because of an unexpected error, the delivery fails.
        """
        for outcome in outcomes:
            try:
                with isolating(connection):
                    self._record(connection, outcome)
            except PartFailed as error:
                delivery, now = outcome.result.delivery, format_time(self._clock.now())
                logger.exception("webhook %s: the outcome can't be recorded", delivery.id, exc_info=error.__cause__)
                attempt = outcome.attempt._replace(error=_UNEXPECTED)
                delivery_store.insert_attempt(connection, delivery_id=delivery.id, attempt=attempt)
                self._end_delivery(connection, delivery, now, delivered=False)

    def _record(self, connection: Connection, outcome: WebhookOutcome) -> None:
        result, clock_now = outcome.result, self._clock.now()
        delivery, now = result.delivery, format_time(clock_now)
        kind = self._webhooks.kinds.get(delivery.kind)
        delivery_store.insert_attempt(connection, delivery_id=delivery.id, attempt=outcome.attempt)
        if not result.verdict.accepted:
            delay = kind.choose_delay(result) if kind is not None else None
            if delay is not None:
                again_at = format_time(clock_now + timedelta(seconds=delay))
                delivery_store.reschedule(connection, delivery=delivery, again_at=again_at)
                return
        ended = self._end_delivery(connection, delivery, now, delivered=result.verdict.accepted)
        if ended and kind is not None:
            kind.conclude(connection, result, clock_now)

    def _end_delivery(self, connection: Connection, delivery: Delivery, now: str, *, delivered: bool) -> bool:
        """End a delivery. Phonify can then post the next delivery of the same sequence.

        Returns False in two cases: the delivery has already ended, or another process has leased the delivery.
        """
        mark = delivery_store.mark_delivered if delivered else delivery_store.mark_failed
        ended = mark(connection, delivery=delivery, now=now)
        if ended and delivery.sequence is not None:
            delivery_store.release_next(connection, sequence=delivery.sequence, now=now)
        return ended

    # Posting

    def deliver(self, jobs: Sequence[WebhookJob], finish: Callable[[WebhookOutcome], None]) -> None:
        """Post each delivery to its URL, in a separate thread. If a thread can't be started, the attempt fails."""
        for job in jobs:
            with self._lock:
                self._under_way[job.delivery.account_id] += 1
            try:
                threading.Thread(target=self._post, args=(job, finish), name="webhook", daemon=True).start()
            except RuntimeError as error:
                logger.warning("webhook %s, attempt %d: %s", *_name(job.delivery), error)
                failure = NotAnswered("the server could not start a thread for this post")
                result = Result(job.delivery, job.target, None, failure, Verdict(accepted=False, error=str(failure)))
                self._end(result, format_time(self._clock.now()), 0, finish)

    def _post(self, job: WebhookJob, finish: Callable[[WebhookOutcome], None]) -> None:
        """Send one delivery as an HTTP request. No transaction is open during this request."""
        delivery = job.delivery
        at, begun = format_time(self._clock.now()), self._clock.monotonic()
        answer, failure = None, None
        try:
            answer = self._send(delivery, job.target)
            verdict = self._webhooks.kinds[delivery.kind].judge(delivery, answer)
        except NotAnswered as reason:
            failure, verdict = reason, Verdict(accepted=False, error=str(reason))
        except Exception:
            logger.exception("webhook %s: posting failed unexpectedly, attempt %d", *_name(delivery))
            verdict = Verdict(accepted=False, error=_UNEXPECTED)
        seconds = self._clock.monotonic() - begun
        self._observe(str(answer.status) if answer is not None else "no answer", seconds)
        self._end(Result(delivery, job.target, answer, failure, verdict), at, seconds, finish)

    def _send(self, delivery: Delivery, target: Target | None) -> Answer:
        """Send a delivery to the app and return the answer. Raises NotAnswered if there is no answer."""
        if target is None:
            raise NotAnswered("the URL of this webhook was removed")
        request = self._webhooks.kinds[delivery.kind].build_request(delivery, target, self._clock.machine_now())
        return send(request, private_allowed=self._webhooks.private_allowed, resolve=self._resolve)

    def _end(self, result: Result, at: str, seconds: float, finish: Callable[[WebhookOutcome], None]) -> None:
        """Record that an HTTP request has ended, and call `finish` with the outcome of this request.

        `at` is the time when the HTTP request began.
        """
        delivery, answer, error = result.delivery, result.answer, result.verdict.error
        status, text = (answer.status, answer.text[:MOST_SHOWN]) if answer is not None else (None, None)
        # The error can contain a part of the app's answer. This answer can contain any characters.
        if error is not None:
            error = escape_controls(error)[:MOST_ERROR]
        attempt = WebhookAttempt(delivery.attempts, at, round(seconds * 1000), status, text, error)
        level = logging.DEBUG if result.verdict.accepted else logging.INFO
        logger.log(level, "webhook %s, attempt %d: %s", *_name(delivery), error or status)
        with self._lock:
            self._under_way[delivery.account_id] -= 1
            if answer is not None and attempt.took_ms < QUICK:
                self._quick.add(delivery.account_id)
            else:
                self._quick.discard(delivery.account_id)
        finish(WebhookOutcome(result, attempt))


def _name(delivery: Delivery) -> tuple[str, int]:
    return delivery.id, delivery.attempts
