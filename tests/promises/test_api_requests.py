"""Tests of requests: places for arguments, methods, and JSON in every answer."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import OutboundMessage
from tests.support.app import faults_of
from tests.support.fake_gateway import OnceGateway

JSON_AT_NOON = "2026-02-01T12:00:00.000Z"

WAYS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "query": lambda arguments: {"query_string": arguments},
    "form": lambda arguments: {"data": arguments},
    "multipart": lambda arguments: {"data": arguments, "content_type": "multipart/form-data"},
    "json": lambda arguments: {"json": arguments},
}

every_way = pytest.mark.parametrize("carry", WAYS.values(), ids=WAYS.keys())


# Places for arguments


@every_way
def test_sending_means_the_same_however_the_arguments_come(client: FlaskClient, carry: Callable[..., Any]) -> None:
    arguments = {"to": "+14560000000", "body": "Hello", "origin": "+442071838750", "send_at": "2026-02-01T12:00:00Z"}

    response = client.post("/v1/messages", **carry(arguments))

    assert response.status_code == 201
    message = response.get_json()["message"]
    assert message["to"] == "+14560000000"
    assert message["body"] == "Hello"
    assert message["origin"]["number"] == "+442071838750"
    assert message["send_at"] == JSON_AT_NOON


@every_way
@pytest.mark.parametrize(
    "body",
    ["a+b", "50% & more = 1", "ütf-8: Łódź", "\N{GRINNING FACE}", "two\nlines", '"quoted"', " leading and trailing "],
)
def test_text_arrives_unchanged_however_it_comes(client: FlaskClient, carry: Callable[..., Any], body: str) -> None:
    response = client.post("/v1/messages", **carry({"to": "+14560000000", "body": body}))

    assert response.get_json()["message"]["body"] == body


@every_way
def test_listing_means_the_same_however_the_arguments_come(
    client: FlaskClient, send: Callable[..., Any], carry: Callable[..., Any]
) -> None:
    send("+14560000000", "first")
    send("+14560000000", "second")
    send("+442071838750", "elsewhere")

    response = client.get("/v1/messages", **carry({"to": "+14560000000", "limit": "1", "offset": "1"}))

    assert response.status_code == 200
    assert [message["body"] for message in response.get_json()["messages"]] == ["first"]


@every_way
def test_changing_means_the_same_however_the_arguments_come(
    client: FlaskClient, send: Callable[..., Any], carry: Callable[..., Any]
) -> None:
    scheduled = send(send_at="2026-02-01T12:00:00Z")

    response = client.put(f"/v1/messages/{scheduled['id']}", **carry({"body": "Changed"}))

    assert response.status_code == 200
    assert response.get_json()["message"]["body"] == "Changed"


@every_way
def test_simulating_means_the_same_however_the_arguments_come(client: FlaskClient, carry: Callable[..., Any]) -> None:
    response = client.post("/sandbox/inbound", **carry({"from": "+14560000000", "to": "+15005550006", "body": "Hi"}))

    assert response.status_code == 201
    assert response.get_json()["message"]["origin"]["number"] == "+14560000000"


def test_arguments_may_come_partly_by_query_and_partly_by_body(client: FlaskClient) -> None:
    response = client.post("/v1/messages?to=%2B14560000000", data={"body": "Hello"})

    assert response.status_code == 201
    assert response.get_json()["message"]["to"] == "+14560000000"


@pytest.mark.parametrize(("given", "shown"), [(1, 1), ("1", 1), (2, 2), ("2", 2)])
def test_a_number_in_json_may_be_a_number_or_its_digits(
    client: FlaskClient, send: Callable[..., Any], given: object, shown: int
) -> None:
    for _ in range(3):
        send()

    response = client.get("/v1/messages", json={"limit": given})

    assert len(response.get_json()["messages"]) == shown


@every_way
def test_unknown_arguments_are_ignored_in_sending(client: FlaskClient, carry: Callable[..., Any]) -> None:
    arguments = {"to": "+14560000000", "body": "Hello", "business": "42", "app": "shop", "state": "nonsense"}

    response = client.post("/v1/messages", **carry(arguments))

    assert response.status_code == 201


@every_way
def test_unknown_arguments_are_ignored_in_listing(
    client: FlaskClient, send: Callable[..., Any], carry: Callable[..., Any]
) -> None:
    send()

    response = client.get("/v1/messages", **carry({"business": "42", "app": "shop", "body": "nothing like it"}))

    assert response.status_code == 200
    assert len(response.get_json()["messages"]) == 1


def test_the_published_client_sends_a_form_and_reads_an_envelope(anonymous: FlaskClient) -> None:
    response = anonymous.post(
        "/v1/messages",
        data="api_key=test-key&business=42&app=7&to=%2B14560000000&body=Hello",
        content_type="application/x-www-form-urlencoded",
    )

    assert response.status_code == 201
    assert response.get_json()["message"]["to"] == "+14560000000"


def test_the_published_client_lists_by_query_and_reads_an_envelope(
    anonymous: FlaskClient, send: Callable[..., Any]
) -> None:
    sent = send()

    response = anonymous.get("/v1/messages?api_key=test-key&business=42&app=7&offset=0&limit=50")

    assert response.status_code == 200
    assert response.get_json() == {"messages": [sent]}


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": "to=+14560000000&body=Hello"},
        {"data": "to=+14560000000&body=Hello", "content_type": "application/x-www-form-urlencoded"},
    ],
    ids=["query", "form"],
)
def test_an_unescaped_plus_of_a_recipient_is_read_as_the_plus(client: FlaskClient, request_: dict[str, Any]) -> None:
    response = client.post("/v1/messages", **request_)

    assert response.status_code == 201
    assert response.get_json()["message"]["to"] == "+14560000000"


def test_an_unescaped_plus_is_read_as_the_plus_in_each_of_several_recipients(client: FlaskClient) -> None:
    response = client.post("/v1/messages?to=+14560000000&to=+442071838750&body=Hello")

    assert [message["to"] for message in response.get_json()["messages"]] == ["+14560000000", "+442071838750"]


def test_an_unescaped_plus_of_an_origin_is_read_as_the_plus(client: FlaskClient) -> None:
    response = client.post("/v1/messages?to=+14560000000&origin=+442071838750&body=Hello")

    assert response.get_json()["message"]["origin"]["number"] == "+442071838750"


@pytest.mark.parametrize("argument", ["to", "phone"])
def test_an_unescaped_plus_of_a_criterion_is_read_as_the_plus(
    client: FlaskClient, send: Callable[..., Any], argument: str
) -> None:
    sent = send("+442071838750")
    send("+14560000000")

    response = client.get(f"/v1/messages?{argument}=+442071838750")

    assert response.get_json()["messages"] == [sent]


def test_a_plus_in_a_text_by_form_is_the_space_it_stands_for(client: FlaskClient) -> None:
    response = client.post(
        "/v1/messages", data="to=%2B14560000000&body=+two+words", content_type="application/x-www-form-urlencoded"
    )

    assert response.get_json()["message"]["body"] == " two words"


# Addresses


def test_a_trailing_slash_makes_no_difference_to_sending(client: FlaskClient) -> None:
    response = client.post("/v1/messages/", json={"to": "+14560000000", "body": "Hello"})

    assert response.status_code == 201
    assert response.get_json()["message"]["body"] == "Hello"


def test_a_trailing_slash_makes_no_difference_to_listing(client: FlaskClient, send: Callable[..., Any]) -> None:
    sent = send()

    response = client.get("/v1/messages/?limit=1")

    assert response.status_code == 200
    assert response.get_json() == {"messages": [sent]}


def test_a_trailing_slash_makes_no_difference_to_one_message(client: FlaskClient, send: Callable[..., Any]) -> None:
    sent = send(send_at="2026-02-01T12:00:00Z")
    address = f"/v1/messages/{sent['id']}/"

    assert client.get(address).get_json() == {"message": sent}
    assert client.put(address, json={"body": "Changed"}).get_json()["message"]["body"] == "Changed"
    assert client.delete(address).status_code == 200


def test_a_trailing_slash_makes_no_difference_to_the_simulator(client: FlaskClient) -> None:
    response = client.post("/sandbox/inbound/", json={"from": "+14560000000", "to": "+15005550006", "body": "Hi"})

    assert response.status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/messages/x/y",
        "/sandbox",
        "/sandbox/nothing",
        "/v2/messages",
        "/a.html",
    ],
)
def test_an_unknown_path_is_404_in_json(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers={"Accept": "text/html"})

    assert response.status_code == 404
    assert faults_of(response) == [("not_found", None)]


# Methods


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/messages", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/messages", {"GET", "HEAD", "POST"}),
        ("DESTROY", "/v1/messages", {"GET", "HEAD", "POST"}),
        ("PATCH", "/v1/messages", {"GET", "HEAD", "POST"}),
        ("TRACE", "/v1/messages", {"GET", "HEAD", "POST"}),
        ("POST", "/v1/messages/some-id", {"GET", "HEAD", "PUT", "DELETE", "DESTROY"}),
        ("PATCH", "/v1/messages/some-id", {"GET", "HEAD", "PUT", "DELETE", "DESTROY"}),
        ("GET", "/sandbox/inbound", {"POST"}),
        ("DESTROY", "/sandbox/inbound", {"POST"}),
    ],
)
def test_a_method_that_an_address_does_not_take_is_405_with_allow(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    response = client.open(path, method=method)

    assert response.status_code == 405
    assert faults_of(response) == [("method_not_allowed", None)]
    assert set(response.headers["Allow"].split(", ")) == {*allowed, "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/messages", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/v1/messages/some-id", {"GET", "HEAD", "PUT", "DELETE", "DESTROY", "OPTIONS"}),
        ("/sandbox/inbound", {"POST", "OPTIONS"}),
    ],
)
def test_options_is_answered_with_allow(client: FlaskClient, path: str, allowed: set[str]) -> None:
    response = client.options(path)

    assert (response.status_code, response.data) == (200, b"")
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("method", ["DELETE", "DESTROY"])
def test_destroy_is_accepted_where_delete_is(client: FlaskClient, send: Callable[..., Any], method: str) -> None:
    scheduled = send(send_at="2026-02-01T12:00:00Z")

    response = client.open(f"/v1/messages/{scheduled['id']}", method=method)

    assert response.status_code == 200
    assert response.get_json() == {"message": scheduled}
    assert client.get(f"/v1/messages/{scheduled['id']}").status_code == 404


def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient, send: Callable[..., Any]) -> None:
    address = f"/v1/messages/{send()['id']}"
    get = client.get(address)

    head = client.head(address)

    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Type"] == "application/json"
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_head_of_a_list_has_no_body(client: FlaskClient, send: Callable[..., Any]) -> None:
    send()

    head = client.head("/v1/messages")

    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Type"] == "application/json"


# Requests that can't be read


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"to": "+14560000000", "body": "x" * 262_144}},
        {"data": {"to": "+14560000000", "body": "x" * 262_144}},
        {
            "data": {"to": "+14560000000", "body": "x", "file": (io.BytesIO(b"x" * 262_144), "large.bin")},
            "content_type": "multipart/form-data",
        },
        {"data": {"body": "x" * 262_144}, "content_type": "multipart/form-data"},
    ],
    ids=["json", "form", "multipart-file", "multipart-field"],
)
def test_a_body_over_256_kib_is_413_in_json(client: FlaskClient, request_: dict[str, Any]) -> None:
    response = client.post("/v1/messages", **request_)

    assert response.status_code == 413
    assert faults_of(response) == [("request_too_large", None)]


def test_a_body_of_unknown_arguments_just_under_256_kib_is_read(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": "+14560000000", "body": "x", "padding": "x" * 262_000})

    assert response.status_code == 201


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/octet-stream", None])
def test_a_body_of_another_type_is_415_in_json(client: FlaskClient, content_type: str | None) -> None:
    response = client.post("/v1/messages", data=b'{"to": "+14560000000", "body": "Hello"}', content_type=content_type)

    assert response.status_code == 415
    assert faults_of(response) == [("unsupported_media_type", None)]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_json_is_read_with_or_without_a_charset(client: FlaskClient, content_type: str) -> None:
    response = client.post(
        "/v1/messages", data='{"to": "+14560000000", "body": "Grüße"}'.encode(), content_type=content_type
    )

    assert response.status_code == 201
    assert response.get_json()["message"]["body"] == "Grüße"


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": "to=%2B14560000000&body=%ff"},
        {"data": b"to=%2B14560000000&body=%ff", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"to=%2B14560000000&body=\xff", "content_type": "application/x-www-form-urlencoded"},
        {
            "data": b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\n+14560000000\r\n'
            b'--b\r\nContent-Disposition: form-data; name="body"\r\n\r\n\xff\r\n--b--\r\n',
            "content_type": "multipart/form-data; boundary=b",
        },
        {"data": b'{"to": "+14560000000", "body": "\xff"}', "content_type": "application/json"},
    ],
    ids=["query", "form-escaped", "form-raw", "multipart", "json"],
)
def test_bytes_that_are_no_utf_8_are_400_and_nothing_is_stored(client: FlaskClient, request_: dict[str, Any]) -> None:
    response = client.post("/v1/messages", **request_)

    assert response.status_code == 400
    assert faults_of(response)[0][0] in {"malformed_form", "malformed_json", "invalid_text"}
    assert client.get("/v1/messages").get_json() == {"messages": []}


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"--b\r\n", "multipart/form-data"),
        (b"no part at all", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="body"\r\n\r\nHalf a bo',
            "multipart/form-data; boundary=b",
        ),
    ],
    ids=["no-boundary", "no-part", "cut-off"],
)
def test_a_multipart_body_that_cannot_be_read_is_400(client: FlaskClient, data: bytes, content_type: str) -> None:
    response = client.post("/v1/messages", data=data, content_type=content_type)

    assert response.status_code == 400
    assert faults_of(response) == [("malformed_form", None)]


# Errors of the server


class BrokenGateway(OnceGateway):
    """A gateway with a bug."""

    def check(self, to: str, origin: str, body: str) -> None:
        raise RuntimeError(f"the secret of {to}")

    def act(self, message: OutboundMessage) -> None:
        raise AssertionError("nothing is ever accepted")


def test_an_error_of_the_server_is_500_in_json_without_a_traceback(make_app: Callable[..., Flask]) -> None:
    client = make_app(gateway=BrokenGateway()).test_client()

    response = client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})

    assert response.status_code == 500
    assert faults_of(response) == [("internal_error", None)]
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert "RuntimeError" not in response.text


def test_an_error_of_the_server_leaves_it_serving(make_app: Callable[..., Flask]) -> None:
    client = make_app(gateway=BrokenGateway()).test_client()
    client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})

    assert client.get("/v1/messages").get_json() == {"messages": []}


def test_no_html_leaves_even_in_debug_mode(make_app: Callable[..., Flask]) -> None:
    app = make_app(gateway=BrokenGateway())
    app.debug = True

    response = app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})

    assert response.status_code == 500
    assert json.loads(response.data)["errors"][0]["type"] == "internal_error"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"%EF%BB%BF"])
def test_a_byte_order_mark_before_a_form_is_left_out(client: FlaskClient, mark: bytes) -> None:
    form = mark + b"send_at=2026-02-01T12:00:00Z&to=%2B14560000000&body=Hello"
    response = client.post("/v1/messages", data=form, content_type="application/x-www-form-urlencoded")

    assert response.status_code == 201
    assert response.get_json()["message"]["send_at"] == JSON_AT_NOON


GOOD = {"to": "+14560000000", "body": "Hello"}


@pytest.mark.parametrize(
    "fields", [{"to[0]": "+14560000000", "to[1]": "+14560000001"}, {"to[]": ["+14560000000", "+14560000001"]}]
)
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_list_with_indexes_is_a_list(client: FlaskClient, fields: dict[str, Any], content_type: str) -> None:
    response = client.post("/v1/messages", data={**fields, "body": "Hello"}, content_type=content_type)

    assert response.status_code == 201
    assert [message["to"] for message in response.get_json()["messages"]] == ["+14560000000", "+14560000001"]


def test_a_fault_in_a_list_with_indexes_is_named_by_its_index(client: FlaskClient) -> None:
    response = client.post("/v1/messages", data={"to[0]": "+14560000000", "to[1]": "x", "body": "Hello"})

    assert faults_of(response) == [("invalid_msisdn", "to[1]")]


def test_the_content_of_a_file_is_a_text(client: FlaskClient) -> None:
    files = {"body": (io.BytesIO("Grüße".encode()), "text.txt"), "picture": (io.BytesIO(b"\xff\xd8"), "a.jpg")}
    response = client.post("/v1/messages", data={"to": "+14560000000", **files}, content_type="multipart/form-data")

    assert response.status_code == 201
    assert response.get_json()["message"]["body"] == "Grüße"


def test_a_compressed_body_is_named_as_what_it_is(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json=GOOD, headers={"Content-Encoding": "gzip"})

    assert response.status_code == 415
    assert faults_of(response) == [("unsupported_content_encoding", None)]


@pytest.mark.parametrize("data", ['{"to": "+14560000000", "body": "Hello"}', ' {"body": "a&b=c"}\n', "{}"])
def test_json_in_a_form_is_named_as_what_it_is(client: FlaskClient, data: str) -> None:
    response = client.post("/v1/messages", data=data, content_type="application/x-www-form-urlencoded")

    assert response.status_code == 400
    assert faults_of(response) == [("json_sent_as_form", None)]


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ('{"to": "+14560000000", "body": "a", "body": "b"}', [("repeated_argument", "body")]),
        ('{"to": "+14560000000", "to": "+14560000001", "body": "a"}', [("repeated_argument", "to")]),
        ('{"to": "+14560000000", "body": null, "body": "b"}', [("repeated_argument", "body")]),
        ('{"to": "+14560000000", "body": NaN}', [("malformed_json", None)]),
        ('{"to": "+14560000000", "body": "a", "x": [-Infinity]}', [("malformed_json", None)]),
        ('{"to": "+14560000000", "body": "a",}', [("malformed_json", None)]),
    ],
)
def test_what_python_takes_and_json_has_not_is_refused(client: FlaskClient, data: str, faults: list[Any]) -> None:
    response = client.post("/v1/messages", data=data, content_type="application/json")

    assert response.status_code == 400
    assert faults_of(response) == faults
