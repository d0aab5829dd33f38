"""A server in the process of the tests. `pytest_plugin.py` makes a fixture of it."""

import itertools
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from ..config import Settings
from ..domain import accounts
from ..errors import InvalidRequest
from ..factory import create_app
from ..services import Services
from ..storage.records import Account
from .client import Phonify


class _Handler(WSGIRequestHandler):
    """Werkzeug's request handler, without its log."""

    timeout = 5  # seconds after which a connection of a silent client is closed

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's
        """Log nothing."""


class _HTTPServer(ThreadedWSGIServer):
    daemon_threads = False  # so that closing waits for requests that have begun


class Server:
    """Phonify in this process, on a free port of 127.0.0.1. It serves and delivers in threads, within a `with` block.

    It ignores PHONIFY_* variables of the environment, which may be meant for the app under test.
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
        """Return a new account with its own key; several accounts may have the same name."""
        database, clock = self._services.database, self._services.clock
        account = accounts.create_account(database, clock, name=f"{next(self._numbers)} {name}")
        _, key = accounts.create_key(database, clock, account, name="test")
        return _Phonify(self._services, account, url=self.url, api_key=key)


class _Phonify(Phonify):
    """An account of this server. It sets its webhook without a request."""

    def __init__(self, services: Services, account: Account, *, url: str, api_key: str) -> None:
        super().__init__(url, api_key)
        self._services = services
        self._account = account

    def set_webhook(self, url: str) -> str:
        """Set the URL that the account's events are posted to; return the secret that signs them."""
        try:
            return self._services.webhooks.set_url(self._account, url).secret
        except InvalidRequest as error:
            raise ValueError("; ".join(f"{fault.param}: {fault.title}" for fault in error.faults)) from error
