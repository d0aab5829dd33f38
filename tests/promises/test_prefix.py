"""A server under a prefix, such as /sms: each address that it tells has the prefix."""

from typing import Any

from flask import Flask

from tests.support.app import KEY


def test_under_a_prefix_each_address_has_the_prefix(app: Flask) -> None:
    client = app.test_client()

    def ask(method: str, path: str, **options: Any) -> Any:
        return client.open(path, method=method, environ_overrides={"SCRIPT_NAME": "/sms"}, **options)

    sent = ask("POST", "/v1/messages", json={"api_key": KEY, "to": "+14560000000", "body": "Hello"})
    assert sent.headers["Location"] == f"/sms/v1/messages/{sent.get_json()['message']['id']}"
    servers = ask("GET", "/v1/openapi.json").get_json()["servers"]
    assert [server["url"] for server in servers] == ["http://localhost/sms"]
    form, here = {"api_key": KEY}, {"Sec-Fetch-Site": "same-origin"}
    assert ask("POST", "/inbox/sign-in", data=form, headers=here).headers["Location"] == "/sms/"
    message_id = sent.get_json()["message"]["id"]
    assert "curl http://localhost/sms/v1/messages" in ask("GET", f"/inbox/messages/{message_id}").text
    reference = ask("GET", "/docs").text
    assert "curl http://localhost/sms/v1/messages" in reference
    assert 'data-path="/sms/v1/messages"' in reference
    signed_in = ask("POST", "/inbox/sign-in", data={"api_key": KEY}, headers={"Sec-Fetch-Site": "same-origin"})
    assert signed_in.headers["Location"] == "/sms/"
    assert "Path=/sms/;" in signed_in.headers["Set-Cookie"]


def test_without_a_prefix_the_address_of_the_server_is_told_too(app: Flask) -> None:
    (server,) = app.test_client().get("/v1/openapi.json").get_json()["servers"]
    assert server["url"] == "http://localhost"
