"""Status callbacks through kill -9: each message's whole sequence is told, and in its order."""

import http.client
import json
import threading
import time
from collections import defaultdict
from urllib.parse import urlencode

import pytest

from tests.support.app import basic
from tests.support.load import query, tell, wait_until
from tests.support.receivers import Received
from tests.support.twilio import AC, MESSAGES, MG, PHONE, TOKEN, read_form

pytestmark = pytest.mark.slow

KILLS = 8
HEADERS = {"Authorization": basic(AC, TOKEN), "Content-Type": "application/x-www-form-urlencoded"}
SEQUENCES = {
    PHONE: ["queued", "sent", "delivered"],
    "+15005550010": ["queued", "sent", "delivered"],
    "+15005550021": ["queued", "failed"],
    "+15005550023": ["queued", "sent", "undelivered"],
}


def send_on(port: int, url: str, acknowledged: dict[str, str]) -> None:
    """Send one message after another until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    numbers = [PHONE, "+15005550010", PHONE, "+15005550021", PHONE, "+15005550023"]
    turn = 0
    while True:
        to = numbers[turn % len(numbers)]
        turn += 1
        form = {"To": to, "MessagingServiceSid": MG, "Body": str(turn), "StatusCallback": url}
        try:
            connection.request("POST", MESSAGES, urlencode(form), HEADERS)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            return
        assert response.status == 201, answer
        acknowledged[answer["sid"]] = to


def list_told(received: list[Received]) -> dict[str, list[str]]:
    """Return the statuses of each message, in the order of their first arrival."""
    told = defaultdict(list)
    for one in received:
        form = read_form(one)
        if form["MessageStatus"] not in told[form["MessageSid"]]:
            told[form["MessageSid"]].append(form["MessageStatus"])
    return told


def test_every_message_tells_its_whole_sequence_through_kills(start, tmp_path, receiver):
    acknowledged: dict[str, str] = {}
    database, begun = tmp_path / "phonify.db", time.monotonic()
    pending = "SELECT count(*) FROM webhook_deliveries WHERE due_at IS NOT NULL"
    cut_short = 0
    for kill in range(KILLS):
        server = start(LEASE="1", ACCESS_LOG="off", TWILIO_AUTH_TOKEN=TOKEN)
        arguments = (server.port, receiver.url, acknowledged)
        threads = [threading.Thread(target=send_on, args=arguments) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda goal=50 * (kill + 1): len(acknowledged) >= goal)
        receiver.wait_for(len(receiver.received) + 10)
        server.kill_all()
        for thread in threads:
            thread.join()
        cut_short += query(database, pending)[0][0] > 0
    start(LEASE="1", ACCESS_LOG="off", TWILIO_AUTH_TOKEN=TOKEN)
    wait_until(lambda: not query(database, "SELECT 1 FROM messages WHERE state = 'unconfirmed' LIMIT 1"), 60)
    wait_until(lambda: query(database, pending) == [(0,)], 120)
    told = list_told(receiver.received)
    wrong = {sid: (to, told[sid]) for sid, to in acknowledged.items() if told[sid] != SEQUENCES[to]}
    doubled = len(receiver.received) - sum(map(len, told.values()))
    tell(f"{KILLS} kills, status callbacks", len(acknowledged), len(wrong), doubled, 0, time.monotonic() - begun)
    assert wrong == {}
    assert cut_short > 0  # or the test has shown nothing


def test_what_waits_for_an_answer_is_told_in_its_order_after_a_restart(start, tmp_path, receiver):
    receiver.act = receiver.hang
    server = start(TWILIO_AUTH_TOKEN=TOKEN)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    form = {"To": PHONE, "MessagingServiceSid": MG, "Body": "Hello", "StatusCallback": receiver.url}
    connection.request("POST", MESSAGES, urlencode(form), HEADERS)
    sid = json.loads(connection.getresponse().read())["sid"]
    connection.close()
    receiver.wait_for(1)
    count = "SELECT count(*) FROM webhook_deliveries"
    wait_until(lambda: query(tmp_path / "phonify.db", count) == [(3,)])
    server.kill_all()
    before = len(receiver.received)
    receiver.act = lambda client, _: client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    start(TWILIO_AUTH_TOKEN=TOKEN)
    told = receiver.wait_for(before + 3, 40)[before:]
    assert list_told(told) == {sid: ["queued", "sent", "delivered"]}
    first = read_form(receiver.received[0])
    assert first == read_form(told[0])
    token = "i-twilio-idempotency-token"
    assert receiver.received[0].headers[token] == told[0].headers[token]
