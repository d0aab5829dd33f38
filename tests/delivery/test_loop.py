"""Tests of the delivery loop: rows of ended processes, faults, and the end of the loop."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from phonify.clock import format_time
from phonify.delivery.loop import Loop
from phonify.delivery.messages import MessageDelivery, MessageOutcome
from phonify.delivery.webhooks import WebhookDelivery, WebhookOutcome
from phonify.domain import accounts
from phonify.domain.webhook_kinds import Result, Verdict
from phonify.gateways.base import Doubt, Limits, Refused, Taken
from phonify.outgoing.http_client import Answer
from phonify.services import Services
from phonify.storage import deliveries as delivery_store
from phonify.storage import outbox as outbox_store
from phonify.storage.process_lock import Owner
from phonify.storage.records import Delivery, Message, WebhookAttempt
from tests.support.app import ROOT
from tests.support.fake_gateway import FakeGateway, OnceGateway, act_as
from tests.support.load import wait_until

TO = "+14560000000"
LEASE = 30  # seconds
WEBHOOK_LEASE = 60


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(batch=10)


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: FakeGateway) -> Flask:
    return make_app(gateway=gateway, WEBHOOK_PRIVATE=True)


@pytest.fixture
def send(client: Any) -> Callable[..., list[str]]:
    """Return a function that sends messages with the API and returns their ids."""

    def send(count: int = 1, **arguments: str) -> list[str]:
        answer = client.post("/v1/messages", json={"to": [TO] * count, "body": "Hello", **arguments})
        return [message["id"] for message in answer.get_json()["messages"]]

    return send


@pytest.fixture
def owner(services: Services) -> Iterator[Owner]:
    """Another process from the view of this process. `close` ends it."""
    owner = Owner(services.database.path)
    yield owner
    owner.close()


# Messages of processes that have ended


@pytest.fixture
def delivery(services: Services, gateway: FakeGateway, clock: Any) -> MessageDelivery:
    """The message delivery of another process."""
    running = services.gateways[gateway.name]
    return running.make_delivery(lease=services.settings.lease)


@pytest.fixture
def take_in_hand(services: Services, delivery: MessageDelivery) -> Callable[[Owner], list[Message]]:
    """Return a function that lets another process lease the due messages."""

    def take_in_hand(owner: Owner) -> list[Message]:
        with services.database.write() as connection:
            return delivery.claim(connection, owner.id)

    return take_in_hand


@pytest.fixture
def rows(execute: Callable[..., list[Any]]) -> Callable[[], list[Any]]:
    columns = "state, attempts, due_at, submitted_at, lease_owner"
    return lambda: execute(f"SELECT {columns} FROM messages ORDER BY seq")


SENT_AGAIN = ("sent", 2, None, None, None)


def test_what_a_process_that_has_ended_had_in_hand_is_delivered_at_once(
    send, owner, take_in_hand, message_loop, gateway, rows
):
    ids = send(3)
    assert len(take_in_hand(owner)) == 3
    owner.close()
    assert message_loop.deliver_due() == 3
    assert [(message.id, message.attempt) for message in gateway.handed] == [(id_, 2) for id_ in ids]
    assert rows() == [SENT_AGAIN] * 3


def test_it_is_delivered_in_the_order_in_which_it_was_due_before_newer_messages(
    send, owner, services, message_loop, gateway, clock
):
    ids = send(5)
    clock.advance(5)
    with services.database.write() as connection:
        due = outbox_store.list_due_messages(connection, gateway=gateway.name, now=format_time(clock.now()), limit=3)
        until = format_time(clock.now())
        outbox_store.lease_messages(
            connection, messages=due, place=gateway.place, owner=owner.id, now=until, until="2026-02-01"
        )
    clock.advance(1)
    ids += send()
    owner.close()
    message_loop.deliver_due()
    assert [message.id for message in gateway.handed] == ids


@pytest.mark.parametrize("ended", [False, True], ids=["the lease", "the process"])
def test_a_late_outcome_is_refused_after_the_end_of(
    ended, send, owner, take_in_hand, delivery, services, message_loop, gateway, clock, execute
):
    send()
    (message,) = take_in_hand(owner)
    if ended:
        owner.close()
    else:
        clock.advance(LEASE)
    gateway.act = act_as(Refused("blocked_by_recipient"))
    assert message_loop.deliver_due() == 1
    before = execute("SELECT * FROM messages"), execute("SELECT * FROM message_attempts")
    with services.database.write() as connection:
        delivery.record(connection, [MessageOutcome(message, Taken(), "t")])
        delivery.record(connection, [MessageOutcome(message, Refused("cannot_receive_sms"), "t")])
        delivery.record(connection, [MessageOutcome(message, Doubt(), "t")])
    assert (execute("SELECT * FROM messages"), execute("SELECT * FROM message_attempts")) == before


def test_a_process_that_lives_keeps_its_leases_until_they_end(send, owner, take_in_hand, message_loop, clock, rows):
    send(2)
    take_in_hand(owner)
    assert message_loop.deliver_due() == 0
    clock.advance(LEASE - 0.001)
    assert message_loop.deliver_due() == 0
    clock.advance(0.001)
    assert message_loop.deliver_due() == 2
    assert rows() == [SENT_AGAIN] * 2


def test_a_running_loop_looks_for_processes_that_have_ended(send, owner, take_in_hand, services, run, rows):
    send(2)
    take_in_hand(owner)
    run(services.make_message_loop(longest_nap=0.05))
    owner.close()
    wait_until(lambda: rows() == [SENT_AGAIN] * 2)


class TestAGatewayThatMustNotRepeat:
    @pytest.fixture
    def gateway(self) -> FakeGateway:
        return OnceGateway()

    def test_what_was_handed_over_stays_in_doubt_without_a_lease(
        self, send, owner, take_in_hand, message_loop, gateway, rows, execute
    ):
        ids = send(3)
        assert len(take_in_hand(owner)) == 1
        owner.close()
        assert message_loop.deliver_due() == 2
        assert [(message.id, message.attempt) for message in gateway.handed] == [(id_, 1) for id_ in ids[1:]]
        doubt = ("unconfirmed", 1, "2026-02-01T09:30:00.000Z", "2026-01-31T09:30:00.000Z", None)
        assert rows() == [doubt, ("sent", 1, None, None, None), ("sent", 1, None, None, None)]
        assert execute("SELECT attempt, outcome FROM message_attempts") == [(1, "unconfirmed")]

    def test_one_message_at_a_time_is_handed_over(self, send, message_loop, gateway, execute):
        seen = []
        gateway.act = lambda _: seen.extend(execute("SELECT count(*) FROM messages WHERE submitted_at IS NOT NULL"))
        send(5)
        message_loop.deliver_due()
        assert seen == [(1,)] * 5


# A separate process. Its gateway prints each message and waits for a line

PROCESS = """
import sys
from datetime import datetime
from pathlib import Path
from phonify import create_app
from phonify.clock import SystemClock
from tests.support.fake_gateway import FakeGateway

