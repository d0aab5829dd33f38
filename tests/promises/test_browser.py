"""Tests of the inbox in a browser: pages, actions, live changes, injection, accessibility, narrow screens.

Every page uses its Content-Security-Policy. If the console shows a complaint, the test fails.
"""

import itertools
import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from phonify.sms.segments import check_text
from tests.support.app import KEY, ROOT
from tests.support.operating import Operator, operating
from tests.support.receivers import status
from tests.support.servers import Process, starting

CHROMIUM = Path("/usr/bin/chromium")
RELEASE_APP = str(ROOT / "tests" / "support" / "release_app.py")
PHONE = "+14560000000"
APP = "+15005550006"
SOON = 10_000  # milliseconds in which a page must show a change; pages ask every second
NUMBERS = itertools.count(1)
CLIPBOARD = ["clipboard-read", "clipboard-write"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM} on this machine"),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--renderer-process-limit=1"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The server of all tests in this file. Each test has its own account."""
    with starting(tmp_path_factory.mktemp("server")) as start:
        process = start(WORKERS="1")
        assert process.port
        yield process


@pytest.fixture(scope="module")
def operator(process: Process) -> Iterator[Operator]:
    with operating(process.log.parent / "phonify.db") as operator:
        yield operator


class Server:
    """The server, and the key of an account of this test."""

    def __init__(self, process: Process, key: str) -> None:
        self.port = process.port
        self.address = f"http://127.0.0.1:{process.port}"
        self.key = key
        self._process = process

    def call(self, method: str, path: str, key: str | None = None, **arguments) -> tuple[int, dict]:
        return self._process.call(method, path, key or self.key, **arguments)


@pytest.fixture
def server(process: Process, operator: Operator) -> Server:
    return Server(process, operator.make_key(str(next(NUMBERS)), name="browser"))


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """The complaints of pages on the console. A test removes a complaint that it expects."""
    seen: list[str] = []
    yield seen
    assert seen == []


@pytest.fixture
def open_page(browser: Browser, server: Server, complaints: list[str]) -> Iterator[Open]:
    """Return a function that opens a page in a new browser context. The context is signed in with a key."""
    opened = []

    def open_page(path: str = "/", *, key: str | None = server.key, width: int = 1280, height: int = 800, **options):
        viewport = {"width": width, "height": height}
        context = browser.new_context(base_url=server.address, viewport=viewport, **options)
        opened.append(context)
        context.set_default_timeout(10_000)
        if key is not None:
            form = {"api_key": key}
            context.request.post("/inbox/sign-in", form=form, headers={"Sec-Fetch-Site": "same-origin"})
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture
def send(server: Server) -> Callable[..., dict]:
    """Return a function that sends a message with the API and returns the first message of the answer."""

    def send(body: str = "Hello", to: str | list[str] = PHONE, **arguments: str) -> dict:
        _, answer = server.call("POST", "/v1/messages", to=to, body=body, **arguments)
        return answer["messages"][0]

    return send


@pytest.fixture
def receive(server: Server) -> Callable[..., dict]:
    """Return a function that lets a phone write to the app."""

    def receive(body: str = "Hi", sender: str = PHONE) -> dict:
        code, answer = server.call("POST", "/sandbox/inbound", **{"from": sender, "to": APP, "body": body})
        assert code == 201
        return answer["message"]

    return receive


def messages_of(server: Server, query: str = "") -> list[dict]:
    return server.call("GET", f"/v1/messages?limit=1000&{query}")[1]["messages"]


def wait_until_sent(server: Server, message: dict) -> None:
    while server.call("GET", f"/v1/messages/{message['id']}")[1]["message"]["state"] == "unconfirmed":
        server.call("GET", f"/v1/messages?after={message['id']}&wait=0.05")


def conversation(page: Page, phone: str = PHONE):
    return page.locator("#conversations a", has_text=phone)


def bubble(page: Page, text: str):
    return page.locator("#thread .bubble", has_text=text)


def show_details(page: Page, text: str):
    bubble(page, text).get_by_role("link", name="Details").click()
    expect(page.locator("#detail h2")).to_be_visible()
    return page.locator("#detail")


def mark(page: Page) -> None:
    """Put a mark into the page. A reload would remove it."""
    page.evaluate("window.sameAsBefore = true")


def is_same(page: Page) -> bool:
    return page.evaluate("window.sameAsBefore === true")


# Signing in and out


def test_a_wrong_key_is_refused_in_plain_words_and_the_right_one_signs_in(open_page, server, complaints):
    page = open_page(key=None)
    expect(page).to_have_url(re.compile("/inbox/sign-in$"))
    page.get_by_label("API key").fill("phk_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This key is not valid")
    assert [complaints.pop()] == ["Failed to load resource: the server responded with a status of 401 (UNAUTHORIZED)"]
    page.get_by_label("API key").fill(server.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()


def test_the_field_for_the_key_has_the_focus_and_hides_what_is_typed(open_page):
    field = open_page(key=None).get_by_label("API key")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("type", "password")


def test_a_key_in_the_address_signs_in_and_leaves_the_address_at_once(open_page, server):
    page = open_page(f"/?api_key={server.key}", key=None)
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    assert server.key not in page.url
    assert server.key not in page.evaluate("JSON.stringify(performance.getEntries()) + document.referrer")
    assert page.evaluate("history.length") == 2  # about:blank and this page


def test_the_session_is_out_of_reach_of_scripts_and_other_sites(open_page, server):
    page = open_page(f"/?api_key={server.key}", key=None)
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["expires"] > 0
    assert page.evaluate("document.cookie") == ""


def test_signing_out_removes_the_session(open_page):
    page = open_page()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []
    page.goto("/inbox/settings")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_after_signing_out_the_way_back_shows_no_page_of_before(open_page, send):
    send("A secret text")
    page = open_page()
    expect(page.get_by_text("A secret text")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_revoking_a_key_elsewhere_signs_its_open_page_out(open_page, complaints):
    settings = open_page("/inbox/settings")
    settings.get_by_label("Key name").fill("laptop")
    settings.get_by_role("button", name="Create a key").click()
    page = open_page(key=settings.locator(".new-key pre").inner_text())
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    settings.on("dialog", lambda dialog: dialog.accept())
    settings.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=SOON)
    assert "401" in complaints[0]
    complaints.clear()


# Live changes


def test_a_message_appears_in_list_and_thread_without_a_reload(open_page, send):
    send("The first one")
    page = open_page(f"/inbox/phones/{PHONE}")
    mark(page)
    send("Your parcel is here")
    expect(bubble(page, "Your parcel is here")).to_be_visible(timeout=SOON)
    expect(conversation(page)).to_contain_text("Your parcel is here")
    assert is_same(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_message_appears_in_an_empty_inbox(open_page, send, width):
    page = open_page(width=width)
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    send("The very first")
    expect(conversation(page)).to_be_visible(timeout=SOON)
    expect(conversation(page)).to_contain_text("The very first")


def test_a_new_conversation_comes_to_the_top(open_page, send, receive):
    send(to="+442071838750")
    page = open_page()
    expect(page.locator("#conversations li")).to_have_count(1)
    receive("Anybody there?")
    expect(page.locator("#conversations li")).to_have_count(2, timeout=SOON)
    expect(page.locator("#conversations li").first).to_contain_text("Anybody there?")


# In this test, a state lasts until the test changes it. Without this, it would last for milliseconds.
NEVER_CONFIRMED = "+15005550012"
FAR = "2035-01-15T14:30:00Z"
PAST = "2020-01-15T14:30:00Z"


def test_a_message_is_unconfirmed_before_the_eyes_of_who_looks(open_page, send):
    send("Before", to=NEVER_CONFIRMED)
    page = open_page(f"/inbox/phones/{NEVER_CONFIRMED}")
    mark(page)
    send("Still waiting", to=NEVER_CONFIRMED)
    expect(bubble(page, "Still waiting").locator(".state")).to_have_text("unconfirmed", timeout=SOON)
    assert is_same(page)


def test_a_state_changes_before_the_eyes_of_who_looks(open_page, server, send):
    message = send("Later", send_at=FAR)
    page = open_page(f"/inbox/phones/{PHONE}")
    mark(page)
    expect(bubble(page, "Later").locator(".state")).to_contain_text("scheduled for")
    server.call("PUT", f"/v1/messages/{message['id']}", send_at=PAST)
    expect(bubble(page, "Later").locator(".state")).to_have_text("sent", timeout=SOON)
    assert is_same(page)


def test_open_details_follow_the_state(open_page, server, send):
    message = send("Tried three times", to="+15005550010", send_at=FAR)
    page = open_page(f"/inbox/messages/{message['id']}")
    expect(page.locator("#detail .pill")).to_have_text("scheduled")
    server.call("PUT", f"/v1/messages/{message['id']}", send_at=PAST)
    expect(page.locator("#detail .pill")).to_have_text("sent", timeout=SOON)
    expect(page.locator("#detail .steps")).to_contain_text("Attempt 3: the gateway accepted the message")


def test_the_head_of_an_open_thread_says_that_its_phone_has_opted_out(open_page, send, receive):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    expect(page.get_by_role("button", name="Opt out")).to_be_visible()
    receive("STOP")
    expect(page.locator(".thread-head")).to_contain_text("by keyword", timeout=SOON)
    expect(page.get_by_role("button", name="Opt in")).to_be_visible()


def test_a_page_on_which_nothing_changes_is_told_nothing(open_page, server, send):
    message = send()
    wait_until_sent(server, message)
    page = open_page(f"/inbox/messages/{message['id']}")
    for part in ("/inbox/conversations", f"/inbox/phones/{PHONE}/messages", f"/inbox/messages/{message['id']}?"):
        with page.expect_response(lambda response, part=part: part in response.url and response.status == 304):
            pass


def test_a_page_asks_only_while_somebody_can_see_it(open_page, send):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    show = """(state) => {
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    with page.expect_response("**/messages?*"):
        pass
    page.evaluate(show, "hidden")
    page.wait_for_timeout(500)  # for the earlier request
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1_500)
    assert asked == []
    page.evaluate(show, "visible")
    expect(page.locator("#thread")).to_be_visible()
    assert len(asked) == 2


