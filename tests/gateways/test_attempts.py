"""Tests of later attempts of gateways over HTTP: they ask for the same as the first one."""

import pytest

from phonify.gateways import GATEWAYS
from phonify.gateways.over_http import HttpGateway
from tests.gateways.contract import make_message
from tests.support.callback_sites import SITES
from tests.support.twilio_service import PUBLIC_URL

RECEIPT = {"android": b'"withDeliveryReport": true', "twilio": b"StatusCallback=https"}


@pytest.mark.parametrize("name", SITES)
def test_a_later_attempt_is_the_same_request_and_asks_for_receipts_too(name: str) -> None:
    site = SITES[name]()
    settings = {**site.settings, site.url_setting: "http://127.0.0.1:9", "PUBLIC_URL": PUBLIC_URL}
    gateway = GATEWAYS[site.name].from_environ({f"PHONIFY_{name}": value for name, value in settings.items()})
    assert isinstance(gateway, HttpGateway)
    requests = [gateway.build_request(make_message("+14560000000", attempt=attempt)) for attempt in (1, 2, 9)]
    assert requests == [requests[0]] * 3
    asked = (requests[0].query or "").encode() + (requests[0].body or b"")
    assert RECEIPT.get(name, b"/gateways/http/") in asked.replace(b"%2F", b"/").replace(b"%3A", b":")
