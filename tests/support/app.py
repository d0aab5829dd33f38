"""An app for tests: its key, a stopped clock, and clients that compare each answer with the description."""

import base64
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from phonify import create_app
from tests.support.described import check_described

KEY = "test-key"
ROOT = Path(__file__).parent.parent.parent


class FakeClock:
    """A clock that moves only if the test moves it. `monotonic` moves with it."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def machine_now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def basic(key: str, password: str = "") -> str:
    """Return the Authorization header of a key."""
    return "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()


def faults_of(response: Any) -> list[tuple[str, str | None]]:
    """Return the type and the param of each error in an answer. Checks the form of the errors."""
    assert response.mimetype == "application/json"
    errors = response.get_json()["errors"]
    assert errors
    for error in errors:
        assert set(error) <= {"type", "title", "param"}
        assert error["title"].endswith(".")
    return [(error["type"], error.get("param")) for error in errors]


class ApiClient(FlaskClient):
    """A test client that sends a key with every request. It sends no key if the request has one or `key` is None.

    It fails if an answer does not match the API's description.
    """

    key: str | None = KEY

    def open(self, *args: Any, **kwargs: Any) -> Any:
        headers = dict(kwargs.pop("headers", None) or {})
        if self.key is not None:
            headers.setdefault("Authorization", basic(self.key))
        response = super().open(*args, headers=headers, **kwargs)
        check_described(self.application, response.request.method, response.request.path, response)
        return response


def sign_in(browser: FlaskClient, key: str, *, base_url: str = "http://localhost") -> None:
    """Let a browser begin a session with a key."""
    form = {"api_key": key}
    headers = {"Sec-Fetch-Site": "same-origin"}
    response = FlaskClient.open(browser, "/inbox/sign-in", method="POST", base_url=base_url, data=form, headers=headers)
    assert response.status_code == 303


@contextmanager
def building(config: dict[str, Any], **options: Any) -> Iterator[Flask]:
    """Yield an app for more than one test."""
    app = create_app(config, **options)
    try:
        app.extensions["phonify"].prepare()
        yield app
    finally:
        app.extensions["phonify"].close()


class Waiting:
    """Requests that wait, each in a thread."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.pool = ThreadPoolExecutor(64)
        self.waiting = app.extensions["phonify"].sending.waiting

    def list(self, query: str = "", *, wait: float = 30, path: str = "/v1/messages") -> "Future[Any]":
        """Start a request. Returns the future answer when the request waits."""
        before, end = self.waiting.count, time.monotonic() + 20
        answer = self.pool.submit(lambda: self.app.test_client().get(f"{path}?wait={wait}&{query}"))
        while self.waiting.count == before:
            assert time.monotonic() < end
            time.sleep(0.001)
        return answer

    def stop(self) -> None:
        """End all waiting requests, as a stopping server does."""
        self.app.extensions["phonify"].stop()

    def close(self) -> None:
        """End all waiting requests, and wait for them."""
        self.stop()
        self.pool.shutdown()


def start_and_stop(app: Flask) -> None:
    """Start the delivery of a server, and stop it."""
    services = app.extensions["phonify"]
    services.prepare()
    threads = services.start_delivery()
    services.stop()
    for thread in threads:
        thread.join()
