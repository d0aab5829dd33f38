"""Tests of the stub gateway and the simulator: each number in the guide, from the request to the final state."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import FakeClock, faults_of
from tests.support.fake_gateway import OnceGateway

INBOUND = {"from": "+14560000000", "to": "+15005550006", "body": "Hi"}


@pytest.fixture
def retrieve(client: FlaskClient) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that returns a message as it is now."""

    def retrieve(message: dict[str, Any]) -> dict[str, Any]:
        now: dict[str, Any] = client.get(f"/v1/messages/{message['id']}").get_json()["message"]
        return now

    return retrieve


# Any number


@pytest.mark.parametrize(
    "to", ["+14560000000", "+442071838750", "+15005550000", "+15005550005", "+15005550006", "+15005550013"]
)
def test_any_other_number_is_delivered_at_once(
    client: FlaskClient, deliver: Callable[..., int], retrieve: Callable[..., Any], to: str
) -> None:
    response = client.post("/v1/messages", json={"to": to, "body": "Hello"})
    assert response.status_code == 201
    assert response.get_json()["message"]["state"] == "unconfirmed"

    deliver()

    assert retrieve(response.get_json()["message"])["state"] == "sent"


# At once


@pytest.mark.parametrize(
    ("to", "type_"),
    [
        ("+15005550001", "invalid_number"),
        ("+15005550002", "unroutable_number"),
        ("+15005550003", "country_not_permitted"),
    ],
)
def test_a_number_that_is_refused_at_once_is_402_and_stays_in_error(
    client: FlaskClient,
    deliver: Callable[..., int],
    clock: FakeClock,
    retrieve: Callable[..., Any],
    to: str,
    type_: str,
) -> None:
    response = client.post("/v1/messages", json={"to": to, "body": "Hello"})

    assert response.status_code == 402
    assert faults_of(response) == [(type_, "to")]
    message = response.get_json()["message"]
    assert message["state"] == "error"
    assert [error["type"] for error in message["errors"]] == [type_]
    clock.advance(86_400)
    assert deliver() == 0
    assert retrieve(message) == message


@pytest.mark.parametrize("to", ["+15005550001", "+15005550002", "+15005550003"])
def test_a_number_that_is_refused_at_once_is_refused_also_when_scheduled(
    client: FlaskClient, deliver: Callable[..., int], clock: FakeClock, to: str
) -> None:
    response = client.post("/v1/messages", json={"to": to, "body": "Hello", "send_at": "2026-02-01T00:00:00Z"})

    assert response.status_code == 402
    assert response.get_json()["message"]["state"] == "error"
    clock.advance(86_400)
    assert deliver() == 0


# Later


@pytest.mark.parametrize(
    ("to", "type_"), [("+15005550004", "blocked_by_recipient"), ("+15005550009", "cannot_receive_sms")]
)
def test_a_number_that_fails_later_is_201_first_and_then_in_error(
    client: FlaskClient,
    deliver: Callable[..., int],
    clock: FakeClock,
    retrieve: Callable[..., Any],
    to: str,
    type_: str,
) -> None:
    response = client.post("/v1/messages", json={"to": to, "body": "Hello"})
    assert response.status_code == 201
    message = response.get_json()["message"]
    assert message["state"] == "unconfirmed"
    assert "errors" not in message

    deliver()

    failed = retrieve(message)
    assert failed["state"] == "error"
    assert [error["type"] for error in failed["errors"]] == [type_]
    clock.advance(86_400)
    assert deliver() == 0
    assert retrieve(message) == failed


def test_0010_fails_twice_in_passing_and_is_sent_at_the_third_attempt(
    client: FlaskClient, deliver: Callable[..., int], clock: FakeClock, retrieve: Callable[..., Any]
) -> None:
    response = client.post("/v1/messages", json={"to": "+15005550010", "body": "Hello"})
    assert response.status_code == 201
    message = response.get_json()["message"]

    attempts, states = [], []
    for _ in range(3):
        attempts.append(deliver())
        states.append(retrieve(message)["state"])
        assert deliver() == 0  # only after some time
        clock.advance(2)  # the longest delay after the second attempt

    assert attempts == [1, 1, 1]
    assert states == ["unconfirmed", "unconfirmed", "sent"]
    assert deliver() == 0


