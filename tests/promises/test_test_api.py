"""Tests of the test API: messages with codes and links under /sandbox/messages, and their removal."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import Doubt, Later, Outcome, Refused, Taken
from tests.support.app import KEY, ApiClient, FakeClock, Waiting, faults_of, sign_in
from tests.support.fake_gateway import FakeGateway, OnceGateway, PowerCut, act_as
from tests.support.operating import Operator
from tests.support.receivers import Receiver

PHONE = "+14560000000"
OTHER = "+14560000001"
INBOUND = {"from": PHONE, "to": "+15005550006", "body": "My code is 4821"}
Send = Callable[..., dict[str, Any]]


def list_ids(client: FlaskClient, query: str = "", path: str = "/sandbox/messages") -> list[str]:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 200
    return [message["id"] for message in answer.get_json()["messages"]]


# Codes and links


def test_a_message_has_the_attributes_of_v1_and_its_code_and_links(client: FlaskClient, send: Send) -> None:
    send(body="Your Acme code is 482 193: https://acme.example/verify?c=482193.")
    (known,) = client.get("/v1/messages").get_json()["messages"]
    (shown,) = client.get("/sandbox/messages").get_json()["messages"]
    assert shown == {**known, "code": "482193", "links": ["https://acme.example/verify?c=482193"]}


def test_without_a_code_and_without_links_there_are_null_and_an_empty_list(client: FlaskClient, send: Send) -> None:
    send(body="Hello")
    (shown,) = client.get("/sandbox/messages").get_json()["messages"]
    assert (shown["code"], shown["links"]) == (None, [])


def test_a_received_message_has_them_as_well(client: FlaskClient) -> None:
    client.post("/sandbox/inbound", json=INBOUND)
    (shown,) = client.get("/sandbox/messages").get_json()["messages"]
    assert (shown["direction"], shown["code"], shown["links"]) == ("inbound", "4821", [])


@pytest.mark.parametrize(
    "query",
    ["", "to=%2B14560000001", f"phone={PHONE}", "direction=inbound", "state=sent", "q=code", "limit=1&offset=1"],
)
def test_the_criteria_and_the_paging_are_those_of_v1(client: FlaskClient, send: Send, query: str) -> None:
    send(PHONE, "Your code is 4821")
    send(OTHER, "Hello")
    client.post("/sandbox/inbound", json=INBOUND)
    found = list_ids(client, query)
    assert found
    assert found == list_ids(client, query, "/v1/messages")


def test_after_and_before_are_those_of_v1(client: FlaskClient, send: Send) -> None:
    ids = [send(body=f"Number {number}")["id"] for number in range(3)]
    assert list_ids(client, f"after={ids[0]}") == [ids[2], ids[1]]
    assert list_ids(client, f"before={ids[2]}") == [ids[1], ids[0]]


def test_who_waits_gets_the_message_when_it_comes(send: Send, waiting: Waiting) -> None:
    answer = waiting.list("q=code", path="/sandbox/messages")
    send(body="Hello")
    assert not answer.done()
    message = send(body="Your code is 4821")
    (found,) = answer.result(20).get_json()["messages"]
    assert (found["id"], found["code"]) == (message["id"], "4821")


def test_what_is_wrong_with_the_arguments_is_said_as_in_v1(client: FlaskClient) -> None:
    response = client.get("/sandbox/messages?limit=0&to=%2B1&wait=31")
    assert response.status_code == 400
    assert sorted(faults_of(response)) == [
        ("invalid_limit", "limit"),
        ("invalid_msisdn", "to"),
        ("invalid_wait", "wait"),
    ]


def test_another_account_has_its_own_messages(stranger: FlaskClient, send: Send) -> None:
    send()
    assert list_ids(stranger) == []


def test_without_a_key_it_is_401(anonymous: FlaskClient) -> None:
    assert anonymous.get("/sandbox/messages").status_code == 401


def test_with_a_gateway_that_really_sends_it_is_404(make_app: Callable[..., Flask]) -> None:
    client = make_app(OnceGateway()).test_client()
    assert client.get("/sandbox/messages").status_code == 404


# Removing messages


def remove(client: FlaskClient, query: str = "", method: str = "DELETE") -> int:
    answer = client.open(f"/sandbox/messages?{query}", method=method)
    assert answer.status_code == 200
    assert set(answer.get_json()) == {"removed"}
    return int(answer.get_json()["removed"])


@pytest.mark.parametrize("method", ["DELETE", "DESTROY"])
def test_all_messages_of_the_account_are_removed(
    client: FlaskClient, stranger: FlaskClient, send: Send, deliver: Callable[..., int], method: str
) -> None:
    theirs = stranger.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]["id"]
    send("+15005550012")
    send("+15005550004")
    send()
    deliver()
    send(send_at="2026-02-01T00:00:00Z")
    send("+15005550001")
    client.post("/sandbox/inbound", json=INBOUND)
    assert remove(client, method=method) == 6
    assert list_ids(client, path="/v1/messages") == []
    assert client.get("/v1/phones").get_json() == {"phones": []}
    assert remove(client, method=method) == 0
    assert list_ids(stranger) == [theirs]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("to=%2B14560000001", ["To one", "From one"]),
        (f"phone={PHONE}", ["To other"]),
        ("direction=inbound", ["To one", "To other"]),
        ("state=unconfirmed", ["From one"]),
        ("q=from", ["To one", "To other"]),
        ("q=nothing", ["To one", "To other", "From one"]),
        ("limit=1&offset=1&wait=30", []),
    ],
)
def test_those_that_match_are_removed(client: FlaskClient, send: Send, query: str, left: list[str]) -> None:
    send(PHONE, "To one")
    send(OTHER, "To other")
    client.post("/sandbox/inbound", json={**INBOUND, "body": "From one"})
    assert remove(client, query) == 3 - len(left)
    found = client.get("/v1/messages").get_json()["messages"]
    assert [message["body"] for message in reversed(found)] == left


def test_after_and_before_limit_what_is_removed(client: FlaskClient, send: Send) -> None:
    ids = [send(body=f"Number {number}")["id"] for number in range(5)]
    assert remove(client, f"after={ids[0]}&before={ids[2]}") == 1
    assert remove(client, f"after={ids[3]}") == 1
    assert remove(client, f"before={ids[2]}") == 1
    assert list_ids(client) == [ids[3], ids[2]]


def test_an_argument_that_is_wrong_removes_nothing(client: FlaskClient, send: Send) -> None:
    send()
    response = client.delete("/sandbox/messages?state=lost")
    assert (response.status_code, faults_of(response)) == (400, [("invalid_state", "state")])
    assert len(list_ids(client)) == 1


@pytest.mark.parametrize("query", ["too=%2B14560000000", "state=sent&form=1", "to%5Bx%5D=1"])
def test_an_unknown_argument_removes_nothing(client: FlaskClient, send: Send, query: str) -> None:
    send()
    response = client.delete(f"/sandbox/messages?{query}")
    assert response.status_code == 400
    (unknown,) = {name for name, _ in parse_qsl(query)} - {"state"}
    assert faults_of(response) == [("unknown_argument", unknown)]
    assert len(client.get("/v1/messages").get_json()["messages"]) == 1


def test_the_key_is_no_unknown_argument(anonymous: FlaskClient, send: Send) -> None:
    send()
    assert anonymous.delete(f"/sandbox/messages?api_key={KEY}").get_json() == {"removed": 1}
    assert anonymous.put("/sandbox/twilio", json={"api_key": KEY}).status_code == 200


@pytest.mark.parametrize("known", [{}, {"inbound_method": "GET"}])
def test_an_unknown_setting_of_the_twilio_compatible_api_changes_nothing(
    client: FlaskClient, known: dict[str, str]
) -> None:
    before = client.get("/sandbox/twilio").get_json()
    response = client.put("/sandbox/twilio", json={**known, "inbound": "http://127.0.0.1:5000/sms"})
    assert response.status_code == 400
    assert faults_of(response) == [("unknown_argument", "inbound")]
    assert client.get("/sandbox/twilio").get_json() == before


def test_more_than_one_transaction_removes_are_removed(client: FlaskClient) -> None:
    for body in ("Hello", "Hello again"):
        to = [f"+1456000{number:04d}" for number in range(700)]
        assert client.post("/v1/messages", json={"to": to, "body": body}).status_code == 201
    assert remove(client, "q=again") == 700
    assert remove(client) == 700
    assert list_ids(client) == []


def test_a_message_that_was_removed_is_gone_everywhere(anonymous: FlaskClient, client: FlaskClient, send: Send) -> None:
    message = send(body="Your code is 4821")
    sign_in(anonymous, ApiClient.key)
    assert anonymous.get(f"/inbox/messages/{message['id']}").status_code == 200
    remove(client)
    assert client.get(f"/v1/messages/{message['id']}").status_code == 404
    assert anonymous.get(f"/inbox/messages/{message['id']}").status_code == 404
    for page in ("/inbox", f"/inbox/phones/{PHONE}", "/inbox/search?q=code"):
        assert "4821" not in anonymous.get(page).get_data(as_text=True), page
    assert "0 stored" in anonymous.get("/inbox/settings").get_data(as_text=True)


def test_an_opt_out_stays(client: FlaskClient) -> None:
    client.post("/sandbox/inbound", json={**INBOUND, "body": "STOP"})
    assert remove(client) == 1
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 402


# Messages that are removed while they are sent


class Sandbox(FakeGateway):
    """A gateway that is not the stub, but a sandbox."""

    sandbox = True


@pytest.fixture
def gateway() -> FakeGateway:
    return Sandbox()


@pytest.fixture
def slow(make_app: Callable[..., Flask], gateway: FakeGateway) -> Flask:
    """An app whose gateway behaves as the test says."""
    return make_app(gateway)


def count_rows(execute: Callable[..., list[Any]], *tables: str) -> list[int]:
    return [execute(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


def test_scheduled_and_waiting_messages_are_not_sent(
    slow: Flask, gateway: FakeGateway, deliver: Callable[..., int], clock: FakeClock
) -> None:
    client = slow.test_client()
    client.post("/v1/messages", json={"to": PHONE, "body": "Hello", "send_at": "2026-01-31T10:00:00Z"})
    client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    assert remove(client) == 2
    clock.advance(3_600)
    assert deliver(slow) == 0
    assert gateway.handed == []


@pytest.mark.parametrize("outcome", [Taken(), Refused("cannot_receive_sms"), Later(), Doubt()])
def test_a_message_that_the_gateway_has_in_hand_vanishes_and_nothing_of_it_is_left(
    slow: Flask,
    gateway: FakeGateway,
    deliver: Callable[..., int],
    clock: FakeClock,
    execute: Callable[..., list[Any]],
    outcome: Outcome,
) -> None:
    client, seen = slow.test_client(), []
    Operator(slow).set_webhook("http://127.0.0.1:1/")
    message = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]

    def act(_: object) -> object:
        seen.append(remove(client))
        seen.append(client.get(f"/v1/messages/{message['id']}").status_code)
        seen.append(list_ids(client))
        return outcome

    gateway.act = act
    deliver(slow)
    assert seen == [1, 404, []]
    assert count_rows(execute, "messages", "message_attempts", "conversations", "webhook_deliveries") == [0, 0, 0, 0]
    clock.advance(7 * 86_400)
    assert deliver(slow) == 0
    assert len(gateway.handed) == 1


def test_after_a_crash_a_message_that_was_removed_is_not_sent_again(
    slow: Flask,
    gateway: FakeGateway,
    make_app: Callable[..., Flask],
    deliver: Callable[..., int],
    clock: FakeClock,
    execute: Callable[..., list[Any]],
) -> None:
    client = slow.test_client()
    client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    gateway.act = act_as(PowerCut())
    with pytest.raises(PowerCut):
        deliver(slow)
    assert execute("SELECT count(*) FROM messages WHERE lease_owner IS NOT NULL") == [(1,)]
    assert remove(client) == 1
    clock.advance(86_400)
    other = make_app(gateway)
    assert deliver(other) == 0
    assert len(gateway.handed) == 1
    assert count_rows(execute, "messages") == [0]


def test_a_message_in_doubt_is_removed(
    client: FlaskClient, send: Send, deliver: Callable[..., int], execute: Callable[..., list[Any]]
) -> None:
    send("+15005550012")
    deliver()
    assert list_ids(client, "state=unconfirmed") != []
    assert remove(client, "state=unconfirmed") == 1
    assert count_rows(execute, "messages", "message_attempts") == [0, 0]


# Webhooks


def test_events_about_messages_that_were_removed_are_not_posted(
    client: FlaskClient,
    send: Send,
    deliver: Callable[..., int],
    post_due: Callable[..., int],
    receiver: Receiver,
    operator: Any,
) -> None:
    operator.set_webhook(receiver.url)
    kept = send(OTHER)
    send(PHONE)
    deliver()
    client.post("/sandbox/inbound", json=INBOUND)
    assert remove(client, f"phone={PHONE}") == 2
    assert post_due() == 1
    (received,) = receiver.received
    assert kept["id"] in received.body.decode()
    states = {delivery["message_id"]: delivery["state"] for delivery in operator.list_deliveries()}
    assert sorted(states.values()) == ["delivered", "failed", "failed"]
    assert states[kept["id"]] == "delivered"


def test_an_event_that_is_being_posted_is_not_posted_again(
    client: FlaskClient,
    post_due: Callable[..., int],
    make_receiver: Callable[..., Receiver],
    clock: FakeClock,
    operator: Any,
    execute: Callable[..., list[Any]],
) -> None:
    receiver = make_receiver(lambda *_: remove(client))  # and the server closes the connection without an answer
    operator.set_webhook(receiver.url)
    client.post("/sandbox/inbound", json=INBOUND)
    assert post_due() == 1
    clock.advance(7 * 86_400)
    assert post_due() == 0
    assert execute("SELECT state FROM webhook_deliveries") == [("failed",)]
    assert count_rows(execute, "messages") == [0]
