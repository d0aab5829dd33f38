"""What every gateway keeps to: the interface that the rest of the code relies on."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from phonify.errors import ERROR_TYPES, Kind
from phonify.gateways import GATEWAYS
from phonify.gateways.base import Gateway, OutboundMessage, Rejected, Unavailable, Unconfirmed

NUMBERS = ["+14560000000", "+442071838750", *(f"+150055500{number:02d}" for number in range(20))]


def make_message(to: str, *, body: str = "Hello", attempt: int = 1) -> OutboundMessage:
    return OutboundMessage("019c1363-49c0-7000-8000-000000000000", "+15005550006", to, body, attempt)


def describe(call: object, *arguments: object) -> tuple[str, object]:
    """Return how a call of a gateway ended; anything that it may not raise comes through."""
    try:
        result = call(*arguments)  # type: ignore[operator]
    except Rejected as rejected:
        return "rejected", rejected.error_type
    except Unavailable as unavailable:
        return "unavailable", unavailable.retry_after
    except Unconfirmed:
        return "unconfirmed", None
    return "taken", result


@pytest.mark.parametrize("name", GATEWAYS)
class TestEveryGateway:
    """What holds for each gateway there is."""

    @pytest.fixture
    def gateway(self, name: str) -> Gateway:
        return GATEWAYS[name]()

    def test_its_name_can_be_a_setting(self, name: str) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", name)

    def test_it_is_a_gateway_that_says_what_it_is(self, gateway: Gateway) -> None:
        assert isinstance(gateway, Gateway)
        assert gateway.repeatable in (True, False)
        assert gateway.sandbox in (True, False)

    @pytest.mark.parametrize("to", NUMBERS)
    def test_a_check_passes_or_rejects_with_a_known_error(self, gateway: Gateway, to: str) -> None:
        outcome, detail = describe(gateway.check, to)

        assert outcome in ("taken", "rejected")
        if outcome == "taken":
            assert detail is None
        else:
            assert ERROR_TYPES[str(detail)].kind is Kind.REFUSED

    @pytest.mark.parametrize("to", NUMBERS)
    def test_a_check_gives_the_same_answer_each_time(self, gateway: Gateway, to: str) -> None:
        assert describe(gateway.check, to) == describe(gateway.check, to)

    def test_a_check_is_local(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a check must not open a connection")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

        for to in NUMBERS:
            describe(gateway.check, to)

    @pytest.mark.parametrize("attempt", [1, 2, 3, 100])
    @pytest.mark.parametrize("to", NUMBERS)
    def test_sending_ends_in_one_of_the_four_ways(self, gateway: Gateway, to: str, attempt: int) -> None:
        outcome, detail = describe(gateway.send, make_message(to, attempt=attempt))

        if outcome == "rejected":
            assert ERROR_TYPES[str(detail)].kind is Kind.REFUSED
        elif outcome == "unavailable":
            assert detail is None or (isinstance(detail, int | float) and detail >= 0)
        else:
            assert detail is None

    @pytest.mark.parametrize("body", ["x", "x" * 160, "\N{GRINNING FACE}" * 160, "\n", "\\'\"", "\x7f\x01", "ж" * 160])
    def test_any_text_can_be_sent(self, gateway: Gateway, body: str) -> None:
        assert describe(gateway.send, make_message("+14560000000", body=body)) == ("taken", None)

    @pytest.mark.parametrize("origin", ["+442071838750", "12345", "SHOP", "My Shop 24"])
    def test_any_sender_can_be_sent_from(self, gateway: Gateway, origin: str) -> None:
        message = make_message("+14560000000")._replace(origin=origin)

        assert describe(gateway.send, message) == ("taken", None)

    def test_an_ordinary_number_passes_the_check_and_is_taken(self, gateway: Gateway) -> None:
        assert describe(gateway.check, "+14560000000") == ("taken", None)
        assert describe(gateway.send, make_message("+14560000000")) == ("taken", None)

    def test_one_object_serves_several_threads(self, gateway: Gateway) -> None:
        one_by_one = [describe(gateway.send, make_message(to)) for to in NUMBERS]

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda to: describe(gateway.send, make_message(to)), NUMBERS))

        assert together == one_by_one


def test_a_rejection_needs_an_error_type_of_the_table() -> None:
    with pytest.raises(KeyError):
        Rejected("no_such_type")


def test_a_gateway_that_says_nothing_else_is_real_and_must_not_repeat() -> None:
    class Plain(Gateway):
        def send(self, message: OutboundMessage) -> None:
            pass

    assert (Plain.sandbox, Plain.repeatable) == (False, False)
    assert describe(Plain().check, "+14560000000") == ("taken", None)


def test_a_gateway_without_send_is_none() -> None:
    class Mute(Gateway):
        pass

    with pytest.raises(TypeError):
        Mute()  # type: ignore[abstract]


def test_the_stub_is_a_repeatable_sandbox() -> None:
    stub = GATEWAYS["stub"]()

    assert (stub.sandbox, stub.repeatable) == (True, True)
