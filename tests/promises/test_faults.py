"""Tests under load: no acknowledged message is lost or stuck, and no message gets to the gateway twice."""

import http.client
import json
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.load import HEADERS, Load

pytestmark = pytest.mark.slow


KILLS = 20
APP = str(ROOT / "tests" / "support" / "gateway_app.py")


def choose(turn: int) -> str | list[str]:
    """Return several numbers in some requests. Some numbers fail temporarily or for good."""
    return ["+14560000000", "+15005550010", "+15005550004"] if turn % 10 == 0 else "+14560000000"


def read_states(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT id, state FROM messages"))
    finally:
        connection.close()


def wait_until_final(path: Path, timeout: float) -> dict[str, str]:
    deadline = time.monotonic() + timeout
    while "unconfirmed" in (states := read_states(path)).values() and time.monotonic() < deadline:
        time.sleep(0.1)
    return states


def test_nothing_acknowledged_is_lost_or_stuck_through_twenty_kills_under_load(start, tmp_path):
    acknowledged: list[str] = []
    statuses: set[int] = set()
    kills_with_answers = 0
    for kill in range(KILLS):
        server = start(LEASE="1", ACCESS_LOG="off")
        with Load(server.port, 8, until_gone=True, choose=choose) as load:
            deadline = time.monotonic() + 10
            while len(load.acknowledged) < 20 * (kill + 1) and time.monotonic() < deadline:
                time.sleep(0.005)
            server.kill_all()
            load.join()
        statuses |= set(load.statuses)
        acknowledged += load.acknowledged
        kills_with_answers += bool(load.acknowledged)
    start(LEASE="1", ACCESS_LOG="off")
    states = wait_until_final(tmp_path / "phonify.db", timeout=30)
    lost = [message_id for message_id in acknowledged if message_id not in states]
    stuck = [message_id for message_id, state in states.items() if state not in ("sent", "error")]
    print(
        f"\n{KILLS} kills under load: {len(acknowledged)} acknowledged, {len(states)} stored,"
        f" {len(lost)} lost, {len(stuck)} stuck; final states {dict(Counter(states.values()))}"
    )
    assert statuses == {201}
    assert kills_with_answers == KILLS
    assert len(acknowledged) > 0
    assert len(set(acknowledged)) == len(acknowledged)
    assert lost == []
    assert stuck == []


def test_two_servers_and_a_worker_on_one_file_hand_over_each_of_5000_messages_once(start, tmp_path):
    servers = [start(APP, ACCESS_LOG="off") for _ in range(2)]
    worker = start("-m", "flask", "--app", "tests/support/gateway_app.py", "worker")
    worker.wait_for("Delivering messages")
    acknowledged: list[str] = []
    faults: list[str] = []

    def send(thread: int) -> None:
        # Each of 8 threads sends 150 requests for one message and 19 requests for 25 messages: 8 * (150 + 475) = 5,000.
        connection = http.client.HTTPConnection("127.0.0.1", servers[thread % 2].port, timeout=20)
        recipients = [["+14560000000"]] * 150
        for place in range(0, 150, 8):
            recipients.insert(place * 2, [f"+1456000{number:04d}" for number in range(25)])
        for to in recipients:
            connection.request("POST", "/v1/messages", json.dumps({"to": to, "body": "Hello"}), HEADERS)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 201:
                faults.append(f"{response.status} {answer}")
                break
            acknowledged.extend(message["id"] for message in answer["messages"])
        connection.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    states = wait_until_final(tmp_path / "phonify.db", timeout=30)
    files = list(tmp_path.glob("handed-*"))
    handed = Counter(line for file in files for line in file.read_text().splitlines())
    print(
        f"\n2 servers and a worker: {len(acknowledged)} acknowledged, {sum(handed.values())} hand-overs"
        f" by {len(files)} processes ({', '.join(str(len(file.read_text().splitlines())) for file in files)}),"
        f" {len(handed)} messages handed over"
    )
    assert len(acknowledged) == 5_000
    assert Counter(states.values()) == {"sent": 5_000}
    assert handed == Counter(acknowledged)
    # If one of the three took no part, the test shows nothing.
    assert len(files) == 3
