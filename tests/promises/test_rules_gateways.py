"""Tests of the rules of the sandbox and messages of other gateways: what is moved, and what is changed."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways import GATEWAYS
from phonify.gateways.base import Refused
from tests.support.app import faults_of
from tests.support.fake_gateway import FakeGateway

PHONE, OTHER, STRICT = "+14560000000", "+14560000001", "+14560000002"
REFUSED, FAILS = "+15005550001", "+15005550004"
LATER = "2026-01-31T09:31:00Z"
MakeApp = Callable[..., Flask]
Work = Callable[..., int]


class Strict(FakeGateway):
    """A gateway that refuses messages to one number before sending."""

    name = "strict"

    def check(self, to: str, origin: str, body: str) -> Refused | None:
        return Refused("unroutable_number") if to == STRICT else None


def send(client: FlaskClient, to: str, **arguments: Any) -> str:
    """Send a message. Returns its id."""
    answer = client.post("/v1/messages", json={"to": to, "body": "Hello", **arguments})
    assert answer.status_code == 201
    return str(answer.get_json()["message"]["id"])


def create_rule(client: FlaskClient, outcome: str, **arguments: Any) -> None:
    assert client.post("/sandbox/rules", json={"outcome": outcome, **arguments}).status_code == 201


def list_counts(client: FlaskClient) -> list[int]:
    return [rule["seen"] for rule in client.get("/sandbox/rules").get_json()["rules"]]


def move(app: Flask, gateway: str) -> str:
    result = app.test_cli_runner().invoke(args=["gateway", "move-messages", gateway, "--yes"])
    assert result.exit_code == 0, result.output
    return result.stdout


def list_ends(client: FlaskClient) -> dict[str, str]:
    """Return the error or the state of each message, by its recipient."""
    shown = client.get("/v1/messages").get_json()["messages"]
    return {one["to"]: one["errors"][0]["type"] if "errors" in one else one["state"] for one in shown}


def test_messages_that_are_moved_to_the_sandbox_meet_its_rules_and_special_numbers(
    make_app: MakeApp, deliver: Work
) -> None:
    real = make_app(FakeGateway()).test_client()
    for number in (PHONE, OTHER, REFUSED, FAILS):
        send(real, number)
    stub = make_app()
    client = stub.test_client()
    create_rule(client, "refused", error="sender_not_permitted", to=OTHER)
    assert move(stub, "gateway") == "Moved to the gateway stub: 2. Refused by it: 2. Left: 0.\n"
    deliver(stub)
    assert list_ends(client) == {
        PHONE: "sent",
        OTHER: "sender_not_permitted",
        REFUSED: "invalid_number",
        FAILS: "blocked_by_recipient",
    }
    assert list_counts(client) == [1]


def test_a_moved_message_meets_the_rules_of_its_own_account(
    make_app: MakeApp, deliver: Work, make_key: Callable[..., str]
) -> None:
    real, stub, key = make_app(FakeGateway()), make_app(), make_key("other")
    send(real.test_client(), PHONE)
    other = real.test_client()
    other.key = key
    send(other, OTHER)
    other = stub.test_client()
    other.key = key
    create_rule(other, "failed", error="unknown_handset")
    assert "Moved to the gateway stub: 2." in move(stub, "gateway")
    deliver(stub)
    assert list_ends(stub.test_client()) == {PHONE: "sent"}
    assert list_ends(other) == {OTHER: "unknown_handset"}
    assert list_counts(other) == [1]


def test_a_message_that_is_moved_away_from_the_sandbox_forgets_its_rule(
    make_app: MakeApp, deliver: Work, execute: Callable[..., Any]
) -> None:
    client = make_app().test_client()
    create_rule(client, "undelivered", name="off")
    message = send(client, PHONE)
    changed = make_app(FakeGateway())
    move(changed, "stub")
    deliver(changed)
    assert list_ends(changed.test_client()) == {PHONE: "sent"}
    assert "off" not in changed.test_cli_runner().invoke(args=["explain", message]).output
    assert execute("SELECT count(*) FROM met_rules") == [(0,)]


def test_a_changed_message_of_another_gateway_meets_no_rule(make_app: MakeApp, execute: Callable[..., Any]) -> None:
    message = send(make_app(FakeGateway()).test_client(), PHONE, send_at=LATER)
    client = make_app().test_client()
    create_rule(client, "refused", error="invalid_number")
    for change in ({"body": "Bye"}, {"to": OTHER}, {"to": REFUSED}):
        assert client.put(f"/v1/messages/{message}", json=change).status_code == 200
    assert list_counts(client) == [0]
    assert execute("SELECT count(*) FROM met_rules") == [(0,)]


def test_a_changed_message_is_checked_by_its_own_gateway(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GATEWAYS, "strict", Strict)
    message = send(make_app(GATEWAY="strict").test_client(), PHONE, send_at=LATER)
    client = make_app(RELEASE_GATEWAY="strict", ONLY_TO=f"{PHONE},{STRICT}").test_client()
    refused = [client.put(f"/v1/messages/{message}", json={"to": number}) for number in (STRICT, OTHER)]
    assert [faults_of(one) for one in refused] == [[("unroutable_number", "to")], [("recipient_not_permitted", "to")]]
    assert client.get(f"/v1/messages/{message}").get_json()["message"]["to"] == PHONE
