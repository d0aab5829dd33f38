"""The rules of the sandbox: what happens to the messages and requests of an account.

A message meets its rule in the transaction that stores it, and the rule's outcome is stored with it. A request meets
its rule before anything is stored. The counts of the rules are in the database. So several processes count together,
and the same requests in the same order have the same outcomes.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast

from ..clock import Clock, format_time
from ..errors import Fault, NotFound, Refused, RuleOutcome, StoreUnavailable
from ..gateways.base import Gateway, OutboundMessage
from ..gateways.stub import BEHAVIOURS, SPECIAL_NUMBERS, Behaviour
from ..ids import generate_ids
from ..schemas.rules import RuleDraft
from ..storage import messages as message_store
from ..storage import outbox as outbox_store
from ..storage import rules as store
from ..storage.database import Connection, Database
from ..storage.records import Account, Message
from ..storage.rule_records import MetRule, Rule
from .rule_matching import Counting, Text

logger = logging.getLogger(__name__)

MOST_RULES = 100  # of one account
_BUILT_IN = {
    number: Rule(
        cast(RuleOutcome, does.outcome),
        id=number,
        name=SPECIAL_NUMBERS[number],
        to_number=number,
        error_type=does.error_type,
        seconds=does.seconds,
        times=does.times,
    )
    for number, does in BEHAVIOURS.items()
}


class Rules:
    """The operations on rules. Each is limited to one account."""

    def __init__(self, database: Database, clock: Clock, gateway: Gateway) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self.enabled = gateway.sandbox

    def warn_if_useless(self) -> None:
        """Log a warning if there are rules, but the gateway sends messages to phones."""
        if self.enabled:
            return
        with suppress(StoreUnavailable), self._database.reading() as connection:  # the loops tell that
            if count := store.count_rules(connection):
                rules = "1 rule of the sandbox has" if count == 1 else f"{count} rules of the sandbox have"
                logger.warning("%s no effect, because the gateway is %s", rules, self._gateway.name)

    # The list

    def find_all(self, account: Account) -> list[Rule]:
        """Return the rules of an account in their order."""
        with self._database.reading() as connection:
            return store.list_rules(connection, account_id=account.id)

    def find(self, account: Account, rule_id: str) -> Rule:
        """Return a rule. Raises NotFound if the account has no rule with this id."""
        return _pick(self.find_all(account), rule_id)

    def create(self, account: Account, draft: RuleDraft) -> Rule:
        """Add a rule at its position, by default at the end. Raises Refused if the account has MOST_RULES rules."""
        (made,) = self._edit(account, [draft], lambda rules, made: _place(rules, made[0], draft.position))
        return made

    def change(self, account: Account, rule_id: str, draft: RuleDraft) -> Rule:
        """Replace a rule. It keeps its id and, by default, its position. Its counts begin again at 0."""

        def replace(rules: list[Rule], made: list[Rule]) -> list[Rule]:
            former = _pick(rules, rule_id)
            rest = [rule for rule in rules if rule.id != rule_id]
            return _place(rest, made[0]._replace(id=rule_id), draft.position or former.position)

        self._edit(account, [draft], replace)
        return self.find(account, rule_id)

    def move(self, account: Account, rule_id: str, position: int) -> Rule:
        """Move a rule to a position. Raises NotFound as `find` does."""

        def place(rules: list[Rule], _made: list[Rule]) -> list[Rule]:
            return _place([rule for rule in rules if rule.id != rule_id], _pick(rules, rule_id), position)

        self._edit(account, [], place)
        return self.find(account, rule_id)

    def delete(self, account: Account, rule_id: str) -> Rule:
        """Remove a rule and return it. Raises NotFound as `find` does."""
        removed: list[Rule] = []

        def remove(rules: list[Rule], _made: list[Rule]) -> list[Rule]:
            removed.append(_pick(rules, rule_id))
            return [rule for rule in rules if rule.id != rule_id]

        self._edit(account, [], remove)
        return removed[0]

    def load(self, account: Account, drafts: Sequence[RuleDraft]) -> list[Rule]:
        """Replace all rules of an account. Raises Refused if there are more than MOST_RULES."""
        return self._edit(account, drafts, lambda _, made: made)

    def _edit(
        self,
        account: Account,
        drafts: Sequence[RuleDraft],
        edit: Callable[[list[Rule], list[Rule]], list[Rule]],
    ) -> list[Rule]:
        """Replace the rules by the result of `edit`, which gets the old and the new rules. Returns the new rules."""
        if not self.enabled:
            raise NotFound
        with self._database.write() as connection:
            now = self._clock.now()
            ids = generate_ids(now, after=store.get_last_rule_id(connection))
            made = [
                draft.rule._replace(id=next(ids), account_id=account.id, expires_at=_end(now, draft.ttl))
                for draft in drafts
            ]
            edited = edit(store.list_rules(connection, account_id=account.id), made)
            if len(edited) > MOST_RULES:
                raise Refused([Fault("too_many_rules")])
            store.put_rules(connection, account_id=account.id, rules=edited)
            stored = store.list_rules(connection, account_id=account.id)
        known = {rule.id for rule in made}
        return [rule for rule in stored if rule.id in known]

    # Messages

    def meet(self, connection: Connection, account_id: int, texts: Sequence[Text | None]) -> list[Rule | None]:
        """Return the rule of an account that each text meets, and count it. A text that is None meets no rule.

        Call it in the transaction that stores the messages.
        """
        if not self.enabled:
            return [None] * len(texts)
        rules = [rule for rule in store.list_rules(connection, account_id=account_id) if not rule.is_about_requests]
        counting = Counting(rules, format_time(self._clock.now()))
        met = [counting.find([text]) if text is not None else None for text in texts]
        store.update_counts(connection, rules=counting.list_counted())
        return [
            rule or (_BUILT_IN.get(text.to) if text is not None and text.direction == "outbound" else None)
            for rule, text in zip(met, texts, strict=True)
        ]

    def note(self, connection: Connection, met: Iterable[tuple[Message, Rule | None]]) -> None:
        """Store the rule that each message has met."""
        store.put_met_rules(connection, met=[_write_met(message, rule) for message, rule in met if rule is not None])

    def find_built_in_refusal(self, number: str) -> str | None:
        """Return the error type with which a special number refuses messages at once, or None."""
        rule = _BUILT_IN.get(number)
        return rule.refusal if rule is not None else None

    def meet_again(self, connection: Connection, message: Message) -> Rule | None:
        """Return the rule that a changed or moved message meets, and count it. `note_again` stores it.

        A message of another gateway than the sandbox meets no rule.
        """
        return self.meet(connection, message.account_id, [read_text(message)])[0] if self._has(message) else None

    def note_again(self, connection: Connection, message: Message, rule: Rule | None) -> None:
        """Store the rule that a changed or moved message has met. Its former rule is forgotten."""
        store.delete_met_rule(connection, message_id=message.id)
        self.note(connection, [(message, rule)])

    def choose(self, message: OutboundMessage) -> Behaviour | None:
        """Return what happens to a message, or None if it has met no rule. The stub gateway calls this."""
        with self._database.reading() as connection:
            met = store.find_met_rules(connection, message_ids=[message.id]).get(message.id)
        return write_behaviour(met) if met is not None else None

    def find_met(self, messages: Iterable[Message]) -> dict[str, MetRule]:
        """Return the rule that each message has met. The keys are the ids of the messages."""
        with self._database.reading() as connection:
            return store.find_met_rules(connection, message_ids=[message.id for message in messages])

    def is_delivery_simulated(self, message: Message) -> bool:
        """Return whether a sent message counts as delivered.

        It does if the sandbox has it and no receipt will come.
        """
        if not self._has(message):
            return False
        met = self.find_met([message]).get(message.id)
        return met is None or met.due_at is None or met.outcome == "reply"

    def force(self, account: Account, message_id: str, draft: RuleDraft) -> Message:
        """Give one message an outcome. The message is due at once, even if it is scheduled.

        Raises NotFound if the account has no message with this id. Raises Refused if the message is inbound, in a final
        state, or released to phones.
        """
        with self._database.write() as connection:
            now = format_time(self._clock.now())
            message = message_store.get_message(connection, account_id=account.id, message_id=message_id)
            if message is None or not self.enabled:
                raise NotFound
            attempts = outbox_store.make_due(connection, message=message, now=now) if self._has(message) else None
            if attempts is None:
                raise Refused([Fault("message_not_open")])
            message = message._replace(due_at=now, submitted_at=None, attempts=attempts)
            self.note(connection, [(message, draft.rule)])
        return message

    def _has(self, message: Message) -> bool:
        """Return whether a message belongs to the sandbox and not to another gateway."""
        return self.enabled and message.gateway in (None, self._gateway.name)

    # What comes after a message

    def plan_effects(self, connection: Connection, messages: Sequence[Message], now: datetime) -> set[str]:
        """Set the times of the receipts and replies that come after messages.

        Returns the ids of the messages that get a receipt later.
        """
        later = set()
        met = store.find_met_rules(connection, message_ids=[message.id for message in messages])
        for one in met.values():
            if one.outcome == "reply" or (one.outcome in ("delivered", "undelivered") and one.seconds):
                due_at = format_time(now + timedelta(seconds=one.seconds))
                store.set_effect_time(connection, message_id=one.message_id, due_at=due_at)
                if one.outcome != "reply":
                    later.add(one.message_id)
        return later

    # Requests

    def has_request_rules(self, account: Account) -> bool:
        """Return whether an account has rules for requests."""
        return self.enabled and any(rule.is_about_requests for rule in self.find_all(account))

    def meet_request(self, account: Account, given: Sequence[tuple[str, str, str]]) -> Rule | None:
        """Return the rule that a request meets, and count it.

        `given` has the recipient, the sender and the body of each message that the request would send.
        """
        with self._database.write() as connection:
            rules = [rule for rule in store.list_rules(connection, account_id=account.id) if rule.is_about_requests]
            counting = Counting(rules, format_time(self._clock.now()))
            met = counting.find([Text("outbound", *one) for one in given])
            store.update_counts(connection, rules=counting.list_counted())
        return met


def read_text(message: Message) -> Text:
    """Return what rules know about a message."""
    return Text(message.direction, message.to_number, message.origin_number, message.body)


def _write_met(message: Message, rule: Rule) -> MetRule:
    return MetRule(
        message.id,
        rule.id or None,
        rule.name,
        rule.outcome,
        rule.error_type,
        rule.seconds,
        rule.times,
        rule.reply,
        message.attempts,
    )


def write_behaviour(met: MetRule) -> Behaviour:
    """Return the behaviour of a message that has met a rule."""
    return Behaviour(met.outcome, met.error_type, met.seconds, met.times, met.since)


def _end(now: datetime, ttl: int | None) -> str | None:
    return format_time(now + timedelta(seconds=ttl)) if ttl is not None else None


def _pick(rules: Iterable[Rule], rule_id: str) -> Rule:
    for rule in rules:
        if rule.id == rule_id:
            return rule
    raise NotFound


def _place(rules: Sequence[Rule], rule: Rule, position: int | None) -> list[Rule]:
    at = len(rules) if position is None else position - 1
    return [*rules[:at], rule, *rules[at:]]
