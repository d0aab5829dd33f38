"""Tests of the rules of the sandbox: each outcome happens to the messages and requests that a rule matches."""

import json
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from phonify.errors import MESSAGE_ERRORS
from tests.support.app import FakeClock, faults_of
from tests.support.fake_gateway import FakeGateway
from tests.support.operating import Operator
from tests.support.receivers import Receiver
from tests.support.twilio import TwilioApi

PHONE, OTHER, OWN = "+14560000000", "+4915112345678", "+15005550006"
NO_ID = "019c1353-98c0-7000-8000-5c0ffee00009"
Send = Callable[..., dict[str, Any]]
Rule = Callable[..., dict[str, Any]]
Work = Callable[..., int]
Now = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def rule(client: FlaskClient) -> Rule:
    """Return a function that creates a rule of the account `default`."""

    def create(outcome: str, **arguments: Any) -> dict[str, Any]:
        response = client.post("/sandbox/rules", json={"outcome": outcome, **arguments})
        assert response.status_code == 201, response.get_json()
        created: dict[str, Any] = response.get_json()["rule"]
        return created

    return create


@pytest.fixture
def now(client: FlaskClient) -> Now:
    """Return a function that returns a message as the sandbox shows it now."""

    def look(message: dict[str, Any]) -> dict[str, Any]:
        shown = client.get("/sandbox/messages?limit=1000").get_json()["messages"]
        return next(one for one in shown if one["id"] == message["id"])

    return look


def list_rules(client: FlaskClient) -> list[dict[str, Any]]:
    return client.get("/sandbox/rules").get_json()["rules"]


def list_received(client: FlaskClient) -> list[tuple[str, str, str]]:
    found = client.get("/v1/messages?direction=inbound").get_json()["messages"]
    return [(one["origin"]["number"], one["to"], one["body"]) for one in found]


def list_events(receiver: Receiver) -> list[str]:
    return [json.loads(received.body)["type"] for received in receiver.wait_for(2)]


# Outcomes of messages


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_a_message_can_be_refused_at_once_with_any_error_of_a_message(
    client: FlaskClient, rule: Rule, send: Send, deliver: Work, now: Now, error: str
) -> None:
    rule("refused", error=error)
    response = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    assert (response.status_code, faults_of(response)) == (402, [(error, "to")])
    message = now(response.get_json()["message"])
    assert (message["state"], message["errors"][0]["type"], message["rule"]["outcome"]) == ("error", error, "refused")
    assert deliver() == 0


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_a_message_can_fail_later_with_any_error_of_a_message(
    rule: Rule, send: Send, deliver: Work, now: Now, error: str
) -> None:
    rule("failed", error=error)
    message = send()
    assert message["state"] == "unconfirmed"
    deliver()
    assert (now(message)["state"], now(message)["errors"][0]["type"]) == ("error", error)


def test_a_message_can_be_late(rule: Rule, send: Send, deliver: Work, now: Now, clock: FakeClock) -> None:
    rule("delayed", seconds=90)
    message = send()
    deliver()
    clock.advance(89)
    deliver()
    assert now(message)["state"] == "unconfirmed"
    clock.advance(1)
    deliver()
    assert now(message)["state"] == "sent"


@pytest.mark.parametrize("times", [1, 3])
def test_a_message_can_fail_a_number_of_times_for_a_temporary_reason(
    rule: Rule, send: Send, deliver: Work, now: Now, clock: FakeClock, times: int
) -> None:
    rule("unavailable", times=times)
    message = send()
    for _ in range(times):
        deliver()
        assert now(message)["state"] == "unconfirmed"
        clock.advance(60)
    deliver()
    assert now(message)["state"] == "sent"


