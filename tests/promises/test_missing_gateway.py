"""Tests of a change of PHONIFY_GATEWAY: what waits belongs to the former gateway until the operator moves it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways import GATEWAYS
from phonify.gateways.base import Doubt, Later, Refused
from tests.support.app import sign_in, start_and_stop
from tests.support.fake_gateway import FakeGateway, OnceGateway, act_as
from tests.support.http_providers import make_gateway, make_variables, read_query
from tests.support.receivers import Receiver, status

PHONE = "+14560000000"
TAKEN = status(202, body="0: Accepted for delivery")
WAIT = "3 messages wait for the gateway stub, which this server does not have"


class Former(OnceGateway):
    """A gateway that the server has no longer after the change."""

    name = "former"


class Strict(OnceGateway):
    """A gateway that refuses messages to one number before sending."""

    def check(self, to: str, origin: str, body: str) -> Refused | None:
        return Refused("unroutable_number") if to == PHONE else None


@pytest.fixture
def peer(receiver: Receiver) -> Receiver:
    """The provider of the new gateway."""
    receiver.act = TAKEN
    return receiver


@pytest.fixture
def change(make_app: Callable[..., Flask], peer: Receiver) -> Callable[..., Flask]:
    """Return a function that starts the server with another gateway, by default one that sends to the provider."""
    return lambda gateway=None: make_app(gateway or make_gateway(peer, PRESET="kannel"))


@pytest.fixture
def waiting(send, stranger: FlaskClient, runner) -> list[str]:
    """A message that an operator's pause holds, a scheduled one, and one of another account."""
    assert runner.invoke(args=["gateway", "pause"]).exit_code == 0
    held, scheduled = send(body="held"), send(body="scheduled", send_at="2026-01-31T09:31:00Z")
    other = stranger.post("/v1/messages", json={"to": PHONE, "body": "other"}).get_json()["message"]
    return [held["id"], scheduled["id"], other["id"]]


def run(app: Flask, *arguments: str, answer: str | None = None, exit_code: int = 0) -> Result:
    result = app.test_cli_runner().invoke(args=["gateway", *arguments], input=answer)
    assert result.exit_code == exit_code, result.output
    return result


def list_texts(peer: Receiver) -> list[str]:
    return [read_query(received)["text"] for received in peer.received]


def show(app: Flask, message_id: str) -> dict[str, Any]:
    """Return a message of the account `default`."""
    found: dict[str, Any] = app.test_client().get(f"/v1/messages/{message_id}").get_json()["message"]
    return found


def list_errors(app: Flask, message_id: str) -> list[str]:
    return [error["type"] for error in show(app, message_id).get("errors", [])]


def list_failures(receiver: Receiver) -> list[tuple[str, str]]:
    """Return the events that were posted to a webhook, each with its error type."""
    posted = [json.loads(one.body) for one in receiver.received]
    return [(one["type"], one["data"]["message"]["errors"][0]["type"]) for one in posted]


# What waits


def test_the_new_gateway_gets_nothing_that_was_accepted_for_the_stub(waiting, change, deliver, clock, peer) -> None:
    changed = change()
    clock.advance(3_600)
    assert deliver(changed) == 0
    assert peer.received == []
    changed.test_client().post("/v1/messages", json={"to": PHONE, "body": "new"})
    assert deliver(changed) == 1
    assert list_texts(peer) == ["new"]
    assert show(changed, waiting[0])["state"] == "unconfirmed"


def test_a_change_back_to_the_stub_hands_a_real_message_to_nobody(make_app, change, deliver, clock, peer) -> None:
    real = change()
    message = real.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"}).get_json()["message"]
    stub = make_app()
    assert deliver(stub) == 0
    assert show(stub, message["id"])["state"] == "unconfirmed"
    again = change()
    assert deliver(again) == 1
    assert list_texts(peer) == ["Hello"]


def test_the_operator_sees_what_waits_for_a_missing_gateway(waiting, change) -> None:
    changed = change()
    assert changed.test_client().get("/readyz").get_json() == {"status": "ok", "warnings": [WAIT]}
    assert WAIT in run(changed, "status").output
    assert [json.loads(line) for line in run(changed, "status", "--json").output.splitlines()][1:] == [
        {"gateway": "stub", "messages": 3, "condition": "missing", "summary": WAIT}
    ]
    browser = changed.test_client()
    sign_in(browser, browser.key)
    assert WAIT in browser.get("/inbox/settings").text


