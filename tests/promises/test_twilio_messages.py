"""The Twilio-compatible API: the resources of a message, of its media and of the account; what changes them."""

import re

import pytest

from tests.support.twilio import AC, ACCOUNT, MESSAGES, MG, OWN, PHONE, read_error

SCHEDULED = {"MessagingServiceSid": MG, "ScheduleType": "fixed", "SendAt": "2026-01-31T10:00:00Z"}
THEN = "Sat, 31 Jan 2026 09:30:00 +0000"
MEANINGS = {
    "1": (30001, "Queue overflow"),
    "2": (30002, "Account suspended"),
    "3": (30003, "Unreachable destination handset"),
    "4": (30004, "Message blocked"),
    "5": (30005, "Unknown destination handset"),
    "6": (30006, "Landline or unreachable carrier"),
    "7": (30007, "Message filtered"),
    "8": (30008, "Unknown error"),
}


def test_a_message_has_twenty_keys_which_are_always_there(twilio, deliver, clock):
    sent = twilio.create()
    sid, uri = sent["sid"], f"{ACCOUNT}/Messages/{sent['sid']}"
    assert re.fullmatch("SM[0-9a-f]{32}", sid)
    expected = {
        "sid": sid,
        "account_sid": AC,
        "messaging_service_sid": None,
        "to": PHONE,
        "from": OWN,
        "body": "Hello",
        "status": "queued",
        "direction": "outbound-api",
        "date_created": THEN,
        "date_updated": THEN,
        "date_sent": None,
        "num_segments": "1",
        "num_media": "0",
        "price": None,
        "price_unit": None,
        "error_code": None,
        "error_message": None,
        "api_version": "2010-04-01",
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
    }
    assert sent == expected
    assert len(sent) == 20
    assert twilio.get(sent["uri"]) == expected
    clock.advance(61)
    deliver()
    later = THEN.replace(":30:00", ":31:01")
    delivered = {
        "status": "delivered",
        "date_updated": later,
        "date_sent": later,
        "price": "-0.00830",
        "price_unit": "USD",
    }
    assert twilio.get(sent["uri"]) == {**expected, **delivered}


def test_the_sid_is_the_id_of_the_message_without_dashes(twilio, client):
    sid = twilio.create()["sid"]
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert sid == f"SM{message['id'].replace('-', '')}"


@pytest.mark.parametrize(
    ("body", "segments"), [("a" * 160, "1"), ("a" * 161, "2"), ("🎉" * 36, "2"), ("a" * 1_600, "11")]
)
def test_segments_are_a_text_and_the_price_goes_by_them(twilio, deliver, body, segments):
    sent = twilio.create(Body=body)
    deliver()
    assert sent["num_segments"] == segments
    assert twilio.get(sent["uri"])["price"] == f"-{0.0083 * int(segments):.5f}"


def test_a_message_of_v1_and_a_received_one_are_there_too(twilio, client, send, deliver):
    send(to=PHONE, body="From /v1")
    deliver()
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "An answer"})
    received, sent = twilio.list()["messages"]
    assert (received["direction"], received["status"], received["from"]) == ("inbound", "received", PHONE)
    assert (received["date_sent"], received["price"], received["num_media"]) == (THEN, None, "0")
    assert (sent["direction"], sent["status"], sent["body"]) == ("outbound-api", "delivered", "From /v1")
    assert twilio.get(received["uri"]) == received


@pytest.mark.parametrize("digit", MEANINGS)
def test_a_test_number_ends_with_its_code(twilio, deliver, digit):
    sent = twilio.create(To=f"+1500555002{digit}")
    assert sent["status"] == "queued"
    deliver()
    ended = twilio.get(sent["uri"])
    assert (ended["error_code"], ended["error_message"]) == MEANINGS[digit]
    assert ended["status"] == ("failed" if digit in "12" else "undelivered")
    assert ended["price"] == (None if digit in "12" else "-0.00830")


def test_a_number_that_fails_twice_and_one_that_is_slow_are_queued_until_they_are_delivered(twilio, deliver, clock):
    twice, slow = twilio.create(To="+15005550010"), twilio.create(To="+15005550011")
    statuses = []
    for _ in range(4):
        deliver()
        statuses.append(tuple(twilio.get(one["uri"])["status"] for one in (twice, slow)))
        clock.advance(3)
    assert statuses[0] == statuses[1] == ("queued", "queued")
    assert statuses[3] == ("delivered", "delivered")


