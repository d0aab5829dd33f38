"""Tests of the command `phonify`. It has all commands of the app and one command that serves."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.cli import ScriptInfo

from phonify import __version__, create_app
from phonify.__main__ import phonify
from phonify.config import Settings
from tests.support.app import ROOT


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `python -m phonify ARGUMENTS...` in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*arguments: str, module: str = "phonify") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `phonify ARGUMENTS...` in this process and in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        app = ScriptInfo(create_app=create_app, set_debug_flag=False)
        return CliRunner().invoke(phonify, arguments, obj=app, prog_name="phonify")

    return invoke


def test_the_module_is_a_command(run, tmp_path) -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "Usage: python -m phonify" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("keys", "create", "--help"), ("--version",)])
def test_help_creates_no_database(invoke, tmp_path, arguments) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert __version__ in result.stdout or "Usage: phonify" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_command_does_what_that_of_the_app_does(run, tmp_path) -> None:
    assert run("init-db").returncode == 0
    assert tmp_path.joinpath("phonify.db").exists()
    result = run("accounts", "list", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["name"] == "default"


def test_settings_that_can_not_be_used_are_said_with_status_2(run, invoke, monkeypatch) -> None:
    monkeypatch.setenv("PHONIFY_PORT", "x")
    served, others = run("serve"), [invoke("messages"), invoke("accounts", "list")]
    assert [served.returncode, *(result.exit_code for result in others)] == [2, 2, 2]
    for result in (served, *others):
        assert result.stdout == ""
        assert result.stderr.splitlines() == [
            "Error: these settings can't be used:",
            "  PHONIFY_PORT: 'x' must be a whole number from 0 to 65535",
        ]


def test_the_help_of_flask_says_what_the_app_is(run, tmp_path) -> None:
    result = run("--app", "phonify:create_app", "--help", module="flask")
    assert result.returncode == 0
    shown = " ".join(result.stdout.split())
    assert "This app is Phonify, an SMS API and sandbox on one SQLite file." in shown
    assert "python app.py" in shown
    assert "PHONIFY_DATABASE" in shown
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_command_is_said_with_status_2(invoke) -> None:
    result = invoke("sever")
    assert result.exit_code == 2
    assert "No such command 'sever'" in result.stderr


def test_serve_serves(start, tmp_path) -> None:
    server = start("-m", "phonify", "serve", cwd=tmp_path)
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    server.wait_for(r"Make another key with: \S*python -m phonify keys create")
    assert "token=" not in server.output  # only a terminal shows a link that signs in
    assert server.terminate() == 0


def test_the_options_of_serve_win_over_the_settings(start, tmp_path) -> None:
    database = tmp_path / "other.db"
    options = ("--port", "0", "--host", "localhost", "--database", str(database), "--workers", "1")
    server = start("-m", "phonify", "serve", *options, cwd=tmp_path, PORT="1", HOST="192.0.2.1", WORKERS="9")
    server.wait_for(rf"Phonify serves http://localhost:\d+ from {database} ")
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    line = server.wait_for(r"Make another key with: (.*)\n")[1]
    assert line.startswith(f"PHONIFY_DATABASE={database} ")
    assert not (tmp_path / "phonify.db").exists()


def test_the_help_of_serve_names_all_settings_and_their_defaults(invoke) -> None:
    lines = invoke("serve", "--help").stdout.splitlines()
    settings = {}
    for line in lines:
        name, _, default = line.strip().partition(" ")
        if line.startswith("    PHONIFY_"):
            settings[name] = default.strip()
    assert settings.keys() == {f"PHONIFY_{field.name.upper()}" for field in fields(Settings)}
    assert (settings["PHONIFY_PORT"], settings["PHONIFY_API_KEY"]) == ("8000", "")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--port", "http", "'http' must be a whole number from 0 to 65535"),
        ("--workers", "0", "'0' must be a whole number from 1 to 64"),
        ("--host", "?", "'?' must be a host name or an address"),
        ("--database", "", "'' must be the path of a file"),
    ],
)
def test_a_wrong_option_of_serve_is_named_as_it_was_typed(invoke, tmp_path, option, value, why) -> None:
    result = invoke("serve", option, value)
    assert result.exit_code == 2
    assert f"Error: Invalid value for '{option}': {why}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_demo_takes_no_database(invoke) -> None:
    result = invoke("serve", "--demo", "--database", "my.db")
    assert result.exit_code == 2
    assert "--demo can't be used with --database" in result.stderr