def test_a_message_may_never_be_confirmed(rule: Rule, send: Send, deliver: Work, now: Now, clock: FakeClock) -> None:
    rule("unconfirmed")
    message = send()
    deliver()
    clock.advance(86_399)
    deliver()
    assert now(message)["state"] == "unconfirmed"
    clock.advance(1)
    deliver()
    assert now(message)["errors"][0]["type"] == "validity_expired"


@pytest.mark.parametrize("status", ["delivered", "undelivered"])
@pytest.mark.parametrize("seconds", [0, 0.5, 3_600])
def test_a_receipt_comes_after_a_time(
    rule: Rule,
    send: Send,
    deliver: Work,
    apply_due: Work,
    now: Now,
    clock: FakeClock,
    status: str,
    seconds: float,
) -> None:
    rule(status, seconds=seconds)
    message = send()
    deliver()
    if seconds:
        apply_due()
        assert "receipt" not in now(message)
        clock.advance(seconds)
        apply_due()
    assert (now(message)["state"], now(message)["receipt"]["status"]) == ("sent", status)


def test_a_receipt_has_the_code_of_its_error(rule: Rule, send: Send, deliver: Work, now: Now) -> None:
    rule("undelivered", error="unknown_handset")
    message = send()
    deliver()
    assert now(message)["receipt"]["code"] == "30005"


def test_a_receipt_that_comes_later_is_posted_to_the_webhook_then(
    client: FlaskClient,
    rule: Rule,
    send: Send,
    deliver: Work,
    apply_due: Work,
    post_due: Work,
    clock: FakeClock,
    receiver: Receiver,
) -> None:
    client.put("/v1/webhook", json={"url": receiver.url})
    rule("delivered", seconds=60)
    send()
    deliver()
    post_due()
    clock.advance(60)
    apply_due()
    post_due()
    assert list_events(receiver) == ["message.sent", "message.delivered"]


def test_the_phone_replies_after_a_time_and_the_app_gets_the_reply(
    client: FlaskClient,
    rule: Rule,
    send: Send,
    deliver: Work,
    apply_due: Work,
    post_due: Work,
    clock: FakeClock,
    receiver: Receiver,
) -> None:
    client.put("/v1/webhook", json={"url": receiver.url})
    rule("reply", reply="YES", seconds=30)
    send(origin="12345")
    deliver()
    clock.advance(29)
    apply_due()
    assert list_received(client) == []
    clock.advance(1)
    apply_due()
    apply_due()
    post_due()
    assert list_received(client) == [(PHONE, "12345", "YES")]
    assert list_events(receiver) == ["message.sent", "message.received"]


def test_a_reply_that_opts_out_does(
    client: FlaskClient, rule: Rule, send: Send, deliver: Work, apply_due: Work, clock: FakeClock
) -> None:
    rule("reply", reply="STOP")
    send()
    deliver()
    clock.advance(1)
    apply_due()
    assert send()["errors"][0]["type"] == "opted_out"


def test_a_phone_does_not_reply_to_a_sender_that_is_no_number(
    client: FlaskClient, rule: Rule, send: Send, deliver: Work, apply_due: Work, clock: FakeClock
) -> None:
    rule("reply", reply="YES")
    send(origin="SHOP")
    deliver()
    clock.advance(1)
    apply_due()
    assert list_received(client) == []


def test_a_phone_can_send_another_text_after_one_of_its_own(
    client: FlaskClient, rule: Rule, apply_due: Work, clock: FakeClock
) -> None:
    rule("reply", reply="STOP", direction="inbound", contains="help", seconds=5)
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "HELP me"})
    for _ in range(3):  # the text of a rule meets no rule
        clock.advance(5)
        apply_due()
    assert list_received(client) == [(PHONE, OWN, "STOP"), (PHONE, OWN, "HELP me")]


def test_an_exception_stands_before_the_rule(rule: Rule, send: Send, deliver: Work, now: Now) -> None:
    rule("sent", to=PHONE)
    rule("failed", error="unreachable_handset")
    messages = [send(), send(OTHER)]
    deliver()
    assert [now(message)["state"] for message in messages] == ["sent", "error"]


