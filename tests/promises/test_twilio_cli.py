"""The commands of the Twilio-compatible API, and what the start prints about it."""

import json
import re

import pytest

from tests.support.twilio import AC, MG, TOKEN, TwilioApi

ACCOUNT = {
    "account_sid": AC,
    "account_id": 1,
    "auth_token": TOKEN,
    "inbound_url": None,
    "inbound_method": "POST",
    "fallback_url": None,
    "fallback_method": "POST",
}


@pytest.fixture
def app(make_app):
    return make_app(TWILIO_AUTH_TOKEN=TOKEN)


@pytest.fixture
def run(runner):
    """Return a function that runs a command; it must end as expected, and never with a traceback."""

    def run(*arguments: str, status: int = 0) -> str:
        result = runner.invoke(args=["twilio", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == status, result.output
        return str(result.output)

    return run


@pytest.fixture
def show(run):
    return lambda *arguments: json.loads(run(*arguments, "--json"))


def test_show_prints_credentials_and_urls(run, show):
    assert [line.split() for line in run("show").splitlines()] == [
        ["ACCOUNT", "SID", "AUTH", "TOKEN", "INBOUND", "FALLBACK"],
        [AC, TOKEN, "-", "-"],
    ]
    assert show("show") == ACCOUNT


def test_set_inbound_sets_all_of_it_and_remove_inbound_removes_it(run, show):
    options = ["--method", "get", "--fallback-url", "https://example.com/2", "--fallback-method", "GET"]
    expected = {
        **ACCOUNT,
        "inbound_url": "https://example.com/1#rc=2",
        "inbound_method": "GET",
        "fallback_url": "https://example.com/2",
        "fallback_method": "GET",
    }
    assert show("set-inbound", "https://example.com/1#rc=2", *options) == expected
    assert show("show") == expected
    assert "GET https://example.com/1#rc=2  GET https://example.com/2" in run("show")
    assert show("set-inbound", "https://example.com/3") == {**ACCOUNT, "inbound_url": "https://example.com/3"}
    assert show("remove-inbound") == ACCOUNT
    assert show("remove-inbound") == ACCOUNT


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("hook",), "URL"),
        (("http://169.254.169.254/",), "URL"),
        (("https://example.com/", "--fallback-url", "ftp://example.com"), "--fallback-url"),
        (("https://example.com/", "--method", "PUT"), "--method"),
        ((), "URL"),
    ],
)
def test_what_can_not_be_set_is_a_usage_error(run, show, arguments, hint):
    assert hint in run("set-inbound", *arguments, status=2)
    assert show("show") == ACCOUNT


def test_rotate_makes_a_new_token_and_keeps_the_urls(show, run, app, make_app):
    run("set-inbound", "https://example.com/")
    runner = make_app().test_cli_runner()  # without PHONIFY_TWILIO_AUTH_TOKEN
    rotated = json.loads(runner.invoke(args=["twilio", "rotate", "--json"]).stdout)
    assert re.fullmatch("[0-9a-f]{32}", rotated["auth_token"])
    assert rotated == {**ACCOUNT, "inbound_url": "https://example.com/", "auth_token": rotated["auth_token"]}
    assert rotated["auth_token"] != TOKEN
    assert TwilioApi(app, AC, rotated["auth_token"]).fetch_token() == rotated["auth_token"]


def test_a_token_that_a_setting_sets_is_not_rotated(run, show, runner):
    expected = "Error: the token is set by PHONIFY_TWILIO_AUTH_TOKEN; change this variable instead\n"
    assert run("rotate", status=1) == expected
    assert show("show") == ACCOUNT
    runner.invoke(args=["accounts", "create", "shop"])
    first = show("show", "--account", "shop")["auth_token"]
    assert show("rotate", "--account", "shop")["auth_token"] != first


def test_another_account_gets_its_token_when_it_is_first_asked_for(run, show, runner):
    runner.invoke(args=["accounts", "create", "shop"])
    shown = show("show", "--account", "shop")
    assert (shown["account_sid"], shown["account_id"]) == (f"AC{2:032x}", 2)
    assert re.fullmatch("[0-9a-f]{32}", shown["auth_token"])
    assert show("show", "--account", "shop") == shown
    assert show("show") == ACCOUNT


def test_an_account_that_is_not_there_is_an_error(run):
    for command in (("show",), ("rotate",), ("set-inbound", "https://example.com/"), ("remove-inbound",)):
        assert "nobody" in run(*command, "--account", "nobody", status=2)


@pytest.mark.slow
def test_the_first_start_prints_the_credentials_and_the_token_is_in_no_log(start):
    server = start(API_KEY=None)
    found = server.wait_for(rf"account SID {AC}, auth token ([0-9a-f]{{32}})")
    assert server.port
    assert server.output.count(found[1]) == 1


@pytest.mark.slow
def test_a_token_that_was_set_is_used_and_a_bad_one_is_refused_without_being_shown(start):
    bad = start(TWILIO_AUTH_TOKEN="not a token")
    assert bad.popen.wait(20) == 2
    assert "PHONIFY_TWILIO_AUTH_TOKEN: must be 1 to 64 printable ASCII characters without spaces" in bad.output
    assert "not a token" not in bad.output


def test_the_setting_accepts_every_token_that_requests_accept(make_app):
    token = "a-token-of-the-app"
    shown = TwilioApi(make_app(TWILIO_AUTH_TOKEN=token), AC, token).fetch_token()
    assert shown == token


def test_explain_shows_when_a_message_was_cancelled(operator, twilio, clock):
    scheduled = {"MessagingServiceSid": MG, "ScheduleType": "fixed", "SendAt": "2026-01-31T10:00:00Z"}
    sent = twilio.create(**scheduled)
    clock.advance(60)
    twilio.call("POST", sent["uri"], {"Status": "canceled"})
    *_, cancelled, planned = operator.run("explain", sent["sid"]).splitlines()
    assert cancelled.split() == ["2026-01-31T09:31:00.000Z", "Cancelled"]
    assert planned == "2026-01-31T10:00:00.000Z    It was scheduled for this time"


def test_explain_takes_the_sid_of_a_message(operator, twilio):
    sent = twilio.create()
    assert "Accepted" in operator.run("explain", sent["sid"])
