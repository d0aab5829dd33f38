"""Tests that any other WSGI server can serve the API, with a separate worker for delivery."""

import re
import time

import pytest

from tests.support.app import ROOT
from tests.support.servers import Process, find_free_port

pytestmark = pytest.mark.slow


TO = "+14560000000"
MODULES = {"waitress-serve": "waitress"}


def read_commands() -> list[list[str]]:
    """Return the arguments of Python for each server in the guide, with PORT in place of the port."""
    guide = ROOT.joinpath("phonify/docs/operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- other servers -->\n```sh\n(.*?)```", guide, re.DOTALL)
    commands = []
    for line in block.splitlines():
        program, *arguments = line.replace("8000", "PORT").split()
        program = program.removeprefix(".venv/bin/")
        if program == "gunicorn":
            arguments = ["--bind", "127.0.0.1:PORT", "--no-control-socket", *arguments]
        elif program == "granian":
            arguments = ["--port", "PORT", *arguments]
        commands.append(["-m", MODULES.get(program, program), *arguments])
    return commands


COMMANDS = read_commands()


def start_server(start, command: list[str], **settings: str) -> Process:
    """Start a server and wait until it answers."""
    port = str(find_free_port())  # some servers do not accept port 0
    server: Process = start(*(argument.replace("PORT", port) for argument in command), **settings)
    end = time.monotonic() + 20
    while True:
        try:
            assert server.call("GET", "/healthz", key=None)[0] == 200
        except ConnectionRefusedError:
            assert time.monotonic() < end, server.output
            time.sleep(0.02)
        else:
            return server


def wait_for_state(server, message_id: str, state: str, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while (shown := server.call("GET", f"/v1/messages/{message_id}")[1]["message"]["state"]) != state:
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)


@pytest.mark.parametrize("command", COMMANDS, ids=[command[1] for command in COMMANDS])
def test_other_servers_serve_the_same_api_and_a_worker_delivers(start, command):
    server = start_server(start, command)
    status, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    assert (status, answer["message"]["state"]) == (201, "unconfirmed")
    assert [message["body"] for message in server.call("GET", "/v1/messages")[1]["messages"]] == ["Hello"]
    status, refused = server.call("GET", "/v1/messages", key="wrong")
    assert (status, refused["errors"][0]["type"]) == (401, "unauthorized")
    assert server.call("GET", "/v1/nothing")[1]["errors"][0]["type"] == "not_found"
    # It does not deliver by itself.
    assert server.call("GET", "/v1/messages?state=sent&wait=0.5") == (200, {"messages": []})
    start("-m", "flask", "--app", "app", "worker")
    wait_for_state(server, answer["message"]["id"], "sent")
    server.terminate()


def test_gunicorn_may_load_the_app_before_it_forks(start):
    command = ["-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--no-control-socket", "--preload", "app:app"]
    server = start_server(start, command)
    status, answer = server.call("POST", "/v1/messages", to=TO, body="Hello")
    assert (status, answer["message"]["state"]) == (201, "unconfirmed")
    server.terminate()


@pytest.mark.parametrize("command", COMMANDS, ids=[command[1] for command in COMMANDS])
def test_keys_are_masked_in_the_logs_of_other_servers(start, command):
    key = "wire-key-0123456789abcdef"
    log = {"gunicorn": ["--access-logfile", "-"], "granian": ["--access-log"]}.get(command[1], [])
    server = start_server(start, [*command[:2], *log, *command[2:]], API_KEY=key)
    assert server.call("GET", f"/v1/messages?api_key={key}", key=None)[0] == 200
    assert server.call("GET", f"/v1/messages?%61pi_key={key}", key=None)[0] == 200
    assert server.call("GET", "/v1/messages/phk_0123456789abcdef", key)[0] == 404
    assert server.call("GET", "/v1/last", key)[0] == 404
    if command[1] != "waitress":  # it has no access log
        server.wait_for("/v1/last")
        server.wait_for(r"/v1/messages/\*\*\*")
    assert key not in server.output
    assert "phk_0123456789abcdef" not in server.output
