"""The rules of sending: send, find, change, cancel; and where their transactions begin and end."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..clock import Clock, format_time
from ..errors import Conflict, Fault, NotFound, Refused
from ..gateways.base import Gateway
from ..ids import generate_ids
from ..request_id import current_request_id
from ..schemas.answers import choose_status, dump_sent
from ..schemas.fields import Recipient
from ..schemas.requests import Draft
from ..sms.numbers import Number, parse_originator
from ..storage import accounts as account_store
from ..storage import idempotency as idempotency_store
from ..storage import messages as store
from ..storage.database import Connection, Database
from ..storage.records import Account, Answer, Criteria, Message
from .subscriptions import Subscriptions
from .waiting import Waiting
from .webhooks import Webhooks

IDEMPOTENCY_PERIOD = timedelta(hours=24)


class Sent(NamedTuple):
    """The result of a request to send: one message for each recipient, and a fault for each that was refused."""

    messages: list[Message]
    faults: list[Fault]


class Sending:
    """The operations on messages. Each is limited to one account."""

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
        self.waiting = Waiting(database, places=most_waiting)

    def send(self, account: Account, draft: Draft) -> Sent:
        """Store one message for each recipient; they are on disk when this returns.

        The message to a recipient who is refused at once is stored in state `error`, and the result has a fault for it.
        """
        refusals, origin = self._check(draft), self._find_origin(account, draft)
        with self._database.write() as connection:
            return self._store(connection, account, draft, origin, refusals)

    def send_once(self, account: Account, draft: Draft, key: str) -> tuple[Answer, bool]:
        """Do as `send` does, unless the account has used the idempotency key within 24 hours.

        Return the answer to the first request with the key, and whether this request was the first. Raises Conflict if
        the key was used with another request.
        """
        refusals, origin = self._check(draft), self._find_origin(account, draft)
        request_hash = draft.hash()
        with self._database.write() as connection:
            now = self._clock.now()
            since = format_time(now - IDEMPOTENCY_PERIOD)
            first = idempotency_store.get_answer(connection, account_id=account.id, key=key, since=since)
            if first is None:
                shown = dump_sent(*self._store(connection, account, draft, origin, refusals))
                answer = Answer(request_hash, choose_status(shown), json.dumps(shown))
                idempotency_store.put_answer(
                    connection, account_id=account.id, key=key, answer=answer, now=format_time(now)
                )
                return answer, True
        if first.request_hash != request_hash:
            raise Conflict([Fault("idempotency_key_reused")])
        return first, False

    def _check(self, draft: Draft) -> dict[int, str]:
        """Ask the gateway about each recipient, with no transaction open; return error types by index."""
        found = {index: self.find_refusal(recipient.number.number) for index, recipient in enumerate(draft.to)}
        return {index: refusal for index, refusal in found.items() if refusal is not None}

    def find_refusal(self, number: str) -> str | None:
        """Return the error type if the gateway refuses a number immediately, else None."""
        refusal = self._gateway.check(number)
        return refusal.error_type if refusal else None

    def _find_origin(self, account: Account, draft: Draft) -> Number:
        """Return the sender of a draft's messages."""
        return draft.origin or parse_originator(self.default_origin(account))

    def _store(
        self, connection: Connection, account: Account, draft: Draft, origin: Number, refusals: dict[int, str]
    ) -> Sent:
        """Store the messages of a request. Opt-outs and the quota decide; refusals become webhook events."""
        now = self._clock.now()
        refusals = dict(refusals)
        for index, recipient in enumerate(draft.to):
            if self._subscriptions.is_opted_out(connection, account, recipient.number.number):
                refusals.setdefault(index, "opted_out")
        if account.quota is not None:
            wanted = [index for index in range(len(draft.to)) if index not in refusals]
            taken = account_store.take_quota(
                connection,
                account_id=account.limits_id,
                day=format_time(now)[:10],
                quota=account.quota,
                wanted=len(wanted),
            )
            refusals |= dict.fromkeys(wanted[taken:], "quota_used_up")
        ids = generate_ids(now, after=store.get_last_message_id(connection))
        messages = [
            self.compose(
                account,
                recipient.number,
                body=draft.body,
                origin=origin,
                send_at=draft.send_at,
                id_=next(ids),
                now=now,
                refusal=refusals.get(index),
            )
            for index, recipient in enumerate(draft.to)
        ]
        store.insert_messages(connection, messages=messages)
        self._webhooks.enqueue(connection, "message.error", [one for one in messages if one.state == "error"], now)
        return Sent(messages, [Fault(type_, draft.to[index].param) for index, type_ in sorted(refusals.items())])

    def compose(
        self,
        account: Account,
        to: Number,
        *,
        body: str,
        origin: Number,
        id_: str,
        now: datetime,
        send_at: datetime | None = None,
        refusal: str | None = None,
    ) -> Message:
        """Return a message to one number, in state `error` if it is refused; nothing is stored."""
        created_at = format_time(now)
        due_at, expires_at = self._timetable(now, send_at)
        return Message(
            id=id_,
            account_id=account.id,
            direction="outbound",
            body=body,
            origin_number=origin.number,
            origin_country=origin.country,
            origin_carrier=origin.carrier,
            to_number=to.number,
            to_country=to.country,
            to_carrier=to.carrier,
            state="error" if refusal else "unconfirmed",
            error_type=refusal,
            created_at=created_at,
            send_at=format_time(send_at) if send_at else None,
            due_at=None if refusal else due_at,
            expires_at=expires_at,
            finished_at=created_at if refusal else None,
            request_id=current_request_id(),
        )

    def _timetable(self, now: datetime, send_at: datetime | None) -> tuple[str, str]:
        """Return when a message is due and when its validity ends."""
        due = max(now, send_at) if send_at else now
        try:
            expires_at = due + self._validity
        except OverflowError:
            expires_at = datetime.max.replace(tzinfo=UTC)
        return format_time(due), format_time(expires_at)

    def default_origin(self, account: Account) -> str:
        """Return the sender of an account's messages if a request gives none."""
        return account.origin or self._origin

    def find(self, account: Account, message_id: str) -> Message:
        """Return one message; raise NotFound if the account has no message with this id."""
        with self._database.reading() as connection:
            message = store.get_message(connection, account_id=account.id, message_id=message_id)
        if message is None:
            raise NotFound
        return message

    def find_all(
        self, account: Account, criteria: Criteria, *, offset: int = 0, limit: int = 50, wait: float = 0
    ) -> list[Message]:
        """Return the messages that match, newest first.

        If none matches, wait up to `wait` seconds until one is stored, by any process. Raises TooManyWaiting if too
        many requests wait already.
        """

        def search() -> list[Message]:
            with self._database.reading() as connection:
                return store.list_messages(
                    connection, account_id=account.id, criteria=criteria, offset=offset, limit=limit
                )

        return self.waiting.search(search, wait) if wait > 0 else search()

    def change(
        self,
        account: Account,
        message_id: str,
        *,
        to: Recipient | None = None,
        body: str | None = None,
        send_at: datetime | None = None,
    ) -> Message:
        """Change a scheduled message that is not being sent yet. A time in the past sends it now.

        Raises NotFound, and Refused if it is too late or the gateway refuses the new number.
        """
        self.find(account, message_id)
        if to is not None:
            refusal = self.find_refusal(to.number.number)
            if refusal is not None:
                raise Refused([Fault(refusal, to.param)])
        with self._database.write() as connection:
            now = self._clock.now()
            message = self._get_waiting(connection, account, message_id, now)
            if to is not None:
                if self._subscriptions.is_opted_out(connection, account, to.number.number):
                    raise Refused([Fault("opted_out", to.param)])
                number, country, carrier = to.number
                message = message._replace(to_number=number, to_country=country, to_carrier=carrier)
            if body is not None:
                message = message._replace(body=body)
            if send_at is not None:
                due, expires_at = self._timetable(now, send_at)
                message = message._replace(send_at=format_time(send_at), due_at=due, expires_at=expires_at)
            store.update_waiting_message(connection, message=message)
        return message

    def cancel(self, account: Account, message_id: str) -> Message:
        """Remove a scheduled message that is not being sent yet; raise NotFound, or Refused if it is too late."""
        with self._database.write() as connection:
            message = self._get_waiting(connection, account, message_id, self._clock.now())
            store.delete_message(connection, message=message)
        return message

    def _get_waiting(self, connection: Connection, account: Account, message_id: str, now: datetime) -> Message:
        message = store.get_message(connection, account_id=account.id, message_id=message_id)
        if message is None:
            raise NotFound
        waits = message.state == "unconfirmed" and message.attempts == 0
        if not waits or message.send_at is None or message.send_at <= format_time(now):
            raise Refused([Fault("message_not_waiting")])
        return message
