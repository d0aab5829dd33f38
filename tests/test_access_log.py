"""Tests of the access log: it contains no key, and each request has one line."""

import logging
from collections.abc import Iterator

import pytest

from phonify.logs import KeyFilter, escape_controls, install_key_filter, mask_keys, mask_request

# Masking


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/v1/messages?api_key=secret", "/v1/messages?api_key=***"),
        ("/v1/messages?limit=1&api_key=secret&offset=2", "/v1/messages?limit=1&api_key=***&offset=2"),
        ("/v1/messages?api_key=one&api_key=two", "/v1/messages?api_key=***&api_key=***"),
        ("/v1/messages?api_key=a-b_c.d~e%20f", "/v1/messages?api_key=***"),
        ("/v1/messages?api_key=secret=padded==", "/v1/messages?api_key=***"),
        ("/v1/messages?api_key=secret#part", "/v1/messages?api_key=***"),
        ("GET /v1/messages?api_key=secret HTTP/1.1", "GET /v1/messages?api_key=*** HTTP/1.1"),
        ('"GET /v1/messages?api_key=secret" 200', '"GET /v1/messages?api_key=***" 200'),
        ("/v1/messages?api_key=", "/v1/messages?api_key=***"),
        ('/v1/messages?api_key="secret"&limit=1', '/v1/messages?api_key=***"&limit=1'),
        ("/v1/messages?a=Basic%20dGVzdC1rZXk6&b=basic+dGVzdC1rZXk6", "/v1/messages?a=Basic%20***&b=basic+***"),
        ("/v1/messages/phk_0aZ-_9", "/v1/messages/***"),
        ("/?phk_0aZ-_9&limit=1", "/?***&limit=1"),
        ("phk_0aZ-_9", "***"),
        ("/inbox/sign-in?token=phl_0aZ-_9", "/inbox/sign-in?token=***"),
    ],
)
def test_a_key_in_an_address_is_masked(text: str, masked: str) -> None:
    assert mask_keys(text) == masked


@pytest.mark.parametrize(
    "name",
    [
        "api_key[]",
        "api_key+",
        "api_key%20",
        "api_key%00",
        "api-key",
        "apikey",
        "key",
        "%2561pi_key",
        "api%5fkey",
        "api%5Fkey",
        "%61pi_key",
        "%61%70%69%5f%6b%65%79",
        "ap%69_k%65y",
        "API_KEY",
        "Api_Key",
    ],
)
def test_a_key_is_masked_however_its_name_is_written(name: str) -> None:
    assert mask_keys(f"/v1/messages?{name}=secret&limit=1") == f"/v1/messages?{name}=***&limit=1"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Basic dGVzdC1rZXk6", "Authorization: Basic ***"),
        ("authorization: basic dGVzdC1rZXk6cGFzcw==", "authorization: basic ***"),
        ("{'Authorization': 'Basic dGVzdC1rZXk6'}", "{'Authorization': 'Basic ***'}"),
    ],
)
def test_a_key_in_an_authorization_header_is_masked(text: str, masked: str) -> None:
    assert mask_keys(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/gateways/http/s3cret/inbound", "/gateways/http/***"),
        ("/gateways/http/s3cret", "/gateways/http/***"),
        ("/gateways/http?from=%2B4670", "/gateways/http?***"),
        ("/sms/gateways/twilio/status?x=1&y=2", "/sms/gateways/twilio/***"),
        ('"GET /gateways/http/s3cret/inbound?text=Hello HTTP/1.1" 200', '"GET /gateways/http/*** HTTP/1.1" 200'),
        ('"POST /gateways/http/s3cret" 200', '"POST /gateways/http/***" 200'),
        ("POST /gateways/http/s3cret failed", "POST /gateways/http/*** failed"),
    ],
)
def test_the_address_of_a_callback_is_cut_after_the_name_of_the_gateway(text: str, masked: str) -> None:
    assert mask_keys(text) == masked


@pytest.mark.parametrize(
    "text",
    ["/gateways/http", "/gateways/", "/docs/gateways", 'File "phonify/gateways/base.py", line 7', "/gatewaysx/y/z"]
    + ['File "/x/phonify/gateways/http/callbacks.py", line 7'],
)
def test_an_address_that_is_no_callback_of_a_gateway_is_not_cut(text: str) -> None:
    assert mask_keys(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/v1/messages", "/v1/messages?to=%2B14560000000&q=api_key", "GET / HTTP/1.1", "/v1/keyboards/x?limit=5"],
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert mask_keys(text) == text


# Lines


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("/v1/messages?q=ü", "/v1/messages?q=ü"),
        ("one\ntwo", "one\\x0atwo"),
        ("one\r\ntwo", "one\\x0d\\x0atwo"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\0", "\\x00"),
        ("\x7f", "\\x7f"),
        ("\x85", "\\x85"),  # the next-line character of ISO 6429
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_control_characters_are_escaped(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped


# The filter


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.access_log")
    logger.addFilter(KeyFilter())
    yield logger
    logger.filters.clear()


def test_the_filter_masks_what_the_arguments_of_a_record_bring(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.warning('%s - "%s" %d', "127.0.0.1", "GET /v1/messages?api_key=secret HTTP/1.1", 200)

    assert caplog.messages == ['127.0.0.1 - "GET /v1/messages?api_key=*** HTTP/1.1" 200']


def test_the_filter_leaves_percent_signs_alone(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    logger.warning("%s", "/v1/messages?to=%2B1456&q=100%25&api_key=secret")

    assert caplog.messages == ["/v1/messages?to=%2B1456&q=100%25&api_key=***"]


def test_the_filter_hides_the_user_name_of_a_record_that_is_given_by_name(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    atoms = {"h": "127.0.0.1", "u": "secret", "r": "GET / HTTP/1.1", "{authorization}i": "Bearer secret"}

    logger.warning('%(h)s %(u)s "%(r)s" %({authorization}i)s', atoms)

    assert caplog.messages == ['127.0.0.1 - "GET / HTTP/1.1" -']


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn.access", "gunicorn.error", "granian.access"])
def test_the_filter_is_installed_once_in_the_log_of_each_server(name: str) -> None:
    install_key_filter()
    install_key_filter()

    installed = [present for present in logging.getLogger(name).filters if isinstance(present, KeyFilter)]
    assert len(installed) == 1


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn.access", "gunicorn.error", "granian.access"])
def test_no_key_reaches_the_log_of_a_server(name: str, caplog: pytest.LogCaptureFixture) -> None:
    install_key_filter()
    logger = logging.getLogger(name)

    with caplog.at_level(logging.INFO, logger=name):
        logger.info('"%s" %s', "GET /v1/messages?api_key=secret HTTP/1.1", 200)

    assert caplog.messages == ['"GET /v1/messages?api_key=*** HTTP/1.1" 200']


def test_an_authorization_header_out_of_place_is_masked() -> None:
    assert mask_request("Basic", "/dGVzdC1rZXk6") == ("Basic", "***")
    assert mask_request("GET", "/?api_key=secret") == ("GET", "/?api_key=***")
    assert mask_request("POST", "/v1/messages") == ("POST", "/v1/messages")
