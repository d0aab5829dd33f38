"""Compares the gateway `android` and its replacement server with the Python client that the app's vendor publishes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from android_sms_gateway import APIClient, Message, TextMessage
from android_sms_gateway.domain import MessageState, Webhook
from android_sms_gateway.enums import ProcessState, WebhookEvent
from android_sms_gateway.errors import APIError, BadRequestError, ServiceUnavailableError, UnauthorizedError
from android_sms_gateway.webhooks import SmsReceivedPayload

from phonify.gateways.android import AndroidGateway
from phonify.gateways.android_callbacks import EVENTS
from phonify.gateways.base import Taken
from phonify.gateways.events import Receipt, Received
from tests.gateways.contract import make_message, send
from tests.support.android_callbacks import DEVICE, PASSWORD, TEXT, USERNAME, hear, make_callback, make_hook
from tests.support.android_server import QUEUE_FULL, REFUSED, AndroidServer, serving

PHONE = "+14560000000"


@pytest.fixture
def server() -> Iterator[AndroidServer]:
    with serving() as server:
        yield server


@pytest.fixture
def gateway(server: AndroidServer) -> AndroidGateway:
    return AndroidGateway.from_environ({**server.environ, "PHONIFY_PUBLIC_URL": "https://sms.example.org"})


@pytest.fixture
def client(server: AndroidServer) -> Iterator[APIClient]:
    with APIClient(USERNAME, PASSWORD, base_url=server.url) as client:
        yield client


def make_theirs(to: str = PHONE, **others: Any) -> Message:
    return Message(phone_numbers=[to], text_message=TextMessage("Hej 🎉"), **others)


# Requests and callbacks


@pytest.mark.parametrize("sim", [0, 2])
def test_the_client_makes_the_same_request(sim: int, server: AndroidServer, client: APIClient) -> None:
    gateway = AndroidGateway.from_environ({**server.environ, "PHONIFY_ANDROID_SIM": str(sim)})
    message = make_message(PHONE, body="Hej 🎉")._replace(validity=3600)
    send(gateway, message)
    theirs = make_theirs(id="another", device_id=DEVICE, ttl=3600, sim_number=sim or None)
    client.send(theirs, skip_phone_validation=True)
    ours, of_client = server.seen
    assert ours._replace(content=None) == of_client._replace(content=None)
    # These two are the defaults of the API.
    assert {**ours.content, "id": "another", "isEncrypted": False, "priority": 0} == of_client.content


def test_the_client_reads_the_same_text_in_a_callback() -> None:
    payload = {**TEXT, "phoneNumber": TEXT["sender"], "recipient": "+46701234567"}
    theirs = SmsReceivedPayload.from_dict(json.loads(json.dumps(payload)))
    (ours,) = hear(make_callback("sms:received", payload))
    assert isinstance(ours, Received)
    assert (ours.sender, ours.body, ours.at, ours.to) == (
        theirs.sender,
        theirs.message,
        theirs.received_at,
        theirs.recipient,
    )


def test_the_client_knows_the_same_events() -> None:
    assert set(EVENTS) <= {event.value for event in WebhookEvent}


def test_the_client_reads_the_webhooks_that_the_gateway_registers(
    gateway: AndroidGateway, server: AndroidServer, client: APIClient
) -> None:
    gateway.register()
    webhooks = client.get_webhooks()
    assert [webhook.event.value for webhook in webhooks] == list(EVENTS)
    assert [webhook.asdict() for webhook in webhooks] == list(server.webhooks.values())


def test_the_client_reads_each_state_as_the_gateway_reads_it(
    gateway: AndroidGateway, server: AndroidServer, client: APIClient
) -> None:
    message = make_message(PHONE)
    send(gateway, message)
    expected = {"Pending": [], "Processed": [], "Sent": ["sent"], "Failed": ["undelivered"]}
    for state, statuses in expected.items():
        if state != "Pending":
            server.advance(message.id, state, reason="Unknown" if state == "Failed" else None)
        theirs = client.get_state(message.id)
        assert (theirs.id, theirs.state, theirs.device_id) == (message.id, ProcessState(state), DEVICE)
        assert [receipt.status for receipt in gateway.look_up(message, ())] == statuses
    (receipt,) = gateway.look_up(message, ())
    assert receipt.code == theirs.recipients[0].error


# The replacement server


def test_the_client_works_with_the_server_and_shares_its_ids_with_the_gateway(
    gateway: AndroidGateway, client: APIClient
) -> None:
    message = make_message(PHONE)
    state = client.send(make_theirs(id=message.id, device_id=DEVICE))
    assert isinstance(state, MessageState)
    assert (state.id, state.state, state.recipients[0].phone_number) == (message.id, ProcessState.Pending, PHONE)
    assert send(gateway, message) == [(message.id, Taken())]
    with pytest.raises(APIError) as caught:
        client.send(make_theirs(id=message.id, device_id=DEVICE))
    assert caught.value.status_code == 409


def test_the_client_gets_errors_of_its_kinds_from_the_server(server: AndroidServer, client: APIClient) -> None:
    with pytest.raises(BadRequestError):
        client.send(make_theirs(REFUSED))
    with pytest.raises(BadRequestError):
        client.send(make_theirs(device_id="gone"))
    with pytest.raises(ServiceUnavailableError):
        client.send(make_theirs(QUEUE_FULL))
    with APIClient(USERNAME, "wrong", base_url=server.url) as stranger, pytest.raises(UnauthorizedError):
        stranger.list_devices()


def test_the_client_lists_the_devices_and_registers_webhooks(server: AndroidServer, client: APIClient) -> None:
    assert {device.id: device.name for device in client.list_devices()} == server.devices
    webhook = Webhook("mine", "https://sms.example.org/hook", WebhookEvent.SMS_SENT, DEVICE)
    assert client.create_webhook(webhook) == webhook
    assert client.get_webhooks() == [webhook]


def test_the_callbacks_of_the_server_are_those_that_the_client_reads(
    gateway: AndroidGateway, server: AndroidServer, client: APIClient
) -> None:
    gateway.register()
    server.receive("+46700000001", "Hej")
    state = client.send(make_theirs(id=make_message(PHONE).id, device_id=DEVICE))
    server.advance(state.id, "Failed", reason="TTL expired")
    text, failure = server.callbacks
    assert WebhookEvent(text["event"]) is WebhookEvent.SMS_RECEIVED
    assert SmsReceivedPayload.from_dict(text["payload"]).message == "Hej"
    assert WebhookEvent(failure["event"]) is WebhookEvent.SMS_FAILED
    (receipt,) = gateway.hear(make_hook(failure)).events
    assert isinstance(receipt, Receipt)
    assert receipt.error_type == "validity_expired"
