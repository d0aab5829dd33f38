"""Tests of the check of a text. The API, the command and the inbox must show the same."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from tests.support.app import KEY, ROOT, faults_of, sign_in

BOUND = "Your code is 482193.\n\n@example.com #482193"
NOT_BOUND = "Your code is 482193.\n\n@example.com 482193"
CURLY = "It\N{RIGHT SINGLE QUOTATION MARK}s here"


def check(client: FlaskClient, body: str) -> dict[str, Any]:
    response = client.post("/sandbox/check", json={"body": body})
    assert response.status_code == 200
    return response.get_json()["check"]


def run(runner: FlaskCliRunner, *arguments: str, given: bytes | None = None) -> tuple[int, str, str]:
    result = runner.invoke(args=["check-text", *arguments], input=given)
    return result.exit_code, result.stdout, result.stderr


def test_a_short_text_is_one_sms_in_gsm7(client: FlaskClient) -> None:
    assert check(client, "10 €") == {
        "encoding": "gsm7",
        "characters": 4,
        "units": 5,  # the euro sign takes two septets
        "single": 160,
        "segments": [{"start": 0, "end": 4, "units": 5, "text": "10 €"}],
        "wide": [],
        "webotp": {"valid": False, "line": None, "host": None, "embedded_host": None, "code": None},
    }


def test_each_wide_character_is_named_with_its_position_and_substitute(client: FlaskClient) -> None:
    assert check(client, "“Hi” 😀")["wide"] == [
        {"position": 0, "character": "“", "name": "LEFT DOUBLE QUOTATION MARK", "substitute": '"'},
        {"position": 3, "character": "”", "name": "RIGHT DOUBLE QUOTATION MARK", "substitute": '"'},
        {"position": 5, "character": "😀", "name": "GRINNING FACE", "substitute": None},
    ]


def test_the_segments_say_where_a_text_is_cut(client: FlaskClient) -> None:
    text = "😀" * 34 + "x" * 20
    segments = check(client, text)["segments"]
    assert [(segment["start"], segment["end"], segment["units"]) for segment in segments] == [(0, 33, 66), (33, 54, 22)]
    assert "".join(segment["text"] for segment in segments) == text
    assert all(text[segment["start"] : segment["end"]] == segment["text"] for segment in segments)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [("missing_argument", "body")]),
        ({"body": ""}, [("empty_text", "body")]),
        ({"body": "x" * 161}, [("text_too_long", "body")]),
        ({"body": "\0"}, [("invalid_text", "body")]),
        ({"body": ["a", "b"]}, [("repeated_argument", "body")]),
    ],
)
def test_a_text_that_no_message_can_have_is_400(
    client: FlaskClient, given: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    response = client.post("/sandbox/check", json=given)
    assert response.status_code == 400
    assert faults_of(response) == expected


def test_checking_stores_nothing(client: FlaskClient) -> None:
    check(client, "Hello")
    assert client.get("/v1/messages").get_json() == {"messages": []}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("Hello",), 0),
        (("x" * 160,), 0),
        (("€" * 81,), 1),
        (("€" * 81, "--max-segments", "2"), 0),
        ((CURLY,), 1),
        ((CURLY, "--allow-ucs2"), 0),
        (("😀" * 71, "--allow-ucs2"), 1),
        ((BOUND, "--webotp"), 0),
        ((NOT_BOUND, "--webotp"), 1),
        (("Hello", "--webotp"), 1),
        (("",), 2),
        (("x" * 161,), 2),
        ((), 2),
        (("Hello", "--max-segments", "0"), 2),
    ],
)
def test_the_exit_status_is_for_ci(runner: FlaskCliRunner, arguments: tuple[str, ...], status: int) -> None:
    assert run(runner, *arguments)[0] == status


def test_the_command_says_what_is_wrong(runner: FlaskCliRunner) -> None:
    _, shown, said = run(runner, f"{'😀' * 40}\n@example.com", "--webotp")
    assert "UCS-2: 93 units of UTF-16 in 2 SMS" in shown
    assert "GRINNING FACE" in shown
    assert "0-33" in shown
    assert "not valid" in shown
    faults = "the text needs UCS-2; the text needs 2 SMS, more than 1; the last line must have the form '@host #code'"
    assert said == f"Error: {faults}\n"


def test_the_command_names_substitutes(runner: FlaskCliRunner) -> None:
    _, shown, _ = run(runner, "a\N{ZERO WIDTH SPACE}b\N{EN DASH}c\N{SNOWMAN}")
    endings = re.findall(r"^\d+ .* {2}(\S.*)$", shown, re.MULTILINE)
    assert endings == ["leave it out", "'-'", "none"]


def test_the_command_reads_standard_input_without_the_line_break_at_its_end(runner: FlaskCliRunner) -> None:
    status, shown, _ = run(runner, "-", "--webotp", "--json", given=f"{BOUND}\n".encode())
    assert status == 0
    assert json.loads(shown)["webotp"]["valid"] is True
    assert run(runner, "-", given=b"\xff")[0] == 2


def test_command_and_api_say_the_same(client: FlaskClient, runner: FlaskCliRunner) -> None:
    for text in ("Hello", CURLY, BOUND, "😀" * 80):
        assert json.loads(run(runner, text, "--json")[1]) == check(client, text)


def test_the_command_needs_no_database(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "phonify", "check-text", "Hello"]
    environ = {"PHONIFY_DATABASE": str(tmp_path / "no/where.db"), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(BOUND, "WebOTP: 482193 for example.com"), (NOT_BOUND, "not a WebOTP line"), (CURLY, "not in GSM-7")],
)
def test_the_inbox_says_the_same_of_a_text_that_is_being_written(client: FlaskClient, text: str, expected: str) -> None:
    sign_in(client, KEY)
    page = client.post("/inbox/check", data={"body": text}, headers={"Origin": "http://localhost"})
    assert page.status_code == 200
    assert expected in page.get_data(as_text=True)


def test_the_details_of_a_message_say_what_its_last_line_binds(client: FlaskClient) -> None:
    sign_in(client, KEY)
    sent = client.post("/v1/messages", json={"to": "+14560000000", "body": BOUND}).get_json()["message"]
    page = client.get(f"/inbox/messages/{sent['id']}").get_data(as_text=True)
    assert re.search(r"<dt>WebOTP</dt><dd><code>482193</code> for <code[^>]*>example\.com</code>", page)
