"""Tests of the table of errors, and of a full disk."""

import re

import pytest
from flask.testing import FlaskClient

from phonify.errors import ERROR_TYPES
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
