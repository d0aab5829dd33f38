"""Tests of the inbox over HTTP: session, other sites, headers, isolation, escaping, forms, live changes, files."""

import html
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from phonify.sms.numbers import group_number
from tests.support.app import KEY, ROOT, basic, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator

PHONE = "+14560000000"
OTHER = "+14560000001"
OWN = "+15005550006"
TOMORROW = "2026-02-01T09:30:00Z"
HOOK = "http://127.0.0.1:9/hook"
HERE = {"Sec-Fetch-Site": "same-origin"}
HTMX = {**HERE, "HX-Request": "true"}
COOKIE = "phonify_key_default"
SIGN_IN = "/inbox/sign-in"
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</pre></textarea></title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt;&amp;",
    'javascript:alert(1) https://example.com/"onclick=alert(1)',
    "a\nb\tc\x01\x7f\u202e\u2028\ufeff",
    "👩‍👩‍👧 ÅÄÖ ж",
]


class InboxClient(FlaskClient):
    """A browser with an open page.

    Its requests have the headers of this server's own pages, unless a test says otherwise.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs["headers"] = {**HERE, **(kwargs.pop("headers", None) or {})}
        return super().open(*args, **kwargs)


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """A browser without a session."""
    return InboxClient(app, app.response_class)


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    """A browser with a session of the account `default`."""
    browser = InboxClient(app, app.response_class)
    sign_in(browser, KEY)
    return browser


@pytest.fixture
def receive(client: FlaskClient) -> Callable[..., str]:
    """Return a function that lets a phone write to the account `default`. It returns the id of the message."""

    def receive(sender: str = PHONE, body: str = "Hello", to: str = OWN) -> str:
        response = client.post("/sandbox/inbound", json={"from": sender, "to": to, "body": body})
        assert response.status_code == 201
        message_id: str = response.get_json()["message"]["id"]
        return message_id

    return receive


class Elements(HTMLParser):
    """Lists the elements of a page, its scripts and its links."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(response: TestResponse) -> Elements:
    elements = Elements()
    elements.feed(response.text)
    elements.close()
    return elements


def location(response: TestResponse) -> str:
    assert response.status_code == 303, response.text
    return str(response.headers["Location"])


def is_sign_in(response: TestResponse) -> bool:
    """Return whether an answer redirects to the sign-in."""
    return response.status_code == 303 and response.headers["Location"] == SIGN_IN


@pytest.fixture
def bodies(execute: Callable[..., list[tuple[Any, ...]]]) -> Callable[[], list[str]]:
    """Return a function that returns the texts that are stored, oldest first."""
    return lambda: [body for (body,) in execute("SELECT body FROM messages ORDER BY seq")]


@pytest.fixture
def dump(tmp_path: Path) -> Callable[[], list[str]]:
    """Return a function that returns the whole content of the database."""

    def dump() -> list[str]:
        with closing(sqlite3.connect(tmp_path / "phonify.db")) as connection:
            return list(connection.iterdump())

    return dump


# Signing in


def test_the_sign_in_asks_for_a_key(visitor):
    response = visitor.get(SIGN_IN)
    assert response.status_code == 200
    assert ("input", "name", "api_key") in parse(response).attributes


def test_a_key_in_the_form_signs_in(visitor):
    assert location(visitor.post(SIGN_IN, data={"api_key": KEY})) == "/"
    assert visitor.get("/").status_code == 200


def test_a_key_copied_with_spaces_around_it_signs_in(visitor):
    assert location(visitor.post(SIGN_IN, data={"api_key": f" {KEY}\n"})) == "/"


def test_a_key_in_the_address_signs_in_and_is_gone_from_the_address(visitor):
    response = visitor.get(f"/?api_key={KEY}")
    assert location(response) == "/"
    assert KEY not in response.text
    assert visitor.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/inbox/settings", "/inbox/search?q=x", "/inbox/nothing", SIGN_IN])
def test_a_key_in_the_address_of_any_page_leads_to_the_inbox(visitor, path):
    response = visitor.get(f"{path}{'&' if '?' in path else '?'}api_key={KEY}")
    assert location(response) == "/"
    assert visitor.get("/").status_code == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_kept_from_scripts_and_other_sites_and_from_plain_http_where_there_is_tls(visitor, scheme):
    for response in (
        visitor.post(SIGN_IN, data={"api_key": KEY}, base_url=f"{scheme}://localhost"),
        visitor.get(f"/?api_key={KEY}", base_url=f"{scheme}://localhost"),
    ):
        (cookie,) = response.headers.getlist("Set-Cookie")
        attributes = [each.strip() for each in cookie.split(";")]
        assert re.fullmatch(rf"{COOKIE}={KEY}\.phs_[A-Za-z0-9_-]{{32}}", attributes[0])
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
        assert ("Secure" in attributes) == (scheme == "https")
        assert not [each for each in attributes if each.startswith("Domain")]


def test_each_port_has_a_cookie_of_its_own(visitor):
    response = visitor.post(SIGN_IN, data={"api_key": KEY}, base_url="http://localhost:8000")
    assert response.headers["Set-Cookie"].startswith("phonify_key_8000=")


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:x", "[::1]", "[::1]:8000", "a b", "localhost:"])
def test_a_host_that_can_not_be_is_no_server_error(visitor, host):
    assert visitor.get("/", headers={"Host": host}).status_code in (303, 400)
    assert visitor.get(SIGN_IN, headers={"Host": host}).status_code in (200, 400)


@pytest.mark.parametrize("key", ["", "nothing", "test-ke", "TEST-KEY", "phk_ä", "x" * 5_000, "a\0b", "<script>"])
def test_a_wrong_key_does_not_sign_in(visitor, key):
    for response in (visitor.post(SIGN_IN, data={"api_key": key}), visitor.get(f"/?api_key={quote(key)}")):
        assert response.status_code == 401
        assert "Set-Cookie" not in response.headers
        assert "<script>" not in response.text.partition("<body")[2]
        assert ("input", "name", "api_key") in parse(response).attributes
    assert is_sign_in(visitor.get("/"))


def test_a_sign_in_without_a_key_is_refused(visitor):
    assert visitor.post(SIGN_IN).status_code == 401


def test_signing_out_ends_the_session(page):
    response = page.post("/inbox/sign-out")
    assert location(response) == SIGN_IN
    assert f"{COOKIE}=;" in response.headers["Set-Cookie"]
    assert is_sign_in(page.get("/"))


def test_signing_out_without_a_session_leads_to_the_sign_in(visitor):
    assert is_sign_in(visitor.post("/inbox/sign-out"))


def test_a_revoked_key_is_signed_out_at_the_next_request(page, operator):
    assert page.get("/").status_code == 200
    operator.revoke_key(KEY)
    assert is_sign_in(page.get("/"))


def test_a_piece_of_a_page_has_the_whole_page_go_to_the_sign_in(page, operator):
    assert page.get("/inbox/conversations", headers=HTMX).status_code == 200
    operator.revoke_key(KEY)
    response = page.get("/inbox/conversations", headers=HTMX)
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, SIGN_IN)
    assert response.text == ""


def test_revoking_the_key_of_the_session_signs_it_out(page):
    assert location(page.post("/inbox/settings/keys/1/revoke")) == "/inbox/settings#keys"
    assert is_sign_in(page.get("/inbox/settings"))


@pytest.fixture
def other_key(make_key: Callable[..., str]) -> str:
    return make_key("other", name="theirs")


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
def test_a_link_on_another_site_does_not_replace_a_session(page, other_key, site):
    page.environ_base = {}
    headers = {"Sec-Fetch-Site": site} if site else {}
    response = FlaskClient.open(page, f"/?api_key={other_key}", headers=headers)
    assert location(response) == "/"
    assert "Set-Cookie" not in response.headers
    assert "of the account default" in page.get("/inbox/settings").text


def test_a_key_typed_into_the_address_bar_replaces_a_session(page, other_key):
    page.get(f"/?api_key={other_key}", headers={"Sec-Fetch-Site": "none"})
    assert "of the account other" in page.get("/inbox/settings").text


def test_a_link_on_another_site_signs_in_where_nobody_is(visitor):
    assert location(visitor.get(f"/?api_key={KEY}", headers={"Sec-Fetch-Site": "cross-site"})) == "/"
    assert visitor.get("/").status_code == 200


