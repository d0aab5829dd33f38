"""Tests of waiting requests: what wakes them and what does not, the number of places, and many waits under load."""

import http.client
import json
import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import KEY, Waiting, basic
from tests.support.load import wait_until

TO = "+14560000000"
OTHER = "+442071838750"
LATER = "2099-01-31T09:30:00Z"
HEADERS = {"Authorization": basic(KEY), "Content-Type": "application/json"}


def bodies_of(answer: "Future[Any]") -> list[str]:
    """Wait for an answer, and return the bodies in it."""
    response = answer.result(timeout=20)
    assert response.status_code == 200
    return [message["body"] for message in response.get_json()["messages"]]


# What wakes


@pytest.mark.parametrize(
    "query",
    [
        "to=%2B442071838750",
        "phone=%2B442071838750",
        "to=%2B442071838750&state=unconfirmed&direction=outbound",
        "q=b%C3%A4Rgain_100%25",
        "q=b%C3%A4Rgain_100%25&to=%2B442071838750&origin=My+Shop",
        "origin=My+Shop",
        "origin=My+Shop&phone=%2B442071838750",
    ],
)
def test_a_wait_passes_over_what_does_not_match_and_ends_with_what_does(waiting: Waiting, query: str) -> None:
    client = waiting.app.test_client()
    answer = waiting.list(query)
    for body in ("b\u00c4rgain_100%", "b\u00e4rgain-100%", "b\u00e4rgain_1000"):
        client.post("/v1/messages", json={"to": TO, "body": body})
    client.post("/v1/messages", json={"to": "+15005550001", "body": "Refused"})
    client.post("/sandbox/inbound", json={"from": TO, "to": "+15005550006", "body": "From elsewhere"})

    client.post("/v1/messages", json={"to": OTHER, "body": "B\u00e4rGain_100%", "origin": "My Shop"})

    assert bodies_of(answer) == ["B\u00e4rGain_100%"]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("direction=inbound", "From a phone"),
        ("origin=%2B442071838750", "From a phone"),
        ("phone=%2B442071838750&direction=inbound&state=sent", "From a phone"),
        ("state=error", "Refused"),
        ("state=error&to=%2B15005550001&q=refused", "Refused"),
    ],
)
def test_a_wait_for_a_direction_or_a_state_ends_with_the_first_of_that_kind(
    waiting: Waiting, query: str, body: str
) -> None:
    client = waiting.app.test_client()
    answer = waiting.list(query)
    client.post("/v1/messages", json={"to": OTHER, "body": "Sent"})

    client.post("/sandbox/inbound", json={"from": OTHER, "to": "+15005550006", "body": "From a phone"})
    client.post("/v1/messages", json={"to": "+15005550001", "body": "Refused"})

    assert bodies_of(answer)[-1:] == [body]


def test_a_message_that_changes_its_state_ends_the_waits_for_that_state(
    waiting: Waiting, send: Callable[..., Any], deliver: Callable[..., int]
) -> None:
    send(body="Old")
    answers = [waiting.list(query) for query in ("state=sent", "state=sent&q=old", "state=sent&to=%2B14560000000")]
    assert not any(answer.done() for answer in answers)

    deliver()

    assert [bodies_of(answer) for answer in answers] == [["Old"]] * 3


def test_a_message_that_is_changed_by_hand_ends_a_wait_for_its_new_body(
    waiting: Waiting, client: FlaskClient, send: Callable[..., Any]
) -> None:
    message_id = send(body="Before", send_at=LATER)["id"]
    answer = waiting.list("q=after")

    client.put(f"/v1/messages/{message_id}", json={"body": "After"})

    assert bodies_of(answer) == ["After"]


def test_a_message_in_the_place_of_one_that_was_cancelled_is_not_overlooked(
    waiting: Waiting, client: FlaskClient, send: Callable[..., Any], clock: Any
) -> None:
    answers = [waiting.list("q=second"), waiting.list(f"to=%2B{OTHER[1:]}")]
    first = send(body="First", send_at=LATER)["id"]
    assert bodies_of(waiting.pool.submit(lambda: waiting.app.test_client().get("/v1/messages?wait=1"))) == ["First"]
    clock.advance(1)
    client.delete(f"/v1/messages/{first}")

    send(OTHER, body="Second")

    assert [bodies_of(answer) for answer in answers] == [["Second"], ["Second"]]


def test_a_wait_with_an_offset_ends_when_there_are_so_many(waiting: Waiting, send: Callable[..., Any]) -> None:
    answer = waiting.list("offset=2")
    for number in range(3):
        send(body=f"Message {number}")

    assert bodies_of(answer) == ["Message 0"]


def test_more_messages_than_are_fetched_at_once_hide_none_behind_them(waiting: Waiting, client: FlaskClient) -> None:
    answer = waiting.list(f"to=%2B{OTHER[1:]}")
    for _ in range(3):
        client.post("/v1/messages", json={"to": [TO] * 1_000, "body": "One of many"})
    client.post("/v1/messages", json={"to": OTHER, "body": "The last"})

    assert bodies_of(answer) == ["The last"]


# Between two calls


