"""The delivery loop. The loop claims due rows, delivers them, and records the outcomes. A row is a message or an event.

Several loops can run on one database, in different processes. A loop leases the rows that it claims. A lease protects
the row from other loops. Another loop can claim the row in two cases: the lease has ended, or the process that holds
the lease has stopped.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from ..clock import monotonic, sleep
from ..errors import StoreUnavailable
from ..storage.database import Connection, Database
from ..storage.process_lock import Owner
from ..storage.wakeup import Wakeup

logger = logging.getLogger(__name__)

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

Observe = Callable[[str, float], None]  # gets the outcome and the duration in seconds of each attempt

TAKE_OVER_INTERVAL = 0.5  # seconds between two searches for owners whose process has ended
GATHER = 0.02  # seconds to wait for more outcomes and due rows, so that one transaction handles them together
AFTER_FAULT = 1.0  # seconds to wait if the database can't be used


class Delivery(Protocol[Job, Outcome]):
    """An object that delivers messages or webhook events. The loop calls all methods in its own thread.

    `claim`, `record` and `end_leases` get a connection with an open transaction. `list_owners` gets a connection for
    reading.
    """

    name: str

    def seconds_to_next(self) -> float:
        """Return the number of seconds until a row is due or a lease ends.

        If a row is already due or a lease has already ended, the result is 0 or negative.
        """

    def seconds_to_due(self) -> float:
        """Return the seconds until the next row is due. Leased rows are excluded."""

    def claim(self, connection: Connection, owner: str) -> Sequence[Job]:
        """Claim rows that are due, and return these rows. Each claimed row gets a lease for `owner`."""

    def record(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Record the outcomes of jobs.

        If another owner has claimed a job in the meantime, the outcome of the job is ignored.
        """

    def deliver(self, jobs: Sequence[Job], finish: Callable[[Outcome], None]) -> None:
        """Deliver jobs. No transaction is open during this call.

        Calls `finish` once for each job, with the outcome of the job. Another thread can call `finish`, even after
        `deliver` has returned. The loop calls `deliver` after each transaction, even if there are no jobs.
        """

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return the owners that have leases."""

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner. Other owners can then claim these rows immediately."""


class Loop(Generic[Job, Outcome]):
    """A delivery loop for one database.

    Use the loop only in the process that created it. Call all methods in the same thread.
    """

    def __init__(
        self,
        database: Database,
        wakeup: Wakeup,
        delivery: Delivery[Job, Outcome],
        *,
        longest_nap: float,
        grace: float,
    ) -> None:
        self._database = database
        self._wakeup = wakeup
        self._delivery = delivery
        self._longest_nap = longest_nap
        self._grace = grace
        self._owner: Owner | None = None
        self._next_check = 0.0  # the time of the next search for owners whose process has ended
        self._finished: deque[Outcome] = deque()
        self._unrecorded: list[Outcome] = []
        self._in_hand = 0  # claimed jobs without a recorded outcome
        self.claimed = 0  # the number of all jobs that this loop has claimed

    def run(self) -> None:
        """Deliver messages or events while `database.stopping` is false.

        Then wait for the outcomes of all claimed jobs. The wait is never longer than the grace period.
        """
        while not self._database.stopping:
            try:
                in_hand, claimed = self._in_hand, self.claimed
                if not self.step():
                    self._wakeup.wait(min(max(self._delivery.seconds_to_next(), 0), self._longest_nap))
                elif in_hand and self.claimed > claimed and self._delivery.seconds_to_next() > 0:
                    sleep(GATHER)
            except (StoreUnavailable, OSError) as error:
                logger.warning(
                    "%s: the delivery is paused, because the database can't be used: %s",
                    self._delivery.name,
                    _why(error),
                )
                self._pause()
            except Exception:
                logger.exception("%s: the delivery is paused after an unexpected error", self._delivery.name)
                self._pause()
        self._end()

    def deliver_due(self, *, deadline: float = float("inf")) -> int:
        """Claim all due messages or events, deliver them, and record the outcomes. Returns the number of attempts.

        When `clock.monotonic()` has reached `deadline`, the loop claims no more rows.
        """
        before = self.claimed
        while self.step(claiming=monotonic() < deadline) or self._in_hand:
            if self._in_hand and not self._finished:
                sleep(0.005)
        self._close_owner()
        return self.claimed - before

    def seconds_to_due(self) -> float:
        """Return the seconds until the next row is due. If a row is due now, the result is 0 or negative."""
        return self._delivery.seconds_to_due()

    def step(self, *, claiming: bool = True) -> bool:
        """Use one transaction to record outcomes and to claim due rows. Returns False if there was nothing to do."""
        while self._finished:
            self._unrecorded.append(self._finished.popleft())
        self._owner = owner = self._owner or Owner(self._database.path)
        ended = self._list_ended_owners(owner)
        stopping = self._database.stopping or not claiming
        if not (self._unrecorded or ended) and (stopping or self._delivery.seconds_to_next() > 0):
            return False
        with self._database.write() as connection:
            self._delivery.record(connection, self._unrecorded)
            for other in ended:
                self._delivery.end_leases(connection, other)
            jobs = [] if stopping else self._delivery.claim(connection, owner.id)
        self._in_hand += len(jobs) - len(self._unrecorded)
        self.claimed += len(jobs)
        self._unrecorded.clear()
        try:
            self._delivery.deliver(jobs, self._finish)
        except BaseException:
            self._in_hand = len(self._finished)  # the other jobs get no outcome and are claimed again after their lease
            raise
        return True

    def _finish(self, outcome: Outcome) -> None:
        self._finished.append(outcome)
        self._wakeup.wake()

    def _list_ended_owners(self, owner: Owner) -> list[str]:
        """Return the ids of owners that are no longer running. Checks the owners at most twice a second."""
        now = monotonic()
        if now < self._next_check or self._database.stopping:
            return []
        self._next_check = now + TAKE_OVER_INTERVAL
        with self._database.reading() as connection:
            owners = self._delivery.list_owners(connection)
        ended = [other for other in owners if not owner.is_alive(other)]
        for other in ended:
            logger.warning(
                "%s: this process takes over the leases of the owner %s, because the owner's process has ended",
                self._delivery.name,
                other,
            )
        return ended

    def _pause(self) -> None:
        end = monotonic() + AFTER_FAULT
        while not self._database.stopping and monotonic() < end:
            sleep(0.05)

    def _end(self) -> None:
        end = monotonic() + self._grace
        while self._in_hand and monotonic() < end:
            try:
                if not self.step():
                    self._wakeup.wait(0.05)
            except (StoreUnavailable, OSError) as error:
                logger.warning("%s: outcomes not recorded yet: %s", self._delivery.name, _why(error))
                sleep(0.05)
        self._close_owner()

    def _close_owner(self) -> None:
        if self._owner is not None:
            self._owner.close()
            self._owner = None


def _why(error: Exception) -> BaseException:
    return error.__cause__ or error
