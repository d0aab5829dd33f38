"""Tests of /v1/phones."""

import pytest

from tests.support.app import faults_of

PHONE = "+14560000000"


def test_a_phone_is_shown_with_all_that_is_known(client):
    response = client.get("/v1/phones/+491701234567")
    assert response.status_code == 200
    assert response.get_json() == {
        "phone": {
            "number": "+491701234567",
            "country": "DE",
            "carrier": "T-Mobile",
            "type": "mobile",
            "valid": True,
            "subscribed": True,
        }
    }


@pytest.mark.parametrize(
    ("number", "country", "type_", "valid"),
    [
        ("+14560000000", "US", "unknown", False),
        ("+12015550123", "US", "fixed_line_or_mobile", True),
        ("+442083661177", "GB", "fixed_line", True),
        ("+80012345678", None, "toll_free", True),
        ("+491701234567", "DE", "mobile", True),
    ],
)
def test_the_numbering_plan_tells_type_and_country(client, number, country, type_, valid):
    phone = client.get(f"/v1/phones/{number}").get_json()["phone"]
    assert (phone["number"], phone["country"], phone["type"], phone["valid"]) == (number, country, type_, valid)


@pytest.mark.parametrize("path", ["%2B14560000000", "+14560000000", "%2b14560000000", " 14560000000", "+14560000000/"])
def test_the_plus_sign_may_be_escaped_in_any_way(client, path):
    assert client.get(f"/v1/phones/{path}").get_json()["phone"]["number"] == PHONE


def test_a_national_prefix_in_the_wrong_place_is_left_out(client):
    assert client.get("/v1/phones/+4407700900000").get_json()["phone"]["number"] == "+447700900000"


@pytest.mark.parametrize(
    "path",
    [
        "14560000000",
        "phone",
        "+",
        "+1",
        "+999123456789",
        "12345",
        "+1456000000000000",
        "++14560000000",
        "%00",
        "+1456x",
    ],
)
def test_what_is_no_number_is_a_wrong_argument(client, path):
    response = client.get(f"/v1/phones/{path}")
    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "msisdn")]


def test_whether_it_is_subscribed_is_shown(client):
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    assert client.get(f"/v1/phones/{PHONE}").get_json()["phone"]["subscribed"] is False
    assert client.get("/v1/phones/+14560000001").get_json()["phone"]["subscribed"] is True


def test_another_method_is_405(client):
    response = client.post(f"/v1/phones/{PHONE}")
    assert response.status_code == 405
    assert sorted(response.headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS"]


# The list


def numbers(response):
    return [phone["number"] for phone in response.get_json()["phones"]]


def test_without_messages_there_are_no_phones(client):
    assert client.get("/v1/phones").get_json() == {"phones": []}


def test_phones_are_listed_by_their_latest_message_each_once(client, send):
    for number in ("1", "2", "3", "1"):
        send(f"+1456000000{number}")
    client.post("/sandbox/inbound", json={"from": "+14560000009", "to": "+15005550006", "body": "Hello"})
    assert numbers(client.get("/v1/phones")) == ["+14560000009", "+14560000001", "+14560000003", "+14560000002"]


def test_a_phone_that_only_opted_out_was_not_written_to(client):
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    assert numbers(client.get("/v1/phones")) == []


def test_short_codes_and_alphanumeric_senders_are_no_phones(client):
    for sender in ("12345", "SHOP"):
        client.post("/sandbox/inbound", json={"from": sender, "to": "+15005550006", "body": "Hello"})
    assert numbers(client.get("/v1/phones")) == []


def test_every_phone_of_the_list_can_be_retrieved_and_is_the_same(client, send):
    send("+447700900000")
    send(PHONE)
    client.post(f"/v1/subscriptions/{PHONE}/unsubscribe")
    listed = client.get("/v1/phones").get_json()["phones"]
    assert listed == [client.get(f"/v1/phones/{phone['number']}").get_json()["phone"] for phone in listed]
    assert len(listed) == 2


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_are_the_list(client, send, limit):
    for number in range(5):
        send(f"+1456000000{number}")
    paged = []
    for offset in range(0, 6, limit):
        paged += numbers(client.get(f"/v1/phones?offset={offset}&limit={limit}"))
    assert paged == [f"+1456000000{number}" for number in (4, 3, 2, 1, 0)]


def test_there_are_fifty_phones_on_a_page_by_default(client):
    client.post("/v1/messages", json={"to": [f"+145600000{number:02}" for number in range(60)], "body": "Hello"})
    assert len(numbers(client.get("/v1/phones"))) == 50
    assert len(numbers(client.get("/v1/phones?limit=1000"))) == 60


@pytest.mark.parametrize("resource", ["phones", "subscriptions"])
@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("limit=0", ("invalid_limit", "limit")),
        ("limit=1001", ("invalid_limit", "limit")),
        ("offset=-1", ("invalid_offset", "offset")),
        ("offset=x", ("invalid_offset", "offset")),
        ("offset=99999999999", ("invalid_offset", "offset")),
        ("limit=1&limit=2", ("repeated_argument", "limit")),
    ],
)
def test_paging_is_checked_as_that_of_messages(client, resource, query, fault):
    response = client.get(f"/v1/{resource}?{query}")
    assert response.status_code == 400
    assert faults_of(response) == [fault]


@pytest.mark.parametrize("resource", ["phones", "subscriptions"])
def test_all_faults_of_paging_are_reported_together_and_the_greatest_offset_is_one(client, resource):
    assert len(faults_of(client.get(f"/v1/{resource}?limit=0&offset=-1"))) == 2
    assert client.get(f"/v1/{resource}?offset=2147483647").get_json() == {resource: []}


def test_arguments_nobody_knows_are_ignored(client, send):
    send()
    assert numbers(client.get("/v1/phones?business=12&app=x")) == [PHONE]
    assert client.get(f"/v1/phones/{PHONE}?business=12&app=x").status_code == 200


def test_a_scheduled_message_that_was_cancelled_leaves_no_phone(client, send):
    message = send(send_at="2026-02-01T00:00:00Z")
    assert numbers(client.get("/v1/phones")) == [PHONE]
    client.delete(f"/v1/messages/{message['id']}")
    assert numbers(client.get("/v1/phones")) == []
    assert client.get("/v1/subscriptions").get_json() == {"subscriptions": []}


def test_a_scheduled_message_that_was_turned_to_another_phone_takes_its_phone_along(client, send):
    send("+14560000001")
    message = send(send_at="2026-02-01T00:00:00Z")
    assert numbers(client.get("/v1/phones")) == [PHONE, "+14560000001"]
    client.put(f"/v1/messages/{message['id']}", json={"to": "+14560000002"})
    assert numbers(client.get("/v1/phones")) == ["+14560000002", "+14560000001"]
    assert numbers(client.get("/v1/phones?limit=1")) == ["+14560000002"]
    assert numbers(client.get("/v1/phones?limit=1&offset=1")) == ["+14560000001"]