def test_an_options_request_of_another_site_does_not_sign_in(visitor):
    response = visitor.options(f"/inbox/settings?api_key={KEY}", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers


def test_a_link_replaces_a_session_whose_key_was_revoked(page, other_key, operator):
    operator.revoke_key(KEY)
    page.get(f"/?api_key={other_key}", headers={"Sec-Fetch-Site": "cross-site"})
    assert "of the account other" in page.get("/inbox/settings").text


def test_the_session_is_none_of_the_api(page):
    assert page.get("/v1/messages").status_code == 401
    assert page.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 401
    assert page.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hello"}).status_code == 401


# Every route


def inbox_rules(app: Flask) -> list[Rule]:
    return [
        rule
        for rule in app.url_map.iter_rules()
        if f"{rule.rule}/".startswith(("//", "/inbox/")) and not rule.rule.startswith("/inbox/static/")
    ]


def calls(app: Flask, *, guarded: bool = True, values: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """Return the method and the path of each request that the inbox accepts."""
    nothing = dict.fromkeys(("message_id", "delivery_id", "run_id", "rule_id", "_path"), "nothing")
    values = {"phone": PHONE, "key_id": 1, "name": "twilio", **nothing, **(values or {})}
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        found = []
        for rule in inbox_rules(app):
            if guarded and rule.rule.startswith("/inbox/sign-"):
                continue
            given = {name: values[name] for name in rule.arguments}
            methods = sorted(rule.methods - {"OPTIONS"})  # Flask itself answers OPTIONS, only with the header Allow
            found += [(method, adapter.build(rule.endpoint, given, method=method)) for method in methods]
    return found


def test_the_routes_are_all_known_to_these_tests(app):
    found = calls(app)
    assert len(found) >= 30
    assert ("POST", "/inbox/clear") in found
    assert ("GET", f"/inbox/phones/{PHONE}") in found


def test_without_a_session_every_route_leads_to_the_sign_in_and_does_nothing(app, visitor, receive, operator, dump):
    message_id = receive(body="a secret body")
    operator.set_webhook(HOOK)
    delivery_id = operator.send_test()
    before = dump()
    values = {"message_id": message_id, "delivery_id": delivery_id, "key_id": 1}
    for method, path in calls(app, values=values):
        response = visitor.open(path, method=method)
        assert is_sign_in(response), (method, path, response.status)
        assert response.text == ""
        response = visitor.open(path, method=method, headers=HTMX)
        assert (response.status_code, response.text) == (401, ""), (method, path)
        assert response.headers["HX-Redirect"] == SIGN_IN
    assert dump() == before


@pytest.mark.parametrize("cookie", ["", "nothing", "x" * 4_000, "a\\054b", "\xe4"])
def test_a_wrong_cookie_is_no_session(app, visitor, cookie):
    visitor.set_cookie(COOKIE, cookie)
    assert is_sign_in(visitor.get("/"))


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:8001"},
    {"Origin": "http://evil.example/localhost"},
    {"Origin": "http://[localhost"},
    {"Origin": "null"},
    {"Origin": ""},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_what_another_site_sends_is_refused_by_every_route_and_does_nothing(
    app, page, receive, operator, dump, headers
):
    message_id = receive()
    operator.set_webhook(HOOK)
    page.get("/")
    before = dump()
    unsafe = [call for call in calls(app, guarded=False, values={"message_id": message_id}) if call[0] not in SAFE]
    assert len(unsafe) >= 20
    for method, path in unsafe:
        for extra in ({}, {"HX-Request": "true"}):
            response = FlaskClient.open(
                page, path, method=method, headers={**headers, **extra}, data={"api_key": KEY, "url": HOOK, "body": "x"}
            )
            assert response.status_code == 403, (method, path)
            assert "Set-Cookie" not in response.headers
            check_headers(response)
    assert dump() == before


SAFE = ("GET", "HEAD")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
    ],
)
def test_what_a_page_of_this_server_sends_is_taken(page, headers):
    assert FlaskClient.open(page, "/inbox/check", method="POST", headers=headers, data={"body": "x"}).status_code == 200


def test_an_origin_with_a_port_is_this_server_if_the_port_is(app):
    browser = InboxClient(app, app.response_class)
    sign_in(browser, KEY, base_url="http://localhost:8000")
    for origin, status in [("http://localhost:8000", 200), ("http://localhost:8001", 403), ("http://localhost", 403)]:
        response = FlaskClient.open(
            browser, "/inbox/check", method="POST", base_url="http://localhost:8000", headers={"Origin": origin}
        )
        assert response.status_code == status


def test_reading_is_allowed_from_a_link_on_another_site(page):
    assert page.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_nothing_changes_by_reading(app, page, receive, operator, dump):
    message_id = receive()
    operator.set_webhook(HOOK)
    page.get(f"/inbox/phones/{PHONE}")  # so that somebody has read it
    before = dump()
    for method, path in calls(app, guarded=False, values={"message_id": message_id}):
        if method in SAFE:
            page.open(path, method=method)
    assert dump() == before


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


def test_every_answer_has_the_headers_of_a_page(app, page, visitor, receive):
    message_id = receive()
    for values in ({"message_id": message_id}, {}):
        for method, path in calls(app, guarded=False, values=values):
            if path.endswith(("/revoke", "/sign-out")):
                continue
            for browser in (page, visitor):
                for headers in ({}, {"HX-Request": "true"}):
                    check_headers(browser.open(path, method=method, headers=headers))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/inbox/nothing", 404),
        ("POST", "/inbox/nothing/at/all", 404),
        ("GET", "/inbox/clear", 404),
        ("PUT", "/inbox/settings", 404),
        ("DELETE", "/inbox/messages/x", 404),
        ("GET", "/inbox/phones/nonsense", 404),
        ("GET", "/inbox/messages/nothing", 404),
        ("GET", "/inbox/phones/", 404),
        ("POST", "/inbox/settings/keys/99/revoke", 404),
        ("POST", "/inbox/settings/keys/x/revoke", 404),
        ("POST", "/inbox/settings/keys/9223372036854775808/revoke", 404),
        ("POST", "/inbox/settings/webhook/test", 400),
        ("GET", "/inbox/static/nothing.js", 404),
    ],
)
def test_an_error_is_a_page_with_the_same_headers(page, method, path, status):
    response = page.open(path, method=method)
    assert (response.status_code, response.mimetype) == (status, "text/html")
    check_headers(response)
    assert "To the inbox" in response.text


@pytest.mark.parametrize(
    ("content_type", "data", "status"),
    [
        ("application/x-www-form-urlencoded", b"body=%ff", 400),
        ("application/json", b"{", 400),
        ("application/json", b'{"to": "+14560000000", "body": "\\ud800"}', 400),
        ("text/plain", b"x", 415),
        ("application/x-www-form-urlencoded", b"body=" + b"x" * 300_000, 413),
        ("multipart/form-data", b"x", 400),
    ],
)
def test_a_form_that_can_not_be_read_is_an_error_page(page, content_type, data, status):
    for path in ("/inbox/compose", "/inbox/check", f"/inbox/phones/{PHONE}/messages"):
        response = page.post(path, data=data, content_type=content_type)
        assert (response.status_code, response.mimetype) == (status, "text/html"), path
        check_headers(response)


def test_a_database_that_can_not_be_read_is_an_error_page(page, lose_database):
    lose_database()
    for method, path in [("GET", "/"), ("POST", "/inbox/clear"), ("POST", SIGN_IN), ("GET", "/inbox/settings")]:
        response = page.open(path, method=method, data={"api_key": "other"} if method == "POST" else None)
        assert (response.status_code, response.mimetype) == (503, "text/html"), path
        check_headers(response)


def test_pages_have_no_script_style_or_handler_in_them(page, receive, operator):
    message_id = receive()
    operator.set_webhook(HOOK)
    for path in ("/", f"/inbox/phones/{PHONE}", f"/inbox/messages/{message_id}", "/inbox/settings", "/inbox/compose"):
        elements = parse(page.get(path))
        assert elements.tags.count("script") == len([a for a in elements.attributes if a[:2] == ("script", "src")])
        assert "style" not in elements.tags
        assert not [a for a in elements.attributes if a[1] == "style" or re.match(r"on[a-z]+$", a[1])]
        for _, name, value in elements.attributes:
            if name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
                assert value.startswith(("/", "#", "https://www.standardwebhooks.com")), value


# Isolation


@pytest.fixture
def theirs(stranger: FlaskClient, operator: Operator) -> dict[str, Any]:
    """The ids of another account's objects."""
    operator.set_webhook(HOOK, "other")
    sent = stranger.post("/v1/messages", json={"to": OTHER, "body": "their secret", "send_at": TOMORROW}).get_json()
    return {
        "phone": OTHER,
        "message_id": sent["message"]["id"],
        "key_id": operator.find_key_id(stranger.key),
        "delivery_id": operator.send_test("other"),
        "rule_id": stranger.post("/sandbox/rules", json={"outcome": "sent", "name": "their secret"}).get_json()["rule"][
            "id"
        ],
        "run_id": stranger.post("/sandbox/runs", json={"name": "their secret"}).get_json()["run"]["id"],
    }


def hide_phone(text: str, phone: str) -> str:
    """Return a page without a phone in any of the forms that pages and addresses have."""
    groups = group_number(phone).split(" ")
    for shown in (phone, " ".join(groups), "".join(f"<span>{group}</span>" for group in groups)):
        text = text.replace(shown[1:] if shown.startswith("+") else shown, "PHONE")
    return text


