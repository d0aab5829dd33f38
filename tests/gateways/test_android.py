"""Tests of the gateway `android`: what it sends to the app, and what it makes of the answers."""

import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from phonify.gateways.android import AndroidGateway
from phonify.gateways.base import GatewayFault, Later, OutboundMessage, Outcome, Refused, Taken
from phonify.gateways.events import Receipt
from phonify.gateways.variables import Secret
from tests.gateways.contract import GatewayContract, check, make_message, send
from tests.support.android_callbacks import DEVICE, OTHER_DEVICE, PASSWORD, USERNAME
from tests.support.android_server import BROKEN, QUEUE_FULL, REFUSED, AndroidServer, serving
from tests.support.receivers import Receiver, status
from tests.support.servers import find_free_port

PHONE = "+14560000000"
OWN = "+15005550006"


@pytest.fixture
def server() -> Iterator[AndroidServer]:
    with serving() as server:
        yield server


def make_gateway(server: AndroidServer, **variables: str) -> AndroidGateway:
    """Return a gateway with other variables: an empty text is a missing variable."""
    given = {f"PHONIFY_ANDROID_{name}": value for name, value in variables.items() if name != "PUBLIC_URL"}
    return AndroidGateway.from_environ(
        {**server.environ, "PHONIFY_PUBLIC_URL": variables.get("PUBLIC_URL", "https://sms.example.org"), **given}
    )


@pytest.fixture
def gateway(server: AndroidServer) -> AndroidGateway:
    return make_gateway(server)


def send_one(gateway: AndroidGateway, message: OutboundMessage) -> Outcome:
    ((_, outcome),) = send(gateway, message)
    return outcome


class TestAndroid(GatewayContract):
    name = "android"
    outcomes: ClassVar = {PHONE: Taken, REFUSED: Refused, QUEUE_FULL: Later, BROKEN: Later}
    refused_sender = "SHOP"

    @pytest.fixture
    def gateway(self, server: AndroidServer) -> AndroidGateway:
        return make_gateway(server, NUMBER=OWN)


# Sending


def test_a_message_is_sent_under_its_own_id_through_the_chosen_device(
    gateway: AndroidGateway, server: AndroidServer
) -> None:
    message = make_message(PHONE, body="Hej 🎉")._replace(validity=3600.9)
    assert send_one(gateway, message) == Taken()
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/3rdparty/v1/messages")
    assert seen.query == {"skipPhoneValidation": ["true"]}
    assert seen.content == {
        "id": message.id,
        "deviceId": DEVICE,
        "phoneNumbers": [PHONE],
        "textMessage": {"text": "Hej 🎉"},
        "ttl": 3600,
        "withDeliveryReport": True,
    }


def test_the_ttl_is_the_rest_of_the_validity_at_each_attempt_and_at_least_five_seconds(
    gateway: AndroidGateway, server: AndroidServer
) -> None:
    for number, validity in enumerate([86_400.0, 61.2, 0.4]):
        send_one(gateway, make_message(PHONE, number)._replace(validity=validity))
    assert [seen.content["ttl"] for seen in server.seen] == [86_400, 61, 5]


def test_a_chosen_sim_is_in_the_request(server: AndroidServer) -> None:
    send_one(make_gateway(server, SIM="2"), make_message(PHONE))
    assert server.seen[0].content["simNumber"] == 2


def test_a_message_that_the_app_has_already_is_taken(gateway: AndroidGateway, server: AndroidServer) -> None:
    assert [send_one(gateway, make_message(PHONE, attempt=attempt)) for attempt in (1, 2, 3)] == [Taken()] * 3
    assert len(server.messages) == 1


def test_a_message_without_an_answer_is_sent_again_under_its_id_and_then_it_is_taken_once(
    gateway: AndroidGateway, server: AndroidServer
) -> None:
    message = make_message(PHONE)
    server.answer_late = True
    ((_, outcome),) = gateway.send([message], time.monotonic() + 1)
    assert isinstance(outcome, Later)
    assert not outcome.pause
    server.answer_late = False
    assert send_one(gateway, message) == Taken()
    assert [id_ for id_, _ in server.messages] == [message.id]


