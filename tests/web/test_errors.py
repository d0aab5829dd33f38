"""Tests of errors in the inbox: in a view, and in an address that can't be read."""

import pytest

from tests.support.app import KEY, sign_in


def test_an_unexpected_error_is_a_page_that_says_nothing_of_it(app, anonymous, monkeypatch, caplog):
    def fail() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setitem(app.view_functions, "inbox.show_inbox", fail)
    sign_in(anonymous, KEY)
    response = anonymous.get("/")
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "secret" not in response.text
    assert "a secret" in caplog.text
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize("path", ["/", "/inbox/sign-in", "/inbox/search"])
def test_an_address_that_is_not_utf_8_is_400(app, anonymous, path, signed_in):
    if signed_in:
        sign_in(anonymous, KEY)
    response = anonymous.get(path, environ_overrides={"QUERY_STRING": "q=\xb6"})
    assert (response.status_code, response.mimetype) == (400, "text/html")
