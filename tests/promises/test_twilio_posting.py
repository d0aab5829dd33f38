"""The Twilio-compatible API: repetitions, time limits, addresses and redelivery of what is posted to an app."""

import re

import pytest

from tests.support.app import KEY, sign_in
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator
from tests.support.receivers import NO_CONTENT, answer, status
from tests.support.twilio import OWN, PHONE, TwilioApi, list_statuses, read_form

NOBODY = "http://127.0.0.1:9/hook"  # where no connection is made


@pytest.fixture
def count(twilio, deliver, post_due, operator, clock):
    """Return a function that sends with a callback and returns how often `sent` was posted, until it was given up."""

    def count(url: str) -> int:
        twilio.create(StatusCallback=url)
        deliver()
        while post_due():
            clock.advance(40)
        sent, delivered = operator.list_deliveries()
        assert sent["attempts"] == delivered["attempts"]
        assert {sent["state"], delivered["state"]} <= {"failed", "delivered"}
        return int(sent["attempts"])

    return count


@pytest.mark.parametrize(
    ("fragment", "attempts"),
    [
        ("", 2),
        ("#rc=0", 1),
        ("#rc=1", 2),
        ("#rc=5", 6),
        ("#rc=9", 6),
        ("#rc=many", 2),
        ("#rc=-1", 2),
        ("#rc=3&rp=ct", 4),
        ("#rc=3&rp=all", 4),
        ("#rc=3&rp=5xx,ct", 4),
        ("#rc=3&rp=5xx,rt", 1),
        ("#rp=rt", 1),
        ("#top", 2),
    ],
)
def test_a_request_is_repeated_if_no_connection_was_made(count, fragment, attempts):
    assert count(f"{NOBODY}{fragment}") == attempts


@pytest.mark.parametrize(
    ("code", "fragment", "attempts"),
    [
        (500, "", 1),
        (404, "", 1),
        (302, "#rc=3&rp=all", 1),
        (500, "#rc=3&rp=5xx", 4),
        (503, "#rc=3&rp=4xx", 1),
        (404, "#rc=3&rp=4xx", 4),
        (410, "#rc=2&rp=4xx", 3),
        (500, "#rc=2&rp=all", 3),
        (200, "#rc=3&rp=all", 1),
        (204, "#rc=3&rp=all", 1),
    ],
)
def test_an_answer_is_final_unless_the_fragment_says_otherwise(count, receiver, code, fragment, attempts):
    receiver.act = status(code)
    assert count(f"{receiver.url}{fragment}") == attempts
    assert len(receiver.received) == 2 * attempts
    assert {one.line for one in receiver.received} == {"POST /hook HTTP/1.1"}  # the fragment is not sent


@pytest.mark.parametrize(
    ("fragment", "attempts", "seconds"),
    [("#rt=100", 1, "0.1"), ("#rt=150&rc=2&rp=rt", 3, "0.15"), ("#tt=200&rc=1", 1, "0.2"), ("#tt=1&rt=300", 1, "0.1")],
)
def test_an_answer_that_does_not_come_in_time_is_repeated_only_if_asked(
    count, receiver, operator, fragment, attempts, seconds
):
    receiver.act = receiver.hang
    assert count(f"{receiver.url}{fragment}") == attempts
    (attempt, *_) = operator.list_deliveries()[0]["tries"]
    assert attempt["error"] == f"no answer within {seconds} seconds"


def test_a_connection_that_ends_without_an_answer_is_not_repeated(count, receiver):
    receiver.act = answer(b"")
    assert count(receiver.url) == 1


def test_repetitions_come_after_1_2_and_4_seconds_with_the_same_token(twilio, deliver, post_due, receiver, clock):
    receiver.act = status(500)
    twilio.create(StatusCallback=f"{receiver.url}#rc=3&rp=5xx")
    deliver()
    for seconds, posted in ((0, 1), (0.9, 1), (0.1, 2), (1.9, 2), (0.1, 3), (3.9, 3), (0.1, 4)):
        clock.advance(seconds)
        post_due()
        assert list_statuses(receiver.received)[:posted] == ["sent"] * posted
        assert list_statuses(receiver.received).count("sent") == posted
    sent = [one for one in receiver.received if read_form(one)["MessageStatus"] == "sent"]
    assert len({one.headers["i-twilio-idempotency-token"] for one in sent}) == 1
    assert len({one.body for one in sent}) == 1