def test_what_is_anothers_is_answered_like_what_does_not_exist(app, page, theirs, operator, execute):
    page.get("/")
    before = execute("SELECT * FROM messages"), execute("SELECT * FROM webhook_deliveries")
    rules = execute("SELECT * FROM rules")
    nothing = {"phone": "+14560000009", "message_id": "nothing", "key_id": 99, "delivery_id": "nothing"}
    compared = 0
    for (method, path), (_, other_path) in zip(calls(app, values=theirs), calls(app, values=nothing), strict=True):
        if path == other_path or path.endswith(("/messages", "/subscription")):
            continue
        for headers in ({}, {"HX-Request": "true"}):
            mine = page.open(path, method=method, headers=headers, data={} if method == "POST" else None)
            none = page.open(other_path, method=method, headers=headers, data={} if method == "POST" else None)
            assert mine.status_code == none.status_code, path
            assert hide_phone(mine.text, theirs["phone"]) == hide_phone(none.text, nothing["phone"])
            # Any valid number has a thread, which may be empty.
            assert mine.status_code == (200 if "/phones/" in path else 404), path
            assert "their secret" not in mine.text
            compared += 1
    assert compared >= 14
    assert before == (execute("SELECT * FROM messages"), execute("SELECT * FROM webhook_deliveries"))
    assert len(execute("SELECT * FROM runs")) == 1
    assert execute("SELECT * FROM rules") == rules != []
    assert [key["revoked_at"] for key in operator.show("keys", "list", "--account", "other")] == [None]


def test_a_live_look_at_what_is_anothers_shows_nothing_of_it(page, theirs):
    nobody, message_id = "+14560000009", theirs["message_id"]
    for path in (
        f"/inbox/phones/{OTHER}/messages?since=1",
        f"/inbox/conversations?phone={quote(OTHER)}",
        f"/inbox/messages/{message_id}?phone={quote(OTHER)}",
    ):
        live = look(page, path)
        none = look(
            page, path.replace(message_id, "nothing").replace(OTHER, nobody).replace(quote(OTHER), quote(nobody))
        )
        assert "their secret" not in live.text
        grouped = live.text.replace("<span>0001</span>", "<span>0009</span>").replace("000 0001", "000 0009")
        assert grouped.replace(OTHER, nobody).replace(quote(OTHER), quote(nobody)) == none.text
    assert "This message was removed" in live.text


@pytest.mark.parametrize("path", ["/", "/inbox/search?q=secret", "/inbox/settings", "/inbox/settings/deliveries"])
def test_a_page_shows_nothing_of_anothers(page, theirs, path):
    response = page.get(path)
    for secret in ("their secret", OTHER, theirs["message_id"], theirs["delivery_id"], HOOK):
        assert secret not in response.text


def test_writing_to_a_phone_of_anothers_begins_a_conversation_of_ones_own(page, theirs):
    assert location(page.post("/inbox/compose", data={"to": OTHER, "body": "mine"})) == f"/inbox/phones/{OTHER}"
    response = page.get(f"/inbox/phones/{OTHER}")
    assert "mine" in response.text
    assert "their secret" not in response.text


# Escaping


def check_escaped(response: TestResponse, text: str, *, shown: bool = True) -> None:
    """Check that a page shows a text only as text."""
    elements = parse(response)
    expected = text.replace("\r\n", "\n")
    if shown:
        squeezed = "".join(elements.text.split())
        values = "".join("".join(value.split()) for _, _, value in elements.attributes)
        assert "".join(expected.split()) in squeezed + values
    assert "alert(1)" not in [value for tag, name, value in elements.attributes if name.startswith("on")]
    assert "img" not in elements.tags
    assert elements.tags.count("script") in (0, 3)
    assert not [name for _, name, _ in elements.attributes if re.match(r"on[a-z]+$", name)]
    for _, name, value in elements.attributes:
        if name == "href":
            assert value.startswith(("/", "#", "http://", "https://")), value


@pytest.mark.parametrize("text", NASTY)
def test_a_body_is_shown_as_text_on_every_page(page, receive, send, text):
    message_id = receive(body=text)
    send(body=text, send_at=TOMORROW)
    phone = quote(PHONE)
    for path in (
        "/",
        f"/inbox/phones/{phone}",
        f"/inbox/phones/{phone}/older",
        f"/inbox/messages/{message_id}",
        f"/inbox/search?q={quote(text)}",
        "/inbox/conversations",
        f"/inbox/conversations?phone={phone}&shown=1",
        f"/inbox/phones/{phone}/messages?since=1",
    ):
        response = page.get(path)
        assert response.status_code == 200, path
        check_escaped(response, text)
    check_escaped(page.get(f"/inbox/messages/{message_id}?phone={phone}", headers=HTMX), text)


@pytest.mark.parametrize("text", NASTY)
def test_what_was_written_into_a_form_is_shown_again_as_text(page, receive, text):
    receive()
    for path, data in (
        ("/inbox/compose", {"to": text, "origin": text, "body": text, "send_at": text, "special": text, "as": text}),
        (f"/inbox/phones/{PHONE}/messages", {"origin": text, "body": text, "as": text}),
        ("/inbox/settings/webhook", {"url": text}),
        ("/inbox/settings/origin", {"origin": text}),
    ):
        for headers in ({}, {"HX-Request": "true"}):
            response = page.post(path, data=data, headers=headers)
            assert response.status_code == 400, path
            check_escaped(response, text.strip())


@pytest.mark.parametrize("text", NASTY)
def test_a_text_in_an_address_is_shown_as_text(page, text):
    given = quote(text)
    for path in (
        f"/inbox/search?q={given}&state={given}&direction={given}&below={given}",
        f"/inbox/compose?to={given}",
        f"/inbox/conversations?phone={given}&shown={given}",
        f"/inbox/phones/{PHONE}/messages?since={given}",
        f"/inbox/phones/{quote(text, safe='')}/messages",
        f"/inbox/phones/{quote(text, safe='')}",
        f"/inbox/messages/{quote(text, safe='')}",
        f"/inbox/settings/deliveries?before={given}",
        f"/inbox/conversations?below={given}",
    ):
        response = page.get(path)
        assert response.status_code in (200, 404), path
        check_escaped(response, text, shown=False)
    check_escaped(look(page, f"/inbox/messages/nothing?phone={given}"), text, shown=False)


@pytest.mark.parametrize("text", [text for text in NASTY if text.isprintable()])
def test_the_name_of_a_key_is_shown_as_text(page, text):
    response = page.post("/inbox/settings/keys", data={"name": text})
    assert response.status_code == 200
    check_escaped(response, text)


@pytest.mark.parametrize("text", NASTY)
def test_what_a_webhook_answered_is_shown_as_text(page, receive, operator, execute, text):
    operator.set_webhook(HOOK)
    message_id = receive()
    ((delivery_id,),) = execute("SELECT id FROM webhook_deliveries")
    execute("INSERT INTO webhook_attempts VALUES (?, 1, 't', 5, 500, ?, NULL)", delivery_id, text)
    execute("INSERT INTO webhook_attempts VALUES (?, 2, 't', 5, NULL, NULL, ?)", delivery_id, text)
    check_escaped(page.get("/inbox/settings"), text)
    check_escaped(page.get("/inbox/settings/deliveries"), text)
    check_escaped(page.get(f"/inbox/messages/{message_id}"), text)


def test_the_address_of_a_webhook_is_shown_as_text(page, execute):
    url = "http://127.0.0.1/?a=<script>&b='\"onclick=alert(1)"
    execute("INSERT INTO webhooks (account_id, url, secret, created_at) VALUES (1, ?, 'whsec_<script>', 't')", url)
    check_escaped(page.get("/inbox/settings"), url)


def test_the_name_of_an_account_is_shown_as_text(page, execute):
    execute("UPDATE accounts SET name = '<script>alert(1)</script>'")
    check_escaped(page.get("/inbox/settings"), "<script>alert(1)</script>")


@pytest.mark.parametrize("sender", ["My Shop 24", "AT&T", "A/B", "50% off?", "a#b"])
def test_an_alphanumeric_sender_has_a_thread(page, receive, sender):
    receive(sender=sender, body="sale")
    path = re.search(r'href="(/inbox/phones/[^"]+)"', page.get("/").text)
    assert path is not None
    assert "sale" in page.get(html.unescape(path[1])).text


# Pages


def test_an_empty_inbox_shows_how_to_send_the_first_message(page):
    response = page.get("/")
    assert "No messages yet" in response.text
    assert f"curl http://localhost/v1/messages -u {KEY}:" in parse(response).text


def test_the_inbox_lists_conversations(page, receive, send):
    receive(PHONE, "from a phone")
    send(OTHER, "to another")
    text = page.get("/").text
    assert text.index("to another") < text.index("from a phone")


@pytest.mark.parametrize("path", ["/inbox", "/inbox/"])
def test_the_inbox_is_found_under_its_name_as_well(page, path):
    assert location(page.get(path)) == "/"


def follow(page: FlaskClient, path: str, pattern: str) -> list[str]:
    """Return the texts of a page and of all its further pages."""
    texts, seen = [], set()
    while path not in seen:
        seen.add(path)
        texts.append(page.get(path, headers=HTMX).text)
        further = re.search(pattern, texts[-1])
        if further is None:
            break
        path = html.unescape(further[1])
    return texts


def test_further_down_the_list_each_conversation_is_shown_once(page, client):
    for number in range(95):
        client.post("/v1/messages", json={"to": f"+1456000{number:04d}", "body": "Hello"})
    texts = follow(page, "/", r'hx-get="(/inbox/conversations\?[^"]+)"')
    phones = [re.sub("<.*?>", "", shown) for shown in re.findall(r'class="number">(.+)</span>', "".join(texts))]
    assert phones == [f"+1456000{number:04d}" for number in range(94, -1, -1)]
    assert len(texts) == 3


