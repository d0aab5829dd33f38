"""Links that open the inbox without a key, and the sessions of the inbox, as commands and pages know them."""

import json
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from tests.support.app import KEY, sign_in
from tests.support.servers import find_free_port
from tests.support.terminal import on_terminal

SIGN_IN = "/inbox/sign-in"
DAY = 86_400


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that gets the address, in place of a browser."""
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part && mv {tmp_path}/opened.part {tmp_path}/opened\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    return tmp_path / "opened"


@pytest.fixture
def run(runner) -> Callable[..., str]:
    """Return a function that runs a command and returns what it prints."""

    def run(*arguments: str, status: int = 0) -> str:
        result = runner.invoke(args=arguments)
        assert result.exit_code == status, result.output
        return str(result.output)

    return run


@pytest.fixture
def link(services) -> Callable[..., str]:
    """Return a function that makes a link to the test server."""
    return lambda: str(services.create_link("http://localhost"))


@pytest.fixture
def make_browser(app: Flask) -> Callable[[], FlaskClient]:
    """Return a function that makes a browser without a session."""
    return lambda: FlaskClient(app, app.response_class)


@pytest.fixture
def browser(make_browser: Callable[[], FlaskClient]) -> FlaskClient:
    return make_browser()


@pytest.fixture
def listen() -> Iterator[Callable[[Flask], int]]:
    """Return a function that serves an app on a free port. It returns the port."""
    with ExitStack() as stack:

        def listen(app: Flask) -> int:
            server = make_server("127.0.0.1", 0, app)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            for end in (server.server_close, thread.join, server.shutdown):
                stack.callback(end)
            return int(server.port)

        yield listen


def follow(browser: FlaskClient, link: str, **headers: str):
    parts = urlsplit(link)
    return browser.get(f"{parts.path}?{parts.query}", headers=headers)


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/").status_code == 200


# Links


def test_a_link_signs_in_once_and_the_token_is_gone_from_the_address(browser, make_browser, link):
    address = link()
    response = follow(browser, address)
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert is_signed_in(browser)
    again = make_browser()
    assert follow(again, address).status_code == 401
    assert not is_signed_in(again)


def test_a_link_is_valid_for_ten_minutes(make_browser, link, clock):
    early, late = link(), link()
    clock.advance(599)
    assert follow(make_browser(), early).status_code == 303
    clock.advance(1)
    assert follow(make_browser(), late).status_code == 401


def test_the_file_has_neither_the_token_of_a_link_nor_that_of_a_session(browser, link, tmp_path, services):
    address = link()
    token = address.partition("token=")[2]
    assert re.fullmatch(r"phl_[A-Za-z0-9_-]{32}", token)
    (cookie,) = follow(browser, address).headers.getlist("Set-Cookie")
    session = cookie.partition(";")[0].rpartition(".")[2]
    link()
    services.close()
    for path in tmp_path.glob("phonify.db*"):
        assert token.encode() not in path.read_bytes()
        assert session.encode() not in path.read_bytes()


@pytest.mark.parametrize("token", ["", "nothing", "x" * 5_000, "phl_%00", "%ff"])
def test_a_wrong_token_does_not_sign_in(browser, token):
    assert browser.get(f"{SIGN_IN}?token={token}").status_code in (400, 401)
    assert not is_signed_in(browser)


def test_a_browser_that_loads_the_page_in_advance_does_not_use_the_link_up(browser, link):
    address = link()
    assert follow(browser, address, **{"Sec-Purpose": "prefetch;prerender"}).status_code == 503
    assert browser.head(urlsplit(address)._replace(scheme="", netloc="").geturl()).status_code == 503
    assert follow(browser, address).status_code == 303


def test_a_link_on_another_site_does_not_replace_a_session_and_is_not_used_up(browser, make_browser, link):
    sign_in(browser, KEY)
    address = link()
    assert "Set-Cookie" not in follow(browser, address, **{"Sec-Fetch-Site": "cross-site"}).headers
    assert follow(make_browser(), address).status_code == 303


def test_the_pages_of_a_session_without_a_key_work_and_show_no_key(browser, link, send):
    follow(browser, link())
    assert "Replace <code>KEY</code> with an API key." in browser.get("/").text
    message = send()
    assert "-u KEY:" in browser.get(f"/inbox/messages/{message['id']}").text
    assert "You signed in with a link" in browser.get("/inbox/settings").text
    assert browser.post("/docs/key", headers={"Sec-Fetch-Site": "same-origin"}).json == {"api_key": None}


def test_open_prints_a_link_and_opens_it(make_app, listen, opened):
    app = make_app(PORT=str(listen(make_app())))
    result = app.test_cli_runner().invoke(args=["open"])
    assert result.exit_code == 0, result.output
    address = result.output.strip()
    assert address.startswith(f"http://127.0.0.1:{app.extensions['phonify'].settings.port}/inbox/sign-in?token=phl_")
    assert follow(FlaskClient(app, app.response_class), address).status_code == 303
    assert opened.read_text().strip() == address


def test_open_says_that_no_server_answers_and_makes_no_link(make_app, execute, opened, tmp_path):
    port = find_free_port()
    result = make_app(PORT=str(port)).test_cli_runner().invoke(args=["open"])
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first.startswith(f"Error: no server answers at http://127.0.0.1:{port}; start one with: PHONIFY_DATABASE=")
    assert first.endswith("python -m phonify serve")
    assert second == "If your server has another address, use --url."
    assert execute("SELECT count(*) FROM sign_in_links") == [(0,)]
    assert not opened.exists()


def test_open_does_not_give_a_link_to_another_program(make_app, listen, execute, opened):
    port = listen(Flask("another"))
    result = make_app(PORT=str(port)).test_cli_runner().invoke(args=["open"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: the server at http://127.0.0.1:{port} is not Phonify. Set PHONIFY_PORT, or use --url.\n"
    )
    assert execute("SELECT count(*) FROM sign_in_links") == [(0,)]
    assert not opened.exists()


def test_open_may_be_for_another_server_and_account(run, browser):
    run("accounts", "create", "shop")
    address = run("open", "--account", "shop", "--url", "https://sms.example.com/").strip()
    assert address.startswith("https://sms.example.com/inbox/sign-in?token=")
    follow(browser, address)
    assert "of the account shop" in browser.get("/inbox/settings").text


# The end of sessions


def test_a_session_of_a_link_ends_after_30_days(browser, link, clock):
    follow(browser, link())
    clock.advance(30 * DAY - 1)
    assert is_signed_in(browser)
    clock.advance(1)
    assert not is_signed_in(browser)


def test_a_session_of_a_link_does_not_end_with_a_key(browser, link, run):
    follow(browser, link())
    run("keys", "revoke", "1")
    assert is_signed_in(browser)


def test_a_session_of_a_key_ends_when_the_key_is_revoked(browser, run):
    sign_in(browser, KEY)
    assert is_signed_in(browser)
    run("keys", "revoke", "1")
    assert not is_signed_in(browser)
    assert len(run("sessions", "list").splitlines()) == 1


def test_sessions_are_listed_and_ended(browser, make_browser, link, run):
    follow(browser, link())
    other = make_browser()
    sign_in(other, KEY)
    assert [line.rstrip() for line in run("sessions", "list").splitlines()] == [
        "ID  ACCOUNT  OPENED BY  CREATED                   EXPIRES",
        "1   default  link       2026-01-31T09:30:00.000Z  2026-03-02T09:30:00.000Z",
        "2   default  key 1      2026-01-31T09:30:00.000Z  2026-03-02T09:30:00.000Z",
    ]
    assert run("sessions", "end", "1") == "Session 1 has ended.\n"
    assert not is_signed_in(browser)
    assert is_signed_in(other)
    assert run("sessions", "end", "2") == "Session 2 has ended.\n"
    assert not is_signed_in(other)
    assert run("sessions", "end", "2", status=1) == "Error: no session has the id 2; see `sessions list`\n"


def test_sessions_are_listed_as_json_of_one_account(browser, make_browser, link, run, make_key):
    follow(browser, link())
    sign_in(make_browser(), make_key("other"))
    (session,) = map(json.loads, run("sessions", "list", "--account", "other", "--json").splitlines())
    assert (session["id"], session["account"], session["key_id"]) == (2, "other", 2)


def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(browser, make_browser):
    sign_in(browser, KEY)
    copy = make_browser()
    copy.set_cookie("phonify_key_default", browser.get_cookie("phonify_key_default").value)
    assert is_signed_in(copy)
    browser.post("/inbox/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
    assert not is_signed_in(copy)


def test_sessions_and_links_that_are_too_old_are_removed_from_the_file(browser, link, clock, services, execute):
    follow(browser, link())
    link()
    clock.advance(30 * DAY)
    services.clean()
    assert execute("SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM sign_in_links)") == [(0, 0)]


# The start


@pytest.mark.slow
def test_a_start_without_a_terminal_prints_no_link_for_a_browser(start):
    server = start()
    server.wait_for("Make another key with")
    assert "token=" not in server.output


def test_each_start_on_a_terminal_prints_a_link_that_signs_in(tmp_path):
    links = []
    for _ in range(2):
        with on_terminal(tmp_path) as terminal:
            links.append(
                terminal.wait_for(r"works only once, and only for ten minutes:\s+(http://\S+token=phl_\S+)\s")[1]
            )
            jar = urllib.request.HTTPCookieProcessor()
            with urllib.request.build_opener(jar).open(links[-1]) as response:
                assert (response.status, urlsplit(response.url).path) == (200, "/")
    assert links[0] != links[1]


@pytest.mark.slow
def test_serve_opens_the_inbox_with_a_link_of_its_own(start, opened, tmp_path):
    server = start("-m", "phonify", "serve", "--open", cwd=tmp_path)
    assert server.port
    while not opened.exists():
        assert server.popen.poll() is None
    address = opened.read_text().strip()
    assert address.startswith(f"http://127.0.0.1:{server.port}/inbox/sign-in?token=phl_")
    assert "phl_" not in server.output
