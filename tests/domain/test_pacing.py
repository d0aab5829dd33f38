"""Tests of pacing: the limits of a gateway, its pauses after faults, the pauses of the operator, PHONIFY_ONLY_TO."""

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask

from phonify.gateways import GATEWAYS
from phonify.gateways.base import Doubt, Later, Limits, OutboundMessage, Outcome, Refused, Taken
from phonify.services import Services
from tests.support.fake_gateway import OnceGateway

TO = "+14560000000"


@pytest.fixture
def gateway() -> OnceGateway:
    gateway = OnceGateway()
    gateway.limits = Limits(batch=10)
    return gateway


@pytest.fixture
def start(make_app: Callable[..., Flask], gateway: OnceGateway) -> Callable[..., Services]:
    """Return a function that starts an app with settings. It sends the given number of messages."""

    def start(count: int = 1, body: str = "Hello", **settings: Any) -> Services:
        app = make_app(gateway, **settings)
        for number in range(count):
            to = f"+1456{number:07}"
            app.test_client().post("/v1/messages", json={"to": to, "body": body})
        return app.extensions["phonify"]

    return start


def deliver(services: Services) -> int:
    return services.make_message_loop().deliver_due()


# Limits


def test_no_more_than_the_limit_leaves_in_a_second(start, clock, gateway) -> None:
    services = start(7, GATEWAY_PER_SECOND="3")
    counts = []
    for _ in range(3):
        deliver(services)
        counts.append(len(gateway.handed))
        clock.advance(1)
    assert counts == [3, 6, 7]


def test_each_limit_counts(start, clock, gateway) -> None:
    services = start(9, GATEWAY_PER_SECOND="2", GATEWAY_PER_MINUTE="4", GATEWAY_PER_HOUR="5")
    counts = []
    for seconds in (0, 1, 1, 58, 1, 3_538, 1, 1):
        clock.advance(seconds)
        deliver(services)
        counts.append(len(gateway.handed))
    assert counts == [2, 4, 4, 5, 5, 5, 7, 9]


def test_a_long_text_counts_with_all_its_segments(start, clock, gateway) -> None:
    services = start(3, "x" * 155 + "€€€", GATEWAY_PER_SECOND="4")
    deliver(services)
    assert len(gateway.handed) == 2
    clock.advance(1)
    deliver(services)
    assert len(gateway.handed) == 3


def test_a_text_with_more_segments_than_the_limit_is_sent_alone(start, clock, gateway) -> None:
    services = start(2, "x" * 155 + "€€€", GATEWAY_PER_MINUTE="1")
    counts = []
    for _ in range(3):
        deliver(services)
        counts.append(len(gateway.handed))
        clock.advance(30)
    assert counts == [1, 1, 2]


def test_two_processes_share_a_limit(start, clock, gateway) -> None:
    services = start(6, GATEWAY_PER_SECOND="3")
    first, second = services.make_message_loop(), start(0, GATEWAY_PER_SECOND="3").make_message_loop()
    first.deliver_due()
    second.deliver_due()
    assert len(gateway.handed) == 3
    clock.advance(1)
    second.deliver_due()
    assert len(gateway.handed) == 6


def test_the_loop_waits_exactly_until_the_limit_leaves_room(start, clock) -> None:
    services = start(2, GATEWAY_PER_MINUTE="1")
    deliver(services)
    delivery = services.gateways["gateway"].make_delivery(lease=services.settings.lease)
    assert delivery.seconds_to_next() == 60
    clock.advance(59)
    assert delivery.seconds_to_next() == 1


def test_a_text_of_two_segments_waits_exactly_until_the_limit_leaves_room_for_both(start, clock, gateway) -> None:
    long = "x" * 155 + "€€€"
    for texts in (["Hello"], ["Hello", "Hello"], [long]):
        for body in texts:
            services = start(1, body, GATEWAY_PER_MINUTE="3")
        deliver(services)
        clock.advance(10)
    assert len(gateway.handed) == 3
    delivery = services.gateways["gateway"].make_delivery(lease=services.settings.lease)
    assert delivery.seconds_to_next() == 40
    clock.advance(39.999)
    assert deliver(services) == 0
    clock.advance(0.001)
    assert deliver(services) == 1


def test_a_clock_that_is_set_back_does_not_block_the_gateway(start, clock, gateway) -> None:
    services = start(1, GATEWAY_PER_HOUR="1")
    deliver(services)
    clock.advance(-7_200)
    start(1, GATEWAY_PER_HOUR="1")
    deliver(services)
    assert len(gateway.handed) == 2


# Faults of the whole gateway


def test_a_fault_of_the_whole_gateway_pauses_it_instead_of_trying_each_message(start, clock, gateway, caplog) -> None:
    gateway.act = lambda _: Later(pause=True, reason="wrong password")
    gateway.limits = Limits()
    services = start(5)
    deliver(services)
    assert len(gateway.handed) == 1
    assert "The gateway gateway is paused until" in caplog.text
    assert "wrong password" in caplog.text
    state = services.gateways["gateway"].get_status().state
    assert (state.faults, state.fault) == (1, "wrong password")