def test_a_rule_of_the_account_comes_before_a_special_number(
    client: FlaskClient, rule: Rule, send: Send, deliver: Work, now: Now
) -> None:
    rule("sent", to="+1500555*")
    messages = [send("+15005550001"), send("+15005550009")]
    deliver()
    assert [now(message)["state"] for message in messages] == ["sent", "sent"]


# Which messages


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"to": OTHER}, ["failed"]),
        ({"to": "+4915*"}, ["failed"]),
        ({"to": "+44*"}, []),
        ({"origin": "SHOP"}, ["failed"]),
        ({"contains": "CODE"}, ["failed"]),
        ({"pattern": "your code is ????"}, ["failed"]),
        ({"pattern": "code*"}, []),
        ({"direction": "outbound"}, ["failed"]),
    ],
)
def test_a_rule_applies_to_the_messages_that_match(
    rule: Rule, send: Send, now: Now, criteria: dict[str, Any], expected: list[str]
) -> None:
    rule("failed", error="unreachable_handset", **criteria)
    message = now(send(OTHER, "Your code is 4821", origin="SHOP"))
    assert [one["outcome"] for one in (message.get("rule"),) if one is not None] == expected


def test_each_recipient_of_a_request_is_matched(client: FlaskClient, rule: Rule) -> None:
    rule("refused", error="invalid_number", nth=2)
    response = client.post("/v1/messages", json={"to": [PHONE, OTHER, "+14560000001"], "body": "Hello"})
    assert faults_of(response) == [("invalid_number", "to[1]")]
    assert [one["state"] for one in response.get_json()["messages"]] == ["unconfirmed", "error", "unconfirmed"]


def test_a_rule_ends_after_its_uses_and_after_its_time(
    client: FlaskClient, rule: Rule, send: Send, clock: FakeClock
) -> None:
    rule("refused", error="invalid_number", uses=2, to=PHONE)
    rule("refused", error="invalid_number", ttl=60, to=OTHER)
    assert [send(PHONE)["state"] for _ in range(3)] == ["error", "error", "unconfirmed"]
    clock.advance(59)
    assert send(OTHER)["state"] == "error"
    clock.advance(1)
    assert send(OTHER)["state"] == "unconfirmed"
    assert [(one["seen"], one["used"]) for one in list_rules(client)] == [(2, 2), (1, 1)]


def test_a_message_that_is_refused_for_another_reason_meets_no_rule(
    client: FlaskClient, rule: Rule, send: Send
) -> None:
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    rule("failed", error="unreachable_handset")
    assert send()["errors"][0]["type"] == "opted_out"
    assert list_rules(client)[0]["seen"] == 0


def test_a_message_that_a_rule_refuses_uses_no_quota(
    operator: Operator, rule: Rule, send: Send, client: FlaskClient
) -> None:
    operator.run("accounts", "limit", "default", "--quota", "1")
    rule("refused", error="invalid_number", uses=1)
    assert [send()["state"] for _ in range(3)] == ["error", "unconfirmed", "error"]


def test_a_message_that_the_quota_refuses_names_no_rule(operator: Operator, rule: Rule, send: Send, now: Now) -> None:
    operator.run("accounts", "limit", "default", "--quota", "0")
    rule("failed", error="unreachable_handset")
    message = send()
    assert (message["errors"][0]["type"], "rule" in now(message)) == ("quota_used_up", False)


def test_a_rule_counts_the_requests_of_twilio_that_it_refuses(twilio: TwilioApi, rule: Rule) -> None:
    rule("refused", error="cannot_receive_sms", uses=1)
    assert twilio.refuse(To=PHONE, From=OWN, Body="Hello")[0] == 400
    assert twilio.create(To=PHONE, From=OWN, Body="Hello")["status"] == "queued"


