"""What pages keep between two looks, and an error in a view."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from conftest import KEY
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PHONE = "+14560000000"
OWN = "+15005550006"
HERE = {"Sec-Fetch-Site": "same-origin"}
HTMX = {**HERE, "HX-Request": "true"}
COOKIE = "phonify_key_default"


class InboxClient(FlaskClient):
    """A browser with the page open: its requests come from this very server, unless a test says otherwise."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs["headers"] = {**HERE, **(kwargs.pop("headers", None) or {})}
        return super().open(*args, **kwargs)


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    """A browser with a session of the account `default`."""
    browser = InboxClient(app, app.response_class)
    browser.set_cookie(COOKIE, KEY)
    return browser


@pytest.fixture
def receive(client: FlaskClient) -> Callable[..., str]:
    """Return a function that lets a phone write to the account `default`, and returns the message's id."""

    def receive(sender: str = PHONE, body: str = "Hello", to: str = OWN) -> str:
        response = client.post("/sandbox/inbound", json={"from": sender, "to": to, "body": body})
        assert response.status_code == 201
        message_id: str = response.get_json()["message"]["id"]
        return message_id

    return receive


# Headers


def check_headers(response: TestResponse) -> None:
    headers = response.headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_an_unexpected_error_is_a_page_that_says_nothing_of_it(app, page, monkeypatch, caplog):
    def fail() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setitem(app.view_functions, "inbox.show_inbox", fail)
    response = page.get("/")
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "secret" not in response.text
    assert "a secret" in caplog.text
    check_headers(response)


# Live


def look(page: FlaskClient, seen: str = "", **arguments: Any) -> TestResponse:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in {"seen": seen, **arguments}.items())
    return page.get(f"/inbox/live?{query}", headers=HTMX)


def token(response: TestResponse) -> str:
    found = re.search(r'id="seen" value="([^"]+)"', response.text)
    assert found is not None
    return found[1]


def list_parts(response: TestResponse) -> list[str]:
    """Return the parts of the page that are replaced or added to."""
    return [" ".join(part) for part in re.findall(r'id="(\w+)"[^>]* hx-swap-oob="(\w{5,})"', response.text)]


def test_a_page_that_was_open_for_long_goes_back_to_fewer_messages(page, receive, monkeypatch):
    monkeypatch.setattr("phonify.inbox.pages.MOST_LIVE", 3)
    monkeypatch.setattr("phonify.inbox.pages.MOST_OUTLINED", 6)
    told, seen = [], ""
    for number in range(9):
        receive(body=str(number))
        response = look(page, seen, phone=PHONE, since=1)
        seen = token(response)
        how = list_parts(response)[1]
        told.append((how, "".join(re.findall(r'<p class="text">([^<]+)</p>', response.text))))
    added = [("added morph", str(number)) for number in range(1, 6)]
    assert told == [("thread morph", "0"), *added, *(("thread morph", text) for text in ("456", "567", "678"))]


def apply(shown: list[str], response: TestResponse) -> list[str]:
    """Return the ids of the messages that a page shows after an answer."""
    told = re.findall(r'<li id="m-([^"]+)"', response.text)
    how = [part for part in list_parts(response) if part.startswith(("thread", "added"))]
    return {"added morph": shown + told, "thread morph": told}[how[0]] if how else shown


@pytest.mark.parametrize("lasts", [0, 60])
def test_pages_that_look_at_once_show_each_message_once(page, receive, monkeypatch, lasts):
    monkeypatch.setattr("phonify.glances.LASTS", lasts)
    ids = [receive(body="one")]
    one = look(page, phone=PHONE, since=1)
    ids.append(receive(body="two"))
    other = look(page, phone=PHONE, since=1)
    shown = [apply([], one), apply([], other)]
    monkeypatch.setattr("phonify.glances.LASTS", 0)
    for number, response in enumerate((one, other)):
        shown[number] = apply(shown[number], look(page, token(response), phone=PHONE, since=1))
    assert shown == [ids, ids]


def test_a_thread_that_is_open_is_read_for_who_sees_it_though_the_list_was_looked_at_before(page, receive, monkeypatch):
    monkeypatch.setattr("phonify.glances.LASTS", 60)
    receive()
    assert 'class="badge"' in look(page).text
    assert 'class="badge"' not in look(page, phone=PHONE, since=1).text
    assert 'class="badge"' in look(page).text
