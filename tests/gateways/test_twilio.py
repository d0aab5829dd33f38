"""Tests of the gateway to Twilio: its variables, its requests, and what the answers mean. A small server is Twilio."""

import socket
from collections.abc import Iterator
from typing import ClassVar

import pytest

from phonify.errors import ERROR_TYPES as ALL_ERROR_TYPES
from phonify.errors import Kind
from phonify.gateways.base import Doubt, Gateway, Later, Outcome, Refused, Taken
from phonify.gateways.twilio_codes import ERROR_TYPES, PAUSING
from tests.gateways.contract import GatewayContract, make_message, send
from tests.support.receivers import Received, Receiver, answer, status
from tests.support.servers import find_free_port
from tests.support.twilio_service import (
    MESSAGE_SID,
    MESSAGES,
    PHONE,
    PUBLIC_URL,
    SID,
    TOKEN,
    get_base,
    make_gateway,
    make_resource,
    read_fields,
    read_user,
    write_answer,
    write_error,
)

BY_NUMBER = {
    "+15005550001": write_error(21211),
    "+15005550002": write_error(20429, 429, "Retry-After: 3"),
    "+15005550003": write_error(20500, 500),
}


@pytest.fixture
def service() -> Iterator[Receiver]:
    receiver = Receiver(write_answer(201, make_resource()))
    yield receiver
    receiver.close()


def attempt(gateway: Gateway, **parts: object) -> Outcome:
    """Send one message, and return its outcome."""
    ((_, outcome),) = send(gateway, make_message(PHONE)._replace(**parts))  # type: ignore[arg-type]
    return outcome


class TestTwilio(GatewayContract):
    name = "twilio"
    outcomes: ClassVar = {PHONE: Taken, "+15005550001": Refused, "+15005550002": Later, "+15005550003": Doubt}

    @pytest.fixture
    def gateway(self, service: Receiver) -> Gateway:
        def act(client: socket.socket, received: Received) -> None:
            BY_NUMBER.get(read_fields(received)["To"], write_answer(201, make_resource()))(client, received)

        service.act = act
        return make_gateway(get_base(service), NUMBER="+46700000001")

    def test_it_is_real_and_does_not_repeat(self, gateway: Gateway) -> None:
        assert (gateway.sandbox, gateway.repeatable, gateway.can_look_up) == (False, False, True)


# Requests


def test_a_request_has_the_message_and_the_url_for_its_statuses(service: Receiver) -> None:
    message = make_message(PHONE, body="å & 🎉 100%+")._replace(validity=600.9)
    assert send(make_gateway(get_base(service)), message) == [(message.id, Taken((MESSAGE_SID,)))]
    (received,) = service.received
    assert received.line == f"POST {MESSAGES} HTTP/1.1"
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert read_user(received) == f"{SID}:{TOKEN}"
    assert read_fields(received) == {
        "To": PHONE,
        "From": "+15005550006",
        "Body": "å & 🎉 100%+",
        "ValidityPeriod": "600",
        "StatusCallback": f"{PUBLIC_URL}/gateways/twilio/status/{message.id}#rc=5&rp=ct,rt,5xx",
    }


def test_without_a_public_url_no_statuses_are_asked_for(service: Receiver) -> None:
    attempt(make_gateway(get_base(service), public_url=None))
    assert "StatusCallback" not in read_fields(service.received[0])


def test_a_messaging_service_is_named_beside_the_sender(service: Receiver) -> None:
    attempt(make_gateway(get_base(service), MESSAGING_SERVICE_SID=f"MG{'c' * 32}"), origin="SHOP")
    fields = read_fields(service.received[0])
    assert (fields["MessagingServiceSid"], fields["From"]) == (f"MG{'c' * 32}", "SHOP")


def test_an_api_key_sends_in_place_of_the_auth_token(service: Receiver) -> None:
    attempt(make_gateway(get_base(service), KEY_SID="SK1", KEY_SECRET="s3cret"))
    assert read_user(service.received[0]) == "SK1:s3cret"
    assert service.received[0].line == f"POST {MESSAGES} HTTP/1.1"


def test_the_base_url_may_have_a_path(service: Receiver) -> None:
    attempt(make_gateway(f"{get_base(service)}/api/laml/"))
    assert service.received[0].line == f"POST /api/laml{MESSAGES} HTTP/1.1"


@pytest.mark.parametrize(("validity", "sent"), [(0.2, "1"), (1, "1"), (36_000, "36000"), (86_400, "36000")])
def test_the_validity_period_is_what_is_left_within_the_limits(service: Receiver, validity: float, sent: str) -> None:
    attempt(make_gateway(get_base(service)), validity=validity)
    assert read_fields(service.received[0])["ValidityPeriod"] == sent


def test_a_text_of_1600_characters_is_sent_whole(service: Receiver) -> None:
    body = "🎉" * 1_600
    service.act = write_answer(201, make_resource(body=body))
    assert attempt(make_gateway(get_base(service)), body=body) == Taken((MESSAGE_SID,))
    assert read_fields(service.received[0])["Body"] == body


# Answers


@pytest.mark.parametrize(
    ("code", "error_type"), [(code, type_) for code, type_ in ERROR_TYPES.items() if code < 30_000]
)
def test_a_code_of_the_message_is_final(service: Receiver, code: int, error_type: str) -> None:
    service.act = write_error(code)
    assert attempt(make_gateway(get_base(service))) == Refused(error_type, str(code))


@pytest.mark.parametrize("code", [21602, 21617, 21654, 63999])
def test_an_unknown_code_is_final(service: Receiver, code: int) -> None:
    service.act = write_error(code)
    assert attempt(make_gateway(get_base(service))) == Refused("delivery_failed", str(code))


