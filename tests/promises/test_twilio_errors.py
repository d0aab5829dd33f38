"""The Twilio-compatible API: errors in Twilio's form, limits, and what it shares with /v1."""

import re

import pytest

from tests.support.app import KEY, sign_in
from tests.support.twilio import AC, ACCOUNT, MESSAGES, OWN, PHONE, TwilioApi, read_error

STOP = {"from": PHONE, "to": OWN, "body": "STOP"}
TOO_MANY = (429, 20429, "Too Many Requests")


@pytest.mark.parametrize(
    "path",
    [
        "/2010-04-01",
        "/2010-04-01/Accounts",
        "/2010-04-01/Accounts.json",
        f"/2010-04-01/Accounts/{AC}",
        f"{ACCOUNT}/Messages",
        f"{ACCOUNT}/Calls.json",
        f"{ACCOUNT}/Messages/SM1.json",
        f"{ACCOUNT}/Messages/SM{'0' * 32}.json",
        f"{ACCOUNT}/Messages/019c1363-49c0-7000-ad8f-7bd33afd1028.json",
        f"{ACCOUNT}/{{path}}.json",
        "/v1/Services",
        "/v2/Services/VA1/Verifications",
        "/v2/PhoneNumbers/+14155552671",
    ],
)
def test_what_is_not_there_is_answered_in_twilio_s_form(twilio, path):
    assert read_error(twilio.call("GET", path)) == (404, 20404, f"The requested resource {path} was not found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", MESSAGES, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", MESSAGES, {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", f"{ACCOUNT}.json", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", f"{ACCOUNT}/Messages/SM{'0' * 32}.json", {"DELETE", "GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", f"{ACCOUNT}/Messages/SM{'0' * 32}/Feedback.json", {"OPTIONS", "POST"}),
    ],
)
def test_another_method_is_answered_in_twilio_s_form(twilio, method, path, allowed):
    response = twilio.call(method, path)
    assert read_error(response) == (405, 20004, "Method not allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_options_need_no_credentials(twilio):
    assert twilio.call("OPTIONS", MESSAGES, headers={}).status_code == 200


@pytest.mark.parametrize("data", [b"Body=%ff", b"Body=\xff", b"Body=%ED%A0%80"])
def test_a_form_that_is_not_utf_8_is_refused(twilio, data):
    kind = {"content_type": "application/x-www-form-urlencoded"}
    assert read_error(twilio.call("POST", MESSAGES, data=data, **kind)) == (400, 20001, "The request can't be read.")


def test_a_query_that_is_not_utf_8_is_refused(twilio):
    assert read_error(twilio.call("GET", f"{MESSAGES}?To=%ff")) == (400, 20001, "The request can't be read.")


def test_a_broken_multipart_form_is_refused(twilio):
    response = twilio.call("POST", MESSAGES, data=b"--x\r\nbroken", content_type="multipart/form-data; boundary=x")
    assert read_error(response) == (400, 20001, "The request can't be read.")


@pytest.mark.parametrize(("length", "many"), [(300_000, 1), (1, 2_000)])
def test_a_request_that_is_too_large_is_refused(twilio, length, many):
    response = twilio.call("POST", MESSAGES, {"Body": ["a" * length] * many})
    assert read_error(response) == (413, 20001, "The request is too large.")


def test_the_rate_limit_is_shared_with_v1(twilio, client, operator, clock):
    operator.set_limits(rate=3)
    clock.advance(20)
    assert client.get("/v1/messages").status_code == 200
    assert twilio.call("GET", MESSAGES).headers["RateLimit"] == '"default";r=1;t=40'
    assert twilio.call("POST", MESSAGES, {}).status_code == 400  # counts too
    response = twilio.call("GET", MESSAGES)
    assert read_error(response) == TOO_MANY
    assert response.headers["Retry-After"] == "40"
    assert client.get("/v1/messages").status_code == 429
    clock.advance(40)
    assert twilio.call("GET", MESSAGES).status_code == 200


def test_the_quota_is_shared_with_v1_and_nothing_is_stored_beyond_it(twilio, client, send, operator, clock):
    operator.set_limits(quota=2)
    send()
    twilio.create()
    response = twilio.call("POST", MESSAGES, {"To": PHONE, "From": OWN, "Body": "Hello"})
    assert read_error(response) == TOO_MANY
    assert response.headers["Retry-After"] == str(14 * 3_600 + 30 * 60)  # until midnight in UTC
    assert len(twilio.list()["messages"]) == 2
    assert operator.count_quota_used() == 2
    clock.advance(14 * 3_600 + 30 * 60)
    twilio.create()


def test_a_refused_request_takes_nothing_of_the_quota(twilio, client, operator):
    operator.set_limits(quota=1)
    client.post("/sandbox/inbound", json=STOP)
    assert twilio.refuse()[1] == 21610
    assert twilio.refuse(Body="")[1] == 21602
    assert operator.count_quota_used() == 0


def test_opt_outs_are_shared_with_v1_and_leave_no_message(twilio, client, deliver):
    client.post("/sandbox/inbound", json=STOP)
    assert twilio.refuse() == (400, 21610, "Attempt to send to unsubscribed recipient")
    assert [one["direction"] for one in twilio.list()["messages"]] == ["inbound"]
    client.post("/sandbox/inbound", json={**STOP, "body": "START"})
    assert twilio.create()["status"] == "queued"


def test_a_store_that_can_not_be_used_is_a_503(twilio, lock_database):
    lock_database()
    response = twilio.call("POST", MESSAGES, {"To": PHONE, "From": OWN, "Body": "Hello"})
    assert read_error(response) == (503, 20503, "Service is temporarily unavailable. Try again.")
    assert response.headers["Retry-After"]


def test_a_refusal_that_can_not_be_noted_is_a_503(twilio, lock_database):
    lock_database()
    assert read_error(twilio.call("POST", MESSAGES, {}))[:2] == (503, 20503)


def test_a_database_that_is_gone_is_a_503(twilio, lose_database):
    lose_database()
    assert read_error(twilio.call("GET", MESSAGES))[:2] == (503, 20503)


# Refused requests


@pytest.fixture
def page(app):
    """A browser that is signed in."""
    browser = app.test_client()
    browser.key = None
    sign_in(browser, KEY)
    return browser


def read_refusals(page) -> str:
    text = page.get("/inbox/settings").get_data(as_text=True)
    return text.partition('<section id="refusals"')[2].partition("</section>")[0]


def test_a_refused_request_is_shown_in_the_settings_with_code_and_meaning(twilio, page):
    assert read_refusals(page) == ""
    twilio.refuse(To="+15005550004", Body="<b>Hello</b>")
    twilio.refuse(To="", Body="second")
    shown = re.sub("</?span[^>]*>", "", read_refusals(page))  # as it is copied: the groups of numbers are only styled
    assert shown.index("21604") < shown.index("21610")  # the latest first
    for part in ("Attempt to send to unsubscribed recipient", "&lt;b&gt;Hello", f"{OWN} → +15005550004"):
        assert part in shown
    assert f"{OWN} → no recipient" in shown
    page.post("/inbox/settings/refusals/clear", headers={"Sec-Fetch-Site": "same-origin"})
    assert read_refusals(page) == ""


def test_refused_requests_of_another_account_are_not_shown(app, page, operator):
    TwilioApi(app, f"AC{2:032x}", operator.make_key("other")).refuse(To="")
    assert read_refusals(page) == ""


def test_the_latest_200_refused_requests_are_kept(twilio, page, execute):
    for number in range(205):
        twilio.refuse(To="", Body=f"number {number}")
    shown = read_refusals(page)
    assert (shown.count("21604"), "number 4<" in shown, "number 5<" in shown) == (200, False, True)


def test_a_fault_of_another_request_is_not_noted(twilio, page):
    twilio.call("GET", f"{MESSAGES}?PageToken=x")
    twilio.call("POST", f"{ACCOUNT}/Messages/SM{'0' * 32}.json", {"Body": ""})
    assert read_refusals(page) == ""