@pytest.mark.slow
def test_a_reader_that_passes_the_last_id_sees_each_message_once_and_in_order(
    waiting: Waiting, start: Callable[..., Any]
) -> None:
    count = 150

    def write(writer: int) -> None:
        sender = waiting.app.test_client()
        for number in range(count):
            sender.post("/sandbox/inbound", json={"from": TO, "to": OTHER, "body": f"{writer} {number:03}"})

    writers = [waiting.pool.submit(write, writer) for writer in range(2)]
    # One more, in another process.
    elsewhere = start("-m", "flask", "--app", "app", "send", *[TO] * count, "elsewhere")
    client = waiting.app.test_client()
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while len(seen) < 3 * count and time.monotonic() < deadline:
        after = f"&after={seen[-1]['id']}" if seen else ""
        page = client.get(f"/v1/messages?limit=1000&wait=10{after}").get_json()["messages"]
        seen += page[::-1]

    for writer in writers:
        writer.result()
    assert elsewhere.popen.wait(20) == 0
    assert len({message["id"] for message in seen}) == len(seen) == 3 * count
    assert [message["id"] for message in seen] == sorted(message["id"] for message in seen)
    for writer in range(2):
        texts = [message["body"] for message in seen if message["body"].startswith(f"{writer} ")]
        assert texts == [f"{writer} {number:03}" for number in range(count)]


# The lead


def test_the_lead_passes_on_when_the_leader_s_wait_ends(waiting: Waiting, send: Callable[..., Any]) -> None:
    first = waiting.list("state=error", wait=0.1)
    others = [waiting.list(f"to=%2B{OTHER[1:]}") for _ in range(3)]
    assert bodies_of(first) == []

    send(OTHER, body="For the others")

    assert [bodies_of(other) for other in others] == [["For the others"]] * 3


def test_waits_one_after_another_leave_nothing_behind(waiting: Waiting, send: Callable[..., Any]) -> None:
    for number in range(5):
        answer = waiting.list(f"q=number{number}")
        send(body=f"number{number}")
        assert bodies_of(answer) == [f"number{number}"]


def test_all_who_wait_return_at_once_when_the_server_is_stopping(waiting: Waiting) -> None:
    answers = [waiting.list(f"q={number}") for number in range(20)]
    begun = time.monotonic()

    waiting.stop()

    assert [bodies_of(answer) for answer in answers] == [[]] * 20
    assert time.monotonic() - begun < 10


# Places


def test_a_request_that_finds_something_needs_no_place(make_app: Callable[..., Flask]) -> None:
    waiting = Waiting(make_app(WAITING=1))
    client = waiting.app.test_client()
    client.post("/v1/messages", json={"to": TO, "body": "Hello"})
    holder = waiting.list("q=other")

    assert client.get("/v1/messages?wait=20").status_code == 200
    assert client.get("/v1/messages?wait=20&q=none").status_code == 429

    waiting.stop()
    assert bodies_of(holder) == []
    waiting.pool.shutdown()


# On the wire


def begin_to_wait(port: int, query: str) -> http.client.HTTPConnection:
    """Send a request that waits. Its answer can be read from the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    connection.request("GET", f"/v1/messages?wait=30&{query}", headers=HEADERS)
    return connection


def read_bodies(connection: http.client.HTTPConnection) -> tuple[int, list[str]]:
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, [message["body"] for message in answer.get("messages", [])]


def take_all_places(server: Any, queries: list[str]) -> list[http.client.HTTPConnection]:
    """Send as many requests as may wait. Returns their connections when all of them wait."""
    connections = [begin_to_wait(server.port, query) for query in queries]
    deadline = time.monotonic() + 20
    while server.call("GET", "/v1/messages?wait=0.01&q=nothing")[0] != 429:
        assert time.monotonic() < deadline
        for index, connection in enumerate(connections):
            if select.select([connection.sock], [], [], 0)[0]:  # refused, because the request above was quicker
                connection.close()
                connections[index] = begin_to_wait(server.port, queries[index])
    return connections


def test_waiting_requests_take_no_thread_from_the_others(start: Callable[..., Any]) -> None:
    server = start(WORKERS="1", THREADS="1", WAITING="5")
    connections = take_all_places(server, [f"q=number{number}" for number in range(5)])

    status, refused = server.call("GET", "/v1/messages?wait=30&q=nothing")
    assert (status, refused["errors"][0]["type"]) == (429, "too_many_waiting")
    for number in range(5):
        assert server.call("POST", "/v1/messages", to=TO, body=f"number{number}")[0] == 201

    assert [read_bodies(connection) for connection in connections] == [
        (200, [f"number{number}"]) for number in range(5)
    ]
    assert server.call("GET", "/v1/messages?wait=0.01&q=nothing") == (200, {"messages": []})


@pytest.mark.slow
def test_fifty_requests_wait_for_a_message_each_while_others_are_answered(start: Callable[..., Any]) -> None:
    server = start(WORKERS="2")
    port = server.port
    numbers = [f"+1456111{number:04}" for number in range(50)]
    connections = [begin_to_wait(port, f"to=%2B{number[1:]}") for number in numbers]
    ended = threading.Event()
    statuses: list[int] = []

    def load(own: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
        while not ended.is_set():
            for method, path in [("POST", "/v1/messages"), ("GET", "/v1/messages?limit=5")]:
                body = json.dumps({"to": TO, "body": f"Load {own}"}) if method == "POST" else None
                connection.request(method, path, body, HEADERS)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load, own) for own in range(4)]
        wait_until(lambda: len(statuses) > 50)  # while all fifty wait
        for number in numbers:
            assert server.call("POST", "/v1/messages", to=number, body=f"For {number}")[0] == 201
        answers = [read_bodies(connection) for connection in connections]
        ended.set()
        for each in loads:
            each.result()

    assert answers == [(200, [f"For {number}"]) for number in numbers]
    assert len(statuses) > 50
    assert set(statuses) == {200, 201}
