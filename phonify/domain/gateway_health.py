"""Reports whether a gateway works, how many messages wait for it, and why messages are late."""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ..clock import Clock, format_time, seconds_until
from ..errors import StoreUnavailable
from ..gateways.base import Gateway
from ..sms.segments import count_segments
from ..storage import gateways as store
from ..storage import outbox as outbox_store
from ..storage.database import Connection, Database
from ..storage.gateway_records import GatewayQueue, GatewayState
from ..storage.records import Message
from .pacing import Pacing, Usage

PATIENCE = timedelta(minutes=1)  # a message is late if it became due more than this time ago

Condition = Literal["held", "paused", "failing", "simulating", "works", "untried"]
SUMMARIES: dict[Condition, str] = {
    "held": "paused by the operator",
    "paused": "paused until {until} after a fault",
    "failing": "has failed, and Phonify uses the next message to test the gateway",
    "simulating": "works, but sends nothing to phones",
    "works": "works",
    "untried": "has sent no message yet",
}
CLOSED = ("held", "paused", "failing")  # the conditions in which messages wait


class GatewayStatus(NamedTuple):
    """The status of a gateway."""

    name: str
    condition: Condition
    summary: str  # the condition in words; all users are allowed to read this text
    state: GatewayState
    queue: GatewayQueue
    limits: list[Usage]

    @property
    def is_open(self) -> bool:
        """True if the gateway's condition allows Phonify to send messages.

        In the conditions that `CLOSED` contains, messages wait.
        """
        return self.condition not in CLOSED

    @property
    def full_summary(self) -> str:
        """The summary with the text of the fault. Only the operator is allowed to see this text."""
        return f"{self.summary}: {self.state.fault}" if self.condition in ("paused", "failing") else self.summary


class Trouble(NamedTuple):
    """The reason why a gateway gets no messages now. Pages and commands show this reason."""

    name: str
    condition: Condition  # held, paused or failing
    until: str | None  # the end of the pause; only if paused
    fault: str | None  # only the operator is allowed to read this text; None if the condition is `held`


class Delay(NamedTuple):
    """The longest delay among the messages that wait for one gateway."""

    seconds: float  # since the message became due
    reason: str | None  # None: nothing explains the delay


class Start(NamedTuple):
    """The server or worker that was started most recently. All servers and workers share one database."""

    at: str  # the time when it was started
    gateways: list[str]  # the names of its gateways


class GatewayHealth:
    """Reads the health of one gateway."""

    def __init__(self, clock: Clock, pacing: Pacing, gateway: Gateway) -> None:
        self._clock = clock
        self._pacing = pacing
        self._name = gateway.name
        self._sandbox = gateway.sandbox

    def read_status(self, connection: Connection) -> GatewayStatus:
        """Return the status of the gateway."""
        now = self._clock.now()
        state = store.get_state(connection, name=self._name)
        condition = self._judge(state, format_time(now))
        return GatewayStatus(
            name=self._name,
            condition=condition,
            summary=SUMMARIES[condition].format(until=state.paused_until),
            state=state,
            queue=store.count_queue(connection, gateway=self._name, now=format_time(now)),
            limits=self._pacing.list_usage(connection, now),
        )

    def find_trouble(self, connection: Connection) -> Trouble | None:
        """Return why the gateway gets no messages now. Returns None if the gateway works normally."""
        state, now = store.get_state(connection, name=self._name), format_time(self._clock.now())
        condition = self._judge(state, now)
        if condition not in CLOSED:
            return None
        until = state.paused_until if condition == "paused" else None
        return Trouble(self._name, condition, until, state.fault if condition != "held" else None)

    def find_full_limit(self, connection: Connection, message: Message, at: datetime | None = None) -> str | None:
        """Return a description of the limit that a message exceeds. If the message exceeds no limit, return None.

        `at` is the time of the check. If `at` is None, the method uses the current time. Callers put the word
        "because" in front of the description.
        """
        parts = count_segments(message.body)[0]
        for limit in self._pacing.list_usage(connection, at or self._clock.now()):
            if limit.used and limit.used + parts > limit.most:
                period = "1 second" if limit.seconds == 1 else f"{limit.seconds} seconds"
                return f"the limit of {limit.most} SMS in {period} is used up"
        return None

    def _judge(self, state: GatewayState, now: str) -> Condition:
        if state.held:
            return "held"
        if state.paused_until is not None and state.paused_until > now:
            return "paused"
        if state.faults:
            return "failing"
        if self._sandbox:
            return "simulating"
        return "works" if state.taken_at is not None else "untried"

    def find_delay(self, connection: Connection) -> Delay | None:
        """Return the longest delay among the messages that wait for the gateway. Returns None if no message is late."""
        now = self._clock.now()
        late = outbox_store.find_late_message(
            connection,
            gateway=self._name,
            before=format_time(now - PATIENCE),
            machine_before=format_time(self._clock.machine_now() - PATIENCE),
        )
        if late is None:
            return None
        return Delay(-seconds_until(late.due_at, now), self._explain(connection, late, now))

    def _explain(self, connection: Connection, message: Message, now: datetime) -> str | None:
        """Return why messages for this gateway had to wait. Considers the last 60 seconds.

        If the state of the gateway does not explain the delay, the result is None. Then the delivery loop has a
        problem.
        """
        state = store.get_state(connection, name=self._name)
        before, after = format_time(now - PATIENCE), format_time(now + PATIENCE)
        if state.held:
            return "the operator has paused the gateway"
        if state.paused_until is not None and state.paused_until > format_time(now):
            return "a fault has paused the gateway"
        if state.paused_until is not None and state.paused_until > before:
            return f"the gateway was paused until {state.paused_until}"
        for at in (now, now - PATIENCE):
            if limit := self.find_full_limit(connection, message, at):
                return limit
        if state.taken_at is not None and before < state.taken_at < after:
            return "many messages wait, and the gateway takes them one after another"
        return None


def note_start(database: Database, clock: Clock, names: Collection[str]) -> None:
    """Record that a server or worker has started. `names` contains the names of its gateways."""
    with suppress(StoreUnavailable), database.write() as connection:  # the loops log this error
        store.mark_started(connection, names=names, at=format_time(clock.machine_now()))


def find_other_start(database: Database, known: Collection[str]) -> Start | None:
    """Find the latest `Start` in the database. Return this `Start` if its gateways differ from `known`.

    `known` contains the names of gateways. The result is None in two cases: these names are the same as in the latest
    `Start`, or the database contains no record of a `Start`.
    """
    with database.reading() as connection:
        started = store.list_started(connection)
    return Start(max(started.values()), sorted(started)) if started and started.keys() != set(known) else None
