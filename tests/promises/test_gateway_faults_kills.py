"""kill -9 of Phonify, of a gateway's peer, and of both, under load: nothing is lost, repeated or stuck."""

import threading

import pytest

from tests.support.gateway_bench import WINDOW, Bench
from tests.support.load import wait_until

pytestmark = pytest.mark.slow


def test_what_was_sent_and_not_answered_at_a_kill_is_not_sent_twice(bench: Bench) -> None:
    way, kills = bench.open_way(), 2
    acknowledged: list[str] = []
    if bench.peer.repeatable:
        bench.peer.drop_callbacks()  # after a receipt, Phonify has no reason to send a message again
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
        assert repeated >= kills * WINDOW  # the peer has recognised them
        assert counts.doubts == 0
    else:
        assert counts.doubts <= kills * WINDOW


def test_a_killed_peer_gets_what_it_missed_and_nothing_twice(bench: Bench) -> None:
    bench.start()
    with bench.load() as load:
        load.wait_for(100)
        bench.peer.kill()
        load.wait_for(100)
        bench.peer.start()
        load.wait_for(100)
    assert set(load.statuses) == {201}
    counts = bench.settle("kill -9 of the peer", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    assert counts.doubts <= WINDOW + 1


def test_both_killed_at_the_same_time_agree_again(bench: Bench) -> None:
    bench.start()
    with bench.load() as load:
        for victims in (
            [bench.server.kill_all, bench.peer.kill],
            [bench.peer.kill, lambda: bench.server.kill_all()],  # another server then
        ):
            load.wait_for(100)
            for kill in victims:
                kill()
            bench.peer.start()
            bench.start()
        load.wait_for(100)
    assert set(load.statuses) == {201}
    counts = bench.settle("kill -9 of both, twice", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    assert counts.doubts <= 2 * WINDOW


@pytest.mark.parametrize("bench", ["twilio"], indirect=True)  # the only one of them that needs to be asked
def test_without_callbacks_a_look_up_tells_what_the_peer_has(bench: Bench) -> None:
    way, released = bench.open_way(), threading.Event()
    bench.start(PUBLIC_URL=None, VALIDITY="60")
    with bench.load() as load:
        load.wait_for(40)
        way.hold = released.wait
        wait_until(lambda: way.held >= WINDOW)
        bench.server.kill_all()
    released.set()
    bench.start(PUBLIC_URL=None, VALIDITY="60")
    counts = bench.settle("kill -9 between submit and answer, no callbacks", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck, counts.expired) == (0, 0, 0, 0)
    assert counts.settled == counts.doubts >= WINDOW
