"""Tests of the commands for subscriptions, keywords and limits."""

import json

import pytest

PHONE = "+14560000000"


@pytest.fixture
def run(runner):
    """Return a function that runs a command. The command must end as expected, and without a traceback."""

    def run(*arguments: str, status: int = 0):
        result = runner.invoke(args=arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def show(run):
    """Return a function that runs a command with --json and returns the objects that it prints."""

    def show(*arguments: str, status: int = 0):
        return [json.loads(line) for line in run(*arguments, "--json", status=status).stdout.splitlines()]

    return show


def lines(result):
    return [line.rstrip() for line in result.stdout.splitlines()]


# subscriptions


def test_a_subscription_is_shown(run, show):
    assert lines(run("subscriptions", "show", PHONE)) == [
        "PHONE         SUBSCRIBED  SINCE  BY",
        "+14560000000  yes         -      -",
    ]
    assert show("subscriptions", "show", PHONE) == [
        {
            "number": PHONE,
            "country": "US",
            "carrier": None,
            "subscribed": True,
            "changed_at": None,
            "reason": None,
        }
    ]


def test_a_phone_is_opted_out_and_in_again(run, client, clock):
    assert lines(run("subscriptions", "opt-out", PHONE))[1] == (
        "+14560000000  no          2026-01-31T09:30:00.000Z  command"
    )
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 402
    clock.advance(60)
    assert lines(run("subscriptions", "opt-in", PHONE))[1] == (
        "+14560000000  yes         2026-01-31T09:31:00.000Z  command"
    )
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 201


def test_subscriptions_are_listed_by_page(run, show, send):
    send("+14560000001")
    send("+14560000002")
    run("subscriptions", "opt-out", "+14560000009")
    assert [one["number"][-1] for one in show("subscriptions", "list")] == ["2", "1", "9"]
    assert [one["number"][-1] for one in show("subscriptions", "list", "-n", "1", "--offset", "1")] == ["1"]


def test_an_empty_list_is_a_heading_for_people_and_nothing_for_scripts(run, show):
    assert lines(run("subscriptions", "list")) == ["PHONE  SUBSCRIBED  SINCE  BY"]
    assert show("subscriptions", "list") == []


@pytest.mark.parametrize("command", ["show", "opt-out", "opt-in"])
def test_what_is_no_number_is_a_wrong_argument(run, command):
    result = run("subscriptions", command, "12345", status=2)
    assert "Invalid value for 'MSISDN': '12345' is not a valid E.164 number" in result.stderr


def test_each_account_has_its_own(run, show):
    run("accounts", "create", "shop")
    run("subscriptions", "opt-out", PHONE, "--account", "shop")
    assert show("subscriptions", "list") == []
    assert [one["subscribed"] for one in show("subscriptions", "list", "--account", "shop")] == [False]


@pytest.mark.parametrize(
    "command",
    [
        ("subscriptions", "list"),
        ("subscriptions", "show", PHONE),
        ("subscriptions", "opt-out", PHONE),
        ("subscriptions", "opt-in", PHONE),
        ("keywords", "show"),
        ("keywords", "set"),
    ],
)
def test_an_account_that_is_not_there_is_a_wrong_argument(run, command):
    assert "unknown account 'x'" in run(*command, "--account", "x", status=2).stderr


# keywords


def test_at_first_there_are_the_usual_keywords_and_no_replies(run, show):
    assert lines(run("keywords", "show")) == [
        "TO       KEYWORDS                                                       REPLY",
        "opt out  STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, REVOKE, OPTOUT  -",
        "opt in   START, UNSTOP, YES                                             -",
        "help     HELP                                                           -",
    ]
    assert show("keywords", "show") == [
        {"stop_keywords": [], "stop_reply": None, "start_reply": None, "help_reply": None}
    ]


def test_what_is_set_is_kept_and_what_is_not_given_stays(run, show):
    run("keywords", "set", "--stop-keyword", "ENOUGH", "--stop-keyword", "NO MORE", "--stop-reply", "Bye")
    run("keywords", "set", "--help-reply", "Call us")
    assert show("keywords", "show") == [
        {"stop_keywords": ["ENOUGH", "NO MORE"], "stop_reply": "Bye", "start_reply": None, "help_reply": "Call us"}
    ]


def test_an_empty_text_removes(run, show):
    run("keywords", "set", "--stop-keyword", "ENOUGH", "--stop-reply", "Bye", "--start-reply", "Hi")
    assert show("keywords", "set", "--stop-keyword", "", "--stop-reply", "") == [
        {"stop_keywords": [], "stop_reply": None, "start_reply": "Hi", "help_reply": None}
    ]


def test_all_that_is_wrong_is_said_and_nothing_is_set(run, show):
    result = run(
        "keywords", "set", "--stop-keyword", "YES", "--stop-reply", "x" * 161, "--help-reply", "help", status=2
    )
    assert [line.split(":")[0] for line in result.stderr.splitlines()[-3:]] == [
        "Error",
        "--stop-reply",
        "--help-reply",
    ]
    assert "--stop-keyword: Not valid keywords" in result.stderr
    assert show("keywords", "show")[0]["help_reply"] is None


def test_a_server_that_runs_replies_at_once(run, client):
    run("keywords", "set", "--help-reply", "Call us")
    client.post("/sandbox/inbound", json={"from": PHONE, "to": "+15005550006", "body": "help"})
    assert client.get("/v1/messages?direction=outbound").get_json()["messages"][0]["body"] == "Call us"


# accounts limit


def test_without_options_limits_are_shown(run, show):
    assert lines(run("accounts", "limit", "default")) == [
        "NAME     QUOTA  USED TODAY  RATE",
        "default  -      0           -",
    ]
    (shown,) = show("accounts", "limit", "default")
    assert (shown["quota"], shown["quota_used"], shown["rate_limit"]) == (None, 0, None)


def test_limits_are_set_and_what_is_not_given_stays(run, show, send):
    run("accounts", "limit", "default", "--quota", "100")
    run("accounts", "limit", "default", "--rate", "60")
    send()
    assert lines(run("accounts", "limit", "default"))[1] == "default  100    1           60"
    assert [(one["quota"], one["rate_limit"]) for one in show("accounts", "list")] == [(100, 60)]
    assert lines(run("accounts", "list"))[1].split() == ["1", "default", "-", "100", "60", "2026-01-31T09:30:00.000Z"]


def test_none_takes_a_limit_away(run, show):
    run("accounts", "limit", "default", "--quota", "0", "--rate", "1")
    (shown,) = show("accounts", "limit", "default", "--quota", "none", "--rate", "none")
    assert (shown["quota"], shown["rate_limit"]) == (None, None)


@pytest.mark.parametrize(
    "option", ["--quota=-1", "--rate=0", "--quota=x", "--rate=2147483648", "--quota=1.5", "--rate="]
)
def test_what_is_no_limit_is_a_wrong_argument(run, show, option):
    run("accounts", "limit", "default", option, status=2)
    assert show("accounts", "limit", "default")[0]["quota"] is None


def test_a_limit_for_nobody_is_a_wrong_argument(run):
    assert "unknown account 'x'" in run("accounts", "limit", "x", "--quota", "1", status=2).stderr


def test_a_limit_holds_at_once_for_a_server_that_runs(run, client):
    assert client.get("/v1/messages").status_code == 200
    run("accounts", "limit", "default", "--rate", "1")
    assert [client.get("/v1/messages").status_code for _ in range(2)] == [200, 429]
