"""The rules of the sandbox: what happens to the messages and requests of an account.

Some rules apply to messages. In one transaction, Phonify finds the rule for a message, and stores the message with the
rule. Other rules apply to requests. Phonify finds such a rule before it stores any message of the request. The database
stores how often each rule has matched and applied. So all processes use the same counts. If two runs of a test
make the same requests in the same order, both runs have the same outcomes.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import cast

from ..clock import Clock, format_time
from ..errors import Fault, NotFound, RequestRefused, RuleOutcome, StoreUnavailable
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
    """The operations on rules. Each operation uses only data of one account."""

    def __init__(self, database: Database, clock: Clock, gateway: Gateway) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self.enabled = gateway.sandbox

    def warn_if_useless(self) -> None:
        """Log a warning if rules exist and have no effect.

        Rules have no effect if the gateway sends messages to phones.
        """
        if self.enabled:
            return
        with suppress(StoreUnavailable), self._database.reading() as connection:  # the loops log this error
            if count := store.count_rules(connection):
                rules = "1 rule of the sandbox has" if count == 1 else f"{count} rules of the sandbox have"
                logger.warning("%s no effect, because the gateway is %s", rules, self._gateway.name)

    # The list

    def find_all(self, account: Account) -> list[Rule]:
        """Return the account's rules, sorted by position."""
        with self._database.reading() as connection:
            return store.list_rules(connection, account_id=account.id)

    def find(self, account: Account, rule_id: str) -> Rule:
        """Return a rule. Raises NotFound if the account has no rule with this id."""
        return _pick(self.find_all(account), rule_id)

    def create(self, account: Account, draft: RuleDraft) -> Rule:
        """Add a rule. If `draft` has no position, the new rule becomes the last rule.

        Raises RequestRefused if the account already has the maximum number of rules (MOST_RULES).
        """
        with self._editing(account) as (rules, ids):
            rule = self._make(account, draft, next(ids))
            rules.insert((draft.position or len(rules) + 1) - 1, rule)
        return _pick(rules, rule.id)

    def change(self, account: Account, rule_id: str, draft: RuleDraft) -> Rule:
        """Replace a rule, but keep its id. The counts begin again at 0.

        If the position in `draft` is None, the rule keeps its old position.
        """
        with self._editing(account) as (rules, _):
            former = _pick(rules, rule_id)
            rules.remove(former)
            rules.insert((draft.position or former.position) - 1, self._make(account, draft, rule_id))
        return _pick(rules, rule_id)

    def move(self, account: Account, rule_id: str, position: int) -> Rule:
        """Move a rule to a position. Raises NotFound if the account has no rule with this id."""
        with self._editing(account) as (rules, _):
            rule = _pick(rules, rule_id)
            rules.remove(rule)
            rules.insert(position - 1, rule)
        return _pick(rules, rule_id)

    def delete(self, account: Account, rule_id: str) -> Rule:
        """Remove a rule and return it. Raises NotFound if the account has no rule with this id."""
        with self._editing(account) as (rules, _):
            rule = _pick(rules, rule_id)
            rules.remove(rule)
        return rule

    def load(self, account: Account, drafts: Iterable[RuleDraft]) -> list[Rule]:
        """Replace all rules of an account. Raises RequestRefused if there are more than MOST_RULES new rules."""
        with self._editing(account) as (rules, ids):
            rules[:] = [self._make(account, draft, next(ids)) for draft in drafts]
        return rules

    @contextmanager
    def _editing(self, account: Account) -> Iterator[tuple[list[Rule], Iterator[str]]]:
        """Yield two values: the list of the account's rules, and an iterator of ids for new rules.

        Inside the `with` block, the caller can change the list. When the `with` block ends, Phonify stores the rules
        in the order of the list. Then Phonify reads the stored rules into the list.
        """
        if not self.enabled:
            raise NotFound
        with self._database.write() as connection:
            rules = store.list_rules(connection, account_id=account.id)
            yield rules, generate_ids(self._clock.now(), after=store.get_last_rule_id(connection))
            if len(rules) > MOST_RULES:
                raise RequestRefused([Fault("too_many_rules")])
            store.put_rules(connection, account_id=account.id, rules=rules)
            rules[:] = store.list_rules(connection, account_id=account.id)

    def _make(self, account: Account, draft: RuleDraft, rule_id: str) -> Rule:
        end = format_time(self._clock.now() + timedelta(seconds=draft.ttl)) if draft.ttl is not None else None
        return draft.rule._replace(id=rule_id, account_id=account.id, expires_at=end)

    # Messages

    def meet(self, connection: Connection, account_id: int, texts: Sequence[Text | None]) -> list[Rule | None]:
        """Return a list with one item for each message: the rule that applies, or None.

        Updates the stored counts `seen` and `used` of the rules. If an item of `texts` is None, the
        result for this item is None.

        Call this in the transaction that stores the messages.
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
        """For each message, store the rule that applies to this message."""
        store.put_met_rules(connection, met=[_write_met(message, rule) for message, rule in met if rule is not None])

    def find_built_in_refusal(self, number: str) -> str | None:
        """If a built-in rule refuses messages to `number`, return the error type. Otherwise, return None."""
        rule = _BUILT_IN.get(number)
        return rule.refusal if rule is not None else None

    def meet_again(self, connection: Connection, message: Message) -> Rule | None:
        """Find the new rule of a message. Call this if the message was changed, or was moved to another gateway.

        Updates the stored counts `seen` and `used` of the rules. `note_again` stores the rule for the message.
        If the message is not in the sandbox, no rule applies.
        """
        return self.meet(connection, message.account_id, [read_text(message)])[0] if self._has(message) else None

    def note_again(self, connection: Connection, message: Message, rule: Rule | None) -> None:
        """Replace the stored rule of a message. `rule` is the result of `meet_again`."""
        store.delete_met_rule(connection, message_id=message.id)
        self.note(connection, [(message, rule)])

    def choose(self, message: OutboundMessage) -> Behaviour | None:
        """Return what the stub gateway does with a message. Returns None if no rule applies to the message."""
        with self._database.reading() as connection:
            met = store.find_met_rules(connection, message_ids=[message.id]).get(message.id)
        return write_behaviour(met) if met is not None else None

    def find_met(self, messages: Iterable[Message]) -> dict[str, MetRule]:
        """Return the rules that apply to messages. The keys are the ids of the messages."""
        with self._database.reading() as connection:
            return store.find_met_rules(connection, message_ids=[message.id for message in messages])

    def is_delivery_simulated(self, message: Message) -> bool:
        """Return whether a message in state `sent` is treated as delivered.

        This is true if the message belongs to the sandbox, and if no rule has planned a receipt for the message.
        """
        if not self._has(message):
            return False
        met = self.find_met([message]).get(message.id)
        return met is None or met.due_at is None or met.outcome == "reply"

    def force(self, account: Account, message_id: str, draft: RuleDraft) -> Message:
        """Choose the outcome of one message. The message becomes due now, even if it is scheduled for later.

        Raises NotFound if the account has no message with this id. Raises RequestRefused if the message is inbound, has
        a final state, or belongs to another gateway.
        """
        with self._database.write() as connection:
            now = format_time(self._clock.now())
            message = message_store.get_message(connection, account_id=account.id, message_id=message_id)
            if message is None or not self.enabled:
                raise NotFound
            attempts = outbox_store.make_due(connection, message=message, now=now) if self._has(message) else None
            if attempts is None:
                raise RequestRefused([Fault("message_not_open")])
            message = message._replace(due_at=now, submitted_at=None, attempts=attempts)
            self.note(connection, [(message, draft.rule)])
        return message

    def _has(self, message: Message) -> bool:
        """Return whether a message belongs to the gateway of the sandbox."""
        return self.enabled and message.gateway in (None, self._gateway.name)

    # Planned receipts and replies

    def plan_effects(self, connection: Connection, messages: Sequence[Message], now: datetime) -> set[str]:
        """Set the times of the planned receipts and planned replies for these messages.

        A rule can define a receipt that comes later, or a phone's reply. Returns the ids of the messages that
        get a receipt later.
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
        """Find the rule that applies to a request. Updates the stored counts `seen` and `used` of the rules.

        `given` contains three values for each message of the request: the recipient, the sender and the body.
        """
        with self._database.write() as connection:
            rules = [rule for rule in store.list_rules(connection, account_id=account.id) if rule.is_about_requests]
            counting = Counting(rules, format_time(self._clock.now()))
            met = counting.find([Text("outbound", *one) for one in given])
            store.update_counts(connection, rules=counting.list_counted())
        return met


def read_text(message: Message) -> Text:
    """Return the data that a rule checks: the message's direction, recipient, sender and body."""
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
    """Return what the stub gateway does if this rule applies."""
    return Behaviour(met.outcome, met.error_type, met.seconds, met.times, met.since)


def _pick(rules: Iterable[Rule], rule_id: str) -> Rule:
    for rule in rules:
        if rule.id == rule_id:
            return rule
    raise NotFound
