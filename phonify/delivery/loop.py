"""The loop that delivers both messages and webhook events: it claims due rows, has them delivered, records outcomes.

Any number of loops may run on one database, in any process. A claimed row is leased. Other loops leave it alone until
the lease ends, or until the process that owns the lease has ended.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from ..errors import StoreUnavailable
from ..storage.database import Connection, Database
from ..storage.process_lock import Owner
from ..storage.wakeup import Wakeup

logger = logging.getLogger(__name__)

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

Observe = Callable[[str, float], None]  # told of each attempt: its outcome and how many seconds it took

TAKE_OVER_INTERVAL = 0.5  # seconds between looks for owners that have ended
GATHER = 0.02  # seconds to wait for more outcomes and due rows, so that one transaction takes them together
AFTER_FAULT = 1.0  # seconds to wait if the database can't be used


class Delivery(Protocol[Job, Outcome]):
    """The interface of what a loop delivers, such as messages. The loop's thread calls all methods.

    `claim`, `record` and `end_leases` get a connection in a transaction, `list_owners` one to read from.
    """

    name: str

    def seconds_to_next(self) -> float:
        """Return the seconds until the next row is due; 0 or less if one is due now."""

    def claim(self, connection: Connection, owner: str) -> Sequence[Job]:
        """Lease due rows to the owner, and return them."""

    def record(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Record the outcomes of jobs, except jobs that another owner has claimed since."""

    def deliver(self, jobs: Sequence[Job], finish: Callable[[Outcome], None]) -> None:
        """Deliver jobs, with no transaction open.

        Call `finish` with the outcome of each job, from any thread, at any time. The loop calls this after each
        transaction, also with no jobs.
        """

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return the owners that have leases."""

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner: its rows are due again, before rows that became due later."""


class Loop(Generic[Job, Outcome]):
    """A delivery loop on a database. Its methods are called by one thread, in the process that made it."""

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
        self._looks_at = 0.0  # when to look for owners that have ended
        self._finished: deque[Outcome] = deque()
        self._unrecorded: list[Outcome] = []
        self._in_hand = 0  # jobs whose outcome is not recorded
        self.claimed = 0  # jobs in all

    def run(self) -> None:
        """Deliver until the database is `stopping`. Jobs in hand get the grace period to end."""
        while not self._database.stopping:
            try:
                in_hand, claimed = self._in_hand, self.claimed
                if not self.step():
                    self._wakeup.wait(min(max(self._delivery.seconds_to_next(), 0), self._longest_nap))
                elif in_hand and self.claimed > claimed and self._delivery.seconds_to_next() > 0:
                    time.sleep(GATHER)
            except (StoreUnavailable, OSError) as error:
                logger.warning("%s: delivery pauses, the database can't be used: %s", self._delivery.name, _why(error))
                self._pause()
            except Exception:
                logger.exception("%s: delivery pauses after an unexpected error", self._delivery.name)
                self._pause()
        self._end()

    def deliver_due(self) -> int:
        """Deliver everything that is due now, and record it; return the number of attempts."""
        before = self.claimed
        while self.step() or self._in_hand:
            if self._in_hand and not self._finished:
                time.sleep(0.005)
        self._close_owner()
        return self.claimed - before

    def step(self) -> bool:
        """Record outcomes and claim due rows, in one transaction; return False if there was nothing to do."""
        while self._finished:
            self._unrecorded.append(self._finished.popleft())
        owner = self._get_owner()
        ended = self._list_ended_owners(owner)
        stopping = self._database.stopping
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
            self._in_hand = len(self._finished)  # the others get no outcome; they are claimed again when the lease ends
            raise
        return True

    def _finish(self, outcome: Outcome) -> None:
        self._finished.append(outcome)
        self._wakeup.wake()

    def _get_owner(self) -> Owner:
        if self._owner is None:
            self._owner = Owner(self._database.path)
        return self._owner

    def _list_ended_owners(self, owner: Owner) -> list[str]:
        """Return the owners of leases whose processes have ended. It looks for them twice a second."""
        now = time.monotonic()
        if now < self._looks_at or self._database.stopping:
            return []
        self._looks_at = now + TAKE_OVER_INTERVAL
        with self._database.reading() as connection:
            owners = self._delivery.list_owners(connection)
        ended = [other for other in owners if not owner.is_alive(other)]
        for other in ended:
            logger.warning("%s: the process with the leases of owner %s has ended", self._delivery.name, other)
        return ended

    def _pause(self) -> None:
        end = time.monotonic() + AFTER_FAULT
        while not self._database.stopping and time.monotonic() < end:
            time.sleep(0.05)

    def _end(self) -> None:
        end = time.monotonic() + self._grace
        while self._in_hand and time.monotonic() < end:
            try:
                if not self.step():
                    self._wakeup.wait(0.05)
            except (StoreUnavailable, OSError) as error:
                logger.warning("%s: outcomes not recorded yet: %s", self._delivery.name, _why(error))
                time.sleep(0.05)
        self._close_owner()

    def _close_owner(self) -> None:
        if self._owner is not None:
            self._owner.close()
            self._owner = None


def _why(error: Exception) -> BaseException:
    return error.__cause__ or error
