"""The request GET /sandbox/problems: what went wrong without a message that shows it."""

from tests.support.receivers import status
from tests.support.twilio import OWN, PHONE

PATH = "/sandbox/problems"


def list_texts(client) -> list[str]:
    return [problem["text"] for problem in client.get(PATH).json["problems"]]


def test_an_account_without_problems_has_an_empty_list(client, send, deliver):
    send()
    deliver()
    assert client.get(PATH).json == {"problems": []}


def test_a_refused_request_is_a_problem_with_its_age(client, twilio, clock):
    twilio.refuse(To="123")
    clock.advance(1.5)
    twilio.refuse(To=None)
    assert client.get(PATH).json["problems"] == [
        {
            "at": "2026-01-31T09:30:00.000Z",
            "seconds_ago": 1.5,
            "text": "refused message to 123: 21211 The 'To' number 123 is not a valid phone number.",
        },
        {
            "at": "2026-01-31T09:30:01.500Z",
            "seconds_ago": 0.0,
            "text": "refused message to no number: 21604 A 'To' phone number is required.",
        },
    ]


def test_a_webhook_is_a_problem_until_an_attempt_gets_a_good_answer(
    client, operator, send, deliver, post_due, receiver, clock
):
    operator.set_webhook(receiver.url)
    receiver.act = status(503)
    send()
    deliver()
    assert list_texts(client) == []  # it was not posted yet
    post_due()
    assert list_texts(client) == [f"webhook message.sent to {receiver.url}: 503"]
    receiver.act = status(204)
    clock.advance(60)
    post_due()
    assert list_texts(client) == []


def test_a_warning_about_twiml_is_a_problem(client, operator, post_due, receiver):
    operator.run("twilio", "set-inbound", receiver.url)
    receiver.act = status(200, "Content-Type: text/xml", body="<Response><Say>Hello</Say></Response>")
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "Hi"})
    post_due()
    (text,) = list_texts(client)
    assert text.startswith(f"webhook twilio.received to {receiver.url}: 200, 12200: ")


def test_an_event_that_was_cancelled_before_an_attempt_is_no_problem(client, operator, send, deliver, receiver):
    operator.set_webhook(receiver.url)
    send()
    deliver()
    client.delete("/sandbox/messages")
    assert [one["state"] for one in operator.list_deliveries()] == ["failed"]
    assert list_texts(client) == []


def test_only_the_latest_problems_are_listed(client, twilio):
    for number in range(25):
        twilio.refuse(To=f"{number}")
    texts = list_texts(client)
    assert (len(texts), texts[0].split(":")[0], texts[-1].split(":")[0]) == (
        20,
        "refused message to 5",
        "refused message to 24",
    )


def test_problems_of_other_accounts_are_not_listed(stranger, twilio):
    twilio.refuse(To="123")
    assert list_texts(stranger) == []