def test_further_up_a_thread_each_message_is_shown_once(page, client, receive):
    for number in range(60):
        client.post("/v1/messages", json={"to": PHONE, "body": f"sent {number}."})
        receive(PHONE, f"received {number}.")
    texts = follow(page, f"/inbox/phones/{PHONE}", r'hx-get="(/inbox/phones/[^"]+older[^"]+)"')
    found = re.findall(r'<p class="text">([^<]+)</p>', "".join(reversed(texts)))
    assert found == [f"{kind} {number}." for number in range(60) for kind in ("sent", "received")]


def test_further_back_a_search_shows_each_message_once(page, client):
    for number in range(120):
        client.post("/v1/messages", json={"to": PHONE, "body": f"needle{number}" if number % 2 else "hay"})
    texts = follow(page, "/inbox/search?q=needle", r'hx-get="(/inbox/search\?[^"]+)"')
    found = re.findall(r"</mark>(\d+)<", "".join(texts))
    assert found == [str(number) for number in range(119, 0, -2)]


def test_a_phone_without_messages_has_an_empty_thread_and_a_form(page):
    response = page.get(f"/inbox/phones/{PHONE}")
    assert response.status_code == 200
    elements = parse(response)
    assert texts(response) == []
    assert ("textarea", "name", "body") in elements.attributes
    assert "Opt out" in elements.text


@pytest.mark.parametrize(
    "phone", ["nonsense", "12345", "SHOP", "+1456", "4915112345678", "+49 15112345678", "+4901511234567"]
)
def test_only_a_valid_number_has_an_empty_thread(page, phone):
    assert page.get(f"/inbox/phones/{quote(phone)}").status_code == 404


def test_the_first_message_to_a_phone_is_written_in_its_empty_thread(page, bodies):
    assert location(page.post(f"/inbox/phones/{PHONE}/messages", data={"body": "Hello"})) == f"/inbox/phones/{PHONE}"
    assert bodies() == ["Hello"]


def test_looking_at_a_thread_makes_it_read(page, receive):
    receive()
    assert "unread" in page.get("/").text
    assert 'class="badge"' not in page.get(f"/inbox/phones/{PHONE}").text
    assert 'class="badge"' not in page.get("/").text


def title(response: TestResponse) -> str:
    return html.unescape(re.search(r"<title>(.*)</title>", response.text)[1])


def test_the_title_begins_with_the_number_of_unread_conversations(page, receive):
    assert title(page.get("/")) == "Inbox – Phonify"
    for sender in (PHONE, PHONE, OTHER):
        receive(sender)
    assert title(page.get("/")) == "(2) Inbox – Phonify"
    assert title(page.get(f"/inbox/phones/{PHONE}")) == "(1) +1 456 000 0000 – Phonify"


@pytest.mark.parametrize(("data", "there"), [({}, "/"), ({"phone": PHONE}, f"/inbox/phones/{PHONE}")])
def test_without_scripts_marking_all_as_read_leads_back_to_the_page(page, receive, data, there):
    receive()
    receive(OTHER)
    assert location(page.post("/inbox/read", data=data)).replace("%2B", "+") == there
    assert 'class="badge"' not in page.get("/").text


def test_marking_all_as_read_with_scripts_answers_with_the_list(page, receive):
    receive()
    response = page.post("/inbox/read", headers=HTMX)
    assert parse(response).tags[0] == "div"
    assert ("div", "data-unread", "0") in parse(response).attributes
    assert 'class="badge"' not in response.text


def test_marking_all_as_read_leaves_what_the_page_did_not_show_yet(page, receive):
    receive()
    shown = re.search(r'name="up_to" value="(\d+)"', page.get("/").text)[1]
    receive(OTHER)
    response = page.post("/inbox/read", data={"up_to": shown}, headers=HTMX)
    assert response.text.count('class="badge"') == 1


def test_marking_all_as_read_leaves_another_accounts_conversations(page, receive, visitor, make_key):
    receive()
    sign_in(visitor, make_key("other", name="theirs"))
    visitor.post("/inbox/read")
    assert 'class="badge"' in page.get("/").text


def test_the_button_to_mark_all_as_read_is_there_only_if_something_is_unread(page, receive):
    receive()
    assert "Mark all as read" in page.get("/").text
    assert "Mark all as read" not in page.get(f"/inbox/phones/{PHONE}").text


def test_the_bar_has_the_name_of_the_account(page):
    assert "Account: </span>default" in page.get("/").text


def test_one_word_names_the_state_of_a_message_in_list_thread_and_details(page, client, receive, later, execute):
    client.post("/v1/messages", json={"to": [OTHER, "+15005550001"], "body": "Hello"})  # the second is refused
    change = "UPDATE messages SET state = 'sent', finished_at = created_at, due_at = NULL, expires_at = NULL"
    execute(f"{change} WHERE to_number = ?", OTHER)
    client.post("/v1/messages", json={"to": "+14560000003", "body": "Hello"})
    receive("+14560000004")
    for number, word in (
        (PHONE, "scheduled"),
        (OTHER, "sent"),
        ("+15005550001", "error"),
        ("+14560000003", "unconfirmed"),
        ("+14560000004", "received"),
    ):
        thread = page.get(f"/inbox/phones/{number}").text
        row = thread.partition('aria-current="page"')[2].partition("</li>")[0]
        assert re.search(rf'<span class="(hidden|state [a-z]+)">{word}<', row), row
        assert re.search(rf'<span class="state">{word}', thread)
        detail = page.get(re.search(r'href="(/inbox/messages/[^"]+)"', thread)[1], headers=HTMX).text
        assert re.search(rf'<span class="pill [a-z]+">{word}</span>', detail)


def test_a_message_has_a_page_and_a_part(page, receive):
    message_id = receive(body="Hello ж")
    whole = page.get(f"/inbox/messages/{message_id}").text
    part = page.get(f"/inbox/messages/{message_id}", headers=HTMX).text
    assert "<html" in whole
    assert "<html" not in part
    for text in (whole, part):
        assert "CYRILLIC SMALL LETTER ZHE".capitalize() in text
        assert message_id in text


def test_a_search_shows_where_the_text_was_found(page, receive):
    receive(body="Nothing to see")
    text = page.get("/inbox/search?q=TO").text
    assert "Nothing <mark>to</mark> see" in text


def test_a_search_that_finds_nothing_says_so(page, receive):
    receive()
    for query in ("nothing", "x" * 161, "x" * 60_000, "H%00", "%00"):
        response = page.get(f"/inbox/search?q={query}")
        assert response.status_code == 200
        assert "Nothing was found" in response.text


def test_a_search_for_a_piece_of_a_page_is_one(page, receive):
    receive(body="needle")
    text = page.get("/inbox/search?q=needle", headers=HTMX).text
    assert "<html" not in text
    assert 'class="result"' in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=error", ["refused"]),
        ("state=unconfirmed", ["sent"]),
        ("direction=inbound", ["received"]),
        ("direction=outbound&state=sent", []),
        ("state=nonsense&direction=nonsense", ["refused", "received", "sent"]),
    ],
)
def test_a_search_may_be_for_a_state_and_a_direction(page, send, receive, query, expected):
    send(body="sent")
    receive(body="received")
    send("+15005550001", "refused")
    found = re.findall(r'<span class="last">([^<]*)</span>', page.get(f"/inbox/search?{query}", headers=HTMX).text)
    assert found == expected


def read_count(page: FlaskClient, query: str = "") -> str:
    found = re.search(r'class="count"[^>]*>([^<]*)<', page.get(f"/inbox/search{query}").text)
    assert found is not None
    return found[1]


def test_the_page_of_all_messages_is_a_link_on_every_page_and_has_the_only_box_for_a_search(page, receive):
    message_id = receive()
    for path in ("/", f"/inbox/phones/{PHONE}", f"/inbox/messages/{message_id}", *SINGLE_PAGES):
        response = page.get(path)
        attributes = parse(response).attributes
        assert ("a", "href", "/inbox/search") in attributes, path
        assert [value for tag, name, value in attributes if (tag, name) == ("input", "name")].count("q") == 1, path


SINGLE_PAGES = ["/inbox/search", "/inbox/compose", "/inbox/settings", "/inbox/nothing"]


@pytest.mark.parametrize("path", ["/", *SINGLE_PAGES])
def test_every_page_leads_to_inbox_messages_new_message_settings_and_api(page, path):
    links = {value for tag, name, value in parse(page.get(path)).attributes if (tag, name) == ("a", "href")}
    assert {"/", "/inbox/search", "/inbox/compose", "/inbox/settings", "/docs"} <= links


