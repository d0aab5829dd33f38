"""Tests of the page /docs: texts, JSON, working examples, and complete content."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify import create_app
from phonify.api.openapi.document import build_document
from phonify.errors import ERROR_TYPES
from phonify.gateways.stub import SPECIAL_NUMBERS
from phonify.schemas.examples import MESSAGE_ID
from phonify.schemas.rule_examples import RULE_ID
from phonify.schemas.sandbox_examples import RUN_ID
from phonify.web.reference_content import (
    Operation,
    format_inline,
    format_text,
    read_document,
    write_curl,
    write_json,
    write_python,
)
from tests.support.app import KEY, ROOT
from tests.support.servers import Process, starting

RELEASE_APP = str(ROOT / "tests" / "support" / "release_app.py")


@pytest.fixture
def page(anonymous: FlaskClient) -> str:
    response = anonymous.get("/docs")
    assert response.status_code == 200
    return response.get_data(as_text=True)


def test_the_page_has_every_operation_error_type_and_special_number(app: Flask, page: str) -> None:
    for path, methods in build_document(app)["paths"].items():
        for method, operation in methods.items():
            assert f'id="{operation["operationId"]}"' in page
            assert f'data-try="{method.upper()}" data-path="{path}"' in page
    for error in ERROR_TYPES.values():
        assert f'id="error-{error.type}"' in page
        assert error.title in unescape(page)
    assert all(number in page for number in SPECIAL_NUMBERS)


def test_texts_are_escaped_and_marked_up() -> None:
    assert format_inline("a `b<c` **d** <e>") == "a <code>b&lt;c</code> <strong>d</strong> &lt;e&gt;"
    assert format_text("one\ntwo\n\nthree\n") == "<p>one two</p>\n<p>three</p>"


def test_json_is_escaped_and_reads_back_as_it_was() -> None:
    value = {"a<b": ['"quoted": true', None, -1.5, True, "\\"], "ö": {}}
    written = write_json(value)
    assert "<b" not in written
    assert json.loads(unescape(re.sub(r"</?span[^>]*>", "", written))) == value


# The examples on the page, against a started server.


def list_operations(folder: Path) -> list[Operation]:
    app = create_app({"DATABASE": folder / "phonify.db", "API_KEY": KEY})
    app.extensions["phonify"].prepare()
    try:
        found = read_document(build_document(app))
    finally:
        app.extensions["phonify"].close()
    return [operation for _, _, _, operations in found["tags"] for operation in operations]


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    return list_operations(tmp_path_factory.mktemp("operations"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        server = start(RELEASE_APP, WORKERS="1", RELEASE_GATEWAY="gateway", ONLY_TO="+14560000000")
        assert server.port
        yield server


@pytest.fixture(scope="module")
def clock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server whose clock may be changed, because it releases nothing to phones."""
    with starting(tmp_path_factory.mktemp("clock")) as start:
        server = start(WORKERS="1")
        assert server.port
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_curl, write_python], ids=["curl", "python"])
def test_every_sample_does_what_the_page_says(
    server: Process, clock_server: Process, operations: list[Operation], write: Callable[[str, Operation], str]
) -> None:
    later = {"to": "+14560000000", "body": "Your Acme code is 482193", "send_at": "2030-01-01T09:00:00Z"}
    for operation in operations:
        if operation.id == "release_message":
            server.call("POST", "/v1/messages", **{**later, "body": "caught", "send_at": "2026-01-01T09:00:00Z"})
            _, answer = server.call("GET", "/v1/messages", q="caught", state="sent", wait="10")
        else:
            _, answer = server.call("POST", "/v1/messages", **later)
        asked = clock_server if operation.path.startswith("/sandbox/clock") else server
        sample = write(f"http://127.0.0.1:{asked.port}", operation)
        _, created = server.call("POST", "/sandbox/runs")
        server.call("PUT", "/v1/webhook", url="http://127.0.0.1:9/")
        _, made = server.call("POST", "/sandbox/rules", to="+4915112345678", outcome="sent")
        sample = sample.replace(MESSAGE_ID, answer["messages"][0]["id"]).replace(RUN_ID, created["run"]["id"])
        sample = sample.replace(RULE_ID, made["rule"]["id"])
        command = ["bash", "-c", f"{sample} -sS"] if write is write_curl else [sys.executable, "-c", sample]
        result = subprocess.run(command, env={**os.environ, "KEY": KEY}, capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, ""), f"{sample}\n{result.stderr}"
        shown = json.loads(result.stdout) if write is write_curl else eval(result.stdout)
        assert "errors" not in shown, sample
        expected = operation.answers[0].examples
        assert not expected or set(shown) == set(expected[0][1]), sample
        server.call("DELETE", "/sandbox/rules")
        # The example opts the phone out. The next example must be able to write to this phone.
        server.call("POST", "/sandbox/inbound", **{"from": "+14560000000", "to": "+15005550006", "body": "START"})
