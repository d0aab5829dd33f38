"""The command `phonify`: all commands of the app and one that serves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from phonify import __version__
from tests.support.app import ROOT


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `python -m phonify ARGUMENTS...` in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*arguments: str, module: str = "phonify") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("keys", "create", "--help"), ("--version",)])
def test_help_creates_no_database(run, tmp_path, arguments) -> None:
    result = run(*arguments)
    assert result.returncode == 0
    assert __version__ in result.stdout or "Usage: python -m phonify" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_command_does_what_that_of_the_app_does(run, tmp_path) -> None:
    assert run("init-db").returncode == 0
    assert tmp_path.joinpath("phonify.db").exists()
    result = run("accounts", "list", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["name"] == "default"


@pytest.mark.parametrize("arguments", [("serve",), ("messages",), ("accounts", "list")])
def test_settings_that_can_not_be_used_are_said_with_status_2(run, monkeypatch, arguments) -> None:
    monkeypatch.setenv("PHONIFY_PORT", "x")
    result = run(*arguments)
    assert result.returncode == 2
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


def test_what_is_no_command_is_said_with_status_2(run) -> None:
    result = run("sever")
    assert result.returncode == 2
    assert "No such command 'sever'" in result.stderr


def test_serve_serves(start, tmp_path) -> None:
    server = start("-m", "phonify", "serve", cwd=tmp_path)
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    server.wait_for(r"Make another key with: \S*python -m phonify keys create")
    assert server.terminate() == 0
