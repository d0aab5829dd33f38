"""Commits that concurrent writers share: one sync to disk for all that wait.

The first thread that comes leads. It waits for the database and then writes its own work and that
of all who have come meanwhile, in one transaction; those who come while it writes are led by the
next. The database is reached through `locked`, a context manager that lends the connection to
write with, to one thread of one process at a time.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, TypeVar

from .errors import StoreUnavailable

F = TypeVar("F", bound=Callable[..., Any])
# A commit waits for more to come where the last one was shared by more than so many: under load
# fewer, larger commits are quicker for everybody, and a writer who is alone is never kept waiting.
SIBLINGS = 2
DELAY = 0.002  # seconds

Batched = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]


def atomic(function: F) -> F:
    """Mark a batched function that needs no transaction around it.

    It writes with a single call of the store that is atomic by itself. That spares BEGIN and COMMIT:
    each statement gives up the interpreter lock and, under load, waits to get it back while all
    writers wait for the database.
    """
    function.atomic = True  # type: ignore[attr-defined]
    return function


class _Job:
    """One call of `submit`, on its way through the queue."""

    __slots__ = ("done", "following", "function", "item", "outcome", "turn")

    def __init__(self, function: Batched, item: Any) -> None:
        self.function = function
        self.item = item
        self.outcome: Any = None  # what the function returned for the item, or an exception to raise
        self.done = False
        self.following: _Job | None = None  # whom to wake next
        self.turn = threading.Lock()  # held until the job is done, or its thread is to lead
        self.turn.acquire()


class GroupCommit:
    """The queue of one process before the database."""

    def __init__(
        self,
        locked: Callable[[], AbstractContextManager[sqlite3.Connection]],
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._locked = locked
        self._committed = committed  # called after each commit
        self._queue: list[_Job] = []
        self._queue_lock = threading.Lock()
        self._last_size = 0  # how many jobs the last commit had
        self._led = False  # whether some thread is about to write the queue

    def submit(self, function: Batched, item: Any) -> Any:
        """Have `function` called with the item, in a transaction; return its result when it is on disk.

        Concurrent calls with the same function are made one call with all their items; it returns
        one result for each. A result that is an exception is raised to the caller it is for, and
        undoes nothing. What the function raises undoes the work of the items it was called with:
        they are then written one by one, so it may be called a second time for the same item.
        """
        job = _Job(function, item)
        with self._queue_lock:
            self._queue.append(job)
            leads = not self._led
            self._led = True
        if not leads:
            job.turn.acquire()
        if not job.done:
            self._lead()
        elif job.following is not None:
            job.following.turn.release()
        if isinstance(job.outcome, BaseException):
            raise job.outcome
        return job.outcome

    def _lead(self) -> None:
        """Write all jobs there are, and pass the lead on to the first of those that came meanwhile."""
        jobs: list[_Job] = []
        try:
            if self._last_size > SIBLINGS:
                time.sleep(DELAY)
            with self._locked() as connection:
                # Taken only once the database is ours: more have come while this thread waited for it.
                jobs = self._take_jobs()
                self._last_size = len(jobs)
                _commit(connection, jobs)
            self._committed()
        except BaseException as error:
            if not jobs or _is_locked(error):
                jobs += self._take_jobs()  # who has come meanwhile would wait as long again
            for job in jobs:
                if not job.done:
                    job.outcome, job.done = error if isinstance(error, Exception) else StoreUnavailable(), True
            if not isinstance(error, Exception):
                raise
        finally:
            with self._queue_lock:
                self._led = bool(self._queue)
                if self._queue:
                    self._queue[0].turn.release()
            # The leader's own job is the first. The others wake one another in turn: woken all at once
            # they would go to sleep again, each to wait for the interpreter lock.
            waiting = jobs[1:]
            for job, following in pairwise(waiting):
                job.following = following
            if waiting:
                waiting[0].turn.release()

    def _take_jobs(self) -> list[_Job]:
        with self._queue_lock:
            jobs = list(self._queue)
            self._queue.clear()
        return jobs


def _commit(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    """Write jobs in one transaction or, where one of them fails, each in its own."""
    try:
        _run(connection, jobs)
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(jobs) == 1 or _would_fail_again(error):
            raise
        for job in jobs:
            try:
                _commit(connection, [job])
            except Exception as own:  # noqa: BLE001 - it is raised again, in the thread it is for
                job.outcome, job.done = own, True
    for job in jobs:
        job.done = True


def _would_fail_again(error: BaseException) -> bool:
    """Tell whether it is the database that fails (locked, disk full) rather than the work of one job."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF != sqlite3.SQLITE_ERROR
    return not isinstance(error, Exception)


def _is_locked(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF == sqlite3.SQLITE_BUSY


def _run(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    calls: dict[Batched, list[_Job]] = {}
    for job in jobs:
        calls.setdefault(job.function, []).append(job)
    in_transaction = len(calls) > 1 or not getattr(jobs[0].function, "atomic", False)
    if in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    for function, called in calls.items():
        outcomes = function(connection, [job.item for job in called])
        for job, outcome in zip(called, outcomes, strict=True):
            job.outcome = outcome
    if in_transaction:
        connection.execute("COMMIT")
