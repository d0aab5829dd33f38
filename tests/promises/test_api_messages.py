"""Tests of /v1/messages: the message object, sending, retrieving, listing, waiting, changing and cancelling."""

import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.gateways.base import Later, OutboundMessage
from tests.support.app import ROOT, FakeClock, basic, faults_of
from tests.support.fake_gateway import OnceGateway

GOOD = {"to": "+14560000000", "body": "Hello"}
LATER = "2026-02-01T12:00:00.000Z"
SECONDS_UNTIL_LATER = 26 * 3_600 + 30 * 60  # the clock of the tests always shows 2026-01-31T09:30:00Z


def list_bodies(client: FlaskClient, query: str = "") -> list[str]:
    response = client.get(f"/v1/messages{query}")
    assert response.status_code == 200
    return [message["body"] for message in response.get_json()["messages"]]


def list_ids(client: FlaskClient, query: str = "") -> list[str]:
    response = client.get(f"/v1/messages{query}")
    assert response.status_code == 200
    return [message["id"] for message in response.get_json()["messages"]]


# The message object


def test_an_accepted_message_has_all_attributes_and_no_others(send: Callable[..., Any]) -> None:
    message = send("+442071838750", "Hello")

    assert message.pop("id")
    assert message == {
        "body": "Hello",
        "to": "+442071838750",
        "origin": {"number": "+15005550006", "country": "US", "carrier": None},
        "phone": {"number": "+442071838750", "country": "GB", "carrier": None},
        "state": "unconfirmed",
        "created_at": "2026-01-31T09:30:00.000Z",
        "direction": "outbound",
        "segments": 1,
        "encoding": "gsm7",
    }


def test_a_received_message_has_all_attributes_and_no_others(client: FlaskClient) -> None:
    message = client.post(
        "/sandbox/inbound", json={"from": "+442071838750", "to": "+15005550006", "body": "Hi"}
    ).get_json()["message"]

    assert message.pop("id")
    assert message == {
        "body": "Hi",
        "to": "+15005550006",
        "origin": {"number": "+442071838750", "country": "GB", "carrier": None},
        "phone": {"number": "+15005550006", "country": "US", "carrier": None},
        "state": "sent",
        "created_at": "2026-01-31T09:30:00.000Z",
        "direction": "inbound",
        "segments": 1,
        "encoding": "gsm7",
    }


def test_ids_are_url_safe_text(send: Callable[..., Any]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.~-]+", send()["id"])


def test_ids_sort_by_creation_within_one_request_and_over_several(client: FlaskClient, clock: FakeClock) -> None:
    ids = []
    for seconds in (0, 0, 0.0001, 1, -3_600, 0):  # the clock stands still, moves forward, and moves back
        clock.advance(seconds)
        response = client.post("/v1/messages", json={"to": ["+14560000000"] * 5, "body": "Hello"})
        ids += [message["id"] for message in response.get_json()["messages"]]

    assert len(set(ids)) == 30
    assert ids == sorted(ids)


def test_ids_of_sent_and_received_messages_sort_together(client: FlaskClient, send: Callable[..., Any]) -> None:
    ids = []
    for _ in range(5):
        ids.append(send()["id"])
        received = client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "12345", "body": "Hi"})
        ids.append(received.get_json()["message"]["id"])

    assert ids == sorted(ids)


@pytest.mark.parametrize(
    "body",
    [
        "x",
        " ",
        "\n",
        "0",
        "x" * 160,
        "\N{GRINNING FACE}" * 160,  # 160 code points, 320 units of UTF-16
        "e\N{COMBINING ACUTE ACCENT}" * 80,
        "\N{EURO SIGN}" * 160,
    ],
)
def test_a_body_has_1_to_160_code_points(send: Callable[..., Any], client: FlaskClient, body: str) -> None:
    message = send(body=body)

    assert message["body"] == body
    assert client.get(f"/v1/messages/{message['id']}").get_json()["message"]["body"] == body


@pytest.mark.parametrize(
    ("body", "segments", "encoding"),
    [
        ("Hello", 1, "gsm7"),
        ("x" * 160, 1, "gsm7"),
        ("\N{EURO SIGN}" * 80, 1, "gsm7"),
        ("\N{EURO SIGN}" * 81, 2, "gsm7"),
        ("\N{EURO SIGN}" * 160, 3, "gsm7"),
        ("ж" * 70, 1, "ucs2"),
        ("ж" * 71, 2, "ucs2"),
        ("ж" * 160, 3, "ucs2"),
        ("\N{GRINNING FACE}" * 160, 5, "ucs2"),
    ],
)
def test_segments_and_encoding_are_those_of_the_body(
    send: Callable[..., Any], body: str, segments: int, encoding: str
) -> None:
    message = send(body=body)

    assert (message["segments"], message["encoding"]) == (segments, encoding)


@pytest.mark.parametrize(
    ("to", "country"),
    [
        ("+14560000000", "US"),  # belongs to no country; the main region of +1
        ("+12425550100", "BS"),
        ("+447781123456", "GG"),
        ("+33612345678", "FR"),
        ("+77011234567", "KZ"),
        ("+41791234567", "CH"),
        ("+80012345678", None),  # a freephone number of no country
    ],
)
def test_the_country_is_that_of_the_number(send: Callable[..., Any], to: str, country: str | None) -> None:
    assert send(to)["phone"]["country"] == country


def test_a_known_carrier_is_named_and_an_unknown_one_is_null(send: Callable[..., Any]) -> None:
    assert send("+41791234567")["phone"]["carrier"] == "Swisscom"
    assert send("+14560000000")["phone"]["carrier"] is None


