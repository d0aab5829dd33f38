"""A server inside the test process. `pytest_plugin.py` uses it for a fixture."""

import itertools
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from ..config import Settings
from ..domain import accounts
from ..factory import create_app
from ..services import Services
from ..storage.records import Account
from .client import Phonify


class _Handler(WSGIRequestHandler):
    """Werkzeug's request handler, but without a log."""

    timeout = 5  # seconds; if a client sends nothing for this time, the server closes the connection

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's
        """Log nothing."""


class _HTTPServer(ThreadedWSGIServer):
    daemon_threads = False  # so that the server answers all current requests before it closes


class Server:
    """A Phonify server in threads of this process, on a free port of 127.0.0.1. It runs within a `with` block.

    The server ignores environment variables whose names begin with `PHONIFY_`. The app under test can use
    such variables.
    """

    def __init__(self, database: Path) -> None:
        settings = Settings(database=database, log_level="ERROR", grace=1)
        app = create_app({name.upper(): value for name, value in asdict(settings).items()})
        self._services: Services = app.extensions["phonify"]
        self._services.prepare()
        self._http = _HTTPServer("127.0.0.1", 0, app, _Handler)
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count(1)
        self.url = f"http://127.0.0.1:{self._http.port}"
        default = accounts.ensure_default_account(self._services.database, self._services.clock)
        self.clock = self._connect(default).clock  # no other account can change it

    def __enter__(self) -> Self:
        serving = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="phonify", daemon=True)
        serving.start()
        self._threads = [serving, *self._services.start_delivery()]
        return self

    def __exit__(self, *_: object) -> None:
        self._services.stop()
        self._http.shutdown()
        for thread in self._threads:
            thread.join()
        self._services.close()

    def create_account(self, name: str) -> Phonify:
        """Return a new account with its own key. Several accounts can have the same name."""
        database, clock = self._services.database, self._services.clock
        client = self._connect(accounts.create_account(database, clock, name=f"{next(self._numbers)} {name}"))
        client.clock = self.clock
        return client

    def _connect(self, account: Account) -> Phonify:
        _, key = accounts.create_key(self._services.database, self._services.clock, account, name="test")
        return Phonify(self.url, key)
