"""Tests of authentication: where a key may be, views without a key, and the separation of accounts."""

import hashlib
import logging
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import OutboundMessage
from tests.support.app import KEY, basic, faults_of
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator

LATER = "2026-02-01T12:00:00Z"


# Where a key may be


@pytest.mark.parametrize("password", ["", "x", "any:thing", "pässword"])
def test_the_key_is_the_username_of_http_basic_with_any_password(anonymous: FlaskClient, password: str) -> None:
    response = anonymous.get("/v1/messages", headers={"Authorization": basic("test-key", password)})

    assert response.status_code == 200


def test_the_name_of_the_scheme_is_read_in_any_case(anonymous: FlaskClient) -> None:
    header = basic("test-key").replace("Basic", "bAsIc")

    assert anonymous.get("/v1/messages", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": {"api_key": "test-key"}},
        {"data": {"api_key": "test-key"}},
        {"data": {"api_key": "test-key"}, "content_type": "multipart/form-data"},
        {"json": {"api_key": "test-key"}},
    ],
    ids=["query", "form", "multipart", "json"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_key_is_an_argument_of_the_request(anonymous: FlaskClient, method: str, request_: dict[str, Any]) -> None:
    response = anonymous.open("/v1/messages", method=method, **request_)

    assert response.status_code == (200 if method == "GET" else 400)


@pytest.mark.parametrize(
    "header",
    [
        basic("wrong-key"),
        basic(""),
        "Basic",
        "Basic !!!",
        "Basic dGVzdC1rZXk",
        "Bearer test-key",
        basic("test-key").replace("Basic", "Bearer"),
        basic("test-key").replace("Basic", "Basic2"),
        basic("test-key").replace(" ", ""),
        basic("test-key") + "!",
        "test-key",
        "Digest username=test-key",
        "Basic \xc3\xa9",
        "Basic dGVzdC1rZXk6\xff",
        "Bearer \xc3\xa9",
        "",
    ],
)
def test_an_authorization_header_decides_alone_against_a_valid_argument(anonymous: FlaskClient, header: str) -> None:
    response = anonymous.get("/v1/messages?api_key=test-key", headers={"Authorization": header})

    assert response.status_code == 401
    assert faults_of(response) == [("unauthorized", None)]


def test_an_authorization_header_decides_alone_for_a_request_with_a_wrong_argument(client: FlaskClient) -> None:
    assert client.get("/v1/messages?api_key=wrong-key").status_code == 200


def test_an_authorization_header_decides_which_account_is_meant(
    client: FlaskClient, stranger: FlaskClient, send: Callable[..., Any]
) -> None:
    send()

    response = client.get("/v1/messages", query_string={"api_key": stranger.key})

    assert len(response.get_json()["messages"]) == 1


@pytest.mark.parametrize(
    ("data", "content_type", "status", "type_"),
    [
        ("{", "application/json", 400, "malformed_json"),
        ("[]", "application/json", 400, "json_not_object"),
        ("%ff", "application/x-www-form-urlencoded", 400, "malformed_form"),
        ("--b", "multipart/form-data", 400, "malformed_form"),
        ("text", "text/plain", 415, "unsupported_media_type"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_with_the_key_in_the_address_a_body_that_cannot_be_read_is_named(
    anonymous: FlaskClient, method: str, data: str, content_type: str, status: int, type_: str
) -> None:
    address = "/v1/messages?api_key=test-key&to=%2B14560000000"

    response = anonymous.open(address, method=method, data=data, content_type=content_type)

    assert response.status_code == status
    assert faults_of(response) == [(type_, None)]


# Views that need no key


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("HEAD", "/v1/messages"),
        ("POST", "/v1/messages"),
        ("GET", "/v1/messages/"),
        ("GET", "/v1/messages/some-id"),
        ("PUT", "/v1/messages/some-id"),
        ("DELETE", "/v1/messages/some-id"),
        ("DESTROY", "/v1/messages/some-id"),
        ("POST", "/sandbox/inbound"),
    ],
)
def test_nothing_answers_without_a_key(anonymous: FlaskClient, method: str, path: str) -> None:
    response = anonymous.open(path, method=method)

    assert response.status_code == 401


@pytest.mark.parametrize("header", [None, basic("wrong-key"), basic("test-key")], ids=["no key", "wrong key", "key"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("OPTIONS", "/v1/nothing", 404),
        ("GET", "/v1//messages", 404),
        ("GET", "/sandbox/nothing", 404),
        ("PUT", "/v1/messages", 405),
        ("NONSENSE", "/v1/messages", 405),
        ("GET", "/sandbox/inbound", 405),
    ],
)
def test_an_unknown_path_is_404_and_a_wrong_method_405_for_everyone(
    anonymous: FlaskClient, method: str, path: str, status: int, header: str | None
) -> None:
    response = anonymous.open(path, method=method, headers={"Authorization": header} if header else {})

    assert response.status_code == status
    assert faults_of(response) == [({404: "not_found", 405: "method_not_allowed"}[status], None)]
    assert "WWW-Authenticate" not in response.headers


UNREADABLE = [
    ({"data": "{", "content_type": "application/json"}, 400, "malformed_json"),
    ({"data": "[]", "content_type": "application/json"}, 400, "json_not_object"),
    ({"data": "%ff", "content_type": "application/x-www-form-urlencoded"}, 400, "malformed_form"),
    ({"data": "text", "content_type": "text/plain"}, 415, "unsupported_media_type"),
    ({"data": "--b", "content_type": "multipart/form-data"}, 400, "malformed_form"),
    ({"query_string": "a=%ff"}, 400, "malformed_form"),
]
UNREADABLE_IDS = [
    "malformed-json", "no-object", "malformed-form", "other-type", "malformed-multipart", "malformed-query"
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "type_"), UNREADABLE, ids=UNREADABLE_IDS)
def test_what_cannot_be_read_is_named_without_an_authorization_header(
    anonymous: FlaskClient, request_: dict[str, Any], status: int, type_: str
) -> None:
    response = anonymous.post("/v1/messages", **request_)

    assert response.status_code == status
    assert faults_of(response) == [(type_, None)]


@pytest.mark.parametrize(("request_", "status", "type_"), UNREADABLE, ids=UNREADABLE_IDS)
def test_what_cannot_be_read_is_401_with_a_wrong_key_in_the_header(
    anonymous: FlaskClient, request_: dict[str, Any], status: int, type_: str
) -> None:
    response = anonymous.post("/v1/messages", headers={"Authorization": basic("wrong-key")}, **request_)

    assert response.status_code == 401
    assert faults_of(response) == [("unauthorized", None)]


def test_nothing_is_stored_without_a_key(anonymous: FlaskClient, client: FlaskClient) -> None:
    response = anonymous.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})

    assert response.status_code == 401
    assert client.get("/v1/messages").get_json() == {"messages": []}