class Clock(SystemClock):
    def now(self):
        return datetime.fromisoformat(sys.argv[2])

def wait(message):
    print(message.id, flush=True)
    sys.stdin.readline()

GATEWAY = FakeGateway(wait, batch=10)
app = create_app({"DATABASE": Path(sys.argv[1]), "API_KEY": "test-key"}, clock=Clock(), gateway=GATEWAY)
app.extensions["phonify"].make_message_loop().deliver_due()
app.extensions["phonify"].close()
"""


@pytest.fixture
def process(services: Services, clock: Any, send: Callable[..., list[str]]) -> Iterator[subprocess.Popen[str]]:
    """A process that is sending three messages."""
    ids = send(3)
    command = [sys.executable, "-c", PROCESS, str(services.database.path), clock.now().isoformat()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{ids[0]}\n"
        yield process
        process.kill()


def test_what_a_process_that_was_killed_had_in_hand_is_delivered_at_once(
    process, message_loop, services, gateway, rows, tmp_path
):
    assert services.make_message_loop().deliver_due() == 0
    process.kill()
    process.wait()
    assert message_loop.deliver_due() == 3
    assert ([message.attempt for message in gateway.handed], rows()) == ([2, 2, 2], [SENT_AGAIN] * 3)
    assert list(tmp_path.glob("*-owner-*")) == []


def test_a_process_that_stands_still_keeps_its_leases_until_they_end_and_its_late_outcomes_are_refused(
    process, message_loop, services, gateway, clock, rows
):
    process.send_signal(signal.SIGSTOP)
    assert services.make_message_loop().deliver_due() == 0
    clock.advance(LEASE)
    gateway.act = act_as(Refused("blocked_by_recipient"))
    assert message_loop.deliver_due() == 3
    process.send_signal(signal.SIGCONT)
    process.communicate("\n\n\n")
    assert process.returncode == 0
    assert rows() == [("error", 2, None, None, None)] * 3


# Webhooks of processes that have ended


@pytest.fixture
def events(services: Services, receiver: Any, clock: Any) -> list[str]:
    """The ids of three due events."""
    account = accounts.ensure_default_account(services.database, clock)
    services.webhooks.set_url(account, receiver.url)
    return [services.webhooks.send_test(account) for _ in range(3)]


@pytest.fixture
def webhook_delivery(services: Services, clock: Any) -> WebhookDelivery:
    """The webhook delivery of another process."""
    return WebhookDelivery(services.database, clock, services.webhooks, lease=services.settings.lease)


@pytest.fixture
def webhook_rows(execute: Callable[..., list[Any]]) -> Callable[[], list[Any]]:
    return lambda: execute("SELECT state, attempts, due_at, lease_owner FROM webhook_deliveries ORDER BY seq")


@pytest.fixture
def take_events(services: Services, clock: Any) -> Callable[..., list[Delivery]]:
    """Return a function that lets another process lease the due events."""

    def take_events(owner: Owner, limit: int) -> list[Delivery]:
        times = {"now": format_time(clock.now()), "until": format_time(clock.now() + timedelta(seconds=WEBHOOK_LEASE))}
        with services.database.write() as connection:
            return [*delivery_store.lease_deliveries(connection, account_id=1, owner=owner.id, limit=limit, **times)]

    return take_events


def test_events_of_a_process_that_has_ended_are_posted_at_once_before_newer_ones(
    events, services, owner, take_events, receiver, clock, webhook_rows
):
    clock.advance(5)
    assert len(take_events(owner, 2)) == 2
    clock.advance(1)
    poster = services.make_webhook_loop()
    owner.close()
    assert poster.deliver_due() == 3
    posted = [received.headers["webhook-id"] for received in receiver.received]
    assert (posted[0], sorted(posted)) == (
        events[0],
        sorted(events),
    )  # after a quick answer, several events are posted in parallel
    assert webhook_rows() == [("delivered", 2, None, None)] * 2 + [("delivered", 1, None, None)]


def test_a_process_that_lives_keeps_its_events_until_the_lease_ends(
    events, services, owner, take_events, clock, webhook_rows
):
    assert len(take_events(owner, 3)) == 3
    poster = services.make_webhook_loop()
    assert poster.deliver_due() == 0
    clock.advance(WEBHOOK_LEASE - 0.001)
    assert poster.deliver_due() == 0
    clock.advance(0.001)
    assert poster.deliver_due() == 3
    assert webhook_rows() == [("delivered", 2, None, None)] * 3


def test_a_late_failure_puts_off_no_event_that_another_process_has_taken_over(
    events, services, owner, take_events, webhook_delivery
):
    leased = take_events(owner, 3)
    with services.database.write() as connection:
        delivery_store.end_leases(connection, owner=owner.id)
        webhook_delivery.claim(connection, "other")
        before = connection.execute("SELECT * FROM webhook_deliveries").fetchall()
        for delivery in leased:
            attempt = WebhookAttempt(delivery.attempts, "t", 1, 500, "", None)
            result = Result(delivery, None, Answer(500, ""), None, Verdict(accepted=False))
            webhook_delivery.record(connection, [WebhookOutcome(result, attempt)])
            last = result._replace(delivery=delivery._replace(retries=11))
            webhook_delivery.record(connection, [WebhookOutcome(last, attempt)])
        assert connection.execute("SELECT * FROM webhook_deliveries").fetchall() == before


# The loop


@pytest.fixture
def run(services: Services) -> Iterator[Callable[[Loop[Any, Any]], threading.Thread]]:
    """Return a function that runs a loop until the test ends."""
    threads = []

    def run(loop: Loop[Any, Any]) -> threading.Thread:
        threads.append(threading.Thread(target=loop.run))
        threads[-1].start()
        return threads[-1]

    services.share_wakeups()
    yield run
    services.stop()
    for thread in threads:
        thread.join()


@pytest.fixture
def run_until_woken(run: Callable[..., threading.Thread], services: Services) -> Callable[[], threading.Thread]:
    """Return a function that runs a loop for messages. The loop continues only after a wake-up."""
    return lambda: run(services.make_message_loop(longest_nap=3_600))


@pytest.fixture
def states(execute: Callable[..., list[Any]]) -> Callable[[], list[str]]:
    return lambda: [state for (state,) in execute("SELECT state FROM messages ORDER BY seq")]


def test_a_running_loop_finds_what_was_stored_before_it_started_and_is_woken_by_what_is_accepted(
    send, run_until_woken, states
):
    send()
    run_until_woken()
    wait_until(lambda: states() == ["sent"])
    send()
    wait_until(lambda: states() == ["sent", "sent"])


def test_a_running_loop_is_woken_by_a_message_that_is_changed_to_go_now(send, client, run_until_woken, states):
    (message_id,) = send(send_at="2099-01-31T09:30:00Z")
    run_until_woken()
    client.put(f"/v1/messages/{message_id}", data={"send_at": "2020-01-31T09:30:00Z"})
    wait_until(lambda: states() == ["sent"])


def test_a_running_loop_looks_for_messages_that_another_server_accepts(make_app, services, run, states):
    run(services.make_message_loop(longest_nap=0.05))
    make_app(FakeGateway()).test_client().post("/v1/messages", data={"to": TO, "body": "Hello"})
    wait_until(lambda: states() == ["sent"])


def test_a_running_loop_ends_when_the_server_is_stopping_and_leaves_no_file(run_until_woken, services, tmp_path):
    thread = run_until_woken()
    wait_until(lambda: list(tmp_path.glob("*-owner-*")))
    services.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert list(tmp_path.glob("*-owner-*")) == []


def test_a_loop_that_is_stopped_while_it_sends_records_the_outcome(send, run_until_woken, services, gateway, states):
    gateway.act = lambda _: services.stop()
    gateway.limits = Limits()
    send(2)
    run_until_woken().join(10)
    assert states() == ["sent", "unconfirmed"]


@pytest.mark.slow
def test_a_running_loop_pauses_while_the_database_is_locked_and_goes_on(
    send, run_until_woken, gateway, lock_database, states, caplog
):
    lockers: list[sqlite3.Connection] = []
    locked, unlock = threading.Event(), threading.Event()

    def act(_: object) -> None:
        locked.set()
        unlock.wait(10)

    gateway.act = act
    send()
    run_until_woken()
    locked.wait(10)
    lockers.append(lock_database())
    unlock.set()
    paused = "messages: the delivery is paused, because the database can't be used: database is locked"
    wait_until(lambda: paused in caplog.text)
    lockers[0].execute("ROLLBACK")
    wait_until(lambda: states() == ["sent"])
    assert len(gateway.handed) == 1


class Counting:
    """Delivers numbers. Its first check for due numbers fails."""

    name = "numbers"

    def __init__(self) -> None:
        self.due = [1, 2, 3]
        self.recorded: list[int] = []
        self.failed = False

    def seconds_to_next(self) -> float:
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError
        return 0 if self.due else 3_600

    def claim(self, connection: sqlite3.Connection, owner: str) -> list[int]:
        jobs, self.due = self.due, []
        return jobs

    def record(self, connection: sqlite3.Connection, outcomes: Any) -> None:
        self.recorded += outcomes

    def deliver(self, jobs: Any, finish: Callable[[int], None]) -> None:
        for job in jobs:
            threading.Timer(0.05, finish, [job * 10]).start()

    def list_owners(self, connection: sqlite3.Connection) -> list[str]:
        return []

    def end_leases(self, connection: sqlite3.Connection, owner: str) -> None:
        raise AssertionError("nobody has leases")


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def counting_loop(services: Services, counting: Counting) -> Loop[int, int]:
    return Loop(services.database, services.message_wakeup, counting, longest_nap=3_600, grace=10)


@pytest.mark.slow
def test_a_running_loop_goes_on_after_an_unexpected_error(counting_loop, counting, run, caplog):
    run(counting_loop)
    wait_until(lambda: sorted(counting.recorded) == [10, 20, 30])
    assert "numbers: the delivery is paused after an unexpected error" in caplog.text


def test_a_running_loop_finishes_what_is_in_hand_before_it_ends(counting_loop, counting, run, services):
    counting.failed = True
    thread = run(counting_loop)
    wait_until(lambda: counting.due == [])
    services.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert sorted(counting.recorded) == [10, 20, 30]
