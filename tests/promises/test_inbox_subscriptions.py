"""Tests of opt-outs in the inbox: the head of a thread, and keywords, replies and limits on the settings page."""

import re

import pytest

from tests.support.app import KEY, sign_in

PHONE = "+14560000000"
THREAD = f"/inbox/phones/{PHONE}"
HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def browser(anonymous):
    """A client that is signed in."""
    sign_in(anonymous, KEY)
    return anonymous


@pytest.fixture
def is_subscribed(operator):
    return lambda: operator.show("subscriptions", "show", PHONE)[0]["subscribed"]


@pytest.fixture
def find_keywords(operator):
    return lambda: operator.show("keywords", "show")[0]


NO_KEYWORDS = {"stop_keywords": [], "stop_reply": None, "start_reply": None, "help_reply": None}


def read_head(browser, address=THREAD):
    """Return the text about the subscription in the head of a thread."""
    page = browser.get(address).get_data(as_text=True)
    form = re.search(r'<form id="subscription".*?</form>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", form[0]).split()) if form else None


# The head of a thread


def test_a_thread_offers_to_opt_its_phone_out(browser, send):
    send(PHONE)
    assert read_head(browser) == "Opt out"


@pytest.mark.parametrize(
    ("way", "how"),
    [("keyword", "by keyword"), ("api", "by the API"), ("command", "by a command"), ("inbox", "in the inbox")],
)
def test_a_thread_says_since_when_and_how_its_phone_has_opted_out(browser, client, send, operator, way, how):
    send(PHONE)
    if way == "keyword":
        client.post("/sandbox/inbound", json={"from": PHONE, "to": "+15005550006", "body": "STOP"})
    elif way == "api":
        client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    elif way == "command":
        operator.run("subscriptions", "opt-out", PHONE)
    else:
        browser.post(f"{THREAD}/subscription", data={"subscribed": "no"}, headers=HERE)
    assert read_head(browser) == f"Opted out 2026-01-31 09:30 , {how} Opt in"


def test_the_head_is_the_same_beside_an_open_message(browser, send):
    message = send(PHONE)
    assert read_head(browser, f"/inbox/messages/{message['id']}") == "Opt out"


def test_the_button_opts_out_and_in_again(browser, send, is_subscribed):
    send(PHONE)
    response = browser.post(f"{THREAD}/subscription", data={"subscribed": "no"}, headers=HERE)
    assert (response.status_code, response.headers["Location"]) == (303, THREAD)
    assert not is_subscribed()
    assert "in the inbox" in read_head(browser)
    browser.post(f"{THREAD}/subscription", data={"subscribed": "yes"}, headers=HERE)
    assert is_subscribed()


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://example.com"}])
def test_another_site_changes_nothing(browser, send, is_subscribed, headers):
    send(PHONE)
    assert browser.post(f"{THREAD}/subscription", data={"subscribed": "no"}, headers=headers).status_code == 403
    assert is_subscribed()


def test_who_is_not_signed_in_changes_nothing(anonymous, send, is_subscribed):
    send(PHONE)
    response = anonymous.post(f"{THREAD}/subscription", data={"subscribed": "no"}, headers=HERE)
    assert (response.status_code, response.headers["Location"]) == (303, "/inbox/sign-in")
    assert is_subscribed()


def test_a_phone_without_messages_can_be_opted_out(browser, is_subscribed):
    assert read_head(browser) == "Opt out"
    assert browser.post(f"{THREAD}/subscription", data={"subscribed": "no"}, headers=HERE).status_code == 303
    assert not is_subscribed()
    assert "in the inbox" in read_head(browser)


def test_what_is_no_number_can_not_be_opted_out(browser):
    for phone in ("nonsense", "+1456", "+4901511234567"):
        response = browser.post(f"/inbox/phones/{phone}/subscription", data={"subscribed": "no"}, headers=HERE)
        assert response.status_code == 404


def test_a_short_code_can_not_be_opted_out(browser, client):
    client.post("/sandbox/inbound", json={"from": "12345", "to": "+15005550006", "body": "Hello"})
    assert read_head(browser, "/inbox/phones/12345") is None
    response = browser.post("/inbox/phones/12345/subscription", data={"subscribed": "no"}, headers=HERE)
    assert response.status_code == 404


def test_an_open_thread_hears_of_a_stop(browser, client, send):
    send(PHONE)
    first = browser.get(f"{THREAD}/messages")
    seen = {"If-None-Match": first.headers["ETag"]}
    assert browser.get(f"{THREAD}/messages", headers=seen).status_code == 304
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    changed = browser.get(f"{THREAD}/messages", headers=seen)
    assert changed.status_code == 200
    assert "by the API" in changed.get_data(as_text=True)


def test_writing_to_a_phone_that_opted_out_says_why_it_did_not_go_out(browser, client, send):
    send(PHONE)
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    page = browser.post(f"{THREAD}/messages", data={"body": "Hello"}, headers=HERE, follow_redirects=True)
    assert "The recipient has opted out of messages from this account." in page.get_data(as_text=True)


# The settings page


def field(browser, name):
    page = browser.get("/inbox/settings").get_data(as_text=True)
    return re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)[1]


def test_keywords_and_replies_are_set_and_shown(browser, find_keywords):
    data = {"stop_keywords": "Enough, NO MORE ,", "stop_reply": " Bye ", "start_reply": "", "help_reply": "<Call us>"}
    response = browser.post("/inbox/settings/keywords", data=data, headers=HERE)
    assert (response.status_code, response.headers["Location"]) == (303, "/inbox/settings#keywords")
    assert find_keywords() == {
        "stop_keywords": ["Enough", "NO MORE"],
        "stop_reply": "Bye",
        "start_reply": None,
        "help_reply": "<Call us>",
    }
    names = ("stop_keywords", "stop_reply", "start_reply", "help_reply")
    assert [field(browser, name) for name in names] == ["Enough, NO MORE", "Bye", "", "&lt;Call us&gt;"]


def test_what_is_wrong_is_said_and_what_was_written_stays_in_the_form(browser, find_keywords):
    data = {"stop_keywords": "YES", "stop_reply": "x" * 161, "start_reply": "Hi", "help_reply": "help"}
    response = browser.post("/inbox/settings/keywords", data=data, headers=HERE)
    page = response.get_data(as_text=True)
    assert response.status_code == 400
    assert re.findall(r'<input[^>]* name="(\w+)"[^>]* aria-invalid="true"', page) == [
        "stop_keywords",
        "stop_reply",
        "help_reply",
    ]
    assert f'value="{"x" * 161}"' in page
    assert 'value="Hi"' in page
    assert find_keywords() == NO_KEYWORDS


def test_another_site_sets_no_keywords(browser, find_keywords):
    response = browser.post(
        "/inbox/settings/keywords", data={"stop_reply": "Bye"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert response.status_code == 403
    assert find_keywords() == NO_KEYWORDS


def read_limits(browser):
    page = browser.get("/inbox/settings").get_data(as_text=True)
    return " ".join(re.search(r'id="limits-title">Limits</h2>\s*<p>(.*?)</p>', page, re.DOTALL)[1].split())


def test_the_page_says_that_there_are_no_limits(browser):
    assert read_limits(browser) == "Unlimited messages per day. Unlimited requests per minute."


def test_the_page_shows_limits_and_what_is_used(browser, operator, send):
    operator.set_limits(quota=100, rate=60)
    send()
    assert read_limits(browser) == "1 of 100 messages used today (UTC). 60 requests a minute."
