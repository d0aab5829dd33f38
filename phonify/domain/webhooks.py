"""Webhooks: an account's URL, the events that are posted to it, their signature, and redelivery.

Form, names and signature follow the Standard Webhooks specification. `delivery/webhooks.py` posts the events that are
stored here.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from ..clock import Clock, format_time
from ..errors import Fault, InvalidRequest, NotFound, Refused
from ..ids import generate_ids
from ..outgoing.url_guard import BadUrl, check_url
from ..schemas.objects import dump_message
from ..storage import webhooks as webhook_store
from ..storage.database import Connection, Database
from ..storage.records import Account, Delivery, Message, NewDelivery, Webhook

Event = Literal["message.received", "message.sent", "message.error"]

_TEST = "webhook.test"
_SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = 24


def sign(secret: str, *, delivery_id: str, timestamp: int, payload: str) -> str:
    """Return the header `webhook-signature` of an attempt; `timestamp` is in Unix seconds."""
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    digest = hmac.new(key, f"{delivery_id}.{timestamp}.{payload}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _make_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _compose(event: str, now: str, data: dict[str, Any]) -> str:
    return json.dumps({"type": event, "timestamp": now, "data": data}, separators=(",", ":"))


class Webhooks:
    """The operations on webhooks. Each is limited to one account."""

    def __init__(self, database: Database, clock: Clock, *, private_allowed: bool) -> None:
        self._database = database
        self._clock = clock
        self.private_allowed = private_allowed

    # Where to

    def get(self, account: Account) -> Webhook | None:
        """Return the account's webhook."""
        with self._database.reading() as connection:
            return webhook_store.get_webhook(connection, account_id=account.id)

    def set_url(self, account: Account, url: str) -> Webhook:
        """Set the URL of the account's webhook; an existing secret stays. Raise InvalidRequest for a bad URL."""
        try:
            check_url(url, private_allowed=self.private_allowed)
        except BadUrl as error:
            raise InvalidRequest([Fault("invalid_webhook_url", "url")]) from error
        now, secret = format_time(self._clock.now()), _make_secret()
        with self._database.write() as connection:
            return webhook_store.put_webhook(connection, account_id=account.id, url=url, secret=secret, now=now)

    def rotate_secret(self, account: Account) -> Webhook:
        """Set a new secret for the account's webhook; raise Refused if the account has no webhook."""
        secret = _make_secret()
        with self._database.write() as connection:
            webhook = webhook_store.update_secret(connection, account_id=account.id, secret=secret)
        if webhook is None:
            raise Refused([Fault("no_webhook")])
        return webhook

    def remove(self, account: Account) -> None:
        """Remove the account's webhook. Pending events are given up, and received messages no longer wait for it."""
        now = format_time(self._clock.now())
        with self._database.write() as connection:
            webhook_store.delete_webhook(connection, account_id=account.id)
            webhook_store.cancel_deliveries(connection, account_id=account.id, now=now)
            webhook_store.settle_all_received(connection, account_id=account.id, now=now)

    # What

    def enqueue(self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime) -> None:
        """Store an event for each of the messages whose account has a webhook.

        Call it in the transaction that changes the messages.
        """
        time, ids = format_time(now), generate_ids(now)
        accounts = {message.account_id for message in messages}
        hooked = {id_ for id_ in accounts if webhook_store.get_webhook(connection, account_id=id_) is not None}
        webhook_store.insert_deliveries(
            connection,
            deliveries=[
                NewDelivery(
                    next(ids),
                    message.account_id,
                    message.id,
                    event,
                    _compose(event, time, {"message": dump_message(message)}),
                )
                for message in messages
                if message.account_id in hooked
            ],
            now=time,
        )

    def send_test(self, account: Account) -> str:
        """Store a test event; return the id of its delivery. Raise Refused if the account has no webhook."""
        now = self._clock.now()
        time, delivery_id = format_time(now), next(generate_ids(now))
        test = NewDelivery(delivery_id, account.id, None, _TEST, _compose(_TEST, time, {}))
        with self._database.write() as connection:
            self._require(connection, account)
            webhook_store.insert_deliveries(connection, deliveries=[test], now=time)
        return delivery_id

    def redeliver(self, account: Account, delivery_id: str) -> None:
        """Have an event posted again, whatever its state; raise NotFound, or Refused if the account has no webhook."""
        with self._database.write() as connection:
            found = webhook_store.get_delivery(connection, account_id=account.id, delivery_id=delivery_id)
            if found is None:
                raise NotFound
            self._require(connection, account)
            webhook_store.redeliver(connection, delivery_id=delivery_id, now=format_time(self._clock.now()))

    def _require(self, connection: Connection, account: Account) -> None:
        if webhook_store.get_webhook(connection, account_id=account.id) is None:
            raise Refused([Fault("no_webhook")])

    # Results

    def list_deliveries(self, account: Account, *, limit: int, before: int | None = None) -> list[Delivery]:
        """Return the account's deliveries, newest first; `before` is the last seq of the previous page."""
        with self._database.reading() as connection:
            rows = webhook_store.list_deliveries(connection, account_id=account.id, limit=limit, before=before)
            return _with_attempts(connection, rows)

    def list_for_message(self, account: Account, message_id: str) -> list[Delivery]:
        """Return the deliveries about one of the account's messages, newest first."""
        with self._database.reading() as connection:
            rows = webhook_store.list_deliveries_of_message(connection, account_id=account.id, message_id=message_id)
            return _with_attempts(connection, rows)


def _with_attempts(connection: Connection, deliveries: Iterable[Delivery]) -> list[Delivery]:
    return [one._replace(tries=webhook_store.list_attempts(connection, delivery_id=one.id)) for one in deliveries]