def test_the_filters_are_links_that_keep_the_text(page, send, receive, deliver):
    send("+15005550001", "a refused one")
    send(body="a scheduled one", send_at=TOMORROW)
    send("+15005550012", "one that stays unconfirmed")
    receive(body="a received one")
    deliver()
    nav = page.get("/inbox/search?q=one").text.partition('aria-label="Filter"')[2].partition("</nav>")[0]
    links = re.findall(r'<a href="([^"]+)" (aria-current="true")?>(\w+)</a>', nav)
    assert [name for _, current, name in links if current] == ["All"]
    shown = {}
    for link, _, name in links:
        text = page.get(html.unescape(link)).text
        assert re.findall(r'aria-current="true">(\w+)<', text) == [name]
        assert 'name="q" value="one"' in text
        results = text.partition('class="results"')[2]
        states = re.findall(r'<span class="pill \w*">(\w+)</span>', results)
        bodies = re.findall(r'<span class="last">(.*?)</span>', results)
        plain = [re.sub("</?mark>", "", body).split()[1] for body in bodies]
        shown[name] = list(zip(plain, states, strict=True))
    received, refused, scheduled = ("received", "received"), ("refused", "error"), ("scheduled", "scheduled")
    assert shown == {
        "All": [received, ("that", "unconfirmed"), scheduled, refused],
        "Errors": [refused],
        "Scheduled": [scheduled],
        "Received": [received],
    }


def test_the_number_of_results_is_said(page, client, receive):
    assert read_count(page) == "0 messages"
    receive(body="needle")
    assert read_count(page) == "1 message"
    assert read_count(page, "?q=needle") == "1 result"
    receive(body="needle and hay")
    assert read_count(page, "?q=needle") == "2 results"
    assert read_count(page, "?q=nothing") == "0 results"
    client.post("/v1/messages", json={"to": [PHONE] * 48, "body": "needle"})
    assert read_count(page, "?q=needle") == "50 results"
    receive(body="needle")
    assert read_count(page, "?q=needle") == "More than 50 results"
    below = re.search(r'href="(/inbox/search\?[^"]*below=\d+)"', page.get("/inbox/search?q=needle").text)
    assert below is not None
    assert read_count(page, html.unescape(below[1]).removeprefix("/inbox/search")) == "1 older result"


@pytest.mark.parametrize(
    "query", ["+49 1511 2345678", "0049 1511-234", "0049...", "1511 234", "(01511) 234", "\u202a+49\u00a01511"]
)
def test_a_number_is_found_and_marked_as_people_write_it(page, send, query):
    send("+4915112345678", "to Germany")
    send(OTHER, "elsewhere")
    text = page.get(f"/inbox/search?q={quote(query)}").text
    assert "1 result<" in text
    assert "to Germany" in text
    assert re.search(r"<mark>\+?\d+</mark>", text)


@pytest.mark.parametrize("number", ["-1", "x", "1e3", "9" * 30, "", "٣", "0", "99999999999999999999"])
def test_numbers_in_an_address_may_be_anything(page, receive, number):
    receive()
    for path in (
        f"/inbox/conversations?below={number}",
        f"/inbox/phones/{PHONE}/older?below={number}",
        f"/inbox/conversations?shown={number}",
        f"/inbox/phones/{PHONE}/messages?since={number}",
        f"/inbox/search?below={number}",
        f"/inbox/settings/deliveries?before={number}",
    ):
        assert page.get(path).status_code == 200, path


# Writing


def test_a_message_is_sent_as_the_app(page, execute):
    response = page.post(
        "/inbox/compose", data={"to": PHONE, "body": "Hello", "as": "app", "origin": "", "send_at": ""}
    )
    assert location(response) == f"/inbox/phones/{PHONE}"
    assert execute("SELECT direction, body, origin_number, to_number FROM messages") == [
        ("outbound", "Hello", OWN, PHONE)
    ]


def test_a_message_is_written_as_a_phone(page, execute):
    response = page.post("/inbox/compose", data={"to": PHONE, "body": "Hello", "as": "handset"})
    assert location(response) == f"/inbox/phones/{PHONE}"
    assert execute("SELECT direction, body, origin_number, to_number FROM messages") == [
        ("inbound", "Hello", PHONE, OWN)
    ]


def test_a_special_number_is_chosen_where_no_other_is_given(page, execute):
    page.post("/inbox/compose", data={"to": "", "special": "+15005550010", "body": "Hello"})
    page.post("/inbox/compose", data={"to": PHONE, "special": "+15005550010", "body": "Hello"})
    assert execute("SELECT to_number FROM messages ORDER BY seq") == [("+15005550010",), (PHONE,)]


def test_a_message_that_is_refused_at_once_is_shown(page, execute):
    response = page.post("/inbox/compose", data={"to": "+15005550001", "body": "Hello"})
    ((message_id,),) = execute("SELECT id FROM messages")
    assert location(response) == f"/inbox/messages/{message_id}"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-02-01T10:30:00+01:00", "2026-02-01T09:30:00.000Z"),
        ("2026-02-01T09:30:00.000Z", "2026-02-01T09:30:00.000Z"),
        ("2026-02-01T09:30:00", "2026-02-01T09:30:00.000Z"),  # without scripts: the form says UTC
        ("2026-02-01T09:30", "2026-02-01T09:30:00.000Z"),
    ],
)
def test_a_message_is_sent_at_a_time(page, execute, given, stored):
    location(page.post("/inbox/compose", data={"to": PHONE, "body": "Hello", "send_at": given}))
    assert execute("SELECT send_at FROM messages") == [(stored,)]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"to": "nonsense"}, "Not a valid E.164 number"),
        ({"to": ""}, "required"),
        ({"body": ""}, "required"),
        ({"body": "x" * 161}, "too long"),
        ({"origin": "+"}, "Not a valid sender"),
        ({"send_at": "tomorrow"}, "Not a valid time"),
        ({"to": "nô", "as": "handset"}, "Not a valid sender"),
    ],
)
def test_what_is_wrong_with_a_message_is_shown_beside_what_was_written(page, execute, changes, fault):
    given = {"to": PHONE, "body": "my words", "origin": "SHOP", "send_at": "2026-02-01T09:30", **changes}
    response = page.post("/inbox/compose", data=given)
    assert response.status_code == 400
    assert fault in html.unescape(response.text)
    elements = parse(response)
    assert given["body"] in elements.text
    for name in ("to", "origin"):
        assert ("input", "value", given[name]) in elements.attributes
    assert execute("SELECT count(*) FROM messages") == [(0,)]


@pytest.mark.parametrize(
    "given",
    [
        {"to": PHONE, "body": 5, "send_at": 5},
        {"to": {"a": 1}, "body": ["x"], "send_at": [1], "origin": True, "as": {}, "special": 3},
        {},
    ],
)
def test_a_form_that_no_page_has_sent_is_an_error_and_nothing_worse(page, given):
    for path in ("/inbox/compose", f"/inbox/phones/{PHONE}/messages", "/inbox/messages/x/change", "/inbox/check"):
        assert page.post(path, json=given).status_code in (200, 400, 404), path


def test_a_field_given_twice_is_an_error(page):
    response = page.post("/inbox/compose", data={"to": PHONE, "body": ["a", "b"]})
    assert response.status_code == 400


def test_writing_into_a_thread_shows_the_thread_again(page, receive, bodies):
    receive()
    response = page.post(f"/inbox/phones/{PHONE}/messages", data={"body": "Hello", "as": "app", "origin": OWN})
    assert location(response) == f"/inbox/phones/{PHONE}"
    assert bodies() == ["Hello", "Hello"]


def test_a_piece_of_a_page_that_was_written_into_is_the_empty_form_and_brings_thread_and_list(page, receive, execute):
    receive()
    response = page.post(
        f"/inbox/phones/{PHONE}/messages", data={"body": "my words", "as": "handset", "origin": OWN}, headers=HTMX
    )
    assert response.status_code == 200
    assert "<html" not in response.text
    assert re.search(r"<textarea[^>]*></textarea>", response.text)
    assert re.search(r'value="handset" checked', response.text)
    assert re.findall(r'id="(\w+)"[^>]* hx-swap-oob="morph"', response.text) == ["exchange", "sidebar"]
    assert re.findall(r'<p class="text">([^<]+)</p>', response.text) == ["Hello", "my words"]
    assert "my words" in response.text.partition('id="conversations"')[2]
    assert execute("SELECT direction FROM messages WHERE body = 'my words'") == [("inbound",)]


@pytest.mark.parametrize("headers", [HERE, HTMX])
def test_what_is_wrong_in_a_thread_is_shown_with_what_was_written(page, receive, bodies, headers):
    receive()
    response = page.post(f"/inbox/phones/{PHONE}/messages", data={"body": "x" * 161, "as": "handset"}, headers=headers)
    assert response.status_code == 400
    assert "too long" in response.text
    assert "x" * 161 in response.text
    assert bodies() == ["Hello"]


def test_a_phone_answers_the_number_that_wrote_to_it(page, send, execute):
    send(origin="12345")
    page.post(f"/inbox/phones/{PHONE}/messages", data={"body": "answer", "as": "handset", "origin": "12345"})
    assert execute("SELECT to_number FROM messages WHERE direction = 'inbound'") == [("12345",)]


def test_a_phone_that_can_not_answer_a_name_answers_the_default_sender(page, send, execute):
    send(origin="SHOP")
    page.post(f"/inbox/phones/{PHONE}/messages", data={"body": "answer", "as": "handset", "origin": "SHOP"})
    assert execute("SELECT to_number FROM messages WHERE direction = 'inbound'") == [(OWN,)]


