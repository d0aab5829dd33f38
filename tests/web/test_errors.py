"""Tests of an error in a view of the inbox."""

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