def test_a_message_that_the_quota_refuses_counts_in_twilio_too(
    operator: Operator, twilio: TwilioApi, rule: Rule, client: FlaskClient, send: Send
) -> None:
    operator.run("accounts", "limit", "default", "--quota", "0")
    rule("failed", error="unreachable_handset")
    assert twilio.refuse(To=PHONE, From=OWN, Body="Hello")[0] == 429
    send()
    assert list_rules(client)[0]["seen"] == 2


def test_a_later_receipt_is_the_status_in_twilio_too(
    twilio: TwilioApi, rule: Rule, deliver: Work, apply_due: Work, clock: FakeClock
) -> None:
    rule("undelivered", seconds=60, error="unknown_handset")
    message = twilio.create(To=PHONE, From=OWN, Body="Hello")
    path = f"{twilio.messages.removesuffix('.json')}/{message['sid']}.json"
    deliver()
    assert twilio.get(path)["status"] == "sent"
    clock.advance(60)
    apply_due()
    assert (twilio.get(path)["status"], twilio.get(path)["error_code"]) == ("undelivered", 30005)


def test_the_rules_of_another_account_do_not_apply(rule: Rule, stranger: FlaskClient, client: FlaskClient) -> None:
    mine = rule("failed", error="unreachable_handset")
    message = stranger.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    (shown,) = stranger.get("/sandbox/messages").get_json()["messages"]
    assert (shown["id"], "rule" in shown) == (message["id"], False)
    assert list_rules(stranger) == []
    for method, path in (("get", ""), ("put", ""), ("delete", ""), ("post", "/move")):
        arguments = {"outcome": "sent"} if method == "put" else {"position": 1} if path else {}
        response = getattr(stranger, method)(f"/sandbox/rules/{mine['id']}{path}", json=arguments)
        assert response.status_code == 404
    assert [one["id"] for one in list_rules(client)] == [mine["id"]]


def test_the_key_of_a_run_has_rules_of_its_own_that_are_removed_with_it(
    app: Flask, client: FlaskClient, execute: Callable[..., Any]
) -> None:
    run = client.post("/sandbox/runs").get_json()["run"]
    inside = app.test_client()
    inside.key = run["api_key"]
    inside.post("/sandbox/rules", json={"outcome": "refused", "error": "invalid_number"})
    assert inside.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 402
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 201
    client.delete(f"/sandbox/runs/{run['id']}")
    assert execute("SELECT count(*) FROM rules") == [(0,)]


def test_a_changed_message_meets_the_rules_again(client: FlaskClient, rule: Rule, send: Send, now: Now) -> None:
    rule("failed", error="unreachable_handset", to=PHONE)
    rule("refused", error="unroutable_number", to=OTHER)
    message = send("+14560000001", send_at="2030-01-01T09:00:00Z")
    assert "rule" not in now(message)
    client.put(f"/v1/messages/{message['id']}", json={"to": PHONE})
    assert now(message)["rule"]["outcome"] == "failed"
    refused = client.put(f"/v1/messages/{message['id']}", json={"to": OTHER})
    assert (refused.status_code, faults_of(refused)) == (402, [("unroutable_number", "to")])
    assert now(message)["to"] == PHONE
    client.put(f"/v1/messages/{message['id']}", json={"to": "+14560000001"})
    assert "rule" not in now(message)


def test_a_rule_that_refuses_a_change_counts_it_and_the_message_keeps_its_rule(
    client: FlaskClient, rule: Rule, send: Send, now: Now
) -> None:
    rule("failed", error="unreachable_handset", to=PHONE, nth=1)
    message = send(PHONE, send_at="2030-01-01T09:00:00Z")
    rule("refused", error="invalid_number", nth=1)
    refused = client.put(f"/v1/messages/{message['id']}", json={"body": "Bye"})
    assert (refused.status_code, faults_of(refused)) == (402, [("invalid_number", None)])
    assert (now(message)["body"], now(message)["rule"]["outcome"]) == ("Hello", "failed")
    assert client.put(f"/v1/messages/{message['id']}", json={"body": "Bye"}).status_code == 200
    assert (now(message)["body"], "rule" in now(message)) == ("Bye", False)
    assert [one["seen"] for one in list_rules(client)] == [3, 2]