def test_every_error_type_is_one_that_a_message_can_have() -> None:
    assert {ALL_ERROR_TYPES[type_].kind for type_ in ERROR_TYPES.values()} == {Kind.REFUSED}


@pytest.mark.parametrize("code", PAUSING)
def test_a_code_that_concerns_all_messages_pauses_the_gateway_with_a_reason(service: Receiver, code: int) -> None:
    service.act = write_error(code, 400, "Retry-After: 7")
    assert attempt(make_gateway(get_base(service))) == Later(7, pause=True, reason=f"{PAUSING[code]} ({code})")


def test_no_code_about_a_sender_pauses_the_gateway() -> None:
    senders = {code for code, error_type in ERROR_TYPES.items() if error_type == "sender_not_permitted"}
    assert {21212, 21603, 21606, 21659, 21660, 21661} <= senders
    assert not senders & PAUSING.keys()


def test_the_full_queue_of_a_sender_delays_its_messages_alone(service: Receiver) -> None:
    service.act = write_error(21611, 429, "Retry-After: 30")
    assert attempt(make_gateway(get_base(service))) == Later(30, reason="the queue of the sender is full (21611)")


@pytest.mark.parametrize("code", [30003, 30005, 30008])
def test_a_code_for_an_unknown_end_is_a_doubt(service: Receiver, code: int) -> None:
    service.act = write_error(code)
    assert attempt(make_gateway(get_base(service))) == Doubt(f"HTTP status 400, code {code}")


@pytest.mark.parametrize("code", [500, 502, 503, 504, 408])
def test_a_fault_of_the_service_is_a_doubt(service: Receiver, code: int) -> None:
    service.act = status(code, body="<html>")
    assert attempt(make_gateway(get_base(service))) == Doubt(f"HTTP status {code}", pause=True)


@pytest.mark.parametrize("code", [302, 401, 404, 407, 429])
def test_a_status_without_a_code_that_concerns_all_messages_pauses_the_gateway(service: Receiver, code: int) -> None:
    service.act = status(code, "Location: http://127.0.0.1:9/", body="<html>")
    assert attempt(make_gateway(get_base(service))) == Later(pause=True, reason=f"HTTP status {code}")
    assert len(service.received) == 1  # a redirect is not followed


@pytest.mark.parametrize("code", [400, 403, 413, 422])
def test_another_refusal_without_a_code_delays_the_message_alone(service: Receiver, code: int) -> None:
    service.act = status(code, body="not from Twilio")
    assert attempt(make_gateway(get_base(service))) == Later(reason=f"HTTP status {code}")


def test_a_key_without_a_permission_pauses_the_gateway(service: Receiver) -> None:
    service.act = write_error(20403, 403)
    assert attempt(make_gateway(get_base(service))) == Later(pause=True, reason="HTTP status 403, code 20403")


def test_a_code_may_be_a_text(service: Receiver) -> None:
    service.act = write_answer(400, {"code": "21610", "status": 400})
    assert attempt(make_gateway(get_base(service))) == Refused("opted_out", "21610")


@pytest.mark.parametrize(
    "content", [{"code": True}, {"code": 1.5}, {"code": None}, {"code": "٣"}, [21610], "21610", None]
)
def test_a_code_in_another_form_is_none(service: Receiver, content: object) -> None:
    service.act = write_answer(400, content)
    assert attempt(make_gateway(get_base(service))) == Later(reason="HTTP status 400")


@pytest.mark.parametrize("body", ["", "<html>welcome</html>", "[]", "{}", '{"sid": 7}', '{"sid": "a b"}', "[" * 60_000])
def test_a_success_that_is_no_message_is_a_doubt(service: Receiver, body: str) -> None:
    service.act = status(200, body=body)
    assert attempt(make_gateway(get_base(service))) == Doubt("the answer contains no valid SID of a message")


def test_a_success_that_is_cut_off_is_a_doubt(service: Receiver) -> None:
    service.act = answer(b'HTTP/1.1 201 Created\r\nContent-Length: 5000\r\n\r\n{"sid": "SM')
    assert isinstance(attempt(make_gateway(get_base(service))), Doubt)


@pytest.mark.parametrize(
    ("code", "refused"), [(30007, ("filtered_by_carrier", "30007")), (None, ("delivery_failed", ""))]
)
def test_a_message_that_failed_at_once_is_refused(
    service: Receiver, code: int | None, refused: tuple[str, str]
) -> None:
    service.act = write_answer(201, make_resource(status="failed", error_code=code))
    assert attempt(make_gateway(get_base(service))) == Refused(*refused)


def test_if_nobody_listens_the_gateway_is_paused() -> None:
    outcome = attempt(make_gateway(f"http://127.0.0.1:{find_free_port()}"))
    assert outcome == Later(pause=True, reason="the connection was refused")


def test_if_the_connection_ends_without_an_answer_the_message_is_in_doubt(service: Receiver) -> None:
    service.act = answer(b"")
    assert isinstance(attempt(make_gateway(get_base(service))), Doubt)
    assert len(service.received) == 1  # it was not sent again


def test_no_reason_has_a_secret_a_number_or_a_text(service: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    gateway, shown = make_gateway(get_base(service), KEY_SID="SK1", KEY_SECRET="s3cret"), ""
    for act in (answer(b""), status(401), status(500), write_error(20003, 401), write_error(21611, 429), status(200)):
        service.act = act
        shown += repr(attempt(gateway, body="a secret text"))
    for secret in (TOKEN, "s3cret", PHONE, "a secret text"):
        assert secret not in shown + caplog.text
