"""The Twilio-compatible API: which statuses are told to a message's StatusCallback, in which order, and how."""

import re

import pytest
from twilio.request_validator import RequestValidator

from tests.support.receivers import NO_CONTENT, answer, status
from tests.support.twilio import AC, MG, OWN, PHONE, TwilioApi, list_statuses, read_form

SCHEDULED = {"MessagingServiceSid": MG, "ScheduleType": "fixed", "SendAt": "2026-01-31T10:00:00Z"}


@pytest.fixture
def told(receiver, deliver, post_due, clock):
    """Return a function that lets the given seconds pass and returns the statuses that were told until then."""

    def told(seconds: int = 0) -> list[str]:
        clock.advance(max(seconds - 20, 0))
        for _ in range(min(seconds, 20) + 1):
            deliver()
            post_due()
            clock.advance(1)
        return list_statuses(receiver.received)

    return told


@pytest.mark.parametrize(
    ("given", "seconds", "statuses"),
    [
        ({}, 0, ["sent", "delivered"]),
        ({"MessagingServiceSid": MG}, 0, ["queued", "sent", "delivered"]),
        ({"To": "+15005550010"}, 10, ["sent", "delivered"]),
        ({"To": "+15005550011"}, 10, ["sent", "delivered"]),
        ({"To": "+15005550013"}, 10, ["sent", "undelivered"]),
        ({"To": "+15005550012", "ValidityPeriod": "5"}, 2, ["sent"]),
        ({"To": "+15005550012", "ValidityPeriod": "5"}, 10, ["sent", "failed"]),
        ({"To": "+15005550021"}, 0, ["failed"]),
        ({"To": "+15005550022", "MessagingServiceSid": MG}, 0, ["queued", "failed"]),
        *[({"To": f"+1500555002{digit}"}, 0, ["sent", "undelivered"]) for digit in "345678"],
        (SCHEDULED, 1_799, []),
        (SCHEDULED, 1_801, ["queued", "sent", "delivered"]),
        ({**SCHEDULED, "To": "+15005550021"}, 1_801, ["queued", "failed"]),
        ({**SCHEDULED, "To": "+15005550023"}, 1_801, ["queued", "sent", "undelivered"]),
        ({**SCHEDULED, "To": "+15005550012", "ValidityPeriod": "9"}, 1_815, ["queued", "sent", "failed"]),
    ],
)
def test_the_statuses_of_a_message_are_told_in_their_order(twilio, receiver, told, given, seconds, statuses):
    twilio.create(StatusCallback=receiver.url, **given)
    assert told(seconds) == statuses
    assert len({one.headers["i-twilio-idempotency-token"] for one in receiver.received}) == len(statuses)


def test_a_message_that_is_never_sent_fails_at_the_end_of_its_validity(twilio, receiver, told, clock):
    twilio.create(StatusCallback=receiver.url, ValidityPeriod="5")
    clock.advance(5)
    assert told() == ["failed"]
    assert read_form(receiver.received[0])["ErrorCode"] == "30036"


def test_a_cancelled_message_is_told(twilio, receiver, told):
    sent = twilio.create(StatusCallback=receiver.url, **SCHEDULED)
    twilio.call("POST", sent["uri"], {"Status": "canceled"})
    assert told(1_801) == ["canceled"]


def test_a_scheduled_message_to_a_phone_that_opted_out_since_is_told(twilio, client, receiver, told):
    twilio.create(StatusCallback=receiver.url, **SCHEDULED)
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "STOP"})
    assert told(1_801) == ["queued", "failed"]
    assert read_form(receiver.received[-1])["ErrorCode"] == "21610"


def test_a_refused_request_tells_nothing(twilio, receiver, told):
    twilio.refuse(StatusCallback=receiver.url, To="+15005550004")
    assert told() == []


def test_without_a_callback_nothing_is_posted(twilio, client, receiver, told, operator):
    twilio.create()
    assert told() == []
    assert operator.list_deliveries() == []


# Form


