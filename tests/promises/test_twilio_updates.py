"""The Twilio-compatible API: updating and removing messages."""

import json

from tests.support.twilio import MG, OWN, PHONE, read_error

SCHEDULED = {"MessagingServiceSid": MG, "ScheduleType": "fixed", "SendAt": "2026-01-31T10:00:00Z"}


# Update


def test_a_scheduled_message_is_cancelled_and_is_an_error_in_v1(twilio, client, deliver, clock):
    sent = twilio.create(**SCHEDULED)
    answer = twilio.call("POST", sent["uri"], {"Status": "canceled"})
    assert (answer.status_code, answer.get_json()["status"]) == (200, "canceled")
    ended = twilio.get(sent["uri"])
    assert ended == answer.get_json()
    assert (ended["date_sent"], ended["price"], ended["error_code"]) == (None, None, None)
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert (message["state"], message["errors"][0]["type"]) == ("error", "canceled")
    clock.advance(86_400)
    assert deliver() == 0
    assert read_error(twilio.call("POST", sent["uri"], {"Status": "canceled"}))[:2] == (400, 30409)


def test_only_a_scheduled_message_is_cancelled(twilio, deliver):
    sent = twilio.create()
    expected = (400, 30409, "The message is not scheduled, so it can't be canceled.")
    assert read_error(twilio.call("POST", sent["uri"], {"Status": "canceled"})) == expected
    deliver()
    assert read_error(twilio.call("POST", sent["uri"], {"Status": "canceled"})) == expected
    refused = read_error(twilio.call("POST", sent["uri"], {"Status": "sent"}))
    assert refused == (400, 20001, "The parameter 'Status' must have the value 'canceled'.")


def test_the_body_of_a_final_message_is_emptied(twilio, client, deliver):
    sent = twilio.create(Body="The code is 123456")
    expected = (400, 20009, "The message is not in a final state, so it can't be redacted.")
    assert read_error(twilio.call("POST", sent["uri"], {"Body": ""})) == expected
    deliver()
    refused = read_error(twilio.call("POST", sent["uri"], {"Body": "Another"}))
    assert refused == (
        400,
        20001,
        "You can remove the body of a message, but you can't change it. The parameter 'Body' must be empty.",
    )
    before = twilio.get(sent["uri"])
    answer = twilio.call("POST", sent["uri"], {"Body": ""})
    assert (answer.status_code, answer.get_json()) == (200, {**before, "body": ""})
    assert twilio.get(sent["uri"])["body"] == ""
    assert client.get("/v1/messages").get_json()["messages"][0]["body"] == ""


def test_the_body_is_emptied_in_stored_webhooks_too(twilio, client, operator, deliver, execute, receiver):
    operator.set_webhook(receiver.url)
    operator.run("twilio", "set-inbound", receiver.url)
    twilio.create(Body="Secret 1")
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Secret 2"})
    deliver()
    twilio.create(Body="Another")
    messages = twilio.list()["messages"]
    assert str(execute("SELECT payload FROM webhook_deliveries")).count("Secret") == 3
    for message in messages[1:]:
        twilio.call("POST", message["uri"], {"Body": ""})
    deliver()
    payloads = [json.loads(payload) for (payload,) in execute("SELECT payload FROM webhook_deliveries ORDER BY seq")]
    assert "Secret" not in str(payloads)
    bodies = [one["data"]["message"]["body"] if "data" in one else one["parameters"]["Body"] for one in payloads]
    assert sorted(bodies) == ["", "", "", "Another"]


def test_an_emptied_message_counts_as_one_segment(twilio, deliver):
    sent = twilio.create(Body="a" * 400)
    deliver()
    twilio.call("POST", sent["uri"], {"Body": ""})
    redacted = twilio.get(sent["uri"])
    assert (redacted["body"], redacted["num_segments"], redacted["price"]) == ("", "1", "-0.00830")


def test_a_message_that_is_cancelled_can_be_emptied_in_the_same_request(twilio):
    sent = twilio.create(**SCHEDULED)
    answer = twilio.call("POST", sent["uri"], {"Status": "canceled", "Body": ""}).get_json()
    assert (answer["status"], answer["body"]) == ("canceled", "")


def test_a_received_message_can_be_emptied_and_removed(twilio, client):
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hello"})
    (received,) = twilio.list()["messages"]
    assert twilio.call("POST", received["uri"], {"Body": ""}).get_json()["body"] == ""
    assert twilio.call("DELETE", received["uri"]).status_code == 204


def test_an_update_without_parameters_changes_nothing(twilio):
    sent = twilio.create()
    assert twilio.call("POST", sent["uri"], {}).get_json() == sent


def test_the_body_is_emptied_at_the_end_if_it_is_to_be_discarded(twilio, client, deliver):
    sent = [
        twilio.create(ContentRetention="discard", To=to, **more)
        for to, more in ((PHONE, {}), ("+15005550023", {}), ("+15005550012", {}), (PHONE, SCHEDULED))
    ]
    kept = twilio.create(ContentRetention="retain")
    assert {one["body"] for one in sent} == {"Hello"}
    deliver()
    twilio.call("POST", sent[3]["uri"], {"Status": "canceled"})
    assert [twilio.get(one["uri"])["body"] for one in sent] == ["", "", "Hello", ""]
    assert twilio.get(kept["uri"])["body"] == "Hello"


# Delete


def test_a_final_message_is_removed(twilio, client, deliver):
    sent = twilio.create()
    expected = (400, 20009, "The message is not in a final state, so it can't be deleted.")
    assert read_error(twilio.call("DELETE", sent["uri"])) == expected
    deliver()
    answer = twilio.call("DELETE", sent["uri"])
    assert (answer.status_code, answer.get_data()) == (204, b"")
    for method in ("GET", "DELETE"):
        missing = read_error(twilio.call(method, sent["uri"]))
        assert missing == (404, 20404, f"The requested resource {sent['uri']} was not found")
    assert client.get("/v1/messages").get_json()["messages"] == []
