"""Tests of `phonify serve --demo`: its content, its end, and its refusals."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.servers import Process, starting

DEMO = ("-m", "phonify", "serve", "--demo")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A demo with two workers. All tests use it."""
    folder = tmp_path_factory.mktemp("demo")
    with starting(folder) as start, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        server = start(*DEMO, WORKERS="2")
        assert server.port
        yield server


@pytest.fixture(scope="module")
def messages(server: Process) -> list[dict]:
    status, answer = server.call("GET", "/v1/messages?limit=1000")
    assert status == 200
    return answer["messages"]


def find_folder(folder: Path) -> list[Path]:
    return list(folder.glob("phonify-demo-*"))


def errors_of(messages: list[dict]) -> set[str]:
    return {error["type"] for message in messages for error in message.get("errors", [])}


def test_there_are_a_dozen_conversations_in_both_directions(server: Process, messages: list[dict]) -> None:
    _, answer = server.call("GET", "/v1/subscriptions?limit=1000")
    assert len(answer["subscriptions"]) == 12
    assert {message["direction"] for message in messages} == {"outbound", "inbound"}


def test_there_is_a_message_in_each_state_and_some_fail_in_different_ways(messages: list[dict]) -> None:
    assert {message["state"] for message in messages} == {"unconfirmed", "sent", "error"}
    assert errors_of(messages) == {"country_not_permitted", "blocked_by_recipient", "validity_expired", "opted_out"}


def test_the_texts_were_written_in_the_last_days(messages: list[dict]) -> None:
    times = [datetime.fromisoformat(message["created_at"]) for message in messages]
    now = datetime.now(UTC)
    assert times == sorted(times, reverse=True)
    assert now - timedelta(days=5) < times[-1] < now - timedelta(days=3)
    assert now - timedelta(minutes=10) < times[0] < now


def test_one_text_is_scheduled(messages: list[dict]) -> None:
    (scheduled,) = [message for message in messages if message.get("send_at")]
    assert scheduled["state"] == "unconfirmed"
    assert datetime.fromisoformat(scheduled["send_at"]) > datetime.now(UTC)


def test_phones_have_opted_out_and_in_and_keywords_are_answered(server: Process, messages: list[dict]) -> None:
    _, answer = server.call("GET", "/v1/subscriptions?limit=1000")
    opted_out = [one["number"] for one in answer["subscriptions"] if not one["subscribed"]]
    assert opted_out == ["+61491570156"]
    assert {"STOP", "START", "HELP"} <= {message["body"] for message in messages}
    assert any("Reply START" in message["body"] for message in messages)


def test_texts_have_codes_and_some_take_two_sms(server: Process, messages: list[dict]) -> None:
    assert sum("code" in message["body"] for message in messages) == 3
    checks = [server.call("POST", "/sandbox/check", body=message["body"])[1]["check"] for message in messages]
    assert {check["encoding"] for check in checks if len(check["segments"]) == 2} == {"gsm7", "ucs2"}


def test_a_message_can_be_sent_and_is_delivered(server: Process) -> None:
    status, answer = server.call("POST", "/v1/messages", to="+14560000000", body="Hello")
    assert status == 201
    _, answer = server.call("GET", "/v1/messages?to=%2B14560000000&state=sent&wait=20")
    assert [message["body"] for message in answer["messages"]] == ["Hello"]


def test_the_setting_of_the_database_is_ignored_and_said_to_be(server: Process) -> None:
    given = server.log.parent / "phonify.db"
    server.wait_for(rf"PHONIFY_DATABASE is ignored, and {re.escape(str(given))} is not changed\.")
    assert not given.exists()
    (folder,) = find_folder(server.log.parent)
    server.wait_for(rf"Make another key with: PHONIFY_DATABASE={re.escape(str(folder))}/phonify\.db \S*python")


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_folder_is_gone_at_the_end(
    start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = start(*DEMO, DATABASE=None, API_KEY=None)
    server.wait_for(r"This link opens the inbox and signs you in:\s+http://127\.0\.0\.1:\d+/\?api_key=phk_")
    assert server.call("GET", "/healthz", key=None)[0] == 200
    assert "is ignored" not in server.output
    assert len(find_folder(tmp_path)) == 1
    os.kill(server.popen.pid, signum)
    assert server.popen.wait(40) == 0
    assert find_folder(tmp_path) == []


@pytest.mark.slow
def test_a_start_that_is_interrupted_removes_the_folder(
    start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = start(*DEMO)
    server.wait_for("This is a demo")
    assert server.terminate() in (0, 128 + signal.SIGTERM)
    assert find_folder(tmp_path) == []


def test_settings_that_can_not_be_used_are_said_and_nothing_is_left(
    start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = start(*DEMO, WORKERS="none")
    process.wait_for("PHONIFY_WORKERS: 'none' must be a whole number")
    assert process.popen.wait(40) == 2
    assert find_folder(tmp_path) == []


def test_a_sender_that_can_not_be_answered_does_no_harm(
    start: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = start(*DEMO, ORIGIN="Acme", WORKERS="1")
    assert server.call("GET", "/v1/messages?limit=1")[0] == 200
