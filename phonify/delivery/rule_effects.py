"""What comes after a message because of a rule of the sandbox: a receipt, or a reply of the phone."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from ..clock import Clock, format_time, seconds_until
from ..domain.receipts import Receipts
from ..domain.receiving import Receiving
from ..domain.rules import write_behaviour
from ..gateways.stub import StubGateway, write_receipt
from ..storage import conversations as conversation_store
from ..storage import rules as store
from ..storage.database import Connection, Database
from ..storage.rule_records import MetRule
from ..storage.savepoint import PartFailed, isolating

logger = logging.getLogger(__name__)

_AT_ONCE = 100  # effects in one transaction


class RuleEffects:
    """The work of the loop for receipts and replies. Nothing is sent, so each effect ends in the transaction."""

    name = "rules"

    def __init__(self, database: Database, clock: Clock, receipts: Receipts, receiving: Receiving) -> None:
        self._database = database
        self._clock = clock
        self._receipts = receipts
        self._receiving = receiving

    def seconds_to_next(self) -> float:
        """Return the same as `seconds_to_due`, because there are no leases."""
        return self.seconds_to_due()

    def seconds_to_due(self) -> float:
        """Return the seconds until the next receipt or reply."""
        with self._database.reading() as connection:
            at = store.next_effect_time(connection)
        return seconds_until(at, self._clock.now())

    def claim(self, connection: Connection, owner: str) -> Sequence[MetRule]:  # noqa: ARG002 - there are no leases
        """Store the receipts and replies that are due. Nothing remains to be delivered."""
        now = self._clock.now()
        for met in store.list_due_effects(connection, now=format_time(now), limit=_AT_ONCE):
            store.set_effect_time(connection, message_id=met.message_id, due_at=None)
            try:
                with isolating(connection):
                    self._apply(connection, met, now)
            except PartFailed as error:
                logger.exception("Message %s: its rule failed", met.message_id, exc_info=error.__cause__)
        return []

    def _apply(self, connection: Connection, met: MetRule, now: datetime) -> None:
        trace = conversation_store.get_trace(connection, message_id=met.message_id)
        if trace is None:
            return
        if met.outcome == "reply":
            self._receiving.reply_within(connection, trace.account, trace.message, met.reply or "")
        else:
            receipt = write_receipt(write_behaviour(met))._replace(message_id=met.message_id)
            self._receipts.take(connection, StubGateway.name, [receipt], now)

    def record(self, connection: Connection, outcomes: Sequence[MetRule]) -> None:
        """Do nothing, because `claim` has stored everything."""

    def deliver(self, jobs: Sequence[MetRule], finish: Callable[[MetRule], None]) -> None:
        """Do nothing, because `claim` returns no jobs."""

    def list_owners(self, connection: Connection) -> Sequence[str]:  # noqa: ARG002 - there are no leases
        """Return nothing, because there are no leases."""
        return []

    def end_leases(self, connection: Connection, owner: str) -> None:
        """Do nothing, because there are no leases."""
