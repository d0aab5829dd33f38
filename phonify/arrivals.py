"""Waiting for messages: all requests of a process that wait share one look at what was stored.

One of the waiting threads leads. It looks for commits, of whichever process, fetches once what has
come and wakes those whom it concerns; they search for themselves, so that what is answered is what
a request that does not wait would get. The lead passes on when the leader's own wait ends.

Messages that are new are told from their columns. Those that change later, by state or by hand,
leave no such trace: for their sake who waits searches again from time to time, in turn, and all of
them together for no more than a share of the time.
"""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable

from . import store
from .db import Database, Watcher
from .errors import TooManyWaiting
from .store import Arrival, Criteria, ListedMessage

LOOK_INTERVAL = 0.01  # seconds; a look costs microseconds
BATCH = 1_000  # new messages fetched at a look
SEARCHES = 4  # at a time, of those who were woken
# Seconds after which one who waits searches again where anything was committed: for what changes by
# itself, and for what nearly never does.
SOON, LATE = 0.1, 1.0
SHARE = 0.1  # of the time, for all such searches together
SAVED = 0.01  # seconds of that which are kept for later
GONE_INTERVAL = 0.5  # seconds between looks whether clients are still there


class _Waiter:
    """A request that waits."""

    def __init__(
        self,
        account_id: int,
        criteria: Criteria,
        search: Callable[[], list[ListedMessage]],
        *,
        offset: int,
        gone: Callable[[], bool],
    ) -> None:
        self.side = (account_id, criteria.to or criteria.origin or criteria.phone)
        self.gone = gone
        self.left = False  # the client has gone
        self.again = False  # it is to search again
        self.asleep = False
        self.woken = threading.Event()
        self.searched_at = self.due_at = math.inf
        self.took = 0.0  # seconds, the last search
        self._criteria = criteria
        self._search = search
        self._offset = offset
        self._q = _fold(criteria.q or "")
        self._pace = SOON if criteria.state is not None or offset else LATE

    def search(self) -> list[ListedMessage]:
        """Return what matches now."""
        self.again, self.due_at = False, math.inf
        self.searched_at = time.monotonic()
        found = self._search()
        end = time.monotonic()
        self.took, self.due_at = end - self.searched_at, end + self._pace
        return found

    def wants(self, arrival: Arrival) -> bool:
        """Tell whether a search would find a new message; with an offset it is one of several, so: no."""
        wanted = self._criteria
        return (
            wanted.to in (None, arrival.to_number)
            and wanted.origin in (None, arrival.origin_number)
            and wanted.phone in (None, arrival.to_number, arrival.origin_number)
            and wanted.state in (None, arrival.state)
            and wanted.direction in (None, arrival.direction)
            and (wanted.after is None or arrival.id > wanted.after)
            and (wanted.before is None or arrival.id < wanted.before)
            and self._q in _fold(arrival.body)
            and not self._offset
        )

    def wake(self) -> None:
        """Let it search again."""
        self.again = True
        self.woken.set()


