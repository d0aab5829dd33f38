"""Tests that the stub is a correct gateway.

The outcomes of its numbers are tested in `tests/promises/test_stub_gateway.py`.
"""

from typing import ClassVar

import pytest

from phonify.gateways.base import Doubt, Gateway, Later, Refused, Taken
from phonify.gateways.events import Receipt
from phonify.gateways.stub import StubGateway
from tests.gateways.contract import GatewayContract, check, make_message, send

NUMBERS = ["+14560000000", "+442071838750", *(f"+150055500{number:02d}" for number in range(20))]
REFUSALS = {
    "+15005550001": Refused("invalid_number"),
    "+15005550002": Refused("unroutable_number"),
    "+15005550003": Refused("country_not_permitted"),
}
OUTCOMES = {  # by attempt
    "+15005550004": lambda _: Refused("blocked_by_recipient"),
    "+15005550009": lambda _: Refused("cannot_receive_sms"),
    "+15005550010": lambda attempt: Later() if attempt <= 2 else Taken(),
    "+15005550011": lambda attempt: Later(retry_after=5) if attempt == 1 else Taken(),
    "+15005550012": lambda _: Doubt(),
    "+15005550013": lambda _: Taken(receipts=(Receipt("undelivered", error_type="unreachable_handset", code="30003"),)),
}


class TestStub(GatewayContract):
    name = "stub"
    outcomes: ClassVar = {"+14560000000": Taken, "+15005550004": Refused, "+15005550010": Later, "+15005550012": Doubt}
    refused_at_once = "+15005550001"

    @pytest.fixture
    def gateway(self) -> Gateway:
        return StubGateway()

    def test_it_is_a_repeatable_sandbox(self, gateway: Gateway) -> None:
        assert (gateway.sandbox, gateway.repeatable) == (True, True)

    @pytest.mark.parametrize("attempt", [1, 2, 3, 100])
    @pytest.mark.parametrize("to", NUMBERS)
    def test_each_number_has_its_outcome_at_each_attempt(self, gateway: Gateway, to: str, attempt: int) -> None:
        expected = OUTCOMES.get(to, lambda _: Taken())(attempt)
        message = make_message(to, attempt=attempt)
        assert send(gateway, message) == [(message.id, expected)]

    @pytest.mark.parametrize("to", NUMBERS)
    def test_only_three_numbers_are_refused_at_once(self, gateway: Gateway, to: str) -> None:
        assert check(gateway, to) == REFUSALS.get(to)
