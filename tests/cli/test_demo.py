"""The demo needs the stub gateway, and its clock is right again after the past is filled in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phonify import create_app
from phonify.cli.demo import DemoClock, create_demo
from phonify.config import ConfigError


def test_another_gateway_is_refused(tmp_path: Path) -> None:
    def create_other(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(extensions={"phonify": SimpleNamespace(settings=SimpleNamespace(gateway="other"))})

    with pytest.raises(ConfigError, match="needs the stub gateway, not other"):
        create_demo(create_other, tmp_path / "phonify.db")


def test_the_clock_of_the_app_is_that_of_the_machine_again(tmp_path: Path) -> None:
    app = create_demo(create_app, tmp_path / "phonify.db")
    services = app.extensions["phonify"]
    assert abs(services.clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    account = services.keys.find_account(services.create_first_key())
    unread = {one.phone: one.unread for one in services.conversations.find_all(account) if one.unread}
    services.close()
    assert unread == {"+12025550143": 1, "+491713920042": 1, "+14155550132": 1}


def test_the_clock_goes_on_from_the_moment_that_it_is_set_to() -> None:
    clock, moment = DemoClock(), datetime(2026, 1, 31, tzinfo=UTC)
    clock.set_to(moment)
    assert moment <= clock.now() < moment + timedelta(seconds=1)