@pytest.mark.parametrize(
    "key",
    [
        "wrong-key",
        "test-ke",
        "test-key2",
        "Test-Key",
        " test-key",
        "test-key ",
        "test-key\0",
        "schlüssel",
        "%",
        "' OR '1'='1",
        # The SHA-256 of the key. The hash in the database is not a valid key.
        "62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef",
        "k" * 10_000,
    ],
)
@pytest.mark.parametrize("way", ["header", "argument"])
def test_a_key_that_is_not_valid_is_401(anonymous: FlaskClient, key: str, way: str) -> None:
    if way == "header":
        response = anonymous.get("/v1/messages", headers={"Authorization": basic(key)})
    else:
        response = anonymous.get("/v1/messages", json={"api_key": key})

    assert response.status_code == 401
    assert faults_of(response) == [("unauthorized", None)]


@pytest.mark.parametrize("key", ["", None, 7, True, ["test-key"], {"test-key": 1}, "\ud800"])
def test_an_argument_that_is_no_key_is_401(anonymous: FlaskClient, key: object) -> None:
    response = anonymous.get("/v1/messages", json={"api_key": key})

    assert response.status_code == 401
    assert faults_of(response) == [("unauthorized", None)]


def test_401_asks_for_http_basic(anonymous: FlaskClient) -> None:
    response = anonymous.get("/v1/messages")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].split()[0] == "Basic"
    assert response.get_json() == {
        "errors": [
            {
                "type": "unauthorized",
                "title": "The API key is missing or not valid. Send the key as the username of HTTP Basic"
                ' authentication, or in the argument "api_key".',
            }
        ]
    }


# The form of a key


