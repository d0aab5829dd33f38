"""Tests of rules: a message in hand, a server that stops, and counts that other processes see."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.domain.accounts import ensure_default_account
from phonify.domain.rule_matching import Text
from phonify.errors import TooManyWaiting
from phonify.services import Services
from tests.support.fake_gateway import FakeGateway

Send = Callable[..., dict[str, Any]]
Work = Callable[..., int]


@pytest.mark.parametrize(
    "rule",
    [
        {"outcome": "sent"},
        {"outcome": "undelivered"},
        {"outcome": "failed", "error": "filtered_by_carrier"},
        {"outcome": "delayed", "seconds": 60},
        {"outcome": "unconfirmed"},
    ],
    ids=lambda rule: rule["outcome"],
)
@pytest.mark.parametrize(
    ("outcome", "state", "error", "receipt"),
    [
        ("failed", "error", "unknown_handset", None),
        ("undelivered", "sent", None, "undelivered"),
        ("delivered", "sent", None, "delivered"),
    ],
)
@pytest.mark.parametrize("when", ["before the attempt", "after the attempt", "after the lease"])
def test_a_message_that_is_being_sent_gets_the_chosen_outcome(
    client: FlaskClient,
    send: Send,
    services: Services,
    deliver: Work,
    rule: dict[str, Any],
    outcome: str,
    state: str,
    error: str | None,
    receipt: str | None,
    when: str,
) -> None:
    assert client.post("/sandbox/rules", json=rule).status_code == 201
    message, account = send(), ensure_default_account(services.database, services.clock)
    arguments = {"outcome": outcome, "error": error} if error else {"outcome": outcome}

    def force() -> None:
        assert client.post(f"/sandbox/messages/{message['id']}/outcome", json=arguments).status_code == 200

    delivery = services.gateways["stub"].make_delivery(lease=timedelta(seconds=30))
    with services.database.write() as connection:
        jobs = delivery.claim(connection, "another")
    outcomes: list[Any] = []
    if when == "before the attempt":
        force()
    delivery.deliver(jobs, outcomes.append)
    if when == "after the lease":
        with services.database.write() as connection:
            delivery.end_leases(connection, "another")
    if when != "before the attempt":
        force()
    with services.database.write() as connection:
        delivery.record(connection, outcomes)
    assert services.sending.find(account, message["id"]).state == "unconfirmed"
    deliver()
    found = services.sending.find(account, message["id"])
    assert (found.state, found.error_type, found.receipt and found.receipt.status) == (state, error, receipt)


def test_an_outcome_of_an_earlier_attempt_does_not_count_beside_that_of_the_chosen_one(
    client: FlaskClient, send: Send, services: Services
) -> None:
    client.post("/sandbox/rules", json={"outcome": "undelivered"})
    message, account = send(), ensure_default_account(services.database, services.clock)
    delivery = services.gateways["stub"].make_delivery(lease=timedelta(seconds=30))
    outcomes: list[Any] = []
    for attempt in range(2):
        if attempt:
            client.post(f"/sandbox/messages/{message['id']}/outcome", json={"outcome": "delivered"})
        with services.database.write() as connection:
            jobs = delivery.claim(connection, "another")
        delivery.deliver(jobs, outcomes.append)
    assert len(outcomes) == 2
    with services.database.write() as connection:
        delivery.record(connection, outcomes)
    found = services.sending.find(account, message["id"])
    assert (found.state, found.receipt and found.receipt.status) == ("sent", "delivered")


def test_a_slow_answer_ends_if_the_server_stops(client: FlaskClient, services: Services) -> None:
    client.post("/sandbox/rules", json={"outcome": "api_slow", "seconds": 30})
    services.database.stopping = True
    assert client.get("/v1/messages").status_code == 200


def test_slow_answers_count_as_waiting_requests(make_app: Callable[..., Flask]) -> None:
    waiting = make_app(WAITING=1).extensions["phonify"].sending.waiting
    waiting.count = 1
    with pytest.raises(TooManyWaiting):
        waiting.pause(30)


@pytest.mark.parametrize(("count", "text"), [(1, "1 rule of the sandbox has"), (2, "2 rules of the sandbox have")])
def test_the_delivery_warns_of_rules_that_have_no_effect_and_a_command_does_not(
    client: FlaskClient, make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture, count: int, text: str
) -> None:
    for _ in range(count):
        client.post("/sandbox/rules", json={"outcome": "sent"})
    app = make_app(FakeGateway())
    assert app.test_cli_runner().invoke(args=["gateway", "status"]).exit_code == 0
    assert "no effect" not in caplog.text
    services = app.extensions["phonify"]
    threads = services.start_delivery()
    services.stop()
    for thread in threads:
        thread.join()
    assert f"{text} no effect, because the gateway is gateway" in caplog.text


def test_a_deleted_rule_has_the_counts_of_the_moment_when_it_was_deleted(
    client: FlaskClient, services: Services
) -> None:
    rule = client.post("/sandbox/rules", json={"outcome": "sent"}).get_json()["rule"]
    account, removed = ensure_default_account(services.database, services.clock), []
    deleting = Thread(target=lambda: removed.append(services.rules.delete(account, rule["id"])))
    with services.database.write() as connection:
        deleting.start()
        deleting.join(0.2)  # it waits for the end of this transaction
        services.rules.meet(connection, account.id, [Text("outbound", "+14560000000", "+15005550006", "Hello")])
    deleting.join()
    assert [one.seen for one in removed] == [1]