def test_a_badge_counts_what_is_unread_and_goes_when_it_is_opened(open_page, send, receive):
    send(to="+442071838750")
    page = open_page("/inbox/phones/+442071838750")
    receive("One")
    receive("Two")
    expect(conversation(page).locator(".badge")).to_have_text("unread: 2", timeout=SOON)
    conversation(page).click()
    expect(page.get_by_role("heading", name=PHONE)).to_be_visible()
    expect(bubble(page, "Two")).to_be_visible()
    expect(page.locator(".badge")).to_have_count(0)


def test_what_arrives_in_the_open_thread_is_not_unread(open_page, send, receive):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    receive("Seen at once")
    expect(bubble(page, "Seen at once")).to_be_visible(timeout=SOON)
    page.goto("/")
    expect(conversation(page)).to_contain_text("Seen at once")
    expect(page.locator(".badge")).to_have_count(0)


def test_messages_that_arrive_one_by_one_are_each_shown_once_in_their_order(open_page, send, receive):
    send("Message 0")
    page = open_page(f"/inbox/phones/{PHONE}")
    texts = ["Message 0"]
    for number in range(1, 7):
        (send, receive)[number % 2](f"Message {number}")
        texts.append(f"Message {number}")
        expect(page.locator("#thread > .bubble .text")).to_have_text(texts, timeout=SOON)
        page.wait_for_timeout(1_100)  # so that it is settled before the next request of the page
        expect(page.locator(".bubble .text")).to_have_text(texts)
    expect(page.locator("ol.thread")).to_have_count(1)
    bubble(page, "Message 5").get_by_role("link", name="Details").click()
    expect(page.locator("#detail")).to_contain_text("Send it again")


def test_the_latest_message_is_in_sight_for_who_is_at_the_bottom(open_page, server, send):
    send("Filling the screen", to=[PHONE] * 40)
    page = open_page(f"/inbox/phones/{PHONE}")
    expect(page.locator("#thread .bubble").last).to_be_in_viewport()
    send("The newest")
    expect(bubble(page, "The newest")).to_be_in_viewport(timeout=SOON)


def test_who_reads_further_up_is_not_pulled_down(open_page, send):
    send("Filling the screen", to=[PHONE] * 40)
    page = open_page(f"/inbox/phones/{PHONE}")
    page.locator("#thread").evaluate("(list) => { list.scrollTop = 100; }")
    send("The newest")
    expect(bubble(page, "The newest")).to_be_attached(timeout=SOON)
    assert page.locator("#thread").evaluate("(list) => list.scrollTop") == 100


def test_what_is_being_typed_is_left_alone_by_what_arrives(open_page, send, receive):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    page.get_by_label("Text", exact=True).press_sequentially("Half a sent")
    receive("In between")
    expect(bubble(page, "In between")).to_be_visible(timeout=SOON)
    page.keyboard.type("ence")
    expect(page.get_by_label("Text", exact=True)).to_have_value("Half a sentence")


def test_what_is_selected_stays_so_when_a_message_arrives(open_page, send):
    send("Copy this text")
    page = open_page(f"/inbox/phones/{PHONE}")
    bubble(page, "Copy this text").locator(".text").evaluate("(text) => getSelection().selectAllChildren(text)")
    send("In between")
    expect(bubble(page, "In between")).to_be_visible(timeout=SOON)
    assert page.evaluate("String(getSelection())") == "Copy this text"


# Writing


def test_one_writes_as_the_app(open_page, server, receive):
    receive("Are you open?")
    page = open_page(f"/inbox/phones/{PHONE}")
    page.get_by_label("Text", exact=True).fill("Until six")
    page.get_by_role("button", name="Send").click()
    expect(bubble(page, "Until six").locator(".state")).to_have_text("sent")
    (message,) = messages_of(server, "direction=outbound")
    assert (message["to"], message["origin"]["number"], message["body"]) == (PHONE, APP, "Until six")
    expect(page.get_by_label("Text", exact=True)).to_have_value("")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()


def test_what_one_writes_is_in_the_answer(open_page, send):
    send("Before", to=[PHONE] * 60)
    page = open_page(f"/inbox/phones/{PHONE}")
    page.get_by_role("button", name="Older messages").click()
    expect(page.locator("#thread .bubble")).to_have_count(60)
    looks = re.compile(r"/inbox/(conversations|phones/[^/]+/messages)\?")
    page.route(looks, lambda route: route.fulfill(status=304))
    for way, text in (("as the app", "From the app"), ("as the phone", "From the phone")):
        page.get_by_text(way).click()
        page.get_by_label("Text", exact=True).fill(text)
        page.get_by_role("button", name="Send").click()
        expect(bubble(page, text)).to_be_in_viewport()
        expect(conversation(page)).to_contain_text(text)
    expect(page.locator("#thread .bubble")).to_have_count(62)


def test_one_answers_as_the_phone(open_page, server, send):
    send("Reply YES to confirm", origin="+15005550099")
    page = open_page(f"/inbox/phones/{PHONE}")
    page.get_by_text("as the phone").click()
    page.get_by_label("Text", exact=True).fill("YES")
    page.get_by_role("button", name="Send").click()
    expect(bubble(page, "YES").locator(".state").last).to_have_text("received")
    (message,) = messages_of(server, "direction=inbound")
    assert (message["origin"]["number"], message["to"], message["body"]) == (PHONE, "+15005550099", "YES")
    expect(page.get_by_label("as the phone")).to_be_checked()


def test_enter_sends_and_shift_enter_makes_a_line(open_page, server, send):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    text = page.get_by_label("Text", exact=True)
    text.press_sequentially("One")
    text.press("Shift+Enter")
    text.press_sequentially("Two")
    text.press("Enter")
    expect(bubble(page, "One").locator(".text")).to_have_text("One\nTwo")
    assert messages_of(server)[0]["body"].replace("\r\n", "\n") == "One\nTwo"


def test_what_a_text_becomes_is_told_while_it_is_typed(open_page, send):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    page.get_by_label("Text", exact=True).press_sequentially("Price: 5 €")
    expect(page.locator("#check")).to_have_text("1 SMS, 11 of 160 septets, GSM-7")
    page.get_by_label("Text", exact=True).press_sequentially(" – ok")
    expect(page.locator("#check")).to_contain_text("1 SMS, 15 of 70 units, UCS-2")
    expect(page.locator("#check mark")).to_have_attribute("title", "EN DASH")


def test_a_failure_that_comes_later_is_explained_in_plain_words(open_page, send):
    send("Will be blocked", to="+15005550004")
    page = open_page("/inbox/phones/+15005550004")
    failed = bubble(page, "Will be blocked")
    expect(failed.locator(".why")).to_have_text("The recipient has blocked messages from this sender.", timeout=SOON)
    expect(failed.locator(".state")).to_have_text("error")
    expect(conversation(page, "+15005550004").locator(".state")).to_have_text("error: ")


def test_a_number_that_is_refused_at_once_says_so_in_the_form_and_in_the_thread(open_page, send):
    send(to="+15005550001")
    page = open_page("/inbox/phones/+15005550001")
    page.get_by_label("Text", exact=True).fill("Into the void")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("The gateway refuses this number as invalid.")
    expect(bubble(page, "Into the void").locator(".why")).to_have_text("The gateway refuses this number as invalid.")


def test_a_new_message_goes_to_a_number_that_behaves_in_a_certain_way(open_page, server):
    page = open_page("/inbox/compose")
    page.get_by_label("Test number").select_option("+15005550009")
    page.get_by_label("Text", exact=True).fill("To a landline")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="+15005550009")).to_be_visible()
    expect(bubble(page, "To a landline").locator(".why")).to_have_text("This number cannot receive SMS.")


def test_a_phone_can_write_first(open_page, server):
    page = open_page("/inbox/compose")
    page.get_by_text("From a phone to the app").click()
    page.get_by_role("textbox", name="From phone").fill("+442071838750")
    page.get_by_label("Text", exact=True).fill("Hello, app")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="+442071838750")).to_be_visible()
    (message,) = messages_of(server, "direction=inbound")
    assert (message["origin"]["number"], message["to"]) == ("+442071838750", APP)


