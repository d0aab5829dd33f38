"""Tests that the app is a plain Flask app, as Flask's documentation describes it."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from phonify.config import ConfigError
from phonify.gateways import GATEWAYS
from tests.support.app import KEY, ApiClient, building, faults_of
from tests.support.fake_gateway import OnceGateway


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """An app that no other test uses, because tests add views to it."""
    with building({"DATABASE": tmp_path / "phonify.db", "API_KEY": KEY}) as app:
        app.test_client_class = ApiClient
        yield app


def test_a_host_that_is_not_among_the_trusted_ones_is_refused_in_json(app: Flask, client: FlaskClient) -> None:
    app.config["TRUSTED_HOSTS"] = ["sms.example.com"]

    refused = client.get("/v1/messages", headers={"Host": "evil.example.com"})
    served = client.get("/v1/messages", headers={"Host": "sms.example.com"})

    assert refused.status_code == 400
    assert faults_of(refused) == [("bad_request", None)]
    assert served.status_code == 200


@pytest.mark.parametrize("host", ["", "a" * 300, "[", "-", "x:y:z", "\xff"])
def test_without_trusted_hosts_no_host_is_an_error_of_the_server(client: FlaskClient, host: str) -> None:
    assert client.get("/v1/messages", headers={"Host": host}).status_code in (200, 400)


def test_a_view_may_have_a_session(app: Flask, client: FlaskClient) -> None:
    app.secret_key = "secret"

    @app.get("/visits")
    def count_visits() -> dict[str, int]:
        session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    assert [client.get("/visits").get_json()["visits"] for _ in range(2)] == [1, 2]


class ExampleGateway(OnceGateway):
    """A gateway with its own variable."""

    variables = ("PHONIFY_EXAMPLE_URL",)

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ExampleGateway":
        if "PHONIFY_EXAMPLE_URL" not in environ:
            raise ValueError("  PHONIFY_EXAMPLE_URL: is missing")
        return cls(environ["PHONIFY_EXAMPLE_URL"])


@pytest.fixture
def _example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GATEWAYS, "example", ExampleGateway)


@pytest.mark.usefixtures("_example")
def test_a_gateway_is_made_from_its_own_variables(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PHONIFY_EXAMPLE_URL", "https://sms.example.com")

    gateway = make_app(GATEWAY="example").extensions["phonify"].gateway

    assert (type(gateway), gateway.url) == (ExampleGateway, "https://sms.example.com")
    assert "is not a setting" not in caplog.text


@pytest.mark.usefixtures("_example")
def test_a_gateway_that_can_not_be_made_ends_the_start(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(ConfigError, match="these settings can't be used:\n  PHONIFY_EXAMPLE_URL: is missing"):
        make_app(GATEWAY="example")


@pytest.mark.parametrize("name", GATEWAYS)
def test_without_its_variables_a_gateway_is_made_or_says_what_is_missing(
    make_app: Callable[..., Flask], name: str
) -> None:
    gateway = GATEWAYS[name]
    if not gateway.variables:
        assert type(make_app(GATEWAY=name).extensions["phonify"].gateway) is gateway
    else:
        with pytest.raises(ConfigError, match=f"these settings can't be used:\n  PHONIFY_{name.upper()}_"):
            make_app(GATEWAY=name)


def test_addresses_begin_where_the_app_is_mounted(client: FlaskClient) -> None:
    sent = {"to": "+14560000000", "body": "Hello"}

    response = client.post("/v1/messages", json=sent, base_url="https://sms.example.com/phonify")

    assert response.headers["Location"].startswith("/phonify/v1/messages/")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/", "//v1/messages", "/v1//messages"])
def test_no_request_is_redirected_to_another_spelling_of_its_address(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code in (200, 404)


def test_members_of_an_answer_stay_in_the_order_of_the_description(
    send: Callable[..., Any], client: FlaskClient
) -> None:
    send()

    (message,) = json.loads(client.get("/v1/messages").data)["messages"]

    assert list(message)[:3] == ["id", "body", "to"]
