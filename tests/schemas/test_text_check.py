"""Tests of the last line of a text. It may bind a code to a web site."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from phonify.sms.one_time_codes import find_bound_line

BOUND = "Your code is 482193.\n\n@example.com #482193"
NOT_BOUND = "Your code is 482193.\n\n@example.com 482193"


def check(client: FlaskClient, body: str) -> dict[str, Any]:
    response = client.post("/sandbox/check", json={"body": body})
    assert response.status_code == 200
    return response.get_json()["check"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOUND, (True, "@example.com #482193", "example.com", "482193")),
        (NOT_BOUND, (False, "@example.com 482193", None, None)),
        ("Your code is 482193", (False, None, None, None)),
        (f"{BOUND}\nBye", (False, None, None, None)),
        ("@example #1", (False, "@example #1", None, None)),
        ("Hi\r@localhost #1", (True, "@localhost #1", "localhost", "1")),
        ("@a.com:8443 #123456", (False, "@a.com:8443 #123456", None, None)),
    ],
)
def test_the_last_line_is_looked_at_for_a_code_that_is_bound_to_a_site(
    client: FlaskClient, text: str, expected: tuple[Any, ...]
) -> None:
    webotp = check(client, text)["webotp"]
    assert (webotp["valid"], webotp["line"], webotp["host"], webotp["code"]) == expected
    assert find_bound_line(text) == expected[1]


def test_the_host_of_an_embedded_page_is_part_of_what_is_told(client: FlaskClient) -> None:
    assert check(client, "@a.com #123456 @b.com")["webotp"]["embedded_host"] == "b.com"
    assert check(client, BOUND)["webotp"]["embedded_host"] is None
