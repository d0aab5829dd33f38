"""Stores what providers report to gateways: delivery receipts and received texts, in one transaction."""

from collections.abc import Sequence

from ..clock import Clock
from ..gateways.events import Event, Receipt, Received
from ..storage.database import Database
from .inbound import Inbound
from .receipts import Receipts


class Hearing:
    """Stores what one gateway hears. It is the gateway's sink."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        gateway: str,
        receipts: Receipts,
        inbound: Inbound,
        *,
        number: str | None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self._receipts = receipts
        self._inbound = inbound
        self._number = number

    def take(self, events: Sequence[Event]) -> None:
        """Store events. They are on disk when this returns."""
        if not events:
            return
        receipts = [event for event in events if isinstance(event, Receipt)]
        texts = [event._replace(to=event.to or self._number) for event in events if isinstance(event, Received)]
        with self._database.write() as connection:
            now = self._clock.now()
            self._receipts.take(connection, self._gateway, receipts, now)
            self._inbound.take(connection, self._gateway, texts, now)