class Arrivals:
    """Where the requests of one process wait. Safe to use from any number of threads; starts none."""

    def __init__(self, database: Database, *, most_waiting: int) -> None:
        self.begun: Callable[[], None] = lambda: None  # called by each thread when it begins to wait
        self._database = database
        self._places = threading.BoundedSemaphore(most_waiting)
        self._searches = threading.BoundedSemaphore(SEARCHES)
        self._lock = threading.Lock()  # of all that follows but for what only the leader uses
        self._waiters: set[_Waiter] = set()
        self._by_side: defaultdict[tuple[int, str | None], set[_Waiter]] = defaultdict(set)
        self._leader: _Waiter | None = None
        self._watcher: Watcher | None = None  # there as long as somebody waits
        self._last_id = ""  # of the messages seen
        # The leader's.
        self._behind = False  # there is more to fetch
        self._changed_at = self._looked_at = self._asked_at = 0.0
        self._budget = 0.0  # seconds that may be spent on searching again

    def wait(
        self,
        account_id: int,
        criteria: Criteria,
        search: Callable[[], list[ListedMessage]],
        *,
        offset: int,
        timeout: float,
        gone: Callable[[], bool],
    ) -> list[ListedMessage]:
        """Return what `search` finds as soon as it finds anything, at the latest after `timeout` seconds.

        The wait ends early where `gone` says that nobody wants the answer any more, or the server
        is stopping. `gone` is called from any thread and must not block. Raises TooManyWaiting
        where all places are taken.
        """
        end = time.monotonic() + timeout
        waiter = _Waiter(account_id, criteria, search, offset=offset, gone=gone)
        self._join(waiter)
        try:
            # Only now that it has joined: what is stored from here on wakes it.
            messages = waiter.search()
            if messages:
                return messages
            if not self._places.acquire(blocking=False):
                raise TooManyWaiting
            try:
                self.begun()
                waits = True
                while not messages and waits:
                    waits = self._sleep(waiter, end)
                    if waiter.left or self._database.stopping:
                        break
                    with self._searches:
                        messages = waiter.search()
            finally:
                self._places.release()
        finally:
            self._leave(waiter)
        return messages

    def _join(self, waiter: _Waiter) -> None:
        with self._lock:
            if self._watcher is None:
                with self._database.reading() as connection:
                    self._last_id = store.get_last_message_id(connection) or ""
                self._watcher = self._database.watch()
            self._waiters.add(waiter)
            self._by_side[waiter.side].add(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            self._waiters.remove(waiter)
            side = self._by_side[waiter.side]
            side.remove(waiter)
            if not side:
                del self._by_side[waiter.side]
            if not self._waiters and self._watcher is not None:
                self._watcher.close()
                self._watcher = None

    def _sleep(self, waiter: _Waiter, end: float) -> bool:
        """Wait until a search may find something, leading where nobody does; False where the time is up."""
        try:
            while not (waiter.again or waiter.left or self._database.stopping):
                remaining = end - time.monotonic()
                if remaining <= 0:
                    return False
                if self._leads(waiter):
                    time.sleep(min(LOOK_INTERVAL, remaining))
                    self._look()
                else:
                    waiter.woken.wait(remaining)
                    waiter.woken.clear()
            return True
        finally:
            self._pass_on(waiter)

    def _leads(self, waiter: _Waiter) -> bool:
        with self._lock:
            if self._leader is None:
                self._leader = waiter
            waiter.asleep = self._leader is not waiter
            return not waiter.asleep

    def _pass_on(self, waiter: _Waiter) -> None:
        """See to it that somebody leads when one who waits turns to something else."""
        with self._lock:
            waiter.asleep = False
            if self._leader is waiter:
                self._leader = None
            if self._leader is None:
                heir = next((other for other in self._waiters if other.asleep), None)
                if heir is not None:
                    heir.woken.set()

    def _look(self) -> None:
        arrivals = self._fetch()
        now = time.monotonic()
        with self._lock:
            for arrival in arrivals:
                for number in (arrival.to_number, arrival.origin_number, None):
                    for waiter in self._by_side.get((arrival.account_id, number), ()):
                        if waiter.wants(arrival):
                            waiter.wake()
            self._let_search_again(now)
            waiting = list(self._waiters)
        if now - self._asked_at >= GONE_INTERVAL:
            self._asked_at = now
            for waiter in waiting:
                if waiter.gone():
                    waiter.left = True
                    waiter.woken.set()

    def _fetch(self) -> list[Arrival]:
        """Return the messages stored since the last look, or as many of them as are fetched at once."""
        assert self._watcher is not None  # noqa: S101 - who leads has joined
        if self._watcher.changed():
            self._behind = True
            self._changed_at = time.monotonic()
        if not self._behind:
            return []
        with self._database.reading() as connection:
            arrivals = store.list_arrivals(connection, after=self._last_id, limit=BATCH)
        if arrivals:
            self._last_id = arrivals[-1].id
        self._behind = len(arrivals) == BATCH
        return arrivals

    def _let_search_again(self, now: float) -> None:
        """Wake those who have not searched since something was committed, the longest waiting first."""
        self._budget = min(self._budget + SHARE * (now - self._looked_at), SAVED)
        self._looked_at = now
        due = [one for one in self._waiters if one.due_at <= now and one.searched_at <= self._changed_at]
        for waiter in sorted(due, key=lambda one: one.due_at):
            if self._budget <= 0:
                break
            self._budget -= waiter.took
            waiter.due_at = math.inf
            waiter.wake()


def _fold(text: str) -> bytes:
    """Return a text as LIKE compares it: ASCII letters alike in either case, all others not."""
    return text.encode().lower()
