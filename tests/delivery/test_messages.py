"""Tests of message delivery: the four outcomes, retries, attempts, leases, crashes and slow gateways."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask

from phonify.clock import format_time
from phonify.delivery.calls import retry_delay
from phonify.delivery.loop import Loop
from phonify.errors import StoreUnavailable
from phonify.gateways.base import Doubt, Later, Limits, OutboundMessage, Outcome, Refused, Taken
from phonify.services import Services
from tests.support.fake_gateway import FakeGateway, OnceGateway, PowerCut, act_as

TO = "+14560000000"
START = "2026-01-31T09:30:00.000Z"


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: FakeGateway) -> Flask:
    return make_app(gateway=gateway)


@pytest.fixture
def send(app: Flask) -> Callable[..., list[str]]:
    """Return a function that sends messages with the API and returns their ids."""

    def send(count: int = 1, **arguments: str) -> list[str]:
        recipients = [f"+1456000{number:04d}" for number in range(count)]
        answer = app.test_client().post("/v1/messages", json={"to": recipients, "body": "Hello", **arguments})
        assert answer.status_code == 201
        return [message["id"] for message in answer.json["messages"]]

    return send


@pytest.fixture
def rows(services: Services) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that reads the whole table, oldest first."""

    def read() -> list[dict[str, Any]]:
        connection = sqlite3.connect(services.settings.database)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute("SELECT * FROM messages ORDER BY seq")]
        finally:
            connection.close()

    return read


