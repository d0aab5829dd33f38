"""The app is a plain Flask app: what Flask's documentation says of one holds."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from tests.support.app import faults_of


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
