"""Tests of the signs in the inbox: texts that did not reach their phone, and gateways that take no messages."""

import html
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import Later, Taken
from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway

PHONE, UNDELIVERED, FAILS = "+14560000000", "+15005550013", "+15005550004"
HERE = {"Sec-Fetch-Site": "same-origin"}
HTMX = {**HERE, "HX-Request": "true"}


def open_browser(app: Flask, key: str = KEY) -> FlaskClient:
    browser = FlaskClient(app, app.response_class)
    sign_in(browser, key)
    return browser


def read(browser: FlaskClient, address: str) -> str:
    """Return the text of a page, without tags."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", browser.get(address, headers=HERE).text)).split())


# Receipts


@pytest.fixture
def browser(app: Flask, send: Callable[..., dict], deliver: Callable[[], int]) -> FlaskClient:
    """A browser of an account with three messages: one was delivered, one was not, and one failed."""
    for number, body in ((PHONE, "fine"), (UNDELIVERED, "lost"), (FAILS, "barred")):
        send(number, body)
    deliver()
    return open_browser(app)


def test_each_list_marks_a_text_that_did_not_reach_its_phone(browser) -> None:
    assert '<span class="pill sent">sent</span> <span class="pill error">undelivered</span>' in (
        browser.get("/inbox/search", headers=HERE).text
    )
    assert "sent, undelivered : lost" in read(browser, "/")
    thread = browser.get(f"/inbox/phones/{UNDELIVERED}", headers=HERE).text
    assert 'class="bubble outbound sent undelivered"' in thread
    assert "A receipt says that the phone did not get the message." in thread
    assert 'bubble outbound sent"' in browser.get(f"/inbox/phones/{PHONE}", headers=HERE).text


def test_the_filter_of_errors_finds_undelivered_texts_too_and_counts_them(browser) -> None:
    shown = read(browser, "/inbox/search?state=error")
    assert "2 messages" in shown
    assert re.findall("fine|lost|barred", shown) == ["barred", "lost"]
    assert "1 result" in read(browser, "/inbox/search?state=error&q=lost")
    assert "Nothing was found" in read(browser, "/inbox/search?state=error&q=fine")


# Gateways


@pytest.fixture
def gateway() -> OnceGateway:
    return OnceGateway()


@pytest.fixture
def real(make_app: Callable[..., Flask], gateway: OnceGateway) -> Flask:
    """An app with a gateway that sends to phones."""
    return make_app(gateway)


@pytest.fixture
def fail(real: Flask, gateway: OnceGateway, deliver: Callable[[Flask], int]) -> Callable[[], None]:
    """Return a function that lets the gateway fail for a minute."""

    def fail() -> None:
        gateway.act = lambda _: Later(pause=True, retry_after=60, reason="<wrong password>")
        real.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
        deliver(real)

    return fail


PAUSED = "The gateway gateway is paused until 2026-01-31 09:31:00 . Until then, messages wait."
PAGES = ["/", "/inbox/search", "/inbox/compose", "/inbox/settings", f"/inbox/phones/{PHONE}"]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_says_that_a_fault_has_paused_the_gateway_and_why(real, fail, address: str) -> None:
    browser = open_browser(real)
    assert "The gateway gateway" not in read(browser, address).replace("The gateway gateway : ", "")
    fail()
    assert f"{PAUSED} Reason: <wrong password>." in read(browser, address)


def test_another_account_sees_the_pause_without_its_reason(real, fail, tmp_path) -> None:
    runner = real.test_cli_runner()
    runner.invoke(args=["accounts", "create", "other"])
    browser = open_browser(real, runner.invoke(args=["keys", "create", "--account", "other"]).stdout.strip())
    fail()
    for address in PAGES:
        assert PAUSED in read(browser, address)
        assert "wrong password" not in read(browser, address)


def test_the_line_changes_with_the_gateway_in_open_pages(real, fail, gateway, clock, deliver) -> None:
    browser, runner = open_browser(real), real.test_cli_runner()

    def look(address: str) -> str:
        answer = browser.get(address, headers=HTMX)
        assert 'hx-swap-oob="morph"' in answer.text
        return " ".join(re.sub("<[^>]*>", "", answer.text[answer.text.index('id="troubles"') :]).split())

    fail()
    for address in ("/inbox/conversations", "/inbox/unread"):
        etag = browser.get(address, headers=HTMX).headers["ETag"]
        assert "is paused until" in look(address)
        assert browser.get(address, headers={**HTMX, "If-None-Match": etag}).status_code == 304
    clock.advance(61)
    for address in ("/inbox/conversations", "/inbox/unread"):
        text = "The gateway gateway has failed. Phonify uses the next message to test the gateway. Reason: "
        assert text in look(address)
        assert browser.get(address, headers={**HTMX, "If-None-Match": etag}).status_code == 200
    runner.invoke(args=["gateway", "pause"])
    assert "An operator has paused the gateway gateway. Messages wait until an operator resumes the gateway." in look(
        "/inbox/unread"
    )
    runner.invoke(args=["gateway", "resume"])
    gateway.act = lambda _: Taken()
    deliver(real)
    assert look("/inbox/unread").endswith(">")


def test_a_sandbox_has_no_line_about_gateways(app, runner) -> None:
    runner.invoke(args=["gateway", "pause"])
    assert "An operator has paused" not in read(open_browser(app), "/")
