"""Tests of delivery receipts: before and after the answer to the send, twice, out of order, for parts, in doubt."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.domain import accounts
from phonify.gateways.base import Doubt, OutboundMessage, Taken
from phonify.gateways.events import Receipt
from phonify.services import Services
from tests.support.fake_gateway import OnceGateway

TWO_SMS = "x" * 155 + "€€€"  # 161 septets


@pytest.fixture
def gateway() -> OnceGateway:
    return OnceGateway(lambda _: Taken(("ref-1",)))


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: OnceGateway) -> Flask:
    return make_app(gateway, TWILIO="on")


@pytest.fixture
def take(services: Services) -> Callable[..., None]:
    """Return a function that lets the gateway report receipts."""

    def take(*receipts: Receipt) -> None:
        services.gateways["gateway"].take(receipts)

    return take


@pytest.fixture
def show(client: FlaskClient) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def show(message: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/v1/messages/{message['id']}").get_json()["message"]
        return found

    return show


@pytest.fixture
def events(client: FlaskClient, execute: Callable[..., Any]) -> Callable[[], list[str]]:
    """Register a webhook. Return a function that lists the events that were stored for it."""
    client.put("/v1/webhook", json={"url": "https://example.com/"})
    return lambda: [event for (event,) in execute("SELECT event FROM webhook_deliveries ORDER BY seq")]


def test_a_delivered_message_has_a_receipt_and_keeps_its_state(send, deliver, take, show, events) -> None:
    message = send()
    deliver()
    assert "receipt" not in show(message)
    take(Receipt("delivered", reference="ref-1", code="1"))
    shown = show(message)
    assert shown["state"] == "sent"
    assert shown["receipt"] == {"status": "delivered", "at": "2026-01-31T09:30:00.000Z", "code": "1"}
    assert events() == ["message.sent", "message.delivered"]


def test_the_time_of_a_receipt_may_have_any_time_zone(send, deliver, take, show) -> None:
    message = send()
    deliver()
    take(Receipt("delivered", reference="ref-1", at=datetime(2026, 1, 31, 11, 29, tzinfo=timezone(timedelta(hours=2)))))
    assert show(message)["receipt"]["at"] == "2026-01-31T09:29:00.000Z"


def test_an_undelivered_message_that_was_sent_stays_sent(send, deliver, take, show, events) -> None:
    message = send()
    deliver()
    take(Receipt("undelivered", message_id=message["id"], error_type="unknown_handset"))
    assert (show(message)["state"], show(message)["receipt"]["status"]) == ("sent", "undelivered")
    assert "errors" not in show(message)
    assert events() == ["message.sent", "message.undelivered"]


def test_the_provider_id_finds_a_message(send, deliver, client, stranger) -> None:
    message = send()
    deliver()
    found = client.get("/v1/messages", query_string={"reference": "ref-1"}).get_json()["messages"]
    assert [one["id"] for one in found] == [message["id"]]
    assert stranger.get("/v1/messages", query_string={"reference": "ref-1"}).get_json()["messages"] == []
    assert client.get("/v1/messages", query_string={"reference": "ref-2"}).get_json()["messages"] == []


def test_a_receipt_that_comes_before_the_answer_to_the_send_waits_for_it(
    send, deliver, take, show, gateway, events
) -> None:
    def act(_: OutboundMessage) -> Taken:
        take(Receipt("delivered", reference="ref-1"))
        return Taken(("ref-1",))

    gateway.act = act
    message = send()
    deliver()
    assert (show(message)["state"], show(message)["receipt"]["status"]) == ("sent", "delivered")
    assert events() == ["message.sent", "message.delivered"]


def test_a_receipt_with_our_id_that_comes_before_the_answer_settles_the_message_once(
    send, deliver, take, show, gateway, events, client
) -> None:
    def act(outbound: OutboundMessage) -> Taken:
        take(Receipt("delivered", message_id=outbound.id))
        return Taken(("ref-1",))

    gateway.act = act
    message = send()
    deliver()
    assert show(message)["state"] == "sent"
    assert events() == ["message.sent", "message.delivered"]
    assert len(client.get("/v1/messages?reference=ref-1").get_json()["messages"]) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("delivered", "delivered"), ("delivered", "undelivered"), ("undelivered", "delivered"), ("delivered", "sent")],
)
def test_the_first_final_receipt_stays(send, deliver, take, show, events, first: str, second: str) -> None:
    message = send()
    deliver()
    take(Receipt(first, reference="ref-1", event_id="1"))  # type: ignore[arg-type]
    take(Receipt(second, reference="ref-1", event_id="2"))  # type: ignore[arg-type]
    assert show(message)["receipt"]["status"] == first
    assert events() == ["message.sent", f"message.{first}"]


def test_a_repeated_receipt_is_stored_once(send, deliver, take, execute) -> None:
    send()
    deliver()
    for _ in range(3):
        take(Receipt("delivered", reference="ref-1", event_id="event-1"))
        take(Receipt("sent", reference="ref-1"))
    assert execute("SELECT count(*) FROM receipts") == [(2,)]


def test_a_receipt_that_matches_nothing_is_kept_for_a_month(services, take, execute, clock) -> None:
    take(Receipt("delivered", reference="unknown"), Receipt("delivered", message_id="unknown"))
    clock.advance(29 * 86_400)
    services.clean()
    assert execute("SELECT count(*) FROM receipts") == [(2,)]
    clock.advance(2 * 86_400)
    services.clean()
    assert execute("SELECT count(*) FROM receipts") == [(0,)]


@pytest.mark.parametrize(
    ("reports", "receipt"),
    [
        (["a delivered"], None),
        (["a delivered", "b delivered"], "delivered"),
        (["b delivered", "a delivered"], "delivered"),
        (["a delivered", "a delivered"], None),
        (["a undelivered"], "undelivered"),
        (["a delivered", "b undelivered"], "undelivered"),
    ],
)
def test_a_message_of_several_parts_is_delivered_after_all_of_them(
    send, deliver, take, show, gateway, reports: Sequence[str], receipt: str | None
) -> None:
    gateway.act = lambda _: Taken(("a", "b"))
    message = send()
    deliver()
    for number, report in enumerate(reports):
        reference, status = report.split()
        take(Receipt(status, reference=reference, event_id=str(number)))  # type: ignore[arg-type]
    assert (show(message).get("receipt") or {}).get("status") == receipt


def test_reports_of_single_segments_count_until_all_have_come(send, deliver, take, show, gateway) -> None:
    gateway.act = lambda _: Taken()
    message = send(body=TWO_SMS)
    deliver()
    assert message["segments"] == 2
    for event_id, expected in (("1", None), ("1", None), ("2", "delivered")):
        take(Receipt("delivered", message_id=message["id"], event_id=event_id, partial=True))
        assert (show(message).get("receipt") or {}).get("status") == expected


@pytest.mark.parametrize(
    ("status", "state", "told"),
    [
        ("sent", "sent", ["message.sent"]),
        ("delivered", "sent", ["message.sent", "message.delivered"]),
        ("undelivered", "error", ["message.error", "message.undelivered"]),
    ],
)
def test_a_receipt_settles_a_message_in_doubt(
    send, deliver, take, show, gateway, events, status: str, state: str, told: list[str]
) -> None:
    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    assert show(message)["state"] == "unconfirmed"
    take(Receipt(status, message_id=message["id"], error_type="unknown_handset"))  # type: ignore[arg-type]
    shown = show(message)
    assert (shown["state"], events()) == (state, told)
    assert [fault["type"] for fault in shown.get("errors", [])] == (["unknown_handset"] if state == "error" else [])
    deliver()
    assert len(gateway.handed) == 1


def test_a_report_about_one_segment_does_not_settle_a_message_in_doubt(send, deliver, take, show, gateway) -> None:
    gateway.act = lambda _: Doubt()
    message = send(body=TWO_SMS)
    deliver()
    states = []
    for event_id in ("1", "2"):
        take(Receipt("delivered", message_id=message["id"], event_id=event_id, partial=True))
        states.append(show(message)["state"])
    assert states == ["unconfirmed", "sent"]


def test_the_segments_of_a_redacted_text_are_not_guessed(send, deliver, take, show, gateway, services) -> None:
    gateway.act = lambda _: Taken()
    message = send(body=TWO_SMS)
    deliver()
    services.changing.redact(accounts.find_account(services.database, "default"), message["id"])
    take(Receipt("delivered", message_id=message["id"], event_id="1", partial=True))
    assert "receipt" not in show(message)
    take(Receipt("undelivered", message_id=message["id"], event_id="2", partial=True))
    assert show(message)["receipt"]["status"] == "undelivered"


def test_an_unknown_error_type_of_a_receipt_is_delivery_failed(send, deliver, take, show, gateway) -> None:
    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    take(Receipt("undelivered", message_id=message["id"], error_type="no such type"))
    assert [fault["type"] for fault in show(message)["errors"]] == ["delivery_failed"]


def test_a_receipt_after_the_end_of_the_validity_does_not_change_the_state(
    send, deliver, take, show, gateway, clock
) -> None:
    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    clock.advance(86_401)
    deliver()
    take(Receipt("delivered", message_id=message["id"]))
    assert (show(message)["state"], show(message)["receipt"]["status"]) == ("error", "delivered")


def test_a_receipt_for_a_message_that_no_gateway_has_got_changes_nothing(send, take, show) -> None:
    message = send(send_at="2030-01-01T00:00:00Z")
    take(Receipt("delivered", message_id=message["id"]))
    assert show(message)["state"] == "unconfirmed"
    assert "receipt" not in show(message)


def test_a_receipt_for_a_removed_or_received_message_changes_nothing(client, send, deliver, take, services) -> None:
    message = send()
    deliver()
    services.retention.clear(accounts.find_account(services.database, "default"))
    take(Receipt("delivered", message_id=message["id"]), Receipt("delivered", reference="ref-1"))
    assert client.get("/v1/messages").get_json()["messages"] == []


def test_a_receipt_with_our_id_and_the_reference_of_another_message_is_ignored(
    send, deliver, take, show, gateway, execute, caplog
) -> None:
    references = iter(("ref-1", "ref-2"))
    gateway.act = lambda _: Taken((next(references),))
    messages = [send(), send()]
    deliver()
    deliver()
    take(Receipt("delivered", message_id=messages[0]["id"], reference="ref-2"))
    assert ["receipt" in show(message) for message in messages] == [False, False]
    assert execute("SELECT count(*) FROM receipts") == [(0,)]
    assert f"reference belongs to another message: {messages[1]['id']}" in caplog.text


def test_a_receipt_with_our_id_tells_the_reference_for_later_receipts(
    send, deliver, take, show, gateway, events, client
) -> None:
    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    take(Receipt("sent", message_id=message["id"], reference="ref-9"))
    take(Receipt("delivered", reference="ref-9"))
    assert show(message)["receipt"]["status"] == "delivered"
    assert events() == ["message.sent", "message.delivered"]
    assert len(client.get("/v1/messages?reference=ref-9").get_json()["messages"]) == 1


def test_a_receipt_with_our_id_and_an_unknown_reference_is_about_the_whole_message(
    send, deliver, take, show, gateway, execute
) -> None:
    gateway.act = lambda _: Taken(("a", "b"))
    message = send()
    deliver()
    for reference in ("x", "y"):
        take(Receipt("sent", message_id=message["id"], reference=reference))
    assert "receipt" not in show(message)
    take(Receipt("delivered", message_id=message["id"], reference="y"))
    assert show(message)["receipt"]["status"] == "delivered"
    parts = execute("SELECT part, reference FROM message_parts ORDER BY part")
    assert parts == [(-1, "y"), (0, "x"), (1, "a"), (2, "b")]


def test_the_answer_to_the_send_may_have_the_reference_of_an_earlier_receipt(
    send, deliver, take, show, gateway, execute
) -> None:
    def act(outbound: OutboundMessage) -> Taken:
        take(Receipt("sent", message_id=outbound.id, reference="ref-1"))
        return Taken(("ref-1",))

    gateway.act = act
    message = send()
    deliver()
    assert execute("SELECT part, reference FROM message_parts") == [(1, "ref-1")]
    take(Receipt("delivered", reference="ref-1"))
    assert show(message)["receipt"]["status"] == "delivered"


def test_a_reference_of_a_message_that_does_not_exist_is_not_stored(take, execute) -> None:
    take(Receipt("sent", message_id="unknown", reference="ref-1"))
    assert execute("SELECT count(*) FROM message_parts") == [(0,)]


# Gateways


def test_a_receipt_of_another_gateway_does_not_settle_a_message(
    send, deliver, show, gateway, services, make_app, caplog
) -> None:
    class Other(OnceGateway):
        name = "other"

    gateway.act = lambda _: Doubt()
    message = send()
    deliver()
    other = make_app(Other()).extensions["phonify"]
    other.gateways["other"].take([Receipt("delivered", message_id=message["id"])])
    assert show(message)["state"] == "unconfirmed"
    assert f"Message {message['id']}: a receipt of the gateway other is ignored" in caplog.text
    services.gateways["gateway"].take([Receipt("delivered", message_id=message["id"])])
    assert (show(message)["state"], show(message)["receipt"]["status"]) == ("sent", "delivered")


# Long texts whose references are not known yet


def test_a_receipt_for_one_part_that_comes_before_the_references_does_not_settle_a_long_text(
    send, deliver, take, show, gateway, events
) -> None:
    states = []

    def act(outbound: OutboundMessage) -> Taken:
        take(Receipt("delivered", message_id=outbound.id, reference="part-1"))
        states.append(show({"id": outbound.id})["state"])
        return Taken(("part-1", "part-2"))

    gateway.act = act
    message = send(body=TWO_SMS, origin="Acme")
    deliver()
    assert states == ["unconfirmed"]
    assert "receipt" not in show(message)
    take(Receipt("delivered", message_id=message["id"], reference="part-2"))
    assert show(message)["receipt"]["status"] == "delivered"
    assert events() == ["message.sent", "message.delivered"]


@pytest.mark.parametrize("outcome", [Taken(), Doubt()])
def test_a_receipt_for_a_whole_long_text_that_comes_during_the_attempt_is_applied_after_it(
    send, deliver, take, show, gateway, events, outcome
) -> None:
    def act(outbound: OutboundMessage) -> object:
        take(Receipt("delivered", message_id=outbound.id, reference="ref-9"))
        return outcome

    gateway.act = act
    message = send(body=TWO_SMS)
    deliver()
    assert (show(message)["state"], show(message)["receipt"]["status"]) == ("sent", "delivered")
    assert events() == ["message.sent", "message.delivered"]
