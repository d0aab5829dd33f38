"""Tests that the gateway `http` is a correct gateway, with each preset and with a template of its own."""

import json
from collections.abc import Callable
from typing import ClassVar

import pytest

from phonify.clock import monotonic
from phonify.gateways.base import Doubt, Gateway, GatewayFault, Later, OutboundMessage, Refused, Taken
from phonify.gateways.http import TemplateGateway
from tests.gateways.contract import GatewayContract, make_message, send
from tests.support.http_providers import (
    CALLBACK_SECRET,
    DOUBT,
    LATER,
    PASSWORD,
    REFUSED,
    TAKEN,
    answer_by_number,
    make_gateway,
    make_variables,
    outcome_of,
    read_form,
    read_query,
)
from tests.support.receivers import Received, Receiver, status

OUTCOMES = {TAKEN: Taken, REFUSED: Refused, LATER: Later, DOUBT: Doubt}
JSON_VARIABLES = {
    "PRESET": "custom",
    "HEADERS": "Authorization: Basic {basic} | Idempotency-Key: {id}",
    "BODY": '{"to": "{to}", "from": "{from_digits}", "text": "{text}", "ttl": {validity_seconds}, "n": {parts}}',
    "TAKEN": '200 /"status": ?"0"/',
    "REFUSED": '200 /"status": ?"3"/ invalid_number, 400',
    "LATER": '200 /"status": ?"1"/ pause, 429 pause',
    "REFERENCE": "json:messages.*.id",
    "CODE": "json:messages.0.status",
}


def read_json(received: Received) -> dict[str, str]:
    found: dict[str, str] = json.loads(received.body)
    return found


class TestKannel(GatewayContract):
    name = "http"
    outcomes: ClassVar = OUTCOMES

    @pytest.fixture
    def gateway(self, receiver: Receiver) -> Gateway:
        answers = {
            "taken": (202, "0: Accepted for delivery"),
            "refused": (400, "Empty receiver number not allowed, rejected"),
            "later": (503, "Temporal failure, try again later."),
        }
        answer_by_number(receiver, lambda received: read_query(received).get("to"), answers)
        return make_gateway(receiver, PRESET="kannel")


class TestJasmin(GatewayContract):
    name = "http"
    outcomes: ClassVar = OUTCOMES

    @pytest.fixture
    def gateway(self, receiver: Receiver) -> Gateway:
        answers = {
            "taken": (200, 'Success "07033084-5cfd-4812-90a4-e4d24ffb6e3d"'),
            "refused": (412, 'Error "No route found"'),
            "later": (403, 'Error "User throughput exceeded"'),
        }
        answer_by_number(receiver, lambda received: read_form(received).get("to"), answers)
        return make_gateway(receiver, PRESET="jasmin")


class TestCustom(GatewayContract):
    name = "http"
    outcomes: ClassVar = OUTCOMES

    @pytest.fixture
    def gateway(self, receiver: Receiver) -> Gateway:
        answers = {
            "taken": (200, '{"messages": [{"status": "0", "id": "A1"}, {"status": "0", "id": "A2"}]}'),
            "refused": (200, '{"messages": [{"status": "3"}]}'),
            "later": (200, '{"messages": [{"status": "1"}]}'),
        }
        answer_by_number(receiver, lambda received: read_json(received)["to"], answers)
        return make_gateway(receiver, **JSON_VARIABLES)

    def test_an_answer_with_status_200_may_refuse(self, gateway: Gateway) -> None:
        assert outcome_of(gateway, to=REFUSED) == Refused("invalid_number", "3")

    def test_an_answer_with_status_200_may_ask_to_wait(self, gateway: Gateway) -> None:
        assert outcome_of(gateway, to=LATER) == Later(pause=True, reason="the provider answered with status 200")

    def test_a_path_finds_the_ids_of_all_segments(self, gateway: Gateway) -> None:
        assert outcome_of(gateway) == Taken(("A1", "A2"))

    def test_the_request_has_the_values_of_the_message(self, gateway: Gateway, receiver: Receiver) -> None:
        text = 'a "b" \\ {to} €\n😀 & + %41' + "x" * 60
        send(gateway, make_message(TAKEN, body=text)._replace(validity=90.0))
        (received,) = receiver.received
        assert read_json(received) == {"to": TAKEN, "from": "15005550006", "text": text, "ttl": 90, "n": 2}
        assert received.headers["content-type"] == "application/json"
        assert received.headers["authorization"] == "Basic cGhvbmlmeTpwYXNzJndvcmQrJTQx"
        assert received.headers["idempotency-key"] == make_message(TAKEN).id


