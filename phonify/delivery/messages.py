"""Delivers messages: claims due messages, calls the gateway (`calls.py`), and records the outcomes."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ..clock import Clock, format_time, seconds_until
from ..domain.outcomes import end_as_error, end_as_sent
from ..domain.pacing import Pacing
from ..domain.receipts import Receipts
from ..domain.rules import Rules
from ..domain.webhooks import Webhooks
from ..gateways.base import Doubt, Gateway, Later, Refused, Taken
from ..storage import messages as message_store
from ..storage import moving as moving_store
from ..storage import outbox as outbox_store
from ..storage import runs as run_store
from ..storage import subscriptions as subscription_store
from ..storage.database import Connection, Database
from ..storage.records import AttemptOutcome, Message, MessageAttempt
from ..storage.savepoint import PartFailed, isolating
from .calls import GatewayCalls, MessageOutcome
from .loop import Observe

logger = logging.getLogger(__name__)

# While the gateway gets no messages, one transaction reads at most this number of expired messages. The limit for
# interrupted messages is the same.
EXPIRED = 300


class MessageDelivery:
    """Delivers the messages of one gateway. The delivery loop calls these methods."""

    name = "messages"

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        clock: Clock,
        webhooks: Webhooks,
        receipts: Receipts,
        pacing: Pacing,
        rules: Rules,
        *,
        lease: timedelta,
        only_to: frozenset[str],
        observe: Observe,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._webhooks = webhooks
        self._receipts = receipts
        self._pacing = pacing
        self._rules = rules
        self._lease = lease
        self._only_to = only_to  # if it is not empty, only these numbers get messages
        self._calls = GatewayCalls(database, gateway, clock, lease=lease, observe=observe)

    def seconds_to_next(self) -> float:
        """Return the number of seconds until a message is due or a lease ends. See `seconds_to_due`."""
        with self._database.reading() as connection:
            lease_ends_at = outbox_store.next_lease_end(connection, gateway=self._gateway.name)
        return min(self.seconds_to_due(), seconds_until(lease_ends_at, self._clock.machine_now()))

    def seconds_to_due(self) -> float:
        """Return the number of seconds until a message is due and the gateway can get this message.

        If the validity period of a message ends before that time, return the number of seconds until this period ends.
        """
        if not self._calls.count_places():
            return float("inf")  # when a call to the gateway ends, the loop continues
        with self._database.reading() as connection:
            due_at = outbox_store.next_due_at(connection, gateway=self._gateway.name)
            if due_at is None:
                return float("inf")
            # One call to the gateway shows whether the fault has ended. When this call ends, the loop continues.
            if self._calls.is_calling() and self._pacing.is_trying(connection):
                return float("inf")
            now, opens_in = self._clock.now(), self._seconds_to_open(connection)
            seconds = seconds_until(due_at, now)
            if opens_in <= 0:
                return seconds
            expires_at = outbox_store.next_expiry(connection, gateway=self._gateway.name)
        return min(max(seconds, opens_in), seconds_until(expires_at, now))

    def _seconds_to_open(self, connection: Connection) -> float:
        """Return how many seconds the next due message must wait for the gateway."""
        now = format_time(self._clock.now())
        due = outbox_store.list_due_messages(connection, gateway=self._gateway.name, now=now, limit=1)
        return self._pacing.seconds_to_open(connection, due[0].body if due else "")

    def list_owners(self, connection: Connection) -> Sequence[str]:
        """Return the id of each owner that has a lease on a message."""
        return outbox_store.list_lease_owners(connection)

    def end_leases(self, connection: Connection, owner: str) -> None:
        """End the leases of an owner."""
        outbox_store.end_leases(connection, owner=owner, now=self._now())

    # Claiming

    def claim(self, connection: Connection, owner: str) -> list[Message]:
        """Claim messages that are due, and return them. `owner` holds the leases of these messages.

        Some due messages must not be sent. If the message belongs to a test run that has ended, remove the message. If
        the message is doubtful (see `_is_doubtful`), record that it is in doubt. In all other cases, the message fails.
        """
        clock_now, machine_now = self._clock.now(), self._clock.machine_now()
        now = format_time(clock_now)
        leased: list[Message] = []
        errors: dict[Message, str] = {}
        outbox_store.end_expired_leases(connection, now=now, machine_now=format_time(machine_now))
        ended = run_store.list_ended_accounts(connection, now=format_time(machine_now))
        for message in self._list_messages(connection, now):
            if message.account_id in ended:
                message_store.delete_message(connection, message=message)
            elif message.expires_at is not None and message.expires_at <= now:
                errors[message] = "validity_expired"
            elif self._is_doubtful(connection, message):
                self._doubt(connection, message, now)
            elif self._is_opted_out(connection, message):
                errors[message] = "opted_out"
            elif self._only_to and message.to_number not in self._only_to:
                errors[message] = "recipient_not_permitted"
            else:
                leased.append(message)
        end_as_error(connection, self._webhooks, errors, clock_now)
        until = format_time(machine_now + self._lease)
        leased = self._pacing.admit(connection, leased)
        return outbox_store.lease_messages(
            connection, messages=leased, place=self._gateway.place, owner=owner, now=now, until=until
        )

    def _is_doubtful(self, connection: Connection, message: Message) -> bool:
        """Return whether another attempt could give the phone a second copy of the message.

        This is possible if the outcome of an earlier attempt is unknown and the gateway can't recognise repeated
        messages.
        """
        if not message.attempts or (self._gateway.repeatable and message.submitted_to in (None, self._gateway.place)):
            return False
        return moving_store.may_have_been_taken(connection, message=message)

    def _list_messages(self, connection: Connection, now: str) -> list[Message]:
        """Return due messages.

        If the gateway can't get messages now, return only expired messages and doubtful messages (see `_is_doubtful`).
        """
        if self._seconds_to_open(connection) <= 0:
            places = self._calls.count_places()
            return outbox_store.list_due_messages(connection, gateway=self._gateway.name, now=now, limit=places)
        ended = outbox_store.list_expired_messages(connection, gateway=self._gateway.name, now=now, limit=EXPIRED)
        interrupted = outbox_store.list_interrupted_messages(
            connection, gateway=self._gateway.name, now=now, limit=EXPIRED
        )
        return ended + [message for message in interrupted if self._is_doubtful(connection, message)]

    def _is_opted_out(self, connection: Connection, message: Message) -> bool:
        """Return whether the recipient opted out after Phonify had accepted the message.

        After an opt-out, the recipient can get only one kind of message: the reply to STOP or HELP. For this reply, the
        method returns False.
        """
        found = subscription_store.get_subscription(connection, account_id=message.account_id, phone=message.to_number)
        if found.subscribed or found.changed_at is None:
            return False
        return message.send_at is not None or message.created_at <= found.changed_at

    # Calling the gateway

    def deliver(self, jobs: Sequence[Message], finish: Callable[[MessageOutcome], None]) -> None:
        """Send the messages through the gateway. See `calls.py`."""
        self._calls.deliver(jobs, finish)

    # Recording

    def record(self, connection: Connection, outcomes: Sequence[MessageOutcome]) -> None:
        """Record the outcomes of attempts, and store webhook events.

        If the state of a message becomes final, store an event for this message. If a message is in doubt, store an
        event for this message. A message is in doubt if nobody knows its outcome.

        First, record all outcomes together. If an unexpected error occurs, record the outcomes one by one. If Phonify
        can't record the outcome of a message, it records that this message is in doubt. This failure does not affect
        the other outcomes.
        """
        try:
            with isolating(connection):
                self._record(connection, outcomes)
        except PartFailed as error:
            logger.exception("The outcomes of %d messages can't be recorded", len(outcomes), exc_info=error.__cause__)
            if len(outcomes) == 1:
                self._doubt(connection, outcomes[0].message, self._now())
                return
            for outcome in outcomes:
                self.record(connection, [outcome])

    def _record(self, connection: Connection, outcomes: Sequence[MessageOutcome]) -> None:
        clock_now = self._clock.now()
        now = format_time(clock_now)
        taken: dict[Message, Taken] = {}
        errors: dict[Message, str] = {}
        for message, outcome, at, due_at in outcomes:
            match outcome:
                case None | Later(pause=True, unsure=False):
                    outbox_store.give_back(connection, message=message, now=now)
                case Taken():
                    taken[message] = outcome
                case Refused(error_type):
                    self._note_attempt(connection, message, "rejected", at)
                    errors[message] = error_type
                case Later(unsure=unsure):
                    self._note_attempt(
                        connection, message, "unconfirmed" if unsure else "unavailable", at, due_at or at
                    )
                    outbox_store.reschedule(connection, message=message, due_at=due_at or at)
                case Doubt():
                    self._doubt(connection, message, at)
        sent = end_as_sent(connection, self._webhooks, taken, clock_now)
        end_as_error(connection, self._webhooks, errors, clock_now)
        self._pacing.note(connection, [outcome for _, outcome, *_ in outcomes if outcome is not None])
        if self._gateway.sandbox:
            # The other messages are final, were removed, or have a newer attempt (see `make_due`). Ignore their
            # receipts. No phone is involved.
            ended = {(message.id, message.attempts) for message in sent}
            taken = {message: answer for message, answer in taken.items() if (message.id, message.attempts) in ended}
        for message, answer in taken.items():
            self._note_taken(connection, message, answer, clock_now)
        if self._gateway.sandbox:
            reported = {message.id for message, answer in taken.items() if answer.receipts}
            reported |= self._rules.plan_effects(connection, sent, clock_now)
            simulated = [message for message in sent if message.id not in reported]
            # Only fronts post this event. The account's own webhook does not.
            self._webhooks.enqueue(connection, "message.simulated", simulated, clock_now)

    def _note_taken(self, connection: Connection, message: Message, outcome: Taken, now: datetime) -> None:
        """Store what the gateway returned for this message: the provider's ids, and the receipts.

        Outside the sandbox, this happens even if an earlier receipt has made the state of the message final.
        """
        self._receipts.note_taken(connection, self._gateway, message, outcome.references, now)
        receipts = [receipt._replace(message_id=message.id) for receipt in outcome.receipts]
        self._receipts.take(connection, self._gateway.name, receipts, now)

    def _doubt(self, connection: Connection, message: Message, at: str) -> None:
        """Record that a message is in doubt. Such a message is not sent again."""
        self._note_attempt(connection, message, "unconfirmed", at)
        if outbox_store.await_validity(connection, message=message, now=at):
            now = self._clock.now()
            self._webhooks.enqueue(connection, "message.in_doubt", [message], now)
            self._receipts.note_doubt(connection, self._gateway, message, now)

    def _note_attempt(
        self, connection: Connection, message: Message, outcome: AttemptOutcome, at: str, due_at: str | None = None
    ) -> None:
        attempt = MessageAttempt(message.attempts, at, outcome, due_at)
        outbox_store.insert_attempt(connection, message_id=message.id, attempt=attempt)

    def _now(self) -> str:
        return format_time(self._clock.now())