@pytest.mark.parametrize(
    ("seconds", "created_at"),
    [
        (0, "2026-01-31T09:30:00.000Z"),
        (0.123, "2026-01-31T09:30:00.123Z"),
        (0.9999, "2026-01-31T09:30:00.999Z"),
        (86_400, "2026-02-01T09:30:00.000Z"),
    ],
)
def test_created_at_is_utc_with_milliseconds(
    send: Callable[..., Any], clock: FakeClock, seconds: float, created_at: str
) -> None:
    clock.advance(seconds)

    assert send()["created_at"] == created_at


def test_a_message_in_error_carries_its_errors_wherever_it_is_shown(client: FlaskClient) -> None:
    errors = [{"type": "unroutable_number", "title": "The gateway has no route to this number."}]

    answer = client.post("/v1/messages", json={"to": "+15005550002", "body": "Hello"}).get_json()

    assert answer["message"]["errors"] == errors
    assert answer["messages"][0]["errors"] == errors
    one = client.get(f"/v1/messages/{answer['message']['id']}").get_json()["message"]
    assert one["state"] == "error"
    assert one["errors"] == errors
    (listed,) = client.get("/v1/messages").get_json()["messages"]
    assert listed["errors"] == errors


def test_a_sent_message_has_no_errors(
    client: FlaskClient, send: Callable[..., Any], deliver: Callable[..., int]
) -> None:
    address = f"/v1/messages/{send()['id']}"
    deliver()

    message = client.get(address).get_json()["message"]

    assert message["state"] == "sent"
    assert "errors" not in message


# Sending


def test_sending_one_answers_201_with_message_messages_and_location(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json=GOOD)

    assert response.status_code == 201
    answer = response.get_json()
    assert set(answer) == {"message", "messages"}
    assert answer["messages"] == [answer["message"]]
    assert response.headers["Location"] == f"/v1/messages/{answer['message']['id']}"
    assert client.get(response.headers["Location"]).get_json() == {"message": answer["message"]}


def test_a_list_of_one_recipient_is_answered_like_one(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": ["+14560000000"], "body": "Hello"})

    assert response.status_code == 201
    answer = response.get_json()
    assert answer["messages"] == [answer["message"]]
    assert response.headers["Location"] == f"/v1/messages/{answer['message']['id']}"


SEVERAL = ["+14560000000", "+442071838750", "+33612345678"]


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"to": SEVERAL, "body": "Hello"}},
        {"data": {"to": SEVERAL, "body": "Hello"}},
        {"data": {"to[]": SEVERAL, "body": "Hello"}},
        {"data": {"to": SEVERAL, "body": "Hello"}, "content_type": "multipart/form-data"},
        {"data": {"to[]": SEVERAL, "body": "Hello"}, "content_type": "multipart/form-data"},
        {"query_string": {"to": SEVERAL, "body": "Hello"}},
        {"query_string": {"to[]": SEVERAL, "body": "Hello"}},
    ],
    ids=["json", "form", "form[]", "multipart", "multipart[]", "query", "query[]"],
)
def test_sending_several_answers_201_with_one_message_per_recipient_in_order(
    client: FlaskClient, request_: dict[str, Any]
) -> None:
    response = client.post("/v1/messages", **request_)

    assert response.status_code == 201
    answer = response.get_json()
    assert set(answer) == {"messages"}
    assert "Location" not in response.headers
    assert [message["to"] for message in answer["messages"]] == SEVERAL
    assert len({message["id"] for message in answer["messages"]}) == 3
    assert client.get("/v1/messages").get_json()["messages"] == answer["messages"][::-1]


THOUSAND = [f"+1456{number:07d}" for number in range(1_000)]


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"to": THOUSAND, "body": "Hello"}},
        {"data": {"to": THOUSAND, "body": "Hello"}},
        {"data": {"to[]": THOUSAND, "body": "Hello"}},
        {"data": {"to": THOUSAND, "body": "Hello"}, "content_type": "multipart/form-data"},
    ],
    ids=["json", "form", "form[]", "multipart"],
)
def test_sending_to_a_thousand_recipients(client: FlaskClient, request_: dict[str, Any]) -> None:
    response = client.post("/v1/messages", **request_)

    assert response.status_code == 201
    answer = response.get_json()["messages"]
    assert [message["to"] for message in answer] == THOUSAND
    assert client.get("/v1/messages?limit=1000").get_json()["messages"] == answer[::-1]


def test_one_bad_recipient_of_a_thousand_refuses_all_and_nothing_is_stored(client: FlaskClient) -> None:
    response = client.post("/v1/messages", json={"to": [*THOUSAND[:999], "nobody"], "body": "Hello"})

    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "to[999]")]
    assert list_ids(client) == []


@pytest.mark.parametrize(
    ("origin", "country"),
    [
        ("+442071838750", "GB"),
        ("+14560000000", "US"),
        ("123", None),
        ("12345678", None),
        ("PHONIFY", None),
        ("My Shop 24", None),
        ("11 letters1", None),
        ("A", None),
    ],
)
def test_the_origin_may_be_given(send: Callable[..., Any], origin: str, country: str | None) -> None:
    assert send(origin=origin)["origin"] == {"number": origin, "country": country, "carrier": None}


def test_the_origin_is_the_one_of_the_account_by_default(make_key: Callable[..., str], anonymous: FlaskClient) -> None:
    key = make_key("shop", origin="+442071838750")

    response = anonymous.post("/v1/messages", json=GOOD, headers={"Authorization": basic(key)})

    assert response.get_json()["message"]["origin"]["number"] == "+442071838750"


def test_the_origin_is_the_one_of_the_server_where_the_account_has_none(make_app: Callable[..., Flask]) -> None:
    client = make_app(ORIGIN="12345").test_client()

    response = client.post("/v1/messages", json=GOOD)

    assert response.get_json()["message"]["origin"] == {"number": "12345", "country": None, "carrier": None}


