"""Tests of the examples in the guide to the test API, in each language, against a server."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT
from tests.support.servers import Process, starting

GUIDE = ROOT.joinpath("phonify/docs/test-api.md").read_text(encoding="utf-8")
COMMANDS = {
    "sh": ["sh", "-e", "-c"],
    "python": [sys.executable, "-W", "error", "-c"],
    "javascript": ["node", "--input-type=module", "-e"],
}
RELEASE_APP = str(ROOT / "tests" / "support" / "release_app.py")
SAMPLES = re.findall(r"^```(sh|python|javascript)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        server = start(RELEASE_APP, WORKERS="1", RELEASE_GATEWAY="gateway", ONLY_TO="+14560000000")
        assert server.port
        yield server


@pytest.fixture(scope="module")
def clock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server whose clock can be changed, because it can't release messages."""
    with starting(tmp_path_factory.mktemp("clock")) as start:
        server = start(WORKERS="1")
        assert server.port
        yield server


def test_each_of_the_six_parts_has_a_sample_in_each_language() -> None:
    assert [language for language, _ in SAMPLES] == ["sh", "python", "javascript"] * 6


@pytest.mark.slow
@pytest.mark.parametrize(("language", "sample"), SAMPLES, ids=lambda part: part[:20])
def test_a_sample_does_what_it_says(
    server: Process, tmp_path: Path, language: str, sample: str, request: pytest.FixtureRequest
) -> None:
    if "/clock" in sample:
        server = request.getfixturevalue("clock_server")
    if shutil.which(COMMANDS[language][0]) is None or (language == "sh" and shutil.which("curl") is None):
        pytest.skip("the language is not installed")
    server.call("POST", "/v1/messages", to="+14560000000", body="Your code is 482193: https://acme.example/")
    _, created = server.call("POST", "/sandbox/runs")
    _, caught = server.call("GET", "/v1/messages", state="sent", wait="10")
    ids = {"RUN_ID": created["run"]["id"], "MESSAGE_ID": caught["messages"][-1]["id"]}
    before = {run["id"] for run in server.call("GET", "/sandbox/runs")[1]["runs"]}
    result = subprocess.run(
        [*COMMANDS[language], sample.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")],
        cwd=tmp_path,
        env={**os.environ, "PHONIFY_KEY": KEY, **ids},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert '"errors"' not in result.stdout
    if "runs" in sample:
        ended = created["run"]["id"] if language == "sh" else None  # the others end their own run
        left = {run["id"] for run in server.call("GET", "/sandbox/runs")[1]["runs"]}
        assert before - left == ({ended} if ended else set())
        assert len(left - before) == (1 if ended else 0)
    elif "release" in sample:
        latest = server.call("GET", "/v1/messages", limit="1")[1]["messages"][0]
        assert latest["id"] in result.stdout
    elif "/clock" in sample:
        assert "24 h: " in result.stdout
        assert server.call("GET", "/sandbox/clock")[1]["clock"]["changed"]
    elif "twilio" in sample:
        assert "AC00000000000000000000000000000001" in result.stdout
        assert server.call("GET", "/sandbox/twilio")[1]["twilio"]["inbound_url"] == "http://127.0.0.1:5000/sms"
    elif "DELETE" in sample:
        assert server.call("GET", "/v1/messages")[1] == {"messages": []}
    else:
        assert "482193" in result.stdout
        assert "https://acme.example/" in result.stdout
