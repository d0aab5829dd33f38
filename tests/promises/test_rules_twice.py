"""A suite that makes each fault happen, twice with the same seeds: both runs are the same.

One client sends the requests to real servers: the second run is on another server with other processes, whose database
is new.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from phonify.errors import MESSAGE_ERRORS
from tests.support.guides import read_block
from tests.support.servers import Process, starting

pytestmark = pytest.mark.slow

PHONE, OTHER = "+14560000000", "+4915112345678"
OUTCOMES: list[dict[str, Any]] = [
    {"outcome": "sent"},
    *({"outcome": outcome, "error": error} for outcome in ("refused", "failed") for error in MESSAGE_ERRORS),
    {"outcome": "delayed", "seconds": 0.5},
    {"outcome": "unavailable", "times": 1},
    {"outcome": "unconfirmed"},
    {"outcome": "delivered"},
    {"outcome": "delivered", "seconds": 0.3},
    {"outcome": "undelivered", "error": "unknown_handset"},
    {"outcome": "undelivered", "seconds": 0.3},
    {"outcome": "reply", "reply": "YES", "seconds": 0.3},
    *({"outcome": "api_error", "status": status} for status in (429, 500, 503)),
    {"outcome": "api_slow", "seconds": 0.3},
]


def write_scenario() -> str:
    """Return a scenario with two rules for each outcome: for the second message, and for a share of the others."""
    lines = []
    for at, outcome in enumerate(OUTCOMES):
        for choice in ({"nth": 2}, {"share": 40, "seed": at}):
            rule = {"name": f"{at} {choice}", "pattern": f"case {at}:*", **outcome, **choice}
            lines += ["[[rules]]", *(f"{name} = {json.dumps(value)}" for name, value in rule.items()), ""]
    return "\n".join(lines)


def run_suite(server: Process) -> list[Any]:
    """Send the messages of the suite, and return what has become of each."""
    statuses = [
        [server.call("POST", "/v1/messages", to=PHONE, body=f"case {at}: {number}")[0] for number in range(8)]
        for at in range(len(OUTCOMES))
    ]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        _, answer = server.call("GET", "/sandbox/messages", limit="1000")
        messages = answer["messages"]
        waits = [
            one
            for one in messages
            if (one["state"] == "unconfirmed" and one.get("rule", {}).get("outcome") != "unconfirmed")
            or (one.get("rule", {}).get("outcome") in ("delivered", "undelivered") and "receipt" not in one)
        ]
        replies = sum(one["direction"] == "inbound" for one in messages)
        expected = sum(one.get("rule", {}).get("outcome") == "reply" for one in messages)
        if not waits and replies == expected:
            break
        time.sleep(0.05)
    outbound = [one for one in reversed(messages) if one["direction"] == "outbound"]
    inbound = sorted(one["body"] for one in messages if one["direction"] == "inbound")
    shown = [
        (
            one["body"],
            one["state"],
            [error["type"] for error in one.get("errors", [])],
            (one.get("receipt") or {}).get("status"),
            (one.get("rule") or {}).get("name"),
        )
        for one in outbound
    ]
    rules = server.call("GET", "/sandbox/rules")[1]["rules"]
    return [statuses, shown, inbound, [(rule["name"], rule["seen"], rule["used"]) for rule in rules]]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Return a function that starts a server with its own database and a scenario."""
    file = tmp_path / "scenario.toml"
    file.write_text(write_scenario())
    with starting(tmp_path) as start:

        def serve(name: str) -> Process:
            server = start(
                "-m", "phonify", "serve", "--scenario", str(file), DATABASE=str(tmp_path / f"{name}.db"), WORKERS="2"
            )
            assert server.port
            return server

        yield serve


def test_each_outcome_happens_and_the_same_seed_gives_the_same_run(servers: Callable[[str], Process]) -> None:
    first, second = run_suite(servers("first")), run_suite(servers("second"))
    assert first == second
    statuses, messages, replies, rules = first
    assert len(rules) == 2 * len(OUTCOMES)
    by_nth = [used for name, _, used in rules if "nth" in name]
    assert by_nth == [1] * len(OUTCOMES)
    by_share = [used for name, _, used in rules if "share" in name]
    assert 0 < sum(by_share) < 8 * len(OUTCOMES)
    assert {status for one in statuses for status in one} == {201, 402, 429, 500, 503}
    assert {error for _, _, errors, *_ in messages for error in errors} == {*MESSAGE_ERRORS}
    assert {receipt for *_, receipt, _ in messages} == {None, "delivered", "undelivered"}
    assert len(replies) >= 1


def test_the_scenario_of_the_guide_does_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(read_block("rules", "scenario"))
    with starting(tmp_path) as start:
        server = start("-m", "phonify", "serve", "--scenario", str(file), WORKERS="1")
        assert server.port
        assert server.call("POST", "/v1/messages", to=PHONE, body="Hello")[0] == 503
        assert server.call("POST", "/v1/messages", to=OTHER, body="Hello")[0] == 201
        assert server.call("POST", "/v1/messages", to=PHONE, body="Please reply YES to confirm")[0] == 201
        _, answer = server.call("GET", "/v1/messages", direction="inbound", wait="10")
        assert [one["body"] for one in answer["messages"]] == ["YES"]
        _, answer = server.call("GET", "/v1/messages", to=OTHER)
        assert [one["errors"][0]["type"] for one in answer["messages"]] == ["unreachable_handset"]
        rules = server.call("GET", "/sandbox/rules")[1]["rules"]
        assert [rule["used"] for rule in rules][:3] == [1, 1, 1]


def test_a_server_does_not_start_with_a_scenario_that_it_can_not_use(tmp_path: Path) -> None:
    wrong, right = tmp_path / "wrong.toml", tmp_path / "right.toml"
    wrong.write_text('[[rules]]\noutcome = "delayed"\n')
    right.write_text('[[rules]]\noutcome = "sent"\n')
    android = {"GATEWAY": "android", "ANDROID_URL": "http://127.0.0.1:9", "ANDROID_USERNAME": "a"}
    cases: list[tuple[Path, dict[str, str], str]] = [
        (wrong, {}, f"{wrong}: rule 1: seconds: This argument is missing"),
        (tmp_path / "none.toml", {}, "No such file or directory"),
        (
            right,
            android | {"ANDROID_PASSWORD": "b"},
            "--scenario needs the stub gateway, but PHONIFY_GATEWAY is android",
        ),
    ]
    with starting(tmp_path) as start:
        for file, settings, text in cases:
            process = start("-m", "phonify", "serve", "--scenario", str(file), **settings)
            assert process.popen.wait(30) == 2
            assert text in process.output
