"""Tests of a server with a gateway that really sends: nothing of a sandbox exists there."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify import create_app
from phonify.gateways.events import Received
from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway

PHONE, OWN = "+14560000000", "+15005550006"
HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(OnceGateway())


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, KEY)
    return browser


def list_sandbox_paths(folder: Any) -> list[tuple[str, str]]:
    """Return the methods and paths under /sandbox of a server with the stub."""
    app = create_app({"DATABASE": folder / "stub.db"})
    app.extensions["phonify"].close()
    return [
        (method, rule.rule.replace("<message_id>", "x").replace("<run_id>", "x"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/sandbox")
        for method in sorted(rule.methods or ())
    ]


def test_every_path_of_the_sandbox_is_404(client: FlaskClient, anonymous: FlaskClient, tmp_path) -> None:
    found = list_sandbox_paths(tmp_path)
    assert len(found) > 20
    for method, path in found:
        for one in (client, anonymous):
            assert one.open(path, method=method).status_code == 404, (method, path)


def test_the_pages_have_nothing_that_only_a_sandbox_has(
    page: FlaskClient, send: Callable[..., dict[str, Any]], deliver: Callable[[], int], app: Flask
) -> None:
    first = page.get("/", headers=HERE).text
    sent = send(PHONE)
    deliver()
    app.extensions["phonify"].gateways["gateway"].take([Received(PHONE, "An answer", "event-1", to=OWN)])
    (received, _) = app.test_client().get("/v1/messages").get_json()["messages"]
    assert received["direction"] == "inbound"
    paths = [
        "/",
        "/inbox/compose",
        "/inbox/settings",
        f"/inbox/phones/{PHONE}",
        f"/inbox/messages/{sent['id']}",
        f"/inbox/messages/{received['id']}",
    ]
    for text in [first, *(page.get(path, headers=HERE).text for path in paths)]:
        assert "<h1" in text or "<h2" in text
        for word in (
            "/sandbox",
            "handset",
            "as a phone",
            "Test runs",
            "special number",
            "Release the message to the phone",
        ):
            assert word not in text


def test_a_sent_message_can_still_be_copied_as_a_request(page: FlaskClient, send, deliver) -> None:
    sent = send(PHONE)
    deliver()
    assert "Send it again" in page.get(f"/inbox/messages/{sent['id']}", headers=HERE).text
