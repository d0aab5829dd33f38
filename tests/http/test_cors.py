"""Pages of other origins: which of them may call the API and read its answers."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.app import KEY, basic

PAGE = "http://localhost:5173"
ALLOW = "Access-Control-Allow-Origin"


@pytest.mark.parametrize("path", ["/v1/messages", "/sandbox/messages"])
@pytest.mark.parametrize(
    ("cors", "origin"), [(PAGE, PAGE), (f"https://a.example,{PAGE}", PAGE), ("*", "https://b.example")]
)
def test_a_page_of_an_allowed_origin_may_ask_and_read(
    make_app: Callable[..., Flask], path: str, cors: str, origin: str
) -> None:
    client = make_app(CORS=cors).test_client()
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    preflight = client.options(path, headers=asked)
    assert preflight.status_code < 300
    assert preflight.headers[ALLOW] == origin
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]

    answer = client.get(path, headers={"Origin": origin, "Authorization": basic(KEY)})
    assert (answer.status_code, answer.headers[ALLOW]) == (200, origin)
    assert "Origin" in answer.vary
    refused = client.get(path, headers={"Origin": origin, "Authorization": basic("wrong")})
    assert (refused.status_code, refused.headers[ALLOW]) == (401, origin)


@pytest.mark.parametrize("cors", ["", "https://a.example"])
def test_any_other_page_may_not(make_app: Callable[..., Flask], cors: str) -> None:
    client = make_app(CORS=cors).test_client()

    for path in ("/v1/messages", "/sandbox/messages", "/inbox/sign-in", "/docs"):
        assert ALLOW not in client.get(path, headers={"Origin": PAGE}).headers
        assert ALLOW not in client.options(path, headers={"Origin": PAGE}).headers


def test_the_pages_of_the_inbox_are_for_no_other_origin(make_app: Callable[..., Flask]) -> None:
    client = make_app(CORS="*").test_client()

    assert ALLOW not in client.get("/inbox/sign-in", headers={"Origin": PAGE}).headers


def test_the_description_is_readable_by_pages_of_any_origin(make_app: Callable[..., Flask]) -> None:
    assert make_app().test_client().get("/v1/openapi.json", headers={"Origin": PAGE}).headers[ALLOW] == "*"