def test_a_message_is_on_disk_when_the_answer_comes(send: Callable[..., Any], tmp_path: Path) -> None:
    message = send()

    with closing(sqlite3.connect(tmp_path / "phonify.db")) as other:
        assert other.execute("SELECT id, state FROM messages").fetchall() == [(message["id"], "unconfirmed")]


def test_an_accepted_message_outlives_the_process(make_app: Callable[..., Flask], send: Callable[..., Any]) -> None:
    message = send()

    restarted = make_app()

    assert restarted.test_client().get("/v1/messages").get_json() == {"messages": [message]}


# Idempotency


@pytest.mark.parametrize("to", ["+14560000000", ["+14560000000", "+442071838750"], "+15005550001"])
def test_the_same_key_and_request_get_the_first_answer_again(client: FlaskClient, to: str | list[str]) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/messages", json={"to": to, "body": "Hello"}, headers=headers)

    second = client.post("/v1/messages", json={"to": to, "body": "Hello"}, headers=headers)

    assert second.status_code == first.status_code
    assert second.data == first.data
    assert second.headers.get("Location") == first.headers.get("Location")
    assert len(list_ids(client)) == len(first.get_json()["messages"])


def test_the_first_answer_is_given_again_although_the_message_has_gone_on(
    client: FlaskClient, deliver: Callable[..., int]
) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/messages", json=GOOD, headers=headers)
    deliver()

    second = client.post("/v1/messages", json=GOOD, headers=headers)

    assert second.data == first.data
    assert second.get_json()["message"]["state"] == "unconfirmed"


def test_the_same_request_by_json_and_by_form_is_the_same(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/messages", json={**GOOD, "app": "1"}, headers=headers)

    second = client.post("/v1/messages", data={**GOOD, "app": "2"}, headers=headers)

    assert second.status_code == 201
    assert second.data == first.data


def test_the_same_request_with_another_key_is_a_new_one(client: FlaskClient) -> None:
    first = client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": "order-1"})

    second = client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": "order-2"})

    assert second.get_json()["message"]["id"] != first.get_json()["message"]["id"]


def test_the_same_request_without_a_key_is_a_new_one(client: FlaskClient) -> None:
    client.post("/v1/messages", json=GOOD)
    client.post("/v1/messages", json=GOOD)

    assert len(list_ids(client)) == 2


def test_a_key_is_remembered_until_24_hours_have_passed(client: FlaskClient, clock: FakeClock) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/messages", json=GOOD, headers=headers)
    clock.advance(24 * 3_600 - 1)

    second = client.post("/v1/messages", json=GOOD, headers=headers)

    assert second.data == first.data
    assert len(list_ids(client)) == 1


def test_a_key_is_new_again_after_24_hours(client: FlaskClient, clock: FakeClock) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/messages", json=GOOD, headers=headers)
    clock.advance(24 * 3_600 + 1)

    second = client.post("/v1/messages", json={**GOOD, "body": "Another"}, headers=headers)
    third = client.post("/v1/messages", json={**GOOD, "body": "Another"}, headers=headers)

    assert second.status_code == 201
    assert second.get_json()["message"]["id"] != first.get_json()["message"]["id"]
    assert third.data == second.data
    assert list_bodies(client) == ["Another", "Hello"]


def test_a_key_outlives_the_process(make_app: Callable[..., Flask], client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = client.post("/v1/messages", json=GOOD, headers=headers)

    second = make_app().test_client().post("/v1/messages", json=GOOD, headers=headers)

    assert second.data == first.data


def test_a_refused_request_uses_up_no_key(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order-1"}
    refused = client.post("/v1/messages", json={"to": "nobody", "body": "Hello"}, headers=headers)

    response = client.post("/v1/messages", json=GOOD, headers=headers)

    assert refused.status_code == 400
    assert response.status_code == 201


def test_requests_with_one_key_at_the_same_time_store_one_message(app: Flask) -> None:
    start = threading.Barrier(8)

    def post() -> bytes:
        client = app.test_client()
        start.wait()
        return client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": "order-1"}).data

    with ThreadPoolExecutor(8) as pool:
        answers = {future.result() for future in [pool.submit(post) for _ in range(8)]}

    assert len(answers) == 1
    assert len(list_ids(app.test_client())) == 1


# Scheduling


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-02-01T12:00:00Z", "2026-02-01T12:00:00.000Z"),
        ("2026-02-01T12:00:00.5Z", "2026-02-01T12:00:00.500Z"),
        ("2026-02-01T12:00Z", "2026-02-01T12:00:00.000Z"),
        ("2026-02-01T12:00:00+02:00", "2026-02-01T10:00:00.000Z"),
        ("2026-02-01T12:00:00-0530", "2026-02-01T17:30:00.000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000Z"),
    ],
)
def test_send_at_is_shown_in_utc_with_milliseconds(send: Callable[..., Any], given: str, shown: str) -> None:
    message = send(send_at=given)

    assert message["send_at"] == shown
    assert message["state"] == "unconfirmed"


def test_a_scheduled_message_waits_for_its_time(
    client: FlaskClient, send: Callable[..., Any], deliver: Callable[..., int], clock: FakeClock
) -> None:
    address = f"/v1/messages/{send(send_at=LATER)['id']}"
    clock.advance(SECONDS_UNTIL_LATER - 0.001)
    deliver()
    assert client.get(address).get_json()["message"]["state"] == "unconfirmed"

    clock.advance(0.001)
    deliver()

    assert client.get(address).get_json()["message"]["state"] == "sent"


def test_a_scheduled_message_is_valid_for_its_period_after_its_time(
    client: FlaskClient, send: Callable[..., Any], deliver: Callable[..., int], clock: FakeClock
) -> None:
    address = f"/v1/messages/{send(send_at=LATER)['id']}"

    clock.advance(SECONDS_UNTIL_LATER + 23 * 3_600)  # as after a time without a running server
    deliver()

    assert client.get(address).get_json()["message"]["state"] == "sent"


# Retrieving


def test_retrieving_answers_the_message(client: FlaskClient, send: Callable[..., Any]) -> None:
    message = send()
    send()

    response = client.get(f"/v1/messages/{message['id']}")

    assert response.status_code == 200
    assert response.get_json() == {"message": message}


# Listing


def test_an_empty_list_is_an_empty_collection(client: FlaskClient) -> None:
    response = client.get("/v1/messages")

    assert response.status_code == 200
    assert response.get_json() == {"messages": []}


def test_a_list_is_newest_first(client: FlaskClient, send: Callable[..., Any]) -> None:
    for body in ("one", "two", "three"):
        send(body=body)

    assert list_bodies(client) == ["three", "two", "one"]


def test_a_list_shows_50_by_default(client: FlaskClient) -> None:
    client.post("/v1/messages", json={"to": THOUSAND[:60], "body": "Hello"})

    listed = client.get("/v1/messages").get_json()["messages"]

    assert [message["to"] for message in listed] == THOUSAND[59:9:-1]


def test_a_list_shows_1000_at_most(client: FlaskClient, send: Callable[..., Any]) -> None:
    send("+442071838750")
    client.post("/v1/messages", json={"to": THOUSAND, "body": "Hello"})

    listed = client.get("/v1/messages?limit=1000").get_json()["messages"]

    assert [message["to"] for message in listed] == THOUSAND[::-1]


@pytest.mark.parametrize(
    ("query", "bodies"),
    [
        ("?limit=2", ["e", "d"]),
        ("?offset=2", ["c", "b", "a"]),
        ("?offset=1&limit=3", ["d", "c", "b"]),
        ("?offset=4", ["a"]),
        ("?offset=5", []),
        ("?offset=2147483647", []),
        ("?offset=1&limit=1&to=%2B14560000000", ["d"]),
    ],
)
def test_offset_and_limit_cut_a_slice(
    client: FlaskClient, send: Callable[..., Any], query: str, bodies: list[str]
) -> None:
    for body in "abcde":
        send(body=body)

    assert list_bodies(client, query) == bodies


# Criteria


@pytest.fixture
def mixed(client: FlaskClient, deliver: Callable[..., int]) -> FlaskClient:
    """A client whose account has messages of all kinds. Each body names the kind of its message."""
    client.post("/v1/messages", json={"to": "+14560000000", "body": "sent to A"})
    client.post("/v1/messages", json={"to": "+442071838750", "body": "sent to B", "origin": "SHOP"})
    client.post("/v1/messages", json={"to": "+15005550004", "body": "blocked"})
    client.post("/v1/messages", json={"to": "+15005550001", "body": "refused at once"})
    deliver()
    client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "12345", "body": "from A"})
    client.post("/sandbox/inbound", json={"from": "+442071838750", "to": "+15005550006", "body": "from B"})
    client.post("/v1/messages", json={"to": "+14560000000", "body": "waiting for A", "send_at": LATER})
    return client


