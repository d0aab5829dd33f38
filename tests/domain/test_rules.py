"""Tests of rules: a message in hand, a server that stops, and counts that other processes see."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.domain.accounts import ensure_default_account
from phonify.errors import TooManyWaiting
from phonify.services import Services

Send = Callable[..., dict[str, Any]]
Work = Callable[..., int]


def test_a_message_that_is_being_sent_gets_the_chosen_outcome(
    client: FlaskClient, send: Send, services: Services, deliver: Work
) -> None:
    message, account = send(), ensure_default_account(services.database, services.clock)
    link = services.gateways["stub"]
    finish = link.make_delivery(lease=timedelta(seconds=30), observe=link.observe)
    with services.database.write() as connection:
        jobs = finish.claim(connection, "another")
    outcomes: list[Any] = []
    finish.deliver(jobs, outcomes.append)
    client.post(f"/sandbox/messages/{message['id']}/outcome", json={"outcome": "failed", "error": "unknown_handset"})
    with services.database.write() as connection:
        finish.record(connection, outcomes)
    assert services.sending.find(account, message["id"]).state == "unconfirmed"
    deliver()
    assert services.sending.find(account, message["id"]).error_type == "unknown_handset"


def test_a_slow_answer_ends_if_the_server_stops(client: FlaskClient, services: Services) -> None:
    client.post("/sandbox/rules", json={"outcome": "api_slow", "seconds": 30})
    services.database.stopping = True
    assert client.get("/v1/messages").status_code == 200


def test_slow_answers_count_as_waiting_requests(make_app: Callable[..., Flask]) -> None:
    waiting = make_app(WAITING=1).extensions["phonify"].sending.waiting
    waiting.count = 1
    with pytest.raises(TooManyWaiting):
        waiting.pause(30)
