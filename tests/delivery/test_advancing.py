"""Tests of an advance of the clock: look-ups, parts of texts, leases, other processes, and an end on the way."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from phonify.clock import format_time
from phonify.domain import accounts
from phonify.errors import StoreUnavailable
from phonify.gateways.base import Doubt, Later, OutboundMessage
from phonify.gateways.events import Part, Receipt, Received
from phonify.services import Services
from phonify.storage import outbox as outbox_store
from phonify.storage.advancing import Ended
from phonify.storage.process_lock import Owner
from tests.support.app import FakeClock
from tests.support.fake_gateway import FakeGateway
from tests.support.receivers import Receiver, status

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


class SandboxGateway(FakeGateway):
    """A gateway that sends nothing, and can be asked about messages."""

    name = "stub"
    sandbox = True
    can_look_up = True

    def look_up(self, message: OutboundMessage, references: Any) -> list[Receipt]:
        self.looked_up.append(message.id)
        return [Receipt("delivered", message_id=message.id)] if len(self.looked_up) == 3 else []

    looked_up: list[str]


@pytest.fixture
def gateway() -> SandboxGateway:
    gateway = SandboxGateway()
    gateway.looked_up = []
    return gateway


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: SandboxGateway) -> Flask:
    return make_app(gateway)


@pytest.fixture
def owner(services: Services) -> Iterator[Owner]:
    """Another process, which is alive."""
    owner = Owner(services.database.path)
    yield owner
    owner.close()


@pytest.fixture
def hook(services: Services, clock: FakeClock, receiver: Receiver) -> None:
    account = accounts.ensure_default_account(services.database, clock)
    services.webhooks.set_url(account, receiver.url)


def lease(services: Services, owner: Owner, until: datetime) -> None:
    """Let another process take all due messages in hand."""
    now = format_time(services.clock.now())
    with services.database.write() as connection:
        messages = outbox_store.list_due_messages(connection, gateway="stub", now=now, limit=100)
        outbox_store.lease_messages(
            connection,
            messages=messages,
            place=services.gateway.place,
            owner=owner.id,
            now=now,
            until=format_time(until),
        )


def test_a_message_in_doubt_is_looked_up(services: Services, gateway: SandboxGateway, send: Any) -> None:
    gateway.act = lambda _: Doubt()
    message = send()["id"]
    done = services.make_advancing().advance(HOUR)
    assert (done.ended, gateway.looked_up) == (Ended(sent=1, receipts=1), [message] * 3)


def test_the_parts_of_a_text_are_joined_when_the_missing_part_does_not_come(services: Services) -> None:
    inbound, number = services.inbound, services.settings.origin
    text = Received("+14560000000", "Hello ", "1", number, part=Part("7", 2, 1))
    with services.database.write() as connection:
        inbound.take(connection, "stub", [text], services.clock.now())
    assert services.make_advancing().advance(timedelta(minutes=9)).ended == Ended()
    assert services.make_advancing().advance(timedelta(minutes=1)).ended == Ended(received=1)


def test_a_gateway_that_is_paused_gets_nothing_and_its_messages_expire(services: Services, send: Any) -> None:
    services.gateways["stub"].pacing.hold(held=True)
    send()
    assert services.make_advancing().advance(DAY).ended == Ended(expired=1)


def test_the_limits_of_a_gateway_hold_by_the_clock(
    make_app: Callable[..., Flask], gateway: SandboxGateway, client: Any
) -> None:
    services = make_app(gateway, GATEWAY_PER_MINUTE=2).extensions["phonify"]
    client.post("/v1/messages", json={"to": [f"+1456000000{digit}" for digit in range(6)], "body": "Hello"})
    counts = [services.make_advancing().advance(timedelta(seconds=by)).ended.sent for by in (0, 59, 1, 120)]
    assert counts == [2, 0, 2, 2]


# The machine's clock


def test_a_lease_ends_by_the_machines_clock_while_the_clock_stands_still(
    services: Services, clock: FakeClock, gateway: SandboxGateway, owner: Owner, send: Any
) -> None:
    services.clock.freeze()
    send()
    lease(services, owner, clock.now() + timedelta(seconds=30))
    loop = services.make_message_loop()
    clock.advance(29)
    assert loop.deliver_due() == 0
    clock.advance(1)
    assert loop.deliver_due() == 1


def test_a_lease_does_not_end_by_the_servers_clock(
    services: Services, clock: FakeClock, gateway: SandboxGateway, owner: Owner, send: Any
) -> None:
    send()
    lease(services, owner, clock.now() + timedelta(seconds=30))
    services.clock.set_to(clock.now() + HOUR, frozen=False)
    assert services.make_message_loop().deliver_due() == 0
    clock.advance(30)
    assert services.make_message_loop().deliver_due() == 1


def test_a_lease_of_an_event_ends_by_the_machines_clock(
    services: Services, clock: FakeClock, make_receiver: Callable[..., Receiver], send: Any
) -> None:
    slow = make_receiver()
    slow.act = slow.hang
    services.webhooks.set_url(accounts.ensure_default_account(services.database, clock), slow.url)
    send()
    services.make_message_loop().deliver_due()
    loop, other = services.make_webhook_loop(), services.make_webhook_loop()
    loop.step()
    slow.wait_for(1)
    services.clock.set_to(clock.now() + YEAR, frozen=False)
    assert not other.step()
    clock.advance(60)
    assert other.step()
    slow.wait_for(2)


def test_an_advance_does_not_pass_what_another_process_has_in_hand(
    services: Services, clock: FakeClock, owner: Owner, send: Any
) -> None:
    send()
    lease(services, owner, clock.now() + timedelta(seconds=30))
    done = services.make_advancing().advance(DAY, most_seconds=0.05)
    assert (done.finished, done.ended_at, done.ended) == (False, done.begun_at, Ended())
    owner.close()  # the process ends
    done = services.make_advancing().advance(DAY)
    assert (done.finished, done.ended) == (True, Ended(sent=1, receipts=1))


# An end on the way


def test_an_advance_stops_after_its_time_and_the_next_one_goes_on(
    services: Services, clock: FakeClock, receiver: Receiver, hook: None, send: Any
) -> None:
    receiver.act = status(500)
    send()
    first = services.make_advancing().advance(YEAR, most_seconds=0)
    assert not first.finished
    assert first.ended_at < first.target
    second = services.make_advancing().advance(clock.now() + YEAR)
    assert (second.begun_at, second.ended_at, second.finished) == (first.ended_at, first.target, True)
    assert (first.ended, second.ended) == (Ended(), Ended(sent=1, receipts=1, failed_webhooks=2))  # sent, and delivered


def test_a_stop_of_the_server_ends_an_advance(services: Services, receiver: Receiver, hook: None, send: Any) -> None:
    def stop(*given: Any) -> None:
        services.stop()
        status(500)(*given)

    receiver.act = stop
    send()
    done = services.make_advancing().advance(YEAR)
    assert not done.finished
    assert done.ended_at < done.target


def test_two_messages_that_answer_each_other_for_ever_do_not_hold_the_answer(
    services: Services, clock: FakeClock, receiver: Receiver, hook: None, send: Any
) -> None:
    def answer(*given: Any) -> None:
        send()
        status(204)(*given)

    receiver.act = answer
    send()
    done = services.make_advancing().advance(YEAR, most_seconds=0.5)
    assert (done.finished, done.ended_at) == (False, done.begun_at)
    assert done.ended.sent > 1


def test_a_clock_that_ran_runs_on_after_a_fault(
    services: Services, app: Flask, clock: FakeClock, send: Any, execute: Any
) -> None:
    send()
    execute("CREATE TRIGGER fault BEFORE UPDATE OF state ON messages BEGIN SELECT raise(FAIL, 'a fault'); END")
    with pytest.raises(Exception, match="a fault"):
        services.make_advancing().advance(HOUR)
    assert not services.clock.get_status().frozen


def test_an_advance_counts_what_other_processes_do(
    services: Services, clock: FakeClock, send: Any, gateway: SandboxGateway
) -> None:
    loops = services.start_delivery(longest_nap=0.001)
    for hours in range(1, 21):
        send(send_at=format_time(clock.now() + hours * HOUR))
    done = services.make_advancing().advance(DAY)
    services.stop()
    for loop in loops:
        loop.join()
    assert done.ended.sent == 20
    assert len({message.id for message in gateway.handed}) == len(gateway.handed) == 20


# Back to the real time


def test_what_would_wait_too_long_after_a_reset_is_due_at_once(
    services: Services, clock: FakeClock, gateway: SandboxGateway, send: Any
) -> None:
    upkeep = services.make_upkeep()
    services.make_advancing().advance(YEAR)
    upkeep.step()
    gateway.act = lambda _: Later(retry_after=3_600)
    send()
    services.make_message_loop().deliver_due()
    gateway.act = lambda _: None
    services.clock.reset()
    upkeep.step()
    assert services.make_message_loop().deliver_due() == 1


def test_the_clock_goes_on_if_the_database_can_not_be_read(
    services: Services, clock: FakeClock, lose_database: Callable[[], None]
) -> None:
    services.clock.freeze()
    clock.advance(60)
    assert services.clock.now() == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    lose_database()
    assert services.clock.now() == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    with pytest.raises(StoreUnavailable):
        services.clock.run_on()
