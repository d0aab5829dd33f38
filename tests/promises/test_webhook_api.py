"""The resource /v1/webhook: who may see, set, test and remove a webhook, and what the answers are."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import standardwebhooks
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import KEY, ApiClient, FakeClock, faults_of, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator
from tests.support.receivers import Receiver, status

PATH = "/v1/webhook"
URL = "https://example.com/sms"
START = "2026-01-31T09:30:00.000Z"
HERE = {"Sec-Fetch-Site": "same-origin"}


def put(client: FlaskClient, url: str = URL) -> dict[str, Any]:
    answer = client.put(PATH, json={"url": url})
    assert answer.status_code == 200
    webhook: dict[str, Any] = answer.get_json()["webhook"]
    return webhook


def get(client: FlaskClient) -> dict[str, Any]:
    answer = client.get(PATH)
    assert answer.status_code == 200
    webhook: dict[str, Any] = answer.get_json()["webhook"]
    return webhook


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    """A browser with a session of the account `default`."""
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, KEY)
    return browser


@pytest.fixture
def gone(client: FlaskClient, receiver: Receiver, post_due: Callable[[], int], clock: FakeClock) -> Receiver:
    """A receiver that has answered 410, a minute after it became the webhook of the account `default`."""
    put(client, receiver.url)
    receiver.act = status(410)
    assert client.post(f"{PATH}/test").status_code == 202
    clock.advance(60)
    post_due()
    return receiver


# Set and retrieve


def test_a_webhook_is_set_and_retrieved(client: FlaskClient) -> None:
    webhook = put(client)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", webhook.pop("secret"))
    assert webhook == {"url": URL, "enabled": True, "created_at": START}
    assert get(client) == put(client)


@pytest.mark.parametrize("form", ["json", "data", "query_string"])
def test_the_url_may_be_in_json_in_a_form_or_in_the_query(client: FlaskClient, form: str) -> None:
    arguments: dict[str, Any] = {form: {"url": URL, "unknown": "ignored"}}
    answer = client.put(f"{PATH}/", **arguments)
    assert (answer.status_code, get(client)["url"]) == (200, URL)


def test_another_url_keeps_the_secret_and_the_time_of_creation(client: FlaskClient, clock: FakeClock) -> None:
    first = put(client)
    clock.advance(60)
    assert put(client, "https://example.com/2") == {**first, "url": "https://example.com/2"}


def test_commands_and_pages_have_the_same_webhook(client: FlaskClient, operator: Operator, page: FlaskClient) -> None:
    webhook = put(client)
    found = operator.find_webhook()
    assert found is not None
    assert (found["url"], found["secret"]) == (URL, webhook["secret"])
    assert f'value="{URL}"' in page.get("/inbox/settings").text
    secret = operator.set_webhook("https://example.com/2")
    assert (get(client)["url"], get(client)["secret"]) == ("https://example.com/2", secret)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "missing_argument"),
        ({"url": None}, "missing_argument"),
        ({"url": ["https://a.example", "https://b.example"]}, "repeated_argument"),
        ({"url": 1}, "invalid_webhook_url"),
        ({"url": {"host": "example.com"}}, "invalid_webhook_url"),
        ({"url": ""}, "invalid_webhook_url"),
        ({"url": "example.com"}, "invalid_webhook_url"),
        ({"url": "ftp://example.com/"}, "invalid_webhook_url"),
        ({"url": "https://user:word@example.com/"}, "invalid_webhook_url"),
        ({"url": "http://169.254.169.254/"}, "invalid_webhook_url"),
        ({"url": "https://example.com/\0"}, "invalid_webhook_url"),
        ({"url": "https://example.com/\ud800"}, "invalid_webhook_url"),
        ({"url": "https://example.com/" + "x" * 2_000}, "invalid_webhook_url"),
    ],
)
def test_a_url_that_can_not_be_posted_to_is_400_and_changes_nothing(
    client: FlaskClient, given: dict[str, Any], fault: str
) -> None:
    before = put(client)
    answer = client.put(PATH, json=given)
    assert (answer.status_code, faults_of(answer)) == (400, [(fault, "url")])
    assert get(client) == before


def test_a_gateway_that_really_sends_allows_no_private_address(make_app: Callable[..., Flask]) -> None:
    client = make_app(OnceGateway()).test_client()
    answer = client.put(PATH, json={"url": "http://127.0.0.1:3000/sms"})
    assert faults_of(answer) == [("invalid_webhook_url", "url")]
    assert put(client)["url"] == URL


# Remove


@pytest.mark.parametrize("method", ["DELETE", "DESTROY"])
def test_a_webhook_is_removed_and_shown_as_it_was(client: FlaskClient, method: str) -> None:
    webhook = put(client)
    answer = client.open(PATH, method=method)
    assert (answer.status_code, answer.get_json()) == (200, {"webhook": webhook})
    for call in (client.get(PATH), client.open(PATH, method=method)):
        assert (call.status_code, faults_of(call)) == (404, [("not_found", None)])
    assert put(client)["secret"] != webhook["secret"]


def test_removing_gives_up_what_is_pending(
    client: FlaskClient, operator: Operator, post_due: Callable[[], int]
) -> None:
    put(client, "http://127.0.0.1:1/")
    received = client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "+15005550006", "body": "Hi"})
    message = received.get_json()["message"]
    assert message["state"] == "unconfirmed"
    client.delete(PATH)
    assert client.get(f"/v1/messages/{message['id']}").get_json()["message"]["state"] == "sent"
    assert post_due() == 0
    assert [delivery["state"] for delivery in operator.list_deliveries()] == ["failed"]


# Test


def test_a_test_event_is_posted_with_the_id_in_the_answer(
    client: FlaskClient, receiver: Receiver, post_due: Callable[[], int]
) -> None:
    secret = put(client, receiver.url)["secret"]
    answer = client.post(f"{PATH}/test")
    assert answer.status_code == 202
    post_due()
    (request,) = receiver.received
    # The clock of the app stands still, so the signature is checked without its time.
    assert answer.get_json() == {"delivery": {"id": request.headers["webhook-id"]}}
    assert json.loads(request.body) == {"type": "webhook.test", "timestamp": START, "data": {}}
    verifier = standardwebhooks.Webhook(secret)
    signature = verifier.sign(request.headers["webhook-id"], FakeClock().now(), request.body.decode())
    assert request.headers["webhook-signature"] == signature


def test_without_a_webhook_there_is_nothing_to_test(client: FlaskClient) -> None:
    answer = client.post(f"{PATH}/test")
    assert (answer.status_code, faults_of(answer)) == (402, [("no_webhook", None)])


# A receiver that answers 410


def test_a_receiver_that_answers_410_disables_its_webhook_until_it_is_put_again(
    client: FlaskClient, gone: Receiver, post_due: Callable[[], int]
) -> None:
    disabled = get(client)
    assert disabled["enabled"] is False
    gone.act = status(204)
    client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "+15005550006", "body": "Hi"})
    assert post_due() == 0
    assert put(client, gone.url) == {**disabled, "enabled": True}
    client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "+15005550006", "body": "Hi"})
    assert post_due() == 1


def test_a_test_event_is_posted_to_a_disabled_webhook_and_does_not_enable_it(
    client: FlaskClient, gone: Receiver, post_due: Callable[[], int]
) -> None:
    gone.act = status(204)
    client.post(f"{PATH}/test")
    assert post_due() == 1
    assert get(client)["enabled"] is False


def test_the_settings_page_says_why_a_webhook_is_disabled_until_its_url_is_saved(
    page: FlaskClient, gone: Receiver
) -> None:
    said = "2026-01-31 09:31</time>, because the receiver answered 410. To enable the webhook, save the URL again."
    assert said in page.get("/inbox/settings").text
    assert page.post("/inbox/settings/webhook", data={"url": gone.url}, headers=HERE).status_code == 303
    assert "answered 410" not in page.get("/inbox/settings").text


def test_the_command_says_why_a_webhook_is_disabled(operator: Operator, gone: Receiver) -> None:
    said = "disabled at 2026-01-31T09:31:00.000Z, because the receiver answered 410; see `webhooks set`\n"
    assert operator.run("webhooks", "show").endswith(said)
    assert operator.show("webhooks", "show")[0]["disabled_at"] == "2026-01-31T09:31:00.000Z"
    operator.set_webhook(gone.url)
    assert "disabled" not in operator.run("webhooks", "show")


# Whose it is


def test_no_other_account_sees_changes_or_removes_a_webhook(client: FlaskClient, stranger: ApiClient) -> None:
    webhook = put(client)
    assert stranger.get(PATH).status_code == 404
    assert stranger.delete(PATH).status_code == 404
    assert stranger.post(f"{PATH}/test").status_code == 402
    own = put(stranger, "https://stranger.example/")
    assert own["secret"] != webhook["secret"]
    stranger.delete(PATH)
    assert get(client) == webhook


def test_a_test_run_has_a_webhook_of_its_own(client: FlaskClient, app: Flask) -> None:
    put(client)
    run = app.test_client()
    run.key = client.post("/sandbox/runs").get_json()["run"]["api_key"]
    assert run.get(PATH).status_code == 404
    put(run, "https://run.example/")
    assert get(client)["url"] == URL


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("PUT", PATH), ("DELETE", PATH), ("DESTROY", PATH), ("POST", f"{PATH}/test")]
)
def test_every_request_needs_a_key(anonymous: FlaskClient, method: str, path: str) -> None:
    assert anonymous.open(path, method=method).status_code == 401


def test_other_methods_are_405_with_those_that_exist(client: FlaskClient) -> None:
    answer = client.post(PATH)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE", "DESTROY", "OPTIONS"}
    assert client.get(f"{PATH}/test").status_code == 405
