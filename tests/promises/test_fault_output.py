"""Tests of output that can't be written: commands into a full disk or a closed pipe, and servers with such a log."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT
from tests.support.load import wait_until
from tests.support.processes import descendants_of
from tests.support.servers import Process, find_free_port

FULL = "/dev/full"
TO = "+14560000000"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path(FULL).exists(), reason=f"there is no {FULL}")]
FAILURE = "Error: the output can't be written: No space left on device\n"
PHONIFY, FLASK = "-m phonify", "-m flask --app app"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `python ARGUMENTS` in a shell, with a redirection after it."""
    environ = {**os.environ, "PHONIFY_DATABASE": str(tmp_path / "phonify.db"), "PYTHONPATH": str(ROOT)}

    def run(arguments: str, redirection: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-c", f"{shlex.quote(sys.executable)} {arguments} {redirection}"]
        return subprocess.run(command, cwd=ROOT, env=environ | settings, capture_output=True, text=True, timeout=60)

    run(f"{PHONIFY} init-db")
    assert run(f"{PHONIFY} send {TO} Hello").returncode == 0
    return run


@pytest.mark.parametrize(
    "command",
    [
        f"{PHONIFY} messages",
        pytest.param(f"{PHONIFY} messages --json", marks=pytest.mark.slow),
        pytest.param(f"{PHONIFY} accounts list", marks=pytest.mark.slow),
        pytest.param(f"{PHONIFY} check", marks=pytest.mark.slow),
        pytest.param(f"{PHONIFY} check-text Hello", marks=pytest.mark.slow),
        f"{PHONIFY} --help",
        pytest.param(f"{PHONIFY} --version", marks=pytest.mark.slow),
        pytest.param(f"{PHONIFY} serve --help", marks=pytest.mark.slow),
        pytest.param(f"{PHONIFY} webhooks --help", marks=pytest.mark.slow),
        pytest.param(f"{PHONIFY} check-text --help", marks=pytest.mark.slow),
        pytest.param(f"{FLASK} accounts list", marks=pytest.mark.slow),
        pytest.param(f"{FLASK} accounts --help", marks=pytest.mark.slow),
    ],
)
def test_a_command_that_can_not_print_fails_with_one_line(run, command: str) -> None:
    failed = run(command, f"> {FULL}")
    assert (failed.returncode, failed.stderr) == (1, FAILURE)


@pytest.mark.parametrize(
    ("command", "done"),
    [
        (
            "keys create",
            (
                "Key 1 of the account 'default' was created, but the key could not be printed."
                " To revoke the key: `keys revoke 1`"
            ),
        ),
        pytest.param(
            "keys create --json",
            "Key 1 of the account 'default' was created, but the key could not be printed."
            " To revoke the key: `keys revoke 1`",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "accounts create shop",
            "Account 'shop' created. Make a key for it with: keys create --account shop",
            marks=pytest.mark.slow,
        ),
        pytest.param(f"send {TO} Hello", "Messages stored: [0-9a-f-]{36}", marks=pytest.mark.slow),
        pytest.param(
            "webhooks set https://example.com/",
            "The webhook of the account 'default' was set. To see the secret: `webhooks show`",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "open --url http://127.0.0.1:8000",
            "A sign-in link was created, but it could not be printed. The link expires after ten minutes.",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "gateway pause",
            "The gateway stub is paused. To resume the gateway: `gateway resume`",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_command_that_can_not_print_says_what_it_has_changed(run, command: str, done: str) -> None:
    failed = run(f"{PHONIFY} {command}", f"> {FULL}")
    assert failed.returncode == 1
    assert re.fullmatch(re.escape(FAILURE) + done + "\n", failed.stderr)


# Runs a command whose output goes to a pipe without a reader.
WITHOUT_READER = (
    "import os, subprocess, sys; reader, writer = os.pipe(); os.close(reader);"
    " sys.exit(subprocess.run([sys.executable, *sys.argv[1:]], stdout=writer).returncode)"
)


def test_a_command_whose_reader_has_gone_says_what_it_has_changed(run) -> None:
    failed = run(f"-c {shlex.quote(WITHOUT_READER)} {PHONIFY} keys create")
    assert failed.returncode
    assert failed.stderr.endswith("was created, but the key could not be printed. To revoke the key: `keys revoke 1`\n")


def test_without_buffers_of_python_the_failure_is_the_same(run) -> None:
    failed = run(f"{PHONIFY} accounts list", f"> {FULL}", PYTHONUNBUFFERED="1")
    assert (failed.returncode, failed.stderr) == (1, FAILURE)


@pytest.mark.parametrize(
    "command", ["messages -n 1000", pytest.param("messages -n 1000 --json", marks=pytest.mark.slow), "--help"]
)
def test_a_command_whose_reader_has_enough_ends_without_a_word(run, execute, command: str) -> None:
    row = "1, 'outbound', '{body}', '1', '2', 'sent', '2026', '2026'".format(body="x" * 100)
    execute(
        "INSERT INTO messages (id, account_id, direction, body, origin_number, to_number, state, created_at,"
        " finished_at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        f" SELECT printf('%04d', i), {row} FROM n"
    )
    ended = run(f"{PHONIFY} {command}", "| true; exit ${PIPESTATUS[0]}")
    assert (ended.returncode, ended.stderr, ended.stdout) == (1, "", "")


@pytest.fixture
def serve(tmp_path: Path, start) -> Callable[..., Process]:
    """Return a function that starts `python ARGUMENTS` with its output redirected. The port is free."""

    def serve(arguments: str, redirection: str, **settings: str) -> Process:
        port = find_free_port()
        script = f"echo http://127.0.0.1:{port}; exec {shlex.quote(sys.executable)} {arguments} {redirection}"
        execute = f"import os; os.execvp('bash', ['bash', '-c', {script!r}])"
        server: Process = start("-c", execute, PORT=str(port), **settings)
        wait_until(lambda: answers(server))
        return server

    return serve


def answers(server: Process) -> bool:
    assert server.popen.poll() is None, server.output
    try:
        return server.call("GET", "/healthz", key=None)[0] == 200
    except OSError:
        return False


def find_pythons(server: Process) -> set[int]:
    """Return the processes of a server. There may be a shell too."""
    own = Path(f"/proc/{server.popen.pid}/comm").read_text(encoding="utf-8")
    return {pid for pid in descendants_of(server.popen.pid) if Path(f"/proc/{pid}/comm").read_text("utf-8") == own}


def send(server: Process) -> None:
    """Send a message, and wait until the delivery process has sent it."""
    status, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    assert status == 201
    message_id = answer["message"]["id"]
    wait_until(lambda: server.call("GET", f"/v1/messages/{message_id}")[1]["message"]["state"] == "sent")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("redirection", [f"> {FULL} 2>&1", f"> {FULL}", f"2> {FULL}", "> >(exec <&-) 2>&1", ">&-"])
@pytest.mark.parametrize("command", ["app.py", "-m phonify serve --demo"])
def test_a_server_that_can_not_write_its_log_starts_and_serves_in_all_processes(
    serve, command: str, redirection: str, log_format: str
) -> None:
    server = serve(command, redirection, LOG_FORMAT=log_format, LOG_LEVEL="DEBUG")
    wait_until(lambda: len(find_pythons(server)) == 4)
    processes = find_pythons(server)
    if "demo" not in command:
        for _ in range(10):
            send(server)
    assert server.call("GET", "/v1/unknown", key=None)[0] == 404
    assert find_pythons(server) == processes
    assert "Traceback" not in server.output
    assert server.terminate() == 0


def test_a_server_without_output_says_in_its_log_that_the_start_is_not_printed(serve) -> None:
    server = serve("app.py", f"> {FULL}", API_KEY=KEY * 4)
    (line,) = [line for line in server.output.splitlines() if "start" in line]
    assert line.endswith("WARNING phonify.server.start: can't print the start-up text: No space left on device")


def test_a_worker_that_can_not_write_its_log_delivers(start, run) -> None:
    worker = start("-c", f"import os; os.execvp('bash', ['bash', '-c', 'exec {sys.executable} -m phonify worker "
                   f"> {FULL} 2>&1'])")  # fmt: skip
    assert run(f"{PHONIFY} send {TO} Hello").returncode == 0
    wait_until(lambda: "  sent  " in run(f"{PHONIFY} messages").stdout)
    assert worker.terminate() == 0


def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="only root may mount a small disk")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_log_on_a_full_disk_goes_on_as_soon_as_there_is_room(serve, tmp_path: Path, log_format: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    fill = f"mount -t tmpfs -o size=1m none {disk} && (cat /dev/zero > {disk}/filler; true)"
    inner = f"{fill}; exec {sys.executable} app.py > {disk}/log 2>&1"
    server = serve(f"-c \"import os; os.execvp('unshare', ['unshare', '-m', 'sh', '-c', '{inner}'])\"", "",
                   LOG_FORMAT=log_format)  # fmt: skip
    seen_disk = Path(f"/proc/{server.popen.pid}/root{disk}")
    for _ in range(10):
        send(server)
    assert seen_disk.joinpath("log").read_bytes() == b""
    seen_disk.joinpath("filler").unlink()
    send(server)
    wait_until(lambda: b"/v1/messages" in seen_disk.joinpath("log").read_bytes())
    assert server.terminate() == 0
