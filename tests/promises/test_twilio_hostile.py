"""The Twilio-compatible API: no request whatever is an unexpected error, or breaks a page."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.app import KEY, basic, building, sign_in
from tests.support.fake_gateway import FakeGateway
from tests.support.twilio import AC, ACCOUNT, MESSAGES, OWN, PHONE, TwilioApi, fill, read_error

NAMES = (
    "To", "From", "Body", "MessagingServiceSid", "MediaUrl", "StatusCallback", "ValidityPeriod", "SendAt",
    "ScheduleType", "SmartEncoded", "ContentSid", "ContentVariables", "ContentRetention", "MaxPrice", "Status",
    "Outcome", "PageSize", "Page", "PageToken", "DateSent", "DateSent<", "DateSent>",
)  # fmt: skip
VALUES = st.text() | st.sampled_from(
    (PHONE, OWN, f"MG{'a' * 32}", f"HX{'b' * 32}", "fixed", "true", "discard", "2026-01-31T09:50:00Z", "1", "-1",
     "ACME", "http://a.example/", "http://[", "http://a.example:99999/", "//", '{"1": "\\ud800"}',
     "{}", "canceled", "0" * 400)
)  # fmt: skip
FORMS = st.dictionaries(st.sampled_from(NAMES), VALUES)
HEADERS = {"Authorization": basic(AC, KEY)}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwilioApi]:
    database = tmp_path_factory.mktemp("hostile") / "phonify.db"
    with building({"DATABASE": database, "API_KEY": KEY}) as app:
        yield TwilioApi(app)


@pytest.fixture(scope="module")
def page(api: TwilioApi) -> FlaskClient:
    """A browser that is signed in."""
    browser = api.app.test_client()
    sign_in(browser, KEY)
    return browser


@settings(max_examples=25)
@given(FORMS)
def test_any_form_sends_or_is_refused(api, page, form):
    response = api.call("POST", MESSAGES, fill({name: _clean(value) for name, value in form.items()}))
    if response.status_code == 201:
        sent = response.get_json()
        assert api.get(sent["uri"])["sid"] == sent["sid"]
        api.get(sent["subresource_uris"]["media"])
        for path in (f"/inbox/messages/{_read_id(sent['sid'])}", "/inbox/settings"):
            assert page.get(path).status_code == 200
    else:
        assert read_error(response)[0] in (400, 429)


@given(FORMS, st.sampled_from(("Messages.json", f"Messages/SM{'0' * 32}.json", f"Messages/SM{'0' * 32}/Feedback.json")))
def test_any_query_is_answered(api, form, path):
    query = urlencode({name: _clean(value) for name, value in form.items()})
    for method in ("GET", "POST", "DELETE"):
        response = api.call(method, f"{ACCOUNT}/{path}?{query}")
        if response.status_code not in (200, 201):
            assert read_error(response)[0] in (400, 404, 405, 429)


@given(
    st.binary(), st.sampled_from(("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x/y", ""))
)
def test_any_bytes_are_answered(api, data, content_type):
    response = api.call("POST", MESSAGES, data=data, content_type=content_type)
    assert read_error(response)[0] == 400


@given(st.text(min_size=1))
def test_any_path_is_answered(api, text):
    for path in (f"/2010-04-01/{text}", f"{ACCOUNT}/{text}", f"{ACCOUNT}/Messages/{text}.json"):
        response = api.app.test_client().get(path, headers=HEADERS)
        assert response.status_code in (200, 400, 404, 405), response.get_data()


@given(st.text(), st.text())
def test_any_credentials_are_answered(api, user, password):
    response = TwilioApi(api.app, _clean(user), _clean(password)).call("GET", MESSAGES)
    assert read_error(response)[0] == 401


def _clean(text: str) -> str:
    """Return a text without unpaired surrogates, which have no form in UTF-8."""
    return text.encode(errors="replace").decode()


def _read_id(sid: str) -> str:
    digits = sid[2:]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def test_an_unexpected_error_is_answered_in_twilio_s_form_and_says_nothing(make_app):
    class Broken(FakeGateway):
        def check(self, to: str, origin: str, body: str) -> None:
            raise RuntimeError("secret")

    app: Flask = make_app(Broken(), TWILIO="on")
    response = TwilioApi(app).call("POST", MESSAGES, fill({}))
    assert read_error(response) == (500, 20500, "An internal server error has occurred")
