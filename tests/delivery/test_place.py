"""Tests of a repeatable gateway whose place changes: another phone would not recognise a repeated message."""

import pytest

from phonify.gateways.base import Later, Outcome, Taken
from tests.gateways.test_android import make_gateway
from tests.support.android_server import serving
from tests.support.fake_gateway import FakeGateway, act_as


class Phone(FakeGateway):
    """A gateway that keeps the ids of messages on a device."""

    def __init__(self, device: str, outcome: Outcome) -> None:
        super().__init__(act_as(outcome))
        self.device = device

    @property
    def place(self) -> str:
        return f"gateway {self.device}"


@pytest.mark.parametrize(
    ("outcome", "state", "handed"),
    [
        (Later(unsure=True), "in doubt", 0),
        (Later(unsure=True, pause=True), "in doubt", 0),
        (Later(), "sent", 1),
        (Later(pause=True), "sent", 1),
    ],
)
def test_another_phone_gets_only_what_the_former_one_surely_has_not_taken(
    make_app, clock, deliver, outcome: Later, state: str, handed: int
) -> None:
    app = make_app(Phone("first", outcome))
    app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})
    deliver(app)
    clock.advance(120)
    second = Phone("second", Taken())
    changed = make_app(second)
    deliver(changed)
    assert len(second.handed) == handed
    (message,) = changed.test_client().get("/v1/messages").get_json()["messages"]
    explained = changed.test_cli_runner().invoke(args=["explain", message["id"]]).output
    assert (message["state"] == "sent") is (state == "sent")
    status = changed.extensions["phonify"].gateways["gateway"].get_status()
    assert status.queue.in_doubt == (state == "in doubt")
    assert ("Phonify does not send the message again" in explained) is (state == "in doubt")


def test_the_same_phone_gets_a_message_again_whose_outcome_is_unknown(make_app, clock, deliver) -> None:
    app = make_app(Phone("first", Later(unsure=True)))
    message = app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).get_json()["message"]
    deliver(app)
    explained = app.test_cli_runner().invoke(args=["explain", message["id"]]).output
    unknown = "nobody knows whether the gateway accepted the message. Phonify sends the message again."
    repeated = "The gateway recognises repeated messages, so the phone gets the message only once"
    assert f"Attempt 1: {unknown} {repeated}" in explained
    clock.advance(120)
    again = Phone("first", Taken())
    assert deliver(make_app(again)) == 1
    assert [one.attempt for one in again.handed] == [2]


def test_the_place_of_android_is_its_app_and_its_device() -> None:
    with serving() as server:
        places = {make_gateway(server, DEVICE=device).place for device in ("dev1", "dev2")}
        assert len(places) == 2
        assert make_gateway(server, DEVICE="dev1").place in places
