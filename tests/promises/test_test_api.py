"""The test API: messages with their codes and links under /sandbox/messages."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import Waiting, faults_of
from tests.support.fake_gateway import OnceGateway

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
