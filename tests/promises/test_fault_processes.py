"""Faults of processes under load: workers and the dispatcher killed, the end, the reload."""

import os
import signal
import time
from pathlib import Path

import pytest
from conftest import ROOT
from load import Load, count, count_and_tell, query, read_handed, tell, wait_until

APP = str(ROOT / "tests" / "gateway_app.py")


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


def children_of(server) -> list[int]:
    text = Path(f"/proc/{server.popen.pid}/task/{server.popen.pid}/children").read_text()
    return [int(child) for child in text.split()]


def wait_for_children(server, number: int) -> list[int]:
    wait_until(lambda: len(children_of(server)) == number)
    return children_of(server)


def role_of(pid: int) -> str:
    """Tell what a worker does: those for the API have a socket that listens, the one for pages a lower priority."""
    inodes = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    if any(f"socket:[{fields[9]}]" in inodes for fields in listening if fields[3] == "0A"):
        return "one worker"
    is_niced = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]) > os.nice(0)
    return "the worker for pages" if is_niced else "the dispatcher"


@pytest.mark.parametrize("whom", ["one worker", "all workers", "the dispatcher", "the worker for pages"])
def test_nothing_is_lost_doubled_or_stuck_where_workers_are_killed_under_load(start, database, whom):
    begun = time.monotonic()
    server = start(APP, LEASE="1", VALIDITY="5", ACCESS_LOG="off")
    with Load(server.port) as load:
        for _ in range(2):
            load.wait_for(50)
            workers = wait_for_children(server, 4)
            if whom != "all workers":
                workers = [pid for pid in workers if role_of(pid) == whom][:1]
            for pid in workers:
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
            time.sleep(1)  # until nothing more comes: it hangs with one message in hand
        (database.parent / "pause").unlink()
        (dispatcher,) = [pid for pid in wait_for_children(server, 4) if role_of(pid) == "the dispatcher"]
        os.kill(dispatcher, signal.SIGKILL)
        load.wait_for(30)
    lost, doubled, stuck = count(f"kill -9 between submit and record, {gateway}", database, load.acknowledged, begun)
    assert (lost, stuck) == (0, 0)
    ends = query(database, "SELECT state, error_type, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1")
    if gateway == "once":  # it was taken, and nobody here could know that
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
        before = set(wait_for_children(server, 4))
        server.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: len(children_of(server)) == 4 and not before & set(children_of(server)))
        load.wait_for(50)
    assert (load.cut_off, load.refused, set(load.statuses)) == ([], 0, {201})
    kind = "kept-alive connections" if kept_alive else "a connection for each"
    count_and_tell(f"reload, {kind}", database, load.acknowledged, begun)


@pytest.mark.parametrize("kept_alive", [True, False])
def test_the_end_under_load_cuts_nobody_off_who_was_accepted(start, database, kept_alive):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port, 16, kept_alive=kept_alive) as load:
        load.wait_for(200)
        assert server.terminate() == 0
        wait_until(lambda: load.refused > 0)
    assert set(load.statuses) == {201}
    assert load.cut_off == []
    stored = query(database, "SELECT count(*) FROM messages")[0][0]
    assert stored == len(load.acknowledged)
    start(APP)
    kind = "kept-alive connections" if kept_alive else "a connection for each"
    count_and_tell(f"SIGTERM, {kind}", database, load.acknowledged, begun)


def test_a_server_that_is_stopped_while_it_starts_ends_at_once(start):
    begun = time.monotonic()
    for number in (1, 2, 3, 4):
        server = start(WORKERS="3", ACCESS_LOG="off")
        while len(children_of(server)) < number:  # at the very moment in which it is there
            assert server.popen.poll() is None
        stopped = time.monotonic()
        assert server.terminate(20) == 0
        assert time.monotonic() - stopped < 8
        server.log.unlink()
    tell("SIGTERM while workers are starting, four times", 0, 0, 0, 0, time.monotonic() - begun)