def test_what_is_posted_has_these_fields(twilio, receiver, told):
    sid = twilio.create(StatusCallback=receiver.url)["sid"]
    told()
    fields = {
        "SmsSid": sid,
        "SmsStatus": "sent",
        "MessageStatus": "sent",
        "To": PHONE,
        "MessageSid": sid,
        "AccountSid": AC,
        "From": OWN,
        "ApiVersion": "2010-04-01",
    }
    assert read_form(receiver.received[0]) == fields
    done = {"SmsStatus": "delivered", "MessageStatus": "delivered", "RawDlrDoneDate": "2601310930"}
    assert read_form(receiver.received[1]) == {**fields, **done}
    first = receiver.received[0]
    assert first.line == "POST /hook HTTP/1.1"
    assert first.headers["user-agent"] == "TwilioProxy/1.1"
    assert first.headers["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert re.fullmatch(r"[\w-]{36}", first.headers["i-twilio-idempotency-token"])


def test_what_has_failed_has_its_code(twilio, receiver, told):
    twilio.create(StatusCallback=receiver.url, To="+15005550023", MessagingServiceSid=MG)
    told()
    queued, sent, failed = map(read_form, receiver.received)
    assert failed["ErrorCode"] == "30003"
    assert failed["ErrorMessage"] == "Unreachable destination handset"
    assert failed["RawDlrDoneDate"] == "2601310930"
    assert {one["MessagingServiceSid"] for one in (queued, sent, failed)} == {MG}
    assert not {"ErrorCode", "ErrorMessage", "RawDlrDoneDate"} & {*queued, *sent}


def test_the_sid_of_a_message_with_media_begins_with_mm(twilio, receiver, told):
    sid = twilio.create(StatusCallback=receiver.url, MediaUrl="http://example.com/a.png")["sid"]
    told()
    assert {read_form(one)["MessageSid"] for one in receiver.received} == {sid}
    assert sid.startswith("MM")


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/hook", "/hook"),
        ("/hook?a=1&b=x%20y", "/hook?a=1&b=x%20y"),
        ("/hook?a=1#rc=2", "/hook?a=1"),
        ("", "/"),
        ("?a=1", "/?a=1"),
        ("/hook?", "/hook"),
        ("/h%C3%B6ok/", "/h%C3%B6ok/"),
        ("/höok?x=|", "/h%C3%B6ok?x=%7C"),
    ],
)
def test_the_signature_is_verified_by_the_sdk_with_the_url_that_the_app_sees(twilio, receiver, told, path, seen):
    host = f"http://127.0.0.1:{receiver.port}"
    twilio.create(StatusCallback=f"{host}{path}", Body="ünïcode 🎉")
    told()
    validator = RequestValidator(twilio.fetch_token())
    assert len(receiver.received) == 2
    for received in receiver.received:
        assert received.line == f"POST {seen} HTTP/1.1"
        form, signature = read_form(received), received.headers["x-twilio-signature"]
        assert validator.validate(f"{host}{seen}", form, signature)
        assert not validator.validate(f"{host}{seen}", {**form, "To": OWN}, signature)
        assert not validator.validate(f"{host}{seen}x", form, signature)
        assert not RequestValidator("0" * 32).validate(f"{host}{seen}", form, signature)


def test_a_new_token_signs_from_the_next_attempt_on(twilio, receiver, told, operator, deliver):
    twilio.create(StatusCallback=receiver.url)
    deliver()
    operator.run("twilio", "rotate")
    told()
    received = receiver.received[0]
    validator = RequestValidator(twilio.fetch_token())
    assert validator.validate(receiver.url, read_form(received), received.headers["x-twilio-signature"])


def test_an_account_that_uses_only_its_key_is_told_too(app, operator, receiver, deliver, post_due):
    other = TwilioApi(app, f"AC{2:032x}", operator.make_key("other"))
    other.create(StatusCallback=receiver.url)
    deliver()
    post_due()
    assert list_statuses(receiver.received) == ["sent", "delivered"]
    (first, _) = receiver.received
    validator = RequestValidator(other.fetch_token())
    assert validator.validate(receiver.url, read_form(first), first.headers["x-twilio-signature"])


# Order


def test_the_next_status_waits_for_the_answer_to_the_one_before(twilio, receiver, deliver, post_due, clock):
    url = f"{receiver.url}#rc=5&rp=all"
    twilio.create(StatusCallback=url)
    receiver.act = status(500)
    deliver()
    for _ in range(3):
        post_due()
        clock.advance(20)
    assert list_statuses(receiver.received) == ["sent"] * 3
    receiver.act = answer(NO_CONTENT)
    post_due()
    assert list_statuses(receiver.received) == ["sent"] * 4 + ["delivered"]
    tokens = [one.headers["i-twilio-idempotency-token"] for one in receiver.received]
    assert len(set(tokens[:4])) == 1
    assert tokens[4] != tokens[0]


def test_the_next_status_is_told_also_if_the_one_before_was_given_up(twilio, receiver, told, operator):
    receiver.act = status(500)
    twilio.create(StatusCallback=receiver.url, MessagingServiceSid=MG)
    assert told(3) == ["queued", "sent", "delivered"]
    assert [one["state"] for one in operator.list_deliveries()] == ["failed"] * 3


def test_messages_do_not_wait_for_each_other(twilio, receiver, deliver, post_due, clock):
    receiver.act = status(500)
    for _ in range(2):
        twilio.create(StatusCallback=f"{receiver.url}#rc=5&rp=all")
    deliver()
    post_due()
    assert list_statuses(receiver.received) == ["sent", "sent"]


def test_a_status_that_waits_goes_on_waiting_if_it_is_redelivered(twilio, receiver, deliver, post_due, operator, clock):
    receiver.act = status(500)
    twilio.create(StatusCallback=f"{receiver.url}#rc=1&rp=all")
    deliver()
    post_due()
    sent, delivered = operator.list_deliveries()
    operator.run("webhooks", "redeliver", delivered["id"])
    post_due()
    assert list_statuses(receiver.received) == ["sent"]
    operator.run("webhooks", "redeliver", sent["id"])
    post_due()
    assert list_statuses(receiver.received) == ["sent", "sent"]
    clock.advance(5)
    receiver.act = answer(NO_CONTENT)
    post_due()
    assert list_statuses(receiver.received) == ["sent"] * 3 + ["delivered"]


def test_what_waits_goes_on_waiting_if_the_clock_is_set_back(twilio, receiver, deliver, post_due, services, clock):
    receiver.act = status(500)
    twilio.create(StatusCallback=f"{receiver.url}#rc=3&rp=all")
    deliver()
    post_due()
    clock.advance(-86_400)
    services.make_upkeep().step()
    post_due()
    assert list_statuses(receiver.received) == ["sent", "sent"]


def test_a_message_that_was_removed_is_told_all_the_same(twilio, receiver, deliver, told):
    sent = twilio.create(StatusCallback=receiver.url)
    deliver()
    assert twilio.call("DELETE", sent["uri"]).status_code == 204
    assert told() == ["sent", "delivered"]