def test_a_new_message_with_a_fault_keeps_what_was_written(open_page, server, complaints):
    page = open_page("/inbox/compose")
    page.get_by_role("textbox", name="To", exact=True).fill("12")
    page.get_by_label("Text", exact=True).fill("Not lost")
    page.get_by_role("button", name="Send").click()
    field = page.get_by_role("textbox", name="To", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("^Not a valid E.164 number"))
    expect(page.get_by_label("Text", exact=True)).to_have_value("Not lost")
    expect(page.get_by_role("textbox", name="To", exact=True)).to_have_value("12")
    assert messages_of(server) == []
    assert "400" in complaints.pop()


@pytest.mark.parametrize(
    ("zone", "typed", "stored"),
    [
        ("America/New_York", "2035-01-15T09:30:00", "2035-01-15T14:30:00.000Z"),
        ("America/New_York", "2035-07-15T22:30:00", "2035-07-16T02:30:00.000Z"),  # summer time, the next day in UTC
        ("Asia/Kolkata", "2035-01-15T03:00:00", "2035-01-14T21:30:00.000Z"),
    ],
)
def test_a_time_is_typed_in_the_zone_of_the_browser_and_stored_in_utc(open_page, server, zone, typed, stored):
    page = open_page("/inbox/compose", timezone_id=zone)
    page.get_by_role("textbox", name="To", exact=True).fill(PHONE)
    page.get_by_label("Text", exact=True).fill("Later")
    page.get_by_label("Schedule").fill(typed)
    expect(page.get_by_text(f"({zone.replace('Kolkata', 'Calcutta')})")).to_be_visible()
    page.get_by_role("button", name="Send").click()
    expect(bubble(page, "Later").locator(".state")).to_contain_text("scheduled for")
    assert messages_of(server)[0]["send_at"] == stored


# Codes and links


def test_a_one_time_code_is_copied_with_one_click(open_page, send):
    send("Your code is 424242. It is valid for 10 minutes.")
    page = open_page(f"/inbox/phones/{PHONE}", permissions=CLIPBOARD)
    expect(page.locator("mark.code")).to_have_text("424242")
    page.get_by_role("button", name="Copy 424242").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "424242"


def test_a_code_is_copied_where_the_browser_refuses_the_clipboard(open_page, send):
    send("Your code is 424242.")
    page = open_page(f"/inbox/phones/{PHONE}")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(document.activeElement.value) })")
    page.get_by_role("button", name="Copy 424242").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("window.copied") == "424242"


def test_a_link_in_a_text_opens_elsewhere_and_tells_nothing_of_this_page(open_page, send):
    send("See https://example.org/track?id=7&x=1.")
    link = open_page(f"/inbox/phones/{PHONE}").locator(".text a")
    expect(link).to_have_attribute("href", "https://example.org/track?id=7&x=1")
    expect(link).to_have_attribute("rel", "noreferrer noopener nofollow")
    expect(link).to_have_attribute("target", "_blank")


# Details


def test_details_show_encoding_segments_and_what_makes_it_ucs_2(open_page, send):
    send("“Hello” 😀 " + "é" * 75)
    detail = show_details(open_page(f"/inbox/phones/{PHONE}"), "Hello")
    expect(detail).to_contain_text("UCS-2: 86 units in 2 SMS")
    expect(detail.locator(".segments li")).to_have_text(["“Hello” 😀 " + "é" * 56, "é" * 19])
    expect(detail.locator(".wide-table tbody tr")).to_have_text(
        ["“1Left double quotation mark\"", "”7Right double quotation mark\"", "😀9Grinning facenone"]
    )  # fmt: skip


def test_details_show_the_message_as_json(open_page, server, send):
    message = send("As data")
    wait_until_sent(server, message)
    detail = show_details(open_page(f"/inbox/phones/{PHONE}"), "As data")
    shown = json.loads(detail.locator("pre").last.inner_text())
    assert shown == server.call("GET", f"/v1/messages/{message['id']}")[1]["message"]


@pytest.mark.parametrize("body", ['It\'s 5 $HOME `id` "quoted" & done', "@not-a-file + 100%"])
def test_the_curl_line_of_the_details_sends_the_message_again_when_pasted(open_page, server, send, body):
    send(body)
    page = open_page(f"/inbox/phones/{PHONE}", permissions=CLIPBOARD)
    detail = show_details(page, body)
    detail.get_by_role("button", name="Copy the curl command").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    line = page.evaluate("navigator.clipboard.readText()")
    subprocess.run(line.replace("curl ", "curl -sSf ", 1), shell=True, check=True, capture_output=True)
    assert [message["body"] for message in messages_of(server)] == [body, body]


def test_the_curl_line_of_a_received_message_simulates_it_again(open_page, server, receive):
    receive("Once more")
    detail = show_details(open_page(f"/inbox/phones/{PHONE}"), "Once more")
    line = detail.get_by_role("button", name="Copy the curl command").get_attribute("data-copy")
    assert "KEY:" in detail.locator("pre").first.inner_text()  # the key can only be copied
    subprocess.run(line.replace("curl ", "curl -sSf ", 1), shell=True, check=True, capture_output=True)
    assert [message["direction"] for message in messages_of(server)] == ["inbound", "inbound"]


def test_details_tell_the_history(open_page, server, send):
    wait_until_sent(server, send("Bumpy", to="+15005550010"))
    detail = show_details(open_page("/inbox/phones/+15005550010"), "Bumpy")
    steps = detail.locator(".steps > li")
    for step, text in enumerate(
        [
            "Accepted and stored",
            "Attempt 1: the gateway could not take it at that time",
            "Attempt 2: the gateway could not take it at that time",
            "Attempt 3: the gateway accepted the message",
        ]
    ):
        expect(steps.nth(step)).to_contain_text(text)
    expect(steps).to_have_count(4)


def test_details_tell_what_became_of_the_webhook(open_page, server, receiver, receive):
    page = open_page("/inbox/settings")
    page.get_by_label("Webhook URL").fill(receiver.url)
    page.locator("#webhook").get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Send a test")).to_be_visible()
    receive("Tell the app")
    page.goto(f"/inbox/phones/{PHONE}")
    detail = show_details(page, "Tell the app")
    expect(detail.locator(".steps")).to_contain_text("message.received: delivered", timeout=SOON)
    expect(detail.locator(".steps")).to_contain_text(re.compile(r"attempt 1: 204 in \d+ ms"))


def test_a_details_address_opens_the_thread_around_the_message(open_page, send):
    send("Before", to=[PHONE] * 60)
    message = send("The one in question")
    send("After", to=[PHONE] * 60)
    page = open_page(f"/inbox/messages/{message['id']}")
    expect(bubble(page, "The one in question")).to_be_in_viewport()
    expect(page.locator("#detail pre").last).to_contain_text("The one in question")
    expect(page.locator("#thread .bubble")).to_have_count(110, timeout=SOON)
    expect(bubble(page, "The one in question")).to_be_in_viewport()


