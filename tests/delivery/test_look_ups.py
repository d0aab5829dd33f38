"""Tests of look-ups: what becomes of messages that are in doubt or have no receipt."""

from collections.abc import Sequence

import pytest

from phonify.domain.receipts import LOOK_UP_DOUBT
from phonify.gateways.base import Doubt, OutboundMessage, Taken
from phonify.gateways.events import Receipt
from tests.support.fake_gateway import FakeGateway


class Asked(FakeGateway):
    """A gateway that is asked about messages."""

    can_look_up = True
    repeatable = False

    def __init__(self, *answers: Sequence[Receipt]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[tuple[str, Sequence[str]]] = []

    def look_up(self, message: OutboundMessage, references: Sequence[str]) -> Sequence[Receipt]:
        self.asked.append((message.id, list(references)))
        return self.answers.pop(0) if self.answers else ()


def test_a_message_in_doubt_is_looked_up_until_it_is_known(make_app, clock) -> None:
    gateway = Asked([], [Receipt("sent", reference="ref-9")], [Receipt("delivered")])
    gateway.act = lambda _: Doubt()
    app = make_app(gateway)
    client, services = app.test_client(), app.extensions["phonify"]
    message = client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).get_json()["message"]
    services.make_message_loop().deliver_due()
    look_ups = services.gateways["gateway"].make_look_ups()
    assert look_ups.step() == 0

    states = []
    for seconds in (LOOK_UP_DOUBT.total_seconds(), 30, 120, 600):
        clock.advance(seconds)
        look_ups.step()
        shown = client.get(f"/v1/messages/{message['id']}").get_json()["message"]
        states.append((shown["state"], shown.get("receipt", {}).get("status")))

    assert states == [("unconfirmed", None), ("sent", None), ("sent", "delivered"), ("sent", "delivered")]
    assert [id_ for id_, _ in gateway.asked] == [message["id"]] * 3


def test_a_message_without_a_receipt_is_looked_up_by_the_id_of_the_provider(make_app, clock) -> None:
    gateway = Asked([Receipt("delivered")])
    gateway.act = lambda _: Taken(("ref-1",))
    app = make_app(gateway)
    client, services = app.test_client(), app.extensions["phonify"]
    client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})
    services.make_message_loop().deliver_due()
    clock.advance(601)
    assert services.gateways["gateway"].make_look_ups().step() == 1
    assert [references for _, references in gateway.asked] == [["ref-1"]]


def test_a_look_up_that_fails_is_repeated_later(make_app, clock, caplog) -> None:
    class Broken(Asked):
        def look_up(self, message: OutboundMessage, references: Sequence[str]) -> Sequence[Receipt]:
            super().look_up(message, references)
            raise RuntimeError("broken")

    gateway = Broken()
    gateway.act = lambda _: Doubt()
    app = make_app(gateway)
    services = app.extensions["phonify"]
    app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})
    services.make_message_loop().deliver_due()
    look_ups = services.gateways["gateway"].make_look_ups()
    for seconds in (16, 31):
        clock.advance(seconds)
        look_ups.step()
    assert len(gateway.asked) == 2
    assert "look-up failed unexpectedly" in caplog.text


def test_each_gateway_is_asked_only_about_its_own_messages(make_app, clock) -> None:
    class Other(Asked):
        name = "other"

    first, second = Asked(), Other()
    for gateway in (first, second):
        gateway.act = lambda _: Doubt()
        app = make_app(gateway)
        app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": gateway.name})
        app.extensions["phonify"].make_message_loop().deliver_due()
    clock.advance(16)
    assert app.extensions["phonify"].gateways["other"].make_look_ups().step() == 1
    assert (len(first.asked), len(second.asked)) == (0, 1)


@pytest.mark.parametrize("looked_up", [0, 1])
def test_a_look_up_does_not_wait_for_a_clock_that_was_set_back(make_app, clock, looked_up: int) -> None:
    gateway = Asked()
    gateway.act = lambda _: Doubt()
    app = make_app(gateway)
    services = app.extensions["phonify"]
    app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})
    services.make_message_loop().deliver_due()
    look_ups = services.gateways["gateway"].make_look_ups()
    for _ in range(looked_up):
        clock.advance(16)
        look_ups.step()
    clock.advance(-86_400)
    services.make_upkeep().follow_clock()
    clock.advance(6 * 3_600 if looked_up else 600)
    assert look_ups.step() == 1
