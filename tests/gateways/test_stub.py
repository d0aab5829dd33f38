"""The stub keeps the promises of a gateway; what its numbers do is in `tests/promises/test_stub_gateway.py`."""

import pytest

from phonify.gateways.base import Gateway
from phonify.gateways.stub import StubGateway
from tests.gateways.contract import GatewayContract


class TestStub(GatewayContract):
    name = "stub"
    refused_at_once = "+15005550001"
    refused = "+15005550004"
    later = "+15005550010"
    doubt = "+15005550012"

    @pytest.fixture
    def gateway(self) -> Gateway:
        return StubGateway()

    def test_it_is_a_repeatable_sandbox(self, gateway: Gateway) -> None:
        assert (gateway.sandbox, gateway.repeatable) == (True, True)
