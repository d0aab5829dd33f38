"""Tests of the start of the delivery: what it logs and stores."""

import logging
from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.app import start_and_stop
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator


@pytest.mark.parametrize(
    ("setting", "warnings"),
    [(None, ["1 webhook has a private address and gets no events without PHONIFY_WEBHOOK_PRIVATE=on"]), (True, [])],
)
def test_a_start_warns_once_of_webhooks_whose_private_addresses_are_not_allowed(
    make_app: Callable[..., Flask],
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
    setting: bool | None,
    warnings: list[str],
) -> None:
    operator.set_webhook("http://localhost:5000/sms")
    start_and_stop(make_app(gateway=OnceGateway(), WEBHOOK_PRIVATE=setting))
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == warnings
