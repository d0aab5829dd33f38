"""Tests of releasing: a message that the stub has caught is sent to its phone by the release gateway."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways import GATEWAYS
from phonify.gateways.base import Doubt, Refused
from phonify.gateways.events import Receipt
from phonify.schemas.requests import Draft
from phonify.services import Services
from tests.support.app import faults_of, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.twilio import TwilioApi

PHONE, OTHER = "+14560000001", "+14560000002"
HERE = {"Sec-Fetch-Site": "same-origin"}
HTMX = {**HERE, "HX-Request": "true"}


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setitem(GATEWAYS, "gateway", OnceGateway)
    return make_app(RELEASE_GATEWAY="gateway", ONLY_TO=PHONE)


@pytest.fixture
def gateway(services: Services) -> OnceGateway:
    gateway = services.gateways["gateway"].gateway
    assert isinstance(gateway, OnceGateway)
    return gateway


@pytest.fixture
def deliver_released(services: Services) -> Callable[[], int]:
    """Return a function that delivers the due messages of the release gateway."""
    return services.make_message_loop(running=services.gateways["gateway"]).deliver_due


@pytest.fixture
def caught(send: Callable[..., dict[str, Any]], deliver: Callable[[], int]) -> Callable[..., str]:
    """Return a function that sends a message into the sandbox. It returns the id."""

    def caught(to: str = PHONE, **arguments: Any) -> str:
        message = send(to, **arguments)
        deliver()
        return str(message["id"])

    return caught


@pytest.fixture
def count(execute: Callable[..., Any]) -> Callable[[], int]:
    return lambda: int(execute("SELECT count(*) FROM messages")[0][0])


def release(client: FlaskClient, message_id: str, **headers: str) -> Any:
    return client.post(f"/sandbox/messages/{message_id}/release", headers=headers)


def test_each_argument_of_a_request_is_copied_by_a_release_or_is_only_for_the_first_message(client, caught) -> None:
    copied = {"to": PHONE, "body": "Your code is 482193", "origin": "Acme"}
    only_for_the_first = {"send_at", "validity", "idempotency_key", "front", "front_name"}
    assert copied.keys() | only_for_the_first == set(Draft._fields) - {"released_id"}
    former = caught(**copied)
    released = release(client, former).get_json()["message"]
    first = client.get(f"/v1/messages/{former}").get_json()["message"]
    assert {name: released[name] for name in copied} == {name: first[name] for name in copied}
    assert (released["to"], released["body"], released["origin"]["number"]) == tuple(copied.values())


def test_a_released_message_is_a_new_one_that_the_release_gateway_sends(
    client, caught, deliver, deliver_released, gateway
) -> None:
    former = caught(origin="Acme", body="Your code is 482193")
    response = release(client, former)
    assert response.status_code == 201
    message = response.get_json()["message"]
    assert message["id"] != former
    assert (message["state"], message["to"], message["body"]) == ("unconfirmed", PHONE, "Your code is 482193")
    assert message["origin"]["number"] == "Acme"
    assert deliver() == 0
    assert gateway.handed == []
    assert deliver_released() == 1
    assert [(one.id, one.origin, one.to, one.body) for one in gateway.handed] == [
        (message["id"], "Acme", PHONE, "Your code is 482193")
    ]
    assert client.get(f"/v1/messages/{message['id']}").get_json()["message"]["state"] == "sent"
    assert client.get(f"/v1/messages/{former}").get_json()["message"]["state"] == "sent"


def test_what_an_app_sends_never_reaches_the_release_gateway(caught, deliver_released, gateway) -> None:
    caught()
    assert deliver_released() == 0
    assert gateway.handed == []


def test_the_history_of_a_released_message_names_the_gateway(client, caught, runner) -> None:
    released = release(client, caught()).get_json()["message"]
    assert "Released to the gateway gateway\n" in runner.invoke(args=["explain", released["id"]]).output


def test_a_receipt_is_shown_on_the_released_message(client, caught, deliver_released, services) -> None:
    released = release(client, caught()).get_json()["message"]
    deliver_released()
    services.gateways["gateway"].take([Receipt("delivered", message_id=released["id"])])
    shown = client.get(f"/v1/messages/{released['id']}").get_json()["message"]
    assert shown["receipt"]["status"] == "delivered"


def test_in_the_twilio_compatible_api_only_the_caught_message_is_delivered_at_once(
    client, caught, deliver_released, app
) -> None:
    release(client, caught())
    deliver_released()
    assert [one["status"] for one in TwilioApi(app).list()["messages"]] == ["sent", "delivered"]


@pytest.mark.parametrize("refusal", ["recipient_not_permitted", "opted_out", "quota_used_up"])
def test_a_release_that_is_refused_stores_nothing(client, caught, count, operator, refusal: str) -> None:
    if refusal == "quota_used_up":
        operator.set_limits(quota=1)
    message_id = caught(OTHER if refusal == "recipient_not_permitted" else PHONE)
    if refusal == "opted_out":
        client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    before = count()
    response = release(client, message_id)
    assert (response.status_code, faults_of(response)) == (402, [(refusal, None)])
    assert count() == before


def test_a_phone_that_opts_out_after_the_release_gets_nothing(client, caught, deliver_released, gateway, clock) -> None:
    released = release(client, caught()).get_json()["message"]
    clock.advance(1)
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    deliver_released()
    shown = client.get(f"/v1/messages/{released['id']}").get_json()["message"]
    assert [error["type"] for error in shown["errors"]] == ["opted_out"]
    assert gateway.handed == []


def test_without_a_release_gateway_nothing_is_released(make_app, clock) -> None:
    app = make_app()
    client = app.test_client()
    message = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    app.extensions["phonify"].make_message_loop().deliver_due()
    response = release(client, message["id"])
    assert (response.status_code, faults_of(response)) == (402, [("no_release_gateway", None)])
    assert release(client, "nothing").status_code == 404


def test_a_test_run_releases_nothing(app, client, deliver) -> None:
    run = client.post("/sandbox/runs").get_json()["run"]
    client.key = run["api_key"]
    message = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    deliver()
    response = release(client, message["id"])
    assert (response.status_code, faults_of(response)) == (402, [("run_cannot_release", None)])


def test_a_message_of_another_account_and_a_removed_one_are_404(client, stranger, caught) -> None:
    message_id = caught()
    assert release(stranger, message_id).status_code == 404
    client.delete("/sandbox/messages")
    assert release(client, message_id).status_code == 404
    assert release(client, "nothing").status_code == 404


def test_only_a_caught_message_is_released(client, send, deliver, caught, services) -> None:
    inbound = client.post("/sandbox/inbound", json={"from": PHONE, "to": "+15005550006", "body": "Hello"})
    failed = caught("+15005550004")
    released = release(client, caught()).get_json()["message"]["id"]
    scheduled = send(PHONE, send_at="2030-01-01T00:00:00Z")["id"]
    for message_id in (inbound.get_json()["message"]["id"], failed, released, scheduled):
        response = release(client, message_id)
        assert (response.status_code, faults_of(response)) == (402, [("message_not_releasable", None)])


def test_a_redacted_message_is_not_released(client, app, caught, deliver) -> None:
    twilio = TwilioApi(app)
    created = twilio.create(To=PHONE)
    deliver()
    twilio.call("POST", created["uri"], {"Body": ""})
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert faults_of(release(client, message["id"])) == [("message_not_releasable", None)]


# Idempotency


def test_an_idempotency_key_releases_a_message_once(client, caught, count, deliver_released) -> None:
    message_id = caught()
    first = release(client, message_id, **{"Idempotency-Key": "a"})
    deliver_released()
    again = release(client, message_id, **{"Idempotency-Key": "a"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json() == again.get_json()
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert count() == 2
    release(client, message_id, **{"Idempotency-Key": "b"})
    assert count() == 3


def test_a_key_of_another_request_is_409(client, caught, count) -> None:
    arguments = {"to": PHONE, "body": "Hello", "origin": "+15005550006"}
    client.post("/v1/messages", json=arguments, headers={"Idempotency-Key": "a"})
    messages = [caught(), caught()]
    release(client, messages[0], **{"Idempotency-Key": "b"})
    before = count()
    assert release(client, messages[0], **{"Idempotency-Key": "a"}).status_code == 409
    assert release(client, messages[1], **{"Idempotency-Key": "b"}).status_code == 409
    assert count() == before


def test_a_refused_release_may_be_tried_again_with_its_key(client, caught) -> None:
    message_id = caught()
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    assert release(client, message_id, **{"Idempotency-Key": "a"}).status_code == 402
    client.post("/sandbox/inbound", json={"from": PHONE, "to": "+15005550006", "body": "START"})
    assert release(client, message_id, **{"Idempotency-Key": "a"}).status_code == 201


@pytest.mark.parametrize("key", ["", "é", "x" * 256])
def test_a_wrong_key_is_400(client, caught, key: str) -> None:
    response = release(client, caught(), **{"Idempotency-Key": key})
    assert (response.status_code, faults_of(response)) == (400, [("invalid_idempotency_key", "Idempotency-Key")])


# The inbox


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, "test-key")
    return browser


def test_the_details_of_a_caught_message_have_a_button_that_releases_it(
    page, client, caught, deliver_released, gateway
) -> None:
    message_id = caught()
    path = f"/inbox/messages/{message_id}"
    assert f'action="{path}/release"' in page.get(path, headers=HERE).text
    response = page.post(f"{path}/release", headers=HERE)
    assert response.status_code == 303
    deliver_released()
    (handed,) = gateway.handed
    assert response.headers["Location"] == f"/inbox/messages/{handed.id}"
    assert "Release the message to the phone" not in page.get(f"/inbox/messages/{handed.id}", headers=HERE).text


def test_the_button_shows_the_new_message_in_place(page, caught, execute) -> None:
    message_id = caught()
    response = page.post(f"/inbox/messages/{message_id}/release", headers=HTMX)
    (new,) = execute("SELECT id FROM messages WHERE gateway = 'gateway'")
    assert f'id="details-{new[0]}"' in response.text


def test_a_second_click_sends_nothing_and_shows_the_message_of_the_first(page, caught, count, execute) -> None:
    message_id = caught()
    other_id = caught()
    page.post(f"/inbox/messages/{message_id}/release", headers=HTMX)
    (new,) = execute("SELECT id FROM messages WHERE gateway = 'gateway'")
    assert count() == 3
    again = page.post(f"/inbox/messages/{message_id}/release", headers=HTMX)
    assert f'id="details-{new[0]}"' in again.text
    from_another_tab = page.post(f"/inbox/messages/{message_id}/release", headers=HERE)
    assert from_another_tab.headers["Location"] == f"/inbox/messages/{new[0]}"
    assert count() == 3
    page.post(f"/inbox/messages/{other_id}/release", headers=HTMX)
    assert count() == 4


def test_the_button_shows_why_a_message_is_not_released(page, caught) -> None:
    response = page.post(f"/inbox/messages/{caught(OTHER)}/release", headers=HTMX)
    assert response.status_code == 400
    assert "This server sends only to the numbers that PHONIFY_ONLY_TO contains." in response.text


def test_the_copy_and_the_caught_message_name_each_other(page, client, caught, runner) -> None:
    caught_id = caught()
    assert "released" not in page.get(f"/inbox/phones/{PHONE}").text
    copy_id = release(client, caught_id).get_json()["message"]["id"]
    thread = page.get(f"/inbox/phones/{PHONE}").text
    assert re.findall(r'class="released" href="/inbox/messages/(\S+)" [^>]*>(.*?)</a>', thread) == [
        (copy_id, "released"),
        (caught_id, "released from the caught message"),
    ]
    listed = page.get("/inbox/search").text
    assert listed.count('<span class="pill">released copy</span>') == 1
    assert listed.count('<span class="pill">released</span>') == 1
    detail = page.get(f"/inbox/messages/{caught_id}", headers=HTMX).text
    assert f'href="/inbox/messages/{copy_id}"' in detail
    assert "Release the message to the phone" not in detail
    assert f'href="/inbox/messages/{caught_id}"' in page.get(f"/inbox/messages/{copy_id}", headers=HTMX).text
    assert f"Copy of the released message {caught_id}\n" in runner.invoke(args=["explain", copy_id]).output


def test_an_open_thread_shows_that_a_message_was_released(page, client, caught) -> None:
    message_id = caught()
    address = f"/inbox/phones/{PHONE}/messages?since=1"
    etag = page.get(address, headers=HTMX).headers["ETag"]
    release(client, message_id)
    changed = page.get(address, headers={**HTMX, "If-None-Match": etag})
    assert (changed.status_code, ">released</a>" in changed.text) == (200, True)


def test_a_copy_that_has_failed_may_be_released_again(page, caught, deliver_released, gateway, count) -> None:
    gateway.act = lambda _: Refused("cannot_receive_sms")
    message_id = caught()
    page.post(f"/inbox/messages/{message_id}/release", headers=HTMX)
    deliver_released()
    assert "Release the message to the phone once more" in page.get(f"/inbox/messages/{message_id}", headers=HTMX).text
    page.post(f"/inbox/messages/{message_id}/release", headers=HTMX)
    assert count() == 3


def test_a_message_to_a_number_that_gets_none_has_no_button_but_the_reason(page, caught) -> None:
    detail = html.unescape(page.get(f"/inbox/messages/{caught(OTHER)}", headers=HTMX).text)
    assert "Release the message to the phone" not in detail
    why = "This server sends only to the numbers that PHONIFY_ONLY_TO contains."
    assert f"This message can't be released. {why}" in detail


def test_without_a_release_gateway_there_is_no_button(make_app) -> None:
    app = make_app()
    message = app.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    app.extensions["phonify"].make_message_loop().deliver_due()
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, "test-key")
    assert "Release the message to the phone" not in browser.get(f"/inbox/messages/{message['id']}", headers=HERE).text


# The end of the configuration


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_released_message_ends_also_if_its_gateway_is_not_configured_any_more(
    client, caught, deliver_released, gateway, make_app, clock, in_doubt: bool
) -> None:
    gateway.act = lambda _: Doubt()
    released = release(client, caught()).get_json()["message"]
    if in_doubt:
        deliver_released()
    other = make_app()
    services, client = other.extensions["phonify"], other.test_client()
    services.clean()
    services.make_message_loop().deliver_due()
    assert client.get(f"/v1/messages/{released['id']}").get_json()["message"]["state"] == "unconfirmed"
    clock.advance(86_401)
    services.clean()
    shown = client.get(f"/v1/messages/{released['id']}").get_json()["message"]
    assert [error["type"] for error in shown["errors"]] == ["validity_expired"]