def test_0010_is_retried_within_three_seconds(
    client: FlaskClient, deliver: Callable[..., int], clock: FakeClock, retrieve: Callable[..., Any]
) -> None:
    message = client.post("/v1/messages", json={"to": "+15005550010", "body": "Hello"}).get_json()["message"]

    for _ in range(31):
        deliver()
        clock.advance(0.1)

    assert retrieve(message)["state"] == "sent"


def test_0011_is_sent_after_five_seconds(
    client: FlaskClient, deliver: Callable[..., int], clock: FakeClock, retrieve: Callable[..., Any]
) -> None:
    response = client.post("/v1/messages", json={"to": "+15005550011", "body": "Hello"})
    assert response.status_code == 201
    message = response.get_json()["message"]

    deliver()
    assert retrieve(message)["state"] == "unconfirmed"
    clock.advance(4.999)
    deliver()
    assert retrieve(message)["state"] == "unconfirmed"
    clock.advance(0.001)
    deliver()

    assert retrieve(message)["state"] == "sent"


def test_0011_does_not_hold_up_the_others(
    client: FlaskClient, deliver: Callable[..., int], retrieve: Callable[..., Any]
) -> None:
    slow = client.post("/v1/messages", json={"to": "+15005550011", "body": "Hello"}).get_json()["message"]
    other = client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).get_json()["message"]
    start = time.monotonic()

    deliver()

    assert time.monotonic() - start < 4
    assert retrieve(slow)["state"] == "unconfirmed"
    assert retrieve(other)["state"] == "sent"


@pytest.mark.parametrize(("settings", "validity"), [({}, 86_400), ({"VALIDITY": "600"}, 600)])
def test_0012_stays_unconfirmed_until_its_validity_period_ends_and_is_then_in_error(
    make_app: Callable[..., Flask],
    clock: FakeClock,
    settings: dict[str, str],
    validity: int,
    deliver: Callable[..., int],
) -> None:
    app = make_app(**settings)
    client = app.test_client()
    response = client.post("/v1/messages", json={"to": "+15005550012", "body": "Hello"})
    assert response.status_code == 201
    address = f"/v1/messages/{response.get_json()['message']['id']}"

    assert deliver(app) == 1
    assert client.get(address).get_json()["message"]["state"] == "unconfirmed"
    clock.advance(validity - 0.001)
    assert deliver(app) == 0  # not sent again without knowing the outcome
    assert client.get(address).get_json()["message"]["state"] == "unconfirmed"
    clock.advance(0.001)
    assert deliver(app) == 0

    message = client.get(address).get_json()["message"]
    assert message["state"] == "error"
    assert [error["type"] for error in message["errors"]] == ["validity_expired"]


def test_each_number_of_one_request_has_its_own_outcome(
    client: FlaskClient, deliver: Callable[..., int], clock: FakeClock
) -> None:
    numbers = [f"+150055500{number:02d}" for number in range(13)]
    response = client.post("/v1/messages", json={"to": numbers, "body": "Hello"})
    assert response.status_code == 402

    for _ in range(20):
        deliver()
        clock.advance(0.5)

    listed = client.get("/v1/messages").get_json()["messages"][::-1]
    assert {message["to"]: message["state"] for message in listed} == {
        "+15005550000": "sent",
        "+15005550001": "error",
        "+15005550002": "error",
        "+15005550003": "error",
        "+15005550004": "error",
        "+15005550005": "sent",
        "+15005550006": "sent",
        "+15005550007": "sent",
        "+15005550008": "sent",
        "+15005550009": "error",
        "+15005550010": "sent",
        "+15005550011": "sent",
        "+15005550012": "unconfirmed",
    }


