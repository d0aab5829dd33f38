"""The fixtures for most tests: an app with its own database, a stopped clock, clients with a key."""

import logging
import os
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from hypothesis import HealthCheck, settings

from phonify.delivery.loop import Loop
from phonify.factory import build_app, make_services
from phonify.services import Services
from tests.support.app import KEY, ApiClient, FakeClock, Waiting
from tests.support.operating import Operator
from tests.support.receivers import Receiver
from tests.support.servers import Process, starting
from tests.support.twilio import TwilioApi

# The duration of an example means nothing on a busy machine.
settings.register_profile("phonify", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("phonify")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """For `-n auto`, use one process more than pytest-xdist would. Many tests wait, for example for a commit.

    The tests with the marker `slow` get no additional process, because many of them have time limits.
    """
    is_quick = config.getoption("markexpr").startswith("not ")
    return (yield) + is_quick


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PHONIFY_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_log_level_of_an_earlier_app() -> None:
    logging.getLogger("phonify").setLevel(logging.NOTSET)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def idle_apps() -> defaultdict[object, list[Flask]]:
    """Apps that no test uses now, by what decides their views. The addresses take most of the time of a new app."""
    return defaultdict(list)


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database after the first start of an app with the default settings. Copies of it save time."""
    path = tmp_path_factory.mktemp("prepared") / "phonify.db"
    services = make_services({"DATABASE": path, "API_KEY": KEY}, clock=FakeClock())
    services.prepare()
    services.close()
    return path


@pytest.fixture
def make_app(
    tmp_path: Path, clock: FakeClock, idle_apps: defaultdict[object, list[Flask]], prepared_database: Path
) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes apps with new services. The apps share a database and a clock."""
    made: list[tuple[Flask, dict[str, Any], list[Flask]]] = []

    def make(gateway: Any = None, **settings: Any) -> Flask:
        config = {"DATABASE": tmp_path / "phonify.db", "API_KEY": KEY, **settings}
        if not gateway and not settings and not (tmp_path / "phonify.db").exists():
            shutil.copy(prepared_database, tmp_path)
        services = make_services(config, clock=clock, gateway=gateway)
        idle = idle_apps[services.gateway.sandbox, replace(services.settings, database=Path())]
        # With metrics, the services are changed while an app is built.
        app = idle.pop() if idle and not services.settings.metrics else build_app(services)
        app.extensions["phonify"] = services
        app.test_client_class = ApiClient
        services.prepare()
        made.append((app, dict(app.config), idle))
        return app

    yield make
    for app, config, idle in made:
        app.extensions["phonify"].close()
        if app.config == config:
            idle.append(app)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client with the key of the account `default`."""
    return app.test_client()


@pytest.fixture
def send(client: FlaskClient) -> Callable[..., dict[str, Any]]:
    """Return a function that sends one message from the account `default`. It returns the message of the answer."""

    def send(to: str = "+14560000000", body: str = "Hello", **arguments: Any) -> dict[str, Any]:
        response = client.post("/v1/messages", json={"to": to, "body": body, **arguments})
        assert response.status_code in (201, 402)
        message: dict[str, Any] = response.get_json()["message"]
        return message

    return send


@pytest.fixture
def anonymous(app: Flask) -> FlaskClient:
    """A client that sends no key by default."""
    client = app.test_client()
    client.key = None
    return client


@pytest.fixture
def stranger(app: Flask, make_key: Callable[..., str]) -> FlaskClient:
    """A client with the key of another account."""
    client = app.test_client()
    client.key = make_key("other")
    return client


@pytest.fixture
def twilio(app: Flask) -> TwilioApi:
    """A client of the Twilio-compatible API with the credentials of the account `default`."""
    return TwilioApi(app)


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def operator(app: Flask) -> Operator:
    return Operator(app)


@pytest.fixture
def make_key(operator: Operator) -> Callable[..., str]:
    """Return a function that makes a key. It also makes the account if this does not exist. See `Operator.make_key`."""
    return operator.make_key


@pytest.fixture
def services(app: Flask) -> Services:
    return app.extensions["phonify"]


@pytest.fixture
def message_loop(services: Services) -> Loop[Any, Any]:
    """A loop for messages that does not run. A test calls its `deliver_due`."""
    return services.make_message_loop()


@pytest.fixture
def deliver(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return a function that delivers the due messages.

    Its argument is the app, by default `app`. It returns the number of delivered messages.
    """
    return _step(request, lambda services: services.make_message_loop())


@pytest.fixture
def post_due(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return a function that posts the due webhooks, like `deliver`."""
    return _step(request, lambda services: services.make_webhook_loop())


@pytest.fixture
def apply_due(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return a function that stores the receipts and replies of rules that are due, like `deliver`."""
    return _step(request, lambda services: services.rule_effects)


def _step(request: pytest.FixtureRequest, make: Callable[[Services], Any]) -> Callable[..., int]:
    loops: dict[Flask, Any] = {}

    def step(app: Flask | None = None) -> int:
        app = app or request.getfixturevalue("app")
        if app not in loops:
            loops[app] = make(app.extensions["phonify"])
        return int(loops[app].deliver_due())

    return step


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a function that executes a statement on the database, with another connection."""

    def execute(statement: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(tmp_path / "phonify.db")
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    return execute


@pytest.fixture
def waiting(app: Flask) -> Iterator[Waiting]:
    waiting = Waiting(app)
    yield waiting
    waiting.close()


@pytest.fixture
def disconnect(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Return a function after which `app` opens a new connection for its next request."""
    return lambda: request.getfixturevalue("app").extensions["phonify"].database.close()


@pytest.fixture
def lose_database(disconnect: Callable[[], None], tmp_path: Path) -> Callable[[], None]:
    """Return a function that removes the database of `app`."""

    def lose() -> None:
        disconnect()
        (tmp_path / "phonify.db").rename(tmp_path / "elsewhere.db")

    return lose


@pytest.fixture
def lock_database(
    request: pytest.FixtureRequest, disconnect: Callable[[], None], tmp_path: Path
) -> Iterator[Callable[..., sqlite3.Connection]]:
    """Return a function that locks the database against `app`. The app waits only briefly for the lock.

    It returns the connection that holds the lock. The lock is IMMEDIATE (others may read) or EXCLUSIVE.
    """
    made = []

    def lock(how: str = "IMMEDIATE") -> sqlite3.Connection:
        request.getfixturevalue("app").extensions["phonify"].database.busy_timeout = 0.05
        disconnect()
        connection = sqlite3.connect(tmp_path / "phonify.db", isolation_level=None)
        made.append(connection)
        if how == "EXCLUSIVE":
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"BEGIN {how}")
        return connection

    yield lock
    for connection in made:
        connection.close()


@pytest.fixture
def make_receiver() -> Iterator[Callable[..., Receiver]]:
    """Return a function that starts a receiver of webhooks. See `receivers.py`."""
    made = []

    def make(*args: Any, **options: Any) -> Receiver:
        made.append(Receiver(*args, **options))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    """One that takes everything."""
    return make_receiver()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that starts processes, as `starting` says, until the end of the test."""
    with starting(tmp_path) as start:
        yield start


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run in CI fail where a test was skipped: what is to be seen there must have been seen."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("tests were skipped, which CI does not allow", red=True)
        session.exitstatus = 1
