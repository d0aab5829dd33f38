"""Tests of the downloads under /sandbox. test_testing.py and test_javascript.py test the clients themselves."""

import ast
import sys
import types
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import ROOT, faults_of
from tests.support.fake_gateway import OnceGateway

PYTHON = "/sandbox/phonify_client.py"
FILES = {
    "/sandbox/phonify.mjs": ("phonify/sandbox/static/phonify.mjs", "text/javascript"),
    "/sandbox/phonify.d.mts": ("phonify/sandbox/static/phonify.d.mts", "text/plain"),
}


@pytest.mark.parametrize("path", FILES)
def test_a_client_is_given_without_a_key_as_it_is_in_the_repository(anonymous: FlaskClient, path: str) -> None:
    file, mimetype = FILES[path]
    with anonymous.get(path) as response:
        assert response.status_code == 200
        assert response.data == ROOT.joinpath(file).read_bytes()
        assert response.headers["Content-Type"] == f"{mimetype}; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_client_in_python_is_one_file_that_needs_only_the_standard_library(anonymous: FlaskClient) -> None:
    with anonymous.get(PYTHON) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/x-python; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        text = response.get_data(as_text=True)
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."])
    }
    assert imported <= sys.stdlib_module_names
    module: dict[str, object] = {"__name__": "phonify_client"}
    sys.modules["phonify_client"] = types.ModuleType("phonify_client")  # dataclasses look there
    try:
        exec(compile(text, "phonify_client.py", "exec"), module)
    finally:
        del sys.modules["phonify_client"]
    assert {"Phonify", "PhonifyError", "Message", "Run"} <= module.keys()


@pytest.mark.parametrize("path", [*FILES, PYTHON])
def test_a_client_is_not_sent_again_to_who_has_it(anonymous: FlaskClient, path: str) -> None:
    with anonymous.get(path) as first:
        assert "max-age=60" in first.headers["Cache-Control"]
    with anonymous.get(path, headers={"If-None-Match": first.headers["ETag"]}) as again:
        assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", [*FILES, PYTHON])
def test_a_gateway_that_really_sends_gives_no_clients(make_app: Callable[..., Flask], path: str) -> None:
    response = make_app(gateway=OnceGateway()).test_client().get(path)
    assert response.status_code == 404
    assert faults_of(response) == [("not_found", None)]


def test_the_files_are_not_in_the_description_of_the_api(anonymous: FlaskClient) -> None:
    paths = anonymous.get("/v1/openapi.json").get_json()["paths"]
    assert "/sandbox/inbound" in paths
    assert not any("phonify" in path for path in paths)


def test_the_module_for_javascript_stays_small() -> None:
    lines = ROOT.joinpath("phonify/sandbox/static/phonify.mjs").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 160
    assert max(map(len, lines)) <= 120
