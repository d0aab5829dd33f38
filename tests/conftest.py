"""What most tests need: an app on a database of its own, a clock that stands still, clients with a key."""

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from described import check_described
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from hypothesis import HealthCheck, settings
from receivers import Receiver

from phonify import accounts, create_app
from phonify.dispatcher import Dispatcher
from phonify.runtime import Runtime

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


@pytest.fixture(autouse=True)
def _no_glance_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each question of a page be answered anew: in a test nothing lies between them."""
    monkeypatch.setattr("phonify.glances.LASTS", 0)


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