def test_a_number_that_is_never_confirmed_is_sent_and_fails_at_the_end_of_the_validity(twilio, deliver, clock):
    sent = twilio.create(To="+15005550012", ValidityPeriod="60")
    deliver()
    in_doubt = twilio.get(sent["uri"])
    assert (in_doubt["status"], in_doubt["date_sent"], in_doubt["error_code"]) == ("sent", THEN, None)
    assert [one["sid"] for one in twilio.list(DateSent="2026-01-31")["messages"]] == [sent["sid"]]
    clock.advance(60)
    deliver()
    ended = twilio.get(sent["uri"])
    assert (ended["status"], ended["error_code"], ended["error_message"]) == (
        "failed",
        30036,
        "Validity period expired",
    )


def test_the_validity_is_ten_hours_if_none_is_given(twilio, deliver, clock):
    sent = twilio.create(To="+15005550012")
    deliver()
    for seconds, status in ((35_999, "sent"), (1, "failed")):
        clock.advance(seconds)
        deliver()
        assert twilio.get(sent["uri"])["status"] == status


def test_a_scheduled_message_to_a_phone_that_opted_out_since_fails(twilio, client, deliver, clock):
    sent = twilio.create(**SCHEDULED)
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "STOP"})
    clock.advance(1_800)
    deliver()
    ended = twilio.get(sent["uri"])
    assert (ended["status"], ended["error_code"], ended["date_sent"]) == (
        "failed",
        21610,
        THEN.replace("09:30", "10:00"),
    )


# Media, feedback, account


def test_media_are_listed_as_links_with_a_type_that_the_name_suggests(twilio):
    urls = ["https://example.com/a.PNG?x=1", "https://example.com/b.mp4", "http://[::1]:8/c", "https://example.com"]
    sent = twilio.create(MediaUrl=urls)
    found = twilio.get(sent["subresource_uris"]["media"])
    assert (found["page"], found["start"], found["end"], found["next_page_uri"]) == (0, 0, 3, None)
    media = found["media_list"]
    assert [one["content_type"] for one in media] == [
        "image/png",
        "video/mp4",
        "application/octet-stream",
        "application/octet-stream",
    ]
    assert len({one["sid"] for one in media}) == 4
    for one in media:
        assert re.fullmatch("ME[0-9a-f]{32}", one["sid"])
        assert (one["parent_sid"], one["account_sid"], one["date_created"]) == (sent["sid"], AC, THEN)
        assert twilio.get(one["uri"]) == one
    path = f"{ACCOUNT}/Messages/{sent['sid']}/Media/ME{'0' * 32}.json"
    assert read_error(twilio.call("GET", path))[:2] == (404, 20404)


def test_a_message_without_media_has_an_empty_list(twilio):
    found = twilio.get(twilio.create()["subresource_uris"]["media"])
    assert (found["media_list"], found["end"], found["previous_page_uri"]) == ([], 0, None)


@pytest.mark.parametrize(("given", "outcome"), [({"Outcome": "confirmed"}, "confirmed"), ({}, "unconfirmed")])
def test_feedback_is_stored(twilio, clock, given, outcome):
    sent = twilio.create(ProvideFeedback="true", MediaUrl="http://example.com/")
    clock.advance(5)
    answer = twilio.call("POST", sent["subresource_uris"]["feedback"], given)
    assert answer.status_code == 201
    assert answer.get_json() == {
        "account_sid": AC,
        "message_sid": sent["sid"],
        "outcome": outcome,
        "date_created": THEN.replace(":00 +", ":05 +"),
        "date_updated": THEN.replace(":00 +", ":05 +"),
        "uri": sent["subresource_uris"]["feedback"],
    }
    assert twilio.get(sent["uri"]) == sent


def test_another_outcome_is_refused(twilio):
    answer = twilio.call("POST", twilio.create()["subresource_uris"]["feedback"], {"Outcome": "fine"})
    assert read_error(answer) == (400, 20001, "The parameter 'Outcome' must be 'confirmed' or 'unconfirmed'.")


def test_the_account_is_active_and_full(twilio):
    account = twilio.get(f"{ACCOUNT}.json")
    assert (account["sid"], account["owner_account_sid"], account["friendly_name"]) == (AC, AC, "default")
    assert (account["status"], account["type"], account["date_created"]) == ("active", "Full", THEN)
    assert account["subresource_uris"] == {"messages": MESSAGES}
    assert account["uri"] == f"{ACCOUNT}.json"
