"""Stores the effects of the sandbox's rules. An effect is a delivery receipt or the reply of a phone."""

import logging
from datetime import datetime

from ..clock import Clock, format_time, monotonic, seconds_until, sleep
from ..domain.receipts import Receipts
from ..domain.receiving import Receiving
from ..domain.rules import write_behaviour
from ..errors import StoreUnavailable
from ..gateways.stub import write_receipt
from ..storage import conversations as conversation_store
from ..storage import rules as store
from ..storage.database import Connection, Database
from ..storage.rule_records import MetRule
from ..storage.savepoint import PartFailed, isolating

logger = logging.getLogger(__name__)

AT_ONCE = 100  # effects in one transaction
INTERVAL = 0.1  # seconds to wait before the next check
AFTER_FAULT = 1.0  # seconds to wait after an error


class RuleEffects:
    """A loop that stores the effects of rules when the effects are due. An effect is a receipt or a reply.

    One transaction stores at most `AT_ONCE` receipts and replies. The loop does not call the gateway.
    """

    def __init__(
        self, database: Database, clock: Clock, gateway: str, receipts: Receipts, receiving: Receiving
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway  # the name of the gateway of the sandbox
        self._receipts = receipts
        self._receiving = receiving

    def run(self) -> None:
        """Call `deliver_due` repeatedly while `database.stopping` is false."""
        while not self._database.stopping:
            pause = INTERVAL
            try:
                self.deliver_due()
            except StoreUnavailable as error:
                logger.warning("the rules are paused, because the database can't be used: %s", error.__cause__)
                pause = AFTER_FAULT
            except Exception:
                logger.exception("the rules are paused after an unexpected error")
                pause = AFTER_FAULT
            sleep(pause)

    def seconds_to_due(self) -> float:
        """Return the seconds until the next receipt or reply is due."""
        with self._database.reading() as connection:
            due_at = store.next_effect_time(connection)
        return seconds_until(due_at, self._clock.now())

    def deliver_due(self, *, deadline: float = float("inf")) -> int:
        """Store all due receipts and replies. When `clock.monotonic()` has reached `deadline`, no new step begins."""
        count = 0
        while monotonic() < deadline and not self._database.stopping and (found := self.step()):
            count += found
        return count

    def step(self) -> int:
        """Store at most `AT_ONCE` effects of rules that are due. An effect is a receipt or a reply.

        Returns the number of these effects. This number includes effects that can't be stored.
        """
        if self.seconds_to_due() > 0:
            return 0
        now = self._clock.now()
        with self._database.write() as connection:
            due = store.list_due_effects(connection, now=format_time(now), limit=AT_ONCE)
            for met in due:
                store.set_effect_time(connection, message_id=met.message_id, due_at=None)
                try:
                    with isolating(connection):
                        self._apply(connection, met, now)
                except PartFailed as error:
                    logger.exception(
                        "Message %s: Phonify could not store the effect of a rule (a receipt or a reply)",
                        met.message_id,
                        exc_info=error.__cause__,
                    )
        return len(due)

    def _apply(self, connection: Connection, met: MetRule, now: datetime) -> None:
        trace = conversation_store.get_trace(connection, message_id=met.message_id)
        if trace is None:
            return
        if met.outcome == "reply":
            self._receiving.reply_within(connection, trace.account, trace.message, met.reply or "")
        else:
            receipt = write_receipt(write_behaviour(met))._replace(message_id=met.message_id)
            self._receipts.take(connection, self._gateway, [receipt], now)