@pytest.mark.parametrize(
    ("query", "bodies"),
    [
        ("to=%2B14560000000", ["waiting for A", "sent to A"]),
        ("to=%2B442071838750", ["sent to B"]),
        ("to=12345", ["from A"]),
        ("to=%2B33612345678", []),
        ("origin=%2B14560000000", ["from A"]),
        ("origin=SHOP", ["sent to B"]),
        ("origin=%2B15005550006", ["waiting for A", "refused at once", "blocked", "sent to A"]),
        ("phone=%2B14560000000", ["waiting for A", "from A", "sent to A"]),
        ("phone=%2B442071838750", ["from B", "sent to B"]),
        ("phone=%2B15005550006", ["waiting for A", "from B", "refused at once", "blocked", "sent to A"]),
        ("phone=%2B14560000000&limit=1&offset=1", ["from A"]),
        ("phone=%2B14560000000&limit=2&offset=2", ["sent to A"]),
        ("state=unconfirmed", ["waiting for A"]),
        ("state=sent", ["from B", "from A", "sent to B", "sent to A"]),
        ("state=error", ["refused at once", "blocked"]),
        ("direction=inbound", ["from B", "from A"]),
        ("direction=outbound", ["waiting for A", "refused at once", "blocked", "sent to B", "sent to A"]),
        ("q=waiting", ["waiting for A"]),
        ("q=sent+to", ["sent to B", "sent to A"]),
        ("q=A", ["waiting for A", "from A", "refused at once", "sent to A"]),
        ("q=nothing+like+it", []),
        ("state=sent&direction=outbound", ["sent to B", "sent to A"]),
        ("to=%2B14560000000&state=unconfirmed", ["waiting for A"]),
        ("phone=%2B14560000000&direction=outbound&q=sent", ["sent to A"]),
        ("direction=inbound&state=error", []),
        ("state=error&limit=1&offset=1", ["blocked"]),
    ],
)
def test_a_list_matches_the_criteria(mixed: FlaskClient, query: str, bodies: list[str]) -> None:
    # `q` ignores the case of ASCII letters.
    assert list_bodies(mixed, f"?{query}") == bodies


def test_a_message_whose_two_sides_are_one_phone_is_listed_once(client: FlaskClient, send: Callable[..., Any]) -> None:
    message = send("+14560000000", origin="+14560000000")

    assert list_ids(client, "?phone=%2B14560000000") == [message["id"]]


