"""Tests with the requests of the original service's published client.

It sends form-encoded POST and GET with a query, and adds the same values to each request.
"""

import json
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.support.app import KEY

PHONE = "+14560000000"
ALWAYS = {"api_key": KEY, "business": "4711", "app": "shop"}


class Client:
    """Sends requests and reads answers as the published client does."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/v1"

    def get(self, path, **arguments):
        return self._read(f"{self.base}{path}?{urllib.parse.urlencode({**ALWAYS, **arguments})}", None)

    def post(self, path, **arguments):
        return self._read(f"{self.base}{path}", urllib.parse.urlencode({**ALWAYS, **arguments}).encode())

    def _read(self, address, data):
        try:
            response = urllib.request.urlopen(urllib.request.Request(address, data), timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            assert response.headers.get_content_type() == "application/json"
            return response.status, json.load(response)


@pytest.fixture
def published(start):
    return Client(start().port)


def test_every_call_of_the_published_client_works_unchanged(published):
    # A message is sent and shown.
    status, answer = published.post("/messages", to=PHONE, body="Hello & welcome, ñ €")
    assert status == 201
    message = answer["message"]
    assert {"id", "body", "to", "origin", "phone", "state", "created_at"} <= set(message)
    assert (message["body"], message["to"], message["state"]) == ("Hello & welcome, ñ €", PHONE, "unconfirmed")
    assert message["phone"] == {"number": PHONE, "country": "US", "carrier": None}
    status, answer = published.get(f"/messages/{message['id']}")
    assert (status, answer["message"]["id"], answer["message"]["body"]) == (200, message["id"], message["body"])

    # Messages are listed in pages.
    for number in range(1, 5):
        assert published.post("/messages", to=f"+1456000000{number}", body=f"No. {number}")[0] == 201
    status, answer = published.get("/messages")
    assert status == 200
    assert [one["body"] for one in answer["messages"]] == ["No. 4", "No. 3", "No. 2", "No. 1", message["body"]]
    status, answer = published.get("/messages", limit=2, offset=1)
    assert [one["body"] for one in answer["messages"]] == ["No. 3", "No. 2"]

    # Phones.
    status, answer = published.get(f"/phones/{PHONE}")
    assert (status, answer["phone"]["number"], answer["phone"]["country"]) == (200, PHONE, "US")
    status, answer = published.get("/phones", limit=2, offset=0)
    assert (status, [one["number"] for one in answer["phones"]]) == (200, ["+14560000004", "+14560000003"])
    assert len(published.get("/phones")[1]["phones"]) == 5

    # Subscriptions.
    status, answer = published.get(f"/subscriptions/{PHONE}")
    assert (status, answer["subscription"]["number"], answer["subscription"]["subscribed"]) == (200, PHONE, True)
    assert published.post(f"/subscriptions/{PHONE}/unsubscribe") == (200, {"result": "OK"})
    assert published.get(f"/subscriptions/{PHONE}")[1]["subscription"]["subscribed"] is False
    status, answer = published.get("/subscriptions", limit=10, offset=0)
    assert status == 200
    assert {one["number"]: one["subscribed"] for one in answer["subscriptions"]}[PHONE] is False
    assert len(answer["subscriptions"]) == 5

    # A failure is a collection of errors with type and title.
    status, answer = published.post("/messages", to=PHONE, body="Hello")
    assert (status, [set(error) for error in answer["errors"]]) == (402, [{"type", "title", "param"}])
    status, answer = published.post("/messages", to="4560000000", body="")
    assert (status, len(answer["errors"])) == (400, 2)
    status, answer = published.get("/messages/unknown")
    assert (status, answer["errors"][0]["type"]) == (404, "not_found")


@pytest.mark.parametrize("number", ["%2B14560000000", "+14560000000", "%2b14560000000"])
def test_a_number_in_an_address_may_be_escaped_or_not(published, number):
    assert published.get(f"/phones/{number}")[1]["phone"]["number"] == PHONE
    assert published.post(f"/subscriptions/{number}/unsubscribe") == (200, {"result": "OK"})


def test_a_wrong_key_is_401(published, monkeypatch):
    monkeypatch.setitem(ALWAYS, "api_key", "wrong")
    for call in (published.get, published.post):
        status, answer = call("/messages")
        assert (status, answer["errors"][0]["type"]) == (401, "unauthorized")