def test_a_message_keeps_its_outcome_after_its_rule_was_removed(
    client: FlaskClient, rule: Rule, send: Send, deliver: Work, now: Now
) -> None:
    created = rule("failed", error="unreachable_handset", name="Off")
    message = send()
    client.delete(f"/sandbox/rules/{created['id']}")
    deliver()
    assert now(message)["rule"] == {"id": created["id"], "name": "Off", "outcome": "failed"}
    assert now(message)["state"] == "error"


def test_a_keyword_reply_meets_a_rule_too(
    client: FlaskClient, rule: Rule, deliver: Work, runner: FlaskCliRunner
) -> None:
    runner.invoke(args=["keywords", "set", "--help-reply", "Call us"])
    rule("failed", error="unreachable_handset")
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "HELP"})
    deliver()
    (reply,) = client.get("/v1/messages?direction=outbound").get_json()["messages"]
    assert (reply["body"], reply["state"]) == ("Call us", "error")


# Faults of the API


@pytest.mark.parametrize(
    ("status", "type_"), [(503, "store_unavailable"), (429, "rate_limited"), (500, "internal_error")]
)
def test_the_api_can_fail(client: FlaskClient, rule: Rule, status: int, type_: str) -> None:
    created = rule("api_error", status=status, uses=1)
    response = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    assert (response.status_code, faults_of(response)) == (status, [(type_, None)])
    assert response.headers["X-Phonify-Rule"] == created["id"]
    assert ("Retry-After" in response.headers) == (status != 500)
    answer = client.get("/v1/messages")
    assert (answer.status_code, answer.get_json(), "X-Phonify-Rule" in answer.headers) == (200, {"messages": []}, False)


def test_the_api_fails_in_the_form_of_twilio_too(twilio: TwilioApi, rule: Rule, app: Flask) -> None:
    rule("api_error", status=503, contains="Hello")
    assert twilio.refuse(To=PHONE, From=OWN, Body="Hello")[:2] == (503, 20503)
    assert twilio.create(To=PHONE, From=OWN, Body="Bye")["status"] == "queued"


def test_a_fault_for_certain_messages_meets_only_requests_that_send_them(client: FlaskClient, rule: Rule) -> None:
    rule("api_error", status=500, to="+49*", nth=2)
    sends = [("+14560000000",), (OTHER,), (PHONE, OTHER), (OTHER,)]
    statuses = [client.post("/v1/messages", json={"to": [*to], "body": "Hello"}).status_code for to in sends]
    assert statuses == [201, 201, 500, 201]
    assert client.get("/v1/messages").status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"), [(b"{", "application/json", 400), (b"<to/>", "application/xml", 415)]
)
def test_a_request_that_can_not_be_read_meets_only_a_fault_for_all_requests(
    client: FlaskClient, rule: Rule, body: bytes, kind: str, status: int
) -> None:
    rule("api_error", status=500, to=PHONE)
    assert client.post("/v1/messages", data=body, content_type=kind).status_code == status
    rule("api_error", status=503)
    assert client.post("/v1/messages", data=body, content_type=kind).status_code == 503


def test_a_number_in_a_form_may_have_a_space_for_its_plus_sign(client: FlaskClient, rule: Rule) -> None:
    rule("api_error", status=500, to=PHONE)
    assert client.post("/v1/messages", data="to=+14560000000&body=Hello", content_type=FORM).status_code == 500


FORM = "application/x-www-form-urlencoded"


