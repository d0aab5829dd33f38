"""The Twilio-compatible API: the parameters of a message, and how each fault is refused."""

from datetime import timedelta

import pytest

from phonify.gateways.base import Refused
from tests.support.fake_gateway import FakeGateway
from tests.support.twilio import MESSAGES, MG, OWN, PHONE, TwilioApi, read_error

HX = f"HX{'b' * 32}"
FIXED = {"ScheduleType": "fixed", "MessagingServiceSid": MG}
NOT_TO = "The 'To' number {} is not a valid phone number."
NOT_FROM = "The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID."
NOT_OURS = "The From phone number {} is not a valid, SMS-capable inbound phone number or short code for your account."
NOT_REACHABLE = "The 'To' phone number: {}, is not currently reachable using the 'From' phone number: {} via {}."
TOO_LONG = "The concatenated message body exceeds the 1600 character limit."
NOT_SCHEDULED = "SendAt must be an ISO 8601 time, from 300 seconds to 35 days in the future."
NO_VALIDITY = "The validity period must be from 1 to 36000 seconds."
NO_CALLBACK = "The 'StatusCallback' URL {} is not a valid URL."
NO_MEDIA = "The media URL {} is not valid."

REFUSALS = [
    ({"To": None}, 21604, "A 'To' phone number is required."),
    ({"To": ""}, 21604, "A 'To' phone number is required."),
    ({"From": None}, 21603, "A 'From' phone number is required."),
    ({"From": ""}, 21603, "A 'From' phone number is required."),
    ({"Body": None}, 21602, "Message body is required."),
    ({"Body": ""}, 21602, "Message body is required."),
    ({"Body": "a" * 1_601}, 21617, TOO_LONG),
    ({"Body": "🎉" * 1_601}, 21617, TOO_LONG),
    *[
        ({"To": number}, 21211, NOT_TO.format(number))
        for number in ("4155552671", "+1", "+999123456", "hello", "whatsapp:+14155552671", "rcs:+14155552671", "\0")
    ],
    *[
        ({"From": number}, 21212, NOT_FROM.format(number))
        for number in ("+1", "++14155552671", "12", "TooLongSender", "{to} {origin}", "whatsapp:+14155552671")
    ],
    ({"From": PHONE}, 21266, f"'To' and 'From' number cannot be the same: {PHONE}"),
    ({"From": None, "MessagingServiceSid": "MG1"}, 21701, "The Messaging Service does not exist."),
    ({"From": None, "MessagingServiceSid": f"SM{'a' * 32}"}, 21701, "The Messaging Service does not exist."),
    *[
        ({"StatusCallback": url}, 21609, NO_CALLBACK.format(url))
        for url in ("hook", "ftp://example.com/", "http://", "http://user:secret@example.com/", "http://[/")
    ],
    ({"MediaUrl": ["http://example.com/a"] * 11}, 21623, "The number of media files is above the limit of 10."),
    *[
        ({"MediaUrl": [url]}, 21620, NO_MEDIA.format(url))
        for url in (
            "a.png",
            "ftp://example.com/a.png",
            "http://",
            "http:///a.png",
            "http://[",
            "http://a b/",
            "http://\0/",
        )
    ],
    *[({"ValidityPeriod": given}, 21624, NO_VALIDITY) for given in ("0", "36001", "-1", "1.5", "ten", "999999999")],
    ({"ScheduleType": "fixed"}, 35111, "To schedule a message, use the parameter SendAt."),
    (
        {"ScheduleType": "fixed", "SendAt": "2026-01-31T10:00:00Z"},
        35118,
        "A MessagingServiceSid is required to schedule a message.",
    ),
    *[
        ({**FIXED, "SendAt": given}, 35114, NOT_SCHEDULED)
        for given in (
            "tomorrow",
            "2026-01-31T10:00:00",
            "2026-01-31T09:34:59Z",
            "2026-03-07T09:30:01Z",
            "9999-12-31T23:59:59Z",
        )
    ],
    ({"ContentSid": "HX1"}, 21655, "The ContentSid is not valid."),
    *[
        (
            {"ContentSid": HX, "ContentVariables": given},
            21656,
            "The ContentVariables parameter is not a valid JSON object.",
        )
        for given in ("{", "[]", "1", "[" * 20_000)
    ],
    ({"Body": "a\0b"}, 20001, "The body has a NUL character or an unpaired surrogate."),
    (
        {"ContentSid": HX, "ContentVariables": '{"1": "\\ud800"}'},
        20001,
        "The body has a NUL character or an unpaired surrogate.",
    ),
]
MAGIC = [
    ({"From": "+15005550001"}, 400, 21212, NOT_FROM.format("+15005550001")),
    ({"From": "+15005550007"}, 400, 21606, NOT_OURS.format("+15005550007")),
    ({"From": "+15005550008"}, 429, 21611, "SMS queue is full."),
    ({"To": "+15005550001"}, 400, 21211, NOT_TO.format("+15005550001")),
    ({"To": "+15005550002"}, 400, 21612, NOT_REACHABLE.format("+15005550002", OWN, "SMS")),
    (
        {"To": "+15005550002", "MediaUrl": "http://example.com/cat.png"},
        400,
        21612,
        NOT_REACHABLE.format("+15005550002", OWN, "MMS"),
    ),
    (
        {"To": "+15005550003"},
        400,
        21408,
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: +15005550003",
    ),
    ({"To": "+15005550004"}, 400, 21610, "Attempt to send to unsubscribed recipient"),
    ({"To": "+15005550009"}, 400, 21614, "To number: +15005550009, is not a mobile number"),
]