@pytest.mark.parametrize(
    ("q", "bodies"),
    [
        ("%", ["100%"]),
        ("_", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("%%", []),
        ("0%", ["100%"]),
        ("'", ["it's"]),
        ("*", ["2*2"]),
        ("ß", ["Straße"]),
        ("\N{GRINNING FACE}", ["\N{GRINNING FACE}"]),
    ],
)
def test_each_character_of_q_stands_for_itself(
    client: FlaskClient, send: Callable[..., Any], q: str, bodies: list[str]
) -> None:
    for body in ("100%", "snake_case", "back\\slash", "it's", "2*2", "Straße", "\N{GRINNING FACE}", "plain"):
        send(body=body)

    response = client.get("/v1/messages", query_string={"q": q})

    assert [message["body"] for message in response.get_json()["messages"]] == bodies


def test_after_and_before_leave_out_the_message_they_name(client: FlaskClient, send: Callable[..., Any]) -> None:
    ids = [send(body=body)["id"] for body in "abcde"]

    assert list_bodies(client, f"?after={ids[2]}") == ["e", "d"]
    assert list_bodies(client, f"?before={ids[2]}") == ["b", "a"]
    assert list_bodies(client, f"?after={ids[0]}&before={ids[4]}") == ["d", "c", "b"]
    assert list_bodies(client, f"?after={ids[4]}") == []
    assert list_bodies(client, f"?before={ids[0]}") == []
    assert list_bodies(client, f"?after={ids[0]}&limit=1&offset=1") == ["c"]
    assert list_bodies(client, f"?after={ids[0]}&limit=2") == ["c", "b"]


def test_after_and_before_may_name_a_message_that_was_removed(client: FlaskClient, send: Callable[..., Any]) -> None:
    send(body="a")
    removed = send(body="b", send_at=LATER)["id"]
    send(body="c")
    assert client.delete(f"/v1/messages/{removed}").status_code == 200

    assert list_bodies(client, f"?after={removed}") == ["c"]
    assert list_bodies(client, f"?before={removed}") == ["a"]


def test_paging_by_before_walks_all_messages_once(client: FlaskClient) -> None:
    client.post("/v1/messages", json={"to": THOUSAND[:25], "body": "Hello"})
    walked: list[str] = []
    query = "?limit=10"
    while page := client.get(f"/v1/messages{query}").get_json()["messages"]:
        walked += [message["to"] for message in page]
        query = f"?limit=10&before={page[-1]['id']}"

    assert walked == THOUSAND[24::-1]


# Deep offsets


@pytest.mark.slow
def test_an_offset_is_a_plain_slice_also_with_gaps_and_several_accounts(
    client: FlaskClient, stranger: FlaskClient
) -> None:
    ids: dict[FlaskClient, list[str]] = {client: [], stranger: []}
    for _ in range(2):
        for sender, recipients in ((client, 1_000), (stranger, 700), (client, 300)):
            response = sender.post(
                "/v1/messages", json={"to": THOUSAND[:recipients], "body": "Hello", "send_at": LATER}
            )
            ids[sender] += [message["id"] for message in response.get_json()["messages"]]
    pick = random.Random(7)
    for sender, kept in ids.items():
        for removed in [*pick.sample(kept[1:-1], 30), kept[-1]]:
            assert sender.delete(f"/v1/messages/{removed}").status_code == 200
            kept.remove(removed)
    for sender in ids:  # and the messages after the last one were removed
        ids[sender].append(sender.post("/v1/messages", json=GOOD).get_json()["message"]["id"])

    for sender, kept in ids.items():
        newest_first = kept[::-1]
        for offset in [*range(0, len(kept) + 200, 61), len(kept) - 1, len(kept), 1_023, 1_024, 1_025]:
            assert list_ids(sender, f"?offset={offset}&limit=7") == newest_first[offset : offset + 7]
        assert list_ids(sender, "?offset=500&limit=1000") == newest_first[500:1_500]


def test_an_offset_is_a_plain_slice_also_in_a_large_store(
    client: FlaskClient, stranger: FlaskClient, tmp_path: Path
) -> None:
    stored = range(250_000, 800_000, 34)  # in six parts of 131,072
    with closing(sqlite3.connect(tmp_path / "phonify.db")) as other, other:
        accounts_by_name = dict(other.execute("SELECT name, id FROM accounts"))
        owners = {seq: "other" if seq % 3 == 0 else "default" for seq in stored}
        other.executemany(
            "INSERT INTO messages (seq, id, account_id, direction, body, origin_number, to_number, state, created_at,"
            " finished_at) VALUES (?, ?, ?, 'inbound', 'Hi', '12345', '12345', 'sent', '2026', '2026')",
            ((seq, f"{seq:08x}-0000-7000-8000-000000000000", accounts_by_name[owners[seq]]) for seq in stored),
        )
        # Every 7th message, and a whole part of 1,024.
        other.execute("DELETE FROM messages WHERE seq % 7 = 0 OR seq >> 10 = 300")
    newest_first = [seq for seq in reversed(stored) if seq % 7 != 0 and seq >> 10 != 300]

    for sender, name in ((client, "default"), (stranger, "other")):
        own = [f"{seq:08x}-0000-7000-8000-000000000000" for seq in newest_first if owners[seq] == name]
        for offset in [0, 1, 136, 137, *range(200, len(own), len(own) // 20), len(own) - 3, len(own), 200_000]:
            assert list_ids(sender, f"?offset={offset}&limit=5") == own[offset : offset + 5]


# Waiting


def test_wait_answers_at_once_where_something_matches(client: FlaskClient, send: Callable[..., Any]) -> None:
    message = send()
    start = time.monotonic()

    response = client.get("/v1/messages?wait=30")

    assert response.get_json() == {"messages": [message]}
    assert time.monotonic() - start < 5


def test_wait_ends_with_an_empty_list_where_nothing_comes(client: FlaskClient) -> None:
    start = time.monotonic()

    response = client.get("/v1/messages?wait=0.2")

    assert response.status_code == 200
    assert response.get_json() == {"messages": []}
    assert 0.2 <= time.monotonic() - start < 5


def test_without_wait_an_empty_list_comes_at_once(client: FlaskClient) -> None:
    start = time.monotonic()

    assert list_ids(client) == []

    assert time.monotonic() - start < 5


def test_wait_holds_until_another_thread_stores_what_matches(app: Flask, client: FlaskClient) -> None:
    start = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: app.test_client().get("/v1/messages?to=%2B442071838750&wait=30"))
        # At the same time, other messages arrive, and a wait for another message ends.
        client.post("/v1/messages", json=GOOD)
        assert client.get("/v1/messages?state=error&wait=0.2").get_json() == {"messages": []}
        assert not waiting.done()
        sent = client.post("/v1/messages", json={"to": "+442071838750", "body": "Hello"})
        found = waiting.result(timeout=20)

    assert found.status_code == 200
    assert found.get_json()["messages"] == sent.get_json()["messages"]
    assert time.monotonic() - start < 20


def test_wait_holds_until_a_message_changes_into_what_matches(
    app: Flask, send: Callable[..., Any], deliver: Callable[..., int]
) -> None:
    message = send()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: app.test_client().get("/v1/messages?state=sent&wait=30"))
        assert app.test_client().get("/v1/messages?state=error&wait=0.1").get_json() == {"messages": []}
        deliver()
        found = waiting.result(timeout=20)

    assert [one["id"] for one in found.get_json()["messages"]] == [message["id"]]


def test_wait_after_an_id_holds_until_something_newer_comes(
    app: Flask, client: FlaskClient, send: Callable[..., Any]
) -> None:
    last = send(body="old")["id"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: app.test_client().get(f"/v1/messages?after={last}&wait=30"))
        assert client.get("/v1/messages?state=error&wait=0.1").get_json() == {"messages": []}
        new = send(body="new")
        found = waiting.result(timeout=20)

    assert found.get_json() == {"messages": [new]}


def test_wait_is_not_ended_by_the_message_of_another_account(app: Flask, stranger: FlaskClient) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: app.test_client().get("/v1/messages?wait=0.4"))
        stranger.get("/v1/messages?wait=0.1")
        assert stranger.post("/v1/messages", json=GOOD).status_code == 201
        found = waiting.result(timeout=20)

    assert found.get_json() == {"messages": []}


