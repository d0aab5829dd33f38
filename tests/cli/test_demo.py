"""The clock of the demo shows the real time after the conversations are written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from phonify import create_app
from phonify.cli.demo import DemoClock, create_demo


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
