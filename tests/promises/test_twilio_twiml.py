"""The Twilio-compatible API: the replies that an app's answer to a received message asks for."""

import pytest
from twilio.twiml.messaging_response import Body, Media, Message, MessagingResponse

from tests.support.receivers import status
from tests.support.twilio import OWN, PHONE, list_statuses, read_form

XML = "Content-Type: text/xml"
OTHER = "+14155552672"


def respond(*parts: object) -> str:
    response = MessagingResponse()
    for part in parts:
        response.append(part)
    return str(response)


@pytest.fixture
def ask(client, post_due, operator, receiver):
    """Return a function that lets a phone write, and the app answer with the given TwiML."""
    operator.run("twilio", "set-inbound", f"{receiver.url}?x=1")

    def ask(body: str, *headers: str, sender: str = PHONE, to: str = OWN) -> None:
        receiver.act = status(200, *(headers or (XML,)), body=body)
        assert client.post("/sandbox/inbound", json={"from": sender, "to": to, "body": "Hi"}).status_code == 201
        post_due()

    return ask


@pytest.fixture
def replies(twilio):
    """Return a function that returns the replies, the oldest first."""
    return lambda: [one for one in reversed(twilio.list()["messages"]) if one["direction"] != "inbound"]


@pytest.fixture
def warning(operator):
    """Return a function that returns what the last attempt shows, after a look at its state."""

    def read() -> str:
        delivery = operator.list_deliveries()[-1]
        assert delivery["state"] == "delivered"
        return str(delivery["tries"][-1]["error"])

    return read


def test_a_reply_goes_to_the_phone_from_the_number_that_it_wrote_to(ask, replies, deliver, twilio, client):
    ask(respond(Message("Thank you 🎉")), to="12345")
    (reply,) = replies()
    assert (reply["from"], reply["to"], reply["body"]) == ("12345", PHONE, "Thank you 🎉")
    assert (reply["direction"], reply["status"]) == ("outbound-reply", "queued")
    deliver()
    assert twilio.get(reply["uri"])["status"] == "delivered"
    assert client.get("/v1/messages").get_json()["messages"][0]["body"] == "Thank you 🎉"


def test_several_replies_are_sent_in_their_order(ask, replies):
    ask(respond(*(Message(str(number)) for number in range(5))))
    assert [one["body"] for one in replies()] == ["0", "1", "2", "3", "4"]


def test_a_reply_may_have_a_body_and_media(ask, replies, twilio):
    message = Message()
    message.append(Body("Look"))
    for name in ("a.png", "b.gif"):
        message.append(Media(f"http://example.com/{name}"))
    only_media = Message()
    only_media.append(Media("http://example.com/c.png"))
    ask(respond(message, only_media))
    first, second = replies()
    assert (first["body"], first["num_media"], first["sid"][:2]) == ("Look", "2", "MM")
    media = twilio.get(first["subresource_uris"]["media"])["media_list"]
    assert [one["content_type"] for one in media] == ["image/png", "image/gif"]
    assert (second["body"], second["num_media"]) == ("", "1")


def test_a_reply_may_go_to_another_phone_from_another_sender(ask, replies):
    ask(respond(Message("Hello", to=OTHER, from_="ACME")))
    (reply,) = replies()
    assert (reply["to"], reply["from"]) == (OTHER, "ACME")


def test_the_statuses_of_a_reply_are_told_to_its_action_and_its_callback(ask, receiver, deliver, post_due, replies):
    ask(respond(Message("Hello", action="/told?a=1", status_callback=f"{receiver.url}/status", method="POST")))
    receiver.act = status(204)
    deliver()
    while post_due():
        pass
    told = receiver.received[1:]
    for line in ("POST /told?a=1 HTTP/1.1", "POST /hook/status HTTP/1.1"):
        mine = [one for one in told if one.line == line]
        assert list_statuses(mine) == ["sent", "delivered"]
        assert {read_form(one)["MessageSid"] for one in mine} == {replies()[0]["sid"]}
    assert len(told) == 4


@pytest.mark.parametrize(
    "body",
    [
        "",
        "  \n",
        "<Response/>",
        '<?xml version="1.0" encoding="UTF-8"?><Response></Response>',
        '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<Response><!-- nothing --></Response>\n',
    ],
)
def test_an_empty_answer_sends_no_reply(ask, replies, warning, body):
    ask(body)
    assert (replies(), warning()) == ([], "None")


@pytest.mark.parametrize("code", [200, 204])
def test_an_answer_without_a_body_needs_no_type(client, ask, replies, receiver, post_due, operator, code):
    ask("")
    receiver.act = status(code)
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"})
    post_due()
    assert (replies(), [one["state"] for one in operator.list_deliveries()]) == ([], ["delivered"] * 2)


@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/xml", "text/html; charset=utf-8", "TEXT/XML;charset=UTF-8"]
)
def test_xml_may_have_these_types(ask, replies, content_type):
    ask(respond(Message("Grüße")), f"Content-Type: {content_type}")
    assert [one["body"] for one in replies()] == ["Grüße"]


def test_a_plain_text_is_the_reply(ask, replies):
    ask(" Thank <you> \n", "Content-Type: text/plain; charset=utf-8")
    assert [one["body"] for one in replies()] == ["Thank <you>"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("a &amp; b &#128512; &lt;c&gt;", "a & b 😀 <c>"),
        ("<![CDATA[<b>]]>", "<b>"),
        ("\n  two\n  lines\n", "two\n  lines"),
        ("<Body>one</Body>", "one"),
    ],
)
def test_the_text_of_a_reply_is_that_of_the_xml(ask, replies, body, text):
    ask(f"<Response><Message>{body}</Message></Response>")
    assert [one["body"] for one in replies()] == [text]
