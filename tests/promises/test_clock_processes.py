"""Tests of the clock of whole servers: several workers, restarts, kill -9, a year in one call, other gateways."""

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import ROOT
from tests.support.load import count, query, wait_until
from tests.support.receivers import Receiver, status
from tests.support.servers import Process

pytestmark = pytest.mark.slow

Start = Callable[..., Process]
APP = str(ROOT / "tests" / "support" / "gateway_app.py")
PHONE = "+14560000000"


def show(server: Process) -> dict[str, Any]:
    status_, shown = server.call("GET", "/sandbox/clock")
    assert status_ == 200
    clock: dict[str, Any] = shown["clock"]
    return clock


def schedule(server: Process, *times: str) -> list[str]:
    ids = []
    for at in times:
        status_, shown = server.call("POST", "/v1/messages", to=PHONE, body="Hello", send_at=at)
        assert status_ == 201
        ids.append(shown["message"]["id"])
    return ids


def list_days(server: Process, number: int) -> list[str]:
    """Return noon of the given number of days, from the next month on."""
    year, month = show(server)["machine_now"].split("-")[:2]
    start = int(year) * 12 + int(month)
    months = [divmod(start + day // 28, 12) for day in range(number)]
    return [f"{y:04}-{m + 1:02}-{day % 28 + 1:02}T12:00:00.000Z" for day, (y, m) in enumerate(months)]


def test_a_year_in_one_call_with_several_workers(start: Start, receiver: Receiver, tmp_path: Path) -> None:
    server = start(WORKERS="3", RETAIN_DAYS="300", ACCESS_LOG="off")
    server.call("PUT", "/v1/webhook", url=receiver.url)
    server.call("POST", "/sandbox/clock/freeze")
    times = list_days(server, 40)
    schedule(server, *times)
    server.call("POST", "/v1/messages", to="+15005550012", body="Nobody knows")
    begun = time.monotonic()
    status_, shown = server.call("POST", "/sandbox/clock/advance", by="365d")
    print(f"a year with 40 scheduled messages: {shown['advance']['summary']}, in {time.monotonic() - begun:.1f} s")
    assert status_ == 200
    ended = shown["advance"]["ended"]
    assert shown["advance"]["finished"]
    assert (ended["sent"], ended["expired"], ended["webhooks"]) == (40, 1, 41)
    assert ended["removed"] > 10
    posted = [json.loads(one.body) for one in receiver.received]
    sent_at = [one["timestamp"] for one in posted if one["type"] == "message.sent"]
    assert sent_at == times  # in this order, and each at its time
    with ThreadPoolExecutor(8) as pool:  # every worker answers some of these
        clocks = {clock["now"] for clock in pool.map(lambda _: show(server), range(40))}
    assert clocks == {shown["clock"]["now"]}


def test_a_restart_keeps_the_clock_and_says_so(start: Start) -> None:
    server = start()
    server.call("POST", "/sandbox/clock/freeze")
    server.call("POST", "/sandbox/clock/advance", by="24h")
    now = show(server)["now"]
    server.terminate()
    again = start()
    said = again.wait_for(
        r"The clock does not show the real time: it stands still at (\S+)\. Set it to the real time with: (.*)"
    )
    assert said[1] == show(again)["now"] == now
    assert said[2].endswith("clock reset")
    again.terminate()
    in_json = start(LOG_FORMAT="json")
    in_json.wait_for(f"the clock does not show the real time: it stands still at {now}")


@pytest.mark.parametrize("frozen", [True, False])
def test_after_kill_9_in_the_middle_the_clock_stands_at_a_step_and_nothing_is_lost(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, frozen: bool
) -> None:
    monkeypatch.setenv("GATEWAY", "repeatable")
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    if frozen:
        server.call("POST", "/sandbox/clock/freeze")
    times = list_days(server, 60)
    ids = schedule(server, *times)
    before, database = show(server)["now"], tmp_path / "phonify.db"

    def advance() -> None:
        with suppress(OSError, HTTPException):  # the server is killed before its answer
            server.call("POST", "/sandbox/clock/advance", by="365d")

    thread = threading.Thread(target=advance)
    thread.start()
    wait_until(lambda: query(database, "SELECT count(*) >= 20 FROM messages WHERE state = 'sent'") == [(1,)])
    server.kill_all()
    thread.join()
    again = start(APP, ACCESS_LOG="off")
    stopped = show(again)
    assert stopped["frozen"]
    assert before < stopped["now"] < times[-1]
    assert stopped["now"] in times
    later = [at for at in times if at > stopped["now"]]
    waiting = "SELECT send_at FROM messages WHERE state = 'unconfirmed'"
    wait_until(lambda: query(database, waiting) == [(at,) for at in later])  # what was due is sent
    _, shown = again.call("POST", "/sandbox/clock/advance", to=times[-1])
    assert shown["advance"]["finished"]
    lost, doubled, stuck = count(f"kill -9 during an advance, frozen: {frozen}", database, ids, begun)
    assert (lost, stuck) == (0, 0)
    assert doubled <= 1  # the message that was being sent


def test_two_advances_at_once_do_not_mix(start: Start, receiver: Receiver) -> None:
    server = start(WORKERS="2", ACCESS_LOG="off")
    server.call("PUT", "/v1/webhook", url=receiver.url)
    answers = []

    def act(*given: Any) -> None:
        answers.append(server.call("POST", "/sandbox/clock/advance", by="1h"))
        status(204)(*given)

    receiver.act = act
    schedule(server, *list_days(server, 3))
    _, shown = server.call("POST", "/sandbox/clock/advance", by="365d")
    assert shown["advance"]["ended"]["webhooks"] == 3
    assert {(status_, answer["errors"][0]["type"]) for status_, answer in answers} == {(409, "clock_is_advancing")}


def test_a_hanging_app_delays_the_answer_only_for_some_time(start: Start, receiver: Receiver) -> None:
    server = start(ACCESS_LOG="off")
    server.call("PUT", "/v1/webhook", url=receiver.url)
    receiver.act = receiver.hang
    schedule(server, *list_days(server, 3))
    begun = time.monotonic()
    _, shown = server.call("POST", "/sandbox/clock/advance", by="365d")
    assert time.monotonic() - begun < 40  # 20 seconds, and the longest time of a post
    assert not shown["advance"]["finished"]
    assert shown["clock"]["now"] < shown["advance"]["target"]


def test_a_database_whose_clock_was_changed_is_not_used_to_send_to_phones(start: Start, tmp_path: Path) -> None:
    server = start("-m", "phonify", "clock", "show", API_KEY=None)
    assert server.popen.wait(20) == 2  # there is no database
    assert start("-m", "phonify", "init-db", API_KEY=None).popen.wait(20) == 0
    assert start("-m", "phonify", "clock", "advance", "365d", API_KEY=None).popen.wait(20) == 0
    android = {
        "GATEWAY": "android",
        "ANDROID_URL": "http://127.0.0.1:1",
        "ANDROID_USERNAME": "sms",
        "ANDROID_PASSWORD": "x",
    }
    refused = start(**android)
    assert refused.popen.wait(20) == 2
    refused.wait_for(
        f"the database can't be used: {tmp_path}/phonify.db: its clock was changed and shows .*Use another database."
        " Or run `clock reset` with PHONIFY_GATEWAY=stub"
    )
    released = {**android, "GATEWAY": "stub", "RELEASE_GATEWAY": "android", "ONLY_TO": PHONE}
    assert start(**released).popen.wait(20) == 2
    assert start("-m", "phonify", "clock", "reset", API_KEY=None).popen.wait(20) == 0
    assert start(**android).port


def test_a_process_that_hangs_does_not_keep_its_messages_while_the_clock_stands_still(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY", "repeatable")
    (tmp_path / "pause").touch()
    first = start(APP, LEASE="1", ACCESS_LOG="off")
    first.call("POST", "/sandbox/clock/freeze")
    schedule(first, "2020-01-01T00:00:00Z")
    database = tmp_path / "phonify.db"
    wait_until(lambda: query(database, "SELECT attempts FROM messages") == [(1,)])
    (tmp_path / "pause").unlink()
    second = start(APP, LEASE="1", ACCESS_LOG="off")
    wait_until(lambda: query(database, "SELECT state FROM messages") == [("sent",)], timeout=10)
    assert show(second)["frozen"]
    assert os.getpgid(first.popen.pid)  # it is still running
