"""Operations on webhooks. An account can set one URL, and Phonify posts events to this URL.

An event is stored as a delivery. `delivery/webhooks.py` posts the stored deliveries.
"""

import base64
import logging
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from ..clock import Clock, format_time
from ..errors import Fault, InvalidRequest, NotFound, RequestRefused, StoreUnavailable
from ..ids import generate_ids
from ..outgoing.url_guard import BadUrl, check_url, names_private_host
from ..storage import deliveries as delivery_store
from ..storage import webhooks as webhook_store
from ..storage.database import Connection, Database
from ..storage.records import Account, Delivery, Message, NewDelivery, Webhook
from ..storage.savepoint import PartFailed, isolating
from .standard_webhooks import SECRET_PREFIX, StandardWebhooks, write_payload
from .webhook_kinds import Event, WebhookKind

logger = logging.getLogger(__name__)

_TEST = "webhook.test"
_SECRET_BYTES = 24
FORMER_PERIOD = timedelta(days=1)  # during this time, events have a second signature with the former secret


def _make_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


class Webhooks:
    """The operations on webhooks. If an operation has the argument `account`, it uses only data of this account."""

    def __init__(self, database: Database, clock: Clock, *, private_allowed: bool) -> None:
        self._database = database
        self._clock = clock
        self.private_allowed = private_allowed
        self.kinds: dict[str, WebhookKind] = {}
        self.add_kind(StandardWebhooks())

    def add_kind(self, kind: WebhookKind) -> None:
        """Register a kind of webhook. Call this before the first event.

        `kind` is a webhook format. This object builds and signs the webhook requests.
        """
        self.kinds[kind.name] = kind

    # The account's URL

    def get(self, account: Account) -> Webhook | None:
        """Return the account's webhook, or None."""
        with self._database.reading() as connection:
            return webhook_store.get_webhook(connection, account_id=account.id)

    def warn(self) -> None:
        """Log a warning about webhooks with private addresses. If such addresses are allowed, log nothing.

        If such addresses are not allowed, these webhooks get no events.
        """
        with suppress(StoreUnavailable), self._database.reading() as connection:  # the loops log this error
            for warning in self.list_warnings(connection):
                logger.warning("%s", warning)

    def list_warnings(self, connection: Connection) -> list[str]:
        """Return a warning about webhooks with private addresses. If such addresses are allowed, return no warning."""
        if self.private_allowed:
            return []
        count = sum(map(names_private_host, webhook_store.list_urls(connection)))
        if not count:
            return []
        webhooks = (
            "1 webhook has a private address and gets"
            if count == 1
            else f"{count} webhooks have private addresses and get"
        )
        return [f"{webhooks} no events without PHONIFY_WEBHOOK_PRIVATE=on"]

    def set_url(self, account: Account, url: str) -> Webhook:
        """Set the URL of the account's webhook. The secret stays. Raises InvalidRequest if the URL is not allowed."""
        try:
            check_url(url, private_allowed=self.private_allowed)
        except BadUrl as error:
            raise InvalidRequest([Fault("invalid_webhook_url", "url")]) from error
        now, secret = format_time(self._clock.now()), _make_secret()
        with self._database.write() as connection:
            return webhook_store.put_webhook(connection, account_id=account.id, url=url, secret=secret, now=now)

    def rotate_secret(self, account: Account) -> Webhook:
        """Set a new secret for the account's webhook. Raises RequestRefused if the account has no webhook.

        The period `FORMER_PERIOD` begins now. In this period, each event has two signatures: one with the new secret,
        and one with the former secret. Phonify keeps only these two secrets.
        """
        secret, until = _make_secret(), format_time(self._clock.machine_now() + FORMER_PERIOD)
        with self._database.write() as connection:
            webhook = webhook_store.update_secret(connection, account_id=account.id, secret=secret, former_until=until)
        if webhook is None:
            raise RequestRefused([Fault("no_webhook")])
        return webhook

    def remove(self, account: Account) -> Webhook | None:
        """Remove the account's webhook. Returns the removed webhook, or None if the account has no webhook.

        Pending events are cancelled. If a received message waits for the webhook, the message's state is `unconfirmed`.
        This method changes the state of such messages to `sent`.
        """
        now = format_time(self._clock.now())
        with self._database.write() as connection:
            webhook = webhook_store.delete_webhook(connection, account_id=account.id)
            delivery_store.cancel_deliveries(connection, account_id=account.id, kind=StandardWebhooks.name, now=now)
            webhook_store.settle_all_received(connection, account_id=account.id, now=now)
        return webhook

    # Deliveries

    def enqueue(self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime) -> None:
        """Store an event for each of these messages. Call this in the transaction that changes the messages.

        If a webhook kind raises an unexpected error for a message, Phonify logs the error. Then Phonify stores no event
        of this kind about this message. All other events are stored, and the caller can commit.
        """
        if messages:
            for kind in self.kinds.values():
                self._store_events(connection, kind, event, messages, now)

    def _store_events(
        self, connection: Connection, kind: WebhookKind, event: Event, messages: Sequence[Message], now: datetime
    ) -> None:
        try:
            with isolating(connection):
                self.add(connection, kind, kind.compose(connection, event, messages, now), now)
        except PartFailed as error:
            if len(messages) > 1:  # find the messages that cause the error
                for message in messages:
                    self._store_events(connection, kind, event, [message], now)
            else:
                text = "message %s: the events of %s can't be stored"
                logger.exception(text, messages[0].id, kind.name, exc_info=error.__cause__)

    def add(self, connection: Connection, kind: WebhookKind, deliveries: Iterable[NewDelivery], now: datetime) -> None:
        """Store deliveries. All of them have the given kind."""
        delivery_store.insert_deliveries(connection, kind=kind.name, deliveries=deliveries, now=format_time(now))

    def list_events(self, connection: Connection, kind: WebhookKind, message: Message) -> list[str]:
        """Return the names of stored events about a message, newest first.

        The result contains only events of the given webhook kind.
        """
        found = delivery_store.list_deliveries_of_message(
            connection, account_id=message.account_id, message_id=message.id
        )
        return [delivery.event for delivery in found if delivery.kind == kind.name]

    def send_test(self, account: Account) -> str:
        """Store a test event, and return the id of its delivery.

        Raises RequestRefused if the account has no webhook.
        """
        now = self._clock.now()
        time, delivery_id = format_time(now), next(generate_ids(now))
        test = NewDelivery(delivery_id, account.id, None, _TEST, write_payload(_TEST, time, {}))
        with self._database.write() as connection:
            if webhook_store.get_webhook(connection, account_id=account.id) is None:
                raise RequestRefused([Fault("no_webhook")])
            delivery_store.insert_deliveries(connection, kind=StandardWebhooks.name, deliveries=[test], now=time)
        return delivery_id

    def redeliver(self, account: Account, delivery_id: str) -> None:
        """Post an event again. Its delivery can be in any state.

        Raises NotFound if the account has no delivery with this id. Raises RequestRefused if the account has no
        webhook.
        """
        with self._database.write() as connection:
            found = delivery_store.get_delivery(connection, account_id=account.id, delivery_id=delivery_id)
            if found is None:
                raise NotFound
            kind = self.kinds.get(found.kind)
            if kind is None or kind.find_target(connection, found) is None:
                raise RequestRefused([Fault("no_webhook")])
            delivery_store.redeliver(connection, delivery_id=delivery_id, now=format_time(self._clock.now()))

    # Results

    def list_deliveries(self, account: Account, *, limit: int, before: int | None = None) -> list[Delivery]:
        """Return the webhook deliveries of an account, newest first.

        If `before` is given, the result has only deliveries whose seq is less than `before`.
        """
        with self._database.reading() as connection:
            rows = delivery_store.list_deliveries(connection, account_id=account.id, limit=limit, before=before)
            return _with_attempts(connection, rows)

    def list_for_message(self, account: Account, message_id: str) -> list[Delivery]:
        """Return a message's webhook deliveries, newest first."""
        with self._database.reading() as connection:
            rows = delivery_store.list_deliveries_of_message(connection, account_id=account.id, message_id=message_id)
            return _with_attempts(connection, rows)


def _with_attempts(connection: Connection, deliveries: Iterable[Delivery]) -> list[Delivery]:
    return [one._replace(tries=delivery_store.list_attempts(connection, delivery_id=one.id)) for one in deliveries]
