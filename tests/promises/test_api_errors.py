"""Tests of errors: their form, and every row of the table of statuses."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import Refused
from tests.support.app import faults_of
from tests.support.fake_gateway import OnceGateway

LATER = "2026-02-01T12:00:00Z"
GOOD = {"to": "+14560000000", "body": "Hello"}


# The form


def test_an_error_about_an_argument_has_type_title_and_param(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": "+14560000000"})

    assert response.get_json() == {
        "errors": [
            {
                "type": "missing_argument",
                "title": "This argument is missing. It is required.",
                "param": "body",
            }
        ]
    }


def test_an_error_about_no_argument_has_no_param(client: FlaskClient) -> None:
    response = client.get("/v1/messages/nothing")

    assert response.get_json() == {"errors": [{"type": "not_found", "title": "There is nothing at this address."}]}


# 400: requests that can't be read


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "}",
        '{"to": "+14560000000", "body": "Hello"',
        '{"to": "+14560000000", "body": "Hello",}',
        "{'to': '+14560000000'}",
        "to=%2B14560000000&body=Hello",
        " ",
        "[" * 100_000,
        '{"to": ' + "9" * 5_000 + "}",
    ],
    ids=["open", "closed", "cut-off", "comma", "quotes", "form", "blank", "deep", "long-number"],
)
def test_malformed_json_is_400(client: FlaskClient, data: str) -> None:
    response = client.post("/v1/messages", data=data, content_type="application/json")

    assert response.status_code == 400
    assert faults_of(response) == [("malformed_json", None)]


@pytest.mark.parametrize("data", ["[]", '[{"to": "+14560000000"}]', '"text"', "7", "true", "null"])
def test_json_that_is_no_object_is_400(client: FlaskClient, data: str) -> None:
    response = client.post("/v1/messages", data=data, content_type="application/json")

    assert response.status_code == 400
    assert faults_of(response) == [("json_not_object", None)]


# 400: arguments of sending

NO_MSISDN = [
    "",
    "+",
    "14560000000",
    "004414560000000",
    "0014560000000",
    "+04560000000",
    "+1 456 000 0000",
    "+1-456-000-0000",
    "+1(456)0000000",
    "+1456000000",  # one digit is missing
    "+145600000000",  # one digit too many
    "+1234567890123456",  # 16 digits
    "+9991234567890",  # no such country code
    "+2101234567890",  # not assigned
    "+12",
    "++14560000000",
    "+1456000000a",
    "+14560000000\n",
    "+14560000000,+14560000001",
    "+\N{FULLWIDTH DIGIT ONE}4560000000",
    "+1456000000\N{ARABIC-INDIC DIGIT ZERO}",
    "tel:+14560000000",
    "sip:someone@example.org",
    "12345",
    "PHONIFY",
    "+14560000000\0",
]


@pytest.mark.parametrize("to", NO_MSISDN)
def test_a_recipient_that_is_no_msisdn_is_400(client: FlaskClient, to: str) -> None:
    response = client.post("/v1/messages", json={"to": to, "body": "Hello"})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "to")]


@pytest.mark.parametrize("to", [14560000000, True, 1.5, {"number": "+14560000000"}, "\ud800"])
def test_a_recipient_that_is_no_text_is_400(client: FlaskClient, to: object) -> None:
    response = client.post("/v1/messages", json={"to": to, "body": "Hello"})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "to")]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"body": "Hello"}, ("missing_argument", "to")),
        ({"body": "Hello", "to": None}, ("missing_argument", "to")),
        ({"body": "Hello", "to": []}, ("missing_argument", "to")),
        ({"to": "+14560000000"}, ("missing_argument", "body")),
        ({"to": "+14560000000", "body": None}, ("missing_argument", "body")),
        ({"to": "+14560000000", "body": ""}, ("empty_text", "body")),
        ({"to": "+14560000000", "body": "x" * 161}, ("text_too_long", "body")),
        ({"to": "+14560000000", "body": "\N{GRINNING FACE}" * 161}, ("text_too_long", "body")),
        ({"to": "+14560000000", "body": "e\N{COMBINING ACUTE ACCENT}" * 81}, ("text_too_long", "body")),
        ({"to": "+14560000000", "body": "a\0b"}, ("invalid_text", "body")),
        ({"to": "+14560000000", "body": "\0"}, ("invalid_text", "body")),
        ({"to": "+14560000000", "body": "\ud83d"}, ("invalid_text", "body")),
        ({"to": "+14560000000", "body": "\ude00\ud83d"}, ("invalid_text", "body")),
        ({"to": "+14560000000", "body": 7}, ("invalid_text", "body")),
        ({"to": "+14560000000", "body": True}, ("invalid_text", "body")),
        ({"to": "+14560000000", "body": {"text": "Hello"}}, ("invalid_text", "body")),
        ({**GOOD, "origin": ""}, ("invalid_originator", "origin")),
        ({**GOOD, "origin": "12"}, ("invalid_originator", "origin")),
        ({**GOOD, "origin": "twelve chars"}, ("invalid_originator", "origin")),
        ({**GOOD, "origin": "+1456"}, ("invalid_originator", "origin")),
        ({**GOOD, "origin": "A\0B"}, ("invalid_originator", "origin")),
        ({**GOOD, "origin": 12345}, ("invalid_originator", "origin")),
        ({**GOOD, "send_at": ""}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": "tomorrow"}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": "2026-02-01"}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": "2026-02-01T12:00:00"}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": "2026-02-30T12:00:00Z"}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": "2026-02-01T25:00:00Z"}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": "2026-02-01T24:00:00Z"}, ("invalid_time", "send_at")),
        ({**GOOD, "send_at": 1769947200}, ("invalid_time", "send_at")),
    ],
)
def test_an_argument_of_sending_that_is_wrong_is_400_and_nothing_is_stored(
    client: FlaskClient, arguments: dict[str, Any], fault: tuple[str, str]
) -> None:
    response = client.post("/v1/messages", json=arguments)

    assert response.status_code == 400
    assert faults_of(response) == [fault]
    assert client.get("/v1/messages").get_json() == {"messages": []}


def test_a_text_given_twice_is_400(client: FlaskClient) -> None:
    response = client.post("/v1/messages?to=%2B14560000000&body=one&body=two")

    assert response.status_code == 400
    assert faults_of(response) == [("repeated_argument", "body")]


def test_a_nul_by_form_is_400(client: FlaskClient) -> None:
    response = client.post("/v1/messages?to=%2B14560000000&body=a%00b")

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_text", "body")]


def test_one_of_several_recipients_is_named_by_its_index(client: FlaskClient) -> None:
    recipients = ["+14560000000", "+14560000001", "+14560000002", "nobody", "+14560000004", "+1"]

    response = client.post("/v1/messages", json={"to": recipients, "body": "Hello"})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "to[3]"), ("invalid_msisdn", "to[5]")]


@pytest.mark.parametrize("one", [None, 14560000000, ["+14560000000"], {}, ""])
def test_one_of_several_recipients_that_is_no_text_is_named_by_its_index(client: FlaskClient, one: object) -> None:
    response = client.post("/v1/messages", json={"to": ["+14560000000", one], "body": "Hello"})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "to[1]")]


def test_a_thousand_and_one_recipients_are_400(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": ["+14560000000"] * 1_001, "body": "Hello"})

    assert response.status_code == 400
    assert faults_of(response) == [("too_many_recipients", "to")]
    assert client.get("/v1/messages").get_json() == {"messages": []}


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "schl\xfcssel"])
def test_an_idempotency_key_of_the_wrong_form_is_400(client: FlaskClient, key: str) -> None:
    response = client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": key})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_idempotency_key", "Idempotency-Key")]


# 400: arguments of listing


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        *(
            (f"limit={limit}", ("invalid_limit", "limit"))
            for limit in ["0", "-1", "1001", "99999999999999999999", "", "ten", "1.5", "1e2", "0x10", "%2B5", "%D9%A5"]
        ),
        *(
            (f"offset={offset}", ("invalid_offset", "offset"))
            for offset in ["-1", "9223372036854775808", "1" + "0" * 30, "", "ten", "1.5", "1e2", "%2B5", "NaN"]
        ),
        *(
            (f"wait={wait}", ("invalid_wait", "wait"))
            for wait in ["-1", "30.1", "31", "1e1", "inf", "nan", "", "forever"]
        ),
        ("state=delivered", ("invalid_state", "state")),
        ("state=SENT", ("invalid_state", "state")),
        ("state=", ("invalid_state", "state")),
        ("direction=up", ("invalid_direction", "direction")),
        ("direction=", ("invalid_direction", "direction")),
        ("after=7", ("invalid_message_id", "after")),
        ("before=%27%20OR%201%3D1", ("invalid_message_id", "before")),
        ("to=nobody%20at%20all", ("invalid_msisdn", "to")),
        ("origin=%2B1", ("invalid_originator", "origin")),
        ("phone=1", ("invalid_msisdn", "phone")),
        ("q=", ("empty_text", "q")),
        ("q=a%00b", ("invalid_text", "q")),
        ("limit=10&limit=20", ("repeated_argument", "limit")),
    ],
)
def test_an_argument_of_listing_that_is_wrong_is_400(client: FlaskClient, query: str, fault: tuple[str, str]) -> None:
    response = client.get(f"/v1/messages?{query}")

    assert response.status_code == 400
    assert faults_of(response) == [fault]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"limit": 0}, ("invalid_limit", "limit")),
        ({"limit": 1001}, ("invalid_limit", "limit")),
        ({"limit": True}, ("invalid_limit", "limit")),
        ({"limit": [10]}, ("repeated_argument", "limit")),
        ({"limit": {}}, ("invalid_limit", "limit")),
        ({"offset": -1}, ("invalid_offset", "offset")),
        ({"offset": 10**30}, ("invalid_offset", "offset")),
        ({"offset": False}, ("invalid_offset", "offset")),
        ({"q": "\ud800"}, ("invalid_text", "q")),
    ],
)
def test_an_argument_of_listing_that_is_wrong_in_json_is_400(
    client: FlaskClient, arguments: dict[str, Any], fault: tuple[str, str]
) -> None:
    response = client.get("/v1/messages", json=arguments)

    assert response.status_code == 400
    assert faults_of(response) == [fault]


@pytest.mark.parametrize(
    "query", ["limit=1", "limit=1000", "offset=0", "offset=2147483647", "wait=0", "wait=0.0", "limit=1000&offset=1000"]
)
def test_the_ends_of_the_ranges_are_accepted(client: FlaskClient, query: str) -> None:
    assert client.get(f"/v1/messages?{query}").status_code == 200


# 400: arguments of changing and of simulating


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, ("nothing_to_change", None)),
        ({"origin": "+442071838750"}, ("nothing_to_change", None)),
        ({"body": ""}, ("empty_text", "body")),
        ({"body": "x" * 161}, ("text_too_long", "body")),
        ({"body": "\0"}, ("invalid_text", "body")),
        ({"to": "nobody"}, ("invalid_msisdn", "to")),
        ({"to": ["nobody"]}, ("invalid_msisdn", "to[0]")),
        ({"to": ["+14560000000", "+14560000001"]}, ("repeated_argument", "to")),
        ({"send_at": "tomorrow"}, ("invalid_time", "send_at")),
    ],
)
def test_an_argument_of_changing_that_is_wrong_is_400_and_nothing_changes(
    client: FlaskClient, send: Callable[..., Any], arguments: dict[str, Any], fault: tuple[str, str | None]
) -> None:
    scheduled = send(send_at=LATER)

    response = client.put(f"/v1/messages/{scheduled['id']}", json=arguments)

    assert response.status_code == 400
    assert faults_of(response) == [fault]
    assert client.get(f"/v1/messages/{scheduled['id']}").get_json() == {"message": scheduled}


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ({}, [("missing_argument", "from"), ("missing_argument", "to"), ("missing_argument", "body")]),
        ({"from": "+14560000000", "to": "+15005550006", "body": ""}, [("empty_text", "body")]),
        ({"from": "+14560000000", "to": "+15005550006", "body": "x" * 161}, [("text_too_long", "body")]),
        ({"from": "nobody at all", "to": "+15005550006", "body": "Hi"}, [("invalid_originator", "from")]),
        ({"from": "+14560000000", "to": "+1", "body": "Hi"}, [("invalid_msisdn", "to")]),
    ],
)
def test_an_argument_of_simulating_that_is_wrong_is_400_and_nothing_is_stored(
    client: FlaskClient, arguments: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    response = client.post("/sandbox/inbound", json=arguments)

    assert response.status_code == 400
    assert sorted(faults_of(response)) == sorted(faults)
    assert client.get("/v1/messages").get_json() == {"messages": []}


# Several faults together


def test_several_faults_of_sending_are_reported_together(client: FlaskClient) -> None:
    response = client.post(
        "/v1/messages",
        json={"to": ["+14560000000", "nobody"], "body": "", "origin": "much too long", "send_at": "tomorrow"},
    )

    assert response.status_code == 400
    assert sorted(faults_of(response)) == [
        ("empty_text", "body"),
        ("invalid_msisdn", "to[1]"),
        ("invalid_originator", "origin"),
        ("invalid_time", "send_at"),
    ]


def test_several_faults_of_listing_are_reported_together(client: FlaskClient) -> None:
    response = client.get(
        "/v1/messages?to=1&origin=2&phone=3&state=a&direction=b&q=&after=c&before=d&offset=-1&limit=0&wait=99"
    )

    assert response.status_code == 400
    assert sorted(faults_of(response)) == [
        ("empty_text", "q"),
        ("invalid_direction", "direction"),
        ("invalid_limit", "limit"),
        ("invalid_message_id", "after"),
        ("invalid_message_id", "before"),
        ("invalid_msisdn", "phone"),
        ("invalid_msisdn", "to"),
        ("invalid_offset", "offset"),
        ("invalid_originator", "origin"),
        ("invalid_state", "state"),
        ("invalid_wait", "wait"),
    ]


def test_several_faults_of_changing_are_reported_together(client: FlaskClient, send: Callable[..., Any]) -> None:
    scheduled = send(send_at=LATER)

    response = client.put(
        f"/v1/messages/{scheduled['id']}", json={"to": "nobody", "body": "x" * 161, "send_at": "tomorrow"}
    )

    assert response.status_code == 400
    assert sorted(faults_of(response)) == [
        ("invalid_msisdn", "to"),
        ("invalid_time", "send_at"),
        ("text_too_long", "body"),
    ]


def test_a_fault_of_the_idempotency_key_is_reported_together_with_the_others(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": "+14560000000"}, headers={"Idempotency-Key": "x" * 256})

    assert response.status_code == 400
    assert sorted(faults_of(response)) == [
        ("invalid_idempotency_key", "Idempotency-Key"),
        ("missing_argument", "body"),
    ]


# 402: the request is valid, but it failed


def test_a_recipient_that_the_gateway_refuses_at_once_is_402_with_errors_and_messages(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": "+15005550001", "body": "Hello"})

    assert response.status_code == 402
    assert faults_of(response) == [("invalid_number", "to")]
    (message,) = response.get_json()["messages"]
    assert message["to"] == "+15005550001"
    assert message["state"] == "error"
    assert message["errors"] == [{"type": "invalid_number", "title": "The gateway refuses this number as invalid."}]


def test_one_refused_recipient_of_several_is_402_and_the_others_go_out(
    client: FlaskClient, deliver: Callable[..., int]
) -> None:
    recipients = ["+14560000000", "+15005550002", "+442071838750", "+15005550003"]

    response = client.post("/v1/messages", json={"to": recipients, "body": "Hello"})
    deliver()

    assert response.status_code == 402
    assert faults_of(response) == [("unroutable_number", "to[1]"), ("country_not_permitted", "to[3]")]
    messages = response.get_json()["messages"]
    assert [message["to"] for message in messages] == recipients
    assert [message["state"] for message in messages] == ["unconfirmed", "error", "unconfirmed", "error"]
    stored = client.get("/v1/messages").get_json()["messages"][::-1]
    assert [message["to"] for message in stored] == recipients
    assert [message["state"] for message in stored] == ["sent", "error", "sent", "error"]


class PickyGateway(OnceGateway):
    """A gateway whose local check refuses some numbers, with a reason of its own."""

    def check(self, to: str, origin: str, body: str) -> Refused | None:
        return Refused("country_not_permitted") if to.startswith("+44") else None


def test_any_gateway_may_refuse_at_once(make_app: Callable[..., Flask]) -> None:
    client = make_app(gateway=PickyGateway()).test_client()

    response = client.post("/v1/messages", json={"to": "+442071838750", "body": "Hello"})

    assert response.status_code == 402
    assert faults_of(response) == [("country_not_permitted", "to")]


@pytest.mark.parametrize(("method", "arguments"), [("PUT", {"body": "Changed"}), ("DELETE", {})])
def test_a_message_past_changing_is_402(
    client: FlaskClient, deliver: Callable[..., int], send: Callable[..., Any], method: str, arguments: dict[str, Any]
) -> None:
    sent = send()
    deliver()

    response = client.open(f"/v1/messages/{sent['id']}", method=method, json=arguments)

    assert response.status_code == 402
    assert faults_of(response) == [("message_not_waiting", None)]


# 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "DESTROY"])
@pytest.mark.parametrize(
    "id_", ["nothing", "019c1363-49c0-7000-8000-000000000000", "1", "%00", "%FF", "..", "x" * 1_000, "'"]
)
def test_a_message_that_does_not_exist_is_404(client: FlaskClient, method: str, id_: str) -> None:
    response = client.open(f"/v1/messages/{id_}", method=method, json={"body": "Changed"})

    assert response.status_code == 404
    assert faults_of(response) == [("not_found", None)]


def test_a_message_that_does_not_exist_is_404_also_for_a_refused_recipient(client: FlaskClient) -> None:
    response = client.put("/v1/messages/nothing", json={"to": "+15005550001"})

    assert response.status_code == 404
    assert faults_of(response) == [("not_found", None)]


# 413


@pytest.mark.parametrize("arguments", [2_000, 20_000])
@pytest.mark.parametrize("way", ["query_string", "data"])
def test_thousands_of_arguments_are_413(client: FlaskClient, arguments: int, way: str) -> None:
    request: dict[str, Any] = {way: "&".join(["a="] * arguments)}
    if way == "data":
        request["content_type"] = "application/x-www-form-urlencoded"

    response = client.post("/v1/messages", **request)

    assert response.status_code == 413
    assert faults_of(response) == [("request_too_large", None)]


def test_thousands_of_multipart_fields_are_413(client: FlaskClient) -> None:
    response = client.post(
        "/v1/messages", data={"to[]": ["+14560000000"] * 2_000, "body": "Hello"}, content_type="multipart/form-data"
    )

    assert response.status_code == 413
    assert faults_of(response) == [("request_too_large", None)]


# 409


@pytest.mark.parametrize(
    "other",
    [
        {"to": "+14560000000", "body": "Another"},
        {"to": "+14560000001", "body": "Hello"},
        {"to": ["+14560000000", "+14560000001"], "body": "Hello"},
        {"to": "+14560000000", "body": "Hello", "origin": "+442071838750"},
        {"to": "+14560000000", "body": "Hello", "send_at": LATER},
    ],
    ids=["body", "to", "several", "origin", "send_at"],
)
def test_an_idempotency_key_used_again_with_another_request_is_409_and_nothing_is_stored(
    client: FlaskClient, other: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "order-1"}
    client.post("/v1/messages", json=GOOD, headers=headers)

    response = client.post("/v1/messages", json=other, headers=headers)

    assert response.status_code == 409
    assert faults_of(response) == [("idempotency_key_reused", None)]
    assert len(client.get("/v1/messages").get_json()["messages"]) == 1


# 429


def test_more_waiting_requests_than_places_are_429_with_retry_after(make_app: Callable[..., Flask]) -> None:
    app = make_app(WAITING=1)
    answers: queue.Queue[Any] = queue.Queue()

    def wait() -> None:
        answers.put(app.test_client().get("/v1/messages?wait=20"))

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    refused = answers.get(timeout=10)
    sent = app.test_client().post("/v1/messages", json=GOOD)
    found = answers.get(timeout=10)
    for thread in threads:
        thread.join()

    assert refused.status_code == 429
    assert faults_of(refused) == [("too_many_waiting", None)]
    assert int(refused.headers["Retry-After"]) >= 1
    assert found.status_code == 200
    assert found.get_json()["messages"] == sent.get_json()["messages"]


# 503


@pytest.fixture
def lock(lock_database: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    """A connection of another program that holds the write lock."""
    return lock_database()


def test_sending_while_the_database_is_locked_is_503_and_nothing_is_stored(
    client: FlaskClient, lock: sqlite3.Connection
) -> None:
    response = client.post("/v1/messages", json={"to": ["+14560000000", "+14560000001"], "body": "Hello"})

    assert response.status_code == 503
    assert faults_of(response) == [("store_unavailable", None)]
    assert int(response.headers["Retry-After"]) >= 1
    lock.execute("ROLLBACK")
    assert client.get("/v1/messages").get_json() == {"messages": []}


def test_sending_succeeds_once_the_database_is_free_again(client: FlaskClient, lock: sqlite3.Connection) -> None:
    client.post("/v1/messages", json=GOOD)
    lock.execute("ROLLBACK")

    response = client.post("/v1/messages", json=GOOD)

    assert response.status_code == 201
    assert client.get("/v1/messages").get_json()["messages"] == response.get_json()["messages"]


def test_503_uses_up_no_idempotency_key(client: FlaskClient, lock: sqlite3.Connection) -> None:
    headers = {"Idempotency-Key": "order-1"}
    refused = client.post("/v1/messages", json=GOOD, headers=headers)
    lock.execute("ROLLBACK")

    response = client.post("/v1/messages", json=GOOD, headers=headers)

    assert refused.status_code == 503
    assert response.status_code == 201
    assert len(client.get("/v1/messages").get_json()["messages"]) == 1


def test_simulating_while_the_database_is_locked_is_503_and_nothing_is_stored(
    client: FlaskClient, lock: sqlite3.Connection
) -> None:
    response = client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "+15005550006", "body": "Hi"})

    assert response.status_code == 503
    assert faults_of(response) == [("store_unavailable", None)]
    assert int(response.headers["Retry-After"]) >= 1
    lock.execute("ROLLBACK")
    assert client.get("/v1/messages").get_json() == {"messages": []}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "DESTROY"])
def test_changing_while_the_database_is_locked_is_503_and_nothing_changes(
    client: FlaskClient,
    send: Callable[..., Any],
    lock_database: Callable[[], sqlite3.Connection],
    method: str,
) -> None:
    scheduled = send(send_at=LATER)
    lock = lock_database()

    response = client.open(f"/v1/messages/{scheduled['id']}", method=method, json={"body": "Changed"})
    lock.close()

    assert response.status_code == 503
    assert faults_of(response) == [("store_unavailable", None)]
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get(f"/v1/messages/{scheduled['id']}").get_json() == {"message": scheduled}


def test_a_lock_that_is_let_go_within_the_time_out_is_waited_for(client: FlaskClient, tmp_path: Path) -> None:
    lock = sqlite3.connect(tmp_path / "phonify.db", isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, lock.close)
    release.start()

    response = client.post("/v1/messages", json=GOOD)
    release.join()

    assert response.status_code == 201


@pytest.mark.parametrize(("method", "status"), [("GET", 503), ("POST", 503)])
def test_a_database_that_is_not_there_is_503(
    client: FlaskClient, lose_database: Callable[[], None], method: str, status: int
) -> None:
    lose_database()

    response = client.open("/v1/messages", method=method, json=GOOD if method == "POST" else {})

    assert response.status_code == status
    assert faults_of(response) == [("store_unavailable", None)]
