"""Manages requests that wait for messages.

After each commit to the database, Phonify checks again whether messages match a waiting request.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..clock import monotonic, sleep
from ..errors import TooManyWaiting
from ..storage.database import Database

T = TypeVar("T")

_SOON, _LATER = 0.02, 0.1  # seconds between two checks for a commit
_SOON_FOR = 5.0  # seconds; if a request has waited for this time, _LATER replaces _SOON


class Waiting:
    """Manages the waiting requests of one process.

    The number of waiting requests is limited, because each request occupies a thread.
    """

    def __init__(self, database: Database, *, places: int) -> None:
        self.count = 0  # requests that are waiting now
        self._database = database
        self._places = places
        self._lock = threading.Lock()

    def search(self, search: Callable[[], list[T]], timeout: float) -> list[T]:
        """Call `search` until it returns a result, and return this result.

        This method calls `search` immediately. Then it repeats the call after each commit.

        After `timeout` seconds, or if the server stops, the result is an empty list. Raises TooManyWaiting if too many
        requests wait already.
        """
        begun = monotonic()
        # The watcher must exist before the first search begins. Then it notices a commit during this search.
        watcher = self._database.watch()
        found = search()
        if found:
            return found
        with self._place():
            while not found and not self._database.stopping:
                waited = monotonic() - begun
                if waited >= timeout:
                    break
                sleep(min(_SOON if waited < _SOON_FOR else _LATER, timeout - waited))
                if watcher.changed():
                    found = search()
        return found

    def pause(self, seconds: float) -> None:
        """Wait for the given number of seconds. If the server stops earlier, return at once.

        Raises TooManyWaiting if too many requests wait already.
        """
        end = monotonic() + seconds
        with self._place():
            while (left := end - monotonic()) > 0 and not self._database.stopping:
                sleep(min(_LATER, left))

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Increase `count` by 1 during the `with` block. Raises TooManyWaiting if the limit is reached."""
        with self._lock:
            if self.count >= self._places:
                raise TooManyWaiting
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                self.count -= 1
