"""Tests of the history of messages that a real gateway sends: the provider's ids, receipts, pauses."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import Doubt, Later, Taken
from phonify.gateways.events import Receipt
from phonify.services import Services
from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway

NOW = "2026-01-31T09:30:00.000Z"
HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def gateway() -> OnceGateway:
    return OnceGateway(lambda _: Taken(("ref-1",)))


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: OnceGateway) -> Flask:
    return make_app(gateway)


@pytest.fixture
def take(services: Services) -> Callable[..., None]:
    """Return a function that lets the gateway report receipts."""

    def take(*receipts: Receipt) -> None:
        services.gateways["gateway"].take(receipts)

    return take


@pytest.fixture
def tell(services: Services) -> Callable[[dict[str, Any]], list[tuple[str, str, list[str]]]]:
    """Return a function that returns the steps of a message after the first one."""

    def tell(message: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
        steps = services.history.find(message["id"]).steps
        return [(step.text, step.state, [part.text for part in step.parts]) for step in steps[1:]]

    return tell


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, KEY)
    return browser


def test_the_ids_of_the_provider_are_in_the_history(send, deliver, tell, gateway) -> None:
    gateway.act = lambda _: Taken(("a", "b"))
    message = send()
    deliver()
    ids = ["Provider's id a, gateway gateway", "Provider's id b, gateway gateway"]
    assert tell(message) == [("Attempt 1: the gateway accepted the message", "done", ids)]


def test_receipts_are_in_the_history_as_they_came(send, deliver, take, tell, clock) -> None:
    message = send()
    deliver()
    clock.advance(1)
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    take(Receipt("sent", reference="ref-1"))
    take(Receipt("undelivered", message_id=message["id"], error_type="unknown_handset", code="5", at=noon))
    take(Receipt("delivered", message_id=message["id"], partial=True))
    assert tell(message)[1:] == [
        ("Receipt: sent", "done", ["Gateway gateway", "Provider's id ref-1"]),
        (
            "Receipt: undelivered",
            "failed",
            [
                "Gateway gateway",
                "Provider's code 5",
                "The phone is unknown or no longer exists.",
                "Provider's time 2026-01-31T12:00:00.000Z",
            ],
        ),
        ("Receipt for one segment: delivered", "done", ["Gateway gateway"]),
    ]


def test_a_receipt_that_ends_a_doubt_is_not_told_as_an_answer_of_the_gateway(
    send, deliver, take, tell, gateway, clock
) -> None:
    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    clock.advance(1)
    take(Receipt("delivered", message_id=message["id"], reference="ref-9"))
    assert [text for text, *_ in tell(message)] == [
        "Attempt 1: nobody knows whether the gateway accepted the message. Phonify does not send the message again",
        "Attempt 1: a receipt says that the gateway accepted the message",
        "Receipt: delivered",
    ]
    assert tell(message)[1][2] == ["Provider's id ref-9, gateway gateway"]


def test_a_failed_message_shows_the_ids_of_the_provider_too(send, deliver, take, tell, gateway) -> None:
    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    take(Receipt("undelivered", message_id=message["id"], reference="ref-9"))
    failed = "Failed: The message was not delivered. The reason is unknown."
    assert (failed, "failed", ["Provider's id ref-9, gateway gateway"]) in tell(message)


def test_a_message_that_waits_for_the_operator_says_so(send, deliver, tell, services) -> None:
    services.gateways["gateway"].pacing.hold(held=True)
    message = send()
    deliver()
    waiting = ("Waiting, because an operator has paused the gateway gateway", "waiting", [])
    assert waiting in tell(message)
    services.gateways["gateway"].pacing.hold(held=False)
    assert waiting not in tell(message)


def test_a_message_that_waits_for_the_end_of_a_pause_says_so(send, deliver, tell, gateway, clock, services) -> None:
    gateway.act = lambda _: Later(retry_after=30, pause=True, reason="wrong credentials")
    message = send()
    deliver()
    text = "Waiting, because the gateway gateway is paused"
    assert (text, "waiting", ["End of the pause"]) in tell(message)
    (step,) = [step for step in services.history.find(message["id"], whole=True).steps if step.text == text]
    assert [(part.at, part.text) for part in step.parts] == [
        (NOW, "Reason: wrong credentials"),
        ("2026-01-31T09:30:30.000Z", "End of the pause"),
    ]
    clock.advance(30)
    assert not [one for one, *_ in tell(message) if "paused" in one]
    text = "Waiting, because the gateway gateway has failed. Phonify uses the next message to test the gateway"
    assert (text, "waiting", []) in tell(message)


def test_a_message_that_was_sent_after_a_fault_still_tells_of_it(send, deliver, services, tell, gateway, clock) -> None:
    before = send()
    deliver()
    clock.advance(1)
    gateway.act = lambda _: Later(retry_after=30, pause=True, reason="wrong credentials")
    message = send()
    deliver()
    clock.advance(31)
    gateway.act = lambda _: Taken()
    deliver()
    after = send()
    text = "The gateway gateway had a fault, and messages for this gateway had to wait"
    assert (text, "done", []) in tell(message)
    assert not [one for other in (before, after) for one, *_ in tell(other) if "fault" in one]
    (step,) = [step for step in services.history.find(message["id"], whole=True).steps if step.text == text]
    assert [(part.at, part.text) for part in step.parts] == [("2026-01-31T09:30:01.000Z", "Reason: wrong credentials")]


def test_a_message_that_waits_for_a_limit_says_so(make_app, gateway, deliver) -> None:
    app = make_app(gateway, GATEWAY_PER_HOUR="1")
    client = app.test_client()
    ids = [
        client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).json["message"]["id"] for _ in "12"
    ]
    deliver(app)
    history = app.extensions["phonify"].history
    text = "Waiting, because the limit of 1 SMS in 3600 seconds is used up"
    assert [[step.text for step in history.find(one).steps].count(text) for one in ids] == [0, 1]


def test_only_the_operator_s_account_sees_the_reason_of_a_pause_in_the_inbox(
    send, deliver, page, stranger, gateway, app
) -> None:
    gateway.act = lambda _: Later(retry_after=30, pause=True, reason="wrong credentials")
    messages = [send(), stranger.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).json["message"]]
    deliver()
    other = FlaskClient(app, app.response_class)
    sign_in(other, stranger.key)
    shown = [
        browser.get(f"/inbox/messages/{message['id']}", headers={**HERE, "HX-Request": "true"}).text
        for browser, message in zip((page, other), messages, strict=True)
    ]
    assert ["is paused" in text for text in shown] == [True, True]
    assert ["wrong credentials" in text for text in shown] == [True, False]


def test_a_message_that_waits_for_another_reason_does_not_mention_the_pause(send, deliver, tell, services) -> None:
    in_hand = send()
    deliver()
    services.gateways["gateway"].pacing.hold(held=True)
    scheduled = send(send_at="2026-02-01T00:00:00Z")
    assert not [text for message in (in_hand, scheduled) for text, *_ in tell(message) if "paused" in text]


@pytest.mark.parametrize("status", ["delivered", "undelivered"])
def test_the_inbox_shows_the_receipt_in_the_thread_and_in_the_details(send, deliver, take, page, status: str) -> None:
    message = send()
    deliver()
    take(Receipt(status, reference="ref-1"))  # type: ignore[arg-type]
    text = page.get(f"/inbox/messages/{message['id']}", headers=HERE).text
    assert f'<span class="state">sent, {status}</span>' in text
    assert f">{status}</span>" in text.split('id="details-')[1]
    assert f"Receipt: {status}" in text


def test_a_search_in_the_inbox_finds_the_id_of_the_provider_as_a_whole(send, deliver, page, stranger, app) -> None:
    message = send()
    deliver()
    other = FlaskClient(app, app.response_class)
    sign_in(other, stranger.key)

    def search(browser: FlaskClient, text: str) -> bool:
        found = browser.get("/inbox/search", query_string={"q": text}, headers={**HERE, "HX-Request": "true"})
        return message["id"] in found.text

    assert [search(page, text) for text in ("ref-1", "ref-", "REF-1")] == [True, False, False]
    assert not search(other, "ref-1")