def test_requests_under_sandbox_meet_no_fault(client: FlaskClient, rule: Rule) -> None:
    created = rule("api_error", status=503)
    assert client.get("/v1/messages").status_code == 503
    assert client.get("/sandbox/messages").status_code == 200
    assert client.delete(f"/sandbox/rules/{created['id']}").status_code == 200
    assert client.get("/v1/messages").status_code == 200


def test_only_requests_with_a_key_of_the_account_meet_its_faults(
    client: FlaskClient, stranger: FlaskClient, anonymous: FlaskClient, rule: Rule
) -> None:
    rule("api_error", status=503)
    assert stranger.get("/v1/messages").status_code == 200
    assert anonymous.get("/v1/messages").status_code == 401
    assert anonymous.get("/v1/openapi.json").status_code == 200


def test_an_answer_can_be_slow(client: FlaskClient, rule: Rule) -> None:
    rule("api_slow", seconds=0.3, uses=1)
    begun = time.monotonic()
    assert client.get("/v1/messages").status_code == 200
    assert time.monotonic() - begun >= 0.3


# One message


def test_a_scheduled_message_can_get_an_outcome_at_once(
    client: FlaskClient, send: Send, deliver: Work, now: Now
) -> None:
    message = send(send_at="2030-01-01T09:00:00Z")
    arguments = {"outcome": "failed", "error": "blocked_by_recipient"}
    assert client.post(f"/sandbox/messages/{message['id']}/outcome", json=arguments).status_code == 200
    deliver()
    assert now(message)["errors"][0]["type"] == "blocked_by_recipient"
    assert now(message)["rule"] == {"id": None, "name": None, "outcome": "failed"}


def test_a_scheduled_message_with_a_forced_outcome_can_not_be_changed_or_cancelled(
    client: FlaskClient, send: Send, deliver: Work, now: Now
) -> None:
    message = send(send_at="2030-01-01T09:00:00Z")
    client.post(f"/sandbox/messages/{message['id']}/outcome", json={"outcome": "failed", "error": "canceled"})
    address = f"/v1/messages/{message['id']}"
    for refused in (client.put(address, json={"body": "Changed"}), client.delete(address)):
        assert (refused.status_code, refused.get_json()["errors"][0]["type"]) == (402, "message_not_waiting")
    deliver()
    assert (now(message)["state"], now(message)["body"]) == ("error", message["body"])


@pytest.mark.parametrize(
    ("outcome", "state", "receipt"),
    [
        ({"outcome": "sent"}, "sent", None),
        ({"outcome": "delivered"}, "sent", "delivered"),
        ({"outcome": "undelivered", "error": "unknown_handset"}, "sent", "undelivered"),
        ({"outcome": "failed", "error": "filtered_by_carrier"}, "error", None),
        ({"outcome": "unconfirmed"}, "unconfirmed", None),
    ],
)
def test_a_message_in_doubt_can_get_an_outcome(
    client: FlaskClient, send: Send, deliver: Work, now: Now, outcome: dict[str, Any], state: str, receipt: str | None
) -> None:
    message = send("+15005550012")
    deliver()
    assert client.post(f"/sandbox/messages/{message['id']}/outcome", json=outcome).status_code == 200
    deliver()
    shown = now(message)
    assert (shown["state"], shown.get("receipt", {}).get("status")) == (state, receipt)


def test_a_message_that_waits_for_another_attempt_can_fail_twice_more(
    client: FlaskClient, send: Send, deliver: Work, now: Now, clock: FakeClock
) -> None:
    message = send("+15005550010")
    deliver()
    client.post(f"/sandbox/messages/{message['id']}/outcome", json={"outcome": "unavailable", "times": 2})
    states = []
    for _ in range(3):
        deliver()
        states.append(now(message)["state"])
        clock.advance(60)
    assert states == ["unconfirmed", "unconfirmed", "sent"]


