"""Which commands create a database, and what the others say if there is none."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskClient

from phonify import create_app
from phonify.storage.process_lock import Owner

TO = "+14560000000"


@pytest.fixture
def run(tmp_path: Path):
    """Return a function that runs a command on a database that does not exist yet."""

    def run(*arguments: str) -> Result:
        app = create_app({"DATABASE": tmp_path / "phonify.db"})
        try:
            return app.test_cli_runner().invoke(args=arguments)
        finally:
            app.extensions["phonify"].close()

    return run


@pytest.mark.parametrize(
    "command",
    [
        "accounts list",
        "accounts limit default",
        "keys list",
        "keys revoke 1",
        "webhooks show",
        "twilio show",
        "subscriptions list",
        f"phones forget {TO}",
        "keywords show",
        "gateway status",
        "gateway pause",
        "gateway texts",
        f"gateway send {TO} Hello",
        "numbers list",
        f"send {TO} Hello",
        "messages",
        "explain nothing",
        "backup copy.db",
        "check",
    ],
)
def test_a_command_that_needs_a_database_says_that_there_is_none(run, tmp_path: Path, command: str) -> None:
    result = run(*command.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: no database at {tmp_path / 'phonify.db'}; is PHONIFY_DATABASE set?\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["init-db", "accounts create shop", "keys create"])
def test_a_command_that_begins_something_creates_the_database(run, tmp_path: Path, command: str) -> None:
    result = run(*command.split())
    assert result.exit_code == 0
    assert f"Made a new database at {tmp_path / 'phonify.db'}.\n" in result.stderr
    assert "default" in run("accounts", "list").stdout


@pytest.mark.parametrize("command", ["init-db", "accounts create shop", "keys create"])
def test_a_command_that_finds_the_database_says_nothing_of_a_new_one(run, command: str) -> None:
    run("init-db")
    assert "Made a new database" not in run(*command.split()).stderr


def test_the_first_request_creates_the_database(tmp_path: Path) -> None:
    app = create_app({"DATABASE": tmp_path / "phonify.db", "API_KEY": "test-key"})
    client: FlaskClient = app.test_client()
    assert client.get("/v1/messages?api_key=test-key").json == {"messages": []}
    assert (tmp_path / "phonify.db").exists()
    app.extensions["phonify"].close()


def test_a_database_that_can_not_be_created_by_a_request_is_a_503(tmp_path: Path) -> None:
    app = create_app({"DATABASE": tmp_path / "phonify.db", "API_KEY": "test-key"})
    (tmp_path / "phonify.db").mkdir()
    assert app.test_client().get("/v1/messages?api_key=test-key").status_code == 503
    (tmp_path / "phonify.db").rmdir()
    assert app.test_client().get("/v1/messages?api_key=test-key").status_code == 200
    app.extensions["phonify"].close()


# Delivery


def test_send_says_if_nobody_delivers(runner) -> None:
    result = runner.invoke(args=["send", TO, "Hello"])
    assert result.exit_code == 0
    assert result.stderr == "Nothing is delivered yet, because no server or worker is running on this database.\n"


def test_send_says_nothing_if_a_process_delivers(runner, tmp_path: Path) -> None:
    owner = Owner(tmp_path / "phonify.db")
    assert runner.invoke(args=["send", TO, "Hello"]).stderr == ""
    owner.close()


def test_send_says_nothing_of_delivery_if_all_recipients_are_refused(runner) -> None:
    result = runner.invoke(args=["send", "+15005550001", "Hello"])
    assert result.exit_code == 1
    assert "Nothing is delivered" not in result.stderr


@pytest.mark.slow
def test_flask_run_creates_the_database(start, tmp_path: Path) -> None:
    server = start("-m", "flask", "--app", "app", "run", "--port", "0")
    server.wait_for("Running on")
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    assert (tmp_path / "phonify.db").exists()


@pytest.mark.slow
def test_send_of_a_process_says_nothing_if_a_server_runs(start, tmp_path: Path) -> None:
    server = start()
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    while not list(tmp_path.glob("phonify.db-owner-*")):
        assert server.popen.poll() is None
    environ = {**os.environ, "PHONIFY_DATABASE": str(tmp_path / "phonify.db")}
    command = [".venv/bin/flask", "--app", "app", "send", TO, "Hello"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
