"""The rules of messaging: accept, receive, find, change, cancel; and where their transactions begin and end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from typing import NamedTuple

from . import conversation_store, store, webhook_store
from .arrivals import Arrivals
from .clock import Clock, format_time
from .db import Database
from .errors import Conflict, Fault, NotFound, Refused
from .gateways.base import Gateway, Rejected
from .group_commit import atomic
from .ids import generate_ids
from .numbers import Number, parse_originator
from .store import Account, Answer, Criteria, ListedMessage, Message
from .subscriptions import Heard, Subscriptions
from .webhooks import Webhooks

IDEMPOTENCY_PERIOD = timedelta(hours=24)


class Recipient(NamedTuple):
    """Whom a message goes to, and which argument of the request named them."""

    number: Number
    param: str


class Accepted(NamedTuple):
    """What became of a request to send: one message for each recipient, and why some were refused."""

    messages: list[Message]
    faults: list[Fault]


class Idempotency(NamedTuple):
    """That a request carries an idempotency key, and how its answer is to be written down."""

    key: str
    request_hash: str
    render: Callable[[Accepted], tuple[int, str]]  # status and JSON


@dataclass
class _Draft:
    """A request to send, checked, on its way into the database."""

    account: Account
    recipients: Sequence[Recipient]
    body: str
    origin: Number
    send_at: datetime | None
    refusals: dict[int, str]  # index of the recipient to the error type
    request_id: str | None


def _join(accepted: Sequence[Accepted]) -> list[Message]:
    return [message for one in accepted for message in one.messages]


class Messaging:
    """The operations on messages. Every one concerns a single account and sees nothing of another's."""

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        clock: Clock,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        *,
        origin: str,
        validity: timedelta,
        most_waiting: int,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._clock = clock
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._origin = origin
        self._validity = validity
        self.arrivals = Arrivals(database, most_waiting=most_waiting)

    def accept(
        self,
        account: Account,
        *,
        recipients: Sequence[Recipient],
        body: str,
        origin: Number | None = None,
        send_at: datetime | None = None,
        request_id: str | None = None,
    ) -> Accepted:
        """Store one message for each recipient; they are on disk when this returns.

        A recipient that the gateway refuses at once has its message stored in state `error` and a
        fault in the result.
        """
        draft = self._draft(account, recipients, body, origin, send_at, request_id)
        judged = draft.refusals or account.quota is not None or self._subscriptions.has_opt_outs(account)
        accepted: Accepted | None = None
        if not judged:
            accepted = self._database.write_batched(self._store_drafts, draft)
        if accepted is None:
            accepted = self._database.write_batched(self._store_judged, draft)
        if accepted.faults:
            self._webhooks.wake()
        return accepted

    def accept_once(
        self,
        account: Account,
        idempotency: Idempotency,
        *,
        recipients: Sequence[Recipient],
        body: str,
        origin: Number | None = None,
        send_at: datetime | None = None,
        request_id: str | None = None,
    ) -> tuple[Answer, bool]:
        """Like `accept`, unless the key was used within 24 hours; return the first answer, and whether it is new.

        Raises Conflict where the key was used with another request.
        """
        draft = self._draft(account, recipients, body, origin, send_at, request_id)

        def work(connection: Connection) -> tuple[Answer, bool]:
            now = self._clock.now()
            earlier = store.get_answer(
                connection, account_id=account.id, key=idempotency.key, since=format_time(now - IDEMPOTENCY_PERIOD)
            )
            if earlier is not None:
                if earlier.request_hash != idempotency.request_hash:
                    raise Conflict([Fault("idempotency_key_reused")])
                return earlier, False
            (accepted,) = self._store_judged(connection, [draft])
            answer = Answer(idempotency.request_hash, *idempotency.render(accepted))
            store.put_answer(
                connection, account_id=account.id, key=idempotency.key, answer=answer, now=format_time(now)
            )
            return answer, True

        first = self._database.write(work)
        self._webhooks.wake()
        return first

    def _draft(
        self,
        account: Account,
        recipients: Sequence[Recipient],
        body: str,
        origin: Number | None,
        send_at: datetime | None,
        request_id: str | None,
    ) -> _Draft:
        refusals = {}
        for index, recipient in enumerate(recipients):
            try:
                self._gateway.check(recipient.number.number)
            except Rejected as rejected:
                refusals[index] = rejected.error_type
        origin = origin or parse_originator(self.default_origin(account))
        return _Draft(account, recipients, body, origin, send_at, refusals, request_id)

    @atomic
    def _store_drafts(self, connection: Connection, drafts: Sequence[_Draft]) -> list[Accepted | None]:
        """Write what several requests send, in one go; None for what is to be judged first, as a phone has opted out.

        That is looked at by the very statement that stores: `accept` looked before, and a STOP may have
        come since. What follows where it stores nothing is as safe: nobody else writes meanwhile.
        """
        accounts = {draft.account.id for draft in drafts}
        now = self._clock.now()
        accepted = self._compose_all(drafts, generate_ids(now), now)
        if store.insert_messages(connection, messages=_join(accepted), unless_opt_outs=accounts):
            return [*accepted]
        opted_out = {id_ for id_ in accounts if self._subscriptions.are_opt_outs_stored(connection, id_)}
        stored = iter(self._store(connection, [draft for draft in drafts if draft.account.id not in opted_out]))
        return [None if draft.account.id in opted_out else next(stored) for draft in drafts]

    def _store(self, connection: Connection, drafts: Sequence[_Draft]) -> list[Accepted]:
        now = self._clock.now()
        ids = generate_ids(now)
        while True:
            accepted = self._compose_all(drafts, ids, now)
            if store.insert_messages(connection, messages=_join(accepted)):
                return accepted
            # The clock went back, or does not go at all: go on from the last id.
            ids = generate_ids(now, after=store.get_last_message_id(connection))

    def _store_judged(self, connection: Connection, drafts: Sequence[_Draft]) -> list[Accepted]:
        """Write what several requests send, in a transaction: opt-outs and quotas decide, webhooks hear of refusals."""
        accepted = self._store(connection, [self._judge(connection, draft) for draft in drafts])
        refused = [message for message in _join(accepted) if message.state == "error"]
        self._webhooks.enqueue(connection, "message.error", refused, self._clock.now())
        return accepted

    def _judge(self, connection: Connection, draft: _Draft) -> _Draft:
        """Return a draft with its further refusals: recipients who have opted out, and those past the quota."""
        account, refusals = draft.account, dict(draft.refusals)
        phones = [recipient.number.number for recipient in draft.recipients]
        opted_out = self._subscriptions.list_opted_out(connection, account, phones)
        for index, phone in enumerate(phones):
            if phone in opted_out:
                refusals.setdefault(index, "opted_out")
        if account.quota is not None:
            wanted = [index for index in range(len(phones)) if index not in refusals]
            day = format_time(self._clock.now())[:10]
            taken = store.take_quota(
                connection, account_id=account.id, day=day, quota=account.quota, wanted=len(wanted)
            )
            refusals |= dict.fromkeys(wanted[taken:], "quota_used_up")
        return replace(draft, refusals=refusals)

    def _compose_all(self, drafts: Sequence[_Draft], ids: Iterator[str], now: datetime) -> list[Accepted]:
        at_once = (format_time(now), *self._timetable(now, None))
        return [self._compose(draft, ids, now, at_once) for draft in drafts]

    def _compose(self, draft: _Draft, ids: Iterator[str], now: datetime, at_once: tuple[str, str, str]) -> Accepted:
        """Return the messages of a draft; `at_once` are the times of one that is not scheduled."""
        created_at, due_at, expires_at = at_once
        if draft.send_at is not None:
            due_at, expires_at = self._timetable(now, draft.send_at)
        messages = []
        for index, ((to_number, to_country, to_carrier), _) in enumerate(draft.recipients):
            refusal = draft.refusals.get(index)
            messages.append(
                Message(
                    id=next(ids),
                    account_id=draft.account.id,
                    direction="outbound",
                    body=draft.body,
                    origin_number=draft.origin.number,
                    origin_country=draft.origin.country,
                    origin_carrier=draft.origin.carrier,
                    to_number=to_number,
                    to_country=to_country,
                    to_carrier=to_carrier,
                    state="error" if refusal else "unconfirmed",
                    error_type=refusal,
                    created_at=created_at,
                    send_at=format_time(draft.send_at) if draft.send_at else None,
                    due_at=None if refusal else due_at,
                    expires_at=expires_at,
                    finished_at=created_at if refusal else None,
                    request_id=draft.request_id,
                )
            )
        faults = [Fault(type_, draft.recipients[index].param) for index, type_ in sorted(draft.refusals.items())]
        return Accepted(messages, faults)

    def _timetable(self, now: datetime, send_at: datetime | None) -> tuple[str, str]:
        """Return when a message is due and when its validity ends."""
        due = max(now, send_at) if send_at else now
        try:
            expires_at = due + self._validity
        except OverflowError:
            expires_at = datetime.max.replace(tzinfo=UTC)
        return format_time(due), format_time(expires_at)

    def default_origin(self, account: Account) -> str:
        """Return the sender of an account's messages where none is given."""
        return account.origin or self._origin

    def receive(
        self, account: Account, *, sender: Number, to: Number, body: str, request_id: str | None = None
    ) -> Message:
        """Store a message that came from a phone; where the account has a webhook, `sent` means delivered there.

        A keyword opts the phone out, or in again, and is answered where the account has set a reply.
        """

        def work(connection: Connection) -> tuple[Message, Heard]:
            now = self._clock.now()
            ids = generate_ids(now, after=store.get_last_message_id(connection))
            hooked = webhook_store.get_webhook(connection, account_id=account.id) is not None
            message = Message(
                id=next(ids),
                account_id=account.id,
                direction="inbound",
                body=body,
                origin_number=sender.number,
                origin_country=sender.country,
                origin_carrier=sender.carrier,
                to_number=to.number,
                to_country=to.country,
                to_carrier=to.carrier,
                state="unconfirmed" if hooked else "sent",
                created_at=format_time(now),
                finished_at=None if hooked else format_time(now),
                request_id=request_id,
            )
            heard = self._subscriptions.hear(connection, account, sender.number, body, now=format_time(now))
            answers = self._compose_reply(account, sender, to, heard.reply, ids, now, request_id)
            if not store.insert_messages(connection, messages=[message, *answers]):
                raise RuntimeError(f"id {message.id} is not the greatest")
            if hooked:
                self._webhooks.enqueue(connection, "message.received", [message], now)
            return message, heard

        message, heard = self._database.write(work)
        if heard.changed:
            self._subscriptions.announce()
        self._webhooks.wake()
        return message

    def _compose_reply(
        self,
        account: Account,
        sender: Number,
        own: Number,
        reply: str | None,
        ids: Iterator[str],
        now: datetime,
        request_id: str | None,
    ) -> list[Message]:
        """Return the answer to a keyword, if there is to be one; it takes none of the quota."""
        if reply is None or sender.number == own.number:  # nobody answers himself
            return []
        draft = self._draft(account, [Recipient(sender, "to")], reply, own, None, request_id)
        if draft.refusals:
            return []
        # Later than the opt-out itself: what is not is held back.
        created_at = format_time(now + timedelta(milliseconds=1))
        return [message._replace(created_at=created_at) for message in self._compose_all([draft], ids, now)[0].messages]

    def find(self, account: Account, message_id: str) -> Message:
        """Return one message; raise NotFound where the account has none of that id."""
        with self._database.reading() as connection:
            message = store.get_message(connection, account_id=account.id, message_id=message_id)
        if message is None:
            raise NotFound
        return message

    def find_all(
        self,
        account: Account,
        criteria: Criteria,
        *,
        offset: int = 0,
        limit: int = 50,
        wait: float = 0,
        gone: Callable[[], bool] = lambda: False,
    ) -> list[ListedMessage]:
        """Return the messages that match, newest first.

        Where none does, wait up to `wait` seconds until one is stored, by whichever process, or
        `gone` says that nobody wants to know any more. Raises TooManyWaiting where all places for
        that are taken.
        """

        def search() -> list[ListedMessage]:
            return self._list(account, criteria, offset, limit)

        if wait <= 0:
            return search()
        return self.arrivals.wait(account.id, criteria, search, offset=offset, timeout=wait, gone=gone)

    def _list(self, account: Account, criteria: Criteria, offset: int, limit: int) -> list[ListedMessage]:
        with self._database.reading() as connection:
            return store.list_messages(connection, account_id=account.id, criteria=criteria, offset=offset, limit=limit)

    def change(
        self,
        account: Account,
        message_id: str,
        *,
        to: Recipient | None = None,
        body: str | None = None,
        send_at: datetime | None = None,
    ) -> Message:
        """Change a message that still waits for its time; a time that has passed sends it now.

        Raises NotFound, and Refused where it is too late or the gateway refuses the new number.
        """
        self.find(account, message_id)
        if to is not None:
            try:
                self._gateway.check(to.number.number)
            except Rejected as rejected:
                raise Refused([Fault(rejected.error_type, to.param)]) from rejected

        def work(connection: Connection) -> Message:
            now = self._clock.now()
            message = self._get_waiting(connection, account, message_id, now)
            if to is not None:
                if self._subscriptions.list_opted_out(connection, account, [to.number.number]):
                    raise Refused([Fault("opted_out", to.param)])
                number, country, carrier = to.number
                message = message._replace(to_number=number, to_country=country, to_carrier=carrier)
            if body is not None:
                message = message._replace(body=body)
            if send_at is not None:
                due, expires_at = self._timetable(now, send_at)
                message = message._replace(send_at=format_time(send_at), due_at=due, expires_at=expires_at)
            store.update_waiting_message(connection, message=message)
            if to is not None:
                # The inbox has looked at all up to here, but not in this conversation.
                conversation_store.put_conversation(connection, account_id=account.id, phone=message.to_number)
            return message

        return self._database.write(work)

    def cancel(self, account: Account, message_id: str) -> Message:
        """Remove a message that still waits for its time; raise NotFound, or Refused where it is too late."""

        def work(connection: Connection) -> Message:
            message = self._get_waiting(connection, account, message_id, self._clock.now())
            store.delete_message(connection, message_id=message_id)
            return message

        return self._database.write(work)

    def _get_waiting(self, connection: Connection, account: Account, message_id: str, now: datetime) -> Message:
        message = store.get_message(connection, account_id=account.id, message_id=message_id)
        if message is None:
            raise NotFound
        waits = message.state == "unconfirmed" and message.attempts == 0
        if not waits or message.send_at is None or message.send_at <= format_time(now):
            raise Refused([Fault("message_not_waiting")])
        return message

    def forget_answers(self) -> None:
        """Remove answers to idempotency keys that have run out."""
        until = format_time(self._clock.now() - IDEMPOTENCY_PERIOD)
        while not self._database.stopping:
            if not self._database.write(lambda connection: store.delete_answers(connection, until=until, limit=100)):
                break
