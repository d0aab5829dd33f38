"""A gateway with everything that runs it: its state, its sink, its loops."""

from collections.abc import Mapping
from datetime import timedelta

from ..clock import Clock
from ..domain.gateway_health import GatewayHealth, GatewayStatus, Trouble
from ..domain.hearing import Hearing
from ..domain.inbound import Inbound
from ..domain.pacing import Pacing
from ..domain.receipts import Receipts
from ..domain.rules import Rules
from ..domain.webhooks import Webhooks
from ..gateways.base import Gateway
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
        self._rules = rules
        self.gateway = gateway
        self.only_to = only_to  # the numbers that get messages; empty: all numbers
        self.observe: Observe = lambda _outcome, _seconds: None  # called after each attempt to send a message
        self.pacing = Pacing(database, clock, gateway.name, rates, sandbox=gateway.sandbox, peer=gateway.peer)
        self.health = GatewayHealth(clock, self.pacing, gateway.name, sandbox=gateway.sandbox)
        self.hearing = Hearing(database, clock, gateway.name, receipts, inbound, number=gateway.number)

    def get_status(self) -> GatewayStatus:
        """Return the status of the gateway."""
        with self._database.reading() as connection:
            return self.health.read_status(connection)

    def find_trouble(self) -> Trouble | None:
        """Return why the gateway takes no messages now, or None if it takes them."""
        with self._database.reading() as connection:
            return self.health.find_trouble(connection)

    def make_delivery(self, *, lease: timedelta, observe: Observe) -> MessageDelivery:
        """Return the work of a delivery loop."""
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
            observe=observe,
        )

    def make_look_ups(self) -> LookUps:
        """Return a new loop that asks the gateway what became of messages. Call its `run` in a thread."""
        return LookUps(self._database, self.gateway, self._clock, self.hearing)
