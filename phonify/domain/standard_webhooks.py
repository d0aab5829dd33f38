"""The account's own webhook. Its form, its names and its signature follow the Standard Webhooks specification."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..clock import format_time
from ..ids import generate_ids
from ..outgoing.http_client import Request
from ..schemas.objects import dump_message
from ..storage import deliveries as delivery_store
from ..storage import webhooks as webhook_store
from ..storage.database import Connection
from ..storage.records import Delivery, Message, NewDelivery
from .webhook_kinds import Event, Result, Target, WebhookKind

SECRET_PREFIX = "whsec_"  # noqa: S105
# Seconds to wait before each retry. All retries together take about a day.
RETRIES = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
JITTER = 0.1
_EVENTS = ("message.received", "message.sent", "message.error", "message.delivered", "message.undelivered")
_BUSY = (429, 503)  # with these statuses, the header Retry-After can ask for a later attempt
MOST_ASKED = 3_600  # the longest time in seconds that Retry-After can ask for
_GONE = 410  # with this status, the receiver says that it wants no more events


def sign(secret: str, *, delivery_id: str, timestamp: int, payload: str) -> str:
    """Sign an attempt with one secret, and return the signature. `timestamp` is in Unix seconds."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{delivery_id}.{timestamp}.{payload}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def write_payload(event: str, now: str, data: dict[str, Any]) -> str:
    """Return the JSON of an event."""
    return json.dumps({"type": event, "timestamp": now, "data": data}, ensure_ascii=False, separators=(",", ":"))


class StandardWebhooks(WebhookKind):
    """Posts events as JSON to the account's URL. The state of a received message depends on the app's answer."""

    name = "standard"

    def compose(
        self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime
    ) -> list[NewDelivery]:
        """Return one webhook delivery for each message.

        A message is skipped if its account has no webhook, or if this webhook is disabled.
        """
        if event not in _EVENTS:
            return []
        time, ids = format_time(now), generate_ids(now)
        webhooks = {
            account_id: webhook_store.get_webhook(connection, account_id=account_id)
            for account_id in {message.account_id for message in messages}
        }
        return [
            NewDelivery(
                next(ids),
                message.account_id,
                message.id,
                event,
                write_payload(event, time, {"message": dump_message(message)}),
            )
            for message in messages
            if (webhook := webhooks[message.account_id]) is not None and webhook.enabled
        ]

    def find_target(self, connection: Connection, delivery: Delivery) -> Target | None:
        """Return the URL and the secrets of the account's webhook."""
        webhook = webhook_store.get_webhook(connection, account_id=delivery.account_id)
        if webhook is None:
            return None
        return Target(webhook.url, webhook.secret, webhook.former_secret, webhook.former_until)

    def build_request(self, delivery: Delivery | NewDelivery, target: Target, at: datetime) -> Request:
        """Return a signed POST request.

        If `at` is earlier than `target.former_until`, the request has two signatures. The second signature uses the
        former secret.
        """
        timestamp, payload = int(at.timestamp()), delivery.payload
        secrets = [target.secret]
        if target.former_secret is not None and format_time(at) < (target.former_until or ""):
            secrets.append(target.former_secret)
        signatures = [sign(one, delivery_id=delivery.id, timestamp=timestamp, payload=payload) for one in secrets]
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }
        return Request("POST", target.url, payload.encode(), headers)

    def choose_delay(self, result: Result) -> float | None:
        """Return the seconds until the next retry. Returns None after the last retry.

        The retries end after about one day. A receiver that answers with the status 410 gets no further retry.
        """
        retries, answer = result.delivery.retries, result.answer
        if retries >= len(RETRIES) or (answer is not None and answer.status == _GONE):
            return None
        delay = RETRIES[retries] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        if answer is not None and answer.status in _BUSY:
            delay = max(delay, min(answer.retry_after or 0, MOST_ASKED))
        return delay

    def conclude(self, connection: Connection, result: Result, now: datetime) -> None:
        """Set the state of a received message. Disable the webhook if the receiver answers 410."""
        account_id, message_id, time = result.delivery.account_id, result.delivery.message_id, format_time(now)
        if message_id is not None:
            webhook_store.settle_received(
                connection,
                message_id=message_id,
                error_type=None if result.verdict.accepted else "webhook_failed",
                now=time,
            )
        if result.answer is None or result.answer.status != _GONE or result.target is None:
            return
        # The account may have set another URL while Phonify was posting this event.
        if webhook_store.disable_webhook(connection, account_id=account_id, url=result.target.url, now=time):
            delivery_store.cancel_deliveries(connection, account_id=account_id, kind=self.name, now=time)
            webhook_store.settle_all_received(connection, account_id=account_id, now=time)