# Answers

CREDENTIALS = "; check the credentials: PHONIFY_HTTP_USERNAME and PHONIFY_HTTP_PASSWORD"


@pytest.mark.parametrize(
    ("code", "text", "outcome"),
    [
        (202, "0: Accepted for delivery", Taken()),
        (202, "3: Queued for later delivery", Taken()),
        (400, "Missing receiver number, rejected", Refused("invalid_number", "400")),
        (400, "Empty receiver number not allowed, rejected", Refused("invalid_number", "400")),
        (
            400,
            "Number(s) has/have been denied by white- and/or black-lists.",
            Refused("unroutable_number", "400"),
        ),
        (400, "Sender missing and no global set, rejected", Refused("sender_not_permitted", "400")),
        (400, "Charset or body misformed, rejected", Refused("delivery_failed", "400")),
        (403, "Not routable. Do not try again.", Refused("unroutable_number", "403")),
        (
            403,
            "Authorization failed for sendsms",
            Later(pause=True, reason=f"the provider answered with status 403{CREDENTIALS}"),
        ),
        (429, "Too Many Requests", Later(pause=True, reason="the provider answered with status 429")),
        (503, "Temporal failure, try again later.", Later(pause=True, reason="the provider answered with status 503")),
        (200, "<html>Welcome</html>", Doubt("the provider answered with status 200, which no rule explains")),
        (502, "Bad Gateway", Doubt("the provider answered with status 502, which no rule explains", pause=True)),
    ],
)
def test_each_answer_of_kannel_has_its_outcome(receiver: Receiver, code: int, text: str, outcome: object) -> None:
    receiver.act = status(code, body=text)
    assert outcome_of(make_gateway(receiver, PRESET="kannel")) == outcome


@pytest.mark.parametrize(
    ("code", "text", "outcome"),
    [
        (200, 'Success "07033084-5cfd-4812-90a4-e4d24ffb6e3d"', Taken(("07033084-5cfd-4812-90a4-e4d24ffb6e3d",))),
        (400, 'Error "Argument [to] has an invalid value: [x]."', Refused("invalid_number", "400")),
        (400, 'Error "Argument [coding] has an invalid value: [x]."', Refused("delivery_failed", "400")),
        (
            400,
            'Error "Value filter failed for user [x] (destination_address filter mismatch)."',
            Refused("unroutable_number", "400"),
        ),
        (
            400,
            'Error "Value filter failed for user [x] (source_address filter mismatch)."',
            Refused("sender_not_permitted", "400"),
        ),
        (
            400,
            'Error "Authorization failed for user [x] (Long content not authorized)."',
            Refused("delivery_failed", "400"),
        ),
        (
            400,
            'Error "Authorization failed for user [x] (Cannot send MT messages)."',
            Later(pause=True, reason="the provider answered with status 400"),
        ),
        (
            403,
            'Error "Authentication failure for username:x"',
            Later(pause=True, reason=f"the provider answered with status 403{CREDENTIALS}"),
        ),
        (429, "Too Many Requests", Later(pause=True, reason="the provider answered with status 429")),
        (412, 'Error "No route found"', Refused("unroutable_number", "412")),
        (
            412,
            'Error "Failover route has no bound connectors"',
            Later(pause=True, reason="the provider answered with status 412"),
        ),
        (
            500,
            'Error "Cannot send submit_sm, check SMPPClientManagerPB log file for details"',
            Later(pause=True, reason="the provider answered with status 500"),
        ),
        (
            500,
            'Error "Unknown error: x"',
            Doubt("the provider answered with status 500, which no rule explains", pause=True),
        ),
    ],
)
def test_each_answer_of_jasmin_has_its_outcome(receiver: Receiver, code: int, text: str, outcome: object) -> None:
    receiver.act = status(code, body=text)
    assert outcome_of(make_gateway(receiver, PRESET="jasmin")) == outcome


