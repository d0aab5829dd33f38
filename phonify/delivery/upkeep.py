"""Removes old rows once a minute.

If the clock was set to an earlier time, some due times are too far in the future. This module replaces these due times
with earlier times.
"""

import logging
from collections.abc import Callable, Collection
from datetime import timedelta

from ..clock import Clock, format_time, sleep
from ..domain.inbound import PATIENCE
from ..errors import StoreUnavailable
from ..storage import deliveries as delivery_store
from ..storage import outbox as outbox_store
from ..storage import receipts as receipt_store
from ..storage import received_texts as text_store
from ..storage import rules as rule_store
from ..storage.database import Database
from .look_ups import LONGEST_DELAY

logger = logging.getLogger(__name__)

INTERVAL = 60.0  # seconds
_NAP = 0.25  # seconds between two checks of the clock


class Upkeep:
    """A loop that removes old rows and corrects due times (see `follow_clock`). This class is not thread-safe."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        gateways: Collection[str],
        lease: timedelta,
        validity: timedelta,
        clean: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateways = gateways  # the names of this server's gateways
        self._lease = lease
        self._validity = validity
        self._clean = clean
        self._done_at = float("-inf")  # the time of the last work, on the monotonic clock
        self._latest = clock.now()  # the time of day at the last step

    def run(self) -> None:
        """Call `step` repeatedly while `database.stopping` is false."""
        while not self._database.stopping:
            self.step()
            sleep(_NAP)

    def step(self) -> None:
        """If one minute has passed since the last upkeep, call `follow_clock` and remove old rows.

        If the clock was set to an earlier time, call `follow_clock` immediately.
        """
        before, self._latest = self._latest, self._clock.now()
        now = self._clock.monotonic()
        is_due = now - self._done_at > INTERVAL
        if is_due or self._latest < before:
            self._try(self.follow_clock)
        if is_due:
            self._done_at = now
            self._try(self._clean)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable as error:
            logger.warning("the upkeep is paused for a minute, because the database can't be used: %s", error.__cause__)
        except Exception:
            logger.exception("the upkeep is paused for a minute after an unexpected error")

    def follow_clock(self) -> None:
        """Adapt due times and validity periods if the clock was set to an earlier time.

        In this case, some due times are too far in the future, and some validity periods are too long. This method
        replaces these due times with earlier times, and shortens these validity periods.
        """
        clock_now = self._clock.now()
        now, latest = format_time(clock_now), format_time(clock_now + self._lease)
        until = format_time(self._clock.machine_now() + self._lease)
        valid_until = format_time(clock_now + self._validity)
        looked_up_until, joined_until = format_time(clock_now + LONGEST_DELAY), format_time(clock_now + PATIENCE)
        with self._database.reading() as connection:
            behind = (
                any(
                    outbox_store.has_messages_from_future(connection, gateway=name, now=latest)
                    or outbox_store.has_messages_valid_too_long(connection, gateway=name, now=now, latest=valid_until)
                    for name in self._gateways
                )
                or delivery_store.has_deliveries_from_future(connection, now=latest)
                or receipt_store.has_look_ups_after(connection, latest=looked_up_until)
                or text_store.has_texts_due_after(connection, latest=joined_until)
                or rule_store.has_effects_too_late(connection, now=now)
            )
        if not behind:
            return
        with self._database.write() as connection:
            due = shortened = 0
            for name in self._gateways:
                due += outbox_store.reschedule_messages_from_future(connection, gateway=name, now=now, until=until)
                shortened += outbox_store.shorten_validity(connection, gateway=name, now=now, latest=valid_until)
            due += delivery_store.reschedule_deliveries_from_future(connection, now=now, until=until)
            due += receipt_store.hasten_look_ups(connection, now=now, latest=looked_up_until)
            due += text_store.shorten_waits(connection, latest=joined_until)
            due += rule_store.hasten_effects(connection, now=now)
        logger.warning(
            "the clock was set to an earlier time, so %d due times are earlier, and %d validity periods are shorter",
            due,
            shortened,
        )