def test_a_message_that_does_not_wait_can_not_get_an_outcome(
    client: FlaskClient, send: Send, deliver: Work, stranger: FlaskClient
) -> None:
    message = send()
    deliver()
    inbound = client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"}).get_json()["message"]
    for one in (message, inbound):
        refused = client.post(f"/sandbox/messages/{one['id']}/outcome", json={"outcome": "sent"})
        assert (refused.status_code, faults_of(refused)) == (402, [("message_not_open", None)])
    for asking, id_ in ((client, NO_ID), (stranger, message["id"])):
        assert asking.post(f"/sandbox/messages/{id_}/outcome", json={"outcome": "sent"}).status_code == 404


@pytest.mark.parametrize("outcome", ["refused", "api_error", "api_slow"])
def test_one_message_can_not_get_an_outcome_that_comes_before_it(client: FlaskClient, send: Send, outcome: str) -> None:
    message = send(send_at="2030-01-01T09:00:00Z")
    refused = client.post(f"/sandbox/messages/{message['id']}/outcome", json={"outcome": outcome})
    assert ("invalid_outcome", "outcome") in faults_of(refused)


# What shows the rule


def test_a_special_number_is_a_rule_that_the_message_names(send: Send, now: Now) -> None:
    name = "The message is accepted, and then fails: the recipient has blocked the sender"
    assert now(send("+15005550004"))["rule"] == {"id": "+15005550004", "name": name, "outcome": "failed"}


def test_the_command_explain_names_the_rule(rule: Rule, send: Send, deliver: Work, runner: FlaskCliRunner) -> None:
    created = rule("delivered", seconds=60, to=PHONE)
    rule("failed", error="unreachable_handset", name="Off", to=OTHER)
    ids = [send(to)["id"] for to in (PHONE, OTHER, "+15005550009")]
    deliver()
    shown = [runner.invoke(args=["explain", id_]).output for id_ in ids]
    assert f"Rule {created['id']}: delivered, after 60 s" in shown[0]
    assert "Receipt: delivered, because of the rule" in shown[0]
    assert "Rule “Off”: failed, unreachable_handset" in shown[1]
    assert "Rule of the special number +15005550009: failed, cannot_receive_sms" in shown[2]


# With another gateway


def test_with_another_gateway_there_are_no_rules(make_app: Callable[..., Flask]) -> None:
    client = make_app(FakeGateway()).test_client()
    assert client.get("/sandbox/rules").status_code == 404
    assert client.post("/sandbox/rules", json={"outcome": "sent"}).status_code == 404


def test_stored_rules_do_not_apply_with_another_gateway(make_app: Callable[..., Flask], rule: Rule) -> None:
    rule("refused", error="invalid_number")
    rule("api_error", status=503)
    client = make_app(FakeGateway()).test_client()
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 201


def test_a_rule_is_counted_once_by_two_processes(
    make_app: Callable[..., Flask], rule: Rule, client: FlaskClient
) -> None:
    rule("refused", error="invalid_number", nth=3)
    others = [make_app().test_client(), client]
    statuses = [others[at % 2].post("/v1/messages", json={"to": PHONE, "body": "Hi"}).status_code for at in range(4)]
    assert statuses == [201, 201, 402, 201]


def test_receipts_and_replies_survive_a_restart(
    make_app: Callable[..., Flask], rule: Rule, send: Send, deliver: Work, apply_due: Work, clock: FakeClock, now: Now
) -> None:
    rule("delivered", seconds=3_600)
    message = send()
    deliver()
    clock.advance(timedelta(hours=2).total_seconds())
    apply_due(make_app())
    assert now(message)["receipt"]["status"] == "delivered"


def test_the_database_holds_what_the_rules_are(rule: Rule, tmp_path: Any) -> None:
    created = rule("failed", error="unreachable_handset")
    with sqlite3.connect(tmp_path / "phonify.db") as connection:
        assert connection.execute("SELECT id, outcome FROM rules").fetchall() == [(created["id"], "failed")]