def test_wait_holds_until_another_process_stores_what_matches(client: FlaskClient, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PHONIFY_DATABASE": str(tmp_path / "phonify.db"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "flask", "--app", "phonify:create_app", "send", "+14560000000", "From next door"]
    start = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        # The other process starts after this request.
        found = client.get("/v1/messages?wait=30")
        assert process.wait(timeout=20) == 0

    assert [message["body"] for message in found.get_json()["messages"]] == ["From next door"]
    assert time.monotonic() - start < 20


# Changing


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"body": "Changed"}, {"body": "Changed"}),
        (
            {"to": "+442071838750"},
            {"to": "+442071838750", "phone": {"number": "+442071838750", "country": "GB", "carrier": None}},
        ),
        (
            {"to": ["+442071838750"]},
            {"to": "+442071838750", "phone": {"number": "+442071838750", "country": "GB", "carrier": None}},
        ),
        ({"send_at": "2026-03-01T00:00:00Z"}, {"send_at": "2026-03-01T00:00:00.000Z"}),
        (
            {"body": "ж" * 71, "send_at": "2026-03-01T00:00:00Z"},
            {"body": "ж" * 71, "send_at": "2026-03-01T00:00:00.000Z", "segments": 2, "encoding": "ucs2"},
        ),
    ],
    ids=["body", "to", "list-of-one", "send_at", "two"],
)
def test_put_changes_what_is_given_and_nothing_else(
    client: FlaskClient, send: Callable[..., Any], change: dict[str, Any], shown: dict[str, Any]
) -> None:
    scheduled = send(send_at=LATER)
    address = f"/v1/messages/{scheduled['id']}"

    response = client.put(address, json=change)

    assert response.status_code == 200
    assert response.get_json() == {"message": {**scheduled, **shown}}
    assert client.get(address).get_json() == response.get_json()


def test_put_does_not_change_what_may_not_change(client: FlaskClient, send: Callable[..., Any]) -> None:
    scheduled = send(send_at=LATER)

    response = client.put(
        f"/v1/messages/{scheduled['id']}",
        json={"body": "Changed", "origin": "SHOP", "state": "sent", "id": "mine", "direction": "inbound"},
    )

    assert response.get_json() == {"message": {**scheduled, "body": "Changed"}}


