"""Tests of gateways and receivers that hang, fail or are down."""

import random
import time
from collections import Counter

import pytest

from phonify.gateways.base import Later, Taken
from tests.support.app import ROOT
from tests.support.fake_gateway import OnceGateway
from tests.support.load import Load, count, count_and_tell, query, read_handed, tell
from tests.support.receivers import NO_CONTENT, answer, status

pytestmark = pytest.mark.slow


APP = str(ROOT / "tests" / "support" / "gateway_app.py")
HOUR = 3_600


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)]


# Gateways


def test_a_gateway_that_hangs_beyond_the_lease_delays_no_request_and_is_handed_nothing_twice(
    start, tmp_path, monkeypatch
):
    monkeypatch.setenv("GATEWAY", "hanging")
    begun = time.monotonic()
    server = start(APP, LEASE="1", VALIDITY="8", ACCESS_LOG="off")
    start(APP, LEASE="1", VALIDITY="8", ACCESS_LOG="off")  # another process, which waits for the end of the lease
    with Load(server.port, 2, pause=0.02) as load:
        load.wait_for(60)
    assert (set(load.statuses), load.cut_off) == ({201}, [])
    slowest = max(load.seconds)
    assert slowest < 2
    fault = f"gateway hangs 2 s a call, lease 1 s; requests at most {slowest:.2f} s"
    lost, doubled, stuck = count(fault, tmp_path / "phonify.db", load.acknowledged, begun)
    assert (lost, doubled, stuck) == (0, 0, 0)
    ends = dict(query(tmp_path / "phonify.db", "SELECT state, count(*) FROM messages GROUP BY 1"))
    assert ends["sent"] >= 2  # the messages that were sent within the validity period
    assert read_handed(tmp_path).total() >= ends["sent"]


def test_a_gateway_that_fails_three_times_in_ten_gets_each_message_once(start, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWAY", "failing")
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port) as load:
        load.wait_for(300)
    count_and_tell("gateway fails 30 %", tmp_path / "phonify.db", load.acknowledged, begun)
    retried = query(tmp_path / "phonify.db", "SELECT count(*) FROM message_attempts WHERE outcome = 'unavailable'")
    assert retried[0][0] > 30


class Interrupted(OnceGateway):
    """Is down until the test changes it."""

    sandbox = True

    def __init__(self) -> None:
        super().__init__()
        self.down = True
        self.calls: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()

    def act(self, message):
        self.calls[message.id] += 1
        if self.down:
            return Later()
        self.taken[message.id] += 1
        return Taken()


def test_a_gateway_that_is_down_for_an_hour_gets_each_message_once_and_is_not_pestered(
    make_app, deliver, clock, tmp_path
):
    begun = time.monotonic()
    gateway = Interrupted()
    app = make_app(gateway=gateway)
    to = [f"+1456000{number:04d}" for number in range(50)]
    answered = app.test_client().post("/v1/messages", json={"to": to, "body": "Hello"}).get_json()
    acknowledged = [message["id"] for message in answered["messages"]]
    for second in range(0, HOUR + 700, 10):
        gateway.down = second < HOUR
        deliver(app)
        clock.advance(10)
    assert gateway.taken == Counter(acknowledged)
    assert max(gateway.calls.values()) <= 25
    fault = f"gateway down for an hour (simulated), {max(gateway.calls.values())} calls at most"
    count_and_tell(fault, tmp_path / "phonify.db", acknowledged, begun)


# Receivers of webhooks


@pytest.mark.parametrize("how", ["fails 30 %", "is down for an hour"])
def test_a_receiver_that_fails_or_is_down_hears_of_all_in_the_end(
    send, deliver, post_due, operator, clock, receiver, how
):
    begun = time.monotonic()
    operator.set_webhook(receiver.url)
    acknowledged = [send()["id"] for _ in range(40)]
    deliver()
    deliver()
    taken: list[bytes] = []
    down = status(500)

    def act(client, received) -> None:
        fails = seconds < HOUR if how != "fails 30 %" else random.random() < 0.3
        if not fails:
            taken.append(received.body)
        (down if fails else answer(NO_CONTENT))(client, received)

    receiver.act = act
    for minute in range(180):
        seconds = minute * 60
        post_due()
        clock.advance(60)
    deliveries = operator.list_deliveries()
    stuck = sum(1 for delivery in deliveries if delivery["state"] != "delivered")
    doubled = len(taken) - len(set(taken))
    lost = len(acknowledged) - len(set(taken))
    posts = len(receiver.received)
    tell(f"webhook receiver {how}, {posts} posts", len(acknowledged), lost, doubled, stuck, time.monotonic() - begun)
    assert (lost, doubled, stuck) == (0, 0, 0)
