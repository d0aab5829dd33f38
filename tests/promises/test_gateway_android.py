"""A server with the gateway `android`: a message goes from the API to the phone once, whatever happens in between."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.android_callbacks import DEVICE, PASSWORD, SIGNING_KEY
from tests.support.android_server import REFUSED, AndroidServer, serving
from tests.support.load import wait_until
from tests.support.servers import Process

pytestmark = pytest.mark.slow
PHONE = "+14560000000"

Start = Callable[..., Process]


@pytest.fixture
def app() -> Iterator[AndroidServer]:
    with serving() as server:
        yield server


def start_with(start: Start, app: AndroidServer, **others: str) -> Process:
    variables = {name.removeprefix("PHONIFY_"): value for name, value in app.environ.items()}
    return start(GATEWAY="android", WORKERS="1", **{**variables, **others})


def send(server: Process, to: str = PHONE, **others: Any) -> dict[str, Any]:
    status, answer = server.call("POST", "/v1/messages", to=to, body="Hej", **others)
    assert status in (201, 402)
    message: dict[str, Any] = answer["message"]
    return message


def find(server: Process, id_: str) -> dict[str, Any]:
    message: dict[str, Any] = server.call("GET", f"/v1/messages/{id_}")[1]["message"]
    return message


def test_a_message_reaches_the_phone_and_a_refused_one_has_the_reason(start: Start, app: AndroidServer) -> None:
    server = start_with(start, app)
    sent, refused = send(server), send(server, REFUSED)
    wait_until(lambda: find(server, sent["id"])["state"] == "sent")
    wait_until(lambda: find(server, refused["id"])["state"] == "error")
    assert find(server, refused["id"])["errors"][0]["type"] == "invalid_number"
    assert list(app.messages) == [(sent["id"], DEVICE)]


def test_a_sender_that_is_not_the_phone_is_refused_at_once(start: Start, app: AndroidServer) -> None:
    server = start_with(start, app, ANDROID_NUMBER="+15005550006")
    assert send(server, origin="SHOP")["errors"][0]["type"] == "sender_not_permitted"
    assert send(server, origin="+15005550006")["state"] == "unconfirmed"


def test_a_killed_server_sends_no_message_twice(start: Start, app: AndroidServer) -> None:
    server = start_with(start, app)
    app.answer_late = True
    sent = [send(server)["id"] for _ in range(3)]
    wait_until(lambda: bool(app.messages))  # the phone has it, and Phonify does not know
    server.kill_all()
    app.answer_late = False
    again = start_with(start, app)
    query = urlencode({"state": "unconfirmed"})
    wait_until(lambda: again.call("GET", f"/v1/messages?{query}")[1]["messages"] == [])
    assert sorted(id_ for id_, _ in app.messages) == sorted(sent)
    assert len([seen for seen in app.seen if seen.method == "POST"]) > len(sent)


def test_secrets_show_neither_in_the_output_nor_in_the_database(start: Start, app: AndroidServer) -> None:
    server = start_with(start, app, LOG_LEVEL="DEBUG")
    sent = send(server)
    wait_until(lambda: find(server, sent["id"])["state"] == "sent")
    app.status = 401
    send(server)
    wait_until(lambda: len(app.seen) == 2)
    server.terminate()
    files = [file for file in server.log.parent.iterdir() if file.is_file()]
    assert len(files) >= 2
    for file in files:
        for secret in (PASSWORD, SIGNING_KEY):
            assert secret.encode() not in file.read_bytes(), file


def test_all_faults_of_the_variables_are_printed_at_the_start(start: Start) -> None:
    server = start(GATEWAY="android", ANDROID_URL="ftp://phone", ANDROID_SIM="4")
    assert server.popen.wait(20) == 2
    for name in ("URL", "USERNAME", "PASSWORD", "SIM"):
        assert f"PHONIFY_ANDROID_{name}: " in server.output
