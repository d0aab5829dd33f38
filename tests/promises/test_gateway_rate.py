"""The rate of a gateway on a real server: how fast queued texts leave, by the times in the log of the provider."""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from urllib.parse import parse_qs

import pytest

from tests.support.load import wait_until
from tests.support.receivers import Received, Receiver, status
from tests.support.servers import Process

pytestmark = pytest.mark.slow

ANSWER_TIME = 0.05  # seconds
PERIOD = 5  # seconds
SHORT, LONG = "Hello", "x" * 400  # one segment, three segments


class Log:
    """What the provider got: the time and the number of segments of each request."""

    def __init__(self, make_receiver: Callable[..., Receiver]) -> None:
        self.texts: list[tuple[float, int]] = []
        self._lock = threading.Lock()
        self.receiver = make_receiver(self._take)

    def _take(self, client: object, received: Received) -> None:
        parts = int(parse_qs(received.body.decode())["parts"][0])
        with self._lock:
            self.texts.append((time.monotonic(), parts))
        self.receiver.stopping.wait(ANSWER_TIME)
        status(200)(client, received)  # type: ignore[arg-type]

    def measure(self) -> float:
        """Return the segments a second, from the first request to the last."""
        return sum(parts for _, parts in self.texts[:-1]) / (self.texts[-1][0] - self.texts[0][0])

    def count_most(self, seconds: float) -> int:
        """Return the most segments in any period of this length."""
        times, sums = [at for at, _ in self.texts], [0, *accumulate(parts for _, parts in self.texts)]
        return max(sums[bisect_right(times, at + seconds)] - sums[first] for first, at in enumerate(times))


@pytest.fixture
def log(make_receiver: Callable[..., Receiver]) -> Log:
    return Log(make_receiver)


@pytest.mark.parametrize(
    ("count", "body", "rate", "workers"),
    [(2_000, SHORT, 50, 0), (2_000, SHORT, 100, 1), (667, LONG, 60, 0)],
    ids=["one process", "two processes", "texts of three segments"],
)
def test_2000_queued_segments_leave_at_the_rate_that_was_set(
    start: Callable[..., Process], log: Log, count: int, body: str, rate: int, workers: int
) -> None:
    settings = {
        "GATEWAY": "http",
        "GATEWAY_PER_SECOND": str(rate),
        "HTTP_URL": log.receiver.url,
        "HTTP_BODY": "to={to}&text={text}&parts={parts}",
        "HTTP_TAKEN": "200",
        "MAX_BODY": "1600",
        "WORKERS": "1",
        "ACCESS_LOG": "off",
    }
    server = start(**settings)
    for _ in range(workers):
        start("-m", "flask", "--app", "app", "worker", **settings)
    for first in range(0, count, 1_000):
        to = [f"+1456{number:07}" for number in range(first, min(first + 1_000, count))]
        assert server.call("POST", "/v1/messages", to=to, body=body)[0] == 201
    wait_until(lambda: len(log.texts) >= count, timeout=90)
    measured, most = log.measure(), log.count_most(PERIOD)
    print(
        f"\n{count} texts, {rate} segments a second were set: {measured:.2f} left, at most {most} in {PERIOD} seconds"
    )
    assert len(log.texts) == count
    assert measured == pytest.approx(rate, rel=0.05)
    assert most <= rate * PERIOD * 1.2  # requests may be on their way for different times
