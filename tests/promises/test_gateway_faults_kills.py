"""kill -9 of Phonify, of a gateway's peer, and of both, under load: nothing is lost, repeated or stuck."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway_bench import GATEWAYS, WINDOW, Bench, benching
from tests.support.load import wait_until
from tests.support.servers import Process

pytestmark = pytest.mark.slow


@pytest.fixture(params=GATEWAYS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, start: Callable[..., Process]) -> Iterator[Bench]:
    with benching(request.param, tmp_path, start) as bench:
        yield bench


def test_what_was_sent_and_not_answered_at_a_kill_is_not_sent_twice(bench: Bench) -> None:
    way, kills = bench.open_way(), 2
    acknowledged: list[str] = []
    bench.start()
    for _ in range(kills):
        released = threading.Event()
        with bench.load() as load:
            load.wait_for(100)
            way.hold = released.wait
            wait_until(lambda: way.held >= WINDOW)  # the peer has taken them, and Phonify does not know
            bench.server.kill_all()
        way.hold = lambda: None
        released.set()
        acknowledged += load.acknowledged
        bench.start()
    counts = bench.settle(f"kill -9 between submit and answer, {kills} times", acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    if bench.peer.repeatable:
        repeated = bench.peer.count_taken().total() - bench.peer.count_sent().total()
        assert repeated >= WINDOW  # the peer has recognised them
        assert counts.doubts == 0
    else:
        assert counts.doubts <= kills * WINDOW


def test_a_killed_peer_gets_what_it_missed_and_nothing_twice(bench: Bench) -> None:
    acknowledged: list[str] = []
    bench.start()
    with bench.load() as load:
        for _ in range(2):
            load.wait_for(60)
            bench.peer.kill()
            load.wait_for(60)
            bench.peer.start()
        load.wait_for(60)
    acknowledged += load.acknowledged
    assert set(load.statuses) == {201}
    counts = bench.settle("kill -9 of the peer, twice", acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    assert counts.doubts <= 2 * WINDOW


@pytest.mark.parametrize("first", ["phonify", "peer"])
def test_both_killed_at_the_same_time_agree_again(bench: Bench, first: str) -> None:
    bench.start()
    with bench.load() as load:
        for _ in range(2):
            load.wait_for(60)
            victims = [bench.server.kill_all, bench.peer.kill]
            for kill in victims if first == "phonify" else reversed(victims):
                kill()
            bench.peer.start()
            bench.start()
        load.wait_for(60)
    assert set(load.statuses) == {201}
    counts = bench.settle(f"kill -9 of both, {first} first, twice", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    assert counts.doubts <= 2 * WINDOW