def test_a_message_can_not_be_sent_to_a_name(page, receive):
    receive(sender="SHOP")
    response = page.post("/inbox/phones/SHOP/messages", data={"body": "Hello", "as": "app"})
    assert response.status_code == 400
    assert "Not a valid E.164 number" in response.text


def test_writing_to_what_is_no_phone_is_not_found(page):
    assert page.post("/inbox/phones/nonsense!/messages", data={"body": "Hello"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hello", ["1 SMS, 5 of 160 septets, GSM-7"]),
        ("жж", ["1 SMS, 2 of 70 units, UCS-2", "CYRILLIC SMALL LETTER ZHE"]),
        ("ж" * 97, ["2 SMS, 97 units, UCS-2"]),
        ("", []),
    ],
)
def test_a_text_is_checked_while_it_is_written(page, body, expected):
    response = page.post("/inbox/check", data={"body": body}, headers=HTMX)
    assert response.status_code == 200
    assert response.text.strip() == "" if not expected else all(part in response.text for part in expected)


@pytest.mark.parametrize(
    ("body", "shown"), [("x" * 143, ""), ("x" * 144, "144 of 160 characters"), ("x" * 161, "161 of 160 characters")]
)
def test_the_check_says_the_number_of_characters_near_their_limit(page, body, shown):
    text = page.post("/inbox/check", data={"body": body}).text
    assert re.findall(r"\d+ of \d+ characters", text) == ([shown] if shown else [])


@pytest.mark.parametrize("typed", ["+49 1511 2345678", "\u202a+49\u00a01511-2345678\u202c ", "tel:+49(1511)234.56/78"])
def test_a_new_message_goes_to_a_number_as_people_write_it(page, execute, typed):
    there = location(page.post("/inbox/compose", data={"to": typed, "body": "Hello", "origin": "+1 (500) 555-0006"}))
    assert there == "/inbox/phones/+4915112345678"
    assert execute("SELECT to_number, origin_number FROM messages") == [("+4915112345678", OWN)]


def test_the_api_takes_no_number_as_people_write_it(client):
    response = client.post("/v1/messages", json={"to": "+49 1511 2345678", "body": "Hello"})
    assert response.get_json()["errors"][0]["type"] == "invalid_msisdn"


def find_wrong(response: TestResponse) -> list[tuple[str, str]]:
    """Return the names of the fields that are marked as wrong, each with the text that explains it."""
    fields = re.findall(r"<(?:input|textarea|select)[^>]*aria-invalid[^>]*>", response.text)
    found = []
    for field in fields:
        name, described = re.search(r' name="(\w+)"', field), re.search(r'aria-describedby="([\w-]+)', field)
        assert name is not None
        assert described is not None
        text = re.search(rf'<p id="{described[1]}"[^>]*>([^<]+)</p>', response.text)
        assert text is not None
        found.append((name[1], html.unescape(text[1])))
    assert [" autofocus" in field for field in fields] == [True, False, False][: len(fields)]
    return found


def test_each_wrong_field_of_a_new_message_says_what_is_wrong_and_the_first_one_has_the_focus(page):
    response = page.post("/inbox/compose", data={"to": "12", "origin": "+", "body": "x" * 161})
    assert response.status_code == 400
    (to, to_text), (origin, origin_text), (body, body_text) = find_wrong(response)
    assert (to, origin, body) == ("to", "origin", "body")
    assert to_text.startswith("Not a valid E.164 number.")
    assert origin_text.startswith("Not a valid sender.")
    assert "too long" in body_text
    assert 'class="faults"' not in response.text


def test_a_wrong_field_of_a_phone_that_writes_is_its_own_number_or_the_apps(page):
    given = {"as": "handset", "to": "nô", "origin": "12", "body": "Hi"}
    assert [name for name, _ in find_wrong(page.post("/inbox/compose", data=given))] == ["to", "origin"]


@pytest.mark.parametrize(
    ("path", "given", "name"),
    [
        ("keys", {"name": "a\0b"}, "name"),
        ("origin", {"origin": "no sender at all"}, "origin"),
        ("webhook", {"url": "nonsense"}, "url"),
        ("keywords", {"help_reply": "help"}, "help_reply"),
        ("fronts/twilio", {"fallback_url": "nonsense"}, "fallback_url"),
    ],
)
def test_a_wrong_field_of_the_settings_has_the_focus_and_says_what_is_wrong(page, path, given, name):
    response = page.post(f"/inbox/settings/{path}", data=given)
    assert response.status_code == 400
    assert [wrong for wrong, _ in find_wrong(response)] == [name]


# Changing


@pytest.fixture
def later(send: Callable[..., dict[str, Any]]) -> str:
    """The id of a scheduled message."""
    message_id: str = send(body="later", send_at=TOMORROW)["id"]
    return message_id


def test_a_message_that_waits_is_changed(page, later, execute):
    given = {"body": "sooner", "send_at": "2026-02-01T08:00:00"}
    assert location(page.post(f"/inbox/messages/{later}/change", data=given)) == f"/inbox/messages/{later}"
    assert execute("SELECT body, send_at FROM messages") == [("sooner", "2026-02-01T08:00:00.000Z")]


def test_a_piece_of_a_page_shows_the_changed_message(page, later):
    response = page.post(f"/inbox/messages/{later}/change", data={"body": "sooner"}, headers=HTMX)
    assert response.status_code == 200
    assert "<html" not in response.text
    assert "sooner" in response.text


@pytest.mark.parametrize("headers", [HERE, HTMX])
def test_a_change_that_is_wrong_is_shown_with_what_was_written(page, later, bodies, headers):
    given = {"body": "x" * 161, "send_at": "2026-02-02T08:00:00"}
    response = page.post(f"/inbox/messages/{later}/change", data=given, headers=headers)
    assert response.status_code == 400
    assert "too long" in response.text
    assert "x" * 161 in response.text
    assert 'value="2026-02-02T08:00:00"' in response.text
    assert bodies() == ["later"]


@pytest.mark.parametrize("headers", [HERE, HTMX])
@pytest.mark.parametrize("action", ["change", "cancel"])
def test_a_message_that_was_sent_can_not_be_changed_any_more(page, later, clock, deliver, headers, action):
    clock.advance(86_400)
    deliver()
    response = page.post(f"/inbox/messages/{later}/{action}", data={"body": "too late"}, headers=headers)
    assert response.status_code == 400
    late = "After Phonify has begun to send a message, nobody can change or cancel the message."
    assert f"Only a scheduled message can be changed or cancelled. {late}" in response.text


def test_a_cancelled_message_leads_back_to_its_thread(page, receive, later, bodies):
    receive(body="kept")
    there = location(page.post(f"/inbox/messages/{later}/cancel"))
    assert there == f"/inbox/phones/{PHONE}?notice=cancelled"
    assert "The scheduled message was cancelled. It was removed, and it will not be sent." in page.get(there).text
    assert bodies() == ["kept"]


def test_a_cancelled_message_that_was_the_only_one_leaves_its_thread_empty(page, later):
    there = location(page.post(f"/inbox/messages/{later}/cancel"))
    assert there == f"/inbox/phones/{PHONE}?notice=cancelled"
    assert page.get(there).status_code == 200


def test_a_piece_of_a_page_that_cancels_has_the_whole_page_go(page, later):
    response = page.post(f"/inbox/messages/{later}/cancel", headers=HTMX)
    assert (response.status_code, response.headers["HX-Redirect"]) == (200, f"/inbox/phones/{PHONE}?notice=cancelled")


def test_a_notice_that_does_not_exist_is_not_shown(page, receive):
    receive()
    assert 'class="notice"' not in page.get(f"/inbox/phones/{PHONE}?notice=<b>").text


def test_a_scheduled_message_is_cancelled_after_a_question(page, later):
    shown = page.get(f"/inbox/messages/{later}").text
    assert 'data-confirm="Cancel the message to +1 456 000 0000? It is removed, and it will not be sent."' in shown


def test_a_waiting_message_is_offered_for_change_and_a_sent_one_is_not(page, later, receive):
    assert "Cancel the message" in page.get(f"/inbox/messages/{later}").text
    assert "Cancel the message" not in page.get(f"/inbox/messages/{receive()}").text


def test_clearing_removes_what_is_settled(page, receive, later, bodies):
    receive(body="settled")
    assert location(page.post("/inbox/clear")) == "/"
    assert bodies() == ["later"]


# Live


LIST = "/inbox/conversations"
THREAD = f"/inbox/phones/{PHONE}/messages?since=1"


def look(page: FlaskClient, path: str, seen: TestResponse | None = None, **options: Any) -> TestResponse:
    """Request a part of a page as an open page does. `seen` is the earlier answer."""
    known = {"If-None-Match": seen.headers["ETag"]} if seen is not None else {}
    return page.get(path, headers={**HTMX, **known}, **options)


def detail_of(message_id: str, phone: str = PHONE) -> str:
    return f"/inbox/messages/{message_id}?phone={quote(phone)}"


def texts(response: TestResponse) -> list[str]:
    """Return the texts of a thread."""
    return re.findall(r'<p class="text">([^<]+)</p>', response.text)


