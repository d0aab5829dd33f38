"""Decides when a gateway gets messages. A gateway has limits. Phonify or the operator can pause a gateway.

All processes share this state. If a fault concerns all messages, Phonify pauses the gateway. For example, the
credentials are wrong. Without this pause, Phonify would try to send each message, and each attempt would fail.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ..clock import Clock, format_time, parse_time, seconds_until
from ..gateways.base import Doubt, Gateway, Later, Outcome, Refused, Taken
from ..sms.segments import count_segments
from ..storage import gateways as store
from ..storage.database import Connection, Database
from ..storage.gateway_records import GatewayState
from ..storage.records import Message

logger = logging.getLogger(__name__)

FIRST_PAUSE = 1.0  # seconds; doubled with each fault
LAST_PAUSE = 60.0
LONGEST_PAUSE = 3_600.0  # if the provider asks for it


class Usage(NamedTuple):
    """Describes how much of a gateway's limit is used."""

    seconds: int  # the limit counts the segments of the last `seconds` seconds
    most: int  # segments
    used: int


class Pacing:
    """Decides how many messages one gateway gets, and at which time. Call `admit` and `note` in a transaction."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        gateway: Gateway,
        rates: Mapping[int, int],
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway.name
        self._rates = rates  # length of a period in seconds -> maximum number of segments in this period
        self._sandbox = gateway.sandbox  # a sandbox always works
        # In logs, the provider's address follows the name of the gateway.
        self._shown = f"{gateway.name} ({gateway.peer})" if gateway.peer else gateway.name

    def seconds_to_open(self, connection: Connection, body: str = "") -> float:
        """Return how many seconds a message with this body must wait for the gateway.

        Returns 0 if the gateway can get the message now. Returns infinity if the operator has paused the gateway.
        """
        state, now = store.get_state(connection, name=self._gateway), self._clock.now()
        if state.held:
            return float("inf")
        waits = [seconds_until(state.paused_until, now) if _is_paused(state, now) else 0.0]
        parts = count_segments(body)[0]
        waits += [self._seconds_to_fit(connection, usage, parts, now) for usage in self.list_usage(connection, now)]
        return max(waits)

    def _seconds_to_fit(self, connection: Connection, usage: Usage, parts: int, now: datetime) -> float:
        """Return how many seconds a message must wait because of one limit. The message has `parts` segments."""
        excess = usage.used + min(parts, usage.most) - usage.most
        since = now - timedelta(seconds=usage.seconds)
        first, last = format_time(since), format_time(now)
        at = excess > 0 and store.find_send_time(
            connection, gateway=self._gateway, since=first, now=last, number=excess
        )
        return (parse_time(at) - since).total_seconds() if at else 0.0

    def is_trying(self, connection: Connection) -> bool:
        """Return whether Phonify is testing the gateway after a fault.

        For the test, Phonify sends a single message. The outcome of this message shows whether the fault has ended.
        """
        return store.get_state(connection, name=self._gateway).faults > 0

    def list_usage(self, connection: Connection, now: datetime) -> list[Usage]:
        """Return a `Usage` for each limit of the gateway.

        The field `seconds` of a `Usage` is the length of a period. This period ends at `now`. The field `used` is
        the number of segments that Phonify sent to the gateway in this period.
        """
        used = []
        for seconds, most in self._rates.items():
            since = format_time(now - timedelta(seconds=seconds))
            count = store.count_sends(connection, gateway=self._gateway, since=since, now=format_time(now))
            used.append(Usage(seconds, most, count))
        return used

    def admit(self, connection: Connection, messages: Sequence[Message]) -> list[Message]:
        """Return the first messages of the list, as many as the limits allow.

        While Phonify is testing the gateway after a fault, this method returns at most one message. Stores the number
        of segments in these messages. `list_usage` then includes these segments.
        """
        if self.is_trying(connection):
            messages = messages[:1]
        if not self._rates or not messages:
            return list(messages)
        now = self._clock.now()
        usages = self.list_usage(connection, now)
        admitted: list[Message] = []
        used = 0
        for message in messages:
            parts = count_segments(message.body)[0]
            # A message can have more segments than a limit allows. Such a message waits for a period without other
            # messages.
            if any(usage.used + used + min(parts, usage.most) > usage.most for usage in usages):
                break
            admitted.append(message)
            used += parts
        longest = format_time(now - timedelta(seconds=max(self._rates)))
        store.delete_sends(connection, gateway=self._gateway, until=longest)
        if used:
            store.insert_sends(connection, gateway=self._gateway, at=format_time(now), parts=used)
        return admitted

    # Faults

    def note(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Update the state of the gateway after an attempt.

        If `pause` is true in an outcome, the gateway is paused. An accepted or refused message shows that the
        gateway answers. Phonify then records that the gateway works.
        """
        for outcome in outcomes:
            if isinstance(outcome, Later | Doubt) and outcome.pause:
                retry_after = outcome.retry_after if isinstance(outcome, Later) else None
                self._pause(connection, outcome.reason or "it takes no messages", retry_after or 0.0)
        if not self._sandbox and any(isinstance(outcome, Taken | Refused) for outcome in outcomes):
            self._note_working(connection)

    def _pause(self, connection: Connection, reason: str, retry_after: float) -> None:
        """Pause the gateway. If the gateway is already paused, do nothing.

        So if several faults happen at the same time, only the first fault causes a pause.
        """
        state, now = store.get_state(connection, name=self._gateway), self._clock.now()
        at = format_time(now)
        if _is_paused(state, now):
            return
        pause = min(FIRST_PAUSE * 2.0 ** min(state.faults, 30), LAST_PAUSE) * random.uniform(0.75, 1.0)  # noqa: S311
        until = format_time(now + timedelta(seconds=max(pause, min(retry_after, LONGEST_PAUSE))))
        state = state._replace(paused_until=until, faults=state.faults + 1, fault=reason, fault_at=at)
        store.put_state(connection, state=state)
        logger.warning("The gateway %s is paused until %s: %s", self._shown, until, reason)

    def _note_working(self, connection: Connection) -> None:
        """Record that the gateway works. If the gateway is paused, the fault remains. Otherwise, the fault ends."""
        state, now = store.get_state(connection, name=self._gateway), self._clock.now()
        at = format_time(now)
        if _is_paused(state, now):
            # This message was sent before the fault. So the fault may still exist.
            store.put_state(connection, state=state._replace(taken_at=at))
            return
        if state.faults:
            logger.warning("The gateway %s works again", self._shown)
        elif state.taken_at is not None and state.taken_at[:-5] == at[:-5]:
            return  # `taken_at` already has the current second
        store.put_state(connection, state=state._replace(paused_until=None, faults=0, taken_at=at))

    # The operator

    def hold(self, *, held: bool) -> None:
        """Pause the gateway if `held` is true. Otherwise, end the pause, even if a fault has caused the pause."""
        with self._database.write() as connection:
            state = store.get_state(connection, name=self._gateway)._replace(held=held)
            if not held:
                state = state._replace(paused_until=format_time(self._clock.now()))
            store.put_state(connection, state=state)


def _is_paused(state: GatewayState, now: datetime) -> bool:
    """Return whether a fault has paused the gateway.

    If the time of the fault is in the future, somebody has moved the clock back. Then the result is False.
    """
    at = format_time(now)
    is_from_future = state.fault_at is not None and state.fault_at > at
    return state.paused_until is not None and state.paused_until > at and not is_from_future