def test_a_new_key_is_url_safe_and_has_at_least_128_random_bits(make_key: Callable[..., str]) -> None:
    keys = [make_key() for _ in range(20)]

    assert len(set(keys)) == 20
    for key in keys:
        assert re.fullmatch(r"[A-Za-z0-9_.~-]+", key)
    # 22 characters of base64 have 132 bits; the prefix of all keys is not part of them.
    shared = next(length for length in range(100) if len({key[: length + 1] for key in keys}) > 1)
    assert all(len(key) - shared >= 21 for key in keys)


def test_a_new_key_is_valid_at_once(anonymous: FlaskClient, make_key: Callable[..., str]) -> None:
    key = make_key()

    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 200


def test_the_database_keeps_only_the_hash_of_a_key(
    client: FlaskClient, make_key: Callable[..., str], tmp_path: Path
) -> None:
    key = make_key()
    client.get("/v1/messages", query_string={"api_key": key})

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert hashlib.sha256(key.encode()).hexdigest().encode() in stored
    assert key.encode() not in stored
    assert KEY.encode() not in stored


# Places without a key


class BrokenGateway(OnceGateway):
    """A gateway with a bug."""

    def check(self, to: str, origin: str, body: str) -> None:
        raise RuntimeError("a mistake")

    def act(self, message: OutboundMessage) -> None:
        raise AssertionError("nothing is ever accepted")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages?limit=1", 200),
        ("GET", "/v1/messages?limit=0", 400),
        ("GET", "/v1/nothing?x=1", 404),
        ("PATCH", "/v1/messages?x=1", 405),
        ("POST", "/v1/messages?to=+14560000000&body=Hello", 500),
    ],
)
def test_a_key_appears_in_no_log_and_no_answer(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture, method: str, path: str, status: int
) -> None:
    client = make_app(gateway=BrokenGateway(), LOG_LEVEL="DEBUG").test_client()
    client.key = None

    with caplog.at_level(logging.DEBUG):
        response = client.open(f"{path}&api_key=test-key", method=method)

    assert response.status_code == status
    assert "test-key" not in response.text
    assert "test-key" not in caplog.text


def test_a_wrong_key_appears_in_no_log_and_no_answer(anonymous: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        response = anonymous.get("/v1/messages?api_key=almost-right", headers={})

    assert response.status_code == 401
    assert "almost-right" not in response.text
    assert "almost-right" not in caplog.text


def test_a_key_appears_in_no_log_where_the_store_is_unavailable(
    anonymous: FlaskClient,
    caplog: pytest.LogCaptureFixture,
    lock_database: Callable[[], sqlite3.Connection],
) -> None:
    holder = lock_database()

    with caplog.at_level(logging.DEBUG):
        response = anonymous.post("/v1/messages?api_key=test-key&to=+14560000000&body=Hello")
    holder.close()

    assert response.status_code == 503
    assert "test-key" not in response.text
    assert "test-key" not in caplog.text


# Several keys of one account


def test_all_keys_of_an_account_see_the_same_messages(
    anonymous: FlaskClient, send: Callable[..., Any], make_key: Callable[..., str]
) -> None:
    sent = send()
    second = make_key()

    response = anonymous.get("/v1/messages", headers={"Authorization": basic(second)})

    assert response.get_json() == {"messages": [sent]}


def test_a_revoked_key_is_401_at_once(anonymous: FlaskClient, operator: Operator) -> None:
    key = operator.make_key(name="old")
    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 200

    operator.revoke_key(key)

    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 401


def test_a_key_revoked_by_another_process_is_401_at_once(
    make_app: Callable[..., Flask], anonymous: FlaskClient, operator: Operator
) -> None:
    key = operator.make_key(name="old")
    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 200
    other = make_app()

    assert other.test_cli_runner().invoke(args=["keys", "revoke", str(operator.find_key_id(key))]).exit_code == 0

    assert anonymous.get("/v1/messages", headers={"Authorization": basic(key)}).status_code == 401


def test_the_other_keys_of_the_account_outlive_a_revoked_one(
    client: FlaskClient, anonymous: FlaskClient, operator: Operator
) -> None:
    old, new = operator.make_key(name="old"), operator.make_key(name="new")

    operator.revoke_key(old)

    assert anonymous.get("/v1/messages", headers={"Authorization": basic(new)}).status_code == 200
    assert client.get("/v1/messages").status_code == 200


# Accounts see nothing of each other


def test_another_account_gets_the_404_of_something_that_does_not_exist(
    stranger: FlaskClient, send: Callable[..., Any]
) -> None:
    sent = send()

    others = stranger.get(f"/v1/messages/{sent['id']}")
    nothing = stranger.get("/v1/messages/019c1363-49c0-7000-8000-000000000000")

    assert others.status_code == nothing.status_code == 404
    assert others.data == nothing.data
    assert faults_of(others) == [("not_found", None)]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "DESTROY"])
