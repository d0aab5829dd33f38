"""Tests of the clock of a sandbox: who may change it, and what an advance does. The machine's clock stands still."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.domain.standard_webhooks import sign
from phonify.gateways import GATEWAYS
from tests.support.app import ApiClient, FakeClock, faults_of
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator
from tests.support.receivers import Receiver, status

PHONE, OTHER = "+14560000000", "+14560000001"
FAILS_TWICE, TAKES_FIVE_SECONDS, NEVER_CONFIRMED, UNDELIVERED = (
    "+15005550010",
    "+15005550011",
    "+15005550012",
    "+15005550013",
)
NOW, TOMORROW = "2026-01-31T09:30:00.000Z", "2026-02-01T09:30:00.000Z"
REAL = {"now": NOW, "machine_now": NOW, "frozen": False, "changed": False}

Advance = Callable[..., dict[str, Any]]


@pytest.fixture
def advance(client: FlaskClient) -> Advance:
    """Return a function that advances the clock, and returns what was done. Counts of 0 are left out."""

    def advance(by: str = "0s", **arguments: str) -> dict[str, Any]:
        response = client.post("/sandbox/clock/advance", json=arguments or {"by": by})
        assert response.status_code == 200, response.get_json()
        shown = response.get_json()["advance"]
        assert shown["finished"]
        assert shown["ended_at"] == shown["target"] == response.get_json()["clock"]["now"]
        return {name: count for name, count in shown["ended"].items() if count}

    return advance


def show(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/sandbox/clock")
    assert response.status_code == 200
    clock: dict[str, Any] = response.get_json()["clock"]
    return clock


def get(client: FlaskClient, message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/messages/{message['id']}").get_json()["message"]
    return found


def events(receiver: Receiver) -> list[tuple[str, str, str]]:
    """The type, the time and the recipient of each event that has arrived."""
    bodies = [json.loads(received.body) for received in receiver.received]
    return [(body["type"], body["timestamp"], body["data"]["message"]["to"]) for body in bodies]


# Who may change it


def test_a_clock_that_nobody_has_changed_shows_the_real_time(client: FlaskClient, clock: FakeClock) -> None:
    assert show(client) == REAL
    clock.advance(1)
    assert show(client)["now"] == show(client)["machine_now"] == "2026-01-31T09:30:01.000Z"


CHANGES = [
    ("POST", "/sandbox/clock/freeze"),
    ("POST", "/sandbox/clock/run"),
    ("POST", "/sandbox/clock/advance?by=24h"),
    ("DELETE", "/sandbox/clock"),
    ("DESTROY", "/sandbox/clock"),
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_other_accounts_and_test_runs_may_read_the_clock_but_not_change_it(
    client: FlaskClient, stranger: FlaskClient, app: Flask, method: str, path: str
) -> None:
    run = app.test_client()
    run.key = client.post("/sandbox/runs").get_json()["run"]["api_key"]
    for other in (stranger, run):
        refused = other.open(path, method=method)
        assert (refused.status_code, faults_of(refused)) == (402, [("clock_not_permitted", None)])
        assert show(other) == REAL


@pytest.mark.parametrize(("method", "path"), [("GET", "/sandbox/clock"), *CHANGES])
def test_the_clock_needs_a_key(anonymous: FlaskClient, method: str, path: str) -> None:
    assert anonymous.open(path, method=method).status_code == 401


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_server_that_releases_messages_to_phones_has_the_real_time(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setitem(GATEWAYS, "gateway", OnceGateway)
    client = make_app(RELEASE_GATEWAY="gateway", ONLY_TO=PHONE).test_client()
    refused = client.open(path, method=method)
    assert (refused.status_code, faults_of(refused)) == (402, [("clock_not_changeable", None)])
    assert show(client) == REAL


def test_a_gateway_that_really_sends_has_no_clock_to_change(make_app: Callable[..., Flask]) -> None:
    client = make_app(OnceGateway()).test_client()
    assert client.get("/sandbox/clock").status_code == 404
    assert client.post("/sandbox/clock/freeze").status_code == 404


# Freeze, run on, reset


def test_a_frozen_clock_stands_still_until_it_runs_on(
    client: FlaskClient, clock: FakeClock, send: Callable[..., Any]
) -> None:
    frozen = client.post("/sandbox/clock/freeze").get_json()["clock"]
    assert frozen == {**REAL, "frozen": True, "changed": True}
    clock.advance(3_600)
    assert show(client) == {**frozen, "machine_now": "2026-01-31T10:30:00.000Z"}
    assert send()["created_at"] == NOW
    assert client.post("/sandbox/clock/run").get_json()["clock"]["now"] == NOW
    clock.advance(60)
    assert send()["created_at"] == show(client)["now"] == "2026-01-31T09:31:00.000Z"


def test_a_reset_sets_the_clock_to_the_real_time(client: FlaskClient, advance: Advance) -> None:
    advance("24h")
    assert show(client) == {"now": TOMORROW, "machine_now": NOW, "frozen": False, "changed": True}
    assert client.delete("/sandbox/clock").get_json()["clock"] == show(client) == REAL


def test_a_clock_that_runs_goes_on_running_after_an_advance_and_a_frozen_one_stays_frozen(
    client: FlaskClient, advance: Advance, clock: FakeClock
) -> None:
    advance("24h")
    clock.advance(60)
    assert show(client)["now"] == "2026-02-01T09:31:00.000Z"
    client.post("/sandbox/clock/freeze")
    advance("24h")
    clock.advance(60)
    assert show(client)["now"] == "2026-02-02T09:31:00.000Z"


# Wrong requests


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, (400, "by_or_to", None)),
        ({"by": "1h", "to": TOMORROW}, (400, "by_or_to", None)),
        *(
            ({"by": wrong}, (400, "invalid_duration", "by"))
            for wrong in ("", "1y", "24", "-1h", "1h1d", "h", "1.5h", "1 h", 24, "1000000d", "1h\n", "٢h", True, None)
            if wrong is not None
        ),
        ({"to": "tomorrow"}, (400, "invalid_time", "to")),
        ({"to": "2026-01-31T09:29:59.999Z"}, (402, "clock_only_forward", None)),
        ({"to": "0001-01-01T00:00:00Z"}, (402, "clock_only_forward", None)),
        ({"by": "36501d"}, (402, "clock_too_far", None)),
        ({"by": "999999d"}, (402, "clock_too_far", None)),
        ({"to": "9999-12-31T23:59:59Z"}, (402, "clock_too_far", None)),
    ],
)
def test_a_wrong_advance_is_refused_and_changes_nothing(
    client: FlaskClient, arguments: dict[str, Any], fault: tuple[int, str, str | None]
) -> None:
    refused = client.post("/sandbox/clock/advance", json=arguments)
    assert (refused.status_code, *faults_of(refused)[0]) == fault
    assert show(client) == REAL


def test_while_the_clock_is_advanced_nobody_else_changes_it(
    client: FlaskClient, app: Flask, advance: Advance, operator: Operator, receiver: Receiver, send: Callable[..., Any]
) -> None:
    answers = []

    def act(*_: Any) -> None:
        other = app.test_client()
        answers.extend(other.open(path, method=method) for method, path in CHANGES)
        assert show(other)["frozen"]

    operator.set_webhook(receiver.url)
    send()
    receiver.act = act
    advance("1s")
    assert [response.status_code for response in answers[: len(CHANGES)]] == [409] * len(CHANGES)
    assert {faults_of(response)[0] for response in answers} == {("clock_is_advancing", None)}


# What an advance does


def test_a_scheduled_message_is_sent_at_its_time(
    client: FlaskClient, advance: Advance, send: Callable[..., Any]
) -> None:
    message = send(send_at="2026-01-31T12:00:00Z")
    assert advance("2h") == {}
    assert get(client, message)["state"] == "unconfirmed"
    assert advance(to="2026-01-31T12:00:00Z") == {"sent": 1}
    assert get(client, message)["state"] == "sent"


def test_an_advance_by_nothing_does_what_is_due_now(advance: Advance, send: Callable[..., Any]) -> None:
    send()
    assert advance("0s") == {"sent": 1}
    assert advance("0s") == {}


@pytest.mark.parametrize(("to", "seconds"), [(FAILS_TWICE, 4), (TAKES_FIVE_SECONDS, 5)])
def test_a_temporary_failure_is_repeated(advance: Advance, send: Callable[..., Any], to: str, seconds: int) -> None:
    send(to)
    assert advance("0s") == {}
    assert advance(f"{seconds}s") == {"sent": 1}


def test_a_validity_period_ends(client: FlaskClient, advance: Advance, send: Callable[..., Any]) -> None:
    message = send(NEVER_CONFIRMED)
    assert advance("23h59m59s") == {}
    assert advance("1s") == {"expired": 1}
    assert get(client, message)["errors"][0]["type"] == "validity_expired"


def test_a_message_whose_gateway_is_missing_fails_at_the_end_of_its_validity(
    make_app: Callable[..., Flask], execute: Callable[..., list[tuple[Any, ...]]]
) -> None:
    make_app(OnceGateway()).test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    answer = make_app().test_client().post("/sandbox/clock/advance", json={"by": "10d"}).get_json()["advance"]
    assert answer["ended"]["expired"] == 1
    assert execute("SELECT error_type, finished_at FROM messages") == [("validity_expired", TOMORROW)]


def test_a_receipt_of_the_stub_comes(client: FlaskClient, advance: Advance, send: Callable[..., Any]) -> None:
    message = send(UNDELIVERED, send_at="2026-01-31T12:00:00Z")
    assert advance("24h") == {"sent": 1, "receipts": 1}
    assert get(client, message)["receipt"] == {
        "status": "undelivered",
        "at": "2026-01-31T12:00:00.000Z",
        "code": "30003",
    }


def test_the_receipts_replies_and_delays_of_rules_come_by_the_clock(
    client: FlaskClient, advance: Advance, send: Callable[..., Any]
) -> None:
    for arguments in (
        {"to": PHONE, "outcome": "delivered", "seconds": 3_600},
        {"to": OTHER, "outcome": "reply", "reply": "Yes", "seconds": 7_200},
        {"to": FAILS_TWICE, "outcome": "delayed", "seconds": 10_800},
    ):
        assert client.post("/sandbox/rules", json=arguments).status_code == 201
    messages = [send(to) for to in (PHONE, OTHER, FAILS_TWICE)]
    assert advance("59m") == {"sent": 2}
    assert "receipt" not in get(client, messages[0])
    assert advance("1m") == {"receipts": 1}
    assert get(client, messages[0])["receipt"]["at"] == "2026-01-31T10:30:00.000Z"
    assert advance("3h") == {"received": 1, "sent": 1}
    latest = client.get("/v1/messages").get_json()["messages"][0]
    assert (latest["body"], latest["created_at"]) == ("Yes", "2026-01-31T11:30:00.000Z")


def test_an_advance_that_brings_only_receipts_says_so(
    client: FlaskClient, send: Callable[..., Any], deliver: Callable[[], int]
) -> None:
    client.post("/sandbox/rules", json={"outcome": "undelivered", "seconds": 600})
    send()
    deliver()
    advanced = client.post("/sandbox/clock/advance", json={"by": "1h"}).get_json()["advance"]
    assert (advanced["summary"], advanced["ended"]["receipts"]) == ("1 h: 1 receipts", 1)


def test_a_receipt_is_counted_after_all_former_receipts_were_removed(
    advance: Advance, send: Callable[..., Any], execute: Callable[..., list[tuple[Any, ...]]]
) -> None:
    send(UNDELIVERED)
    assert advance() == {"sent": 1, "receipts": 1}
    assert advance() == {}
    send(UNDELIVERED, send_at="2026-03-31T12:00:00Z")
    assert advance("70d") == {"sent": 1, "receipts": 1}
    assert execute("SELECT count(*) FROM receipts") == [(1,)]


def test_an_event_is_repeated_for_a_day_and_then_given_up(
    client: FlaskClient, advance: Advance, operator: Operator, receiver: Receiver, send: Callable[..., Any]
) -> None:
    operator.set_webhook(receiver.url)
    receiver.act = status(500)
    send()
    assert advance("12h") == {"sent": 1}
    assert 1 < len(receiver.received) < 12
    assert advance("24h") == {"failed_webhooks": 1}
    assert len(receiver.received) == 12


def test_an_event_is_accepted_after_some_tries(
    advance: Advance, operator: Operator, receiver: Receiver, send: Callable[..., Any]
) -> None:
    operator.set_webhook(receiver.url)
    receiver.act = status(500)
    send()
    advance("10s")
    receiver.act = status(204)
    assert advance("1h") == {"webhooks": 1}


def test_a_new_day_has_a_new_quota(client: FlaskClient, advance: Advance, operator: Operator) -> None:
    operator.set_limits(quota=1)

    def send() -> int:
        return client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code

    assert [send(), send()] == [201, 402]
    advance("14h29m59s")
    assert send() == 402
    advance("1s")
    assert [send(), send()] == [201, 402]


def test_a_new_minute_has_a_new_rate_limit_and_the_clock_itself_does_not_count(
    client: FlaskClient, advance: Advance, operator: Operator
) -> None:
    operator.set_limits(rate=1)
    client.post("/sandbox/clock/freeze")
    assert [client.get("/v1/messages").status_code for _ in range(2)] == [200, 429]
    advance("1m")
    assert [client.get("/v1/messages").status_code for _ in range(2)] == [200, 429]


def test_old_messages_are_removed(make_app: Callable[..., Flask], clock: FakeClock) -> None:
    client = make_app(RETAIN_DAYS=30).test_client()
    client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    days = [client.post("/sandbox/clock/advance", json={"by": by}).get_json()["advance"] for by in ("29d", "25h", "1h")]
    assert [day["ended"]["removed"] for day in days] == [0, 1, 0]
    assert [day["summary"] for day in days] == ["29 d: 1 sent", "25 h: 1 removed", "1 h: nothing was due"]
    assert client.get("/v1/messages").get_json() == {"messages": []}


def test_an_idempotency_key_is_forgotten_after_a_day(client: FlaskClient, advance: Advance) -> None:
    def send(body: str) -> int:
        arguments = {"to": PHONE, "body": body}
        return client.post("/v1/messages", json=arguments, headers={"Idempotency-Key": "1"}).status_code

    assert [send("one"), send("two")] == [201, 409]
    advance("24h")
    assert send("two") == 201


def test_everything_happens_in_the_order_of_real_life(
    client: FlaskClient, advance: Advance, operator: Operator, receiver: Receiver, send: Callable[..., Any]
) -> None:
    operator.set_webhook(receiver.url)
    send(NEVER_CONFIRMED)  # ends after a day
    send(PHONE, send_at="2026-01-31T21:30:00Z")
    send(OTHER, send_at="2026-02-10T00:00:00Z")
    send(FAILS_TWICE, send_at="2026-01-31T21:29:59Z")
    send(TAKES_FIVE_SECONDS, send_at="2026-12-31T23:59:58Z")
    assert advance("365d") == {"sent": 4, "expired": 1, "webhooks": 5}
    times = [(type_, at[:19], to) for type_, at, to in events(receiver)]
    assert times[0] == ("message.sent", "2026-01-31T21:30:00", PHONE)
    assert (times[1][0], times[1][2]) == ("message.sent", FAILS_TWICE)
    assert times[2:] == [
        ("message.error", "2026-02-01T09:30:00", NEVER_CONFIRMED),
        ("message.sent", "2026-02-10T00:00:00", OTHER),
        ("message.sent", "2027-01-01T00:00:03", TAKES_FIVE_SECONDS),
    ]
    messages = client.get("/v1/messages").get_json()["messages"]
    assert {message["state"] for message in messages} == {"sent", "error"}


def test_what_the_app_sends_when_it_gets_an_event_is_done_too(
    client: FlaskClient, app: Flask, advance: Advance, operator: Operator, receiver: Receiver, send: Callable[..., Any]
) -> None:
    """The app reminds a customer two hours after each text, three times."""

    def act(*given: Any) -> None:
        event = json.loads(given[1].body)
        if len(receiver.received) <= 3:
            at = f"{datetime.fromisoformat(event['timestamp']).hour + 2}:00:00Z"
            app.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello", "send_at": f"2026-01-31T{at}"})
        status(204)(*given)

    operator.set_webhook(receiver.url)
    receiver.act = act
    send(send_at="2026-01-31T10:00:00Z")
    assert advance("24h") == {"sent": 4, "webhooks": 4}
    assert [at[11:16] for _, at, _ in events(receiver)] == ["10:00", "12:00", "14:00", "16:00"]


def test_the_answer_says_what_was_done_in_a_sentence(client: FlaskClient, send: Callable[..., Any]) -> None:
    for to in (PHONE, OTHER, PHONE):
        send(to)
    send(NEVER_CONFIRMED)
    answers = [
        client.post("/sandbox/clock/advance", data={"by": by}).get_json()["advance"]["summary"]
        for by in ("24h", "48h", "49h", "365d", "90s", "0s")
    ]
    nothing = "nothing was due"
    assert answers == [
        "24 h: 3 sent, 1 expired",
        *(f"{duration}: {nothing}" for duration in ("48 h", "2 d 1 h", "365 d", "1 min 30 s", "0 s")),
    ]


# What stays on the machine's clock


def test_a_signature_has_the_real_time_and_the_event_has_the_time_of_the_clock(
    advance: Advance, operator: Operator, receiver: Receiver, clock: FakeClock, send: Callable[..., Any]
) -> None:
    secret = operator.set_webhook(receiver.url)
    send(send_at=TOMORROW)
    advance("365d")
    (received,) = receiver.received
    timestamp = int(received.headers["webhook-timestamp"])
    assert timestamp == clock.moment.timestamp()
    signature = sign(
        secret, delivery_id=received.headers["webhook-id"], timestamp=timestamp, payload=received.body.decode()
    )
    assert received.headers["webhook-signature"] == signature
    assert json.loads(received.body)["timestamp"] == TOMORROW


def test_a_test_run_and_its_key_do_not_end_with_an_advance(
    client: ApiClient, app: Flask, advance: Advance, clock: FakeClock
) -> None:
    run = client.post("/sandbox/runs", json={"ttl": 60}).get_json()["run"]
    assert run["expires_at"] == "2026-01-31T09:31:00.000Z"
    advance("365d")
    browser = app.test_client()
    browser.key = run["api_key"]
    assert browser.get("/v1/messages").status_code == 200
    clock.advance(60)
    assert browser.get("/v1/messages").status_code == 401


# Restarts and other gateways


def test_the_clock_is_the_same_after_a_restart_and_in_each_process(
    make_app: Callable[..., Flask], client: FlaskClient
) -> None:
    client.post("/sandbox/clock/freeze")
    client.post("/sandbox/clock/advance", json={"by": "24h"})
    other = make_app().test_client()
    assert show(other) == show(client) == {"now": TOMORROW, "machine_now": NOW, "frozen": True, "changed": True}
    other.delete("/sandbox/clock")
    assert show(client) == REAL


def test_readiness_warns_that_the_clock_is_not_the_real_one(client: FlaskClient) -> None:
    assert client.get("/readyz").get_json() == {"status": "ok"}
    client.post("/sandbox/clock/advance", json={"by": "24h"})
    warning = f"the clock does not show the real time: it shows {TOMORROW}"
    assert client.get("/readyz").get_json() == {"status": "ok", "warnings": [warning]}
    client.post("/sandbox/clock/freeze")
    warning = f"the clock does not show the real time: it stands still at {TOMORROW}"
    assert client.get("/readyz").get_json() == {"status": "ok", "warnings": [warning]}


# Commands


def test_the_commands_do_the_same(operator: Operator, client: FlaskClient, send: Callable[..., Any]) -> None:
    assert operator.run("clock", "show") == f"The clock shows the real time, {NOW}.\n"
    assert operator.run("clock", "freeze") == f"The clock stands still at {NOW}. The real time is {NOW}.\n"
    send()
    said = f"The clock stands still at {TOMORROW}. The real time is {NOW}.\n"
    assert operator.run("clock", "advance", "24h") == f"24 h: 1 sent\n{said}"
    assert operator.run("clock", "advance", "--to", TOMORROW) == f"0 s: nothing was due\n{said}"
    assert operator.run("clock", "run") == f"The clock runs, and shows {TOMORROW}. The real time is {NOW}.\n"
    assert operator.show("clock", "show") == [show(client)]
    (done,) = operator.show("clock", "advance", "1m")
    assert (done["now"], done["advance"]["summary"]) == ("2026-02-01T09:31:00.000Z", "1 min: nothing was due")
    assert operator.run("clock", "reset") == f"The clock shows the real time, {NOW}.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["advance"], 2, "Give DURATION or --to, but not both."),
        (["advance", "1h", "--to", TOMORROW], 2, "Give DURATION or --to, but not both."),
        (["advance", "1y"], 2, "Not a valid duration."),
        (["advance", "--to", "noon"], 2, "Not a valid time."),
        (["advance", "--to", "2020-01-01T00:00Z"], 1, "The given time is earlier than the current time of the clock."),
        (["advance", "99999d"], 1, "The clock can be at most 100 years ahead of the real time."),
    ],
)
def test_a_wrong_command_fails_with_one_line(runner: Any, arguments: list[str], code: int, said: str) -> None:
    result = runner.invoke(args=["clock", *arguments])
    assert (result.exit_code, said in result.stderr) == (code, True)
    assert "Traceback" not in result.output


def test_the_commands_do_not_change_the_clock_of_a_server_that_sends_messages_to_phones(
    make_app: Callable[..., Flask],
) -> None:
    runner = make_app(OnceGateway()).test_cli_runner()
    assert runner.invoke(args=["clock", "show"]).exit_code == 0
    said = "Error: This server sends messages to phones, so its clock can't be changed."
    for arguments in (["freeze"], ["run"], ["reset"], ["advance", "1h"]):
        result = runner.invoke(args=["clock", *arguments])
        assert (result.exit_code, result.stderr.startswith(said)) == (1, True)
