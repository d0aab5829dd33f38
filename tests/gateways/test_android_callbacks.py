"""Tests of the texts and receipts that the gateway `android` hears."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from phonify.errors import ERROR_TYPES, Kind
from phonify.gateways.android import AndroidGateway
from phonify.gateways.android_callbacks import read_reason
from phonify.gateways.events import Receipt, Received
from tests.gateways.contract import make_message, send
from tests.support.android_callbacks import (
    MESSAGE,
    OWN,
    REASONS,
    TEXT,
    hear,
    hear_receipt,
    hear_text,
    make_callback,
    make_hook,
)
from tests.support.android_server import AndroidServer, serving

# Received texts


def test_a_text_is_received() -> None:
    received = hear_text()
    assert received._replace(event_id="") == Received(
        sender="+46700000001", body="Hej", event_id="", at=datetime(2026, 1, 31, 9, 29, 58, tzinfo=UTC)
    )


def test_a_sender_in_national_form_gets_the_country_of_the_phone() -> None:
    assert hear_text({"sender": "070-000 00 01"}).sender == "+46700000001"
    assert hear_text({"sender": "070-000 00 01"}, number=None).sender == "070-000 00 01"


@pytest.mark.parametrize("sender", ["Bank", "71000"])
def test_a_sender_that_is_no_number_stays_as_it_is(sender: str) -> None:
    assert hear_text({"sender": sender}).sender == sender


def test_old_versions_of_the_app_name_the_sender_only_as_phone_number() -> None:
    payload = {name: value for name, value in TEXT.items() if name != "sender"}
    (received,) = hear(make_callback("sms:received", {**payload, "phoneNumber": "0700000001"}))
    assert isinstance(received, Received)
    assert received.sender == "+46700000001"


@pytest.mark.parametrize(
    ("recipient", "to"),
    [(None, None), ("", None), ("0707654321", "+46707654321"), ("+1500", "+1500"), ("?", None), (7, None)],
)
def test_the_recipient_is_the_number_that_the_sim_tells_or_else_that_of_the_gateway(
    recipient: object, to: str | None
) -> None:
    assert hear_text({"recipient": recipient}).to == to


def test_a_text_that_comes_again_under_another_event_id_is_the_same_text() -> None:
    again = make_callback("sms:received", {**TEXT, "messageId": "d4"}, id="ev2", webhookId="w2")
    (received,) = hear(again)
    assert received.event_id == hear_text().event_id


def test_the_same_moment_in_another_time_zone_is_the_same_text() -> None:
    assert hear_text({"receivedAt": "2026-01-31T09:29:58Z"}).event_id == hear_text().event_id


@pytest.mark.parametrize(
    "payload", [{"receivedAt": "2026-01-31T10:29:59.000+01:00"}, {"message": "hej"}, {"sender": "+46700000002"}]
)
def test_a_person_may_send_the_same_text_again(payload: dict[str, str]) -> None:
    # The app's messageId is made of the content. So it is not part of the comparison.
    assert hear_text(payload).event_id != hear_text().event_id


def test_without_a_time_the_event_id_tells_texts_apart() -> None:
    first, second = (hear(make_callback("sms:received", {**TEXT, "receivedAt": None}, id=id_))[0] for id_ in "ab")
    assert first.event_id != second.event_id


def test_a_text_of_the_other_sim_is_ignored_if_a_sim_is_chosen() -> None:
    assert hear(make_callback("sms:received", {**TEXT, "simNumber": 1}), sim=2) == []
    for sim_number in (2, None):
        assert hear_text({"simNumber": sim_number}, sim=2).body == "Hej"


def test_a_text_keeps_every_character_and_what_can_not_be_stored_is_replaced() -> None:
    text = "Hej 🎉 ñ €\n`"
    assert hear_text({"message": text}).body == text
    assert hear_text({"message": "a\0b\ud83c"}).body == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"


# Receipts


def test_a_sent_message_has_a_receipt() -> None:
    assert hear_receipt("sms:sent", {"sentAt": "2026-01-31T09:29:58Z"}) == Receipt(
        "sent", message_id=MESSAGE, at=datetime(2026, 1, 31, 9, 29, 58, tzinfo=UTC), event_id="ev1"
    )


def test_each_part_that_arrives_has_its_own_receipt() -> None:
    receipts = [hear_receipt("sms:delivered", id=id_) for id_ in ("ev1", "ev2", "ev2")]
    assert {(receipt.status, receipt.partial) for receipt in receipts} == {("delivered", True)}
    assert [receipt.event_id for receipt in receipts] == ["ev1", "ev2", "ev2"]


def test_a_receipt_that_comes_days_later_is_read() -> None:
    receipt = hear_receipt("sms:delivered", {"deliveredAt": "2026-01-24T09:29:58Z"})
    assert receipt.at == datetime(2026, 1, 24, 9, 29, 58, tzinfo=UTC)


def test_a_receipt_without_a_valid_time_is_of_now() -> None:
    assert [hear_receipt("sms:sent", {"sentAt": at}).at for at in (None, 7, "yesterday")] == [None] * 3


def test_receipts_of_messages_that_others_send_through_the_phone_are_ignored() -> None:
    assert hear(make_callback("sms:sent", {"messageId": "zXDYfTmTVf3iMd16zzdBj"})) == []


@pytest.mark.parametrize("reason", REASONS)
def test_the_reason_of_a_failure_decides_the_error_type(reason: str) -> None:
    receipt = hear_receipt("sms:failed", {"reason": reason})
    assert (receipt.status, receipt.error_type, receipt.partial) == ("undelivered", REASONS[reason], False)
    assert ERROR_TYPES[REASONS[reason]].kind is Kind.REFUSED


def test_the_code_of_a_failure_is_the_word_of_android_or_a_short_text_without_numbers() -> None:
    codes = [read_reason(reason)[1] for reason in REASONS]
    assert codes[:2] == ["RESULT_ERROR_LIMIT_EXCEEDED", "RESULT_RIL_REQUEST_RATE_LIMITED"]
    assert "Delivery result from SC *: 70" in codes
    assert "Can't send message: No SIMs found" in codes
    assert read_reason("x" * 101) == ("delivery_failed", "x" * 100)
    assert [read_reason(reason) for reason in (None, 7, "")] == [("delivery_failed", "")] * 3


def test_receipts_are_passed_on_in_the_order_in_which_they_come() -> None:
    receipts = [hear_receipt(event).status for event in ("sms:delivered", "sms:sent", "sms:failed")]
    assert receipts == ["delivered", "sent", "undelivered"]


# With the whole app


@pytest.fixture
def server() -> Iterator[AndroidServer]:
    with serving() as server:
        yield server


def test_a_message_in_two_parts_has_a_receipt_for_each_step_and_an_answer_comes_in(server: AndroidServer) -> None:
    gateway = AndroidGateway.from_environ(
        {**server.environ, "PHONIFY_PUBLIC_URL": "https://sms.example.org", "PHONIFY_ANDROID_NUMBER": OWN}
    )
    gateway.register()
    message = make_message("+46700000001", body="x" * 200)
    send(gateway, message)
    server.advance(message.id, "Processed")
    server.advance(message.id, "Sent")
    server.advance(message.id, "Delivered", times=2)
    server.receive("0700000001", "Thanks")
    events = [event for callback in server.callbacks for event in gateway.hear(make_hook(callback)).events]
    assert [getattr(event, "status", None) for event in events] == ["sent", "delivered", "delivered", None]
    assert {event.message_id for event in events if isinstance(event, Receipt)} == {message.id}
    assert isinstance(events[-1], Received)
    assert (events[-1].sender, events[-1].body) == ("+46700000001", "Thanks")
