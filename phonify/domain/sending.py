"""Sends and finds messages. This module begins and ends the transactions."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..clock import Clock, format_time
from ..errors import Conflict, Fault, NotFound, RequestRefused
from ..gateways.base import Gateway
from ..ids import generate_ids
from ..request_id import current_key_id, current_request_id
from ..schemas.answers import choose_status, dump_sent
from ..schemas.requests import Draft
from ..sms.numbers import Number, parse_originator
from ..storage import accounts as account_store
from ..storage import fronts as front_store
from ..storage import idempotency as idempotency_store
from ..storage import messages as store
from ..storage.database import Connection, Database
from ..storage.records import Account, Answer, Criteria, Direction, Message
from ..storage.rule_records import Rule
from .rule_matching import Text
from .rules import Rules
from .subscriptions import Subscriptions
from .waiting import Waiting
from .webhooks import Webhooks

IDEMPOTENCY_PERIOD = timedelta(hours=24)


class Sent(NamedTuple):
    """The result of a request that sends messages.

    `messages` has one item for each recipient, even for a refused recipient. `faults` has one item for each refusal.
    """

    messages: list[Message]
    faults: list[Fault]


class Sending:
    """The operations that send and find messages. Each operation uses only data of one account."""

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        clock: Clock,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        rules: Rules,
        *,
        origin: str,
        validity: timedelta,
        most_waiting: int,
        only_to: frozenset[str] = frozenset(),
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._rules = rules
        self._origin = origin
        self._validity = validity
        self._only_to = only_to  # if it is not empty, only these numbers get messages
        self.waiting = Waiting(database, places=most_waiting)

    def send(self, account: Account, draft: Draft, *, keep_refused: bool = True) -> Sent:
        """Store one message for each recipient. When this method returns, the messages are on disk.

        If a recipient is refused, the message to this recipient gets the state `error`. The list `faults` of the result
        has the reason. If `keep_refused` is false, and at least one recipient is refused, this method raises
        RequestRefused. Then no message is stored.
        """
        refusals = self._check(account, draft)
        with self._database.write() as connection:
            sent = self._store(connection, account, draft, refusals, keep_refused=keep_refused)
        if sent.faults and not keep_refused:
            raise RequestRefused(sent.faults)
        return sent

    def send_within(self, connection: Connection, account: Account, draft: Draft) -> Sent:
        """Use the caller's transaction to store one message for each recipient. See `send`."""
        return self._store(connection, account, draft, self._check(account, draft))

    def send_once(self, account: Account, draft: Draft, key: str, *, keep_refused: bool = True) -> tuple[Answer, bool]:
        """If this is the account's first request with this idempotency key, store the messages. See `send`.

        For a repeated request, this method stores nothing, and returns the stored answer of the first request. After
        24 hours, the account can use the same key for a new request. Returns two values: the answer, and whether the
        request is the first one with this key. Raises Conflict if the current request differs from the first request.
        If this method raises RequestRefused, it does not store the key. Then the account can still use the key.
        """
        refusals = self._check(account, draft)
        request_hash = draft.hash()
        with self._database.write() as connection:
            now = self._clock.now()
            since = format_time(now - IDEMPOTENCY_PERIOD)
            first = idempotency_store.get_answer(connection, account_id=account.id, key=key, since=since)
            if first is None:
                sent = self._store(connection, account, draft, refusals, keep_refused=keep_refused)
                if keep_refused or not sent.faults:
                    shown = dump_sent(*sent)
                    answer = Answer(request_hash, choose_status(shown), json.dumps(shown))
                    idempotency_store.put_answer(
                        connection, account_id=account.id, key=key, answer=answer, now=format_time(now)
                    )
                    return answer, True
        if first is None:
            raise RequestRefused(sent.faults)
        if first.request_hash != request_hash:
            raise Conflict([Fault("idempotency_key_reused")])
        return first, False

    def _check(self, account: Account, draft: Draft) -> dict[int, str]:
        """Check the message to each recipient. Returns the index and the error type of each refused recipient."""
        origin = draft.origin or parse_originator(self.default_origin(account))
        found = {
            index: self.find_refusal(recipient.number.number, origin=origin.number, body=draft.body)
            for index, recipient in enumerate(draft.to)
        }
        return {index: refusal for index, refusal in found.items() if refusal is not None}

    def find_refusal(self, number: str, *, origin: str, body: str) -> str | None:
        """Check a message before it is sent. Returns the error type if the message is refused, otherwise None."""
        if self._only_to and number not in self._only_to:
            return "recipient_not_permitted"
        refusal = self._gateway.check(number, origin, body)
        return refusal.error_type if refusal else None

    def _store(
        self,
        connection: Connection,
        account: Account,
        draft: Draft,
        refusals: dict[int, str],
        *,
        keep_refused: bool = True,
    ) -> Sent:
        """Store the messages of a request, and the webhook events of refused messages.

        `refusals` says which recipients the gateway refuses. This method checks the opt-outs, the rules and the quota.
        If `keep_refused` is false and a recipient is refused, no message is stored. But the method always stores how
        often each rule has matched and applied. So the caller raises RequestRefused after the transaction.
        """
        origin = draft.origin or parse_originator(self.default_origin(account))
        now = self._clock.now()
        refusals = dict(refusals)
        for index, recipient in enumerate(draft.to):
            if self._subscriptions.is_opted_out(connection, account, recipient.number.number):
                number = recipient.number.number
                built_in = self._rules.find_built_in_refusal(number) if self._rules.enabled else None
                refusals.setdefault(index, built_in or "opted_out")
        met = self._meet_rules(connection, account, draft, origin, refusals)
        if account.quota is not None and (keep_refused or not refusals):
            wanted = [index for index in range(len(draft.to)) if index not in refusals]
            taken = account_store.take_quota(
                connection,
                account_id=account.limits_id,
                day=format_time(now)[:10],
                quota=account.quota,
                wanted=len(wanted),
                partly=keep_refused,
            )
            exceeding = dict.fromkeys(wanted[taken:], "quota_used_up")
            refusals |= exceeding
            met = [None if index in exceeding else rule for index, rule in enumerate(met)]
        faults = [Fault(type_, draft.to[index].param) for index, type_ in sorted(refusals.items())]
        if faults and not keep_refused:
            return Sent([], faults)
        ids = generate_ids(now, after=store.get_last_message_id(connection))
        messages = [
            self.compose(
                account,
                recipient.number,
                draft,
                origin=origin,
                id_=next(ids),
                now=now,
                refusal=refusals.get(index),
            )
            for index, recipient in enumerate(draft.to)
        ]
        store.insert_messages(connection, messages=messages)
        self._rules.note(connection, zip(messages, met, strict=True))
        if draft.front is not None:
            accepted = [message for message in messages if message.state == "unconfirmed"]
            front_store.insert_front_messages(
                connection, message_ids=[message.id for message in messages], message=draft.front
            )
            self._webhooks.enqueue(connection, "message.accepted", accepted, now)
        self._webhooks.enqueue(connection, "message.error", [one for one in messages if one.state == "error"], now)
        return Sent(messages, faults)

    def _meet_rules(
        self, connection: Connection, account: Account, draft: Draft, origin: Number, refusals: dict[int, str]
    ) -> list[Rule | None]:
        """For each message, return its rule or None. If a rule refuses a message, add the refusal to `refusals`."""
        texts = [
            None if index in refusals else Text("outbound", recipient.number.number, origin.number, draft.body)
            for index, recipient in enumerate(draft.to)
        ]
        met = self._rules.meet(connection, account.id, texts)
        for index, rule in enumerate(met):
            if rule is not None and rule.refusal is not None:
                refusals[index] = rule.refusal
        return met

    def compose(
        self,
        account: Account,
        to: Number,
        draft: Draft,
        *,
        origin: Number,
        id_: str,
        now: datetime,
        refusal: str | None = None,
    ) -> Message:
        """Return a new message that is not stored yet. If `refusal` is given, the state is `error`."""
        due_at, expires_at = self.plan(now, draft.send_at, draft.validity)
        message = write_message(account, "outbound", origin, to, draft.body, id_=id_, now=now)
        return message._replace(
            state="error" if refusal else "unconfirmed",
            error_type=refusal,
            send_at=format_time(draft.send_at) if draft.send_at else None,
            due_at=None if refusal else due_at,
            expires_at=expires_at,
            finished_at=message.created_at if refusal else None,
            gateway=self._gateway.name,
            front=draft.front_name,
            released_from=draft.released_id,
        )

    def plan(self, now: datetime, send_at: datetime | None, validity: timedelta | None = None) -> tuple[str, str]:
        """Return the time at which a new message is due, and the end of its validity period."""
        due = max(now, send_at) if send_at else now
        try:
            expires_at = due + (validity or self._validity)
        except OverflowError:
            expires_at = datetime.max.replace(tzinfo=UTC)
        return format_time(due), format_time(expires_at)

    def default_origin(self, account: Account) -> str:
        """Return the account's default sender. If a request contains no sender, Phonify uses this sender."""
        return account.origin or self._origin

    def find(self, account: Account, message_id: str) -> Message:
        """Return a message of the account. Raises NotFound if the account has no message with this id."""
        with self._database.reading() as connection:
            return find_message(connection, account, message_id)

    def find_all(
        self, account: Account, criteria: Criteria, *, offset: int = 0, limit: int = 50, wait: float = 0
    ) -> list[Message]:
        """Return the messages that match, newest first.

        If no message matches yet, this method waits up to `wait` seconds for a matching message. Raises TooManyWaiting
        if too many requests wait already.
        """

        def search() -> list[Message]:
            with self._database.reading() as connection:
                return store.list_messages(
                    connection, account_id=account.id, criteria=criteria, offset=offset, limit=limit
                )

        return self.waiting.search(search, wait) if wait > 0 else search()


def find_message(connection: Connection, account: Account, message_id: str) -> Message:
    """Return a message of the account. Raises NotFound if the account has no message with this id."""
    message = store.get_message(connection, account_id=account.id, message_id=message_id)
    if message is None:
        raise NotFound
    return message


def write_message(
    account: Account, direction: Direction, origin: Number, to: Number, body: str, *, id_: str, now: datetime
) -> Message:
    """Return a new `unconfirmed` message. Its `request_id` and `key_id` come from the current request."""
    return Message(
        id=id_,
        account_id=account.id,
        direction=direction,
        body=body,
        origin_number=origin.number,
        origin_country=origin.country,
        origin_carrier=origin.carrier,
        to_number=to.number,
        to_country=to.country,
        to_carrier=to.carrier,
        state="unconfirmed",
        created_at=format_time(now),
        request_id=current_request_id.get(),
        key_id=current_key_id.get(),
    )