def test_a_scheduled_message_is_changed_in_its_details(open_page, server, send):
    message = send("Too early", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/phones/{PHONE}", timezone_id="America/New_York")
    detail = show_details(page, "Too early")
    expect(detail.get_by_label("Time of sending")).to_have_value("2035-01-15T09:30")
    detail.locator("textarea").fill("At the right time")
    detail.get_by_label("Time of sending").fill("2035-07-15T08:00:00")
    detail.get_by_role("button", name="Change").click()
    expect(detail.locator("pre").last).to_contain_text('"body": "At the right time"')
    expect(detail.get_by_label("Time of sending")).to_have_value("2035-07-15T08:00")
    expect(bubble(page, "At the right time").locator(".state")).to_contain_text("Jul 15, 2035, 8:00 AM", timeout=SOON)
    changed = server.call("GET", f"/v1/messages/{message['id']}")[1]["message"]
    assert (changed["body"], changed["send_at"]) == ("At the right time", "2035-07-15T12:00:00.000Z")


def test_what_is_being_changed_is_left_alone_by_what_is_changed_elsewhere(open_page, server, send):
    message = send("First", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/messages/{message['id']}", timezone_id="America/New_York")
    text = page.locator("#detail textarea")
    text.press_sequentially("Half a sent")
    server.call("PUT", f"/v1/messages/{message['id']}", body="Changed elsewhere")
    expect(bubble(page, "Changed elsewhere")).to_be_visible(timeout=SOON)
    page.wait_for_timeout(1_100)  # so that the page requests the details again
    page.keyboard.type("ence")
    expect(text).to_have_value(re.compile("Half a sentence"))
    expect(page.get_by_label("Time of sending")).to_have_value("2035-01-15T09:30")
    server.call("DELETE", f"/v1/messages/{message['id']}")
    expect(page.locator("#detail")).to_contain_text("This message was removed.", timeout=SOON)


def test_what_nobody_is_changing_follows_what_is_changed_elsewhere(open_page, server, send):
    message = send("First", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/messages/{message['id']}", timezone_id="America/New_York")
    for body, send_at, shown in (
        ("Second", "2035-01-15T15:30:00Z", "2035-01-15T10:30"),
        ("Third", "2035-01-15T16:30:00Z", "2035-01-15T11:30"),
    ):
        server.call("PUT", f"/v1/messages/{message['id']}", body=body, send_at=send_at)
        expect(page.locator("#detail textarea")).to_have_value(body, timeout=SOON)
        expect(page.get_by_label("Time of sending")).to_have_value(shown)


def test_a_change_that_is_wrong_is_explained_until_it_is_corrected(open_page, send, complaints):
    message = send("First", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/messages/{message['id']}")
    page.locator("#detail textarea").fill("x" * 161)
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#detail").get_by_role("alert")).to_contain_text("too long")
    page.wait_for_timeout(1_500)
    expect(page.locator("#detail").get_by_role("alert")).to_contain_text("too long")
    assert "400" in complaints.pop()


def test_a_change_of_the_text_alone_leaves_the_time_as_it_is(open_page, server, send):
    message = send("Typo", send_at="2035-01-15T14:30:07Z")
    page = open_page(f"/inbox/messages/{message['id']}", timezone_id="America/New_York")
    page.locator("#detail textarea").fill("No typo")
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#detail pre").last).to_contain_text('"body": "No typo"')
    assert messages_of(server)[0]["send_at"] == "2035-01-15T14:30:07.000Z"


def test_a_scheduled_message_is_cancelled_in_its_details(open_page, server, send):
    send("Stays")
    send("Goes", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/phones/{PHONE}")
    page.once("dialog", lambda dialog: dialog.dismiss())
    show_details(page, "Goes").get_by_role("button", name="Cancel the message").click()
    expect(bubble(page, "Goes")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel the message").click()
    expect(bubble(page, "Goes")).to_have_count(0)
    expect(page.locator(".notice")).to_contain_text("was cancelled")
    expect(page).not_to_have_url(re.compile("notice"))
    page.reload()
    expect(page.locator(".notice")).to_have_count(0)
    expect(bubble(page, "Stays")).to_be_visible()
    assert [message["body"] for message in messages_of(server)] == ["Stays"]


def test_cancelling_the_only_message_of_a_thread_leaves_the_thread_empty(open_page, server, send):
    send("Goes", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/phones/{PHONE}")
    page.once("dialog", lambda dialog: dialog.accept())
    show_details(page, "Goes").get_by_role("button", name="Cancel the message").click()
    expect(page.get_by_role("heading", name=PHONE)).to_be_visible()
    expect(page.locator("#thread .bubble")).to_have_count(0)
    assert messages_of(server) == []


@pytest.mark.parametrize("path", ["/", "/inbox/search", f"/inbox/phones/{PHONE}"])
def test_an_open_page_shows_that_a_gateway_is_paused_and_that_it_goes_on(browser, tmp_path, path: str):
    with starting(tmp_path) as start:
        server = start(RELEASE_APP, WORKERS="1", RELEASE_GATEWAY="gateway", ONLY_TO=PHONE)
        assert server.port
        server.call("POST", "/v1/messages", to=PHONE, body="Hello")
        context = browser.new_context(base_url=f"http://127.0.0.1:{server.port}")
        form = {"api_key": KEY}
        context.request.post("/inbox/sign-in", form=form, headers={"Sec-Fetch-Site": "same-origin"})
        page = context.new_page()
        page.goto(path)
        for held in (1, 0):
            with closing(sqlite3.connect(tmp_path / "phonify.db")) as connection, connection:
                connection.execute("INSERT OR REPLACE INTO gateways (name, held) VALUES ('gateway', ?)", (held,))
            expect(page.locator("#troubles p")).to_have_count(held, timeout=SOON)
        expect(page.locator("#conversations > li, .result").first).to_be_visible()
        context.close()


def test_details_say_so_when_their_message_is_gone(open_page, server, send):
    message = send("Fleeting", send_at="2035-01-15T14:30:00Z")
    page = open_page(f"/inbox/messages/{message['id']}")
    server.call("DELETE", f"/v1/messages/{message['id']}")
    expect(page.locator("#detail")).to_contain_text("This message was removed.", timeout=SOON)


# Numbers, countries, days and times


def test_a_country_is_its_code_and_has_its_name_for_a_screen_reader(open_page, send):
    send(to="+4915112345678")
    page = open_page("/inbox/phones/+4915112345678")
    for part in (conversation(page, "+4915112345678"), page.locator(".thread-head")):
        expect(part.get_by_role("img", name="Germany")).to_have_text("DE")


def test_a_number_is_shown_in_groups_and_copied_without_spaces(open_page, send):
    send(to="+4915112345678")
    page = open_page("/inbox/phones/+4915112345678", permissions=CLIPBOARD)
    expect(page).to_have_title("+49 1511 2345678 – Phonify")
    for number in (page.locator("h1 .number"), conversation(page, "+4915112345678").locator(".number")):
        boxes = [group.bounding_box() for group in number.locator("span").all()]
        assert [after["x"] - before["x"] - before["width"] > 2 for before, after in itertools.pairwise(boxes)] == [
            True
        ] * 2
        number.evaluate("(number) => getSelection().selectAllChildren(number)")
        page.locator("h1").press("Control+c")
        assert page.evaluate("navigator.clipboard.readText()") == "+4915112345678"


def test_the_number_of_the_app_is_shown_when_it_changes(open_page, send, receive):
    for sender in (APP, APP, "7x7 ACME", "7x7 ACME"):
        send(f"From {sender}", origin=sender)
    receive("Back")
    page = open_page(f"/inbox/phones/{PHONE}")
    shown = [
        number.inner_text() if (number := each.locator(".own")).count() else ""
        for each in page.locator(".bubble").all()
    ]
    assert shown == [f"from {APP}", "", "from 7x7 ACME", "", f"to {APP}"]


@pytest.fixture
def date(process: Process) -> Callable[[dict, str], None]:
    """Return a function that changes the time at which a message was created."""

    def date(message: dict, moment: str) -> None:
        with closing(sqlite3.connect(process.log.parent / "phonify.db")) as connection, connection:
            connection.execute("UPDATE messages SET created_at = ? WHERE id = ?", (moment, message["id"]))

    return date


def test_days_begin_at_midnight_of_the_person(open_page, send, date):
    for moment in ("2020-01-31T04:30:07.000Z", "2020-01-31T23:30:07.000Z", "2020-02-01T00:30:07.000Z"):
        date(send(moment), moment)
    for zone, days in (
        ("UTC", ["Friday, January 31, 2020", None, "Saturday, February 1, 2020"]),
        ("America/New_York", ["Thursday, January 30, 2020", "Friday, January 31, 2020", None]),
    ):
        page = open_page(f"/inbox/phones/{PHONE}", timezone_id=zone)
        assert [each.get_attribute("data-day") for each in page.locator(".bubble").all()] == days


def test_a_scheduled_text_is_under_the_day_on_which_it_was_created(open_page, send, date):
    date(send("Later", send_at=FAR), "2020-01-31T04:30:07.000Z")
    page = open_page(f"/inbox/phones/{PHONE}", timezone_id="UTC")
    expect(bubble(page, "Later")).to_have_attribute("data-day", "Friday, January 31, 2020")
    expect(bubble(page, "Later").locator("time")).to_have_text("Jan 15, 2035, 2:30 PM")


@pytest.mark.parametrize(("locale", "time"), [("en-US", "9:05 AM"), ("en-GB", "09:05"), ("de-DE", "09:05")])
def test_times_in_a_thread_are_as_the_language_writes_them_with_seconds_to_hover(open_page, send, date, locale, time):
    date(send(), "2020-02-01T09:05:07.000Z")
    shown = open_page(f"/inbox/phones/{PHONE}", locale=locale, timezone_id="UTC").locator(".open time")
    expect(shown).to_have_text(time)
    expect(shown).to_have_attribute("title", re.compile("9:05:07"))


# What is unread


def test_the_title_of_the_tab_begins_with_the_number_of_unread_conversations(open_page, send, receive):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    expect(page).to_have_title("+1 456 000 0000 – Phonify")
    receive("One", "+442071838751")
    receive("Two", "+442071838752")
    receive("Three", "+442071838752")
    expect(page).to_have_title("(2) +1 456 000 0000 – Phonify", timeout=SOON)
    conversation(page, "+442071838752").click()
    expect(page).to_have_title("(1) +44 20 7183 8752 – Phonify")


def test_all_conversations_are_marked_as_read_with_one_click(open_page, send, receive):
    send()
    receive("One", "+442071838751")
    receive("Two", "+442071838752")
    page = open_page(f"/inbox/phones/{PHONE}")
    mark(page)
    page.get_by_label("Text", exact=True).fill("Half a sentence")
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".badge")).to_have_count(0)
    expect(page).to_have_title("+1 456 000 0000 – Phonify")
    expect(page.get_by_role("button", name="Mark all as read")).to_have_count(0)
    expect(page.get_by_label("Text", exact=True)).to_have_value("Half a sentence")
    assert is_same(page)
    page.goto("/")
    expect(page).to_have_title("Inbox – Phonify")


def test_the_open_conversation_is_in_sight_in_the_list(open_page, send):
    send(to=[f"+4420718387{number}" for number in range(10, 40)])
    page = open_page("/inbox/phones/+442071838710")
    expect(conversation(page, "+442071838710")).to_be_in_viewport()


# Layout of a thread


def test_a_thread_is_in_the_middle_and_its_bubbles_are_as_wide_as_their_text(open_page, send, receive):
    send("A text that is longer than one line of a bubble may be, so it has two lines. " * 2)
    send("Hm")
    receive("Ok")
    page = open_page(f"/inbox/phones/{PHONE}", width=1600)
    main, inbound = page.locator("#main").bounding_box(), bubble(page, "Ok").locator(".text").bounding_box()
    outbound, writes = bubble(page, "Hm").locator(".text").bounding_box(), page.locator(".line").bounding_box()
    left, right = inbound["x"] - main["x"], main["x"] + main["width"] - outbound["x"] - outbound["width"]
    assert abs(left - right) < 16  # the scrollbar
    assert outbound["x"] + outbound["width"] - inbound["x"] <= 760
    assert (writes["x"], writes["width"]) == (inbound["x"], 760)
    assert max(inbound["width"], outbound["width"]) < 60


def test_the_whole_placeholder_of_the_search_is_visible_on_a_small_phone(open_page, send):
    send()
    page = open_page(width=320)
    assert page.locator("#find").evaluate(
        """(field) => {
            const pen = document.createElement("canvas").getContext("2d");
            const style = getComputedStyle(field);
            pen.font = style.font;
            const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
            return pen.measureText(field.placeholder).width < room;
        }"""
    )


@pytest.mark.parametrize(("touch", "width", "focused"), [(False, 1280, True), (False, 390, False), (True, 1280, False)])
def test_the_field_for_a_text_has_the_focus_unless_that_would_open_a_keyboard(open_page, send, touch, width, focused):
    send()
    text = open_page(f"/inbox/phones/{PHONE}", width=width, has_touch=touch, is_mobile=touch).locator("#body")
    expect(text).to_be_focused() if focused else expect(text).not_to_be_focused()


# Opening details


def test_a_click_on_a_text_opens_and_marks_it_and_escape_closes_it_again(open_page, send):
    send("The first one")
    send("The second one")
    page = open_page(f"/inbox/phones/{PHONE}")
    bubble(page, "The first one").locator(".text").click()
    expect(page.locator("#detail pre").last).to_contain_text("The first one")
    link = bubble(page, "The first one").get_by_role("link", name="Details")
    expect(link).to_have_attribute("aria-current", "true")
    send("In between")
    expect(bubble(page, "In between")).to_be_visible(timeout=SOON)
    expect(page.locator("[aria-current=true]")).to_have_count(1)
    expect(link).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(link).to_be_focused()
    expect(page.locator("[aria-current=true]")).to_have_count(0)


def test_selecting_a_text_does_not_open_it(open_page, send):
    send("Copy this text")
    page = open_page(f"/inbox/phones/{PHONE}")
    box = bubble(page, "Copy this text").locator(".text").bounding_box()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.mouse.move(box["x"] + 16, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 20, steps=4)
    page.mouse.up()
    assert page.evaluate("String(getSelection())") == "Copy this text"
    page.wait_for_timeout(300)
    assert [url for url in asked if "/inbox/messages/" in url] == []


def test_a_link_and_a_button_in_a_bubble_do_not_open_it(open_page, send):
    send("Your code is 424242, see http://127.0.0.1:9/track")
    page = open_page(f"/inbox/phones/{PHONE}", permissions=CLIPBOARD)
    page.get_by_role("button", name="Copy 424242").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    with page.context.expect_page():
        page.locator(".text a").click()
    expect(page.locator("#detail")).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 1000, 800])
def test_details_do_not_cover_their_message(open_page, send, width):
    send("A long text " * 10, to=[PHONE] * 30)
    page = open_page(f"/inbox/phones/{PHONE}", width=width)
    text = page.locator(".bubble .text").nth(15)
    text.click()
    expect(page.locator("#detail h2")).to_be_visible()
    expect(text).to_be_in_viewport()
    box, detail = text.bounding_box(), page.locator("#detail").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] < detail["x"]


def test_details_list_segments_only_if_there_are_several(open_page, send):
    send("One")
    send("é€" * 79 + "ж")
    page = open_page(f"/inbox/phones/{PHONE}")
    expect(show_details(page, "One").get_by_role("heading", name="Segments")).to_have_count(0)
    expect(show_details(page, "é€").locator(".segments li")).to_have_count(3)


# Finding


def test_a_search_finds_by_a_part_of_the_text_and_marks_it(open_page, send):
    send("The parcel has arrived")
    send("Nothing of the kind")
    page = open_page()
    page.get_by_label("Search in texts and numbers").fill("PARCEL")
    page.keyboard.press("Enter")
    expect(page.locator(".result")).to_have_count(1)
    expect(page.locator(".result mark")).to_have_text("parcel")
    page.locator(".result a").click()
    expect(bubble(page, "The parcel has arrived")).to_be_visible()


def test_a_search_is_narrowed_by_a_filter(open_page, server, send, receive):
    wait_until_sent(server, send("Match one", to="+15005550004"))
    wait_until_sent(server, send("Match two"))
    receive("Match three")
    page = open_page("/inbox/search?q=match")
    expect(page.locator(".result .last")).to_have_text(["Match three", "Match two", "Match one"])
    expect(page.get_by_role("status").first).to_have_text("3 results")
    page.get_by_role("link", name="Errors", exact=True).click()
    expect(page.locator(".result .last")).to_have_text(["Match one"])
    page.get_by_role("link", name="Received", exact=True).click()
    expect(page.locator(".result .last")).to_have_text(["Match three"])
    expect(page.get_by_role("searchbox")).to_have_value("match")


def test_a_search_without_a_match_says_so(open_page, send):
    send()
    page = open_page("/inbox/search?q=nowhere")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()


def test_further_results_come_as_one_scrolls(open_page, send):
    send("Needle", to=[PHONE] * 100)
    page = open_page("/inbox/search?q=needle")
    expect(page.locator(".result")).to_have_count(50)
    page.locator(".result").last.scroll_into_view_if_needed()
    page.mouse.move(640, 400)
    page.mouse.wheel(0, 10_000)
    expect(page.locator(".result")).to_have_count(100)


def test_older_messages_come_with_a_click_and_stay(open_page, send):
    send("Oldest")
    send("Middle", to=[PHONE] * 70)
    page = open_page(f"/inbox/phones/{PHONE}")
    expect(page.locator("#thread .bubble")).to_have_count(50)
    send("Newest")  # the thread is updated, and still shows older messages
    expect(bubble(page, "Newest")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Older messages").click()
    expect(bubble(page, "Oldest")).to_be_attached()
    expect(page.get_by_role("button", name="Older messages")).to_have_count(0)
    send("Newer still")
    expect(bubble(page, "Newer still")).to_be_attached(timeout=SOON)
    expect(page.locator("#thread .bubble")).to_have_count(73)


def test_more_conversations_come_as_one_scrolls_and_stay(open_page, send):
    send(to=[f"+4420718387{number}" for number in range(10, 60)])
    page = open_page()
    expect(page.locator("#conversations .number")).to_have_count(40)
    page.locator("#conversations li").last.scroll_into_view_if_needed()
    expect(page.locator("#conversations .number")).to_have_count(50)
    send("Newest")
    expect(conversation(page)).to_be_attached(timeout=SOON)
    expect(page.locator("#conversations .number")).to_have_count(50)
    page.locator("#conversations li").last.scroll_into_view_if_needed()
    expect(page.locator("#conversations .number")).to_have_count(51)


# The keyboard


def test_a_slash_goes_to_the_search_and_escape_leaves_it(open_page):
    page = open_page()
    page.keyboard.press("/")
    expect(page.get_by_label("Search in texts and numbers")).to_be_focused()
    expect(page.get_by_label("Search in texts and numbers")).to_have_value("")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Search in texts and numbers")).not_to_be_focused()


def test_n_begins_a_new_message(open_page):
    page = open_page()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="New message")).to_be_visible()


def test_j_and_k_go_through_the_conversations_and_enter_opens_one(open_page, send):
    send(to=["+442071838751", "+442071838752", "+442071838753"])
    page = open_page()
    for key, phone in [
        ("j", "+442071838753"),
        ("j", "+442071838752"),
        ("j", "+442071838751"),
        ("j", "+442071838751"),
        ("k", "+442071838752"),
    ]:
        page.keyboard.press(key)
        expect(conversation(page, phone)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="+442071838752")).to_be_visible()


