"""The Twilio-compatible API: what an app is told about a received message, and what happens if it does not answer."""

import pytest
from twilio.request_validator import RequestValidator

from tests.support.receivers import answer, status
from tests.support.twilio import AC, MG, OWN, PHONE, TwilioApi, read_form

XML = "Content-Type: text/xml"


@pytest.fixture
def set_inbound(operator):
    """Return a function that sets the URL for received messages."""
    return lambda url, *options: operator.run("twilio", "set-inbound", url, *options)


@pytest.fixture
def receive(client, post_due):
    """Return a function that lets a phone write and posts what is due."""

    def receive(body: str = "Hello", sender: str = PHONE, to: str = OWN) -> str:
        response = client.post("/sandbox/inbound", json={"from": sender, "to": to, "body": body})
        assert response.status_code == 201
        post_due()
        return f"SM{response.get_json()['message']['id'].replace('-', '')}"

    return receive


def test_a_received_message_has_these_nineteen_fields(set_inbound, receive, receiver):
    set_inbound(receiver.url)
    sid = receive("Hello 🎉", sender="+4915123456789")
    (received,) = receiver.received
    assert received.line == "POST /hook HTTP/1.1"
    fields = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": AC,
        "From": "+4915123456789",
        "To": OWN,
        "Body": "Hello 🎉",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
        "FromCity": "",
        "FromState": "",
        "FromZip": "",
        "FromCountry": "DE",
        "ToCity": "",
        "ToState": "",
        "ToZip": "",
        "ToCountry": "US",
    }
    assert read_form(received) == fields
    assert len(fields) == 19


def test_the_body_comes_as_it_is(set_inbound, receive, receiver):
    set_inbound(receiver.url)
    for body in (" a\r\nb\t&=+% ", "x" * 160, "ж" * 70):
        receive(body)
    assert [read_form(one)["Body"] for one in receiver.received] == [" a\r\nb\t&=+% ", "x" * 160, "ж" * 70]