def test_another_account_changes_nothing(
    client: FlaskClient, stranger: FlaskClient, send: Callable[..., Any], method: str
) -> None:
    scheduled = send(send_at=LATER)

    response = stranger.open(f"/v1/messages/{scheduled['id']}", method=method, json={"body": "Changed"})

    assert response.status_code == 404
    assert client.get(f"/v1/messages/{scheduled['id']}").get_json() == {"message": scheduled}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?to=%2B14560000000",
        "?origin=%2B15005550006",
        "?phone=%2B14560000000",
        "?phone=%2B15005550006",
        "?state=unconfirmed",
        "?direction=outbound",
        "?q=Hello",
        "?limit=1000",
        "?offset=0",
        "?after=00000000-0000-7000-8000-000000000000",
        "?before=ffffffff-ffff-7fff-bfff-ffffffffffff",
        "?wait=0.01",
    ],
)
def test_another_account_sees_none_of_it_in_a_list(stranger: FlaskClient, send: Callable[..., Any], query: str) -> None:
    send()

    assert stranger.get(f"/v1/messages{query}").get_json() == {"messages": []}


def test_the_offset_counts_only_the_messages_of_the_account(
    client: FlaskClient, stranger: FlaskClient, send: Callable[..., Any]
) -> None:
    first = send()
    stranger.post("/v1/messages", json={"to": ["+14560000000"] * 3, "body": "Theirs"})
    second = send()

    assert client.get("/v1/messages?offset=0&limit=1").get_json() == {"messages": [second]}
    assert client.get("/v1/messages?offset=1&limit=1").get_json() == {"messages": [first]}
    assert client.get("/v1/messages?offset=2&limit=1").get_json() == {"messages": []}


def test_idempotency_keys_of_two_accounts_are_two_keys(client: FlaskClient, stranger: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order-1"}
    ours = client.post("/v1/messages", json={"to": "+14560000000", "body": "Ours"}, headers=headers)

    theirs = stranger.post("/v1/messages", json={"to": "+14560000000", "body": "Theirs"}, headers=headers)

    assert ours.status_code == theirs.status_code == 201
    assert theirs.get_json()["message"]["body"] == "Theirs"


def test_a_simulated_message_reaches_only_the_account_of_the_key(client: FlaskClient, stranger: FlaskClient) -> None:
    stranger.post("/sandbox/inbound", json={"from": "+14560000000", "to": "+15005550006", "body": "Hi"})

    assert client.get("/v1/messages").get_json() == {"messages": []}
    assert len(stranger.get("/v1/messages").get_json()["messages"]) == 1


def test_a_key_of_another_account_stays_with_it(
    anonymous: FlaskClient, make_key: Callable[..., str], send: Callable[..., Any]
) -> None:
    send()
    key = make_key("other")
    for _ in range(2):  # the second answer may be from a cache
        response = anonymous.get("/v1/messages", headers={"Authorization": basic(key)})
        assert response.get_json() == {"messages": []}


@pytest.mark.parametrize(
    ("options", "status", "type_"),
    [
        ({"method": "POST", "data": "api_key=test-key&to=%2B14560000000&body=Gr%FCn"}, 400, "malformed_form"),
        ({"method": "GET", "query_string": "api_key=test-key&q=%FC"}, 400, "malformed_form"),
        ({"method": "POST", "data": '{"api_key": "test-key", "body": "a",}'}, 400, "malformed_json"),
        ({"method": "POST", "data": '{"api_key": "test-key", "body": "a"}'}, 415, "unsupported_media_type"),
    ],
)
def test_what_cannot_be_read_is_named_even_if_it_has_the_key(
    anonymous: FlaskClient, options: dict[str, Any], status: int, type_: str
) -> None:
    types = {"malformed_form": "application/x-www-form-urlencoded", "malformed_json": "application/json"}

    response = anonymous.open("/v1/messages", content_type=types.get(type_, "text/plain"), **options)

    assert response.status_code == status
    assert faults_of(response) == [(type_, None)]