@pytest.fixture
def row(rows: Callable[[], list[dict[str, Any]]]) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the only row."""

    def read() -> dict[str, Any]:
        (only,) = rows()
        return only

    return read


@pytest.fixture
def attempts(services: Services) -> Callable[[], list[tuple[Any, ...]]]:
    """Return a function that reads the stored attempts, oldest first."""

    def read() -> list[tuple[Any, ...]]:
        with services.database.reading() as connection:
            return connection.execute("SELECT * FROM message_attempts ORDER BY message_id, attempt").fetchall()

    return read


@pytest.fixture
def other_loop(make_app: Callable[..., Flask], gateway: FakeGateway) -> Loop[Any, Any]:
    """The loop of another app on the same database. It stands for another process."""
    return make_app(gateway=gateway).extensions["phonify"].make_message_loop()


@pytest.fixture
def locker(services: Services) -> Iterator[sqlite3.Connection]:
    """A connection that can lock the database. The app does not wait for the lock."""
    services.database.busy_timeout = 0.0
    services.database.close()
    connection = sqlite3.connect(services.settings.database, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


# The four outcomes


def test_a_message_that_the_gateway_takes_is_sent(send, message_loop, row):
    send()
    assert message_loop.deliver_due() == 1
    assert (row()["state"], row()["finished_at"], row()["due_at"], row()["submitted_at"]) == ("sent", START, None, None)


def test_the_gateway_is_given_the_message_and_the_number_of_the_attempt(send, message_loop, gateway):
    (message_id,) = send(origin="+15005550006")
    message_loop.deliver_due()
    assert gateway.handed == [OutboundMessage(message_id, "+15005550006", "+14560000000", "Hello", 1)]


def test_a_message_that_the_gateway_rejects_ends_in_error_with_its_type(send, message_loop, gateway, row):
    gateway.act = act_as(Refused("blocked_by_recipient"))
    send()
    message_loop.deliver_due()
    assert (row()["state"], row()["error_type"], row()["finished_at"]) == ("error", "blocked_by_recipient", START)


def test_a_rejected_message_is_never_handed_over_again(send, message_loop, gateway, clock):
    gateway.act = act_as(Refused("cannot_receive_sms"))
    send()
    message_loop.deliver_due()
    clock.advance(86_400)
    message_loop.deliver_due()
    assert len(gateway.handed) == 1


def test_a_message_for_which_the_gateway_is_unavailable_is_tried_again_after_a_while(
    send, message_loop, gateway, clock, row
):
    gateway.act = act_as(Later())
    send()
    message_loop.deliver_due()
    assert (row()["state"], row()["submitted_at"], len(gateway.handed)) == ("unconfirmed", None, 1)
    gateway.act = lambda _: None
    clock.advance(1)
    message_loop.deliver_due()
    assert (row()["state"], [message.attempt for message in gateway.handed]) == ("sent", [1, 2])


def test_a_message_that_nobody_knows_about_is_not_sent_again(send, message_loop, gateway, clock, row):
    gateway.act = act_as(Doubt())
    send()
    message_loop.deliver_due()
    clock.advance(86_399)
    message_loop.deliver_due()
    assert (row()["state"], len(gateway.handed)) == ("unconfirmed", 1)


def test_a_message_that_nobody_knows_about_ends_in_error_with_its_validity(send, message_loop, gateway, clock, row):
    gateway.act = act_as(Doubt())
    send()
    message_loop.deliver_due()
    clock.advance(86_400)
    message_loop.deliver_due()
    assert (row()["state"], row()["error_type"], len(gateway.handed)) == ("error", "validity_expired", 1)


def test_an_unexpected_exception_of_the_gateway_leaves_the_message_in_doubt(send, message_loop, gateway, clock, row):
    gateway.act = act_as(ZeroDivisionError())
    send()
    message_loop.deliver_due()
    clock.advance(3_600)
    message_loop.deliver_due()
    assert (row()["state"], row()["due_at"], len(gateway.handed)) == ("unconfirmed", "2026-02-01T09:30:00.000Z", 1)


def test_an_unexpected_exception_of_the_gateway_does_not_stop_the_others(send, message_loop, gateway, rows):
    def act(message: OutboundMessage) -> None:
        if message.to == "+14560000001":
            raise ZeroDivisionError

    gateway.act = act
    send(3)
    message_loop.deliver_due()
    assert [row["state"] for row in rows()] == ["sent", "unconfirmed", "sent"]


def test_outcomes_of_one_batch_each_reach_their_own_message(send, message_loop, gateway, rows):
    outcomes = {
        "+14560000001": Refused("cannot_receive_sms"),
        "+14560000002": Later(),
        "+14560000003": Doubt(),
        "+14560000004": Refused("blocked_by_recipient"),
    }

    gateway.act = lambda message: outcomes.get(message.to)
    send(5)
    message_loop.deliver_due()
    assert [(row["state"], row["error_type"]) for row in rows()] == [
        ("sent", None),
        ("error", "cannot_receive_sms"),
        ("unconfirmed", None),
        ("unconfirmed", None),
        ("error", "blocked_by_recipient"),
    ]


def test_more_messages_than_a_batch_are_all_delivered_oldest_first(send, message_loop, gateway, rows):
    ids = send(gateway.limits.window + 1)
    assert message_loop.deliver_due() == gateway.limits.window + 1
    assert [message.id for message in gateway.handed] == ids
    assert {row["state"] for row in rows()} == {"sent"}


def test_a_scheduled_message_is_not_handed_over_before_its_time(send, message_loop, gateway, clock):
    send(send_at="2026-01-31T10:00:00Z")
    clock.advance(1_799.999)
    message_loop.deliver_due()
    before = len(gateway.handed)
    clock.advance(0.001)
    message_loop.deliver_due()
    assert (before, len(gateway.handed)) == (0, 1)


def test_a_cancelled_message_is_never_handed_over(app, send, message_loop, gateway, clock):
    (message_id,) = send(send_at="2026-01-31T10:00:00Z")
    assert app.test_client().delete(f"/v1/messages/{message_id}").status_code == 200
    clock.advance(86_400)
    message_loop.deliver_due()
    assert gateway.handed == []


# Retries


@pytest.mark.parametrize(
    ("attempt", "lowest", "highest"),
    [(1, 0.5, 1), (2, 1, 2), (3, 2, 4), (4, 4, 8), (10, 256, 512), (11, 300, 600), (50, 300, 600), (10_000, 300, 600)],
)
def test_a_delay_doubles_with_each_attempt_up_to_ten_minutes(attempt, lowest, highest):
    delays = [retry_delay(attempt) for _ in range(200)]
    assert lowest <= min(delays)
    assert max(delays) <= highest


def test_delays_are_spread_over_their_range():
    delays = [retry_delay(4) for _ in range(400)]
    assert min(delays) < 4.6
    assert max(delays) > 7.4


def test_delays_of_one_message_grow_until_its_validity_ends(send, message_loop, gateway, clock, row):
    gateway.act = act_as(Later())
    send()
    times = []
    while row()["state"] == "unconfirmed":
        message_loop.deliver_due()
        times.append(clock.moment)
        if row()["due_at"]:
            clock.moment = datetime.fromisoformat(row()["due_at"])
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert 0.5 <= gaps[0] <= 1
    assert 256 <= gaps[9] <= 512
    assert max(gaps) <= 600
    # In a day, there are 9 attempts in the first 256 to 512 seconds. Then there is one attempt every 300 to 600
    # seconds.
    assert 150 <= len(gateway.handed) <= 300


def test_a_gateway_that_says_when_to_try_again_is_obeyed(send, message_loop, gateway, row):
    gateway.act = act_as(Later(retry_after=90))
    send()
    message_loop.deliver_due()
    assert row()["due_at"] == "2026-01-31T09:31:30.000Z"


def test_a_time_to_try_again_past_the_validity_is_cut_to_it(send, message_loop, gateway, row):
    gateway.act = act_as(Later(retry_after=200_000))
    send()
    message_loop.deliver_due()
    assert row()["due_at"] == "2026-02-01T09:30:00.000Z"


def test_a_time_to_try_again_beyond_all_calendars_is_cut_to_the_validity(send, message_loop, gateway, row):
    gateway.act = act_as(Later(retry_after=1e300))
    send()
    message_loop.deliver_due()
    assert row()["due_at"] == "2026-02-01T09:30:00.000Z"


@pytest.mark.parametrize("retry_after", [0, -5])
def test_a_gateway_that_says_to_try_again_at_once_is_not_called_without_a_pause(
    send, message_loop, gateway, retry_after
):
    gateway.act = lambda _: Later(retry_after=retry_after) if len(gateway.handed) < 20 else None
    send()
    message_loop.deliver_due()
    assert len(gateway.handed) == 1


def test_validity_ends_a_message_that_was_only_ever_unavailable(send, message_loop, gateway, clock, row):
    gateway.act = act_as(Later(retry_after=200_000))
    send()
    message_loop.deliver_due()
    clock.advance(86_400)
    message_loop.deliver_due()
    assert (row()["state"], row()["error_type"], row()["finished_at"], len(gateway.handed)) == (
        "error",
        "validity_expired",
        "2026-02-01T09:30:00.000Z",
        1,
    )


def test_a_message_found_only_after_its_validity_is_not_sent(send, message_loop, gateway, clock, row):
    send()
    clock.advance(86_400)
    message_loop.deliver_due()
    assert (row()["state"], row()["error_type"], gateway.handed) == ("error", "validity_expired", [])


def test_the_validity_of_a_scheduled_message_begins_with_its_time(send, message_loop, clock, row):
    send(send_at="2026-02-10T09:30:00Z")
    clock.advance(10 * 86_400 + 86_399)
    message_loop.deliver_due()
    assert row()["state"] == "sent"


def test_the_validity_period_is_a_setting(make_app, clock):
    app = make_app(gateway=FakeGateway(act_as(Doubt())), VALIDITY=timedelta(seconds=60))
    client = app.test_client()
    message_id = client.post("/v1/messages", data={"to": TO, "body": "Hello"}).json["message"]["id"]
    message_loop = app.extensions["phonify"].make_message_loop()
    message_loop.deliver_due()
    clock.advance(60)
    message_loop.deliver_due()
    assert client.get(f"/v1/messages/{message_id}").json["message"]["errors"][0]["type"] == "validity_expired"


# Stored attempts


def test_an_attempt_that_the_gateway_takes_leaves_no_record(send, message_loop, attempts):
    send()
    message_loop.deliver_due()
    assert attempts() == []


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (Refused("cannot_receive_sms"), "rejected"),
        (Doubt(), "unconfirmed"),
        (ZeroDivisionError(), "unconfirmed"),
    ],
)
def test_an_attempt_that_the_gateway_does_not_take_is_on_record(
    send, message_loop, gateway, attempts, failure, outcome
):
    gateway.act = act_as(failure)
    (message_id,) = send()
    message_loop.deliver_due()
    assert attempts() == [(message_id, 1, START, outcome, None)]


def test_attempts_that_are_repeated_are_on_record_with_the_time_of_the_next(
    send, message_loop, gateway, attempts, clock, row
):
    gateway.act = lambda message: message.attempt <= 2 and act_as(Later())(message)
    (message_id,) = send()
    expected = []
    for attempt in (1, 2):
        now = format_time(clock.moment)
        message_loop.deliver_due()
        expected.append((message_id, attempt, now, "unavailable", row()["due_at"]))
        clock.advance(10)
    message_loop.deliver_due()
    assert (attempts(), row()["state"]) == (expected, "sent")


def test_a_late_report_is_not_on_record(send, message_loop, other_loop, gateway, clock, attempts):
    def act(message: OutboundMessage) -> Outcome:
        if message.attempt > 1:
            return Taken()
        clock.advance(30)
        other_loop.deliver_due()
        return Later()

    gateway.act = act
    send()
    message_loop.deliver_due()
    assert attempts() == []


# Leases and fencing


def test_while_it_is_handed_over_a_message_is_leased_with_its_attempt_on_disk(send, message_loop, gateway, row):
    seen = []
    gateway.act = lambda _: seen.append(row())
    send()
    message_loop.deliver_due()
    (leased,) = seen
    assert (leased["state"], leased["attempts"], leased["submitted_at"], leased["due_at"]) == (
        "unconfirmed",
        1,
        START,
        "2026-01-31T09:30:30.000Z",
    )
    assert (leased["lease_owner"] is None, row()["lease_owner"]) == (False, None)


def test_no_transaction_is_open_while_the_gateway_is_called(send, message_loop, gateway, locker):
    def act(_: OutboundMessage) -> None:
        locker.execute("BEGIN EXCLUSIVE")
        locker.execute("ROLLBACK")

    gateway.act = act
    send()
    assert message_loop.deliver_due() == 1


def test_a_leased_message_is_left_alone_by_another_loop(send, message_loop, other_loop, gateway, clock):
    def act(_: OutboundMessage) -> None:
        clock.advance(29.999)
        assert other_loop.deliver_due() == 0

    gateway.act = act
    send()
    message_loop.deliver_due()
    assert len(gateway.handed) == 1


def test_a_lease_that_ran_out_is_taken_up_by_another_loop(send, message_loop, other_loop, gateway, clock, row):
    gateway.act = act_as(PowerCut())
    send()
    with pytest.raises(PowerCut):
        message_loop.deliver_due()
    gateway.act = lambda _: None
    clock.advance(30)
    assert other_loop.deliver_due() == 1
    assert (row()["state"], row()["attempts"]) == ("sent", 2)


def test_the_length_of_a_lease_is_a_setting(make_app, clock):
    gateway = FakeGateway(act_as(PowerCut()))
    app = make_app(gateway=gateway, LEASE=timedelta(seconds=5))
    app.test_client().post("/v1/messages", data={"to": TO, "body": "Hello"})
    with pytest.raises(PowerCut):
        app.extensions["phonify"].make_message_loop().deliver_due()
    gateway.act = lambda _: None
    clock.advance(5)
    assert app.extensions["phonify"].make_message_loop().deliver_due() == 1


def test_the_rest_of_a_batch_that_a_crash_left_is_sent_after_the_lease(
    send, message_loop, other_loop, gateway, clock, rows
):
    def act(message: OutboundMessage) -> None:
        if message.to == "+14560000001":
            raise PowerCut

    gateway.act = act
    send(3)
    with pytest.raises(PowerCut):
        message_loop.deliver_due()
    gateway.act = lambda _: None
    clock.advance(30)
    other_loop.deliver_due()
    assert [row["state"] for row in rows()] == ["sent", "sent", "sent"]


class TestAGatewayThatMustNotRepeat:
    """A gateway that is not repeatable: messages in doubt are not sent again."""

    @pytest.fixture
    def gateway(self) -> FakeGateway:
        return OnceGateway(act_as(PowerCut()))

    def test_what_was_handed_over_before_a_crash_is_not_sent_again(
        self, send, message_loop, other_loop, gateway, clock, row
    ):
        send()
        with pytest.raises(PowerCut):
            message_loop.deliver_due()
        gateway.act = lambda _: None
        clock.advance(30)
        other_loop.deliver_due()
        clock.advance(86_369)
        other_loop.deliver_due()
        assert (row()["state"], len(gateway.handed)) == ("unconfirmed", 1)

    def test_what_a_crash_left_in_doubt_is_on_record_until_the_report_comes(
        self, send, message_loop, other_loop, gateway, clock, attempts
    ):
        seen = []

        def act(_: OutboundMessage) -> None:
            clock.advance(30)
            other_loop.deliver_due()
            seen.extend(attempts())
            return Refused("cannot_receive_sms")

        gateway.act = act
        (message_id,) = send()
        message_loop.deliver_due()
        assert [(attempt, outcome) for _, attempt, _, outcome, _ in seen] == [(1, "unconfirmed")]
        assert [(one, attempt, outcome) for one, attempt, _, outcome, _ in attempts()] == [(message_id, 1, "rejected")]

    def test_what_stays_in_doubt_ends_with_its_validity(self, send, message_loop, other_loop, gateway, clock, row):
        send()
        with pytest.raises(PowerCut):
            message_loop.deliver_due()
        clock.advance(30)
        other_loop.deliver_due()
        clock.advance(86_370)
        other_loop.deliver_due()
        assert (row()["state"], row()["error_type"], len(gateway.handed)) == ("error", "validity_expired", 1)

    def test_the_report_that_comes_after_the_lease_settles_the_doubt(
        self, send, message_loop, other_loop, gateway, clock, row
    ):
        def act(_: OutboundMessage) -> None:
            clock.advance(30)
            other_loop.deliver_due()

        gateway.act = act
        send()
        message_loop.deliver_due()
        assert (row()["state"], len(gateway.handed)) == ("sent", 1)

    def test_what_was_unavailable_is_tried_again(self, send, message_loop, gateway, clock, row):
        gateway.act = act_as(Later())
        send()
        message_loop.deliver_due()
        gateway.act = lambda _: None
        clock.advance(1)
        message_loop.deliver_due()
        assert (row()["state"], len(gateway.handed)) == ("sent", 2)

    def test_what_was_given_back_untouched_is_sent(self, send, message_loop, gateway, clock, rows):
        gateway.act = lambda _: clock.advance(20)
        send(3)
        message_loop.deliver_due()
        assert ([row["state"] for row in rows()], len(gateway.handed)) == (["sent", "sent", "sent"], 3)


@pytest.mark.parametrize("late", [Refused("cannot_receive_sms"), Later(), Doubt(), ZeroDivisionError(), None])
def test_the_late_report_of_a_lost_lease_is_dropped(send, message_loop, other_loop, gateway, clock, row, late):
    def act(message: OutboundMessage) -> None:
        if message.attempt == 1:
            clock.advance(30)
            other_loop.deliver_due()
            if late is not None:
                raise late

    gateway.act = act
    send()
    message_loop.deliver_due()
    assert (row()["state"], row()["error_type"], row()["attempts"]) == ("sent", None, 2)


def test_a_late_report_does_not_touch_the_lease_that_another_loop_has(
    send, message_loop, other_loop, gateway, clock, row
):
    def act(message: OutboundMessage) -> None:
        if message.attempt == 1:
            clock.advance(30)
            with pytest.raises(PowerCut):
                other_loop.deliver_due()
        else:
            raise PowerCut

    gateway.act = act
    send()
    message_loop.deliver_due()
    # The second attempt is still running. Only its own outcome or the end of its lease can settle it.
    assert (row()["state"], row()["attempts"], row()["due_at"]) == ("unconfirmed", 2, "2026-01-31T09:31:00.000Z")


def test_two_loops_on_one_database_never_send_a_message_twice(send, message_loop, other_loop, gateway, rows):
    expected = [message_id for _ in range(4) for message_id in send(300)]
    start = threading.Barrier(2)

    def deliver(one: Loop[Any, Any]) -> None:
        start.wait()
        one.deliver_due()

    threads = [threading.Thread(target=deliver, args=(one,)) for one in (message_loop, other_loop)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(message.id for message in gateway.handed) == expected
    assert {(row["state"], row["attempts"]) for row in rows()} == {("sent", 1)}


# Slow gateways and stopping


def test_a_slow_gateway_keeps_only_the_messages_of_its_window_from_other_processes(
    send, message_loop, other_loop, gateway, clock, rows
):
    def act(_: OutboundMessage) -> None:
        if len(gateway.handed) == 1:
            clock.advance(6)
            other_loop.deliver_due()

    gateway.act = act
    gateway.limits = Limits()
    ids = send(10)
    message_loop.deliver_due()
    assert [message.id for message in gateway.handed] == ids
    assert {(row["state"], row["attempts"]) for row in rows()} == {("sent", 1)}


def test_a_stop_in_the_middle_of_a_batch_gives_the_rest_back_untouched(send, message_loop, gateway, services, rows):
    def act(message: OutboundMessage) -> None:
        services.database.stopping = message.to == "+14560000001"

    gateway.act = act
    gateway.limits = Limits()
    send(4)
    message_loop.deliver_due()
    assert [(row["state"], row["attempts"], row["submitted_at"], row["due_at"]) for row in rows()] == [
        ("sent", 1, None, None),
        ("sent", 1, None, None),
        ("unconfirmed", 0, None, START),
        ("unconfirmed", 0, None, START),
    ]


def test_a_loop_that_is_stopping_takes_nothing_new(send, message_loop, gateway, services):
    send()
    services.database.stopping = True
    assert message_loop.deliver_due() == 0
    assert gateway.handed == []


def test_an_outcome_that_can_not_be_recorded_stops_no_other_outcome(send, message_loop, gateway, rows, caplog):
    gateway.limits = Limits(batch=3)
    gateway.act = lambda message: Taken(("\ud800",)) if message.to == "+14560000001" else Taken()
    send(3)
    message_loop.deliver_due()
    assert [row["state"] for row in rows()] == ["sent", "unconfirmed", "sent"]
    assert "can't be recorded" in caplog.text


def test_another_gateway_does_not_repeat_a_message_that_a_killed_process_had_in_hand(
    make_app, send, services, clock, gateway, rows
):
    class Other(FakeGateway):
        name = "other"

    (id_,) = send()
    delivery = services.gateways[gateway.name].make_delivery(lease=timedelta(seconds=30))
    with services.database.write() as connection:
        assert [message.id for message in delivery.claim(connection, "a process that was killed")] == [id_]
    clock.advance(31)
    other = Other()
    make_app(other).extensions["phonify"].make_message_loop().deliver_due()
    assert (other.handed, [row["state"] for row in rows()]) == ([], ["unconfirmed"])


# A database that can't be used


def test_outcomes_that_could_not_be_recorded_are_recorded_later_and_not_sent_twice(
    send, message_loop, gateway, locker, clock, rows
):
    gateway.act = lambda message: message.to == "+14560000002" and locker.execute("BEGIN IMMEDIATE")
    gateway.limits = Limits(batch=3)
    send(3)
    with pytest.raises(StoreUnavailable):
        message_loop.deliver_due()
    locker.execute("ROLLBACK")
    assert [row["state"] for row in rows()] == ["unconfirmed", "unconfirmed", "unconfirmed"]
    clock.advance(31)  # even after the lease: the process with the outcome records it first
    message_loop.deliver_due()
    assert ([row["state"] for row in rows()], len(gateway.handed)) == (["sent", "sent", "sent"], 3)


def test_nothing_is_handed_over_that_could_not_be_leased(send, message_loop, gateway, locker):
    send()
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        message_loop.deliver_due()
    locker.execute("ROLLBACK")
    assert gateway.handed == []


# Logs


def test_logs_of_a_delivery_have_the_message_id_but_not_the_text_or_the_whole_number(
    send, message_loop, gateway, caplog
):
    caplog.set_level("DEBUG", "phonify")
    outcomes: Iterator[Outcome | Exception | None] = iter(
        [Refused("cannot_receive_sms"), Later(), Doubt(), ZeroDivisionError(), None]
    )

    gateway.act = lambda message: act_as(next(outcomes))(message)
    ids = send(5, body="Secret text")
    message_loop.deliver_due()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    assert all(message_id in line for message_id, line in zip(ids, lines, strict=True))
    assert "Secret text" not in caplog.text
    assert "+1456000000" not in caplog.text


# Batches


class BatchGateway(FakeGateway):
    """Takes up to three messages in a call. `answer` yields the outcomes."""

    limits = Limits(batch=3)

    def __init__(self, answer: Callable[[Sequence[OutboundMessage]], Iterator[tuple[str, Outcome]]]) -> None:
        super().__init__()
        self.answer = answer
        self.sizes: list[int] = []
        self.deadlines: list[float] = []

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        self.sizes.append(len(batch))
        self.deadlines.append(deadline)
        return self.answer(batch)


@pytest.fixture
def send_batches(make_app, execute) -> Callable[..., tuple[list[int], list[tuple[str, str | None]]]]:
    """Return a function that sends messages with such a gateway. It returns the sizes of batches, states and errors."""

    def send_batches(
        count: int, answer: Callable[[Sequence[OutboundMessage]], Iterator[tuple[str, Outcome]]], **options: object
    ) -> tuple[list[int], list[tuple[str, str | None]]]:
        gateway = BatchGateway(answer)
        for name, value in options.items():
            setattr(gateway, name, value)
        app = make_app(gateway=gateway)
        to = [f"+1456000{number:04d}" for number in range(count)]
        app.test_client().post("/v1/messages", json={"to": to, "body": "Hello"})
        app.extensions["phonify"].make_message_loop().deliver_due()
        return gateway.sizes, execute("SELECT state, error_type FROM messages ORDER BY seq")

    return send_batches


def test_a_gateway_gets_no_more_messages_in_a_call_than_it_takes(send_batches):
    sizes, states = send_batches(7, lambda batch: ((message.id, Taken()) for message in batch))
    assert (sizes, states) == ([3, 3, 1], [("sent", None)] * 7)


def test_outcomes_may_come_in_any_order(send_batches):
    def answer(batch: Sequence[OutboundMessage]) -> Iterator[tuple[str, Outcome]]:
        for message in reversed(batch):
            yield message.id, Taken() if message.to.endswith("0") else Refused("cannot_receive_sms")

    _, states = send_batches(3, answer)
    assert states == [("sent", None), ("error", "cannot_receive_sms"), ("error", "cannot_receive_sms")]


def test_messages_without_an_outcome_are_in_doubt(send_batches, execute, caplog):
    _, states = send_batches(3, lambda batch: iter([(batch[1].id, Taken())]))
    assert states == [("unconfirmed", None), ("sent", None), ("unconfirmed", None)]
    assert execute("SELECT attempt, outcome FROM message_attempts") == [(1, "unconfirmed")] * 2
    assert caplog.text.count("the gateway returned no outcome") == 2
    assert "The gateway failed" not in caplog.text


def _fail_after_one(batch: Sequence[OutboundMessage]) -> Iterator[tuple[str, Outcome]]:
    yield batch[0].id, Taken()
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "answer",
    [
        _fail_after_one,
        lambda batch: iter([(batch[0].id, Taken()), ("no-such-id", Taken())]),
        lambda batch: iter([(batch[0].id, Taken()), (batch[0].id, Refused("cannot_receive_sms"))]),
        lambda batch: iter([(batch[0].id, Taken()), (batch[1].id, "sent")]),
        lambda batch: iter([(batch[0].id, Taken()), None]),
        lambda batch: iter([(batch[0].id, Taken()), (batch[1].id, Later(retry_after="120"))]),
    ],
    ids=["an error", "an unknown id", "an id twice", "not an outcome", "not a pair", "not a number of seconds"],
)
def test_after_a_mistake_of_the_gateway_the_outcomes_so_far_count_and_the_rest_is_in_doubt(send_batches, answer):
    _, states = send_batches(3, answer)
    assert states == [("sent", None), ("unconfirmed", None), ("unconfirmed", None)]


def test_an_error_after_the_last_outcome_is_logged(send_batches, caplog):
    def answer(batch: Sequence[OutboundMessage]) -> Iterator[tuple[str, Outcome]]:
        yield batch[0].id, Taken()
        raise ZeroDivisionError

    _, states = send_batches(1, answer)
    assert states == [("sent", None)]
    assert "ZeroDivisionError" in caplog.text


def test_a_call_ends_before_a_third_of_the_lease_on_the_machine_s_clock(send_batches):
    left = []

    def answer(batch: Sequence[OutboundMessage]) -> Iterator[tuple[str, Outcome]]:
        return ((message.id, Taken()) for message in batch)

    send_batches(1, answer, deadlines=left)
    assert [0 < deadline - time.monotonic() <= 10 for deadline in left] == [True]


def test_of_a_gateway_that_must_not_repeat_no_more_than_a_batch_is_in_hand(send_batches, execute):
    in_hand = []

    def answer(batch: Sequence[OutboundMessage]) -> Iterator[tuple[str, Outcome]]:
        in_hand.extend(execute("SELECT count(*) FROM messages WHERE submitted_at IS NOT NULL"))
        return ((message.id, Taken()) for message in batch)

    sizes, _ = send_batches(7, answer, repeatable=False)
    assert (sizes, in_hand) == ([3, 3, 1], [(3,), (3,), (1,)])