def test_j_goes_on_from_the_open_conversation(open_page, send):
    send(to=["+442071838751", "+442071838752", "+442071838753"])
    page = open_page("/inbox/phones/+442071838753")
    page.keyboard.press("Escape")  # leave the field
    page.keyboard.press("j")
    expect(conversation(page, "+442071838752")).to_be_focused()
    page.keyboard.press("j")
    expect(conversation(page, "+442071838751")).to_be_focused()


def test_r_goes_to_the_reply_and_escape_back_step_by_step(open_page, send):
    send("With details")
    page = open_page(f"/inbox/phones/{PHONE}")
    show_details(page, "With details")
    page.keyboard.press("r")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    expect(page.get_by_label("Text", exact=True)).to_have_value("")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Text", exact=True)).not_to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/$"))


def test_keys_mean_themselves_in_a_field(open_page, send):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    page.get_by_label("Text", exact=True).press_sequentially("n/jkr")
    expect(page.get_by_label("Text", exact=True)).to_have_value("n/jkr")
    expect(page).to_have_url(re.compile(r"/inbox/phones/\+14560000000$"))


# Settings


def test_a_new_key_is_shown_once(open_page, server):
    page = open_page("/inbox/settings", permissions=CLIPBOARD)
    page.get_by_label("Key name").fill("staging")
    page.get_by_role("button", name="Create a key").click()
    page.get_by_role("button", name="Copy the new key").click()
    expect(page.locator("#said")).to_have_text("Copied")
    key = page.evaluate("navigator.clipboard.readText()")
    assert server.call("GET", "/v1/messages", key) == (200, {"messages": []})
    page.goto("/inbox/settings")
    expect(page.get_by_role("row", name="staging")).to_be_visible()
    assert key not in page.content()


