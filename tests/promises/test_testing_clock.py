"""Tests of the clock of the client and the fixture: who may change it, what it returns, and its end after a test."""

import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phonify.testing.client import Phonify, PhonifyError
from phonify.testing.clock import Advance, Clock
from phonify.testing.server import Server
from tests.support.app import KEY
from tests.support.load import wait_until
from tests.support.receivers import Receiver, status

pytest_plugins = ["pytester"]

ALICE = "+14560000001"
MINUTE = timedelta(minutes=1)
NEXT_YEAR = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "phonify.db") as server:
        yield server


@pytest.fixture
def phonify(server: Server) -> Iterator[Phonify]:
    yield server.create_account("test")
    server.clock.reset()


def send(phonify: Phonify, **arguments: str) -> None:
    data = urllib.parse.urlencode({"api_key": phonify.api_key, "to": ALICE, "body": "Hello", **arguments}).encode()
    urllib.request.urlopen(f"{phonify.url}/v1/messages", data).close()


def test_an_advance_does_what_falls_due_and_returns_how_much(phonify: Phonify) -> None:
    send(phonify, send_at=(datetime.now(UTC) + timedelta(hours=23)).isoformat())
    assert phonify.clock.advance("1h") == Advance()
    assert phonify.clock.advance(timedelta(hours=23)) == Advance(sent=1)
    assert phonify.wait_for(to=ALICE).state == "sent"
    phonify.clock.advance(to=NEXT_YEAR)
    assert NEXT_YEAR <= phonify.clock.now() < NEXT_YEAR + MINUTE
    phonify.clock.advance(to=(NEXT_YEAR + MINUTE).isoformat())
    assert phonify.clock.now() >= NEXT_YEAR + MINUTE


def test_a_frozen_clock_stands_still_until_it_runs_on_or_is_reset(phonify: Phonify) -> None:
    phonify.clock.advance("24h")
    phonify.clock.freeze()
    frozen = phonify.clock.now()
    assert phonify.clock.now() == frozen
    phonify.clock.run_on()
    wait_until(lambda: phonify.clock.now() > frozen)  # the clock shows milliseconds
    phonify.clock.reset()
    assert abs(phonify.clock.now() - datetime.now(UTC)) < MINUTE


def test_only_a_key_of_the_account_default_may_change_it(phonify: Phonify) -> None:
    other = Phonify.connect(phonify.url, phonify.api_key)
    assert abs(other.clock.now() - datetime.now(UTC)) < MINUTE
    for change in (other.clock.freeze, other.clock.run_on, other.clock.reset, lambda: other.clock.advance("1h")):
        with pytest.raises(PhonifyError, match='Only a key of the account "default"'):
            change()
    assert not other.clock.changed


@pytest.mark.parametrize("wrong", [{"by": "1 day"}, {"to": "noon"}, {}, {"by": "1h", "to": "2100-01-01T00:00Z"}])
def test_a_wrong_argument_raises_value_error(phonify: Phonify, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"duration|time"):
        phonify.clock.advance(**wrong)


def test_an_advance_that_takes_several_requests_is_one_call() -> None:
    """The server stops on the way after some seconds. Then the client goes on."""
    ended = dict.fromkeys(Advance.__dataclass_fields__, 1)
    at = [f"2026-01-31T09:30:0{second}.000Z" for second in range(3)]
    answers = [
        {"begun_at": at[0], "ended_at": at[1], "target": at[2], "finished": False, "ended": ended},
        {"begun_at": at[1], "ended_at": at[2], "target": at[2], "finished": True, "ended": ended},
    ]
    asked = []

    def call(_method: str, _path: str, given: dict[str, Any], **_: Any) -> Any:
        asked.append({name: value for name, value in given.items() if value is not None})
        return {"advance": answers[len(asked) - 1]}

    clock = Clock(call)
    assert clock.advance("2s") == Advance(2, 2, 2, 2, 2, 2, 2, 2)
    assert (asked, clock.moved) == ([{"by": "2s"}, {"to": at[2]}], 2.0)


def test_a_failed_wait_still_shows_the_problems_before_an_advance(phonify: Phonify, receiver: Receiver) -> None:
    receiver.act = status(500)
    phonify.set_webhook(receiver.url)
    send(phonify)
    phonify.clock.advance("1s")
    receiver.wait_for(1)
    phonify.clock.advance("20d")
    with pytest.raises(AssertionError, match=r"webhook message.sent to .*: 500"):
        phonify.code(to=ALICE, timeout=0.02)


SUITE = """
    import datetime
    import os

    def now():
        return datetime.datetime.now(datetime.timezone.utc)

    def test_of_a_reminder(phonify):
        phonify.clock.freeze()
        assert phonify.clock.advance("365d").failed == 0
        assert phonify.clock.now() > now() + datetime.timedelta(days=364)

    def test_after_it(phonify):
        assert phonify.clock.now() < now() + datetime.timedelta(days=1)
        assert not phonify.clock.changed
"""


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
def test_after_a_test_the_fixture_resets_the_clock(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, start: Any, elsewhere: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    if elsewhere:
        server = start(WORKERS="2")
        monkeypatch.setenv("PHONIFY_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("PHONIFY_API_KEY", KEY)
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-p", "phonify.testing.pytest_plugin", "-W", "error")
    result.assert_outcomes(passed=2)
    if elsewhere:
        assert not server.call("GET", "/sandbox/clock")[1]["clock"]["changed"]
