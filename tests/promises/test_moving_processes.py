"""Tests of a change of PHONIFY_GATEWAY with real processes: the start, and a kill while messages are moved."""

import re
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.http_providers import make_variables, read_query
from tests.support.load import query, wait_until
from tests.support.receivers import Receiver, status
from tests.support.servers import Process

pytestmark = pytest.mark.slow

COUNT, AT_ONCE = 2_000, 1_000
MOVE = ("-m", "phonify", "gateway", "move-messages", "stub", "--yes")


@pytest.fixture
def peer(receiver: Receiver) -> Receiver:
    receiver.act = status(202, body="0: Accepted for delivery")
    return receiver


@pytest.fixture
def start_changed(start: Callable[..., Process], peer: Receiver) -> Callable[..., Process]:
    """Return a function that starts a server or a command with a gateway that sends to the peer."""
    variables = make_variables(peer.url, PRESET="kannel")
    given = {name.removeprefix("PHONIFY_"): value for name, value in variables.items()}
    return lambda *arguments, **settings: start(*arguments, GATEWAY="http", GATEWAY_WINDOW="64", **given, **settings)


@pytest.fixture
def accept(start: Callable[..., Process]) -> Callable[[int], None]:
    """Return a function that lets a server with the stub accept messages, which wait. Then the server ends."""

    def accept(count: int) -> None:
        server = start(ACCESS_LOG="off")
        assert server.call("GET", "/healthz")[0] == 200
        assert start("-m", "phonify", "gateway", "pause").popen.wait(20) == 0
        for first in range(0, count, AT_ONCE):
            to = [f"+1456{number:07d}" for number in range(first, min(first + AT_ONCE, count))]
            assert server.call("POST", "/v1/messages", to=to, body="Hello")[0] == 201
        server.terminate()

    return accept


def count_waiting(folder: Any) -> int:
    return int(query(folder / "phonify.db", "SELECT count(*) FROM messages WHERE gateway = 'stub'")[0][0])


def test_a_start_warns_of_what_waits_for_a_missing_gateway_and_the_metrics_count_it(accept, start_changed, peer):
    accept(2)
    server = start_changed(METRICS="on")
    server.wait_for("WARNING.* 2 messages wait for the gateway stub, which this server does not have")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        metrics = answer.read().decode()
    assert re.search(r'^phonify_messages_without_gateway\{gateway="stub"\} 2\.0$', metrics, re.MULTILINE)
    assert re.search(r"^phonify_queue_messages 0\.0$", metrics, re.MULTILINE)
    assert server.call("POST", "/v1/messages", to="+14569999999", body="new")[0] == 201
    peer.wait_for(1)
    assert [read_query(received)["text"] for received in peer.received] == ["new"]


def test_a_kill_while_messages_are_moved_loses_and_doubles_nothing(accept, start_changed, peer, tmp_path):
    accept(COUNT)
    server = start_changed(ACCESS_LOG="off")
    server.wait_for("messages wait for the gateway stub")
    mover = start_changed(*MOVE)
    wait_until(lambda: count_waiting(tmp_path) < COUNT)
    mover.kill_all()
    left = count_waiting(tmp_path)
    assert 0 < left < COUNT
    again = start_changed(*MOVE)
    assert again.popen.wait(60) == 0
    assert re.search(rf"Moved to the gateway http: {left}\. Refused by it: 0\. Left: 0\.", again.output)
    wait_until(lambda: query(tmp_path / "phonify.db", "SELECT 1 FROM messages WHERE state <> 'sent'") == [], 120)
    handed = Counter(read_query(received)["to"] for received in peer.received)
    print(f"\nkilled after {COUNT - left} of {COUNT} messages; {len(handed)} recipients, {handed.total()} requests")
    assert set(handed.values()) == {1}
    assert len(handed) == COUNT
