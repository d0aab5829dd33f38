"""The one object in `app.extensions["phonify"]`: what views and commands work with."""

import threading
from dataclasses import dataclass

from flask import current_app

from .accounts import KeyRing
from .clock import Clock
from .config import Settings
from .db import Database
from .dispatcher import Dispatcher
from .doorbell import Doorbell
from .gateways.base import Gateway
from .messaging import Messaging


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

    def make_dispatcher(self, *, longest_nap: float = 0.25) -> Dispatcher:
        """Return a new dispatcher for this database and gateway; its `run` wants a thread.

        It looks for messages that other servers have stored every `longest_nap` seconds.
        """
        return Dispatcher(
            self.database,
            self.doorbell,
            self.gateway,
            self.clock,
            lease=self.settings.lease,
            longest_nap=longest_nap,
            clean=self.messaging.forget_answers,
        )

    def start_delivery(self) -> list[threading.Thread]:
        """Start all loops that deliver, each in a thread; they end after `stop`, and the caller joins them."""
        loops = [threading.Thread(target=self.make_dispatcher().run, name="dispatcher", daemon=True)]
        for loop in loops:
            loop.start()
        return loops

    def stop(self) -> None:
        """Let the dispatcher and all who wait come to their end: also from a signal handler."""
        self.database.stopping = True
        self.doorbell.ring()

    def close(self) -> None:
        """Close all that is open."""
        self.database.close()
        self.doorbell.close()


def get_runtime() -> Runtime:
    """Return the runtime of the current app."""
    runtime: Runtime = current_app.extensions["phonify"]
    return runtime