def test_a_page_that_has_seen_all_is_told_nothing(page, receive, operator):
    operator.set_webhook(HOOK)
    message_id = receive()
    for path in (LIST, THREAD, detail_of(message_id), "/inbox/settings/deliveries"):
        first = look(page, path)
        assert first.status_code == 200
        assert "<html" not in first.text
        again = look(page, path, first)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        check_headers(again)


def test_a_page_behind_a_proxy_that_weakens_what_it_compresses_is_told_nothing_either(page, receive):
    receive()
    first = look(page, LIST)
    first.headers["ETag"] = f"W/{first.headers['ETag']}"
    assert look(page, LIST, first).status_code == 304


def test_a_page_is_told_of_a_new_message(page, receive):
    receive(body="one")
    seen = {path: look(page, path) for path in (LIST, THREAD)}
    receive(body="two")
    for path, first in seen.items():
        assert "two" not in first.text
        response = look(page, path, first)
        assert response.status_code == 200
        assert "two" in response.text
        assert look(page, path, response).status_code == 304
    assert texts(response) == ["one", "two"]


def test_a_page_is_told_of_all_messages_where_one_that_it_shows_has_changed(page, send, deliver, client):
    send(PHONE, "one")
    later = send(PHONE, "two", send_at=TOMORROW)
    response = look(page, THREAD)
    for change, expected in (
        (deliver, ["one", "two"]),
        (lambda: client.put(f"/v1/messages/{later['id']}", json={"body": "three"}), ["one", "three"]),
        (lambda: client.delete(f"/v1/messages/{later['id']}"), ["one"]),
    ):
        change()
        response = look(page, THREAD, response)
        assert texts(response) == expected
        assert look(page, THREAD, response).status_code == 304


def test_a_page_keeps_the_messages_that_it_shows_and_at_most_500(page, client, execute):
    client.post("/v1/messages", json={"to": [PHONE] * 120, "body": "Hello"})
    ((first,),) = execute("SELECT seq FROM messages ORDER BY seq DESC LIMIT 1 OFFSET 79")
    assert len(texts(look(page, f"/inbox/phones/{PHONE}/messages"))) == 50
    assert len(texts(look(page, f"/inbox/phones/{PHONE}/messages?since={first}"))) == 80
    client.post("/v1/messages", json={"to": [PHONE] * 500, "body": "Hello"})
    response = look(page, f"/inbox/phones/{PHONE}/messages?since={first}")
    assert len(texts(response)) == 500
    assert "Older messages" in response.text


def test_a_message_that_takes_the_place_of_one_that_was_cleared_is_shown(page, receive):
    old = receive(body="same")
    seen = look(page, THREAD)
    page.post("/inbox/clear")
    new = receive(body="same")
    response = look(page, THREAD, seen)
    assert new in response.text
    assert old not in response.text


def test_a_thread_that_was_cleared_is_empty(page, receive):
    receive()
    seen = look(page, THREAD)
    page.post("/inbox/clear")
    response = look(page, THREAD, seen)
    assert (response.status_code, texts(response)) == (200, [])


def test_a_form_changes_what_was_changed_in_it_alone(page, send, client):
    message_id = send(body="a\nb", send_at=TOMORROW)["id"]
    form = page.get(f"/inbox/messages/{message_id}").text
    shown = dict(re.findall(r'type="hidden" name="(shown_\w+)" value="([^"]*)"', form))
    client.put(f"/v1/messages/{message_id}", json={"body": "changed meanwhile"})
    given = {**shown, "body": "a\r\nb", "send_at": "2036-01-31T09:30:00.000Z"}
    assert page.post(f"/inbox/messages/{message_id}/change", data=given).status_code == 303
    message = client.get(f"/v1/messages/{message_id}").get_json()["message"]
    assert (message["body"], message["send_at"]) == ("changed meanwhile", "2036-01-31T09:30:00.000Z")
    given |= {"body": "by the form", "send_at": f"{shown['shown_send_at']}.000Z"}
    assert page.post(f"/inbox/messages/{message_id}/change", data=given).status_code == 303
    message = client.get(f"/v1/messages/{message_id}").get_json()["message"]
    assert (message["body"], message["send_at"]) == ("by the form", "2036-01-31T09:30:00.000Z")


def test_details_of_a_message_that_is_gone_can_be_closed(page, send, client):
    message_id = send(send_at=TOMORROW)["id"]
    client.delete(f"/v1/messages/{message_id}")
    response = look(page, detail_of(message_id, OTHER))
    assert re.search(rf'<a class="[^"]*close" href="/inbox/phones/{re.escape(OTHER)}" data-close', response.text)


@pytest.mark.parametrize("etag", ["", "x", '"x"', 'W/"x"', '"', '"x", "y"', "\xe4", '"' + "x" * 5_000 + '"'])
def test_what_a_page_says_it_has_seen_may_be_anything(page, receive, etag):
    receive(body="one")
    for path in (LIST, THREAD):
        response = page.get(path, headers={**HTMX, "If-None-Match": etag})
        assert response.status_code == 200
        assert "one" in response.text


def test_a_page_is_told_which_conversation_it_shows(page, receive):
    for phone in (PHONE, OTHER):
        receive(phone)

    def list_current(path: str) -> list[str]:
        return re.findall(r'<a href="([^"]+)" aria-current="page"', look(page, path).text)

    for phone in (PHONE, OTHER):
        assert list_current(f"{LIST}?phone={quote(phone)}") == [f"/inbox/phones/{phone}"]
    assert list_current(LIST) == []


def test_pages_under_different_addresses_are_led_each_to_its_own(page, receive):
    receive()
    for root in ("", "/phonify"):
        live = look(page, LIST, base_url=f"http://localhost{root}").text
        assert re.findall(r'<a href="([^"]+)"', live) == [f"{root}/inbox/phones/{PHONE}"]


def test_a_page_is_told_of_a_new_state(page, send, deliver):
    message_id = send()["id"]
    seen = look(page, detail_of(message_id))
    deliver()
    assert "Attempt 1: the gateway accepted the message" in look(page, detail_of(message_id), seen).text


def test_a_page_is_told_that_a_message_is_gone(page, send, client):
    message_id = send(send_at=TOMORROW)["id"]
    seen = look(page, detail_of(message_id))
    client.delete(f"/v1/messages/{message_id}")
    response = look(page, detail_of(message_id), seen)
    assert "This message was removed" in response.text
    assert "data-live" not in response.text  # so that the page does not request it again


def test_a_page_of_one_thread_is_told_of_another_only_in_the_list(page, receive):
    receive(PHONE, "one")
    thread, listed = look(page, THREAD), look(page, LIST)
    receive(OTHER, "two")
    assert look(page, THREAD, thread).status_code == 304
    assert "two" in look(page, LIST, listed).text


def test_a_page_is_told_of_the_parts_that_have_changed_alone(page, receive, send, deliver):
    receive(PHONE, "one")
    paths = [LIST, THREAD, detail_of(send(to=OTHER)["id"], OTHER)]
    seen = {path: look(page, path) for path in paths}

    def list_changed() -> list[str]:
        changed = []
        for path in paths:
            response = look(page, path, seen[path])
            if response.status_code == 200:
                changed.append(path)
                seen[path] = response
        return changed

    assert list_changed() == [LIST]  # the thread was read
    assert list_changed() == []
    deliver()
    assert list_changed() == [LIST, paths[2]]
    page.post(f"/inbox/phones/{PHONE}/subscription", data={"subscribed": "no"})
    assert list_changed() == [THREAD]
    assert list_changed() == []


def test_a_thread_that_is_open_is_read(page, receive):
    receive()
    look(page, THREAD)
    assert 'class="badge"' not in look(page, LIST).text


def test_a_thread_that_is_open_is_read_for_who_sees_it_though_it_is_not_noted_yet(page, receive):
    receive()
    assert 'class="badge"' in look(page, LIST).text
    assert 'class="badge"' not in look(page, f"{LIST}?phone={quote(PHONE)}").text
    assert 'class="badge"' in look(page, LIST).text


def test_a_page_that_shows_more_conversations_is_told_of_as_many_and_at_most_200(page, client):
    client.post("/v1/messages", json={"to": [f"+1456000{number:04d}" for number in range(210)], "body": "Hello"})
    for shown, expected in ((0, 40), (60, 60), (200, 200), (10_000, 200)):
        assert look(page, f"{LIST}?shown={shown}").text.count('class="number"') == expected


def test_a_page_that_was_written_into_keeps_what_it_shows(page, client, execute):
    client.post("/v1/messages", json={"to": [f"+1456000{number:04d}" for number in range(60)], "body": "Hello"})
    client.post("/v1/messages", json={"to": [PHONE] * 80, "body": "Hello"})
    ((first,),) = execute("SELECT seq FROM messages ORDER BY seq DESC LIMIT 1 OFFSET 69")
    given = {"body": "mine", "since": first, "shown": 50}
    response = page.post(f"/inbox/phones/{PHONE}/messages", data=given, headers=HTMX)
    assert texts(response) == ["Hello"] * 70 + ["mine"]
    assert response.text.count('<li id="c-') == 50


