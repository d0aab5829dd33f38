"""The page of the webhook lab in the inbox."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.load import wait_until
from tests.support.receivers import Receiver, status

HERE = {"Sec-Fetch-Site": "same-origin"}


def browse(app: Flask) -> FlaskClient:
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, KEY)
    return browser


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    return browse(app)


def read(page: FlaskClient, path: str = "/inbox/lab") -> str:
    response = page.get(path, headers=HERE)
    assert response.status_code == 200
    return response.text


def test_without_a_webhook_the_page_says_where_to_set_it(page: FlaskClient) -> None:
    text = read(page)
    assert "No webhook is set." in text
    assert "No inbound URL is set." in text
    assert "No lab has run yet." in text


def test_the_settings_link_to_the_lab_and_say_that_it_needs_a_webhook(page: FlaskClient, client: FlaskClient) -> None:
    link, hint = '<a href="/inbox/lab">Try it in the lab.</a>', "The lab needs the URL of a webhook."
    text = read(page, "/inbox/settings")
    assert (link in text, hint in text) == (True, True)
    client.put("/v1/webhook", json={"url": "http://127.0.0.1:9/sms"})
    text = read(page, "/inbox/settings")
    assert (link in text, hint in text) == (True, False)


def test_a_lab_is_started_and_its_report_is_shown(
    page: FlaskClient, client: FlaskClient, make_receiver: Callable[..., Receiver]
) -> None:
    app = make_receiver()
    app.act = app.hang
    client.put("/v1/webhook", json={"url": app.url})
    assert f"It posts to <code>{app.url}</code>." in read(page)
    response = page.post("/inbox/lab", data={"form": "standard", "status_url": "", "probe_url": ""}, headers=HERE)
    assert (response.status_code, response.headers["Location"]) == (303, "/inbox/lab#report")
    app.wait_for(1)
    assert '<p role="status">Running: <code>genuine</code></p>' in read(page)
    app.act = status(401)
    app.stopping.set()
    wait_until(lambda: "Running" not in read(page, "/inbox/lab/report"))
    text = read(page)
    assert "<strong>0 passed, 1 failed, 21 not run</strong>" in text
    assert "The app gave no answer" in text
    assert "<strong>What to do:</strong> Answer every request." in text
    assert (
        "The lab has checked the answers, and nothing else. With a probe URL, it also checks what the app did." in text
    )


def test_the_report_is_sent_again_only_if_it_has_changed(page: FlaskClient) -> None:
    first = page.get("/inbox/lab/report", headers=HERE)
    again = page.get("/inbox/lab/report", headers={**HERE, "If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_faults_are_shown_at_their_fields(page: FlaskClient) -> None:
    given = {"form": "twilio", "status_url": "ftp://app", "probe_url": "http://169.254.169.254/"}
    response = page.post("/inbox/lab", data=given, headers=HERE)
    assert response.status_code == 400
    assert 'id="status-url-fault"' in response.text
    assert 'id="probe-url-fault"' in response.text
    assert 'value="ftp://app"' in response.text
    assert 'value="twilio" checked' in response.text


def test_a_lab_without_a_webhook_is_refused(page: FlaskClient) -> None:
    response = page.post("/inbox/lab", data={"form": "standard"}, headers=HERE)
    assert response.status_code == 400
    assert "The account has no webhook. Set a webhook URL first." in response.text


def test_another_site_can_start_no_lab(page: FlaskClient) -> None:
    assert page.post("/inbox/lab", data={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_server_that_really_sends_has_no_lab(make_app: Callable[..., Flask]) -> None:
    app = make_app(OnceGateway())
    app.test_client().put("/v1/webhook", json={"url": "https://example.com/sms"})
    page = browse(app)
    assert page.get("/inbox/lab", headers=HERE).status_code == 404
    assert "/inbox/lab" not in read(page, "/inbox/settings")
