"""Tests of the downloads under /sandbox. test_testing.py and test_javascript.py test the clients themselves."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import ROOT, faults_of
from tests.support.fake_gateway import OnceGateway

FILES = {
    "/sandbox/phonify_client.py": ("phonify/testing/client.py", "text/x-python"),
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


@pytest.mark.parametrize("path", FILES)
def test_a_client_is_not_sent_again_to_who_has_it(anonymous: FlaskClient, path: str) -> None:
    with anonymous.get(path) as first:
        assert "max-age=60" in first.headers["Cache-Control"]
    with anonymous.get(path, headers={"If-None-Match": first.headers["ETag"]}) as again:
        assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", FILES)
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
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120
