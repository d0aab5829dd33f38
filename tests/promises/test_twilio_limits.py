"""The Twilio-compatible API: what is stored and shown of long input, and requests that must change nothing."""

import logging

import pytest

from tests.support.app import KEY, sign_in
from tests.support.twilio import PHONE, TwilioApi


def test_a_refused_request_is_stored_with_its_beginning_only(twilio, app, execute):
    _, _, message = twilio.refuse(To="<" * 20_000, Body="b" * 20_000)
    assert len(message) < 200
    twilio.refuse(To=PHONE, From="<" * 20_000, Body="c" * 20_000)
    lengths = "length(to_number) + length(origin) + length(body) + length(meaning)"
    assert execute(f"SELECT count(*), max({lengths}) < 2200 FROM front_refusals") == [(2, 1)]
    browser = app.test_client()
    browser.key = None
    sign_in(browser, KEY)
    assert len(browser.get("/inbox/settings").data) < 60_000


def test_a_refused_request_whose_content_is_to_be_discarded_is_stored_without_it(twilio, execute):
    twilio.refuse(To="nobody", Body="a secret", ContentRetention="discard")
    assert execute("SELECT body FROM front_refusals") == [("",)]


def test_a_refused_request_is_kept_as_long_as_messages_are(make_app, clock, execute):
    app = make_app(RETAIN_DAYS=1)
    TwilioApi(app).refuse(To="nobody")
    retention = app.extensions["phonify"].retention
    retention.clean()
    assert execute("SELECT count(*) FROM front_refusals") == [(1,)]
    clock.advance(86_401)
    retention.clean()
    assert execute("SELECT count(*) FROM front_refusals") == [(0,)]


def test_a_parameter_without_an_effect_is_kept_with_its_beginning_only(twilio, execute):
    twilio.create(MaxPrice="9" * 20_000)
    assert execute("SELECT length(parameters) < 300 FROM front_messages") == [(1,)]


@pytest.mark.parametrize("wrong", [{"Status": "canceled", "Body": "text"}, {"Status": "queued", "Body": ""}])
def test_an_update_that_is_refused_changes_nothing(twilio, wrong):
    sid = twilio.create(MessagingServiceSid="MG" + "a" * 32, ScheduleType="fixed", SendAt="2026-01-31T12:00:00Z")["sid"]
    response = twilio.call("POST", f"{twilio.messages[:-5]}/{sid}.json", wrong)
    assert response.status_code == 400
    assert twilio.get(f"{twilio.messages[:-5]}/{sid}.json")["status"] == "scheduled"


def test_pages_without_a_token_are_counted(twilio):
    sids = [twilio.create()["sid"] for _ in range(3)][::-1]
    pages = [twilio.list(PageSize=1, Page=number)["messages"] for number in range(4)]
    assert [[one["sid"] for one in page] for page in pages] == [[sids[0]], [sids[1]], [sids[2]], []]


def test_feedback_of_a_message_that_was_removed_is_404(twilio, client):
    sid = twilio.create()["sid"]
    client.delete("/sandbox/messages")
    assert (
        twilio.call("POST", f"{twilio.messages[:-5]}/{sid}/Feedback.json", {"Outcome": "confirmed"}).status_code == 404
    )


@pytest.mark.parametrize("name", ["auth_token", "AuthToken", "auth%5ftoken", "secret"])
def test_tokens_in_an_address_are_masked_in_logs(name, caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("werkzeug").info('"PUT /sandbox/twilio?%s=hush-hush HTTP/1.1" 200', name)
    assert "hush" not in caplog.text