def test_the_settings_of_another_account_do_not_say_what_waits(waiting, change, stranger) -> None:
    browser = change().test_client()
    browser.key = stranger.key
    sign_in(browser, stranger.key)
    assert "which this server does not have" not in browser.get("/inbox/settings").text


def test_nothing_is_said_while_the_server_has_the_gateway(waiting, app) -> None:
    assert "which this server does not have" not in run(app, "status").output
    assert "which this server does not have" not in app.test_client().get("/readyz").text


def test_the_history_of_a_message_says_for_which_gateway_it_waits(waiting, change) -> None:
    changed = change()
    for message_id in waiting:
        explained = changed.test_cli_runner().invoke(args=["explain", message_id]).output
        assert "For the gateway stub\n" in explained
        assert re.search(r"Waiting for the gateway stub, which this server does not have( \(in 60 s\))?\n", explained)
    browser = changed.test_client()
    sign_in(browser, browser.key)
    page = browser.get(f"/inbox/messages/{waiting[1]}").text
    assert "Waiting for the gateway stub, which this server does not have" in page


def test_a_message_whose_gateway_is_missing_fails_at_the_end_of_its_validity(
    waiting, make_app, clock, operator, receiver, post_due
) -> None:
    operator.set_webhook(receiver.url)
    changed = make_app(FakeGateway(), WEBHOOK_PRIVATE=True)
    upkeep = changed.extensions["phonify"].make_upkeep()
    clock.advance(86_399)
    upkeep.step()
    assert show(changed, waiting[0])["state"] == "unconfirmed"
    clock.advance(62)
    upkeep.step()
    assert [list_errors(changed, id_) for id_ in waiting[:2]] == [["validity_expired"]] * 2
    post_due(changed)
    assert list_failures(receiver) == [("message.error", "validity_expired")] * 2


def test_the_list_of_messages_says_for_which_gateway_they_wait(waiting, app, change, runner) -> None:
    def list_lines(app: Flask) -> str:
        return app.test_cli_runner().invoke(args=["messages"]).output

    assert re.findall(r"(waits .*?)  .*held\n", list_lines(app)) == ["waits for the gateway stub, which is paused"]
    assert "scheduled for 2026-01-31T09:31:00.000Z" in list_lines(app)
    waits = "waits for the gateway stub, which this server does not have"
    assert re.findall(r"(waits .*?)  .*held\n", list_lines(change())) == [waits]
    assert runner.invoke(args=["gateway", "resume"]).exit_code == 0
    assert "waits" not in list_lines(app)


@pytest.mark.parametrize("command", [["messages"], ["send", PHONE, "Hello"]])
def test_a_command_tells_a_shell_without_the_variables_of_the_server_so(change, make_app, command) -> None:
    start_and_stop(change())
    assert (
        "Run the command with the variables of the server" in make_app().test_cli_runner().invoke(args=command).stderr
    )


# Moving


def test_moved_messages_are_sent_once_by_the_new_gateway(waiting, change, deliver, clock, peer) -> None:
    changed = change()
    moved = run(changed, "move-messages", "stub", "--yes")
    assert moved.output == "Moved to the gateway http: 3. Refused by it: 0. Left: 0.\n"
    assert deliver(changed) == 2
    clock.advance(61)
    assert deliver(changed) == 1
    clock.advance(3_600)
    assert deliver(changed) == 0
    assert sorted(list_texts(peer)) == ["held", "other", "scheduled"]
    assert show(changed, waiting[0])["state"] == "sent"
    assert changed.test_client().get("/readyz").get_json() == {"status": "ok"}
    again = run(changed, "move-messages", "stub", "--yes")
    assert again.output == "No messages wait for the gateway stub.\n"


def test_moving_asks_first_and_names_both_gateways(waiting, change, deliver, peer) -> None:
    changed = change()
    asked = run(changed, "move-messages", "stub", answer="n\n", exit_code=1).output
    assert f"{WAIT}. Move them to the gateway http, which sends to phones?" in asked
    assert deliver(changed) == 0
    assert WAIT in run(changed, "status").output


def test_a_shell_without_the_variables_of_the_server_is_told_before_it_moves_messages(
    change, make_app, deliver
) -> None:
    start_and_stop(change())
    real = change()
    real.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    deliver(real)
    real.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    asked = run(make_app(), "move-messages", "http", answer="n\n", exit_code=1).output
    assert "Run the command with the variables of the server" in asked
    assert "Move them to the gateway stub, which sends nothing to phones?" in asked


