"""Tests of the signature of what Twilio posts to the gateway: whatever Twilio has not signed changes nothing."""

from collections import Counter
from collections.abc import Callable
from random import Random
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonify.gateways.events import CallbackRequest, Forged, Heard, Unreadable
from tests.support.twilio_service import (
    PUBLIC_URL,
    STATUS_PATH,
    TOKEN,
    make_gateway,
    make_hook,
    make_json,
    report,
    sign_url,
    write_text,
)

SENDABLE = st.text(st.characters(exclude_categories=["Cs"]))  # without unpaired surrogates


def hear(request: CallbackRequest, **given: str) -> Heard:
    return make_gateway(**given).hear(request)


@pytest.mark.parametrize(
    ("public", "signed"),
    [
        ("https://sms.example.org", "https://sms.example.org"),
        ("https://sms.example.org", "https://sms.example.org:443"),
        ("https://sms.example.org:443", "https://sms.example.org"),
        ("https://sms.example.org:8443", "https://sms.example.org:8443"),
        ("https://sms.example.org:8443", "https://sms.example.org"),
        ("http://sms.example.org", "http://sms.example.org:80"),
        ("http://127.0.0.1:8000/phonify/", "http://127.0.0.1:8000/phonify"),
        ("http://[::1]:8000", "http://[::1]"),
    ],
)
def test_the_signed_url_may_have_a_port_or_not(public: str, signed: str) -> None:
    form = report("sent")
    path = f"/gateways/twilio/{STATUS_PATH}"
    request = make_hook(STATUS_PATH, form, url=public.rstrip("/") + path, headers=sign_url(signed + path, form))
    assert len(hear(request, public_url=public).events) == 1


@pytest.mark.parametrize(
    "signed",
    [
        "http://sms.example.org",
        "https://sms.example.org:8443",
        "https://other.example.org",
        "https://sms.example.org/phonify",
    ],
)
def test_the_signature_of_another_url_is_forged(signed: str) -> None:
    form = report("sent")
    with pytest.raises(Forged):
        hear(make_hook(STATUS_PATH, form, headers=sign_url(f"{signed}/gateways/twilio/{STATUS_PATH}", form)))


def test_the_public_url_counts_and_not_the_host_of_the_request() -> None:
    request = make_hook(STATUS_PATH, report("sent"), url=f"http://10.0.0.7:8000/gateways/twilio/{STATUS_PATH}")
    with pytest.raises(Forged, match="PHONIFY_PUBLIC_URL"):
        hear(request)


def test_without_a_public_url_each_request_is_forged() -> None:
    with pytest.raises(Forged, match="PHONIFY_PUBLIC_URL"):
        make_gateway(public_url=None).hear(make_hook(STATUS_PATH, report("sent")))


@pytest.mark.parametrize(
    "forge",
    [
        lambda request: request._replace(headers={}),
        lambda request: request._replace(headers={**request.headers, "x-twilio-signature": ""}),
        lambda request: request._replace(headers={**request.headers, "x-twilio-signature": "ü"}),
        lambda request: request._replace(headers={**request.headers, "x-twilio-signature": "\ud800"}),
        lambda request: request._replace(headers={**request.headers, "content-type": "text/plain"}),
        lambda request: request._replace(body=request.body.replace(b"=sent", b"=delivered")),
        lambda request: request._replace(body=request.body + b"&ErrorCode=30007"),
        lambda request: request._replace(body=request.body + b"&Unknown="),
        lambda request: request._replace(body=b""),
        lambda request: request._replace(body=b"a=%ff&\x00"),
        lambda request: request._replace(url=f"{request.url}?MessageStatus=delivered"),
        lambda request: request._replace(url=request.url.replace("0001", "0002")),
    ],
)
def test_a_request_that_was_changed_is_forged(forge: Callable[[CallbackRequest], CallbackRequest]) -> None:
    with pytest.raises(Forged):
        hear(forge(make_hook(STATUS_PATH, report("sent"))))


