"""Tests of what /readyz says about gateways. A gateway that takes no messages is a warning, and no fault."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from phonify.gateways.base import Later, Limits, Taken
from phonify.services import Services
from tests.support.fake_gateway import OnceGateway


@pytest.fixture
def gateway() -> OnceGateway:
    return OnceGateway()


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: OnceGateway) -> Flask:
    return make_app(gateway)


@pytest.fixture
def ask(app: Flask) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Return a function that asks whether the server is ready: the status, the faults, the warnings."""

    def ask(other: Flask | None = None) -> tuple[int, list[str], list[str]]:
        response = (other or app).test_client().get("/readyz")
        shown: dict[str, Any] = response.get_json()
        assert shown["status"] == ("ok" if response.status_code == 200 else "unavailable")
        return response.status_code, shown.get("faults", []), shown.get("warnings", [])

    return ask


def hold(services: Services, *, held: bool = True) -> None:
    services.gateways["gateway"].pacing.hold(held=held)


def test_a_gateway_that_works_is_no_warning(ask, send, deliver) -> None:
    assert ask() == (200, [], [])
    send()
    deliver()
    assert ask() == (200, [], [])


def test_a_gateway_that_a_fault_has_paused_is_a_warning_without_the_text_of_the_fault(
    ask, send, deliver, gateway
) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="wrong password")
    send()
    deliver()
    warning = "the gateway gateway: paused until 2026-01-31T09:31:00.000Z after a fault"
    assert ask() == (200, [], [warning])


def test_messages_that_wait_for_the_end_of_a_fault_are_a_warning(ask, send, deliver, gateway, clock) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=600, reason="wrong password")
    send()
    deliver()
    clock.advance(120)
    late = "a message has been due for 120 seconds, because a fault has paused the gateway"
    assert ask()[:2] == (200, [])
    assert ask()[2][1:] == [f"the gateway gateway: {late}"]


def test_messages_that_wait_long_after_the_end_of_a_pause_are_a_fault(ask, send, deliver, gateway, clock) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="wrong password")
    send()
    deliver()
    clock.advance(119)
    assert ask()[:2] == (200, [])
    clock.advance(2)
    assert ask()[:2] == (503, ["delivery is behind: a message has been due for 121 seconds"])


def test_a_gateway_that_the_operator_has_paused_is_a_warning(ask, send, services, clock) -> None:
    hold(services)
    send()
    clock.advance(3_600)
    assert ask() == (
        200,
        [],
        [
            "the gateway gateway: paused by the operator",
            "the gateway gateway: a message has been due for 3600 seconds, because the operator has paused the gateway",
        ],
    )


def test_messages_that_wait_for_a_limit_are_a_warning(make_app, gateway, ask, clock, deliver) -> None:
    limited = make_app(gateway, GATEWAY_PER_HOUR="2")
    for number in range(4):
        limited.test_client().post("/v1/messages", json={"to": f"+1456000000{number}", "body": "Hello"})
    deliver(limited)
    clock.advance(3_599)
    late = "a message has been due for 3599 seconds, because the limit of 2 SMS in 3600 seconds is used up"
    assert ask(limited) == (200, [], [f"the gateway gateway: {late}"])
    clock.advance(30)
    assert ask(limited)[0] == 200
    clock.advance(31)
    assert ask(limited)[0] == 503


def test_a_long_text_that_does_not_fit_into_what_a_limit_leaves_is_a_warning(
    make_app, gateway, ask, clock, deliver
) -> None:
    limited = make_app(gateway, GATEWAY_PER_HOUR="3", MAX_BODY="500")
    for body in ("Hello", "x" * 459):
        limited.test_client().post("/v1/messages", json={"to": "+14560000000", "body": body})
    deliver(limited)
    clock.advance(600)
    assert len(gateway.handed) == 1
    assert ask(limited)[:2] == (200, [])


def test_a_queue_that_the_gateway_works_off_is_a_warning(ask, send, services, deliver, gateway, clock) -> None:
    hold(services)
    for _ in range(9):
        send()
    clock.advance(600)
    gateway.limits = Limits()
    hold(services, held=False)
    loop = services.make_message_loop()
    loop.step()
    loop.step()
    clock.advance(30)
    loop.step()
    loop.step()
    clock.advance(59)
    late = "a message has been due for 689 seconds"
    reason = "many messages wait, and the gateway takes them one after another"
    assert ask() == (200, [], [f"the gateway gateway: {late}, because {reason}"])


def test_a_gateway_that_was_just_resumed_has_time_to_begin(ask, send, services, clock) -> None:
    hold(services)
    send()
    clock.advance(600)
    hold(services, held=False)
    late = "a message has been due for 600 seconds, because the gateway was paused until 2026-01-31T09:40:00.000Z"
    assert ask() == (200, [], [f"the gateway gateway: {late}"])
    clock.advance(61)
    assert ask()[0] == 503


def test_a_delivery_that_stands_still_is_a_fault_also_after_it_has_worked(ask, send, deliver, clock) -> None:
    send()
    deliver()
    send()
    clock.advance(61)
    assert ask()[:2] == (503, ["delivery is behind: a message has been due for 61 seconds"])


def test_a_gateway_whose_last_call_met_a_fault_stays_a_warning_until_it_takes_a_message(
    ask, send, deliver, gateway, clock
) -> None:
    gateway.act = lambda _: Later(pause=True, reason="wrong password")
    send()
    deliver()
    clock.advance(10)
    failed = "the gateway gateway: has failed, and Phonify uses the next message to test the gateway"
    assert ask()[2] == [failed]
    gateway.act = lambda _: Taken()
    deliver()
    assert ask()[2] == []


def test_a_database_that_can_not_be_read_is_one_fault_of_reading(ask, lock_database) -> None:
    lock_database("EXCLUSIVE")
    status, faults, _ = ask()
    assert status == 503
    assert [fault.split(":")[0] for fault in faults] == ["the database can't be written", "the database can't be read"]