def test_without_a_device_the_server_would_take_a_message_twice(server: AndroidServer) -> None:
    # This is why the device must be named.
    gateway = AndroidGateway(server.url, USERNAME, Secret(PASSWORD))
    for _ in range(2):
        send_one(gateway, make_message(PHONE))
    assert {device for _, device in server.messages} == {DEVICE, OTHER_DEVICE}


def test_an_unknown_device_pauses_the_gateway_because_no_message_can_be_sent(server: AndroidServer) -> None:
    outcome = send_one(make_gateway(server, DEVICE="gone"), make_message(PHONE))
    assert outcome == Later(pause=True, reason="the app does not know the device; check PHONIFY_ANDROID_DEVICE")


def test_a_wrong_password_pauses_the_gateway(server: AndroidServer) -> None:
    outcome = send_one(make_gateway(server, PASSWORD="wrong"), make_message(PHONE))
    assert isinstance(outcome, Later)
    assert outcome.pause
    assert "PHONIFY_ANDROID_PASSWORD" in outcome.reason


@pytest.mark.parametrize("code", [302, 401, 403, 404, 405, 429, 502, 503, 504])
def test_a_status_that_concerns_all_messages_pauses_the_gateway(
    gateway: AndroidGateway, server: AndroidServer, code: int
) -> None:
    server.status = code
    outcome = send_one(gateway, make_message(PHONE))
    assert isinstance(outcome, Later)
    assert outcome.pause


@pytest.mark.parametrize("code", [408, 418, 500])
def test_a_status_that_leaves_it_open_whether_the_message_was_taken_leads_to_another_attempt(
    gateway: AndroidGateway, server: AndroidServer, code: int
) -> None:
    server.status = code
    outcome = send_one(gateway, make_message(PHONE))
    assert outcome == Later(reason=f"the app answered with the status {code}", unsure=True)


def test_a_full_queue_waits_as_long_as_the_server_says(gateway: AndroidGateway, receiver: Receiver) -> None:
    receiver.act = status(503, "Retry-After: 40")
    outcome = send_one(make_gateway_at(receiver.url), make_message(PHONE))
    assert isinstance(outcome, Later)
    assert (outcome.retry_after, outcome.pause) == (40, True)


@pytest.mark.parametrize(
    "body", ["", "<html>Log in to this network</html>", "[]", "{}", '{"id": "another"}', "[" * 9999]
)
def test_an_answer_that_is_not_that_of_the_app_takes_no_message(receiver: Receiver, body: str) -> None:
    receiver.act = status(200, body=body)
    outcome = send_one(make_gateway_at(receiver.url), make_message(PHONE))
    assert outcome == Later(pause=True, reason="the answer does not come from the app; check PHONIFY_ANDROID_URL")


def test_a_phone_that_can_not_be_reached_pauses_the_gateway() -> None:
    outcome = send_one(make_gateway_at(nowhere()), make_message(PHONE))
    assert outcome == Later(pause=True, reason="the connection was refused")


@pytest.mark.parametrize(
    ("text", "error_type"),
    [
        ("can't use phone in row 1: invalid phone number", "invalid_number"),
        ("message already expired", "validity_expired"),
        ("Text message is empty", "delivery_failed"),
        ("", "delivery_failed"),
    ],
)
def test_a_refusal_is_final_and_its_text_decides_the_error_type(receiver: Receiver, text: str, error_type: str) -> None:
    receiver.act = status(400, body='{"message": "%s"}' % text)
    assert send_one(make_gateway_at(receiver.url), make_message(PHONE)) == Refused(error_type, code=text)


def test_the_code_of_a_refusal_has_no_number(gateway: AndroidGateway) -> None:
    outcome = send_one(gateway, make_message(REFUSED))
    assert outcome == Refused("invalid_number", code="can't use phone in row 1: invalid phone number *")


