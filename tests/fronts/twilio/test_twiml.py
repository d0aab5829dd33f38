"""What TwiML asks for: any answer of an app is read, or refused with a code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.fronts.twilio.twiml import Document, Redirect, Reply, TwimlFault, read_answer
from phonify.outgoing.http_client import Answer

HERE = "http://127.0.0.1:5000/sms?a=1#rc=2"


def read(body: str, content_type: str = "text/xml") -> Document:
    return read_answer(Answer(200, body, content_type), HERE)


@given(st.text(), st.sampled_from(["text/xml", "text/plain", "text/html", "", "x"]), st.integers(100, 599))
def test_no_answer_is_an_unexpected_error(text, content_type, code):
    texts = [text, f"<Response>{text}</Response>", f"<Response><Message>{text}</Message></Response>"]
    texts += [
        f"<Response><Redirect>//{text}</Redirect></Response>",
        f'<Response><Message action="//{text}"/></Response>',
    ]
    for one in texts:
        try:
            document = read_answer(Answer(code, one, content_type), HERE)
        except TwimlFault:
            continue
        assert 200 <= code < 300
        assert all(warning.startswith("12200: ") for warning in document.warnings)


def test_a_message_has_its_text_media_numbers_and_callbacks():
    body = (
        '<Response><Message to="+14155552671" from="ACME" action="/told" method="GET" statusCallback="told">'
        " a <Body>b</Body> c<Media>http://a.example/1</Media><Media> http://a.example/2\n</Media></Message></Response>"
    )
    reply = Reply(
        "a b c",
        ("http://a.example/1", "http://a.example/2"),
        "+14155552671",
        "ACME",
        ("http://127.0.0.1:5000/told",),
    )
    assert read(body).replies == (reply,)


def test_a_redirect_ends_the_document():
    document = read("<Response><Message>a</Message><Redirect>next</Redirect><Oops/></Response>")
    assert [reply.body for reply in document.replies] == ["a"]
    assert document.redirect == Redirect("http://127.0.0.1:5000/next", "POST")
    assert document.warnings == ()


@pytest.mark.parametrize("method", ["get", "GET", "Get"])
def test_the_method_of_a_redirect_may_be_in_any_case(method):
    redirect = read(f'<Response><Redirect method="{method}">/</Redirect></Response>').redirect
    assert redirect is not None
    assert redirect.method == "GET"


def test_an_encoding_declaration_and_a_byte_order_mark_do_no_harm():
    for start in ("\ufeff", '<?xml version="1.0" encoding="ISO-8859-1"?>', '\ufeff<?xml version="1.0"?>'):
        (reply,) = read(f"{start}<Response><Message>ü</Message></Response>").replies
        assert reply.body == "ü"


def test_entities_are_not_expanded_and_much_nesting_is_read_at_once():
    bomb = '<!DOCTYPE lol [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><Response><Message>&b;</Message></Response>'
    with pytest.raises(TwimlFault, match="DOCTYPE"):
        read(bomb)
    deep = f"<Response><Message>{'<a>' * 8_000}{'</a>' * 8_000}</Message></Response>"
    (reply,) = read(deep).replies
    assert reply.body == ""


def test_the_limit_is_64_kib_of_bytes():
    frame = "<Response><Message></Message></Response>"
    room = 64 * 1024 - len(frame)
    assert len(read(frame.replace("></", f">{'a' * room}</", 1)).replies) == 1
    with pytest.raises(TwimlFault, match="64 KiB") as caught:
        read(frame.replace("></", f">{'ü' * (room // 2 + 1)}</", 1))
    assert caught.value.code == 11750
