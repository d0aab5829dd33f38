"""The look-ups. In a look-up, Phonify asks a gateway what has happened to a message.

Phonify looks up a message if the message is in doubt or has no receipt.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from ..clock import Clock, format_time, monotonic, seconds_until, sleep
from ..errors import StoreUnavailable
from ..gateways.base import Gateway, GatewayFault
from ..gateways.events import Receipt
from ..storage import receipts as store
from ..storage.database import Database
from ..storage.records import Message
from .calls import write_outbound

logger = logging.getLogger(__name__)

AT_ONCE = 10  # the maximum number of messages in one step
INTERVAL = 1.0  # seconds between two steps
DELAYS = (30, 120, 600, 3_600, 6 * 3_600)  # seconds until the next look-up
LONGEST_DELAY = timedelta(seconds=max(DELAYS))
MOST = 12  # the maximum number of look-ups for one message


class LookUps:
    """Looks up due messages in a loop. This class is not thread-safe."""

    def __init__(
        self, database: Database, gateway: Gateway, clock: Clock, take: Callable[[Sequence[Receipt]], None]
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._take = take  # stores receipts

    def run(self) -> None:
        """Look up due messages until `database.stopping` is true."""
        while not self._database.stopping:
            try:
                self.step()
            except StoreUnavailable as error:
                logger.warning("the look-ups are paused, because the database can't be used: %s", error.__cause__)
            except Exception:
                logger.exception("the look-ups are paused after an unexpected error")
            sleep(INTERVAL)

    def seconds_to_due(self) -> float:
        """Return the seconds until the next look-up is due."""
        with self._database.reading() as connection:
            due_at = store.next_look_up_at(connection, gateway=self._gateway.name)
        return seconds_until(due_at, self._clock.now())

    def deliver_due(self, *, deadline: float) -> int:
        """Claim and look up all due messages. Return the number of claimed messages.

        When `clock.monotonic()` has reached `deadline`, no new step begins.
        """
        count = 0
        while monotonic() < deadline and (found := self.step()):
            count += found
        return count

    def step(self) -> int:
        """Claim and look up at most `AT_ONCE` due messages. Return the number of claimed messages."""
        claimed = self._claim()
        for message, references in claimed:
            if self._database.stopping:
                break
            try:
                receipts = self._gateway.look_up(write_outbound(message, self._clock.now()), references)
            except GatewayFault as fault:
                logger.info("Message %s: look-up failed: %s", message.id, fault)
                continue
            except Exception:
                logger.exception("Message %s: look-up failed unexpectedly", message.id)
                continue
            # A message in doubt has no reference yet. So each receipt must contain the id of the message.
            self._take([receipt._replace(message_id=message.id) for receipt in receipts])
        return len(claimed)

    def _claim(self) -> list[tuple[Message, Sequence[str]]]:
        """Return the messages whose look-up is due.

        The result is a list of pairs. Each pair contains a message and the ids that the provider gave to this message.

        Also plan the next look-up of each message. If a message has a receipt or is in state `error`, plan no more
        look-ups for this message. Each message gets at most `MOST` look-ups.
        """
        clock_now = self._clock.now()
        now = format_time(clock_now)
        with self._database.reading() as connection:
            if not store.list_due_look_ups(connection, gateway=self._gateway.name, now=now, limit=1):
                return []
        claimed: list[tuple[Message, Sequence[str]]] = []
        with self._database.write() as connection:
            due = store.list_due_look_ups(connection, gateway=self._gateway.name, now=now, limit=AT_ONCE)
            for message, tries in due:
                if message.receipt_status is not None or message.state == "error" or tries >= MOST:
                    store.delete_look_up(connection, message_id=message.id)
                    continue
                due_at = format_time(clock_now + timedelta(seconds=DELAYS[min(tries, len(DELAYS) - 1)]))
                store.postpone_look_up(connection, message_id=message.id, due_at=due_at)
                parts = store.list_parts(connection, message_id=message.id)
                claimed.append((message, [part.reference for part in parts]))
        return claimed