def test_a_page_that_shows_more_deliveries_is_told_of_as_many(page, operator):
    operator.set_webhook(HOOK)
    ids = [operator.send_test() for _ in range(25)]
    path = "/inbox/settings/deliveries"
    assert look(page, path).text.count('<li id="d-') == 20
    seen = look(page, f"{path}?shown=25")
    assert seen.text.count('<li id="d-') == 25
    assert look(page, f"{path}?shown=25", seen).status_code == 304
    again = page.post(f"{path}/{ids[0]}/redeliver", data={"shown": 25}, headers=HTMX)
    assert again.text.count('<li id="d-') == 25


# Settings


def test_the_settings_show_keys_sender_webhook_and_messages(page, receive, operator):
    receive()
    operator.set_webhook(HOOK)
    text = page.get("/inbox/settings").text
    for part in (
        "PHONIFY_API_KEY",
        "this session",
        f"{group_number(OWN)} (the server",
        HOOK,
        "1 stored",
        "All are kept",
    ):
        assert part in text


def test_what_is_kept_is_said(make_app):
    app = make_app(RETAIN_MESSAGES=5, RETAIN_DAYS=3)
    browser = InboxClient(app, app.response_class)
    sign_in(browser, KEY)
    assert "Kept: at most 5, for 3 days." in browser.get("/inbox/settings").text


def test_a_new_key_is_shown_once(page, anonymous, operator):
    text = page.post("/inbox/settings/keys", data={"name": " laptop "}).text
    (key,) = set(re.findall(r"phk_[A-Za-z0-9_-]{32}", text))
    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 200
    assert [one["name"] for one in operator.show("keys", "list")] == ["PHONIFY_API_KEY", "laptop"]
    assert key not in page.get("/inbox/settings").text


@pytest.mark.parametrize("name", ["x" * 101, "a\0b", "a\nb", "\u202e"])
def test_a_name_that_no_key_may_have_is_an_error(page, operator, name):
    response = page.post("/inbox/settings/keys", data={"name": name})
    assert response.status_code == 400
    assert 'role="alert"' in response.text
    assert len(operator.show("keys", "list")) == 1


def test_a_key_is_revoked(page, anonymous, operator):
    key = operator.make_key(name="old")
    key_id = operator.find_key_id(key)
    assert location(page.post(f"/inbox/settings/keys/{key_id}/revoke")) == "/inbox/settings#keys"
    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 401
    assert "old" not in parse(page.get("/inbox/settings")).text.split("Key name")[0].split("API keys")[1]
    assert page.post(f"/inbox/settings/keys/{key_id}/revoke").status_code == 404


def test_the_default_sender_is_set_and_removed(page, client):
    assert location(page.post("/inbox/settings/origin", data={"origin": " SHOP "})) == "/inbox/settings#origin"
    sent = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    assert sent["origin"]["number"] == "SHOP"
    page.post("/inbox/settings/origin", data={"origin": ""})
    sent = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    assert sent["origin"]["number"] == OWN


def test_a_default_sender_that_is_none_is_an_error_and_kept_in_the_form(page):
    response = page.post("/inbox/settings/origin", data={"origin": "no sender at all"})
    assert response.status_code == 400
    assert 'value="no sender at all"' in response.text
    assert "Not a valid sender" in response.text


@pytest.fixture
def find_webhook(operator: Operator) -> Callable[[], dict[str, Any] | None]:
    return operator.find_webhook


def test_a_webhook_is_set_rotated_tested_and_removed(page, find_webhook):
    assert location(page.post("/inbox/settings/webhook", data={"url": f" {HOOK} "})) == "/inbox/settings#webhook"
    first = find_webhook()
    assert first is not None
    assert first["url"] == HOOK
    assert location(page.post("/inbox/settings/webhook/rotate")) == "/inbox/settings#webhook"
    assert find_webhook() != first
    signatures = "One signature uses the new secret. The other signature uses the former secret."
    assert f", each event has two signatures. {signatures}" in page.get("/inbox/settings").text
    assert location(page.post("/inbox/settings/webhook/test")) == "/inbox/settings#deliveries"
    assert "webhook.test" in page.get("/inbox/settings").text
    assert location(page.post("/inbox/settings/webhook/remove")) == "/inbox/settings#webhook"
    assert find_webhook() is None


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/", "nonsense", "http://user:word@127.0.0.1/"])
def test_an_address_that_can_not_be_posted_to_is_an_error_and_kept_in_the_form(page, find_webhook, url):
    response = page.post("/inbox/settings/webhook", data={"url": url})
    assert response.status_code == 400
    assert f'value="{url}"' in response.text
    assert find_webhook() is None


@pytest.mark.parametrize("action", ["test", "rotate"])
def test_without_a_webhook_there_is_nothing_to_do_with_it(page, action):
    response = page.post(f"/inbox/settings/webhook/{action}")
    assert response.status_code == 400
    assert "no webhook" in response.text


def test_deliveries_are_listed_page_by_page_each_once(page, operator):
    operator.set_webhook(HOOK)
    ids = [operator.send_test() for _ in range(45)]
    texts = follow(page, "/inbox/settings/deliveries", r'hx-get="(/inbox/settings/deliveries[^"]+)"')
    assert re.findall(r'<li id="d-([^"]+)"', "".join(texts)) == ids[::-1]
    assert len(texts) == 3


def test_something_is_delivered_again(page, operator, post_due, receiver):
    operator.set_webhook(receiver.url)
    delivery_id = operator.send_test()
    post_due()
    path = f"/inbox/settings/deliveries/{delivery_id}/redeliver"
    assert location(page.post(path)) == "/inbox/settings#deliveries"
    post_due()
    assert len(receiver.received) == 2
    part = page.post(path, headers=HTMX)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "pending" in part.text


# Times


def test_times_are_in_utc_for_machines_and_readers(page, receive):
    receive()
    text = page.get(f"/inbox/phones/{PHONE}").text
    assert 'data-day="2026-01-31"' in text
    assert '<time datetime="2026-01-31T09:30:00.000Z">09:30</time>' in text


def test_a_scheduled_message_says_when_it_is_sent_and_not_when_it_was_created(page, later):
    _, _, bubble = page.get(f"/inbox/phones/{PHONE}").text.partition(f'<li id="m-{later}"')
    times = re.findall("<time .*?</time>", bubble.partition("</ol>")[0])
    assert times == ['<time datetime="2026-02-01T09:30:00.000Z">2026-02-01 09:30</time>']
    assert f"scheduled for {times[0]}" in bubble


# A gateway that is not a sandbox


def test_with_a_real_gateway_nobody_writes_as_a_phone(make_app, execute):
    app = make_app(OnceGateway())
    browser = InboxClient(app, app.response_class)
    sign_in(browser, KEY)
    assert "handset" not in browser.get("/inbox/compose").text
    browser.post("/inbox/compose", data={"to": PHONE, "body": "Hello", "as": "handset"})
    browser.post(f"/inbox/phones/{PHONE}/messages", data={"body": "Hello", "as": "handset"})
    assert execute("SELECT DISTINCT direction FROM messages") == [("outbound",)]


# Files


STATIC = ROOT / "phonify/web/static"


@pytest.mark.parametrize("name", sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.*")))
def test_a_static_file_needs_no_session_and_is_asked_for_again_only_if_it_changed(visitor, name):
    response = visitor.get(f"/inbox/static/{name}")
    assert response.status_code == 200
    assert response.data == (STATIC / name).read_bytes()
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" not in response.headers["Cache-Control"]
    assert "Set-Cookie" not in response.headers
    again = visitor.get(f"/inbox/static/{name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    response.close()
    again.close()


@pytest.mark.parametrize(
    "path",
    [
        "/inbox/static/../templates/inbox/base.html",
        "/inbox/static/..%2fsession.py",
        "/inbox/static/%2e%2e/session.py",
        "/inbox/static/%2e%2e%2f%2e%2e%2f__init__.py",
        "/inbox/static/vendor/../../session.py",
        "/inbox/static/..\\session.py",
        "/inbox/static//etc/passwd",
        "/inbox/static/%2fetc%2fpasswd",
        "/inbox/static/vendor",
        "/inbox/static/",
        "/inbox/static/a%00b",
        "/static/inbox.js",
        "/inbox/static/" + "a/" * 2_000,
        "/inbox/static/" + "a" * 5_000,
    ],
)
def test_nothing_but_static_files_is_served(visitor, path):
    response = visitor.get(path)
    assert response.status_code in (303, 404)
    assert "import" not in response.text
    assert "root:" not in response.text


def test_the_pages_name_only_files_that_are_there(page):
    for _, name, value in parse(page.get("/")).attributes:
        if name in ("src", "href") and "/static/" in value:
            response = page.get(value)
            assert response.status_code == 200
            response.close()


def test_a_line_end_of_a_form_counts_as_one_character_and_is_stored_as_one(page, client):
    body = "x" * 80 + "\r\n" + "y" * 79
    assert "160 of 160" in page.post("/inbox/check", data={"body": body}).text
    assert page.post("/inbox/compose", data={"to": PHONE, "body": body}).status_code == 303
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert message["body"] == body.replace("\r\n", "\n")
    assert page.post(f"/inbox/phones/{PHONE}/messages", data={"body": "a\r\nb"}).status_code == 303
    assert client.get("/v1/messages").get_json()["messages"][0]["body"] == "a\nb"