def test_the_log_of_a_pause_names_the_provider_s_address(start, gateway, caplog) -> None:
    gateway.act = lambda _: Later(pause=True, reason="wrong password")
    gateway.peer = "sms.example:8443"
    deliver(start(1))
    assert "The gateway gateway (sms.example:8443) is paused until" in caplog.text


def test_a_message_that_was_not_tried_for_a_fault_keeps_its_attempts(start, clock, gateway, execute) -> None:
    gateway.act = lambda _: Later(pause=True)
    services = start()
    for _ in range(5):
        deliver(services)
        clock.advance(100)
    assert execute("SELECT attempts, state FROM messages") == [(0, "unconfirmed")]
    assert execute("SELECT count(*) FROM message_attempts") == [(0,)]


def test_pauses_grow_and_one_message_tries_after_each(start, clock, gateway) -> None:
    gateway.act = lambda _: Later(pause=True)
    services = start(10)
    tries = []
    for second in range(400):
        before = len(gateway.handed)
        deliver(services)
        tries += [second] * (len(gateway.handed) - before)
        clock.advance(1)
    singles = tries[9:]  # the first batch had ten messages
    gaps = [after - before for before, after in pairwise(singles)]
    assert len(singles) == len({*singles})
    assert gaps[0] <= 2
    assert 45 <= max(gaps) <= 61


def test_the_provider_may_ask_for_a_longer_pause(start, clock, gateway) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=300)
    services = start()
    deliver(services)
    clock.advance(299)
    deliver(services)
    assert len(gateway.handed) == 1
    clock.advance(1)
    deliver(services)
    assert len(gateway.handed) == 2


@pytest.mark.parametrize("outcome", [Taken(), Refused("cannot_receive_sms")])
def test_after_a_fault_has_ended_all_messages_leave(start, clock, gateway, outcome: Outcome) -> None:
    gateway.act = lambda _: Later(pause=True)
    services = start(5)
    deliver(services)
    gateway.act = lambda _: outcome
    clock.advance(2)
    gateway.handed.clear()
    assert deliver(services) == 5
    state = services.gateways["gateway"].get_status().state
    assert (state.faults, state.paused_until) == (0, None)


def test_after_a_pause_the_messages_leave_in_the_order_in_which_they_were_sent(start, clock, gateway) -> None:
    gateway.limits = Limits()
    outcomes = iter([Taken(), Later(pause=True), Later(pause=True), *[Taken()] * 4])
    gateway.act = lambda _: next(outcomes)
    services = start(5)
    for _ in range(3):
        deliver(services)
        clock.advance(3)
    numbers = [int(message.to[-1]) for message in gateway.handed]
    assert numbers == [0, 1, 1, 1, 2, 3, 4]


def test_doubt_does_not_end_a_fault(start, clock, gateway) -> None:
    gateway.act = lambda _: Later(pause=True)
    services = start(2)
    deliver(services)
    gateway.act = lambda _: Doubt()
    clock.advance(2)
    deliver(services)
    assert services.gateways["gateway"].get_status().state.faults == 1


def test_a_doubt_about_the_whole_gateway_pauses_it_so_that_few_messages_are_in_doubt(
    start, clock, gateway, execute
) -> None:
    gateway.act = lambda _: Doubt("no answer within 10 seconds", pause=True)
    services = start(40)
    for _ in range(60):
        deliver(services)
        clock.advance(1)
    in_doubt = "SELECT count(*) FROM message_attempts WHERE outcome = 'unconfirmed'"
    assert 10 < execute(in_doubt)[0][0] < 20  # one batch, and one message after each pause
    assert services.gateways["gateway"].get_status().state.fault == "no answer within 10 seconds"
    gateway.act = lambda _: Taken()
    clock.advance(60)
    deliver(services)
    (count,) = execute("SELECT count(*) FROM messages WHERE state = 'sent'")[0]
    assert count == 40 - execute(in_doubt)[0][0]


def test_a_doubt_about_one_message_does_not_delay_the_others(start, gateway) -> None:
    gateway.act = lambda _: Doubt()
    assert deliver(start(25)) == 25


def test_the_validity_of_messages_ends_during_a_pause(start, clock, gateway, execute) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=3_600)
    services = start(VALIDITY="60")
    deliver(services)
    clock.advance(61)
    deliver(services)
    assert execute("SELECT state, error_type FROM messages") == [("error", "validity_expired")]
    assert len(gateway.handed) == 1


# The operator


def test_a_held_gateway_gets_nothing_until_it_is_resumed(start, clock, gateway) -> None:
    services = start(3)
    pacing = services.gateways["gateway"].pacing
    pacing.hold(held=True)
    deliver(services)
    clock.advance(3_600)
    deliver(services)
    assert gateway.handed == []
    pacing.hold(held=False)
    assert deliver(services) == 3


