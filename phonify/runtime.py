"""The one object in `app.extensions["phonify"]`: what views and commands work with."""

from dataclasses import dataclass

from flask import current_app

from .accounts import KeyRing
from .clock import Clock
from .config import Settings
from .db import Database
from .dispatcher import Dispatcher
from .gateways.base import Gateway
from .messaging import Messaging


@dataclass(frozen=True)
class Runtime:
    """The parts of a running Phonify."""

    settings: Settings
    clock: Clock
    database: Database
    gateway: Gateway
    keys: KeyRing
    messaging: Messaging

    def make_dispatcher(self) -> Dispatcher:
        """Return a new dispatcher for this database and gateway; its `run` wants a thread."""
        return Dispatcher(
            self.database,
            self.gateway,
            self.clock,
            lease=self.settings.lease,
            clean=self.messaging.forget_answers,
        )


def get_runtime() -> Runtime:
    """Return the runtime of the current app."""
    runtime: Runtime = current_app.extensions["phonify"]
    return runtime
