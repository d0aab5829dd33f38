"""The gateway to Twilio with a started Phonify as the service, whose Twilio-compatible API has its own code."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from phonify.clock import monotonic
from phonify.gateways.base import GatewayFault, Later, OutboundMessage, Outcome, Refused, Taken
from phonify.gateways.events import GatewayEvent, Receipt, Received
from phonify.gateways.twilio import TwilioGateway
from phonify.schemas.twilio import MEANINGS
from tests.support.app import KEY, ROOT
from tests.support.load import wait_until
from tests.support.receivers import Receiver, status
from tests.support.servers import Process, starting
from tests.support.twilio import AC, OWN, PHONE
from tests.support.twilio_service import TOKEN, get_base, make_gateway, make_message_now, read_hook

pytestmark = pytest.mark.slow

REFUSED = {  # by recipient
    "+15005550001": Refused("invalid_number", "21211"),
    "+15005550002": Refused("unroutable_number", "21612"),
    "+15005550003": Refused("country_not_permitted", "21408"),
    "+15005550004": Refused("opted_out", "21610"),
    "+15005550009": Refused("cannot_receive_sms", "21614"),
    "+1": Refused("invalid_number", "21211"),
    OWN: Refused("sender_not_permitted", "21266"),
}
BY_SENDER = {
    "+15005550001": Refused("sender_not_permitted", "21212"),
    "+15005550007": Refused("sender_not_permitted", "21606"),
    "+15005550008": Later(reason="the queue of the sender is full (21611)"),
}
UNDELIVERED = {  # by recipient
    "+15005550021": ("queue_overflow", "30001"),
    "+15005550022": ("account_suspended", "30002"),
    "+15005550023": ("unreachable_handset", "30003"),
    "+15005550024": ("blocked_by_recipient", "30004"),
    "+15005550025": ("unknown_handset", "30005"),
    "+15005550026": ("cannot_receive_sms", "30006"),
    "+15005550027": ("filtered_by_carrier", "30007"),
    "+15005550028": ("delivery_failed", "30008"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        process = start(WORKERS="1", TWILIO_AUTH_TOKEN=TOKEN)
        assert process.port
        yield process


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    """The public URL of the gateway."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def gateway(server: Process, hooks: Receiver) -> TwilioGateway:
    return make_gateway(f"http://127.0.0.1:{server.port}", get_base(hooks), ACCOUNT_SID=AC)


def send(gateway: TwilioGateway, message: OutboundMessage) -> Outcome:
    ((_, outcome),) = gateway.send([message], monotonic() + 30)
    return outcome


def hear(gateway: TwilioGateway, hooks: Receiver, count: int) -> list[GatewayEvent]:
    """Return what the gateway hears in requests that arrive."""
    requests = [read_hook(received, get_base(hooks)) for received in hooks.wait_for(count)]
    return [event for request in requests for event in gateway.hear(request).events]


def make_receipt(message: OutboundMessage, outcome: Outcome, *more: str) -> Receipt:
    """Return a receipt: its status, its code, its error type if it has one, and the service's word."""
    assert isinstance(outcome, Taken)
    (sid,) = outcome.references
    meaning, code, *error_type, word = more
    return Receipt(meaning, message.id, sid, *error_type, code=code, event_id=f"{sid}:{word}")  # type: ignore[arg-type]


def test_a_message_is_taken_and_its_receipts_come_back(
    gateway: TwilioGateway, hooks: Receiver, server: Process
) -> None:
    message = make_message_now(PHONE, "å & 🎉 +100%")
    outcome = send(gateway, message)
    assert hear(gateway, hooks, 2) == [
        make_receipt(message, outcome, "sent", "sent", "sent"),
        make_receipt(message, outcome, "delivered", "delivered", "delivered"),
    ]
    (shown,) = server.call("GET", "/v1/messages?limit=1")[1]["messages"]
    assert (shown["to"], shown["body"]) == (PHONE, "å & 🎉 +100%")


@pytest.mark.parametrize("to", REFUSED)
def test_a_refused_recipient_is_refused(gateway: TwilioGateway, to: str) -> None:
    assert send(gateway, make_message_now(to)) == REFUSED[to]


@pytest.mark.parametrize("origin", BY_SENDER)
def test_a_refused_sender_concerns_its_messages_alone(gateway: TwilioGateway, origin: str) -> None:
    assert send(gateway, make_message_now(PHONE)._replace(origin=origin)) == BY_SENDER[origin]


@pytest.mark.parametrize("to", UNDELIVERED)
def test_a_failure_comes_back_with_its_reason(gateway: TwilioGateway, hooks: Receiver, to: str) -> None:
    message = make_message_now(to)
    outcome = send(gateway, message)
    error_type, code = UNDELIVERED[to]
    word = "failed" if code in ("30001", "30002") else "undelivered"
    events = hear(gateway, hooks, 1 if word == "failed" else 2)
    assert events[-1] == make_receipt(message, outcome, "undelivered", code, error_type, word)


def test_every_code_that_the_service_can_tell_is_tested() -> None:
    codes = {int(outcome.code) for outcome in [*REFUSED.values(), *BY_SENDER.values()] if isinstance(outcome, Refused)}
    assert MEANINGS.keys() - codes == {int(code) for _, code in UNDELIVERED.values()} | {30036}


