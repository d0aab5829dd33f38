"""The one object in `app.extensions["phonify"]`: what views and commands work with."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from flask import current_app

from .accounts import KeyRing
from .clock import Clock
from .config import Settings
from .conversations import Conversations
from .db import Database
from .dispatcher import Dispatcher, Observe
from .doorbell import Doorbell
from .gateways.base import Gateway
from .messaging import Messaging
from .posting import Resolve, resolve
from .subscriptions import Subscriptions
from .webhook_dispatcher import WebhookDispatcher
from .webhooks import Webhooks


@dataclass(frozen=True)
class Runtime:
    """The parts of a running Phonify."""

    settings: Settings
    clock: Clock
    database: Database
    doorbell: Doorbell
    gateway: Gateway
    keys: KeyRing
    messaging: Messaging
    conversations: Conversations
    subscriptions: Subscriptions
    webhook_doorbell: Doorbell
    webhooks: Webhooks
    observers: dict[Literal["gateway", "webhook"], Observe]  # told of each attempt

    def make_dispatcher(self, *, longest_nap: float = 0.25) -> Dispatcher:
        """Return a new dispatcher for this database and gateway; its `run` wants a thread.

        It looks for messages that other servers have stored every `longest_nap` seconds.
        """
        return Dispatcher(
            self.database,
            self.doorbell,
            self.gateway,
            self.clock,
            self.webhooks,
            lease=self.settings.lease,
            longest_nap=longest_nap,
            clean=self._clean,
            observe=self.observers["gateway"],
        )

    def make_webhook_dispatcher(self, *, longest_nap: float = 0.25, resolve: Resolve = resolve) -> WebhookDispatcher:
        """Return a new loop that posts to webhooks, as `make_dispatcher` does for messages."""
        return WebhookDispatcher(
            self.database,
            self.webhook_doorbell,
            self.clock,
            lease=self.settings.lease,
            grace=self.settings.grace,
            longest_nap=longest_nap,
            private_allowed=self.webhooks.private_allowed,
            resolve=resolve,
            observe=self.observers["webhook"],
        )

    def _clean(self) -> None:
        self.messaging.forget_answers()
        self.conversations.prune()
        self.webhooks.forget_deliveries()

    def start_delivery(self, *, longest_nap: float = 0.25) -> list[threading.Thread]:
        """Start all loops that deliver, each in a thread; they end after `stop`, and the caller joins them."""
        self.webhook_doorbell.share()  # a post that has ended rings, too
        loops = [
            threading.Thread(target=self.make_dispatcher(longest_nap=longest_nap).run, name="dispatcher", daemon=True),
            threading.Thread(
                target=self.make_webhook_dispatcher(longest_nap=longest_nap).run, name="webhooks", daemon=True
            ),
        ]
        for loop in loops:
            loop.start()
        return loops

    def stop(self) -> None:
        """Let the dispatcher and all who wait come to their end: also from a signal handler."""
        self.database.stopping = True
        self.doorbell.ring()
        self.webhook_doorbell.ring()

    def close(self) -> None:
        """Close all that is open."""
        self.database.close()
        self.doorbell.close()
        self.webhook_doorbell.close()


def build_runtime(
    settings: Settings, clock: Clock, gateway: Gateway, database: Database, doorbell: Doorbell
) -> Runtime:
    """Put the parts together."""
    webhook_doorbell = Doorbell()
    private_webhooks = gateway.sandbox if settings.webhook_private is None else settings.webhook_private
    webhooks = Webhooks(database, clock, webhook_doorbell, private_allowed=private_webhooks)
    conversations = Conversations(
        database,
        clock,
        most_messages=settings.retain_messages,
        longest=timedelta(days=settings.retain_days) if settings.retain_days is not None else None,
    )
    subscriptions = Subscriptions(database, clock, conversations)
    messaging = Messaging(
        database,
        gateway,
        clock,
        webhooks,
        subscriptions,
        origin=settings.origin,
        validity=settings.validity,
        most_waiting=settings.waiting,
    )
    return Runtime(
        settings=settings,
        clock=clock,
        database=database,
        doorbell=doorbell,
        gateway=gateway,
        keys=KeyRing(database, clock),
        messaging=messaging,
        conversations=conversations,
        subscriptions=subscriptions,
        webhook_doorbell=webhook_doorbell,
        webhooks=webhooks,
        observers={"gateway": _ignore, "webhook": _ignore},
    )


def _ignore(_outcome: str, _seconds: float) -> None:
    """Observe nothing."""


def get_runtime() -> Runtime:
    """Return the runtime of the current app."""
    runtime: Runtime = current_app.extensions["phonify"]
    return runtime
