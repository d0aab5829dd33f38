"""Tests of the clock in the inbox: the sign on each page, and the part of the settings page."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import KEY, FakeClock, sign_in
from tests.support.fake_gateway import OnceGateway

HERE = {"Sec-Fetch-Site": "same-origin"}
SIGN = "The clock of this server does not show the real time."
PAGES = ["/", "/inbox/compose", "/inbox/search", "/inbox/settings", "/inbox/phones/+14560000000"]


@pytest.fixture
def browser(anonymous: FlaskClient) -> FlaskClient:
    sign_in(anonymous, KEY)
    return anonymous


def post(browser: FlaskClient, action: str, **form: str) -> Any:
    return browser.post(f"/inbox/clock/{action}", data=form, headers=HERE)


def test_each_page_shows_plainly_that_the_clock_is_not_the_real_one(
    browser: FlaskClient, client: FlaskClient, send: Callable[..., Any]
) -> None:
    send()
    for page in PAGES:
        response = browser.get(page)
        assert (response.status_code, SIGN in response.text) == (200, False), page
    client.post("/sandbox/clock/advance", json={"by": "24h"})
    for page in PAGES:
        text = browser.get(page).text
        assert SIGN in text, page
        assert f'{SIGN} It shows <time datetime="2026-02-01T09:30:00.000Z">2026-02-01 09:30</time>' in text
    client.post("/sandbox/clock/freeze")
    for page in [*PAGES, "/inbox/missing"]:
        assert f"{SIGN} It stands still at" in browser.get(page).text, page


def test_the_page_that_asks_for_a_key_shows_it_too(anonymous: FlaskClient, client: FlaskClient) -> None:
    client.post("/sandbox/clock/freeze")
    assert SIGN in anonymous.get("/inbox/sign-in").text


def test_an_open_page_gets_the_sign_when_it_asks_again(browser: FlaskClient, client: FlaskClient) -> None:
    first = browser.get("/inbox/unread")
    assert SIGN not in first.text
    again = browser.get("/inbox/unread", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    client.post("/sandbox/clock/freeze")
    changed = browser.get("/inbox/unread", headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, SIGN in changed.text) == (200, True)


def test_the_settings_page_changes_the_clock(
    browser: FlaskClient, client: FlaskClient, send: Callable[..., Any], clock: FakeClock
) -> None:
    def show() -> tuple[str, bool, bool]:
        shown = client.get("/sandbox/clock").get_json()["clock"]
        return shown["now"][5:16], shown["frozen"], shown["changed"]

    assert (post(browser, "freeze").headers["Location"], show()) == (
        "/inbox/settings#clock",
        ("01-31T09:30", True, True),
    )
    send()
    response = post(browser, "advance", advance="24h")
    assert (response.status_code, show()) == (303, ("02-01T09:30", True, True))
    there = response.headers["Location"]
    assert there.startswith("/inbox/settings?")
    assert there.endswith("#clock")
    for _ in range(2):  # a reload does not advance the clock again
        page = browser.get(there)
        assert (page.status_code, "24 h: 1 sent." in page.text, show()) == (200, True, ("02-01T09:30", True, True))
    assert post(browser, "advance", advance="2026-02-01T10:00Z").status_code == 303
    assert (post(browser, "run").status_code, show()) == (303, ("02-01T10:00", False, True))
    assert (post(browser, "reset").status_code, show()) == (303, ("01-31T09:30", False, False))


@pytest.mark.parametrize(
    "query",
    [
        "from=<b>&until=2026-01-31T09:30:00.000Z",
        "from=2026-01-31T09:30:00.000Z",
        "until=2026-01-31T09:30:00.000Z",
        "from=2026-02-01T09:30:00.000Z&until=2026-01-31T09:30:00.000Z",
    ],
)
def test_an_address_without_a_valid_summary_shows_none(browser: FlaskClient, query: str) -> None:
    page = browser.get(f"/inbox/settings?{query}")
    assert (page.status_code, "data-notice" in page.text) == (200, False)


def test_counts_in_an_address_that_are_not_numbers_are_left_out(browser: FlaskClient) -> None:
    times = "from=2026-01-31T09:30:00.000Z&until=2026-02-01T09:30:00.000Z"
    page = browser.get(f"/inbox/settings?{times}&sent=<b>&failed=2&more=1")
    assert "data-notice>24 h: 2 failed; some work is not done. Advance the clock again.</p>" in page.text


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("soon", "Not a valid duration."),
        ("", "Not a valid duration."),
        ("2020-01-01T00:00Z", "The given time is earlier than the current time of the clock."),
    ],
)
def test_a_wrong_advance_is_shown_at_its_field(browser: FlaskClient, given: str, fault: str) -> None:
    page = post(browser, "advance", advance=given)
    assert page.status_code == 400
    assert f'<p id="advance-fault" class="fault" role="alert">{fault}' in page.text
    assert f'name="advance" required value="{given}"' in page.text


def test_another_account_sees_the_clock_but_no_buttons_and_may_not_change_it(
    anonymous: FlaskClient, make_key: Callable[..., str]
) -> None:
    sign_in(anonymous, make_key("other"))
    page = anonymous.get("/inbox/settings").text
    assert "Only the account named <code>default</code> can change the clock." in page
    assert "/inbox/clock/freeze" not in page
    for action in ("freeze", "run", "reset", "advance"):
        response = post(anonymous, action, advance="1h")
        assert (response.status_code, "Only a key of the account &#34;default&#34;" in response.text) == (400, True)


@pytest.mark.parametrize("action", ["freeze", "run", "reset", "advance"])
def test_another_site_can_not_change_the_clock(browser: FlaskClient, client: FlaskClient, action: str) -> None:
    response = browser.post(f"/inbox/clock/{action}", data={"advance": "1h"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert not client.get("/sandbox/clock").get_json()["clock"]["changed"]


def test_a_server_that_sends_messages_to_phones_shows_no_clock(make_app: Callable[..., Flask]) -> None:
    browser = make_app(OnceGateway()).test_client()
    sign_in(browser, KEY)
    assert 'id="clock"' not in browser.get("/inbox/settings").text
