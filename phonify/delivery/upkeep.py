"""The upkeep. Once a minute, it removes old rows, and corrects due times if the clock was set back."""

import logging
from collections.abc import Callable
from datetime import timedelta

from ..clock import Clock, format_time, sleep
from ..errors import StoreUnavailable
from ..storage import deliveries as delivery_store
from ..storage import outbox as outbox_store
from ..storage.database import Database

logger = logging.getLogger(__name__)

INTERVAL = 60.0  # seconds
_NAP = 0.25  # seconds between two checks of the clock


class Upkeep:
    """The loop of the upkeep. Only one thread may call its methods."""

    def __init__(self, database: Database, clock: Clock, *, lease: timedelta, clean: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._clean = clean
        self._done_at: float | None = None  # when the work was last done, on the monotonic clock
        self._latest = clock.now()  # the time of day at the last step

    def run(self) -> None:
        """Do the work once a minute until the database is `stopping`."""
        while not self._database.stopping:
            self.step()
            sleep(_NAP)

    def step(self) -> None:
        """Do the work if a minute has passed. If the clock was set back, correct due times immediately."""
        before, self._latest = self._latest, self._clock.now()
        now = self._clock.monotonic()
        if self._done_at is None or now - self._done_at > INTERVAL:
            self._done_at = now
            self._try(self.follow_clock)
            self._try(self._clean)
        elif self._latest < before:
            self._try(self.follow_clock)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable as error:
            logger.warning("upkeep pauses for a minute, because the database can't be used: %s", error.__cause__)
        except Exception:
            logger.exception("upkeep pauses for a minute after an unexpected error")

    def follow_clock(self) -> None:
        """Make rows due if they wait only because the clock was set back."""
        clock_now = self._clock.now()
        now, until = format_time(clock_now), format_time(clock_now + self._lease)
        with self._database.reading() as connection:
            behind = outbox_store.has_messages_from_future(
                connection, now=until
            ) or delivery_store.has_deliveries_from_future(connection, now=until)
        if not behind:
            return
        with self._database.write() as connection:
            messages = outbox_store.reschedule_messages_from_future(connection, now=now, until=until)
            deliveries = delivery_store.reschedule_deliveries_from_future(connection, now=now, until=until)
        logger.warning("the clock was set back: %d messages and webhooks are due now", messages + deliveries)