def test_a_revoked_key_is_refused_from_then_on(open_page, server):
    page = open_page("/inbox/settings")
    page.get_by_label("Key name").fill("leaked")
    page.get_by_role("button", name="Create a key").click()
    key = page.locator(".new-key pre").inner_text()
    assert server.call("GET", "/v1/messages", key)[0] == 200
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Revoke leaked").click()
    assert server.call("GET", "/v1/messages", key)[0] == 200
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke leaked").click()
    expect(page.get_by_role("row", name="leaked")).to_have_count(0)
    assert server.call("GET", "/v1/messages", key)[0] == 401


def test_the_key_of_the_session_is_shown_on_request_only(open_page, server):
    page = open_page("/inbox/settings")
    expect(page.get_by_text(server.key, exact=True)).to_have_count(0)
    page.get_by_role("button", name="Show this session's key").click()
    expect(page.get_by_text(server.key, exact=True)).to_be_visible()


def test_the_default_sender_is_changed(open_page, send, complaints):
    page = open_page("/inbox/settings")
    page.get_by_role("textbox", name="Default sender").fill("not a sender!")
    page.locator("#origin").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not a valid sender")
    assert "400" in complaints.pop()
    page.get_by_role("textbox", name="Default sender").fill("ACME")
    page.locator("#origin").get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="Default sender")).to_have_value("ACME")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert send()["origin"]["number"] == "ACME"


def set_webhook(page: Page, url: str) -> None:
    page.get_by_label("Webhook URL").fill(url)
    page.locator("#webhook").get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Send a test")).to_be_visible()


def test_a_webhook_is_set_and_tested(open_page, receiver):
    page = open_page("/inbox/settings")
    set_webhook(page, receiver.url)
    page.get_by_role("button", name="Send a test").click()
    delivery = page.locator(".deliveries li")
    expect(delivery.locator(".pill")).to_have_text("delivered", timeout=SOON)
    expect(delivery).to_contain_text("webhook.test")
    expect(delivery).to_contain_text("204")
    (request,) = receiver.wait_for(1)
    assert json.loads(request.body)["type"] == "webhook.test"
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_label("Webhook URL")).to_have_value("")


def test_a_failing_delivery_shows_the_answer_and_goes_through_with_a_click_once_the_app_works(
    open_page, receiver, send
):
    receiver.act = status(500, body="KeyError: 'phone' in views.py")
    page = open_page("/inbox/settings")
    set_webhook(page, receiver.url)
    mark(page)
    send()
    delivery = page.locator(".deliveries li")
    expect(delivery.locator(".pill")).to_have_text("pending", timeout=SOON)
    expect(delivery.locator(".try").first).to_contain_text("500")
    expect(delivery.locator(".answer").first).to_have_text("KeyError: 'phone' in views.py")
    expect(delivery).to_contain_text("next attempt")
    receiver.act = status(204)
    delivery.get_by_role("button", name="Redeliver").click()
    expect(delivery.locator(".pill")).to_have_text("delivered", timeout=SOON)
    expect(delivery.locator(".try")).to_have_count(2)
    assert is_same(page)


def test_older_deliveries_come_with_a_click_and_stay(open_page, receiver, receive):
    page = open_page("/inbox/settings")
    set_webhook(page, receiver.url)
    for number in range(25):
        receive(f"Message {number}")
    deliveries = page.locator(".deliveries li")
    expect(deliveries).to_have_count(20, timeout=SOON)
    page.get_by_role("link", name="Older deliveries").click()
    expect(deliveries).to_have_count(25)
    receive("One more")
    # The list does not grow: the last row is removed.
    expect(page.get_by_role("link", name="Older deliveries")).to_be_visible(timeout=SOON)
    expect(deliveries).to_have_count(25)
    expect(page.locator("ol.deliveries")).to_have_count(1)
    deliveries.last.get_by_role("button", name="Redeliver").click()
    expect(deliveries.last.locator(".try")).to_have_count(2, timeout=SOON)
    expect(deliveries).to_have_count(25)


def test_a_receiver_that_is_not_there_is_told_in_plain_words(open_page):
    page = open_page("/inbox/settings")
    set_webhook(page, "http://127.0.0.1:1/hook")
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".try").first).to_contain_text("the connection was refused", timeout=SOON)


def test_the_inbox_is_cleared_after_a_question(open_page, server, send):
    wait_until_sent(server, send())
    page = open_page("/inbox/settings")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Clear the inbox").click()
    assert len(messages_of(server)) == 1
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear the inbox").click()
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    assert messages_of(server) == []


# Injection: markup in a text would show here, and the policy would report a script

INJECTIONS = [
    "<img src=x onerror=window.ran=1>",
    "</script><script>window.ran=1</script>",
    '"><svg onload="window.ran=1">',
    "'><a href=javascript:window.ran=1>javascript:window.ran=1</a>",
    "{{7*7}}${7*7}<b hx-get=/ hx-trigger=load hx-on::load='window.ran=1'>",
    "</textarea></pre></title><iframe srcdoc='<script>parent.ran=1</script>'>",
]


def assert_nothing_ran(page: Page) -> None:
    assert page.evaluate("window.ran") is None
    assert page.locator("img, svg[onload], iframe, [hx-on\\:\\:load], a[href^=javascript]").count() == 0


@pytest.mark.parametrize("bypass_csp", [False, True])
def test_no_script_in_a_text_runs_anywhere_it_is_shown(open_page, send, receive, bypass_csp):
    for text in INJECTIONS:
        receive(text)
        send(text)
    page = open_page(bypass_csp=bypass_csp)
    expect(conversation(page)).to_contain_text(INJECTIONS[-1])
    assert_nothing_ran(page)
    conversation(page).click()
    for text in INJECTIONS:
        expect(page.locator(".inbound .text", has_text=text)).to_have_text(text)
        expect(page.locator(".outbound .text", has_text=text)).to_have_text(text)
    receive("Brought up to date")
    expect(bubble(page, "Brought up to date")).to_be_visible(timeout=SOON)
    assert_nothing_ran(page)
    message = receive(f"{INJECTIONS[-1]}😀😀")  # two segments
    page.goto(f"/inbox/messages/{message['id']}")
    expect(page.locator("#detail .segments li").first).to_have_text(INJECTIONS[-1][:67])
    expect(page.locator("#detail pre").first).to_contain_text("onload" if "onload" in INJECTIONS[-1] else "srcdoc")
    assert_nothing_ran(page)


def test_no_script_in_a_search_runs(open_page, send):
    page = open_page()
    for text in INJECTIONS:
        send(f"Before {text} after")
        page.get_by_label("Search in texts and numbers").fill(text)
        page.keyboard.press("Enter")
        expect(page.locator(".result mark")).to_have_text(text)
        expect(page.get_by_label("Search in texts and numbers")).to_have_value(text)
        assert_nothing_ran(page)


def test_no_script_in_what_one_types_runs(open_page, send):
    send()
    page = open_page(f"/inbox/phones/{PHONE}")
    for text in INJECTIONS:
        page.get_by_label("Text", exact=True).fill(text)
        expect(page.locator("#check")).to_contain_text(f"1 SMS, {check_text(text).units} of 160 septets")
    page.goto("/inbox/compose?to=%22%3E%3Cimg%20src=x%20onerror=window.ran=1%3E")
    expect(page.get_by_role("textbox", name="To", exact=True)).to_have_value('"><img src=x onerror=window.ran=1>')
    assert_nothing_ran(page)


def test_no_script_in_a_form_that_comes_back_with_a_fault_runs(open_page, complaints):
    page = open_page("/inbox/compose")
    for text in INJECTIONS:
        page.get_by_role("textbox", name="To", exact=True).fill(text)
        page.get_by_role("textbox", name="Sender").fill(text)
        page.get_by_label("Text", exact=True).fill(text)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert").first).to_be_visible()
        expect(page.get_by_label("Text", exact=True)).to_have_value(text)
        expect(page.get_by_role("textbox", name="To", exact=True)).to_have_value(text)
        assert_nothing_ran(page)
    assert {"400" in complaint for complaint in complaints} == {True}
    complaints.clear()


def test_no_script_in_the_name_of_a_key_runs(open_page):
    page = open_page("/inbox/settings")
    for number, text in enumerate(INJECTIONS, 2):
        page.get_by_label("Key name").fill(text)
        page.get_by_role("button", name="Create a key").click()
        expect(page.locator("#keys tbody tr")).to_have_count(number)
        expect(page.locator("#keys td:first-child", has_text=text)).to_have_text(text)
        assert_nothing_ran(page)
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name=f"Revoke {INJECTIONS[0]}").click()
    expect(page.locator("#keys tbody tr")).to_have_count(len(INJECTIONS))
    assert INJECTIONS[0] in asked[0]


