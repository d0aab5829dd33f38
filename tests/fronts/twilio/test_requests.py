"""Signed requests to an app, and the options in the fragment of a URL."""

import pytest
from twilio.request_validator import RequestValidator

from phonify.fronts.twilio.requests import Options, build_request, read_options, write_sent_url
from phonify.outgoing.http_client import add_query

HOOK = "http://127.0.0.1:5000/hook"
ALL = frozenset({"ct", "rt", "4xx", "5xx"})


@pytest.mark.parametrize(
    ("fragment", "options"),
    [
        ("", Options()),
        ("#", Options()),
        ("#rc=3", Options(retries=3)),
        ("#rc=0", Options(retries=0)),
        ("#rc=6", Options(retries=5)),
        ("#rc=٣", Options()),
        ("#rc=1&rc=2", Options(retries=2)),
        ("#rp=rt", Options(reasons=frozenset({"rt"}))),
        ("#rp=4xx,5xx", Options(reasons=frozenset({"4xx", "5xx"}))),
        ("#ct=250", Options(connect_timeout=0.25)),
        ("#ct=99", Options(connect_timeout=0.1)),
        ("#ct=10001", Options(connect_timeout=10)),
        ("#rt=99999", Options()),
        ("#rt=500", Options(read_timeout=0.5)),
        ("#tt=3000", Options(timeout=3)),
        ("#ct=1.5&rt=&tt=-1", Options()),
    ],
)
def test_the_fragment_has_the_options(fragment, options):
    assert read_options(f"{HOOK}?rc=4{fragment}") == options


def test_all_reasons_are_named_in_one_word():
    assert read_options(f"{HOOK}#rp=all").reasons >= ALL


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (HOOK, HOOK),
        (f"{HOOK}#rc=1", HOOK),
        (f"{HOOK}?", HOOK),
        (f"{HOOK}?a=b&a=c", f"{HOOK}?a=b&a=c"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com:80?a", "http://example.com:80/?a"),
        ("http://EXAMPLE.com:08080/A", "http://example.com:8080/A"),
        ("https://example.com:443/", "https://example.com:443/"),
        ("http://[::1]:5000/ä", "http://[::1]:5000/%C3%A4"),
    ],
)
def test_a_url_is_signed_as_its_host_sees_it(url, sent):
    assert write_sent_url(url) == sent


def test_a_request_has_the_time_limits_of_the_fragment_and_neither_sends_nor_signs_it():
    url = f"{HOOK}?a=1#ct=200&rt=300&tt=400"
    request = build_request("GET", url, {"B": "x y", "A": "ü"}, auth_token="t", token="id", most_answer=9)
    assert (request.url, request.query, request.body) == (f"{HOOK}?a=1", "B=x+y&A=%C3%BC", None)
    assert (request.connect_timeout, request.read_timeout, request.timeout) == (0.2, 0.3, 0.4)
    assert request.headers["I-Twilio-Idempotency-Token"] == "id"
    signed = add_query(request.url, request.query)
    assert RequestValidator("t").validate(signed, {}, request.headers["X-Twilio-Signature"])
