"""Tests of the table of errors, and of a full disk."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.errors import ERROR_TYPES, StoreUnavailable
from phonify.services import Services
from tests.support.app import faults_of

# The form


@pytest.mark.parametrize("type_", ERROR_TYPES)
def test_a_type_is_one_identifier_and_its_title_a_sentence(type_: str) -> None:
    error = ERROR_TYPES[type_]

    assert error.type == type_
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.type)
    assert re.fullmatch(r"[A-Z][^\n]*\.", error.title)


def test_no_two_types_have_the_same_title() -> None:
    titles = [error.title for error in ERROR_TYPES.values()]

    assert len(set(titles)) == len(titles)


# 503


def test_sending_while_the_disk_is_full_is_503_and_nothing_is_stored(client: FlaskClient, services: Services) -> None:
    # SQLite gives the same error for a full disk and for a file that may not grow.
    with services.database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1").fetchone()

    response = client.post("/v1/messages", json={"to": ["+14560000000"] * 1_000, "body": "x" * 160})

    assert response.status_code == 503
    assert faults_of(response) == [("store_unavailable", None)]
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get("/v1/messages").get_json() == {"messages": []}


# The log


@pytest.mark.parametrize("error", [StoreUnavailable(), RuntimeError("broken")])
def test_the_log_of_an_error_does_not_have_the_secret_of_a_callback(
    app: Flask,
    anonymous: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(**_: str) -> None:
        raise error

    monkeypatch.setitem(app.view_functions, "gateways.hear", fail)
    response = anonymous.post("/gateways/http/s3cret/inbound")
    assert response.status_code in (500, 503)
    assert [record.getMessage() for record in caplog.records if "/gateways/http/***" in record.getMessage()]
    assert "s3cret" not in caplog.text