def test_no_script_in_the_address_of_a_webhook_runs(open_page, receiver):
    page = open_page("/inbox/settings")
    for text in INJECTIONS:
        url = f"{receiver.url}?{text.replace(' ', '+')}"
        set_webhook(page, url)
        expect(page.get_by_label("Webhook URL")).to_have_value(url)
        assert_nothing_ran(page)


def test_no_script_in_the_answers_of_a_webhook_runs(open_page, receiver):
    page = open_page("/inbox/settings")
    set_webhook(page, receiver.url)
    answers = itertools.cycle(INJECTIONS)
    receiver.act = lambda client, received: status(500, body=next(answers))(client, received)
    for number in range(len(INJECTIONS)):
        page.get_by_role("button", name="Send a test").click()
        receiver.wait_for(number + 1)
    for text in INJECTIONS:
        expect(page.locator(".answer", has_text=text).first).to_have_text(text)
    assert_nothing_ran(page)


@pytest.mark.parametrize("url", ["javascript:window.ran=1", "data:text/html,<script>window.ran=1</script>"])
def test_a_webhook_is_no_place_for_a_script(open_page, complaints, url):
    page = open_page("/inbox/settings")
    page.get_by_label("Webhook URL").fill(url)
    page.locator("#webhook").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not a valid webhook URL")
    expect(page.get_by_label("Webhook URL")).to_have_value(url)
    assert_nothing_ran(page)
    assert "400" in complaints.pop()


def test_a_number_in_the_address_that_is_none_is_not_shown_as_markup(open_page, complaints):
    page = open_page("/inbox/phones/%3Cimg%20src=x%20onerror=window.ran=1%3E")
    expect(page.get_by_text("There is nothing at this address.")).to_be_visible()
    assert_nothing_ran(page)
    assert "404" in complaints.pop()


def test_a_sender_in_letters_is_only_text(open_page, send):
    send("From a name", origin="7x7 ACME")
    detail = show_details(open_page(f"/inbox/phones/{PHONE}"), "From a name")
    expect(detail.locator("dd").first).to_have_text("7x7 ACME")


# Accessibility, and all sizes of screens

LOOKS = [(width, scheme) for width in (390, 1000, 1440) for scheme in ("dark", "light")]
PAGES = [
    *("sign-in", "empty", "list", "thread", "no-messages", "details", "scheduled", "messages", "search", "nothing"),
    *("compose", "as-phone", "wrong", "settings", "wrong-settings", "rules", "wrong-rule", "error", "lab"),
]


def write_wide(page: Page) -> None:
    page.get_by_label("Text", exact=True).fill("Olá – 😀")
    expect(page.locator("#check mark")).to_have_count(3)


def send_wrong(page: Page) -> None:
    page.get_by_role("textbox", name="To", exact=True).fill("12")
    page.get_by_role("textbox", name="Sender").fill("no sender at all, and a long one")
    page.get_by_label("Text", exact=True).fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_have_count(2)


def save_wrong(page: Page) -> None:
    page.get_by_label("Reply to HELP").fill("help")
    page.locator("#keywords").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_in_viewport()


def create_wrong(page: Page) -> None:
    page.get_by_label("To", exact=True).fill("nobody!")
    page.get_by_label("Outcome").select_option("delayed")
    page.get_by_role("button", name="Create the rule").click()
    expect(page.get_by_role("alert")).to_have_count(2)


# What a person does on a page before it is looked at.
FILLED: dict[str, Callable[[Page], None]] = {
    "compose": write_wide,
    "as-phone": lambda page: page.get_by_text("From a phone to the app").click(),
    "wrong": send_wrong,
    "wrong-settings": save_wrong,
    "wrong-rule": create_wrong,
}


@pytest.fixture
def go(open_page: Open, server: Server, send, receive, receiver, complaints) -> Callable[[str, int], Page]:
    """Return a function that opens one of the pages with every kind of content."""

    def fill() -> dict[str, str]:
        send("Hello there, a text of the usual length.", to=[f"+4420718387{number}" for number in range(10, 30)])
        send("never confirmed", to="+15005550012")
        send("refused", to="+15005550001")
        send("Your code is 424242. See https://example.org/a/rather/long/address/" + "x" * 60)
        send("Blocked", to="+15005550004")
        receive("abcdefghij" * 16)
        wide = send("“Hello” – 😀 this goes out in UCS-2, in more than one segment: " + "é" * 60)
        later = send("Code 117733, later", send_at="2035-01-15T14:30:00Z")
        return {"details": wide["id"], "scheduled": later["id"]}

    def go(name: str, width: int) -> Page:
        if name == "sign-in":
            return open_page("/inbox/sign-in", key=None, width=width)
        if name == "empty":
            return open_page(width=width)
        if name == "settings":
            page = open_page("/inbox/settings", width=width)
            receiver.act = status(500, body="Traceback (most recent call last): " + "x" * 150)
            set_webhook(page, receiver.url + "/" + "long" * 30)
            fill()
            page.get_by_label("Key name").fill("A-name-as-long-as-names-of-keys-are")
            page.get_by_role("button", name="Create a key").click()
            expect(page.locator(".new-key")).to_be_visible()
            page.wait_for_load_state()
            expect(page.locator(".answer").first).to_be_visible()
            return page
        if name == "lab":
            page = open_page("/inbox/settings", width=width)
            receiver.act = status(401)
            set_webhook(page, receiver.url + "/" + "long" * 30)
            page.get_by_role("link", name="Try it in the lab.").click()
            page.get_by_role("button", name="Start the lab").click()
            expect(page.locator(".finding")).to_be_visible(timeout=SOON)
            return page
        ids = fill()
        paths = {
            "list": "/",
            "thread": f"/inbox/phones/{PHONE}",
            "details": f"/inbox/messages/{ids['details']}",
            "scheduled": f"/inbox/messages/{ids['scheduled']}",
            "no-messages": "/inbox/phones/+442071838799",
            "messages": "/inbox/search",
            "nothing": "/inbox/search?q=not+there&state=error",
            "compose": "/inbox/compose",
            "as-phone": "/inbox/compose",
            "wrong": "/inbox/compose",
            "wrong-settings": "/inbox/settings",
            "search": "/inbox/search?q=o",
            "rules": "/inbox/rules",
            "wrong-rule": "/inbox/rules",
            "error": "/inbox/nothing",
        }
        if "rule" in name:
            rule = {"name": "a-name-as-long-" + "x" * 80, "contains": "y" * 200, "outcome": "reply", "reply": "z" * 200}
            assert server.call("POST", "/sandbox/rules", **rule)[0] == 201
        page = open_page(paths[name], width=width)
        if name in FILLED:
            FILLED[name](page)
        if name in ("wrong", "wrong-settings", "wrong-rule", "error"):
            assert complaints.pop().endswith(("(BAD REQUEST)", "(NOT FOUND)"))
        return page

    return go


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_barrier_in_any_look(go, name):
    page, axe, found = go(name, 1280), Axe(), []
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for violation in axe.run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [f"{node['html']}: {node['failureSummary']}" for node in violation["nodes"]]
                found.append((width, scheme, violation["id"], nodes))
    assert found == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_not_wider_than_a_small_phone(go, name):
    page = go(name, 360)
    assert_fits(page, 360)
    if name in ("list", "thread", "details", "scheduled"):
        for width in (320, 390):
            page.set_viewport_size({"width": width, "height": 640})
            assert_fits(page, width)


def assert_fits(page: Page, width: int) -> None:
    # The page may still be loading.
    page.wait_for_function("(width) => document.documentElement.scrollWidth === width", arg=width, timeout=5_000)
    # No part scrolls sideways, except code.
    wide = """() => [...document.querySelectorAll("body *:not(pre, pre *, textarea, input, .hidden, svg *)")]
        .filter((element) => getComputedStyle(element).overflowX !== "hidden" && element.clientWidth > 0
            && element.scrollWidth > element.clientWidth + 1).map((element) => element.outerHTML.slice(0, 200))"""
    assert page.evaluate(wide) == []


@pytest.mark.parametrize("name", ["list", "thread", "details"])
def test_list_thread_and_details_scroll_and_the_page_does_not(go, name):
    page = go(name, 1280)
    expect(page.locator("#conversations a").first).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollHeight") == 800
    assert page.evaluate("document.documentElement.scrollTop") == 0


def test_on_a_phone_list_thread_and_details_take_turns(open_page, send):
    send("On the way")
    page = open_page(width=390, height=800)
    expect(page.get_by_role("heading", name="Inbox")).to_be_hidden()
    conversation(page).click()
    expect(conversation(page)).to_be_hidden()
    detail = show_details(page, "On the way")
    expect(detail).to_have_css("width", "390px")
    detail.get_by_role("link", name="Close the details").click()
    expect(bubble(page, "On the way")).to_be_in_viewport()
    page.get_by_role("link", name="All conversations").click()
    expect(conversation(page)).to_be_visible()


