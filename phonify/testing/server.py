"""A server in the process of the tests. The plugin for pytest (`pytest_plugin.py`) makes fixtures of it."""

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
from .phonify import Phonify


class _Handler(WSGIRequestHandler):
    """Werkzeug's, without its log."""

    timeout = 5  # seconds; a client that sends nothing for so long is let go

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's
        """Log nothing: the tests have a log of their own."""


class _HTTPServer(ThreadedWSGIServer):
    daemon_threads = False  # so that closing it waits for the requests in hand


class Server:
    """Phonify in this process, on a free port of 127.0.0.1: serves and delivers in threads, within a `with`.

    PHONIFY_* variables of the environment do not reach it: they may be meant for the app under test.
    """

    def __init__(self, database: Path) -> None:
        settings = Settings(database=database, log_level="ERROR", grace=1)
        app = create_app({name.upper(): value for name, value in asdict(settings).items()})
        self._services: Services = app.extensions["phonify"]
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
        """Return a new account with a key of its own; the name need not be the only one of its kind."""
        database, clock = self._services.database, self._services.clock
        account = accounts.create_account(database, clock, name=f"{next(self._numbers)} {name}")
        _, key = accounts.create_key(database, clock, account, name="test")
        return Phonify(self._services, account, url=self.url, api_key=key)