# The simulator


def test_simulating_stores_a_received_message(client: FlaskClient) -> None:
    response = client.post("/sandbox/inbound", json=INBOUND)

    assert response.status_code == 201
    message = response.get_json()["message"]
    assert message["origin"]["number"] == "+14560000000"
    assert message["to"] == message["phone"]["number"] == "+15005550006"
    assert message["body"] == "Hi"
    assert message["direction"] == "inbound"
    assert message["state"] == "sent"
    assert client.get(f"/v1/messages/{message['id']}").get_json() == {"message": message}
    assert client.get("/v1/messages").get_json() == {"messages": [message]}


def test_a_phone_cannot_write_to_an_alphanumeric_sender(client: FlaskClient) -> None:
    response = client.post("/sandbox/inbound", json={**INBOUND, "to": "SHOP"})

    assert faults_of(response) == [("invalid_msisdn", "to")]


@pytest.mark.parametrize(
    ("side", "number"),
    [("from", "SHOP"), *((side, number) for side in ("from", "to") for number in ("12345", "+442071838750"))],
)
def test_simulating_takes_numbers_short_codes_and_senders(client: FlaskClient, side: str, number: str) -> None:
    response = client.post("/sandbox/inbound", json={**INBOUND, side: number})

    assert response.status_code == 201
    shown = response.get_json()["message"]["origin" if side == "from" else "phone"]
    assert shown["number"] == number


def test_a_phone_writes_to_the_sender_of_the_last_message_that_it_got(client: FlaskClient) -> None:
    for origin in ("+15005550001", "12345"):
        client.post("/v1/messages", json={"to": INBOUND["from"], "body": "Hello", "origin": origin})
    client.post("/v1/messages", json={"to": "+442071838750", "body": "Hello", "origin": "67890"})
    client.post("/sandbox/inbound", json={**INBOUND, "to": "67890"})

    response = client.post("/sandbox/inbound", json={"from": INBOUND["from"], "body": "Hi"})

    assert response.get_json()["message"]["to"] == "12345"


def test_a_phone_that_got_no_message_writes_to_the_number_of_the_account(make_app: Callable[..., Flask]) -> None:
    client = make_app(ORIGIN="54321").test_client()

    response = client.post("/sandbox/inbound", json={"from": INBOUND["from"], "body": "Hi"})

    assert response.get_json()["message"]["to"] == "54321"


def test_a_phone_cannot_answer_an_alphanumeric_sender(client: FlaskClient) -> None:
    client.post("/v1/messages", json={"to": INBOUND["from"], "body": "Hello", "origin": "SHOP"})

    response = client.post("/sandbox/inbound", json={"from": INBOUND["from"], "body": "Hi"})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "to")]


def test_a_received_message_is_never_delivered(
    client: FlaskClient, deliver: Callable[..., int], clock: FakeClock
) -> None:
    client.post("/sandbox/inbound", json=INBOUND)
    clock.advance(86_400)

    assert deliver() == 0


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/sandbox/inbound", "/sandbox/inbound/", "/sandbox", "/sandbox/nothing"])
def test_with_a_real_gateway_the_sandbox_is_404(make_app: Callable[..., Flask], method: str, path: str) -> None:
    client = make_app(gateway=OnceGateway()).test_client()

    response = client.open(path, method=method, json=INBOUND)

    assert response.status_code == 404
    assert faults_of(response) == [("not_found", None)]


def test_with_a_real_gateway_nothing_is_simulated(make_app: Callable[..., Flask]) -> None:
    client = make_app(gateway=OnceGateway()).test_client()

    client.post("/sandbox/inbound", json=INBOUND)

    assert client.get("/v1/messages").get_json() == {"messages": []}


def test_with_a_real_gateway_the_numbers_of_the_stub_are_numbers_like_any_other(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(gateway=OnceGateway()).test_client()

    assert client.post("/v1/messages", json={"to": "+15005550001", "body": "Hello"}).status_code == 201