def nowhere() -> str:
    """Return a URL where nothing answers."""
    return f"http://127.0.0.1:{find_free_port()}/3rdparty/v1"


def make_gateway_at(url: str) -> AndroidGateway:
    environ = {"URL": url, "USERNAME": "phonify", "PASSWORD": PASSWORD, "DEVICE": DEVICE}
    return AndroidGateway.from_environ({f"PHONIFY_ANDROID_{name}": value for name, value in environ.items()})


# Senders


@pytest.mark.parametrize("origin", ["+15005550007", "12345", "SHOP"])
def test_only_the_number_of_the_phone_can_be_the_sender(server: AndroidServer, origin: str) -> None:
    gateway = make_gateway(server, NUMBER=OWN)
    assert check(gateway, PHONE) is None
    assert gateway.check(PHONE, origin, "Hello") == Refused("sender_not_permitted")


def test_without_the_number_of_the_phone_any_number_can_be_the_sender(gateway: AndroidGateway) -> None:
    assert gateway.check(PHONE, "+15005550007", "Hello") is None
    assert gateway.check(PHONE, "SHOP", "Hello") == Refused("sender_not_permitted")


# Looking up


def test_a_message_that_is_stuck_has_no_receipt_until_the_phone_has_sent_it(
    gateway: AndroidGateway, server: AndroidServer
) -> None:
    message = make_message(PHONE)
    assert gateway.look_up(message, ()) == ()  # the app does not have it
    send_one(gateway, message)
    assert gateway.look_up(message, ()) == []
    server.advance(message.id, "Processed")
    assert gateway.look_up(message, ()) == []
    server.advance(message.id, "Sent")
    (receipt,) = gateway.look_up(message, ())
    assert (receipt.status, receipt.message_id, receipt.partial) == ("sent", message.id, False)
    assert receipt.at is not None
    server.advance(message.id, "Delivered")
    (receipt,) = gateway.look_up(message, ())
    assert (receipt.status, receipt.partial) == ("delivered", False)


@pytest.mark.parametrize(
    ("state", "reason", "error_type"),
    [
        ("Failed", "TTL expired", "validity_expired"),
        ("Failed", None, "delivery_failed"),
        ("Cancelled", None, "canceled"),
    ],
)
def test_a_message_that_has_failed_is_undelivered(
    gateway: AndroidGateway, server: AndroidServer, state: str, reason: str | None, error_type: str
) -> None:
    message = make_message(PHONE)
    send_one(gateway, message)
    server.advance(message.id, state, reason=reason)
    (receipt,) = gateway.look_up(message, ())
    assert receipt._replace(at=None) == Receipt(
        "undelivered", message_id=message.id, error_type=error_type, code=reason or ""
    )


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "another", "state": "Sent"}'])
def test_an_answer_without_the_message_says_nothing_about_it(receiver: Receiver, body: str) -> None:
    receiver.act = status(200, body=body)
    with pytest.raises(GatewayFault):
        make_gateway_at(receiver.url).look_up(make_message(PHONE), ())


@pytest.mark.parametrize(
    "rest", ['"state": 7', '"state": []', '"state": "New"', '"state": "Failed", "recipients": [7], "states": []']
)
def test_an_unknown_state_is_no_delivery(receiver: Receiver, rest: str) -> None:
    message = make_message(PHONE)
    receiver.act = status(200, body=f'{{"id": "{message.id}", {rest}}}')
    assert {receipt.status for receipt in make_gateway_at(receiver.url).look_up(message, ())} <= {"undelivered"}


@pytest.mark.parametrize("code", [401, 500])
def test_a_look_up_that_is_refused_is_a_fault(gateway: AndroidGateway, server: AndroidServer, code: int) -> None:
    server.status = code
    with pytest.raises(GatewayFault):
        gateway.look_up(make_message(PHONE), ())