def test_pages_work_by_the_keyboard_alone(open_page, send):
    send("Reached by keys")
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the messages")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_way_from_the_inbox_to_the_settings_needs_no_mouse(open_page, server, send, receive):
    send("Hello", to="+442071838751")
    receive("Are you open?")
    page = open_page()
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name=PHONE)).to_be_visible()
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    page.keyboard.press("Escape")  # leave the field
    page.keyboard.press("r")
    page.keyboard.type("Until six")
    page.keyboard.press("Enter")
    expect(bubble(page, "Until six").locator(".state")).to_have_text("sent", timeout=SOON)
    page.keyboard.press("Escape")
    link = bubble(page, "Until six").get_by_role("link", name="Details")
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
        if link.evaluate("(link) => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Close the details")).to_be_focused()
    expect(page.locator("#detail pre").last).to_contain_text("Until six")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{server.address}/")
    page.keyboard.press("/")
    page.keyboard.type("until")
    page.keyboard.press("Enter")
    expect(page.locator(".result mark")).to_have_text("Until")
    settings = page.get_by_role("link", name="Settings", exact=True)
    for _ in range(20):
        page.keyboard.press("Tab")
        if settings.evaluate("(link) => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()


@pytest.mark.parametrize("name", PAGES[1:])
def test_on_a_phone_every_page_shows_the_way_to_all_others(go, name):
    page = go(name, 390)
    for link in ("Conversations", "All messages", "New message", "Settings", "API"):
        expect(
            page.get_by_role("banner").or_(page.get_by_role("navigation")).get_by_role("link", name=link).first
        ).to_be_in_viewport()
    search = page.get_by_role("searchbox")
    assert search.evaluate("(field) => field.clientWidth >= 200")  # so that the whole placeholder is visible


@pytest.mark.parametrize("path", ["/inbox/search", "/inbox/compose", "/inbox/settings", "/inbox/nothing"])
def test_escape_goes_from_every_page_to_the_conversations(open_page, send, complaints, path):
    send()
    page = open_page(path)
    if path == "/inbox/nothing":
        assert complaints.pop().endswith("(NOT FOUND)")
    page.keyboard.press("Escape")  # leaves the field, if one has the focus
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Conversations")).to_have_attribute("aria-current", "page")


def test_escape_leaves_no_page_on_which_something_is_typed(open_page, send):
    send()
    page = open_page("/inbox/compose")
    expect(page.get_by_role("textbox", name="To", exact=True)).to_be_focused()
    page.keyboard.type("+4420")
    mark(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="To", exact=True)).to_have_value("+4420")
    assert is_same(page)


@pytest.mark.parametrize("path", ["/inbox/search", "/inbox/compose", "/inbox/settings"])
def test_the_title_counts_unread_conversations_on_the_pages_beside_the_threads(open_page, receive, path):
    page = open_page(path)
    title = page.title()
    receive("One", "+442071838751")
    receive("Two", "+442071838752")
    expect(page).to_have_title(f"(2) {title}", timeout=SOON)


def test_after_marking_all_as_read_the_focus_is_on_the_list(open_page, receive):
    receive("One", "+442071838751")
    page = open_page()
    page.get_by_role("button", name="Mark all as read").focus()
    page.keyboard.press("Enter")
    expect(conversation(page, "+442071838751")).to_be_focused()


def test_a_search_marks_a_number_through_its_groups_and_the_number_is_copied_without_spaces(open_page, receive):
    receive("One", "+442071838751")
    page = open_page("/inbox/search?q=207183")
    expect(page.locator(".result .number mark")).to_have_text(["20", "7183"])
    assert page.locator(".result .number").inner_text() == "+442071838751"
    expect(page.locator(".result .country")).to_have_text("GB")


def test_a_message_is_sent_by_the_keyboard_alone(open_page, server):
    page = open_page("/inbox/compose")
    fields = ("app", "to", "special", "origin", "send_at", "body")
    page.locator("#main").focus()
    seen: list[str] = []
    while seen[-1:] != ["body"]:
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.id || document.activeElement.value")
        if seen[-1:] != [focused]:  # a time has several parts
            seen.append(focused)
        if focused == "to":
            page.keyboard.type("+44 20 7183 8750")
    assert tuple(seen) == fields
    page.keyboard.type("By the keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="+442071838750")).to_be_visible()
    expect(bubble(page, "By the keyboard")).to_be_visible()


def test_a_setting_is_changed_by_the_keyboard_alone(open_page):
    page = open_page("/inbox/settings")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Sender").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sender")).to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Default sender")).to_be_focused()
    page.keyboard.type("ACME")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Default sender")).to_have_value("ACME")


def test_the_first_message_takes_the_place_of_the_empty_state(open_page, send):
    page = open_page(width=1440)
    expect(page.locator(".sidebar")).to_be_hidden()
    send("The very first")
    expect(conversation(page)).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="No messages yet")).to_be_hidden()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


def test_a_phone_without_messages_shows_the_first_one_at_once(open_page, server):
    page = open_page("/inbox/phones/+442071838750")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    page.keyboard.type("The first one")
    page.keyboard.press("Enter")
    expect(bubble(page, "The first one")).to_be_visible()
    assert [message["to"] for message in messages_of(server)] == ["+442071838750"]


def test_the_fields_of_a_new_message_follow_who_sends_it(open_page):
    page = open_page("/inbox/compose")
    for name in ("To", "Sender", "Text"):
        expect(page.get_by_role("textbox", name=name, exact=True)).to_be_visible()
    expect(page.get_by_label("Schedule")).to_be_visible()
    page.get_by_text("From a phone to the app").click()
    for name in ("From phone", "To the app's number", "Text"):
        expect(page.get_by_role("textbox", name=name, exact=True)).to_be_visible()
    expect(page.get_by_label("Schedule")).to_be_hidden()
    expect(page.get_by_label("Test number")).to_be_hidden()


def test_sending_works_without_scripts(open_page, server, send):
    send()
    page = open_page(f"/inbox/phones/{PHONE}", java_script_enabled=False)
    page.get_by_label("Text", exact=True).fill("Without a script")
    page.get_by_role("button", name="Send").click()
    expect(bubble(page, "Without a script")).to_be_visible()


# Rules


def list_rules(page: Page) -> list[str]:
    return page.locator(".rule-list .head strong").all_inner_texts()


def test_rules_are_created_moved_changed_and_deleted(open_page: Open, server: Server, send) -> None:
    page = open_page("/inbox/rules")
    for name, outcome in (("first", "unconfirmed"), ("second", "failed")):
        page.get_by_label("Name").fill(name)
        page.get_by_label("To", exact=True).fill("+1456*")
        page.get_by_label("Outcome").select_option(outcome)
        if outcome == "failed":
            page.get_by_label("Error").select_option("unreachable_handset")
        else:
            expect(page.get_by_label("Error")).to_be_hidden()
        page.get_by_role("button", name="Create the rule").click()
    assert list_rules(page) == ["first", "second"]

    page.locator(".rule-list li").nth(1).get_by_role("button", name="Up").click()
    expect(page.locator(".rule-list .head strong").first).to_have_text("second")
    assert list_rules(page) == ["second", "first"]

    page.get_by_role("link", name="Change rule 1").click()
    expect(page.get_by_label("Name")).to_have_value("second")
    page.get_by_label("Error").select_option("filtered_by_carrier")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("filtered_by_carrier.")).to_be_visible()
    send()
    page.reload()
    expect(page.locator(".rule-list .count").first).to_have_text("matched 1, used 1")

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete rule 1").click()
    expect(page.locator(".rule-list .head strong")).to_have_text(["first"])


def test_a_scenario_replaces_the_rules(open_page: Open) -> None:
    page = open_page("/inbox/rules")
    page.get_by_label("Text of the file").fill('[[rules]]\nname = "of the file"\noutcome = "sent"\n')
    page.get_by_role("button", name="Replace all rules").click()
    expect(page.locator(".rule-list .head strong")).to_have_text(["of the file"])


def test_a_button_gives_a_message_that_waits_an_outcome(open_page: Open, send) -> None:
    message = send(to="+15005550012")
    page = open_page(f"/inbox/messages/{message['id']}")
    page.get_by_label("Outcome of this message").select_option("failed blocked_by_recipient")
    page.get_by_role("button", name="Set the outcome").click()
    expect(page.locator(".why.big")).to_contain_text("blocked_by_recipient", timeout=SOON)
    expect(page.get_by_role("button", name="Set the outcome")).to_have_count(0)
    expect(page.locator(".steps").get_by_text("The outcome was chosen for this message: failed")).to_be_visible()


def test_the_lab_asks_for_the_url_of_statuses_only_for_an_app_that_uses_twilio(open_page):
    page = open_page("/inbox/lab")
    expect(page.get_by_text("No webhook is set.")).to_be_visible()
    expect(page.get_by_label("URL for statuses")).to_be_hidden()
    page.get_by_text("Twilio", exact=True).click()
    expect(page.get_by_label("URL for statuses")).to_be_visible()
    expect(page.get_by_text("No inbound URL is set.")).to_be_visible()


def test_the_report_of_a_lab_comes_without_a_reload(open_page, receiver):
    page = open_page("/inbox/settings")
    receiver.act = status(401)
    set_webhook(page, receiver.url)
    page.get_by_role("link", name="Try it in the lab.").click()
    page.get_by_role("button", name="Start the lab").click()
    mark(page)
    expect(page.locator(".verdict")).to_have_text("The app refused a genuine event", timeout=SOON)
    expect(page.locator("#report")).to_contain_text("0 passed, 1 failed, 21 not run")
    assert is_same(page)
