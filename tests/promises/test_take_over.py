"""Tests of crashes: another process or the next start continues with the messages of a killed process."""

import os
import random
import signal
import time
from collections import Counter
from typing import NamedTuple

import pytest

from tests.support.app import ROOT
from tests.support.load import query, read_handed, wait_until
from tests.support.processes import find_processes

pytestmark = pytest.mark.slow


APP = str(ROOT / "tests" / "support" / "gateway_app.py")
KILLS = 20
SECONDS = 2  # in which another process must continue


class InHand(NamedTuple):
    """A message that a process has leased."""

    id: str
    attempts: int
    submitted_at: str | None


class Now(NamedTuple):
    """The state of such a message."""

    state: str
    attempts: int
    lease_owner: str | None
    waits_for_validity: int


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


@pytest.fixture(params=["once", "repeatable"])
def gateway(request, monkeypatch):
    monkeypatch.setenv("GATEWAY", request.param)
    monkeypatch.setenv("GATEWAY_SECONDS", "0.003")
    return request.param


def list_in_hand(database) -> list[InHand]:
    rows = query(database, "SELECT id, attempts, submitted_at FROM messages WHERE lease_owner IS NOT NULL")
    return [InHand._make(row) for row in rows]


def list_standing_still(database, before: list[InHand]) -> list[InHand]:
    """Return the messages that are not final, not scheduled for another attempt, and not in doubt without a lease."""
    now = {
        id_: Now._make(rest)
        for id_, *rest in query(database, "SELECT id, state, attempts, lease_owner, due_at IS expires_at FROM messages")
    }
    return [
        message
        for message in before
        if now[message.id].state == "unconfirmed"
        and now[message.id].attempts <= message.attempts
        and not (now[message.id].waits_for_validity and now[message.id].lease_owner is None)
    ]


def send_many(server, turn: int, number: int) -> list[str]:
    to = [f"+1456{turn:03d}{one:04d}" for one in range(number)]
    status, answer = server.call("POST", "/v1/messages", to=to, body="Hello")
    assert status == 201
    return [message["id"] for message in answer["messages"]]


def wait_until_leased(database) -> None:
    wait_until(lambda: list_in_hand(database))
    time.sleep(random.uniform(0, 0.2))


def count_doubtful(database) -> int:
    return query(database, "SELECT count(*) FROM messages WHERE state = 'unconfirmed' AND due_at = expires_at")[0][0]


def test_what_was_in_hand_goes_on_within_two_seconds_of_the_next_start(start, database, gateway):
    acknowledged: list[str] = []
    leased, latest = 0, 0.0
    for kill in range(KILLS):
        server = start(APP, ACCESS_LOG="off")
        acknowledged += send_many(server, kill, 300 if kill == 0 else 80)
        wait_until_leased(database)
        server.kill_all()
        before = list_in_hand(database)
        leased += len(before)
        server = start(APP, ACCESS_LOG="off")
        wait_until(lambda server=server: server.call("GET", "/healthz", key=None)[0] == 200)
        begun = time.monotonic()
        while list_standing_still(database, before) and time.monotonic() < begun + 3 * SECONDS:
            time.sleep(0.02)
        latest = max(latest, time.monotonic() - begun)
        if kill < KILLS - 1:
            server.kill_all()
    wait_until(lambda: query(database, "SELECT count(*) FROM messages WHERE due_at < expires_at")[0][0] == 0, 60)
    wait_until(lambda: not list_in_hand(database))
    handed, states = read_handed(database.parent), dict(query(database, "SELECT id, state FROM messages"))
    missing = [id_ for id_ in acknowledged if states.get(id_) == "sent" and not handed[id_]]
    doubled = sum(times - 1 for times in handed.values())
    doubtful = count_doubtful(database)
    print(
        f"\n{KILLS} kills, {gateway}: {len(acknowledged)} acknowledged, {leased} in hand at a kill, the last one"
        f" went on {latest:.2f} s after the start, {len(missing)} missing, {doubled} doubled, {doubtful} in doubt,"
        f" {dict(Counter(states.values()))}"
    )
    assert leased > 0
    assert latest < SECONDS
    assert missing == []
    assert Counter(states.values()) == Counter({"sent": len(acknowledged) - doubtful, "unconfirmed": doubtful}) or (
        doubtful == 0 and set(states.values()) == {"sent"}
    )
    if gateway == "once":
        assert doubled == 0
        assert doubtful <= 2 * KILLS  # one for each kill
    else:
        assert doubtful == 0


def test_another_server_takes_over_within_two_seconds(start, database, gateway):
    servers = [start(APP, ACCESS_LOG="off") for _ in range(2)]
    deliveries = [find_processes(server).delivery for server in servers]
    send_many(servers[0], 0, 900)
    owners: set[str] = set()

    def both_deliver() -> bool:
        owners.update(owner for (owner,) in query(database, "SELECT DISTINCT lease_owner FROM messages") if owner)
        return len(owners) >= 2

    wait_until(both_deliver)
    os.kill(servers[1].popen.pid, signal.SIGSTOP)  # otherwise the parent would start delivery again
    os.kill(deliveries[1], signal.SIGKILL)
    before = list_in_hand(database)
    begun = time.monotonic()
    wait_until(lambda: not list_standing_still(database, before), 10)
    took = time.monotonic() - begun
    print(f"\none of two servers killed, {gateway}: {len(before)} in hand, {took:.2f} s until the last one went on")
    assert took < SECONDS
    os.kill(servers[1].popen.pid, signal.SIGCONT)


def test_a_process_that_stands_still_keeps_what_it_has_in_hand_until_the_lease_ends(start, database, monkeypatch):
    monkeypatch.setenv("GATEWAY", "repeatable")
    (database.parent / "pause").touch()
    server, other = start(APP, LEASE="4", ACCESS_LOG="off"), None
    (message_id,) = send_many(server, 0, 1)
    wait_until(lambda: list_in_hand(database) and read_handed(database.parent).get(message_id))
    leased = time.monotonic()
    delivery = find_processes(server).delivery
    os.kill(delivery, signal.SIGSTOP)
    (database.parent / "pause").unlink()
    other = start(APP, LEASE="4", ACCESS_LOG="off")
    other.wait_for("Phonify serves")
    wait_until(lambda: query(database, "SELECT state FROM messages") == [("sent",)], 20)
    assert time.monotonic() - leased > 3.5
    assert read_handed(database.parent)[message_id] == 2
    os.kill(delivery, signal.SIGCONT)
