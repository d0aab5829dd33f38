"""Tests of /v1/subscriptions, and of opting out with the API."""

import pytest

from tests.support.app import faults_of

PHONE = "+14560000000"
PATH = f"/v1/subscriptions/{PHONE}"


def say(client, body, sender=PHONE):
    return client.post("/sandbox/inbound", json={"from": sender, "to": "+15005550006", "body": body})


def test_a_phone_is_subscribed_at_first(client):
    response = client.get(PATH)
    assert response.status_code == 200
    assert response.get_json() == {
        "subscription": {
            "number": PHONE,
            "country": "US",
            "carrier": None,
            "subscribed": True,
            "changed_at": None,
            "reason": None,
        }
    }


def test_unsubscribing_opts_out_and_says_ok(client):
    response = client.post(f"{PATH}/unsubscribe")
    assert (response.status_code, response.get_json()) == (200, {"result": "OK"})
    subscription = client.get(PATH).get_json()["subscription"]
    assert (subscription["subscribed"], subscription["changed_at"], subscription["reason"]) == (
        False,
        "2026-01-31T09:30:00.000Z",
        "api",
    )


def test_unsubscribing_twice_says_ok_twice(client, clock):
    client.post(f"{PATH}/unsubscribe")
    clock.advance(60)
    assert client.post(f"{PATH}/unsubscribe").get_json() == {"result": "OK"}
    assert client.get(PATH).get_json()["subscription"]["changed_at"] == "2026-01-31T09:30:00.000Z"


def test_messages_to_it_are_402_and_kept_in_error(client):
    client.post(f"{PATH}/unsubscribe")
    response = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    assert response.status_code == 402
    assert faults_of(response) == [("opted_out", "to")]
    message = response.get_json()["message"]
    assert (message["state"], [error["type"] for error in message["errors"]]) == ("error", ["opted_out"])
    assert client.get(f"/v1/messages/{message['id']}").get_json()["message"] == message


def test_start_opts_in_again(client):
    client.post(f"{PATH}/unsubscribe")
    say(client, "START")
    assert client.get(PATH).get_json()["subscription"]["reason"] == "keyword"
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 201


def test_stop_opts_out(client):
    assert say(client, " stop! ").status_code == 201
    assert client.get(PATH).get_json()["subscription"]["subscribed"] is False
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 402


@pytest.mark.parametrize("way", ["json", "data", "query_string"])
def test_arguments_that_it_does_not_need_are_ignored(client, way):
    response = client.post(f"{PATH}/unsubscribe", **{way: {"business": "12", "app": "x"}})
    assert response.get_json() == {"result": "OK"}


@pytest.mark.parametrize("path", ["/v1/subscriptions/12345", "/v1/subscriptions/x", "/v1/subscriptions/+1"])
def test_what_is_no_number_is_a_wrong_argument(client, path):
    assert faults_of(client.get(path)) == [("invalid_msisdn", "msisdn")]
    response = client.post(f"{path}/unsubscribe")
    assert response.status_code == 400
    assert faults_of(response) == [("invalid_msisdn", "msisdn")]


def test_asking_changes_nothing(client):
    assert client.get(f"{PATH}/unsubscribe").status_code == 405
    assert client.get(PATH).get_json()["subscription"]["subscribed"] is True


def test_a_body_that_can_not_be_read_is_no_reason_to_go_on_writing(client):
    client.post(f"{PATH}/unsubscribe", data="{", content_type="application/json")
    assert client.get(PATH).get_json()["subscription"]["subscribed"] is False


def test_the_list_has_phones_of_messages_then_others(client, send):
    send("+14560000001")
    send("+14560000002")
    client.post("/v1/subscriptions/+14560000009/unsubscribe")
    client.post("/v1/subscriptions/+14560000001/unsubscribe")
    found = client.get("/v1/subscriptions").get_json()["subscriptions"]
    assert [(one["number"][-1], one["subscribed"]) for one in found] == [("2", True), ("1", False), ("9", False)]
    assert found == [client.get(f"/v1/subscriptions/{one['number']}").get_json()["subscription"] for one in found]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_are_the_list(client, send, limit):
    for number in "123":
        send(f"+1456000000{number}")
    for number in "789":
        client.post(f"/v1/subscriptions/+1456000000{number}/unsubscribe")
    pages = []
    for offset in range(0, 7, limit):
        page = client.get(f"/v1/subscriptions?offset={offset}&limit={limit}").get_json()["subscriptions"]
        assert len(page) <= limit
        pages += [one["number"][-1] for one in page]
    assert pages == ["3", "2", "1", "7", "8", "9"]


def test_opting_out_is_refused_and_nothing_stored_where_the_store_can_t_take_it(client, lock_database):
    client.get(PATH)
    locker = lock_database()
    response = client.post(f"{PATH}/unsubscribe")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    locker.execute("ROLLBACK")
    locker.close()
    assert client.get(PATH).get_json()["subscription"]["subscribed"] is True