@pytest.mark.parametrize("path", ["/hook", "/hook?a=1&b=x%20y", "/hook#rc=1", "", "?a=1", "/hook?"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_signature_is_verified_by_the_sdk(twilio, set_inbound, receive, receiver, method, path):
    host = f"http://127.0.0.1:{receiver.port}"
    set_inbound(f"{host}{path}", "--method", method)
    receive("ünïcode & 🎉 + ~*'()")
    (received,) = receiver.received
    validator, signature = RequestValidator(twilio.fetch_token()), received.headers["x-twilio-signature"]
    verb, target, _ = received.line.split()
    assert verb == method
    if method == "GET":
        assert (received.body, "content-type" in received.headers) == (b"", False)
        assert "Body=%C3%BCn" in target
        assert validator.validate(f"{host}{target}", {}, signature)
        assert not validator.validate(f"{host}{target}x", {}, signature)
    else:
        assert validator.validate(f"{host}{target}", read_form(received), signature)


def test_a_long_text_may_be_requested_with_get(make_app, receiver, post_due):
    app = make_app(MAX_BODY="1600")
    app.test_cli_runner().invoke(args=["twilio", "set-inbound", receiver.url, "--method", "GET"])
    arguments = {"from": PHONE, "to": OWN, "body": "🎉" * 1_600}
    assert app.test_client().post("/sandbox/inbound", json=arguments).status_code == 201
    post_due(app)
    (received,) = receiver.received
    assert read_form(received)["Body"] == "🎉" * 1_600


def test_a_received_message_is_told_in_the_form_of_both_apis(set_inbound, receive, receiver, make_receiver, operator):
    own = make_receiver()
    operator.set_webhook(own.url)
    set_inbound(receiver.url)
    receive()
    assert (len(receiver.received), len(own.received)) == (1, 1)


def test_without_a_url_nothing_is_posted(receive, operator, set_inbound, receiver):
    receive()
    set_inbound(receiver.url)
    operator.run("twilio", "remove-inbound")
    receive()
    assert operator.list_deliveries() == []


def test_another_account_s_messages_are_not_told(app, set_inbound, receive, receiver, operator):
    other = TwilioApi(app, f"AC{2:032x}", operator.make_key("other"))
    operator.run("twilio", "set-inbound", receiver.url, "--account", "other")
    receive()
    assert receiver.received == []
    assert other.list()["messages"] == []


@pytest.mark.parametrize(
    ("word", "kind"), [("STOP", "STOP"), ("stopall", "STOP"), ("Start", "START"), ("HELP", "HELP"), ("Hello", None)]
)
def test_a_keyword_is_named_if_the_account_answers_keywords(set_inbound, receive, receiver, operator, word, kind):
    set_inbound(receiver.url)
    receive(word)
    assert "OptOutType" not in read_form(receiver.received[0])
    operator.run("keywords", "set", "--help-reply", "We help")
    receive(word)
    assert read_form(receiver.received[1]).get("OptOutType") == kind


# What can't be used


@pytest.mark.parametrize(
    ("answered", "code"),
    [
        (status(500), "11200"),
        (status(404, body="<Response/>"), "11200"),
        (status(302, "Location: /elsewhere"), "11200"),
        (answer(b""), "11200"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), "11200"),
        (answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nHel"), "11200"),
        (status(200, "Content-Type: application/json", body="{}"), "12300"),
        (status(200, "Content-Type: image/png", body="<Response/>"), "12300"),
        (status(200, XML, body="<Response>"), "12100"),
        (status(200, XML, body="OK"), "12100"),
        (status(200, "Content-Type: text/html; charset=utf-8", body="<p>Hello"), "12100"),
        (status(200, XML, body="<Message>Hello</Message>"), "12100"),
        (status(200, XML, body='<!DOCTYPE r [<!ENTITY a "b">]><Response><Message>&a;</Message></Response>'), "12100"),
        (status(200, XML, body="<Response><Message>&nbsp;</Message></Response>"), "12100"),
        (status(200, XML, body=f"<Response><Message>{'a' * 65_536}</Message></Response>"), "11750"),
        (status(200, "Content-Type: text/plain", body="a" * 65_537), "11750"),
    ],
)
def test_a_message_whose_answer_can_not_be_used_goes_to_the_fallback_url(
    twilio, set_inbound, receive, receiver, make_receiver, operator, answered, code
):
    fallback = make_receiver(status(200, XML, body="<Response><Message>Sorry</Message></Response>"))
    set_inbound(f"{receiver.url}?x=1", "--fallback-url", fallback.url, "--fallback-method", "get")
    receiver.act = answered
    receive()
    (first,), (second,) = receiver.received, fallback.received
    assert second.line.startswith("GET /hook?MessageSid=")
    assert read_form(second) == {**read_form(first), "ErrorCode": code, "ErrorUrl": f"{receiver.url}?x=1"}
    signed = f"http://127.0.0.1:{fallback.port}{second.line.split()[1]}"
    assert RequestValidator(twilio.fetch_token()).validate(signed, {}, second.headers["x-twilio-signature"])
    reply, _ = twilio.list()["messages"]
    assert (reply["direction"], reply["body"], reply["to"]) == ("outbound-reply", "Sorry", PHONE)
    failed, delivered = operator.list_deliveries()
    assert (failed["state"], delivered["state"]) == ("failed", "delivered")
    if code != "11200":
        assert failed["tries"][0]["error"].startswith(f"{code}: ")


def test_an_app_that_is_not_there_is_asked_twice_before_the_fallback_url(
    set_inbound, receive, make_receiver, post_due, clock, operator
):
    fallback = make_receiver()
    set_inbound("http://127.0.0.1:9/sms", "--fallback-url", fallback.url)
    receive()
    assert fallback.received == []
    clock.advance(1)
    post_due()
    (received,) = fallback.received
    assert received.line.startswith("POST")
    assert (read_form(received)["ErrorCode"], read_form(received)["ErrorUrl"]) == ("11200", "http://127.0.0.1:9/sms")
    tries = operator.list_deliveries()[0]["tries"]
    assert [attempt["error"] for attempt in tries] == ["the connection was refused"] * 2


def test_a_fallback_url_that_fails_too_is_the_end(set_inbound, receive, receiver, make_receiver, operator):
    fallback = make_receiver(status(500))
    set_inbound(receiver.url, "--fallback-url", fallback.url)
    receiver.act = status(500)
    receive()
    assert (len(receiver.received), len(fallback.received)) == (1, 1)
    assert [one["state"] for one in operator.list_deliveries()] == ["failed", "failed"]


def test_without_a_fallback_url_the_attempt_says_what_is_wrong(twilio, set_inbound, receive, receiver, operator):
    set_inbound(receiver.url)
    receiver.act = status(200, XML, body="oops")
    receive()
    (delivery,) = operator.list_deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("failed", 1)
    (attempt,) = delivery["tries"]
    assert attempt["error"].startswith("12100: the document is not XML")
    assert (attempt["status"], attempt["answer"]) == (200, "oops")
    assert [one["status"] for one in twilio.list()["messages"]] == ["received"]


def test_a_faulty_answer_holds_up_nobody_else(set_inbound, receive, receiver, operator, twilio, deliver, post_due):
    """What can't be read in one account's answer must not stop the delivery of the others' webhooks."""
    set_inbound(receiver.url, "--fallback-url", receiver.url)
    texts = ["http://[", "//[", "http://[::1", "\ud7ff", "//\u2100", "http://a:b:c/", "x" * 3_000]
    for text in texts:
        body = f'<Response><Message action="{text}">Hi</Message><Redirect>{text}</Redirect></Response>'
        receiver.act = status(200, XML, body=body)
        receive()
    assert {one["state"] for one in operator.list_deliveries()} <= {"delivered", "failed"}
    receiver.act = status(204)
    sent = twilio.create(StatusCallback=receiver.url, MessagingServiceSid=MG)
    deliver()
    post_due()
    assert read_form(receiver.received[-1])["MessageSid"] == sent["sid"]
