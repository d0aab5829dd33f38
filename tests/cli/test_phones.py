"""The command `phones forget`: the texts of a phone are removed from the whole file, and its opt-out stays."""

import json

import pytest

from phonify.gateways.events import Received
from tests.support.app import KEY

PHONE, OTHER, OWN = "+14560000000", "+14560000001", "+15005550006"


@pytest.fixture
def forget(runner):
    """Return a function that runs the command."""

    def forget(*arguments: str, status: int = 0):
        result = runner.invoke(args=["phones", "forget", *arguments])
        assert result.exit_code == status, result.output
        return result

    return forget


@pytest.fixture
def receive(client):
    """Return a function that lets a phone write."""

    def receive(sender: str, body: str) -> None:
        assert client.post("/sandbox/inbound", json={"from": sender, "to": OWN, "body": body}).status_code == 201

    return receive


def list_bodies(client) -> list[str]:
    return [message["body"] for message in client.get("/v1/messages").json["messages"]]


def test_all_texts_of_a_phone_are_removed_and_those_of_others_stay(send, receive, client, deliver, forget):
    send(PHONE, "Sent")
    send(OTHER, "To another phone")
    deliver()
    send(PHONE, "Scheduled", send_at="2026-02-01T09:30:00Z")
    receive(PHONE, "Received")
    assert forget(PHONE).stdout == f"{PHONE} is forgotten. Messages removed: 3.\n"
    assert list_bodies(client) == ["To another phone"]


def test_an_opt_out_stays(receive, send, client, forget):
    receive(PHONE, "STOP")
    assert forget(PHONE).stdout == f"{PHONE} is forgotten. Messages removed: 1. Its opt-out stays.\n"
    assert send(PHONE)["errors"][0]["type"] == "opted_out"


def test_the_number_and_its_texts_are_in_no_row_any_more(operator, client, send, receive, deliver, execute, forget):
    operator.set_webhook("http://127.0.0.1:9/hook")
    json_body = {"to": [PHONE, OTHER], "body": "Secret 482193"}
    client.post("/v1/messages", json=json_body, headers={"Idempotency-Key": "once"})
    receive(PHONE, "Secret 137731")
    deliver()
    client.delete("/sandbox/messages?limit=1")  # a text that was removed earlier has left its webhooks behind
    forget(PHONE)
    tables = [name for (name,) in execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    rows = [str(row) for table in tables for row in execute(f"SELECT * FROM {table}")]
    assert [row for row in rows if f"'{PHONE}'" in row or f'"{PHONE}"' in row or "137731" in row] == []


def test_refused_requests_are_forgotten_however_they_write_the_number(twilio, services, forget):
    same = ["+49 151 23456789", "0049 151 23456789", "4915123456789", "+49 (0)151 23456789", "whatsapp:+4915123456789"]
    for given in [*same, "0049 151 23456780", "nobody", ""]:
        twilio.refuse(To=given)
    forget("+4915123456789")
    account = services.keys.find_account(KEY)
    assert [one.to for one in services.fronts.list_refusals(account)] == ["", "nobody", "0049 151 23456780"]


def test_texts_from_a_gateway_are_removed_too_also_those_that_belong_to_no_account(services, execute, forget) -> None:
    running, event = services.gateways["stub"], Received(PHONE, "Secret 137731", "1", OWN)
    running.take([event, event._replace(event_id="2", to="+442071838750"), event._replace(event_id="3", sender=OTHER)])
    assert services.inbound.count_open() == 1
    assert forget(PHONE).stdout == f"{PHONE} is forgotten. Messages removed: 1.\n"
    assert services.inbound.count_open() == 0
    assert execute("SELECT event_id, sender, body FROM received_texts") == [("1", "", ""), ("3", OTHER, "")]
    running.take([event])  # the provider repeats it
    assert execute("SELECT origin_number FROM messages") == [(OTHER,)]


def test_a_text_from_a_gateway_that_another_account_has_keeps_its_sender(services, execute, forget) -> None:
    services.gateways["stub"].take([Received(PHONE, "Hello", "1", OWN)])
    execute("INSERT INTO accounts (name, created_at) VALUES ('shop', '')")
    forget(PHONE, "--account", "shop")
    assert execute("SELECT sender FROM received_texts") == [(PHONE,)]


def test_texts_of_other_accounts_stay(stranger, forget):
    stranger.post("/v1/messages", json={"to": PHONE, "body": "Of another account"})
    forget(PHONE)
    assert list_bodies(stranger) == ["Of another account"]
    forget(PHONE, "--account", "other")
    assert list_bodies(stranger) == []


def test_the_result_is_shown_as_json(send, forget):
    send(PHONE)
    assert json.loads(forget(PHONE, "--json").stdout) == {"phone": PHONE, "removed": 1, "subscribed": True}


def test_what_is_no_number_is_a_wrong_argument(forget):
    assert "Invalid value for 'MSISDN'" in forget("456", status=2).stderr


def test_a_message_that_is_with_the_gateway_vanishes_and_its_outcome_is_dropped(send, services, forget):
    send(PHONE)
    loop = services.make_message_loop()
    assert loop.step()  # the gateway has it
    forget(PHONE)
    loop.deliver_due()
    assert json.loads(forget(PHONE, "--json").stdout)["removed"] == 0
