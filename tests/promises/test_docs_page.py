"""Tests of the pages under /docs in a browser.

They test trying requests, the key of the session, accessibility, narrow screens and the keyboard.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.app import KEY
from tests.support.servers import Process, starting

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM} on this machine"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        server = start(WORKERS="1")
        assert server.port
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_docs(browser: Browser, server: Process) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page in a new context. A complaint on the console fails the test."""
    opened, complaints, elsewhere = [], [], []
    address = f"http://127.0.0.1:{server.port}"

    def open_docs(path: str = "/docs", *, signed_in: bool = False, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(
            base_url=address, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        opened.append(context)
        context.set_default_timeout(10_000)
        if signed_in:
            form = {"api_key": KEY}
            context.request.post("/inbox/sign-in", form=form, headers={"Sec-Fetch-Site": "same-origin"})
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: elsewhere.append(request.url) if address not in request.url else None)
        page.goto(path)
        return page

    yield open_docs
    for context in opened:
        context.close()
    assert complaints == []
    assert elsewhere == []


def test_a_request_is_tried_out_with_the_key_that_was_typed_in(open_docs: Callable[..., Page]) -> None:
    page = open_docs()
    page.get_by_label("API key").fill(KEY)
    sending = page.locator("#send_message")
    sending.get_by_text("Try it").click()
    sending.get_by_label("to", exact=False).first.fill("+14560000000, +14560000001")
    sending.get_by_label("body").fill("From the reference")
    sending.get_by_role("button", name="Send POST").click()
    expect(sending.locator(".came")).to_contain_text(re.compile(r"201 in \d+ ms"))
    expect(sending.locator(".came pre")).to_contain_text("+14560000001")

    listing = page.locator("#list_messages")
    listing.get_by_text("Try it").click()
    listing.get_by_label("direction").select_option("outbound")
    listing.get_by_label("limit").fill("1")
    listing.get_by_role("button", name="Send GET").click()
    expect(listing.locator(".came pre")).to_contain_text("From the reference")
    expect(listing.locator(".came")).to_contain_text("200")


def test_without_a_key_it_says_where_to_fill_it_in(open_docs: Callable[..., Page]) -> None:
    page = open_docs()
    part = page.locator("#list_phones")
    part.get_by_text("Try it").click()
    part.get_by_role("button", name="Send GET").click()
    expect(part.locator(".came")).to_contain_text("Fill in your key first")


def test_the_key_of_the_session_is_taken_only_when_asked_for(open_docs: Callable[..., Page]) -> None:
    page = open_docs(signed_in=True)
    expect(page.get_by_label("API key")).to_have_value("")
    page.get_by_role("button", name="Use the key of the inbox").click()
    expect(page.get_by_label("API key")).to_have_value(KEY)
    part = page.locator("#get_phone")
    part.get_by_text("Try it").click()
    part.get_by_role("button", name="Send GET").click()
    expect(part.locator(".came pre")).to_contain_text("fixed_line")


def test_choosing_python_once_chooses_it_everywhere(open_docs: Callable[..., Page]) -> None:
    page = open_docs()
    page.locator("#send_message").get_by_text("Python", exact=True).click()
    expect(page.locator("#send_message pre", has_text="urllib.request")).to_be_visible()
    expect(page.locator("#list_phones pre", has_text="urllib.request")).to_be_visible()
    expect(page.locator("#list_phones pre", has_text="curl")).to_be_hidden()


def test_the_keyboard_reaches_the_reference_and_what_is_in_it(open_docs: Callable[..., Page]) -> None:
    page = open_docs()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the reference")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("API key")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000, 1440])
def test_the_page_is_accessible_and_no_wider_than_the_screen(
    open_docs: Callable[..., Page], width: int, scheme: str
) -> None:
    page = open_docs(width=width, scheme=scheme, signed_in=True)
    for part in page.locator("summary", has_text="Try it").all()[:2]:
        part.click()
    assert_fits_and_is_accessible(page, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", ["api", "how-it-works", "operations"])
def test_a_guide_is_accessible_and_no_wider_than_the_screen(
    open_docs: Callable[..., Page], name: str, width: int, scheme: str
) -> None:
    page = open_docs(f"/docs/{name}", width=width, scheme=scheme)
    assert_fits_and_is_accessible(page, width)


def assert_fits_and_is_accessible(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == width
    found = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert found == []


def test_guides_lead_to_each_other_and_to_their_sections(open_docs: Callable[..., Page]) -> None:
    page = open_docs()
    page.get_by_role("link", name="Operations and security").click()
    page.get_by_role("link", name="Reverse proxies").first.click()
    expect(page).to_have_url(re.compile("/docs/operations#reverse-proxies$"))
    expect(page.get_by_role("heading", name="Reverse proxies")).to_be_in_viewport()
    page.get_by_role("link", name="Settings", exact=True).first.click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