class NotingGateway(OnceGateway):
    """A gateway that takes all messages and records them."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, str]] = []

    def act(self, message: OutboundMessage) -> None:
        self.taken.append((message.to, message.body))


def test_a_changed_message_goes_out_as_changed_at_its_new_time(
    make_app: Callable[..., Flask], clock: FakeClock, deliver: Callable[..., int]
) -> None:
    gateway = NotingGateway()
    app = make_app(gateway=gateway)
    client = app.test_client()
    scheduled = client.post("/v1/messages", json={**GOOD, "send_at": LATER}).get_json()["message"]
    client.put(
        f"/v1/messages/{scheduled['id']}",
        json={"to": "+442071838750", "body": "Changed", "send_at": "2026-02-01T13:00:00Z"},
    )
    clock.advance(SECONDS_UNTIL_LATER)
    deliver(app)
    assert gateway.taken == []

    clock.advance(3_600)
    deliver(app)

    assert gateway.taken == [("+442071838750", "Changed")]


def test_a_message_may_be_brought_forward(
    client: FlaskClient, send: Callable[..., Any], deliver: Callable[..., int], clock: FakeClock
) -> None:
    address = f"/v1/messages/{send(send_at=LATER)['id']}"

    client.put(address, json={"send_at": "2026-01-31T09:31:00Z"})
    clock.advance(60)
    deliver()

    assert client.get(address).get_json()["message"]["state"] == "sent"


def test_a_recipient_that_the_gateway_refuses_is_402_in_a_change_and_nothing_changes(
    client: FlaskClient, send: Callable[..., Any]
) -> None:
    scheduled = send(send_at=LATER)
    address = f"/v1/messages/{scheduled['id']}"

    response = client.put(address, json={"to": "+15005550001", "body": "Changed"})

    assert response.status_code == 402
    assert faults_of(response) == [("invalid_number", "to")]
    assert client.get(address).get_json() == {"message": scheduled}


too_late = pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("PUT", {"body": "Changed"}),
        ("PUT", {"to": "+442071838750"}),
        ("PUT", {"send_at": "2026-03-01T00:00:00Z"}),
        ("DELETE", {}),
        ("DESTROY", {}),
    ],
)


def assert_too_late(client: FlaskClient, id_: str, method: str, arguments: dict[str, Any]) -> None:
    before = client.get(f"/v1/messages/{id_}").get_json()

    response = client.open(f"/v1/messages/{id_}", method=method, json=arguments)

    assert response.status_code == 402
    assert faults_of(response) == [("message_not_waiting", None)]
    assert client.get(f"/v1/messages/{id_}").get_json() == before


@too_late
def test_it_is_too_late_for_a_message_that_never_waited(
    client: FlaskClient, send: Callable[..., Any], method: str, arguments: dict[str, Any]
) -> None:
    assert_too_late(client, send()["id"], method, arguments)


@too_late
def test_it_is_too_late_once_the_time_has_come(
    client: FlaskClient, send: Callable[..., Any], clock: FakeClock, method: str, arguments: dict[str, Any]
) -> None:
    id_ = send(send_at=LATER)["id"]
    clock.advance(SECONDS_UNTIL_LATER)

    assert_too_late(client, id_, method, arguments)


@too_late
def test_it_is_too_late_for_a_sent_message(
    client: FlaskClient,
    send: Callable[..., Any],
    deliver: Callable[..., int],
    clock: FakeClock,
    method: str,
    arguments: dict[str, Any],
) -> None:
    id_ = send(send_at=LATER)["id"]
    clock.advance(SECONDS_UNTIL_LATER)
    deliver()

    assert_too_late(client, id_, method, arguments)


@too_late
def test_it_is_too_late_for_a_message_in_error(
    client: FlaskClient, send: Callable[..., Any], method: str, arguments: dict[str, Any]
) -> None:
    assert_too_late(client, send("+15005550001", send_at=LATER)["id"], method, arguments)


@too_late
def test_it_is_too_late_for_a_received_message(client: FlaskClient, method: str, arguments: dict[str, Any]) -> None:
    received = client.post("/sandbox/inbound", json={"from": "+14560000000", "to": "12345", "body": "Hi"})

    assert_too_late(client, received.get_json()["message"]["id"], method, arguments)


@too_late
def test_it_is_too_late_for_a_message_between_two_attempts(
    client: FlaskClient,
    send: Callable[..., Any],
    deliver: Callable[..., int],
    clock: FakeClock,
    method: str,
    arguments: dict[str, Any],
) -> None:
    id_ = send("+15005550010", send_at=LATER)["id"]
    clock.advance(SECONDS_UNTIL_LATER)
    deliver()

    assert_too_late(client, id_, method, arguments)


# Cancelling


def test_delete_answers_the_message_and_removes_it(client: FlaskClient, send: Callable[..., Any]) -> None:
    kept = send()
    scheduled = send(send_at=LATER)
    address = f"/v1/messages/{scheduled['id']}"

    response = client.delete(address)

    assert response.status_code == 200
    assert response.get_json() == {"message": scheduled}
    assert client.get(address).status_code == 404
    assert client.put(address, json={"body": "Changed"}).status_code == 404
    assert client.delete(address).status_code == 404
    assert list_ids(client) == [kept["id"]]


def test_a_cancelled_message_never_goes_out(
    make_app: Callable[..., Flask], clock: FakeClock, deliver: Callable[..., int]
) -> None:
    gateway = NotingGateway()
    app = make_app(gateway=gateway)
    client = app.test_client()
    scheduled = client.post("/v1/messages", json={**GOOD, "send_at": LATER}).get_json()["message"]
    client.delete(f"/v1/messages/{scheduled['id']}")

    clock.advance(SECONDS_UNTIL_LATER + 1)
    deliver(app)

    assert gateway.taken == []


# Final states


def test_a_message_accepted_by_one_process_is_delivered_by_another(
    make_app: Callable[..., Flask], client: FlaskClient, send: Callable[..., Any], deliver: Callable[..., int]
) -> None:
    address = f"/v1/messages/{send()['id']}"

    deliver(make_app())

    assert client.get(address).get_json()["message"]["state"] == "sent"


def test_every_message_of_many_reaches_a_final_state(client: FlaskClient, deliver: Callable[..., int]) -> None:
    client.post("/v1/messages", json={"to": THOUSAND[:350], "body": "Hello"})

    deliver()

    listed = client.get("/v1/messages?limit=1000").get_json()["messages"]
    assert [message["state"] for message in listed] == ["sent"] * 350


class CutOffGateway(NotingGateway):
    """A gateway whose process dies during the first call."""

    repeatable = True

    def act(self, message: OutboundMessage) -> None:
        super().act(message)
        if len(self.taken) == 1:
            raise SystemExit


def test_what_a_crash_left_is_taken_up_when_its_lease_ends(
    make_app: Callable[..., Flask], clock: FakeClock, deliver: Callable[..., int]
) -> None:
    gateway = CutOffGateway()
    app = make_app(gateway=gateway, LEASE="30")
    client = app.test_client()
    client.post("/v1/messages", json={"to": ["+14560000000", "+14560000001"], "body": "Hello"})
    with pytest.raises(SystemExit):
        deliver(app)
    assert [message["state"] for message in client.get("/v1/messages").get_json()["messages"]] == ["unconfirmed"] * 2

    clock.advance(30)
    deliver(app)

    assert [message["state"] for message in client.get("/v1/messages").get_json()["messages"]] == ["sent"] * 2


class FailingGateway(OnceGateway):
    """A gateway that is never available. It records the time of each call."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.asked: list[float] = []

    def act(self, message: OutboundMessage) -> Later:
        self.asked.append(self.clock.monotonic())
        return Later()


