"""Tests of the requests of providers: what the view reads before a gateway does."""

import io
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.callback_sites import Kannel
from tests.support.http_providers import CALLBACK_SECRET
from tests.support.twilio_service import PUBLIC_URL

PATH = f"/gateways/http/{CALLBACK_SECRET}/inbound"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def provider(make_app: Callable[..., Flask]) -> FlaskClient:
    settings = {**Kannel().settings, "HTTP_URL": "http://127.0.0.1:9/", "PUBLIC_URL": PUBLIC_URL}
    app = make_app(GATEWAY="http", **settings)
    return FlaskClient(app, app.response_class)


@pytest.mark.parametrize("octets", ["\xb6", "text=\xff\xfe", "from=%2B1&\xed\xa0\x80"])
def test_a_query_that_is_not_utf_8_can_not_be_read(provider: FlaskClient, octets: str) -> None:
    answer = provider.get(PATH, environ_overrides={"QUERY_STRING": octets})
    assert (answer.status_code, answer.text) == (400, "This request can't be read: its query is not UTF-8")


def test_a_text_whose_connection_ended_too_early_is_not_stored_half(provider: FlaskClient, execute) -> None:
    body = b"from=%2B14155552671&to=%2B15005550006&text=Call+me&charset=UTF-8"
    for sent, status in (body[:53], 400), (body, 200):
        length = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(sent), "wsgi.input_terminated": True}
        answer = provider.post(PATH, content_type=FORM, environ_overrides=length)
        assert answer.status_code == status
    assert execute("SELECT body FROM messages") == [("Call me",)]


def test_a_body_that_the_server_can_not_read_is_400(provider: FlaskClient) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise RuntimeError("bad chunk")  # each WSGI server raises another error

    chunks = {"wsgi.input": Broken(), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    assert provider.post(PATH, content_type=FORM, environ_overrides=chunks).status_code == 400
