"""The clock of Phonify's machine goes forward and back by hours, while a gateway sends, pauses and hears receipts."""

from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.gateway_bench import Bench
from tests.support.load import query, wait_until

pytestmark = pytest.mark.slow
APP = str(ROOT / "tests" / "support" / "clock_app.py")
HOUR = 3_600
LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def test_the_clock_goes_forward_and_back_by_hours_and_every_receipt_counts(bench: Bench) -> None:
    folder = bench.database.parent
    bench.start(APP, VALIDITY="86400")
    with bench.load() as load:
        for hours in (0, 5, -7, 0):
            (folder / "new").write_text(str(hours * HOUR))
            (folder / "new").rename(folder / "shift")
            load.wait_for(100)
    hours = query(bench.database, "SELECT DISTINCT substr(created_at, 1, 13) FROM messages")
    assert len(hours) >= 3  # the clock did move
    counts = bench.settle("clock +5 h, -7 h, back", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck, counts.expired) == (0, 0, 0, 0)
    assert counts.doubts == counts.settled  # a step of the clock ends leases, and then the answers come
    wait_until(lambda: all(row.receipt == "delivered" for row in bench.list_rows()), 40)


@pytest.mark.skipif(LIBRARY is None, reason="Debian's package faketime is not installed")
def test_doubts_and_a_pause_from_a_clock_that_was_ahead_end_in_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        ahead.setenv("LD_PRELOAD", str(LIBRARY))
        ahead.setenv("FAKETIME", "+5h")
        bench.start()
    with bench.load() as load:
        load.wait_for(60)
        bench.peer.freeze()
        attempts = "SELECT count(*) FROM message_attempts"
        wait_until(lambda: query(bench.database, attempts)[0][0] >= 5)  # in doubt, or sent again later
        bench.server.kill_all()
        bench.peer.kill()  # so that no receipt settles them
        bench.peer.start()
        bench.start()
        load.wait_for(60)
    counts = bench.settle("5 h ahead with doubts and a pause, then right", load.acknowledged)
    assert (counts.lost, counts.doubled, counts.stuck) == (0, 0, 0)
