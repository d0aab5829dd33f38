"""The Twilio-compatible API: the statuses of messages that a real gateway sends, by their delivery receipts."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from phonify.gateways.base import Doubt, Later, Outcome, Refused, Taken
from phonify.gateways.events import Receipt
from tests.support.fake_gateway import OnceGateway
from tests.support.receivers import Receiver
from tests.support.twilio import TwilioApi, list_statuses, read_form

THEN, LATER = "Sat, 31 Jan 2026 09:30:00 +0000", "Sat, 31 Jan 2026 09:31:40 +0000"


class Real:
    """An app with a gateway that really sends, and one message in it."""

    def __init__(self, app: Flask, gateway: OnceGateway, receiver: Receiver) -> None:
        self.services = app.extensions["phonify"]
        self.gateway = gateway
        self.api = TwilioApi(app)
        self.receiver = receiver
        self.messages, self.webhooks = self.services.make_message_loop(), self.services.make_webhook_loop()
        self.outcome: Outcome = Taken(("ref-1",))
        gateway.act = lambda _: self.outcome

    def create(self, **parameters: Any) -> None:
        self.created = self.api.create(StatusCallback=self.receiver.url, **parameters)
        self.messages.deliver_due()

    def take(self, receipt: Receipt) -> None:
        self.services.gateways["gateway"].take([receipt])

    @property
    def message_id(self) -> str:
        (found,) = self.api.app.test_client().get("/v1/messages").get_json()["messages"]
        return str(found["id"])

    @property
    def shown(self) -> dict[str, Any]:
        return self.api.get(self.created["uri"])

    @property
    def status(self) -> tuple[str, int | None]:
        return self.shown["status"], self.shown["error_code"]

    @property
    def told(self) -> list[str]:
        """The statuses that were told until now."""
        while self.webhooks.deliver_due():
            pass
        return list_statuses(self.receiver.received)


@pytest.fixture
def real(make_app: Callable[..., Flask], receiver: Receiver) -> Real:
    gateway = OnceGateway()
    return Real(make_app(gateway, TWILIO="on", WEBHOOK_PRIVATE="on"), gateway, receiver)


def test_without_a_receipt_a_message_is_sent(real: Real) -> None:
    real.create()
    shown = real.shown
    assert (shown["status"], shown["date_sent"], shown["date_updated"]) == ("sent", THEN, THEN)
    assert real.told == ["sent"]


def test_a_receipt_makes_a_message_delivered(real: Real, clock) -> None:
    real.create()
    clock.advance(100)
    real.take(Receipt("delivered", reference="ref-1"))
    shown = real.shown
    assert (shown["status"], shown["error_code"]) == ("delivered", None)
    assert (shown["date_sent"], shown["date_updated"]) == (THEN, LATER)
    assert real.told == ["sent", "delivered"]
    assert read_form(real.receiver.received[-1])["RawDlrDoneDate"] == "2601310931"


@pytest.mark.parametrize(("code", "shown"), [("", 30008), ("EXPIRED 17", 30008), ("30005", 30005), ("1", 30008)])
def test_a_receipt_makes_a_message_undelivered_with_a_code(real: Real, code: str, shown: int) -> None:
    real.create()
    real.take(Receipt("undelivered", reference="ref-1", code=code))
    assert real.status == ("undelivered", shown)
    assert real.told == ["sent", "undelivered"]
    assert read_form(real.receiver.received[-1])["ErrorCode"] == str(shown)


@pytest.mark.parametrize(
    ("receipt", "status", "told"),
    [
        (Receipt("sent"), ("sent", None), ["sent"]),
        (Receipt("delivered"), ("delivered", None), ["sent", "delivered"]),
        (Receipt("undelivered", error_type="unknown_handset"), ("undelivered", 30005), ["sent", "undelivered"]),
        (Receipt("undelivered", error_type="queue_overflow"), ("failed", 30001), ["sent", "failed"]),
    ],
)
def test_a_receipt_ends_a_doubt_and_no_status_is_told_twice(
    real: Real, receipt: Receipt, status: tuple[str, int | None], told: list[str]
) -> None:
    real.outcome = Doubt()
    real.create()
    assert (real.status, real.told) == (("sent", None), ["sent"])
    real.take(receipt._replace(message_id=real.message_id))
    real.messages.deliver_due()
    assert (real.status, real.told) == (status, told)


@pytest.mark.parametrize("statuses", [["delivered", "undelivered"], ["undelivered", "delivered"], ["delivered"] * 3])
def test_only_the_first_final_receipt_is_told(real: Real, statuses: list[Any]) -> None:
    real.create()
    for number, status in enumerate(statuses):
        real.take(Receipt(status, reference="ref-1", event_id=str(number)))
    assert real.told == ["sent", statuses[0]]


def test_a_receipt_after_the_end_of_the_validity_is_not_told(real: Real, clock) -> None:
    real.outcome = Doubt()
    real.create(ValidityPeriod="60")
    clock.advance(61)
    real.messages.deliver_due()
    real.take(Receipt("delivered", message_id=real.message_id))
    assert (real.status, real.told) == (("failed", 30036), ["sent", "failed"])


def test_a_receipt_before_the_answer_of_the_provider_is_told_in_order(real: Real) -> None:
    def act(outbound: Any) -> Outcome:
        real.take(Receipt("delivered", message_id=outbound.id))
        return Taken(("ref-1",))

    real.gateway.act = act
    real.create()
    assert (real.status, real.told) == (("delivered", None), ["sent", "delivered"])


def test_a_message_that_the_provider_refuses_is_told_as_before(real: Real) -> None:
    real.outcome = Refused("cannot_receive_sms")
    real.create()
    assert (real.status, real.told) == (("undelivered", 30006), ["sent", "undelivered"])


def test_a_scheduled_message_that_could_not_be_sent_in_time_tells_all_its_statuses(real: Real, clock) -> None:
    real.outcome = Later()
    service = {"MessagingServiceSid": "MG" + "a" * 32, "ScheduleType": "fixed", "SendAt": "2026-01-31T10:00:00Z"}
    real.create(ValidityPeriod="60", **service)
    for seconds in (1_800, 30, 31):
        clock.advance(seconds)
        real.messages.deliver_due()
    assert real.told == ["queued", "failed"]


def test_a_list_shows_the_receipts_too(real: Real) -> None:
    real.create()
    real.take(Receipt("delivered", reference="ref-1"))
    (shown,) = real.api.list()["messages"]
    assert shown == real.shown


def test_the_stub_s_undelivered_message_has_a_code(twilio: TwilioApi, deliver: Callable[[], int]) -> None:
    created = twilio.create(To="+15005550013")
    deliver()
    shown = twilio.get(created["uri"])
    assert (shown["status"], shown["error_code"]) == ("undelivered", 30003)
    assert shown["error_message"] == "Unreachable destination handset"
