"""Tests of a client that openapi-python-client makes of the API's description: it sends, lists, changes, cancels."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import KEY
from tests.support.servers import Process, starting

pytestmark = pytest.mark.packaging

IMPORTS = """
import importlib, json, pkgutil
import phonify_client.api
names = [found.name for found in pkgutil.walk_packages(phonify_client.api.__path__, "phonify_client.api.")]
print(json.dumps([importlib.import_module(name).__name__ for name in names]))
"""
SCRIPT = """
import datetime, json, sys
from phonify_client import Client
from phonify_client.api.messages import cancel_message, change_message, get_message, list_messages, send_message
from phonify_client.api.phones import get_phone
from phonify_client.api.sandbox import simulate_inbound
from phonify_client.models import ChangeJson, InboundJson, SendJson

client = Client(base_url=sys.argv[1], httpx_args={"auth": (sys.argv[2], "")})
send_at = datetime.datetime(2100, 1, 31, 9, 30, tzinfo=datetime.timezone.utc)
sent = send_message.sync(client=client, body=SendJson(to="+14560000000", body="Hello", send_at=send_at))
several = send_message.sync(client=client, body=SendJson(to=["+14560000001", "+14560000002"], body="Several"))
message_id = sent.message.id
steps = {"sent": [sent.message.body, len(several.messages)]}
listed = list_messages.sync(client=client, q="Sever", limit=10).messages
steps["listed"] = sorted(message.to for message in listed)
changed = change_message.sync(message_id, client=client, body=ChangeJson(body="Changed"))
steps["changed"] = [changed.message.body, get_message.sync(message_id, client=client).message.body]
steps["cancelled"] = cancel_message.sync(message_id, client=client).message.id == message_id
steps["gone"] = get_message.sync(message_id, client=client).errors[0].type_
refused = send_message.sync(client=client, body=SendJson(to="1", body=""))
steps["refused"] = [[error.type_, error.param] for error in refused.errors]
received = simulate_inbound.sync(client=client, body=InboundJson(from_="+14560000001", body="Hi"))
steps["received"] = [received.message.direction, received.message.segments]
steps["phone"] = get_phone.sync("+14560000001", client=client).phone.country
print(json.dumps(steps, default=str))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        yield start()


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command. It must succeed. Returns its output."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PHONIFY_", "PYTHON"))}
    result = subprocess.run(
        command, cwd=cwd, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def run_script(tmp_path_factory: pytest.TempPathFactory, server: Process) -> Callable[[str], Any]:
    """Return a function that runs a script with the generated client. Its output is JSON."""
    place = tmp_path_factory.mktemp("generated")
    python = place / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check")
    run(*pip, "openapi-python-client", cwd=place)
    address = f"http://127.0.0.1:{server.port}"
    with urllib.request.urlopen(f"{address}/v1/openapi.json") as response:
        place.joinpath("openapi.json").write_bytes(response.read())
    command = ("-m", "openapi_python_client", "generate", "--path", "openapi.json", "--output-path", "client")
    told = run(python, *command, cwd=place)
    assert "Unable to parse" not in told, told
    return lambda script: json.loads(run(python, "-c", script, address, KEY, cwd=place / "client"))


def test_a_generated_client_sends_lists_changes_cancels_and_reads_errors(run_script: Callable[[str], Any]) -> None:
    assert run_script(SCRIPT) == {
        "sent": ["Hello", 2],
        "listed": ["+14560000001", "+14560000002"],
        "changed": ["Changed", "Changed"],
        "cancelled": True,
        "gone": "not_found",
        "refused": [["invalid_msisdn", "to"], ["empty_text", "body"]],
        "received": ["inbound", 1],
        "phone": "US",
    }


def test_each_module_of_a_generated_client_can_be_imported(run_script: Callable[[str], Any]) -> None:
    assert "phonify_client.api.messages.change_message" in run_script(IMPORTS)
