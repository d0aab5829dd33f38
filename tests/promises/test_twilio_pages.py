"""The Twilio-compatible API on the pages: the section of the settings, and the line of a message."""

import html
import re
from collections.abc import Callable

import pytest

from tests.support.app import KEY, sign_in
from tests.support.receivers import status
from tests.support.twilio import AC, MG, OWN, PHONE, TOKEN, TwilioApi, read_error, read_form

HERE = {"Sec-Fetch-Site": "same-origin"}
CHANGE = "/inbox/settings/fronts/twilio"


@pytest.fixture
def page(app):
    """A browser that is signed in to the account `default`."""
    browser = app.test_client()
    browser.key = None
    sign_in(browser, KEY)
    return browser


@pytest.fixture
def section(page) -> Callable[..., str]:
    """Return a function that returns the section of the settings page."""

    def section(address: str = "http://localhost") -> str:
        sign_in(page, KEY, base_url=address)
        text = page.get("/inbox/settings", base_url=address).get_data(as_text=True)
        return text.partition('<section id="twilio"')[2].partition("</section>")[0]

    return section


@pytest.fixture
def change(page) -> Callable[..., int]:
    """Return a function that sends a form of the section and returns the HTTP status."""

    def change(**form: str) -> int:
        response = page.post(CHANGE, data=form, headers=HERE)
        assert response.status_code != 303 or response.headers["Location"] == "/inbox/settings#twilio"
        return int(response.status_code)

    return change


def test_the_section_has_the_credentials(section, twilio):
    shown = section()
    assert f"<code>{AC}</code>" in shown
    assert f'data-secret="{twilio.fetch_token()}"' in shown
    assert f">{twilio.fetch_token()}<" not in shown  # it is hidden until it is asked for


def test_the_token_is_rotated(section, change, app, twilio):
    before = twilio.fetch_token()
    assert change(action="rotate") == 303
    after = twilio.fetch_token()
    assert before != after
    assert after in section()
    assert read_error(TwilioApi(app, AC, before).call("GET", twilio.messages))[0] == 401


def test_the_page_does_not_rotate_a_token_that_a_setting_sets(make_app):
    app = make_app(TWILIO_AUTH_TOKEN=TOKEN)
    browser = app.test_client()
    browser.key = None
    sign_in(browser, KEY)
    shown = browser.get("/inbox/settings").get_data(as_text=True)
    assert "The auth token is set by <code>PHONIFY_TWILIO_AUTH_TOKEN</code>." in shown
    assert "New auth token" not in shown
    assert browser.post(CHANGE, data={"action": "rotate"}, headers=HERE).status_code == 303  # an older page
    assert TwilioApi(app).fetch_token() == TOKEN


def test_another_site_can_not_change_the_settings(page, twilio):
    before = twilio.fetch_token()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://example.com"}):
        assert page.post(CHANGE, data={"action": "rotate"}, headers=headers).status_code == 403
    assert twilio.fetch_token() == before


def test_the_urls_for_received_messages_are_set_and_removed(section, change, client, post_due, receiver):
    given = {"inbound_url": f" {receiver.url}?a=<b> ", "inbound_method": "GET", "fallback_url": receiver.url}
    given["inbound_url"] = f" {receiver.url}?a=1&b=2 "
    assert change(**given) == 303
    shown = section()
    assert f'value="{receiver.url}?a=1&amp;b=2"' in shown
    assert shown.count("<option selected>GET</option>") == 1
    receiver.act = status(500)
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"})
    post_due()
    first, second = receiver.received
    assert first.line.startswith("GET /hook?a=1&b=2&MessageSid=")
    assert read_form(second)["ErrorCode"] == "11200"
    assert change(inbound_url="", inbound_method="POST", fallback_url="") == 303
    assert receiver.url not in section()


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ({"inbound_url": "hook"}, "Not a valid webhook URL."),
        ({"fallback_url": "ftp://example.com/"}, "Not a valid webhook URL."),
        ({"inbound_url": "http://169.254.169.254/"}, "Not a valid webhook URL."),
        ({"inbound_url": "http://localhost/", "inbound_method": "PUT"}, "The method must be GET or POST."),
    ],
)
def test_what_can_not_be_set_is_refused_and_explained(page, section, given, title):
    response = page.post(CHANGE, data=given, headers=HERE)
    assert response.status_code == 400
    assert title in response.get_data(as_text=True)
    assert 'name="inbound_url" type="url" value=""' in section()