@pytest.mark.parametrize(("given", "code", "message"), REFUSALS)
def test_a_fault_is_refused_with_its_code_and_message_and_there_is_no_message(twilio, client, given, code, message):
    assert twilio.refuse(**given) == (400, code, message)
    assert twilio.list()["messages"] == []
    assert client.get("/v1/messages").get_json()["messages"] == []


@pytest.mark.parametrize(("given", "status", "code", "message"), MAGIC)
def test_the_test_numbers_are_refused_as_twilio_s_documentation_says(twilio, given, status, code, message):
    assert twilio.refuse(**given) == (status, code, message)
    assert twilio.list()["messages"] == []


def test_the_first_fault_decides(twilio):
    faults = [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"To": "+1"}, 21211),
        ({"From": "+1"}, 21212),
        ({"StatusCallback": "hook"}, 21609),
        ({"Body": "a" * 1_601}, 21617),
        ({"ScheduleType": "fixed"}, 35111),
        ({"ValidityPeriod": "0"}, 21624),
    ]
    for place, (_, code) in enumerate(faults):
        given = {}
        for parameters, _ in reversed(faults[place:]):
            given |= parameters
        assert twilio.refuse(**given)[1] == code
    assert twilio.refuse(ValidityPeriod="0", MediaUrl="cat")[1] == 21624
    assert twilio.refuse(Body="", MessagingServiceSid="MG")[1] == 21602
    assert twilio.refuse(To="+1", MessagingServiceSid="MG")[1] == 21701


@pytest.mark.parametrize("sender", [OWN, "12345", "ACME", "My Shop 24", "+4915123456789"])
def test_a_sender_is_a_number_a_short_code_or_alphanumeric(twilio, sender):
    assert twilio.create(From=sender)["from"] == sender


def test_a_plus_sign_that_was_not_escaped_is_understood(twilio):
    response = twilio.call(
        "POST",
        MESSAGES,
        data=f"To={PHONE}&From={OWN}&Body=Hello",
        content_type="application/x-www-form-urlencoded",
    )
    assert (response.get_json()["to"], response.get_json()["from"]) == (PHONE, OWN)


def test_parameters_may_be_multipart_or_in_the_query(twilio):
    given = {"To": PHONE, "From": OWN, "Body": "Hello 🎉"}
    assert twilio.call("POST", MESSAGES, data=given, content_type="multipart/form-data").get_json()["to"] == PHONE
    assert twilio.call("POST", MESSAGES, query_string=given).get_json()["body"] == "Hello 🎉"


