"""Tests of faults of processes under load: killed workers and delivery processes, the end, the reload."""

import os
import signal
import time

import pytest

from tests.support.app import ROOT
from tests.support.load import Load, count, count_and_tell, query, read_handed, tell, wait_until
from tests.support.processes import descendants_of, find_processes

pytestmark = pytest.mark.slow


APP = str(ROOT / "tests" / "support" / "gateway_app.py")


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


@pytest.mark.parametrize("whom", ["one worker", "all workers", "delivery", "workers and delivery"])
def test_nothing_is_lost_doubled_or_stuck_where_workers_are_killed_under_load(start, database, whom):
    begun = time.monotonic()
    server = start(APP, LEASE="1", VALIDITY="5", ACCESS_LOG="off")
    with Load(server.port) as load:
        for _ in range(2):
            load.wait_for(50)
            processes = find_processes(server)
            for pid in {
                "one worker": processes.workers[:1],
                "all workers": processes.workers,
                "delivery": [processes.delivery],
                "workers and delivery": [*processes.workers, processes.delivery],
            }[whom]:
                os.kill(pid, signal.SIGKILL)
            load.wait_for(50)
    assert set(load.statuses) == {201}
    assert load.refused == 0
    count_and_tell(f"kill -9 of {whom}, twice", database, load.acknowledged, begun)


@pytest.mark.parametrize("gateway", ["once", "repeatable"])
def test_a_dispatcher_killed_between_submitting_and_recording_doubles_only_what_may_be(
    start, database, gateway, monkeypatch
):
    monkeypatch.setenv("GATEWAY", gateway)
    begun = time.monotonic()
    server = start(APP, LEASE="1", VALIDITY="4", ACCESS_LOG="off")
    with Load(server.port, pause=0.01) as load:
        load.wait_for(30)
        (database.parent / "pause").touch()
        handed = -1
        while handed != (handed := read_handed(database.parent).total()):
            time.sleep(1)  # until nothing more arrives: the process hangs while it sends one message
        (database.parent / "pause").unlink()
        os.kill(find_processes(server).delivery, signal.SIGKILL)
        load.wait_for(30)
    lost, doubled, stuck = count(f"kill -9 between submit and record, {gateway}", database, load.acknowledged, begun)
    assert (lost, stuck) == (0, 0)
    ends = query(database, "SELECT state, error_type, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1")
    if gateway == "once":  # the gateway has taken it, but no process of the server knows that
        assert doubled == 0
        assert ends[0] == ("error", "validity_expired", 1)
    else:
        assert doubled == 1
        assert [state for state, *_ in ends] == ["sent"]


@pytest.mark.parametrize("kept_alive", [True, False])
def test_a_reload_under_load_cuts_nobody_off(start, database, kept_alive):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port, kept_alive=kept_alive) as load:
        load.wait_for(50)
        for _ in range(3):
            before = set(find_processes(server).workers)
            server.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: not before & set(find_processes(server).workers))
            load.wait_for(50)
    assert (load.cut_off, load.refused, set(load.statuses)) == ([], 0, {201})
    kind = "kept-alive connections" if kept_alive else "a connection for each"
    count_and_tell(f"three reloads, {kind}", database, load.acknowledged, begun)


@pytest.mark.parametrize("kept_alive", [True, False])
def test_the_end_under_load_cuts_nobody_off_whose_request_was_read(start, database, kept_alive):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port, 16, kept_alive=kept_alive) as load:
        load.wait_for(200)
        assert server.terminate() == 0
        wait_until(lambda: load.refused > 0)
    assert set(load.statuses) == {201}
    # Connections that no worker has accepted end without an answer. Every stored request was answered.
    assert sorted(load.cut_off) == sorted(load.unanswered)
    stored = query(database, "SELECT count(*) FROM messages")[0][0]
    assert stored == len(load.acknowledged)
    start(APP)
    kind = "kept-alive connections" if kept_alive else "a connection for each"
    kind += f", {len(load.unanswered)} not accepted"
    count_and_tell(f"SIGTERM, {kind}", database, load.acknowledged, begun)


def test_a_server_that_is_stopped_while_it_starts_ends_at_once(start):
    begun = time.monotonic()
    for number in (1, 2, 3, 4, 5):
        server = start(WORKERS="3", ACCESS_LOG="off")
        while len(descendants_of(server.popen.pid)) < number:  # at the moment when it exists
            assert server.popen.poll() is None
        stopped = time.monotonic()
        assert server.terminate(20) == 0
        assert time.monotonic() - stopped < 8
        server.log.unlink()
    tell("SIGTERM while workers are starting, five times", 0, 0, 0, 0, time.monotonic() - begun)
