"""Tests of webhooks: events, signatures, retries, redelivery, and receivers that fail or hang."""

import base64
import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from tests.support.app import ROOT
from tests.support.fake_gateway import OnceGateway
from tests.support.operating import Operator
from tests.support.receivers import NO_CONTENT, Receiver, answer, status
from tests.support.servers import Process

START = "2026-01-31T09:30:00.000Z"


class Webhooks:
    """The webhooks of accounts. Uses commands."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def _show(self, *arguments: str) -> list[Any]:
        printed = self._operator.run("webhooks", *arguments, "--json")
        return [json.loads(line, object_hook=lambda one: SimpleNamespace(**one)) for line in printed.splitlines()]

    def set_url(self, account: str, url: str) -> Any:
        return self._show("set", url, "--account", account)[0]

    def get(self, account: str) -> Any:
        """Return the webhook of an account, or None."""
        found = self._operator.find_webhook(account)
        return found and SimpleNamespace(**found)

    def rotate_secret(self, account: str) -> Any:
        return self._show("rotate", "--account", account)[0]

    def remove(self, account: str) -> None:
        self._operator.run("webhooks", "remove", "--account", account)

    def send_test(self, account: str) -> str:
        return self._operator.send_test(account)

    def redeliver(self, account: str, delivery_id: str) -> None:
        self._operator.run("webhooks", "redeliver", delivery_id, "--account", account)

    def list_deliveries(self, account: str) -> list[Any]:
        """Return all deliveries, oldest first."""
        return self._show("deliveries", "-n", "1000", "--account", account)


@pytest.fixture
def account() -> str:
    """The account of `client` and `send`."""
    return "default"


@pytest.fixture
def other(operator: Operator) -> str:
    """Another account."""
    operator.make_key("second")
    return "second"


@pytest.fixture
def webhooks(operator: Operator) -> Webhooks:
    return Webhooks(operator)


@pytest.fixture
def hook(webhooks: Webhooks, account: str, receiver: Receiver) -> Any:
    """The webhook of the account `default`, at `receiver`."""
    return webhooks.set_url(account, receiver.url)


@pytest.fixture
def listed(webhooks: Webhooks, account: str) -> Callable[[], list[Any]]:
    """Return a function that lists the deliveries of the account `default`, oldest first."""
    return lambda: webhooks.list_deliveries(account)


@pytest.fixture
def only(listed: Callable[[], list[Any]]) -> Callable[[], Any]:
    """Return a function that returns the only delivery."""

    def read() -> Any:
        (delivery,) = listed()
        return delivery

    return read


@pytest.fixture
def inbound(client) -> Callable[..., dict[str, Any]]:
    """Return a function that simulates a received message."""

    def inbound(body: str = "Hello") -> dict[str, Any]:
        arguments = {"from": "+14560000000", "to": "+15005550006", "body": body}
        message: dict[str, Any] = client.post("/sandbox/inbound", json=arguments).get_json()["message"]
        return message

    return inbound


@pytest.fixture
def show(client) -> Callable[[str], dict[str, Any]]:
    """Return a function that gets a message from the API."""
    return lambda message_id: client.get(f"/v1/messages/{message_id}").get_json()["message"]


def events(receiver: Receiver) -> list[tuple[str, str]]:
    """Return the type and the message id of all received events, in order."""
    told = [json.loads(received.body) for received in receiver.received]
    return [(event["type"], event["data"]["message"]["id"]) for event in told]


# Where to


def test_a_webhook_has_a_secret_of_192_random_bits_of_its_own(webhooks, account, other):
    secrets = {webhooks.set_url(one, "https://example.com/").secret for one in (account, other)}
    assert len(secrets) == 2
    assert all(
        secret.startswith("whsec_") and len(base64.b64decode(secret[6:], validate=True)) == 24 for secret in secrets
    )


def test_a_new_url_keeps_the_secret_and_a_new_secret_keeps_the_url(webhooks, account):
    first = webhooks.set_url(account, "https://example.com/1")
    second = webhooks.set_url(account, "https://example.com/2")
    third = webhooks.rotate_secret(account)
    assert vars(second) == {
        "url": "https://example.com/2",
        "secret": first.secret,
        "created_at": START,
        "disabled_at": None,
    }
    assert (third.url, third.secret != first.secret) == ("https://example.com/2", True)
    assert webhooks.get(account) == third


def test_a_webhook_is_one_account_s_alone(webhooks, account, other):
    webhooks.set_url(account, "https://example.com/")
    assert webhooks.get(other) is None
    webhooks.remove(other)
    assert webhooks.get(account) is not None
    webhooks.remove(account)
    assert webhooks.get(account) is None


@pytest.mark.parametrize(
    ("gateway", "setting", "allowed"),
    [(None, None, True), (None, False, False), (OnceGateway(), None, False), (OnceGateway(), True, True)],
)
def test_private_addresses_are_allowed_with_a_sandbox_gateway_or_by_setting(
    make_app, account, receiver, post_due, gateway, setting, allowed
):
    app = make_app(gateway=gateway, WEBHOOK_PRIVATE=setting)
    webhooks = Webhooks(Operator(app))
    url = receiver.url.replace("127.0.0.1", "localhost")  # a name is checked when it is posted
    webhooks.set_url(account, url)
    webhooks.send_test(account)
    post_due(app)
    (delivery,) = webhooks.list_deliveries(account)
    assert len(receiver.received) == int(allowed)
    refusal = r"addresses like (127\.0\.0\.1|::1) are not allowed without PHONIFY_WEBHOOK_PRIVATE=on"
    assert allowed or re.fullmatch(refusal, delivery.tries[0].error)


@pytest.mark.parametrize(
    ("urls", "warning"),
    [
        (["http://127.0.0.1:5000/sms", "https://example.com/"], "1 webhook has a private address and gets no events"),
        (["http://localhost:5000/", "http://10.1.2.3/"], "2 webhooks have private addresses and get no events"),
        (["https://example.com/", "http://8.8.8.8/"], None),
    ],
)
def test_after_a_change_from_the_stub_private_addresses_are_a_warning_of_readyz(
    make_app, account, other, webhooks, urls, warning
):
    for one, url in zip((account, other), urls, strict=True):
        webhooks.set_url(one, url)
    warnings = [f"{warning} without PHONIFY_WEBHOOK_PRIVATE=on"] if warning is not None else []
    for setting, expected in ((None, warnings), (True, [])):
        changed = make_app(gateway=OnceGateway(), WEBHOOK_PRIVATE=setting)
        assert changed.test_client().get("/readyz").get_json().get("warnings", []) == expected


# Form and signature


def test_what_is_posted_is_verified_by_the_standard_webhooks_package(
    send, inbound, hook, deliver, post_due, receiver, webhooks, account, clock
):
    clock.moment = datetime.now(UTC)
    # One after another, because parallel posts may arrive in any order.
    send()
    assert (deliver(), post_due()) == (1, 1)
    send(to="+15005550004", body="ünïcode 🎉")
    assert (deliver(), post_due()) == (1, 1)
    inbound()
    assert post_due() == 1
    webhooks.send_test(account)
    assert post_due() == 1
    verified = [Verifier(hook.secret).verify(one.body, one.headers) for one in receiver.received]
    assert [event["type"] for event in verified] == [
        "message.sent",
        "message.error",
        "message.received",
        "webhook.test",
    ]
    for received in receiver.received:
        assert received.headers["content-type"] == "application/json"
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(received.body + b" ", received.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(received.body, {**received.headers, "webhook-id": "other"})


@pytest.fixture
def sign_next(send, deliver, post_due, receiver, clock) -> Callable[..., list[bool]]:
    """Return a function that posts an event, and tells of each secret whether its signature is there."""
    clock.moment = datetime.now(UTC)

    def verifies(secret: str) -> bool:
        received = receiver.received[-1]
        signed_at = received.headers["webhook-timestamp"]
        for signature in received.headers["webhook-signature"].split(" "):
            moment = datetime.fromtimestamp(int(signed_at), UTC)
            if Verifier(secret).sign(received.headers["webhook-id"], moment, received.body.decode()) == signature:
                return True
        return False

    def sign_next(*secrets: str) -> list[bool]:
        send()
        deliver()
        post_due()
        return [verifies(secret) for secret in secrets]

    return sign_next


def test_after_a_change_of_the_secret_both_secrets_verify_the_next_attempt(
    send, hook, deliver, post_due, receiver, webhooks, account, clock
):
    clock.moment = datetime.now(UTC)
    send()
    deliver()
    rotated = webhooks.rotate_secret(account)
    post_due()
    (received,) = receiver.received
    for secret in (rotated.secret, hook.secret):
        assert Verifier(secret).verify(received.body, received.headers)["type"] == "message.sent"


def test_a_retry_is_signed_with_both_secrets_too(send, hook, deliver, post_due, receiver, webhooks, account, clock):
    clock.moment = datetime.now(UTC)
    receiver.act = status(500)
    send()
    deliver()
    post_due()
    rotated = webhooks.rotate_secret(account)
    clock.advance(6)
    post_due()
    first, second = receiver.received
    assert " " not in first.headers["webhook-signature"]
    for secret in (rotated.secret, hook.secret):
        assert Verifier(secret).verify(second.body, second.headers)["type"] == "message.sent"


def test_the_signature_of_the_new_secret_is_the_first(sign_next, hook, receiver, webhooks, account):
    rotated = webhooks.rotate_secret(account)
    sign_next()
    headers = receiver.received[-1].headers
    signatures = headers["webhook-signature"].split(" ")
    moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    body = receiver.received[-1].body.decode()
    expected = [Verifier(secret).sign(headers["webhook-id"], moment, body) for secret in (rotated.secret, hook.secret)]
    assert signatures == expected


def test_the_former_secret_signs_for_a_day_and_not_a_moment_longer(sign_next, hook, webhooks, account, clock):
    rotated = webhooks.rotate_secret(account)
    clock.advance(86_400 - 0.001)
    assert sign_next(rotated.secret, hook.secret) == [True, True]
    clock.advance(0.001)
    assert sign_next(rotated.secret, hook.secret) == [True, False]


def test_a_second_change_within_the_day_ends_the_secret_before_the_former_one(sign_next, hook, webhooks, account):
    second, third = webhooks.rotate_secret(account), webhooks.rotate_secret(account)
    assert sign_next(third.secret, second.secret, hook.secret) == [True, True, False]


def test_after_a_webhook_is_removed_no_earlier_secret_signs(sign_next, hook, webhooks, account, receiver):
    rotated = webhooks.rotate_secret(account)
    webhooks.remove(account)
    new = webhooks.set_url(account, receiver.url)
    assert sign_next(new.secret, rotated.secret, hook.secret) == [True, False, False]


def test_another_url_keeps_both_secrets(sign_next, hook, webhooks, account, receiver):
    rotated = webhooks.rotate_secret(account)
    webhooks.set_url(account, f"{receiver.url}/other")
    assert sign_next(rotated.secret, hook.secret) == [True, True]


def test_the_command_says_until_when_the_former_secret_signs_and_does_not_show_it(hook, webhooks, account, operator):
    rotated = webhooks.rotate_secret(account)
    assert rotated.former_until == "2026-02-01T09:30:00.000Z"
    shown = operator.run("webhooks", "show")
    assert shown.splitlines()[-1] == "Phonify also signs with the former secret until 2026-02-01T09:30:00.000Z."
    assert hook.secret not in shown + operator.run("webhooks", "show", "--json")


def test_the_sample_without_a_package_accepts_two_signatures_and_refuses_a_third_party(
    sign_next, hook, webhooks, account, receiver
):
    rotated = webhooks.rotate_secret(account)
    sign_next()
    guide = (ROOT / "phonify/docs/webhooks.md").read_text(encoding="utf-8")
    (sample,) = re.findall("^```python\n(import base64.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(sample, names)
    is_genuine, received = names["is_genuine"], receiver.received[-1]
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    genuine = [is_genuine(secret, received.headers, received.body) for secret in (rotated.secret, hook.secret, other)]
    assert genuine == [True, True, False]
    assert not is_genuine(hook.secret, received.headers, received.body + b" ")
    assert not is_genuine(hook.secret, {**received.headers, "webhook-timestamp": "1"}, received.body)
    assert not is_genuine(hook.secret, {**received.headers, "webhook-signature": "v1,ü"}, received.body)
    assert not is_genuine(hook.secret, {**received.headers, "webhook-timestamp": "soon"}, received.body)
    for missing in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        others = {name: value for name, value in received.headers.items() if name != missing}
        assert len(others) == len(received.headers) - 1
        assert not is_genuine(hook.secret, others, received.body)
    assert not is_genuine(hook.secret, {}, b"")


def test_the_message_is_told_exactly_as_the_api_shows_it(send, hook, deliver, post_due, receiver, show):
    messages = [send(body="Hello 🎉"), send(to="+15005550009"), send(send_at="2026-01-31T09:00:00Z")]
    deliver()
    post_due()
    told = {event["data"]["message"]["id"]: event for event in (json.loads(one.body) for one in receiver.received)}
    for message in messages:
        event = told[message["id"]]
        assert event["data"] == {"message": show(message["id"])}
        assert list(event["data"]["message"]) == list(show(message["id"]))
        assert (set(event), event["timestamp"]) == ({"type", "timestamp", "data"}, START)


def test_a_later_attempt_has_the_same_id_and_body_but_a_time_of_its_own(send, hook, deliver, post_due, receiver, clock):
    receiver.act = status(500)
    send()
    deliver()
    post_due()
    clock.advance(10)
    post_due()
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 10


# Posted events


def test_a_text_is_told_in_utf_8_as_other_languages_write_json(inbound, hook, post_due, receiver):
    inbound("Grüße 😀")
    post_due()
    body = receiver.received[0].body
    assert "Grüße 😀".encode() in body
    assert json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode() == body


def test_a_message_that_was_sent_is_told(send, hook, deliver, post_due, receiver, only):
    message = send()
    assert post_due() == 0
    deliver()
    assert (only().state, only().due_at, only().attempts, receiver.received) == ("pending", START, 0, [])
    assert post_due() == 1
    assert events(receiver) == [("message.sent", message["id"])]
    assert (only().state, only().due_at, only().finished_at) == ("delivered", None, START)


@pytest.mark.parametrize("number", ["+15005550004", "+15005550009"])
def test_a_message_that_the_gateway_rejects_is_told(send, hook, deliver, post_due, receiver, number):
    message = send(to=number)
    deliver()
    post_due()
    assert events(receiver) == [("message.error", message["id"])]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_a_message_that_is_refused_at_once_is_told_and_so_are_the_others(
    client, hook, deliver, post_due, receiver, headers
):
    numbers = ["+14560000000", "+15005550001", "+14560000001", "+15005550002"]
    for _ in range(1 + len(headers)):  # the repeated request causes no event
        answered = client.post("/v1/messages", json={"to": numbers, "body": "Hello"}, headers=headers)
    ids = [message["id"] for message in answered.get_json()["messages"]]
    post_due()
    assert events(receiver) == [("message.error", ids[1]), ("message.error", ids[3])]
    deliver()
    post_due()
    assert sorted(events(receiver)[2:]) == [("message.sent", ids[0]), ("message.sent", ids[2])]


def test_many_recipients_of_whom_one_is_refused_are_all_stored(client, hook, deliver, post_due, receiver):
    numbers = [f"+1456000{number:04d}" for number in range(60)] + ["+15005550003"]
    assert client.post("/v1/messages", json={"to": numbers, "body": "Hello"}).status_code == 402
    deliver()
    assert post_due() == 61
    assert Counter(event for event, _ in events(receiver)) == {"message.sent": 60, "message.error": 1}


def test_the_end_of_the_validity_is_told(send, hook, deliver, post_due, receiver, clock):
    message = send(to="+15005550012")
    deliver()
    assert post_due() == 0
    clock.advance(86_400)
    deliver()
    post_due()
    assert events(receiver) == [("message.error", message["id"])]


def test_a_message_that_was_retried_is_told_once(send, hook, deliver, post_due, receiver, clock):
    message = send(to="+15005550010")
    for _ in range(5):
        deliver()
        post_due()
        clock.advance(10)
    assert events(receiver) == [("message.sent", message["id"])]


def test_an_account_without_a_webhook_is_told_nothing(send, inbound, deliver, post_due, listed):
    send()
    send(to="+15005550001")
    send(to="+15005550004")
    inbound()
    deliver()
    assert (post_due(), listed()) == (0, [])


def test_each_account_is_told_of_its_own_messages_alone(
    send, stranger, hook, deliver, post_due, receiver, make_receiver, webhooks
):
    theirs = make_receiver()
    webhooks.set_url("other", theirs.url)
    mine = send()["id"]
    foreign = stranger.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).get_json()["message"]["id"]
    deliver()
    post_due()
    assert events(receiver) == [("message.sent", mine)]
    assert events(theirs) == [("message.sent", foreign)]


def test_a_message_that_is_gone_is_told_all_the_same(client, send, hook, post_due, deliver, receiver, tmp_path):
    message = send()
    deliver()
    with sqlite3.connect(tmp_path / "phonify.db") as connection:
        connection.execute("DELETE FROM messages")
    connection.close()
    post_due()
    assert events(receiver) == [("message.sent", message["id"])]


# Received messages


def test_without_a_webhook_a_received_message_is_sent_at_once(inbound):
    assert inbound()["state"] == "sent"


def test_a_received_message_is_sent_when_it_was_delivered_to_the_webhook(
    inbound, hook, post_due, receiver, show, clock
):
    message = inbound()
    assert message["state"] == "unconfirmed"
    assert post_due() == 1
    assert events(receiver) == [("message.received", message["id"])]
    assert json.loads(receiver.received[0].body)["data"]["message"] == message
    assert show(message["id"]) == {**message, "state": "sent"}


def test_a_received_message_is_an_error_when_its_webhook_was_given_up(
    inbound, hook, post_due, receiver, show, clock, only
):
    receiver.act = status(500)
    message = inbound()
    while post_due():
        clock.advance(40_000)
    assert show(message["id"])["state"] == "error"
    assert [error["type"] for error in show(message["id"])["errors"]] == ["webhook_failed"]
    assert (only().state, only().attempts) == ("failed", 12)


def test_an_error_is_final_even_where_the_message_is_redelivered(
    inbound, hook, post_due, receiver, show, clock, only, webhooks, account
):
    receiver.act = status(500)
    message = inbound()
    while post_due():
        clock.advance(40_000)
    receiver.act = answer(NO_CONTENT)
    webhooks.redeliver(account, only().id)
    post_due()
    assert (only().state, show(message["id"])["state"]) == ("delivered", "error")


def test_removing_the_webhook_gives_up_what_is_pending_and_lets_received_messages_be(
    inbound, send, hook, deliver, post_due, webhooks, account, listed, show, receiver
):
    message = inbound()
    send()
    deliver()
    webhooks.remove(account)
    assert show(message["id"])["state"] == "sent"
    assert [(one.state, one.due_at, one.finished_at) for one in listed()] == [("failed", None, START)] * 2
    assert (post_due(), receiver.received) == (0, [])


def test_removing_a_webhook_touches_neither_another_account_nor_outbound_messages(
    inbound, send, stranger, webhooks, account, receiver, show
):
    foreigner = "other"
    for one in (account, foreigner):
        webhooks.set_url(one, receiver.url)
    waiting = send()
    arguments = {"from": "+14560000000", "to": "+15005550006", "body": "Hello"}
    theirs = stranger.post("/sandbox/inbound", json=arguments).get_json()["message"]
    webhooks.remove(account)
    assert show(waiting["id"])["state"] == "unconfirmed"
    assert stranger.get(f"/v1/messages/{theirs['id']}").get_json()["message"]["state"] == "unconfirmed"
    assert [one.state for one in webhooks.list_deliveries(foreigner)] == ["pending"]


def test_a_received_message_that_waits_for_its_webhook_is_left_alone_by_the_dispatcher(
    inbound, client, hook, deliver, clock, show
):
    message = inbound()
    clock.advance(40 * 86_400)
    assert deliver() == 0
    assert client.delete(f"/v1/messages/{message['id']}").status_code == 402
    assert show(message["id"])["state"] == "unconfirmed"


# Attempts and retries


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_2xx_counts_as_delivered(code, webhooks, account, hook, post_due, receiver, only):
    receiver.act = status(code, body="thanks")
    webhooks.send_test(account)
    post_due()
    assert (only().state, only().attempts) == ("delivered", 1)
    (attempt,) = only().tries
    assert (attempt.attempt, attempt.at, attempt.status, attempt.error) == (1, START, code, None)


@pytest.mark.parametrize("code", [300, 301, 302, 304, 307, 400, 401, 404, 429, 500, 503])
def test_any_other_status_is_tried_again_with_the_answer_on_record(
    code, webhooks, account, hook, post_due, receiver, only
):
    receiver.act = status(code, "Location: /elsewhere", body="no thanks" if code != 304 else "")
    webhooks.send_test(account)
    assert post_due() == 1
    assert (only().state, len(receiver.received)) == ("pending", 1)
    (attempt,) = only().tries
    assert (attempt.status, attempt.answer, attempt.error) == (code, "no thanks" if code != 304 else "", None)


def test_a_receiver_that_answers_410_is_disabled_until_its_url_is_set_again(
    webhooks, account, hook, post_due, receiver, listed, inbound, show
):
    receiver.act = status(410)
    webhooks.send_test(account)
    webhooks.send_test(account)
    received = inbound("hi")
    post_due()
    assert [one.state for one in listed()] == ["failed", "failed", "failed"]
    assert show(received["id"])["state"] == "sent"
    assert inbound("again")["state"] == "sent"
    assert len(listed()) == 3
    receiver.act = status(204)
    webhooks.set_url(account, receiver.url)
    webhooks.send_test(account)
    assert post_due() == 1
    assert "delivered" in [one.state for one in listed()]


def test_a_late_410_of_a_former_url_does_not_disable_the_new_one(webhooks, account, hook, post_due, receiver, listed):
    def move_and_leave(*_: Any) -> Any:
        webhooks.set_url(account, f"{receiver.url}new")
        return status(410)(*_)

    receiver.act = move_and_leave
    webhooks.send_test(account)
    post_due()
    assert [one.state for one in listed()] == ["failed"]
    assert webhooks.get(account).disabled_at is None


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", "the connection was closed without an answer"), (b"\x16\x03garbage\r\n", "the answer is not HTTP")],
)
def test_no_answer_is_tried_again_with_the_reason_on_record(
    data, error, webhooks, account, hook, post_due, receiver, only
):
    receiver.act = answer(data)
    webhooks.send_test(account)
    post_due()
    (attempt,) = only().tries
    assert (only().state, attempt.status, attempt.answer, attempt.error) == ("pending", None, None, error)


def test_a_receiver_that_comes_back_is_told(send, hook, deliver, post_due, receiver, only, clock):
    receiver.act = status(503)
    send()
    deliver()
    for _ in range(3):
        post_due()
        clock.advance(1_000)
    receiver.act = answer(NO_CONTENT)
    post_due()
    assert ([attempt.status for attempt in only().tries], only().state) == ([503, 503, 503, 204], "delivered")


def test_the_url_of_the_day_is_posted_to(send, hook, deliver, post_due, receiver, make_receiver, webhooks, account):
    send()
    deliver()
    moved = make_receiver()
    webhooks.set_url(account, moved.url)
    post_due()
    assert (len(receiver.received), len(moved.received)) == (0, 1)


# Redelivery


@pytest.mark.parametrize("code", [204, 500])
def test_what_was_delivered_or_given_up_is_told_again_by_redelivery(
    code, webhooks, account, hook, post_due, receiver, only, clock
):
    receiver.act = status(code)
    delivery_id = webhooks.send_test(account)
    while post_due():
        clock.advance(40_000)
    before = only()
    receiver.act = status(500)
    webhooks.redeliver(account, delivery_id)
    assert (only().state, only().finished_at) == ("pending", None)
    while post_due():
        clock.advance(40_000)
    # There are again 11 retries, and the number of attempts continues.
    assert (only().state, only().attempts) == ("failed", before.attempts + 12)
    assert [attempt.attempt for attempt in only().tries] == list(range(1, before.attempts + 13))
    assert {received.headers["webhook-id"] for received in receiver.received} == {delivery_id}


def test_what_waits_for_its_next_attempt_is_told_at_once_by_redelivery(
    webhooks, account, hook, post_due, receiver, only
):
    receiver.act = status(500)
    delivery_id = webhooks.send_test(account)
    post_due()
    receiver.act = answer(NO_CONTENT)
    assert post_due() == 0
    webhooks.redeliver(account, delivery_id)
    assert (post_due(), only().state) == (1, "delivered")


# The loop


def wait_until(condition: Callable[[], bool], timeout: float = 20) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# The server


def read_deliveries(path: Any) -> list[tuple[str, str, int]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT id, state, attempts FROM webhook_deliveries ORDER BY seq").fetchall()
    finally:
        connection.close()


@pytest.mark.slow
def test_a_server_that_is_killed_while_a_receiver_hangs_tells_all_of_it_after_its_restart(start, tmp_path, receiver):
    def flask(*arguments: str) -> Process:
        process = start("-m", "flask", "--app", "app", *arguments)
        assert process.popen.wait(30) == 0, process.output
        return process

    database = tmp_path / "phonify.db"
    flask("init-db")
    flask("webhooks", "set", receiver.url)
    receiver.act = receiver.hang
    server = start()
    accepted = [server.call("POST", "/v1/messages", to="+14560000000", body="Hello")[1] for _ in range(5)]
    message_ids = {answered["message"]["id"] for answered in accepted}
    arguments = {"from": "+14560000000", "to": "+15005550006", "body": "Hello"}
    message_ids.add(server.call("POST", "/sandbox/inbound", **arguments)[1]["message"]["id"])
    receiver.wait_for(1)
    wait_until(lambda: len(read_deliveries(database)) == 6)
    server.kill_all()
    assert {state for _, state, _ in read_deliveries(database)} == {"pending"}

    connection = sqlite3.connect(database)
    with connection:  # as after the end of the lease
        connection.execute("UPDATE webhook_deliveries SET due_at = created_at")
    connection.close()
    hung = len(receiver.received)
    receiver.act = answer(NO_CONTENT)
    server = start()
    wait_until(lambda: {state for _, state, _ in read_deliveries(database)} == {"delivered"})
    assert {message_id for _, message_id in events(receiver)[hung:]} == message_ids
    assert events(receiver)[0] in events(receiver)[hung:]  # the interrupted event arrived again
    (secret,) = re.findall(r"whsec_\S+", flask("webhooks", "show").output)
    for received in receiver.received:
        assert Verifier(secret).verify(received.body, received.headers)["type"] in ("message.sent", "message.received")
    messages = server.call("GET", "/v1/messages")[1]["messages"]
    assert {message["state"] for message in messages} == {"sent"}
    assert server.terminate() == 0
