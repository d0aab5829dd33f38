"""One gateway of this server. The class `RunningGateway` manages the gateway's state and the gateway's loops.

The class also stores what the provider sends: receipts and received messages.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from ..clock import Clock
from ..domain.gateway_health import GatewayHealth, GatewayStatus, Trouble
from ..domain.inbound import Inbound
from ..domain.pacing import Pacing
from ..domain.receipts import Receipts
from ..domain.rules import Rules
from ..domain.webhooks import Webhooks
from ..gateways.base import Gateway
from ..gateways.events import GatewayEvent, Receipt, Received
from ..storage.database import Database
from .look_ups import LookUps
from .loop import Observe
from .messages import MessageDelivery


class RunningGateway:
    """One gateway of this server."""

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        clock: Clock,
        webhooks: Webhooks,
        receipts: Receipts,
        inbound: Inbound,
        rules: Rules,
        *,
        rates: Mapping[int, int],
        only_to: frozenset[str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._receipts = receipts
        self._inbound = inbound
        self._rules = rules
        self.gateway = gateway
        self.only_to = only_to  # the numbers that get messages; empty: all numbers
        self.observe: Observe = lambda _outcome, _seconds: None  # called after each attempt to send a message
        self.pacing = Pacing(database, clock, gateway, rates)
        self.health = GatewayHealth(clock, self.pacing, gateway)

    def get_status(self) -> GatewayStatus:
        """Return the status of the gateway."""
        with self._database.reading() as connection:
            return self.health.read_status(connection)

    def find_trouble(self) -> Trouble | None:
        """Return why the gateway gets no messages now. Returns None if the gateway works normally."""
        with self._database.reading() as connection:
            return self.health.find_trouble(connection)

    def take(self, events: Sequence[GatewayEvent]) -> None:
        """Store receipts and received texts in one transaction. When this method returns, the data is on disk."""
        if not events:
            return
        receipts = [event for event in events if isinstance(event, Receipt)]
        number = self.gateway.number
        texts = [event._replace(to=event.to or number) for event in events if isinstance(event, Received)]
        with self._database.write() as connection:
            now = self._clock.now()
            self._receipts.take(connection, self.gateway.name, receipts, now)
            self._inbound.take(connection, self.gateway.name, texts, now)

    def make_delivery(self, *, lease: timedelta) -> MessageDelivery:
        """Return a new `MessageDelivery` for a loop."""
        return MessageDelivery(
            self._database,
            self.gateway,
            self._clock,
            self._webhooks,
            self._receipts,
            self.pacing,
            self._rules,
            lease=lease,
            only_to=self.only_to,
            observe=self.observe,
        )

    def make_look_ups(self) -> LookUps:
        """Return a new loop. The loop asks the gateway what has happened to messages.

        Call its method `run` in a separate thread.
        """
        return LookUps(self._database, self.gateway, self._clock, self.take)
