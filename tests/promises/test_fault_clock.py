"""Tests with a clock that moves by hours: the injected clock, and the clock of a whole server under load."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.load import Load, count_and_tell, query

pytestmark = pytest.mark.slow


APP = str(ROOT / "tests" / "support" / "gateway_app.py")
DAY = 86_400


# The injected clock


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
    assert len(hours) >= 3  # the clock did move
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
    assert datetime.fromisoformat(created_at) > datetime.now(UTC) + timedelta(days=29)
    monkeypatch.setenv("GATEWAY", "repeatable")  # the kill may have left leased messages, and these may be sent
    start(APP, ACCESS_LOG="off", LEASE="1")
    count_and_tell("kill -9 with the clock a month ahead (faketime)", database, load.acknowledged, begun)
