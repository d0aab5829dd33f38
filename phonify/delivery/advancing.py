"""Advances the clock of a sandbox, and does all work that becomes due. The earliest work is done first.

The clock moves in steps. Each step moves the clock to the time when the next work is due. Phonify does this work, and
then begins the next step. The process that advances the clock also delivers messages and events. Meanwhile, other
delivery processes continue to deliver messages and events. The app gets the events at each step. Phonify handles the
app's answers to these events. If the process is killed, no work is lost. The clock then stands still at the due time
of the current step.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

from ..clock import format_time, monotonic, seconds_until, sleep
from ..domain.moving import Moving
from ..domain.server_clock import MOST_AHEAD, ServerClock
from ..errors import Fault, RequestRefused
from ..storage import advancing as store
from ..storage import received_texts as text_store
from ..storage.advancing import Advance, Ended
from ..storage.database import Database

MOST_SECONDS = 20.0  # the maximum duration of an advance, in real time
_NAP = 0.005  # seconds to wait before the next check for leases of other processes


class Worker(Protocol):
    """A part of Phonify that does one kind of work, such as a delivery loop."""

    def seconds_to_due(self) -> float:
        """Return the number of seconds until work is due. The server's clock measures these seconds.

        If work is due now, the result is 0 or negative.
        """

    def deliver_due(self, *, deadline: float) -> int:
        """Do all work that is due. When `clock.monotonic()` has reached `deadline`, no new work begins."""


class Advancing:
    """Advances the clock once. To advance the clock again, create a new object."""

    def __init__(
        self,
        database: Database,
        clock: ServerClock,
        workers: Sequence[Worker],
        moving: Moving,
        clean: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._workers = workers
        self._moving = moving
        self._clean = clean
        self._totals = Ended()

    def advance(self, goal: timedelta | datetime, *, most_seconds: float = MOST_SECONDS) -> Advance:
        """Advance the clock to the target time. `goal` is this time, or the duration until this time.

        After `most_seconds` of real time, this method ends, even if the clock has not reached the target time.

        This method stops the clock during the call. If the clock was running before the call, the clock continues to
        run after the call.

        Raises RequestRefused in three cases: the clock can't be changed, the target time is in the past, or the target
        time is too far in the future (see `MOST_AHEAD`). Raises Conflict if another request is advancing the clock.
        """
        clock = self._clock
        with clock.changing():
            frozen, begun = clock.get_status().frozen, clock.now()
            target = begun + min(goal, 2 * MOST_AHEAD) if isinstance(goal, timedelta) else goal
            if target < begun:
                raise RequestRefused([Fault("clock_only_forward")])
            if target > clock.machine_now() + MOST_AHEAD:
                raise RequestRefused([Fault("clock_too_far")])
            clock.set_to(begun, frozen=True)
            try:
                finished = self._go_to(target, monotonic() + most_seconds)
            finally:
                reached = clock.now()
                if not frozen:
                    clock.set_to(reached, frozen=False)
        return Advance(format_time(begun), format_time(reached), format_time(target), finished, self._totals)

    def _go_to(self, target: datetime, deadline: float) -> bool:
        """Advance the clock to a time, in steps. Returns False if the clock has not reached this time."""
        now, finished = self._clock.now(), self._work(deadline)
        while finished and now < target:
            now = min(self._find_next(now), target)
            finished = self._work(deadline, now)
        return finished

    def _find_next(self, now: datetime) -> datetime:
        """Return the time when the next work is due. This time is at least one millisecond after `now`."""
        with self._database.reading() as connection:
            text_due_at = text_store.next_due_at(connection)
        seconds = min(
            seconds_until(text_due_at, now),
            seconds_until(self._moving.next_end(), now),
            *(worker.seconds_to_due() for worker in self._workers),
        )
        return now + timedelta(milliseconds=max(ceil(min(seconds * 1000, MOST_AHEAD / timedelta(milliseconds=1))), 1))

    def _work(self, deadline: float, now: datetime | None = None) -> bool:
        """Set the clock to `now`, do all work that is due, and count the results.

        If `now` is None, the clock does not change. Returns False if work remains.
        """
        with self._database.reading() as connection:
            pending = store.list_pending(connection, until=format_time(now or self._clock.now()))
            count = store.count_messages(connection, upto=pending.last_message)
        if now is not None:
            self._clock.set_to(now, frozen=True)
        self._clean()
        with self._database.reading() as connection:
            removed = count - store.count_messages(connection, upto=pending.last_message)
        done = self._work_until_idle(deadline)
        with self._database.reading() as connection:
            ended = store.count_ended(connection, pending=pending)._replace(removed=removed)
        self._totals = Ended(*(before + more for before, more in zip(self._totals, ended, strict=True)))
        return done

    def _work_until_idle(self, deadline: float) -> bool:
        while True:
            for worker in self._workers:
                worker.deliver_due(deadline=deadline)
            with self._database.reading() as connection:
                in_hand = store.has_leases(connection)
            if not in_hand and all(worker.seconds_to_due() > 0 for worker in self._workers):
                return True
            if self._database.stopping or monotonic() >= deadline:
                return False
            sleep(_NAP)