def test_a_transient_failure_is_retried_with_growing_delays(
    make_app: Callable[..., Flask], clock: FakeClock, deliver: Callable[..., int]
) -> None:
    gateway = FailingGateway(clock)
    app = make_app(gateway=gateway)
    app.test_client().post("/v1/messages", json=GOOD)

    for _ in range(240):
        deliver(app)
        clock.advance(0.5)

    delays = [later - earlier for earlier, later in pairwise(gateway.asked)]
    assert len(delays) >= 5
    assert delays[-1] >= 8 * delays[0]
    assert all(later >= earlier for earlier, later in pairwise(delays))


def test_a_message_that_never_gets_through_ends_in_error_with_its_validity(
    make_app: Callable[..., Flask], clock: FakeClock, deliver: Callable[..., int]
) -> None:
    gateway = FailingGateway(clock)
    app = make_app(gateway=gateway, VALIDITY="3600")
    client = app.test_client()
    address = f"/v1/messages/{client.post('/v1/messages', json=GOOD).get_json()['message']['id']}"

    for _ in range(360):
        deliver(app)
        clock.advance(10)
    assert client.get(address).get_json()["message"]["state"] == "unconfirmed"
    deliver(app)

    message = client.get(address).get_json()["message"]
    assert message["state"] == "error"
    assert [error["type"] for error in message["errors"]] == ["validity_expired"]
    assert deliver(app) == 0


@pytest.mark.parametrize("origin", ["Test-SM", "AT&T", "Größe", "a{}[]|"])
def test_a_sender_of_the_gsm_alphabet_is_answered_and_found_again(client: FlaskClient, origin: str) -> None:
    response = client.post("/v1/messages", data={"to": "+14560000000", "body": "Hello", "origin": origin})

    assert response.status_code == 201
    assert response.get_json()["message"]["origin"]["number"] == origin
    found = client.get("/v1/messages", query_string={"origin": origin}).get_json()["messages"]
    assert [message["origin"]["number"] for message in found] == [origin]


@pytest.mark.parametrize(
    ("to", "number"),
    [("+4900175757612", "+49175757612"), ("+47580000123456", "+47580000123456"), ("+447400123456", "+447400123456")],
)
def test_the_number_of_an_answer_finds_its_message(client: FlaskClient, to: str, number: str) -> None:
    sent = client.post("/v1/messages", data={"to": to, "body": "Hello"}).get_json()["message"]
    assert sent["to"] == number
    for given in (to, number):
        found = client.get("/v1/messages", query_string={"to": given}).get_json()["messages"]
        assert [message["id"] for message in found] == [sent["id"]]


def test_a_number_with_more_than_a_national_prefix_too_many_is_refused(client: FlaskClient) -> None:
    response = client.post("/v1/messages", data={"to": "+86123456789012", "body": "Hello"})

    assert response.status_code == 400
    assert [(fault["type"], fault["param"]) for fault in response.get_json()["errors"]] == [("invalid_msisdn", "to")]


def test_a_reader_who_passes_the_newest_id_seen_misses_none_of_200_at_once(client: FlaskClient) -> None:
    first = client.post("/v1/messages", json=GOOD).get_json()["message"]["id"]
    to = [f"+1456000{number:04}" for number in range(200)]
    sent = client.post("/v1/messages", json={"to": to, "body": "Hello"}).get_json()["messages"]
    seen = [first]
    while page := client.get("/v1/messages", query_string={"after": seen[-1]}).get_json()["messages"]:
        seen += [message["id"] for message in reversed(page)]

    assert seen == [first, *(message["id"] for message in sent)]


@pytest.mark.parametrize(
    ("send_at", "shown"),
    [
        ("0001-01-01T00:17:01+05:49", "0001-01-01T00:00:00.000Z"),
        ("2030-01-01t00:00:00z", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01 00:00:00.5+0100", "2029-12-31T23:00:00.500Z"),
    ],
)
def test_a_time_may_have_any_form_of_rfc_3339(client: FlaskClient, send_at: str, shown: str) -> None:
    response = client.post("/v1/messages", json={**GOOD, "send_at": send_at})

    assert response.status_code == 201
    assert response.get_json()["message"]["send_at"] == shown


@pytest.mark.parametrize("send_at", ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-12:00"])
def test_the_last_possible_time_can_be_waited_for(client: FlaskClient, send_at: str) -> None:
    response = client.post("/v1/messages", json={**GOOD, "send_at": send_at})

    assert response.status_code == 201
    assert response.get_json()["message"]["send_at"] == "9999-12-31T23:59:59.999Z"
