"""Tests of the callbacks of gateways on a real server: what is stored before the answer, and what is refused."""

import http.client
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.servers import Process

pytestmark = pytest.mark.slow

APP = str(ROOT / "tests" / "support" / "hearing_app.py")
SECRET, SENDER, OWN = "a-secret-path", "+4915112345678", "+15005550006"
TEXT = {"sender": SENDER, "body": "Hello", "event_id": "one"}


@pytest.fixture
def server(start: Callable[..., Process]) -> Process:
    return start(APP, WORKERS="1")


def call_back(server: Process, body: object, path: str = f"/gateways/peer/{SECRET}") -> tuple[int, str]:
    """Post a callback. Returns the status and the body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
    try:
        connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def query(tmp_path: Path) -> Callable[[str], list[tuple]]:
    """Return a function that reads the database with a connection of its own."""

    def query(statement: str) -> list[tuple]:
        connection = sqlite3.connect(tmp_path / "phonify.db")
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    return query


def test_receipts_and_texts_are_stored_before_the_answer(server, query) -> None:
    _, answer = server.call("POST", "/v1/messages", to="+14560000000", body="Hello")
    id_ = answer["message"]["id"]
    assert server.call("GET", "/v1/messages?state=sent&direction=outbound&wait=20")[1]["messages"]
    events = [TEXT, {"status": "delivered", "reference": f"ref-{id_}", "event_id": "two"}]
    assert call_back(server, events) == (202, "heard")
    assert query("SELECT direction, body, receipt_status FROM messages ORDER BY seq") == [
        ("outbound", "Hello", "delivered"),
        ("inbound", "Hello", None),
    ]


def test_a_repeated_callback_is_stored_once(server, query) -> None:
    assert [call_back(server, [TEXT])[0] for _ in range(3)] == [202, 202, 202]
    assert query("SELECT origin_number, to_number FROM messages") == [(SENDER, OWN)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/gateways/peer/wrong-path", [TEXT], 403),
        ("/gateways/peer/", [TEXT], 403),
        (f"/gateways/peer/{SECRET}", b"\xff{", 400),
        (f"/gateways/peer/{SECRET}", [{"unknown": "x"}], 400),
        (f"/gateways/other/{SECRET}", [TEXT], 404),
        (f"/gateways/stub/{SECRET}", [TEXT], 404),
    ],
)
def test_what_is_forged_or_unreadable_or_for_no_gateway_changes_nothing(server, query, path, body, status) -> None:
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    assert call_back(server, body, path)[0] == status
    assert query("SELECT count(*) FROM messages") == [(0,)]
    assert query("SELECT count(*) FROM received_texts") == [(0,)]
    assert query("SELECT count(*) FROM receipts") == [(0,)]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_log_has_the_path_of_a_callback(start, log_format: str) -> None:
    server = start(APP, WORKERS="1", LOG_FORMAT=log_format, LOG_LEVEL="DEBUG")
    assert call_back(server, [TEXT], f"/gateways/peer/{SECRET}?number={SENDER}")[0] == 202
    assert call_back(server, [TEXT], "/gateways/peer/guessed-path")[0] == 403
    server.wait_for(r"/gateways/peer/\*\*\*.* 403|\"status\": 403")
    assert server.terminate() == 0
    assert "/gateways/peer/***" in server.output
    assert "a callback of the gateway peer is not signed correctly" in server.output
    for secret in (SECRET, "guessed-path", SENDER, SENDER[1:]):
        assert secret not in server.output


def test_a_callback_that_can_not_be_stored_is_503_and_its_repetition_is_stored(server, query, tmp_path) -> None:
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    other = sqlite3.connect(tmp_path / "phonify.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert call_back(server, [TEXT])[0] == 503
    assert query("SELECT count(*) FROM received_texts") == [(0,)]
    other.execute("ROLLBACK")
    other.close()
    assert call_back(server, [TEXT])[0] == 202
    assert query("SELECT body FROM messages") == [("Hello",)]


def test_a_callback_whose_answer_a_kill_has_cut_off_is_stored_once(server, query, tmp_path) -> None:
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})
    events = [TEXT, {"status": "delivered", "reference": "unknown", "event_id": "two"}]
    for _ in range(3):
        (tmp_path / "die").touch()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            call_back(server, events)
        (tmp_path / "die").unlink()
        assert query("SELECT count(*) FROM messages") == [(1,)]  # the commit came before the kill
    deadline = time.monotonic() + 30
    while True:  # until gunicorn has replaced the worker
        try:
            assert call_back(server, events)[0] == 202
            break
        except (http.client.RemoteDisconnected, ConnectionError):
            assert time.monotonic() < deadline
    assert query("SELECT count(*) FROM messages") == [(1,)]
    assert query("SELECT count(*) FROM receipts") == [(1,)]
