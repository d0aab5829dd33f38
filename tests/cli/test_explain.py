"""The command `explain`: the way of one message."""

import json
import re
from contextvars import Context

import pytest

from phonify.gateways.base import Later
from tests.support.fake_gateway import OnceGateway

TO = "+14560000000"


@pytest.fixture
def explain(runner):
    """Return a function that runs the command; it returns what it prints."""

    def explain(message_id: str, *options: str, status: int = 0) -> str:
        result = runner.invoke(args=["explain", message_id, *options])
        assert result.exit_code == status, result.output
        return result.output

    return explain


def test_a_message_is_explained_from_its_request_to_its_webhook(client, operator, receiver, explain, deliver, post_due):
    operator.set_webhook(receiver.url)
    answer = client.post("/v1/messages", json={"to": TO, "body": "Hello"}, headers={"X-Request-Id": "order-7"})
    deliver()
    post_due()
    lines = explain(answer.json["message"]["id"]).splitlines()
    assert lines[0] == "outbound message of the account 'default', +15005550006 > +14560000000, in state sent"
    assert [re.split(" {2,}", line, maxsplit=1)[1] for line in lines[2:]] == [
        "STEP",
        "Accepted and stored",
        "Request order-7",
        "Key 1, PHONIFY_API_KEY",
        "For the gateway stub",
        "It passed the checks: number, gateway, opt-out, quota",
        "Attempt 1: the gateway accepted the message",
        "Webhook message.sent: delivered",
        lines[-1].split("  ")[-1],
    ]
    assert re.search(r"  attempt 1: 204 in \d+ ms$", lines[-1])
    assert all(line.startswith("2026-01-31T09:30:00.000Z  ") for line in lines[3:-1])


def test_the_steps_are_shown_as_json(send, explain):
    steps = [json.loads(line) for line in explain(send()["id"], "--json").splitlines()]
    assert [(step["text"], step["state"]) for step in steps] == [
        ("Accepted and stored", "done"),
        ("End of the validity period", "waiting"),
    ]
    assert steps[0]["parts"][1] == {"at": "2026-01-31T09:30:00.000Z", "text": "Key 1, PHONIFY_API_KEY"}


def test_a_refusal_at_once_is_a_failed_check(send, explain):
    shown = explain(send("+15005550001")["id"])
    assert "A check refused it" in shown
    assert "Failed: The gateway refuses this number as invalid." in shown


def test_a_message_of_a_command_has_no_request_and_no_key(operator, explain):
    (message,) = Context().run(operator.show, "send", TO, "Hello")
    shown = explain(message["id"])
    assert "Request" not in shown
    assert "Key" not in shown


def test_a_message_in_hand_shows_its_lease(make_app, app, client, explain):
    seen: list[str] = []

    class Looking(OnceGateway):
        """Explains the message that it is given."""

        def act(self, message):
            seen.append(explain(message.id))
            return super().act(message)

    looking = make_app(gateway=Looking())
    looking.test_client().post("/v1/messages", json={"to": TO, "body": "Hello"})
    services = looking.extensions["phonify"]
    services.make_message_loop().deliver_due()
    assert re.search(r"Attempt 1 has begun\n.* Process [0-9a-f]{16} has the lease until 2026-01-31T09:30:30", seen[0])


def test_a_future_time_has_its_distance_from_now(make_app, explain):
    app = make_app(OnceGateway(lambda _: Later(pause=True, retry_after=90, reason="wrong password")))
    app.extensions["phonify"].prepare()
    message = app.test_client().post("/v1/messages", json={"to": TO, "body": "Hello"}).json["message"]
    app.extensions["phonify"].make_message_loop().deliver_due()
    shown = app.test_cli_runner().invoke(args=["explain", message["id"]]).output
    assert [re.split(" {2,}", line, maxsplit=1)[1] for line in shown.splitlines()[-5:]] == [
        "It passed the checks: number, gateway, opt-out, quota",
        "Waiting, because the gateway gateway is paused",
        "Reason: wrong password",
        "End of the pause (in 90 s)",
        "End of the validity period (in 24 h 0 min)",
    ]


@pytest.mark.parametrize(
    ("send_at", "distance"),
    [
        ("2026-02-01T09:29:30Z", "24 h 0 min"),
        ("2026-01-31T11:29:01Z", "2 h 0 min"),
        ("2026-01-31T10:29:30Z", "1 h 0 min"),
        ("2026-01-31T10:28:30Z", "59 min"),
    ],
)
def test_a_distance_that_is_rounded_up_to_a_full_hour_is_written_as_hours(send, explain, send_at, distance):
    assert f" (in {distance})\n" in explain(send(send_at=send_at)["id"])


def test_a_message_of_any_account_is_explained(stranger, explain):
    answer = stranger.post("/v1/messages", json={"to": TO, "body": "Hello"})
    assert "message of the account 'other'" in explain(answer.json["message"]["id"])


def test_an_unknown_message_is_a_failure_told_in_one_line(explain):
    assert explain("nothing", status=1) == "Error: unknown message nothing; to list the messages, use `messages`\n"
