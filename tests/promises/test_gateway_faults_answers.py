"""A gateway's peer that hangs, refuses for a time, or answers late and out of order, under load."""

import itertools
import random
import time

import pytest

from tests.support.gateway_bench import WINDOW, Bench
from tests.support.load import wait_until

pytestmark = pytest.mark.slow


def test_a_peer_that_hangs_leaves_few_messages_in_doubt(bench: Bench) -> None:
    seconds = 6
    bench.start()
    with bench.load() as load:
        load.wait_for(60)
        bench.peer.freeze()
        end = time.monotonic() + seconds  # each call ends after one second
        wait_until(lambda: time.monotonic() > end)
        bench.peer.thaw()
        load.wait_for(60)
    assert max(load.seconds) < seconds - 1  # no client waits for the peer
    counts = bench.settle(f"the peer hangs for {seconds} s", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    # The calls that run at the beginning, and one message that tries after each pause.
    assert counts.doubts <= WINDOW + seconds


def test_a_peer_that_refuses_for_a_time_is_not_pestered_and_gets_all_once(bench: Bench) -> None:
    way, seconds = bench.open_way(), 5
    bench.start()
    refusals = itertools.cycle(bench.peer.refusals)
    with bench.load() as load:
        load.wait_for(60)
        way.refuse = lambda: next(refusals)
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > end)
        way.refuse = lambda: None
        load.wait_for(60)
    counts = bench.settle(f"the peer refuses for {seconds} s ({way.refused} calls)", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck, counts.doubts, counts.expired) == (0, 0, 0, 0, 0)
    assert counts.handed >= counts.acknowledged
    assert 0 < way.refused <= WINDOW + seconds


def test_answers_that_come_late_and_out_of_order_are_not_mixed_up(bench: Bench) -> None:
    way = bench.open_way()
    way.hold = lambda: time.sleep(random.choice([0, 0, 0, 0, 0.1, 0.3, 0.5, 0.8, 2]))  # a call waits for one second
    bench.start()
    with bench.load(pause=0.15) as load:
        load.wait_for(60)
    counts = bench.settle("answers late and out of order", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    assert counts.settled == counts.doubts  # the peer has all, and says so by receipts
