"""What most tests need: an app on a database of its own, a clock that stands still, clients with a key."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from hypothesis import HealthCheck, settings

from phonify import create_app
from phonify.delivery.loop import Loop
from phonify.services import Services
from phonify.storage import database as db
from tests.support.described import check_described
from tests.support.receivers import Receiver

KEY = "test-key"

# How long an example takes says nothing on a busy machine.
settings.register_profile("phonify", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("phonify")
ROOT = Path(__file__).parent.parent


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
    """A test client that sends a key with every request, unless one is given or `key` is None.

    It fails on answers that the API's description does not have.
    """

    key: str | None = KEY

    def open(self, *args: Any, **kwargs: Any) -> Any:
        headers = dict(kwargs.pop("headers", None) or {})
        if self.key is not None:
            headers.setdefault("Authorization", basic(self.key))
        response = super().open(*args, headers=headers, **kwargs)
        check_described(self.application, response.request.method, response.request.path, response)
        return response


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
        app.extensions["phonify"].close()


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
def stranger(app: Flask, make_key: Callable[..., str]) -> FlaskClient:
    """A client with the key of another account."""
    client = app.test_client()
    client.key = make_key("other")
    return client


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


class Operator:
    """Someone at the machine: what tests do by commands of an app."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.test_cli_runner()
        self._accounts = {"default"}
        self._key_ids = {KEY: 1}

    def run(self, *arguments: str) -> str:
        """Run a command, which must succeed; return what it prints."""
        result = self._runner.invoke(args=arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def show(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command with --json; return the objects that it prints."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def make_key(self, account: str = "default", *, name: str = "", origin: str | None = None) -> str:
        """Return a new key of an account, which is made for its first key."""
        if account not in self._accounts:
            self.run("accounts", "create", account, *(["--origin", origin] if origin else []))
            self._accounts.add(account)
        made = self.show("keys", "create", "--account", account, "--name", name)[0]
        self._key_ids[made["key"]] = made["id"]
        return str(made["key"])

    def find_key_id(self, key: str) -> int:
        """Return the number that commands and pages call a key by."""
        return self._key_ids[key]

    def revoke_key(self, key: str) -> None:
        """Revoke a key that `make_key` has made, or `KEY`."""
        self.run("keys", "revoke", str(self.find_key_id(key)))

    def set_limits(self, account: str = "default", *, quota: int | None = None, rate: int | None = None) -> None:
        """Set both limits of an account; None is no limit."""
        given = ["none" if limit is None else str(limit) for limit in (quota, rate)]
        self.run("accounts", "limit", account, "--quota", given[0], "--rate", given[1])

    def count_quota_used(self, account: str = "default") -> int:
        """Return how many of today's messages are used."""
        return int(self.show("accounts", "limit", account)[0]["quota_used"])

    def set_webhook(self, url: str, account: str = "default") -> str:
        """Let the events of an account be posted to a URL; return the secret."""
        return str(self.show("webhooks", "set", url, "--account", account)[0]["secret"])

    def find_webhook(self, account: str = "default") -> dict[str, Any] | None:
        """Return the webhook of an account, if it has one."""
        result = self._runner.invoke(args=["webhooks", "show", "--account", account, "--json"])
        return json.loads(result.stdout) if result.exit_code == 0 else None

    def send_test(self, account: str = "default") -> str:
        """Let the event `webhook.test` be posted; return the id of the delivery."""
        return self.run("webhooks", "test", "--account", account).strip()

    def list_deliveries(self, account: str = "default") -> list[dict[str, Any]]:
        """Return what was posted or is to be, the newest last."""
        return self.show("webhooks", "deliveries", "-n", "1000", "--account", account)


@contextmanager
def operating(database: Path) -> Iterator[Operator]:
    """Give the operator of a server that runs in a process of its own."""
    with building({"DATABASE": database}) as app:
        yield Operator(app)


@pytest.fixture
def operator(app: Flask) -> Operator:
    return Operator(app)


@pytest.fixture
def make_key(operator: Operator) -> Callable[..., str]:
    """Return a function that makes a key, and its account if need be; see `Operator.make_key`."""
    return operator.make_key


@pytest.fixture
def services(app: Flask) -> Services:
    return app.extensions["phonify"]


@pytest.fixture
def message_loop(services: Services) -> Loop[Any, Any]:
    """A loop for messages that is not running: a test calls its `deliver_due`."""
    return services.make_message_loop()


@pytest.fixture
def deliver(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return a function that hands over the messages that are due, as a server does all the time.

    It takes the app whose gateway gets them, `app` by default, and returns how many were handed over.
    """
    return _step(request, lambda services: services.make_message_loop())


@pytest.fixture
def post_due(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return a function that posts the webhooks that are due, as `deliver` hands over messages."""
    return _step(request, lambda services: services.make_webhook_loop())


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
    """Return a function that executes a statement on the database of the apps, from outside."""

    def execute(statement: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(tmp_path / "phonify.db")
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    return execute


@contextmanager
def building(config: dict[str, Any], **options: Any) -> Iterator[Flask]:
    """Give an app for more than one test; see also `make_app`."""
    app = create_app(config, **options)
    try:
        yield app
    finally:
        app.extensions["phonify"].close()


class Waiting:
    """Requests that wait, each in a thread."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.pool = ThreadPoolExecutor(64)
        self.waiting = app.extensions["phonify"].sending.waiting

    def list(self, query: str = "", *, wait: float = 30) -> "Future[Any]":
        """Begin a request; return its answer to come, once it waits."""
        before, end = self.waiting.count, time.monotonic() + 20
        answer = self.pool.submit(lambda: self.app.test_client().get(f"/v1/messages?wait={wait}&{query}"))
        while self.waiting.count == before:
            assert time.monotonic() < end
            time.sleep(0.001)
        return answer

    def stop(self) -> None:
        """Let all go, as the end of a server does."""
        self.app.extensions["phonify"].stop()

    def close(self) -> None:
        """Let all go and wait for them."""
        self.stop()
        self.pool.shutdown()


@pytest.fixture
def waiting(app: Flask) -> Iterator[Waiting]:
    waiting = Waiting(app)
    yield waiting
    waiting.close()


@pytest.fixture
def disconnect(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Return a function that lets `app` connect to its database anew at its next request."""
    return lambda: request.getfixturevalue("app").extensions["phonify"].database.close()


@pytest.fixture
def lose_database(disconnect: Callable[[], None], tmp_path: Path) -> Callable[[], None]:
    """Return a function that takes the database of `app` away."""

    def lose() -> None:
        disconnect()
        (tmp_path / "phonify.db").rename(tmp_path / "elsewhere.db")

    return lose


@pytest.fixture
def lock_database(
    disconnect: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., sqlite3.Connection]]:
    """Return a function that locks the database against `app`, which gives up soon.

    It returns the connection that holds the lock: IMMEDIATE, which lets others read, or EXCLUSIVE.
    """
    made = []

    def lock(how: str = "IMMEDIATE") -> sqlite3.Connection:
        monkeypatch.setattr(db, "BUSY_TIMEOUT", 0.05)
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
    """Return a function that starts an app that webhooks can be posted to; see `receivers.py`."""
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


class Process:
    """A server or command in a process group of its own; its output goes to a file."""

    def __init__(self, command: list[str], *, log: Path, cwd: Path, environ: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                command, cwd=cwd, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="backslashreplace")

    def wait_for(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait until it has printed something that matches; return the match."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.output)):
            if self.popen.poll() is not None or time.monotonic() > deadline:
                # Once more: it may have printed that as its last words.
                found = re.search(pattern, self.output)
                assert found, f"no {pattern!r} in what it printed:\n{self.output}"
                break
            time.sleep(0.01)
        return found

    def terminate(self, timeout: float = 40) -> int:
        """Send SIGTERM; return the exit status."""
        self.popen.terminate()
        return self.popen.wait(timeout)

    def kill_all(self) -> None:
        """Send SIGKILL to it and all processes that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    @property
    def port(self) -> int:
        """The port of a server, once it has said so."""
        return int(self.wait_for(r"http://(?:127\.0\.0\.1|localhost):(\d+)")[1])

    def call(self, method: str, path: str, key: str | None = KEY, **arguments: Any) -> tuple[int, Any]:
        """Make a request with a JSON body and return status and JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        headers = {"Authorization": basic(key)} if key is not None else {}
        body = None
        if arguments:
            body, headers["Content-Type"] = json.dumps(arguments), "application/json"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def find_free_port() -> int:
    """Return a port that nobody listens on, for servers that can't choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def starting(folder: Path) -> Iterator[Callable[..., Process]]:
    """Give a function that starts `python ARGUMENTS...` with settings; at the end of the block all is killed.

    Without arguments it starts the server. All share a database, and the key `test-key`.
    """
    started: list[Process] = []

    def start(*arguments: str, cwd: Path = ROOT, **settings: str | None) -> Process:
        given = {"DATABASE": str(folder / "phonify.db"), "PORT": "0", "API_KEY": KEY, **settings}
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        environ |= {f"PHONIFY_{name}": value for name, value in given.items() if value is not None}
        log = folder / f"output-{len(started)}"
        command = [sys.executable, *(arguments or ("app.py",))]
        started.append(Process(command, log=log, cwd=cwd, environ=environ))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill_all()


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