def test_a_provider_may_say_when_to_come_back(receiver: Receiver) -> None:
    receiver.act = status(429, "Retry-After: 7", body="{}")
    outcome = outcome_of(make_gateway(receiver, **JSON_VARIABLES))
    assert outcome == Later(7.0, pause=True, reason="the provider answered with status 429")


def test_an_answer_that_is_not_json_gives_no_reference(receiver: Receiver) -> None:
    receiver.act = status(200, body='["status": "0"')
    assert outcome_of(make_gateway(receiver, **JSON_VARIABLES)) == Taken()


def test_a_provider_that_can_not_be_reached_has_not_taken_the_message() -> None:
    gateway = TemplateGateway.from_environ(make_variables("http://127.0.0.1:1/send", PRESET="kannel"))
    outcome = outcome_of(gateway)
    assert isinstance(outcome, Later)
    assert outcome.pause


def test_a_short_time_until_the_deadline_is_enough_to_send() -> None:
    # PHONIFY_LEASE=1 leaves a third of a second.
    gateway = TemplateGateway.from_environ(make_variables("http://127.0.0.1:9/send", PRESET="kannel"))
    at_once, too_late = (
        [outcome for _, outcome in gateway.send([make_message(TAKEN)], monotonic() + seconds)] for seconds in (1 / 3, 0)
    )
    assert at_once != [Later(reason="no time left")]
    assert too_late == [Later(reason="no time left")]


def test_a_message_without_an_answer_is_in_doubt(receiver: Receiver) -> None:
    receiver.act = lambda *_: None
    assert isinstance(outcome_of(make_gateway(receiver, PRESET="jasmin")), Doubt)


# Probe


@pytest.mark.parametrize(
    ("preset", "code", "text", "asked"),
    [
        ("kannel", 400, "Missing receiver number, rejected", "/hook"),
        ("jasmin", 200, '{"balance": "ND", "sms_count": "ND"}', "/balance"),
        ("jasmin", 400, "Authorization failed for user [x] (Cannot check balance).", "/balance"),
    ],
)
def test_a_probe_sends_nothing_and_shows_that_the_credentials_are_right(
    receiver: Receiver, preset: str, code: int, text: str, asked: str
) -> None:
    receiver.act = status(code, body=text)
    assert make_gateway(receiver, PRESET=preset).probe() == f"127.0.0.1:{receiver.port} is ready"
    (received,) = receiver.received
    assert received.line.split(" ")[1].partition("?")[0] == asked
    assert read_query(received) == {"username": "phonify", "password": PASSWORD}


@pytest.mark.parametrize(("preset", "code"), [("kannel", 403), ("jasmin", 403), ("jasmin", 500)])
def test_a_probe_tells_what_is_wrong_without_a_secret(receiver: Receiver, preset: str, code: int) -> None:
    receiver.act = status(code, body=f"no: {PASSWORD}")
    with pytest.raises(GatewayFault, match=f"answered with status {code}") as caught:
        make_gateway(receiver, PRESET=preset).probe()
    assert PASSWORD not in str(caught.value)
    assert str(caught.value).endswith(CREDENTIALS) == (code == 403)


def test_a_gateway_names_the_host_and_the_port_of_its_provider_and_nothing_else(receiver: Receiver) -> None:
    assert make_gateway(receiver, PRESET="kannel").peer == f"127.0.0.1:{receiver.port}"


def test_a_template_without_a_probe_says_so(receiver: Receiver) -> None:
    assert "PHONIFY_HTTP_PROBE" in make_gateway(receiver, **JSON_VARIABLES).probe()


# Secrets


@pytest.mark.parametrize("make", [lambda gateway: gateway, vars], ids=["object", "attributes"])
def test_nothing_that_is_shown_has_a_secret(receiver: Receiver, make: Callable[[TemplateGateway], object]) -> None:
    shown = repr(make(make_gateway(receiver, PRESET="kannel")))
    assert PASSWORD not in shown
    assert CALLBACK_SECRET not in shown


def test_a_failed_request_shows_neither_password_nor_text() -> None:
    gateway = TemplateGateway.from_environ(make_variables("http://127.0.0.1:1/send", PRESET="kannel"))
    message: OutboundMessage = make_message(TAKEN, body="Secret text")
    ((_, outcome),) = send(gateway, message)
    for secret in PASSWORD, "Secret", TAKEN, CALLBACK_SECRET, "password":
        assert secret not in repr(outcome)