def test_resuming_ends_a_pause_after_a_fault(start, gateway) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=3_600)
    services = start()
    deliver(services)
    gateway.act = lambda _: Taken()
    services.gateways["gateway"].pacing.hold(held=False)
    assert deliver(services) == 1


# PHONIFY_ONLY_TO


@pytest.fixture
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the settings know a gateway that is no sandbox."""
    monkeypatch.setitem(GATEWAYS, "once", OnceGateway)


@pytest.mark.usefixtures("_once")
def test_only_the_allowed_numbers_get_messages(make_app, gateway) -> None:
    client = make_app(gateway, GATEWAY="once", ONLY_TO="+14560000001, +14560000002").test_client()
    refused = client.post("/v1/messages", json={"to": TO, "body": "Hello"})
    assert (refused.status_code, refused.get_json()["errors"][0]["type"]) == (402, "recipient_not_permitted")
    assert client.post("/v1/messages", json={"to": "+14560000002", "body": "Hello"}).status_code == 201


@pytest.mark.usefixtures("_once")
def test_a_message_that_was_accepted_before_the_setting_is_not_sent(make_app, gateway, execute) -> None:
    make_app(gateway).test_client().post("/v1/messages", json={"to": TO, "body": "Hello"})
    deliver(make_app(gateway, GATEWAY="once", ONLY_TO="+14560000001").extensions["phonify"])
    assert gateway.handed == []
    assert execute("SELECT error_type FROM messages") == [("recipient_not_permitted",)]


# Calls at the same time


def test_several_calls_run_at_the_same_time_but_no_more_than_allowed(make_app, gateway) -> None:

    barrier, most, running = threading.Barrier(3), [], []

    def act(message: Any) -> None:
        running.append(message.id)
        barrier.wait(10)
        most.append(len(running))
        barrier.wait(10)
        running.remove(message.id)

    gateway.act = act
    gateway.limits = Limits(calls=3)
    app = make_app(gateway)
    for number in range(6):
        app.test_client().post("/v1/messages", json={"to": f"+1456{number:07}", "body": "Hello"})
    assert deliver(app.extensions["phonify"]) == 6
    assert most == [3] * 6


# At the same time


def test_a_call_without_an_outcome_leaves_its_place_to_the_next_message(start, gateway, execute) -> None:
    def fail(message: OutboundMessage) -> None:
        if message.to[-1] in "012":
            raise RuntimeError

    gateway.act, gateway.limits = fail, Limits(calls=2)
    assert deliver(start(8)) == 8
    counted = "SELECT state, count(*) FROM messages GROUP BY state ORDER BY state"
    assert execute(counted) == [("sent", 5), ("unconfirmed", 3)]


def test_a_message_that_was_taken_before_a_fault_does_not_end_the_pause(start, clock, gateway) -> None:
    outcomes = iter([Later(pause=True, retry_after=60), Taken()])
    gateway.act = lambda _: next(outcomes)
    gateway.limits = Limits(batch=2)
    services = start(2)
    deliver(services)
    clock.advance(59)
    assert deliver(services) == 0
    assert services.gateways["gateway"].get_status().state.faults == 1


def test_a_pause_ends_if_the_clock_was_set_back(start, clock, gateway) -> None:
    gateway.act = lambda _: Later(pause=True)
    services = start()
    deliver(services)
    gateway.act = lambda _: Taken()
    clock.advance(-7_200)
    services.make_upkeep().follow_clock()
    assert deliver(services) == 1


def test_a_leased_message_whose_validity_ends_does_not_keep_the_loop_busy(start, clock, gateway) -> None:
    services = start(2, VALIDITY="10", GATEWAY_PER_HOUR="1")
    delivery = services.gateways["gateway"].make_delivery(lease=services.settings.lease)
    with services.database.write() as connection:
        assert len(delivery.claim(connection, "another process")) == 1
    clock.advance(11)
    with services.database.write() as connection:
        delivery.claim(connection, "this process")
    assert delivery.seconds_to_next() == 19  # the end of the lease


def test_an_interrupted_message_is_in_doubt_also_while_the_gateway_is_held(start, clock, gateway, execute) -> None:
    services = start()
    delivery = services.gateways["gateway"].make_delivery(lease=services.settings.lease)
    with services.database.write() as connection:
        assert len(delivery.claim(connection, "another process")) == 1
    services.gateways["gateway"].pacing.hold(held=True)
    clock.advance(31)
    with services.database.write() as connection:
        assert delivery.claim(connection, "this process") == []
    assert execute("SELECT outcome FROM message_attempts") == [("unconfirmed",)]


def test_with_a_tight_limit_the_next_try_waits_for_this_limit(start, clock, gateway) -> None:
    services = start(2, "x" * 155 + "€€€", GATEWAY_PER_SECOND="5", GATEWAY_PER_HOUR="3")
    deliver(services)
    delivery = services.gateways["gateway"].make_delivery(lease=services.settings.lease)
    clock.advance(1)
    with services.database.write() as connection:
        assert delivery.claim(connection, "this process") == []
    assert delivery.seconds_to_next() >= 100