def test_of_a_repeated_parameter_the_last_value_counts_and_unknown_ones_are_ignored(twilio):
    assert twilio.create(Body=["one", "two"], Unknown="x", body="three")["body"] == "two"


@pytest.mark.parametrize("body", ["a" * 1_600, "🎉" * 1_600, " ", "a\r\nb\tc", "{to}", "ж&=+%"])
def test_a_body_may_have_1600_characters_of_any_kind(twilio, client, body):
    sent = twilio.create(Body=body)
    assert sent["body"] == body
    assert twilio.get(sent["uri"])["body"] == body
    assert client.get("/v1/messages").get_json()["messages"][0]["body"] == body  # in full


def test_smart_encoding_replaces_look_alikes_before_the_length_is_checked(twilio):
    assert twilio.create(Body="“Hi” – it’s…", SmartEncoded="true")["body"] == '"Hi" - it\'s...'
    assert twilio.create(Body="“Hi”", SmartEncoded="false")["body"] == "“Hi”"
    assert twilio.refuse(Body="…" * 1_600, SmartEncoded="true")[1] == 21617


def test_media_need_no_body_and_make_the_sid_mm(twilio):
    urls = [f"https://example.com/{number}.png?a=b&c=%20" for number in range(10)]
    sent = twilio.create(Body=None, MediaUrl=urls)
    assert sent["sid"].startswith("MM")
    assert (sent["body"], sent["num_media"]) == ("", "10")
    assert twilio.create()["sid"].startswith("SM")


def test_a_service_takes_the_place_of_the_sender(twilio, operator):
    sent = twilio.create(From=None, MessagingServiceSid=MG)
    assert (sent["status"], sent["from"], sent["num_segments"]) == ("accepted", None, "0")
    assert sent["messaging_service_sid"] == MG
    chosen = twilio.get(sent["uri"])
    assert (chosen["status"], chosen["from"], chosen["num_segments"]) == ("queued", OWN, "1")


def test_a_scheduled_message_waits_for_its_time(twilio, deliver, clock):
    moments = ["2026-01-31T09:35:00Z", "2026-01-31T10:40:00+01:00", "2026-03-07T09:30:00Z"]
    sent = [twilio.create(**FIXED, SendAt=moment) for moment in moments]
    assert {one["status"] for one in sent} == {"scheduled"}
    assert deliver() == 0
    clock.advance(timedelta(seconds=300).total_seconds())
    assert deliver() == 1
    assert [twilio.get(one["uri"])["status"] for one in sent] == ["delivered", "scheduled", "scheduled"]


def test_send_at_has_no_effect_without_the_schedule_type(twilio):
    assert twilio.create(SendAt="2026-01-31T10:00:00Z")["status"] == "queued"


def test_content_is_shown_by_a_text_with_its_variables(twilio):
    sent = twilio.create(Body=None, ContentSid=HX, ContentVariables='{"1": "Ann", "2": "noon"}')
    assert sent["body"] == f"[content {HX}: 1=Ann, 2=noon]"
    assert twilio.create(Body=None, ContentSid=HX)["body"] == f"[content {HX}]"


@pytest.mark.parametrize(
    ("error_type", "code"),
    [
        ("invalid_number", 21211),
        ("unroutable_number", 21612),
        ("country_not_permitted", 21408),
        ("blocked_by_recipient", 21610),
        ("cannot_receive_sms", 21614),
        ("unknown_handset", 21612),
    ],
)
def test_a_number_that_the_gateway_refuses_at_once_is_refused(make_app, error_type, code):
    class Refusing(FakeGateway):
        def check(self, to: str, origin: str, body: str) -> Refused | None:
            return Refused(error_type)

    api = TwilioApi(make_app(Refusing(), TWILIO="on"))
    assert api.refuse()[:2] == (400, code)
    assert api.list()["messages"] == []


def test_a_json_body_has_no_parameters(twilio):
    response = twilio.call("POST", MESSAGES, json={"To": PHONE, "From": OWN, "Body": "Hello"})
    assert read_error(response)[1] == 21604