def test_redirects_of_an_app_are_not_followed(count, receiver, make_receiver):
    other = make_receiver()
    receiver.act = status(302, f"Location: {other.url}")
    assert count(receiver.url) == 1
    assert other.received == []


# Addresses


@pytest.mark.parametrize(
    ("gateway", "setting", "allowed"),
    [(None, None, True), (None, False, False), (OnceGateway(), None, False), (OnceGateway(), True, True)],
)
def test_private_addresses_are_allowed_with_a_sandbox_gateway_or_by_setting(
    make_app, receiver, deliver, post_due, gateway, setting, allowed
):
    app = make_app(gateway, TWILIO="on", WEBHOOK_PRIVATE=setting)
    api, operator = TwilioApi(app), Operator(app)
    literal = api.call("POST", api.messages, {"To": PHONE, "From": OWN, "Body": "x", "StatusCallback": receiver.url})
    assert literal.status_code == (201 if allowed else 400)
    assert allowed or literal.get_json()["code"] == 21609
    result = app.test_cli_runner().invoke(args=["twilio", "set-inbound", receiver.url])
    assert result.exit_code == (0 if allowed else 2)
    api.create(StatusCallback=receiver.url.replace("127.0.0.1", "localhost"))  # is judged when it is posted to
    deliver(app)
    post_due(app)
    assert bool(receiver.received) == allowed
    (attempt, *_) = next(delivery["tries"] for delivery in operator.list_deliveries() if delivery["tries"])
    assert allowed or "are not allowed" in attempt["error"]


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "0xa9fea9fe"])
def test_addresses_of_the_machine_s_network_are_never_allowed(twilio, host):
    url = f"http://{host}/latest"
    assert twilio.refuse(StatusCallback=url) == (400, 21609, f"The 'StatusCallback' URL {url} is not a valid URL.")


# Redelivery


@pytest.fixture
def page(app):
    """A browser that is signed in."""
    browser = app.test_client()
    browser.key = None
    sign_in(browser, KEY)
    return browser


def test_a_request_is_posted_again_from_the_settings_page(twilio, page, receiver, deliver, post_due, operator):
    receiver.act = status(500, body="broken")
    twilio.create(StatusCallback=receiver.url)
    deliver()
    post_due()
    shown = page.get("/inbox/settings").get_data(as_text=True)
    assert re.findall(r"<code>twilio.(\w+)</code> to", shown) == ["delivered", "sent"]
    assert "broken" in shown
    assert receiver.url in shown
    sent = operator.list_deliveries()[0]
    receiver.act = answer(NO_CONTENT)
    address = f"/inbox/settings/deliveries/{sent['id']}/redeliver"
    assert page.post(address, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    post_due()
    first, _, again = receiver.received
    assert (again.body, again.headers["x-twilio-signature"]) == (first.body, first.headers["x-twilio-signature"])
    assert again.headers["i-twilio-idempotency-token"] == first.headers["i-twilio-idempotency-token"]
    assert [attempt["status"] for attempt in operator.list_deliveries()[0]["tries"]] == [500, 204]


def test_the_account_s_own_webhook_is_told_too_and_can_be_removed_alone(
    twilio, receiver, make_receiver, operator, deliver, post_due
):
    own = make_receiver()
    operator.set_webhook(own.url)
    twilio.create(StatusCallback=receiver.url)
    deliver()
    operator.run("webhooks", "remove")
    post_due()
    assert (list_statuses(receiver.received), own.received) == (["sent", "delivered"], [])


def test_what_is_left_is_given_up_if_the_api_was_switched_off(make_app, receiver, deliver, post_due):
    app = make_app()
    TwilioApi(app).create(StatusCallback=receiver.url)
    deliver(app)
    off = make_app(TWILIO="off")
    post_due(off)
    assert receiver.received == []
    assert [one["state"] for one in Operator(off).list_deliveries()] == ["failed", "failed"]