def test_the_messages_of_a_gateway_that_the_server_has_are_not_moved(app, waiting) -> None:
    assert "this server has the gateway 'stub'" in run(app, "move-messages", "stub", "--yes", exit_code=2).output


def test_what_the_new_gateway_refuses_ends_in_an_error_with_its_webhook(
    waiting, make_app, operator, receiver, post_due
) -> None:
    operator.set_webhook(receiver.url)
    changed = make_app(Strict(), WEBHOOK_PRIVATE=True)
    moved = run(changed, "move-messages", "stub", "--yes")
    assert moved.output == "Moved to the gateway gateway: 0. Refused by it: 3. Left: 0.\n"
    assert [list_errors(changed, id_) for id_ in waiting[:2]] == [["unroutable_number"]] * 2
    post_due(changed)
    assert list_failures(receiver) == [("message.error", "unroutable_number")] * 2


def test_only_to_holds_for_moved_messages(waiting, make_app, peer, monkeypatch) -> None:
    for name, value in make_variables(peer.url, PRESET="kannel").items():
        monkeypatch.setenv(name, value)
    changed = make_app(GATEWAY="http", ONLY_TO="+14560000009")
    assert "Refused by it: 3." in run(changed, "move-messages", "stub", "--yes").output
    assert list_errors(changed, waiting[0]) == ["recipient_not_permitted"]


@pytest.mark.parametrize(
    ("outcome", "repeatable", "moves"),
    [
        (Doubt(), False, False),
        (Later(unsure=True), True, False),
        (Later(unsure=True, pause=True), True, False),
        (Later(), True, True),
        (Later(pause=True), True, True),
    ],
)
def test_only_what_the_former_gateway_surely_has_not_taken_is_moved(
    make_app, change, deliver, clock, peer, outcome, repeatable: bool, moves: bool
) -> None:
    former = Former(act_as(outcome))
    former.repeatable = repeatable
    app = make_app(former)
    app.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    assert deliver(app) == 1
    changed = change()
    clock.advance(3_600)
    output = run(changed, "move-messages", "former", "--yes").stdout
    assert output.startswith(f"Moved to the gateway http: {int(moves)}. Refused by it: 0. Left: {int(not moves)}.\n")
    assert ("may already have received these messages" in output) is not moves
    deliver(changed)
    assert list_texts(peer) == ["Hello"] * moves


def test_what_was_being_sent_at_a_kill_is_not_moved_even_after_a_repetition_that_failed(
    make_app, change, deliver, execute
) -> None:
    former = Former()
    former.repeatable = True
    app = make_app(former)
    app.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    # As if a process had been killed while it sent the message.
    execute("UPDATE messages SET attempts = 1, submitted_at = created_at, submitted_to = 'former'")
    assert "Left: 1." in run(change(), "move-messages", "former", "--yes").output
    former.act = act_as(Later())
    assert deliver(app) == 1
    assert "Left: 1." in run(change(), "move-messages", "former", "--yes").output


def test_released_messages_of_a_former_release_gateway_are_moved_to_the_present_one(
    make_app, monkeypatch, send, deliver
) -> None:
    monkeypatch.setitem(GATEWAYS, "former", Former)
    monkeypatch.setitem(GATEWAYS, "gateway", OnceGateway)
    app = make_app(RELEASE_GATEWAY="former", ONLY_TO=PHONE)
    message = send(PHONE)
    deliver()
    released = app.test_client().post(f"/sandbox/messages/{message['id']}/release").get_json()["message"]
    changed = make_app(RELEASE_GATEWAY="gateway", ONLY_TO=PHONE)
    assert "Moved to the gateway gateway: 1." in run(changed, "move-messages", "former", "--yes").output
    services = changed.extensions["phonify"]
    assert services.make_message_loop(running=services.gateways["gateway"]).deliver_due() == 1
    assert show(changed, released["id"])["state"] == "sent"


# Files of earlier versions


def test_what_names_no_gateway_after_an_upgrade_goes_to_the_gateway_of_the_next_server(
    app, send, deliver, execute, caplog, make_app
) -> None:
    send()
    execute("UPDATE messages SET gateway = NULL")
    make_app(FakeGateway())  # a command with another environment
    assert run(app, "status").exit_code == 0
    assert deliver() == 0
    app.extensions["phonify"].make_upkeep().step()
    stored = "Messages without a gateway: 1. An earlier version stored these messages"
    assert f"{stored}. The gateway stub gets them now." in caplog.text
    assert deliver() == 1
