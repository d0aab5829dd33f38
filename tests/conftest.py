"""What most tests need: an app on a database of its own, a clock that stands still, clients with a key."""

import base64
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from phonify import accounts, create_app
from phonify.dispatcher import Dispatcher
from phonify.runtime import Runtime

KEY = "test-key"


class FakeClock:
    """A clock that goes only when told to; `monotonic` follows it."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def basic(key: str, password: str = "") -> str:
    """Return the Authorization header of a key."""
    return "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()


def faults_of(response: Any) -> list[tuple[str, str | None]]:
    """Return type and param of each error in an answer, after a look at the form that all errors have."""
    assert response.mimetype == "application/json"
    errors = response.get_json()["errors"]
    assert errors
    for error in errors:
        assert set(error) <= {"type", "title", "param"}
        assert error["title"].endswith(".")
    return [(error["type"], error.get("param")) for error in errors]


class ApiClient(FlaskClient):
    """A test client that sends a key with every request, unless one is given or `key` is None."""

    key: str | None = KEY

    def open(self, *args: Any, **kwargs: Any) -> Any:
        headers = dict(kwargs.pop("headers", None) or {})
        if self.key is not None:
            headers.setdefault("Authorization", basic(self.key))
        return super().open(*args, headers=headers, **kwargs)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PHONIFY_"):
            monkeypatch.delenv(name)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make_app(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Flask]]:
    """Return a function that builds apps; all that it builds share a database and a clock."""
    made = []

    def make(gateway: Any = None, **settings: Any) -> Flask:
        config = {"DATABASE": tmp_path / "phonify.db", "API_KEY": KEY, **settings}
        app = create_app(config, clock=clock, gateway=gateway)
        app.test_client_class = ApiClient
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["phonify"].database.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client with the key of the account `default`."""
    return app.test_client()


@pytest.fixture
def send(client: FlaskClient) -> Callable[..., dict[str, Any]]:
    """Return a function that sends one message from the account `default` and returns it as the answer shows it."""

    def send(to: str = "+14560000000", body: str = "Hello", **arguments: Any) -> dict[str, Any]:
        response = client.post("/v1/messages", json={"to": to, "body": body, **arguments})
        assert response.status_code in (201, 402)
        message: dict[str, Any] = response.get_json()["message"]
        return message

    return send


@pytest.fixture
def anonymous(app: Flask) -> FlaskClient:
    """A client that sends no key of itself."""
    client = app.test_client()
    client.key = None
    return client


@pytest.fixture
def stranger(app: Flask, runtime: Runtime) -> FlaskClient:
    """A client with the key of another account."""
    account = accounts.create_account(runtime.database, runtime.clock, name="other")
    client = app.test_client()
    _, client.key = accounts.create_key(runtime.database, runtime.clock, account, name="")
    return client


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def runtime(app: Flask) -> Runtime:
    return app.extensions["phonify"]


@pytest.fixture
def dispatcher(runtime: Runtime) -> Dispatcher:
    """A dispatcher that is not running: a test calls its `deliver_due`."""
    return runtime.make_dispatcher()
