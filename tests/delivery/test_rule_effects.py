"""Tests of the loop of receipts and replies that come because of a rule: its run, its faults, and a clock set back."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from phonify.delivery.loop import Loop
from phonify.services import Services
from tests.support.app import FakeClock
from tests.support.load import wait_until

PHONE = "+14560000000"
Execute = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def answer(client: FlaskClient, send: Callable[..., Any], message_loop: Loop[Any, Any]) -> Callable[..., None]:
    """Return a function that sends a message to a phone that replies after some seconds."""

    def answer(seconds: float) -> None:
        made = client.post("/sandbox/rules", json={"outcome": "reply", "reply": "Yes", "seconds": seconds, "uses": 1})
        assert made.status_code == 201
        send(PHONE)
        message_loop.deliver_due()

    return answer


@pytest.fixture
def run(services: Services) -> Iterator[Callable[[], None]]:
    """Return a function that starts the loop."""
    thread = threading.Thread(target=services.rule_effects.run)
    yield thread.start
    services.stop()
    thread.join()


def count_replies(execute: Execute) -> int:
    ((count,),) = execute("SELECT count(*) FROM messages WHERE direction = 'inbound'")
    return int(count)


def test_a_reply_without_a_wait_comes_within_a_moment(run: Any, answer: Any, execute: Execute) -> None:
    run()
    answer(0)
    begun = time.monotonic()
    wait_until(lambda: count_replies(execute) == 1)
    assert time.monotonic() - begun < 5


def test_the_loop_goes_on_after_the_database_could_not_be_used(
    run: Any, answer: Any, execute: Execute, lock_database: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer(0)
    locker = lock_database()
    run()
    wait_until(lambda: "the rules are paused, because the database can't be used: " in caplog.text)
    locker.execute("ROLLBACK")
    wait_until(lambda: count_replies(execute) == 1)


def test_two_loops_store_a_reply_once(make_app: Any, answer: Any, execute: Execute) -> None:
    answer(0)
    loops = [make_app().extensions["phonify"].rule_effects for _ in range(2)]
    threads = [threading.Thread(target=loop.deliver_due) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count_replies(execute) == 1


# A clock that is set back


def test_after_a_reset_a_reply_waits_only_for_the_seconds_of_its_rule(
    services: Services, client: FlaskClient, answer: Any, execute: Execute, clock: FakeClock
) -> None:
    assert client.post("/sandbox/clock/advance", json={"by": "24h"}).status_code == 200
    answer(5)
    assert client.delete("/sandbox/clock").status_code == 200
    services.make_upkeep().follow_clock()
    clock.advance(4.999)
    assert services.rule_effects.deliver_due() == 0
    clock.advance(0.001)
    assert services.rule_effects.deliver_due() == 1
    assert count_replies(execute) == 1


def test_a_reply_that_waits_for_its_time_is_not_hastened(
    services: Services, answer: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    answer(3_600)
    clock.advance(1)
    services.make_upkeep().follow_clock()
    assert "the clock was set to an earlier time" not in caplog.text
    clock.advance(3_598)
    assert services.rule_effects.deliver_due() == 0
    clock.advance(1)
    assert services.rule_effects.deliver_due() == 1
