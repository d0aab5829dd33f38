"""Tests of the page /docs: it works offline and is safe. test_docs_page.py has the tests in a browser."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def page(anonymous: FlaskClient) -> str:
    response = anonymous.get("/docs")
    assert response.status_code == 200
    return response.get_data(as_text=True)


def test_every_link_within_the_page_leads_somewhere_and_no_id_is_there_twice(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    loaded = re.findall(r'(?:src|<link [^>]*href)="([^"]+)"', page)
    assert loaded
    assert all(address.startswith(("/docs/static/", "/inbox/static/")) for address in loaded)
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"<script(?! src)", page)


def test_what_the_page_loads_is_there_without_a_key(anonymous: FlaskClient, page: str) -> None:
    for address in re.findall(r'(?:src|<link [^>]*href)="([^"]+)"', page):
        with anonymous.get(address) as response:
            assert response.status_code == 200


def test_the_page_has_the_headers_of_the_inbox(anonymous: FlaskClient) -> None:
    headers = anonymous.get("/docs").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_address_that_the_page_was_asked_for_at_is_in_its_samples(anonymous: FlaskClient) -> None:
    page = anonymous.get("/docs", base_url="https://sms.example.test").get_data(as_text=True)
    assert "curl https://sms.example.test/v1/messages" in page


def test_with_a_gateway_that_really_sends_there_is_no_sandbox_on_the_page(make_app: Callable[..., Flask]) -> None:
    page = make_app(OnceGateway()).test_client().get("/docs").get_data(as_text=True)
    assert "/sandbox/" not in page
    assert "Special numbers" not in page


def test_the_key_of_the_session_is_given_to_a_page_of_this_server_alone(anonymous: FlaskClient) -> None:
    sign_in(anonymous, KEY)
    assert "data-take-key" in anonymous.get("/docs").get_data(as_text=True)
    assert anonymous.post("/docs/key", headers=SAME_SITE).get_json() == {"api_key": KEY}
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://example.com"}):
        refused = anonymous.post("/docs/key", headers=headers)
        assert refused.status_code == 403
        assert KEY not in refused.get_data(as_text=True)


@pytest.mark.parametrize("cookie", [None, "wrong", KEY, f"{KEY}.", f"{KEY}.wrong"])
def test_who_is_not_signed_in_is_offered_no_key(anonymous: FlaskClient, cookie: str | None) -> None:
    if cookie is not None:
        anonymous.set_cookie("phonify_key_default", cookie)
    assert "data-take-key" not in anonymous.get("/docs").get_data(as_text=True)
    assert anonymous.post("/docs/key", headers=SAME_SITE).get_json() == {"api_key": None}


def test_no_key_is_in_the_page(anonymous: FlaskClient) -> None:
    sign_in(anonymous, KEY)
    assert KEY not in anonymous.get("/docs").get_data(as_text=True)