@pytest.mark.parametrize("body", [b"\xff=1", b"&a=b" * 300])
def test_a_body_that_is_no_form_can_not_be_read(body: bytes) -> None:
    with pytest.raises(Unreadable, match="the body is not a form"):
        hear(make_hook(STATUS_PATH, report("sent"), body=body))


def test_the_token_of_another_account_is_forged() -> None:
    with pytest.raises(Forged):
        hear(make_hook(STATUS_PATH, report("sent"), token="f" * 32))


def test_while_tokens_are_exchanged_both_are_valid() -> None:
    for token in (TOKEN, "f" * 32):
        request = make_hook(STATUS_PATH, report("sent"), token=token)
        assert len(hear(request, SECONDARY_AUTH_TOKEN="f" * 32).events) == 1


def test_a_repeated_parameter_is_signed_with_all_its_values() -> None:
    class Pairs(dict[str, str]):  # with the method that the SDK asks for
        def getlist(self, name: str) -> list[str]:
            return ["a", "b"] if name == "Tag" else [self[name]]

    form = Pairs(report("sent"), Tag="b")
    body = urlencode([*report("sent").items(), ("Tag", "b"), ("Tag", "a")]).encode()
    url = f"{PUBLIC_URL}/gateways/twilio/{STATUS_PATH}"
    assert len(hear(make_hook(STATUS_PATH, {}, headers=sign_url(url, form), body=body)).events) == 1


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(SENDABLE.filter(bool), SENDABLE))
def test_unknown_parameters_are_signed_too(unknown: dict[str, str]) -> None:
    assert hear(make_hook(STATUS_PATH, {**unknown, **report("sent")})) == hear(make_hook(STATUS_PATH, report("sent")))


# Requests of anybody


def spoil(random: Random, text: str) -> str:
    """Return another text: a part of it is replaced, or all of it."""
    odd = random.choice(
        ["", "\0", "%", "%ff", "=", "&", "ü", "\ud800", "{", "[" * 50, "MessageSid=SM1&From=1", text, "x"]
    )
    start, end = sorted(random.choices(range(len(text) + 1), k=2))
    spoilt = text[:start] + odd + text[end:]
    return spoilt if spoilt != text else f"{text}~"


def spoil_request(random: Random, request: CallbackRequest) -> CallbackRequest:
    """Return a request with one or more spoilt parts that are signed."""
    for part in random.choices(["url", "body", "signature", "nothing signed"], k=random.randint(1, 3)):
        match part:
            case "url":
                request = request._replace(url=spoil(random, request.url))
            case "body":
                body = spoil(random, request.body.decode(errors="replace")).encode(errors="replace")
                request = request._replace(body=body + b"&a=" + random.randbytes(2))
            case "nothing signed":
                request = request._replace(headers={}, body=random.randbytes(random.randrange(60)))
            case _:
                text = spoil(random, request.headers.get("x-twilio-signature", ""))
                request = request._replace(headers={**request.headers, "x-twilio-signature": text})
    return request


def test_2000_random_requests_are_forged_or_can_not_be_read() -> None:
    random, gateway = Random(7), make_gateway()
    signed = [make_hook(STATUS_PATH, report("sent")), make_hook("received", write_text()), make_json(report("sent"))]
    reasons: Counter[type[Exception]] = Counter()
    while reasons.total() < 2_000:
        request = spoil_request(random, random.choice(signed))
        if request in signed:
            continue
        with pytest.raises((Forged, Unreadable)) as caught:
            gateway.hear(request)
        reasons[caught.type] += 1
    assert reasons.keys() == {Forged, Unreadable}


def test_500_signed_requests_with_random_content_are_read_or_can_not_be_read() -> None:
    random, gateway, read = Random(7), make_gateway(), 0
    for _ in range(500):
        path, form = random.choice([(STATUS_PATH, report("sent")), ("received", write_text())])
        for name in random.choices(list(form), k=3):
            form[name] = spoil(random, form[name]).replace("\ud800", "")
        try:
            read += gateway.hear(make_hook(path, form)).answer.status in (200, 204)
        except Unreadable:
            continue
    assert 250 < read < 500