def test_the_end_of_the_validity_period_comes_back(gateway: TwilioGateway, hooks: Receiver) -> None:
    message = make_message_now("+15005550012")._replace(validity=2)
    outcome = send(gateway, message)
    assert hear(gateway, hooks, 2) == [
        make_receipt(message, outcome, "sent", "sent", "sent"),
        make_receipt(message, outcome, "undelivered", "30036", "validity_expired", "failed"),
    ]


def test_with_a_messaging_service_the_queue_is_told_too(server: Process, hooks: Receiver) -> None:
    service = {"ACCOUNT_SID": AC, "MESSAGING_SERVICE_SID": f"MG{'a' * 32}"}
    gateway, message = (
        make_gateway(f"http://127.0.0.1:{server.port}", get_base(hooks), **service),
        make_message_now(PHONE),
    )
    outcome = send(gateway, message)
    told = [("sent", "queued"), ("sent", "sent"), ("delivered", "delivered")]
    assert hear(gateway, hooks, 3) == [make_receipt(message, outcome, meaning, word, word) for meaning, word in told]


def test_a_callback_that_fails_is_posted_again(gateway: TwilioGateway, hooks: Receiver) -> None:
    answered = hooks.act

    def fail_once(*request: object) -> None:
        hooks.act = answered
        status(503)(*request)  # type: ignore[arg-type]

    hooks.act = fail_once
    message = make_message_now(PHONE)
    outcome = send(gateway, message)
    sent = make_receipt(message, outcome, "sent", "sent", "sent")
    assert hear(gateway, hooks, 3)[:2] == [sent, sent]


def run(server: Process, *arguments: str) -> None:
    """Run a command for the account `default` of the server."""
    environ = {**os.environ, "PHONIFY_DATABASE": str(server.log.parent / "phonify.db")}
    command = (sys.executable, "-m", "flask", "--app", "app", *arguments)
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)


def test_a_text_from_a_phone_is_received(gateway: TwilioGateway, hooks: Receiver, server: Process) -> None:
    run(server, "twilio", "set-inbound", f"{get_base(hooks)}/gateways/twilio/received")
    server.call("POST", "/sandbox/inbound", **{"from": PHONE, "to": OWN, "body": "héllo & 🎉"})
    (text,) = hear(gateway, hooks, 1)
    assert isinstance(text, Received)
    assert text == Received(PHONE, "héllo & 🎉", text.event_id, OWN)
    assert text.event_id.startswith("SM")


# Asking


@pytest.mark.parametrize("has_sid", [True, False])
def test_a_message_is_looked_up_with_and_without_its_sid(gateway: TwilioGateway, has_sid: bool) -> None:
    message = make_message_now(PHONE, f"With its SID: {has_sid}")
    outcome = send(gateway, message)
    assert isinstance(outcome, Taken)

    def look_up() -> list[Receipt]:
        return [
            receipt._replace(at=None) for receipt in gateway.look_up(message, outcome.references if has_sid else ())
        ]

    expected = make_receipt(message, outcome, "delivered", "delivered", "delivered")
    wait_until(lambda: look_up() == [expected])


def test_of_two_equal_messages_nobody_knows_which_one_it_is(gateway: TwilioGateway) -> None:
    first, second = make_message_now(PHONE, "Twice"), make_message_now(PHONE, "Twice")
    send(gateway, first)
    wait_until(lambda: len(gateway.look_up(second, ())) == 1)
    send(gateway, second)
    wait_until(lambda: gateway.look_up(second, ()) == [])


def test_an_account_that_is_accepted_can_send(gateway: TwilioGateway, server: Process, hooks: Receiver) -> None:
    assert gateway.probe() == "the account is active"
    key = {"ACCOUNT_SID": AC, "KEY_SID": f"SK{1:032x}", "KEY_SECRET": KEY}
    with_key = make_gateway(f"http://127.0.0.1:{server.port}", get_base(hooks), **key)
    assert with_key.probe() == "the API key is accepted; the account is active"
    assert isinstance(send(with_key, make_message_now(PHONE)), Taken)


@pytest.mark.parametrize("wrong", [{"AUTH_TOKEN": "f" * 32}, {"ACCOUNT_SID": f"AC{'f' * 32}"}])
def test_wrong_credentials_pause_the_gateway(server: Process, wrong: dict[str, str]) -> None:
    gateway = make_gateway(f"http://127.0.0.1:{server.port}", None, **{"ACCOUNT_SID": AC, **wrong})
    reason = "the credentials are not accepted (20003)"
    assert send(gateway, make_message_now(PHONE)) == Later(pause=True, reason=reason)
    with pytest.raises(GatewayFault, match="20003"):
        gateway.probe()


def test_a_quota_that_is_used_up_pauses_the_gateway_until_the_next_day(gateway: TwilioGateway, server: Process) -> None:
    run(server, "accounts", "limit", "default", "--quota", "1")
    try:
        send(gateway, make_message_now(PHONE))
        outcome = send(gateway, make_message_now(PHONE))
    finally:
        run(server, "accounts", "limit", "default", "--quota", "none")
    assert isinstance(outcome, Later)
    assert (outcome.pause, outcome.reason) == (True, "too many requests (20429)")
    assert outcome.retry_after is not None
    assert 0 < outcome.retry_after <= 86_400
