"""The clock set back and forward by hours: the injected one, and that of a whole server under load."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT
from load import Load, count_and_tell, query

from phonify import accounts
from phonify.clock import parse_time
from phonify.gateways.base import Gateway, Unavailable

APP = str(ROOT / "tests" / "gateway_app.py")
DAY = 86_400


class Gated(Gateway):
    """Takes everything, or nothing for now."""

    sandbox = True

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.open = True

    def send(self, message) -> None:
        if not self.open:
            raise Unavailable
        self.taken.append(message.id)


@pytest.fixture
def gateway() -> Gated:
    return Gated()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


# The injected clock


def test_what_waits_from_the_future_is_sent_after_the_clock_was_set_back(
    send, dispatcher, gateway, clock, runtime, tmp_path
):
    begun = time.monotonic()
    never_tried = send()["id"]
    gateway.open = False
    tried = send()["id"]
    dispatcher.deliver_due()  # both
    gateway.open = True
    new = send()["id"]
    clock.advance(-DAY)
    assert dispatcher.deliver_due() == 0
    dispatcher.follow_clock()
    assert dispatcher.deliver_due() == 3
    dispatcher.deliver_due()
    assert sorted(gateway.taken) == sorted([never_tried, tried, new])
    count_and_tell("injected clock back by a day", tmp_path / "phonify.db", [never_tried, tried, new], begun)


def test_what_is_scheduled_still_waits_for_its_time_after_the_clock_was_set_back(send, dispatcher, clock, gateway):
    send(send_at="2026-01-31T10:30:00Z")
    clock.advance(-DAY)
    dispatcher.follow_clock()
    assert dispatcher.deliver_due() == 0
    clock.advance(DAY + 3_600)
    assert dispatcher.deliver_due() == 1


def test_what_is_in_doubt_is_not_sent_again_after_the_clock_was_set_back(send, dispatcher, clock, gateway, app):
    message = send()["id"]
    dispatcher.deliver_due()
    with app.extensions["phonify"].database.reading() as connection:  # as if the attempt had ended in doubt
        assert connection.execute("SELECT state FROM messages").fetchall() == [("sent",)]
    app.extensions["phonify"].database.write(
        lambda connection: connection.execute(
            "UPDATE messages SET state = 'unconfirmed', finished_at = NULL, due_at = expires_at,"
            " submitted_at = created_at"
        )
    )
    clock.advance(-DAY)
    dispatcher.follow_clock()
    dispatcher.deliver_due()
    assert gateway.taken == [message]


def test_what_another_dispatcher_has_in_hand_is_left_to_it_for_a_new_lease(send, dispatcher, clock, gateway, make_app):
    send()
    other = make_app(gateway=gateway).extensions["phonify"].make_dispatcher()
    (message,) = other._record_and_lease()
    clock.advance(-3_600)
    dispatcher.follow_clock()
    assert dispatcher.deliver_due() == 0
    assert message.attempts == 1
    clock.advance(31)
    dispatcher.deliver_due()
    assert gateway.taken == []  # it may have been sent: nobody knows


def test_webhooks_from_the_future_are_posted_after_the_clock_was_set_back(
    send, dispatcher, clock, runtime, receiver, tmp_path
):
    account = accounts.ensure_default_account(runtime.database, clock)
    runtime.webhooks.set_url(account, receiver.url)
    send()
    dispatcher.deliver_due()
    clock.advance(-DAY)
    poster = runtime.make_webhook_dispatcher()
    assert poster.deliver_due() == 0
    dispatcher.follow_clock()
    assert poster.deliver_due() == 1
    assert query(tmp_path / "phonify.db", "SELECT state FROM webhook_deliveries") == [("delivered",)]


@pytest.mark.parametrize("hours", [3, -3])
def test_a_step_of_hours_during_retries_loses_and_doubles_nothing(send, dispatcher, gateway, clock, hours, tmp_path):
    begun = time.monotonic()
    gateway.open = False
    acknowledged = [send()["id"] for _ in range(20)]
    dispatcher.deliver_due()
    clock.advance(hours * 3_600)
    acknowledged += [send()["id"] for _ in range(20)]
    dispatcher.follow_clock()
    dispatcher.deliver_due()
    gateway.open = True
    clock.advance(60)
    dispatcher.deliver_due()
    assert sorted(gateway.taken) == sorted(acknowledged)
    assert len(set(acknowledged)) == 40
    count_and_tell(f"injected clock by {hours:+} h during retries", tmp_path / "phonify.db", acknowledged, begun)


def test_ids_go_on_ascending_after_the_clock_was_set_back(send, clock, client):
    ids = [send()["id"]]
    clock.advance(-DAY)
    ids += [send()["id"] for _ in range(3)]
    assert ids == sorted(ids)
    listed = client.get("/v1/messages").get_json()["messages"]
    assert [message["id"] for message in listed] == ids[::-1]


# The clock of running servers


def test_the_clock_of_a_server_goes_forward_and_back_by_hours_under_load(start, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWAY", "failing")
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port, 2, pause=0.02) as load:
        for hours in (0, 5, -7, 0):
            (tmp_path / "new").write_text(str(hours * 3_600))
            (tmp_path / "new").rename(tmp_path / "shift")
            load.wait_for(40)
    assert (set(load.statuses), load.cut_off) == ({201}, [])
    database = tmp_path / "phonify.db"
    hours = query(database, "SELECT DISTINCT substr(created_at, 1, 13) FROM messages")
    assert len(hours) >= 3  # the clock did go
    count_and_tell("clock of the server +5 h, -7 h, back", database, load.acknowledged, begun, timeout=75)


LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.mark.skipif(LIBRARY is None, reason="Debian's package faketime is not installed")
def test_what_a_server_left_whose_clock_was_a_month_ahead_is_delivered_after_the_next_start(
    start, tmp_path, monkeypatch
):
    begun = time.monotonic()
    database = tmp_path / "phonify.db"
    monkeypatch.setenv("GATEWAY", "down")
    with monkeypatch.context() as ahead:
        ahead.setenv("LD_PRELOAD", str(LIBRARY))
        ahead.setenv("FAKETIME", "+30d")
        server = start(APP, ACCESS_LOG="off")
    with Load(server.port, 2) as load:
        load.wait_for(40)
    server.kill_all()
    (created_at,) = query(database, "SELECT min(created_at) FROM messages")[0]
    assert parse_time(created_at) > datetime.now(UTC) + timedelta(days=29)
    monkeypatch.setenv("GATEWAY", "repeatable")  # what the kill has left leased may be sent
    start(APP, ACCESS_LOG="off", LEASE="1")
    count_and_tell("kill -9 with the clock a month ahead (faketime)", database, load.acknowledged, begun)