def test_the_section_has_a_line_for_each_sdk_with_the_address_of_this_server(section):
    shown = html.unescape(section("http://phonify.test:8123"))
    for language in ("Python", "Node", "Ruby", "PHP", "Go", "Java", "C#"):
        assert f">{language}</label>" in shown
    blocks = re.findall(r"<pre[^>]*>(.*?)</pre>", shown, re.DOTALL)
    assert len(blocks) == 7
    assert all("phonify.test" in block and "8123" in block for block in blocks)
    assert 'client.api.base_url = "http://phonify.test:8123"' in blocks[0]
    assert 'client.api.baseUrl = "http://phonify.test:8123"' in blocks[1]


def test_an_account_without_a_token_can_make_one(app, page, operator):
    sign_in(page, operator.make_key("other"))
    text = page.get("/inbox/settings").get_data(as_text=True)
    assert f"AC{2:032x}" in text
    assert "the auth token</span>" not in text
    assert page.post(CHANGE, data={"action": "rotate"}, headers=HERE).status_code == 303
    (shown,) = operator.show("twilio", "show", "--account", "other")
    assert shown["auth_token"] in page.get("/inbox/settings").get_data(as_text=True)


def test_there_is_no_other_front(page):
    assert page.post("/inbox/settings/fronts/vonage", headers=HERE).status_code == 404


# A message


@pytest.fixture
def line(page, client) -> Callable[..., str]:
    """Return a function that returns the line of the newest message."""

    def line() -> str:
        (message,) = client.get("/v1/messages?limit=1").get_json()["messages"]
        text = page.get(f"/inbox/messages/{message['id']}").get_data(as_text=True)
        found = re.search(r"<dt>Twilio</dt><dd>(.*?)</dd>", text, re.DOTALL)
        assert found
        return html.unescape(" · ".join(re.findall(r"<li>(.*?)</li>", found[1])))

    return line


def test_a_message_shows_its_sid_and_status(twilio, deliver, line):
    sent = twilio.create()
    assert line() == f"{sent['sid']} · queued"
    deliver()
    assert line() == f"{sent['sid']} · delivered"


def test_a_message_shows_its_error(twilio, deliver, line):
    sent = twilio.create(To="+15005550023")
    deliver()
    assert line() == f"{sent['sid']} · undelivered · error 30003: Unreachable destination handset"


def test_a_message_of_v1_and_a_received_one_show_theirs(send, client, line):
    message = send()
    assert line() == f"SM{message['id'].replace('-', '')} · queued"
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"})
    assert line().endswith(" · received")


def test_a_message_shows_what_was_asked_for(twilio, line):
    sent = twilio.create(
        MessagingServiceSid=MG,
        StatusCallback="http://my_app:5000/<told>?a=1",
        MediaUrl="http://example.com/a.png",
        ShortenUrls="true",
        MaxPrice="<1>",
    )
    assert line() == (
        f"{sent['sid']} · queued · callback http://my_app:5000/<told>?a=1 (Twilio refuses a host with an underscore)"
        f" · service {MG} · media http://example.com/a.png · ShortenUrls=true · MaxPrice=<1>"
    )
    twilio.call("POST", sent["subresource_uris"]["feedback"], {"Outcome": "confirmed"})
    assert line().endswith(" · feedback confirmed")


def test_a_message_with_a_text_of_1600_characters_and_one_without_are_shown(twilio, page, client):
    twilio.create(Body="x" * 1_600)
    twilio.create(Body=None, MediaUrl="http://example.com/a.png")
    for message in client.get("/v1/messages").get_json()["messages"]:
        assert page.get(f"/inbox/messages/{message['id']}").status_code == 200
    assert "x" * 1_600 in page.get(f"/inbox/phones/{PHONE}").get_data(as_text=True)


def test_the_callbacks_of_a_message_are_in_its_history(twilio, page, client, deliver, post_due, receiver):
    twilio.create(StatusCallback=receiver.url)
    deliver()
    post_due()
    (message,) = client.get("/v1/messages").get_json()["messages"]
    text = page.get(f"/inbox/messages/{message['id']}").get_data(as_text=True)
    assert re.findall(r"Webhook twilio\.(\w+)[^<]*: delivered", text) == ["sent", "delivered"]


def test_what_is_wrong_with_an_answer_is_shown(page, operator, client, post_due, receiver):
    operator.run("twilio", "set-inbound", receiver.url)
    receiver.act = status(200, "Content-Type: text/xml", body="<Response><Say>Hi</Say></Response>")
    received = client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"}).get_json()["message"]
    post_due()
    for path in ("/inbox/settings", f"/inbox/messages/{received['id']}"):
        text = html.unescape(page.get(path).get_data(as_text=True))
        assert "12200: the verb <Say> is unknown" in text
