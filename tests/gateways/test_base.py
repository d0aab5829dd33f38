"""Tests of a gateway's defaults, and of values that a gateway can't have."""

from collections.abc import Iterator, Sequence

import pytest

from phonify.gateways.base import Doubt, Gateway, GatewayFault, Limits, OutboundMessage, Outcome, Refused, Taken
from tests.support.fake_gateway import OnceGateway


class Plain(Gateway):
    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        return iter(())


def test_a_gateway_that_says_nothing_else_is_real_must_not_repeat_and_takes_one_message_at_a_time() -> None:
    assert (Plain.sandbox, Plain.repeatable, Plain.limits) == (False, False, Limits(batch=1))
    assert Plain().check("+14560000000", "+15005550006", "Hello") is None
    assert (Plain.variables, type(Plain.from_environ({}))) == ((), Plain)


def test_a_gateway_without_send_is_none() -> None:
    class Mute(Gateway):
        pass

    with pytest.raises(TypeError):
        Mute()  # type: ignore[abstract] # what the test is about


def test_a_refusal_needs_an_error_type_of_the_table() -> None:
    with pytest.raises(ValueError, match="'no_such_type' is not an error type"):
        Refused("no_such_type")


def test_outcomes_are_told_apart() -> None:
    assert len({Taken(), Doubt(), Refused("opted_out"), Refused("invalid_number")}) == 4


def test_a_gateway_for_tests_gives_the_outcome_that_a_test_wants() -> None:
    message = OutboundMessage("id", "+15005550006", "+14560000000", "Hello", 1)
    assert list(OnceGateway().send([message], 0)) == [("id", Taken())]
    assert list(OnceGateway(lambda _: Doubt()).send([message], 0)) == [("id", Doubt())]


def test_a_gateway_that_says_nothing_else_needs_no_registration() -> None:
    with pytest.raises(GatewayFault, match="needs no registration"):
        Plain().register()
