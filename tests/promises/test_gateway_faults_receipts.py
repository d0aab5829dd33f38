"""Receipts and texts of a gateway's peer: a flood of them, and kill -9 before and after the commit of one."""

import time
from datetime import UTC, datetime
from itertools import islice

import pytest

from phonify.ids import generate_ids
from tests.support.callback_flood import Flood
from tests.support.gateway_bench import Bench
from tests.support.gateway_peers import Callback
from tests.support.load import query, wait_until

pytestmark = pytest.mark.slow


def write_callbacks(bench: Bench, receipts: int, texts: int) -> dict[str, Callback]:
    """Return receipts of messages that do not exist any more, by their ids, and texts by their senders."""
    ids = islice(generate_ids(datetime.now(UTC)), receipts)
    senders = [f"+1457{number:07}" for number in range(texts)]
    return {
        **{id_: bench.peer.write_receipt(id_) for id_ in ids},
        **{sender: bench.peer.write_text(sender) for sender in senders},
    }


def list_stored(bench: Bench) -> list[str]:
    """Return the ids of receipts and the senders of texts in the database."""
    receipts = query(bench.database, "SELECT message_id FROM receipts")
    texts = query(bench.database, "SELECT origin_number FROM messages WHERE direction = 'inbound'")
    return [name for (name,) in receipts + texts]


def wait_for_deliveries(bench: Bench) -> None:
    """Wait until Phonify knows of each message that the peer has taken that it was delivered."""
    wait_until(lambda: all(row.receipt == "delivered" for row in bench.list_rows() if row.state == "sent"), 40)


def test_a_callback_whose_answer_a_kill_cuts_off_is_stored_once(bench: Bench) -> None:
    callbacks = write_callbacks(bench, 1_500, 500)
    before = after = kills = 0
    bench.start()
    with bench.load(2, pause=0.1) as load, Flood(bench.port, callbacks) as flood:
        while kills < 3 or not (before and after):
            assert kills < 8
            wait_until(lambda goal=len(flood.answered) + 150: len(flood.answered) >= goal)
            bench.server.kill_all()
            kills += 1
            cut_off, stored = set(flood.cut_off), set(list_stored(bench))
            before += len(cut_off - stored)
            after += len(cut_off & stored)
            assert flood.answered <= stored
            bench.start()
        wait_until(flood.is_done, 60)
    counts = bench.settle(f"kill -9 in {len(callbacks)} callbacks, {kills} times", load.acknowledged)
    print(f"        cut off before the commit: {before}, after it: {after}; {flood.posts} posts")
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
    stored = sorted(name for name in list_stored(bench) if name in callbacks)
    assert stored == sorted(callbacks)
    wait_for_deliveries(bench)


def test_a_flood_of_receipts_does_not_delay_messages(bench: Bench) -> None:
    callbacks = write_callbacks(bench, 4_000, 0)
    bench.start()
    with bench.load(3, pause=0.1) as load:
        load.wait_for(10)
        begun = time.monotonic()
        with Flood(bench.port, callbacks) as flood:
            wait_until(flood.is_done, 60)
        seconds = time.monotonic() - begun
    bench.wait_until_settled()
    delays = sorted(
        delay
        for (delay,) in query(
            bench.database,
            "SELECT (julianday(finished_at) - julianday(created_at)) * 86400 FROM messages WHERE state = 'sent'",
        )
    )
    late = delays[int(len(delays) * 0.95)]
    rate = len(callbacks) / seconds
    counts = bench.settle(f"{len(callbacks)} receipts, {rate:.0f}/s; 95 % sent in {late:.2f} s", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck, counts.expired) == (0, 0, 0, 0)
    assert late < 3
