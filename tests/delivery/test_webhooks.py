"""Tests of posting webhooks: retries, leases, parallel posts, the end of the loop, refused requests."""

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask

from phonify.delivery.loop import Loop
from phonify.domain import accounts
from phonify.domain.standard_webhooks import RETRIES, StandardWebhooks, sign
from phonify.domain.webhooks import Webhooks
from phonify.errors import InvalidRequest, NotFound, RequestRefused, StoreUnavailable
from phonify.services import Services
from phonify.storage.records import Account, Delivery, Webhook
from tests.support.fake_gateway import FakeGateway
from tests.support.receivers import NO_CONTENT, Received, Receiver, status


@pytest.fixture
def account(services: Services) -> Account:
    """The account `default`. `client` and `send` use it."""
    return accounts.ensure_default_account(services.database, services.clock)


@pytest.fixture
def other(services: Services) -> Account:
    """Another account."""
    return accounts.create_account(services.database, services.clock, name="second")


@pytest.fixture
def webhooks(services: Services) -> Webhooks:
    return services.webhooks


@pytest.fixture
def hook(webhooks: Webhooks, account: Account, receiver: Receiver) -> Webhook:
    """The webhook of the account `default`, at `receiver`."""
    return webhooks.set_url(account, receiver.url)


@pytest.fixture
def poster(services: Services) -> Loop[Any, Any]:
    """A loop that does not run. A test calls its `deliver_due`."""
    return services.make_webhook_loop()


@pytest.fixture
def other_poster(make_app: Callable[..., Flask]) -> Loop[Any, Any]:
    """The loop of another app on the same database. It stands for another process."""
    return make_app().extensions["phonify"].make_webhook_loop()


@pytest.fixture
def listed(webhooks: Webhooks, account: Account) -> Callable[[], list[Delivery]]:
    """Return a function that lists the deliveries of the account `default`, oldest first."""
    return lambda: webhooks.list_deliveries(account, limit=1_000, before=None)[::-1]


@pytest.fixture
def only(listed: Callable[[], list[Delivery]]) -> Callable[[], Delivery]:
    """Return a function that returns the only delivery."""

    def read() -> Delivery:
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


@pytest.fixture
def locker(services: Services) -> Iterator[sqlite3.Connection]:
    """A connection that can lock the database. The app does not wait for the lock."""
    services.database.busy_timeout = 0.0
    services.database.close()
    connection = sqlite3.connect(services.settings.database, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def events(receiver: Receiver) -> list[tuple[str, str]]:
    """Return the type and the message id of all received events, in order."""
    told = [json.loads(received.body) for received in receiver.received]
    return [(event["type"], event["data"]["message"]["id"]) for event in told]


# Where to


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "ftp://example.com/", "http://u:p@example.com/", "http://169.254.169.254/", "http://[::]/"],
)
def test_a_url_that_can_not_be_posted_to_is_refused(webhooks, account, url):
    with pytest.raises(InvalidRequest) as caught:
        webhooks.set_url(account, url)
    assert [(fault.type, fault.param) for fault in caught.value.faults] == [("invalid_webhook_url", "url")]
    assert webhooks.get(account) is None


def test_without_a_webhook_there_is_no_secret_to_rotate_and_nothing_to_test(webhooks, account):
    for operation in (webhooks.rotate_secret, webhooks.send_test):
        with pytest.raises(RequestRefused, match="no_webhook"):
            operation(account)


# Form and signature


def test_the_signature_is_that_of_a_known_case():
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        payload='{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


# Posted events


def test_the_late_report_of_a_lost_lease_is_not_told(make_app, account, receiver, clock, poster):
    def act(message: Any) -> None:
        if message.attempt == 1:
            clock.advance(30)
            second.deliver_due()

    services = make_app(gateway=FakeGateway(act), WEBHOOK_PRIVATE=True).extensions["phonify"]
    services.webhooks.set_url(account, receiver.url)
    first, second = services.make_message_loop(), services.make_message_loop()
    client = make_app(gateway=FakeGateway()).test_client()
    message_id = client.post("/v1/messages", json={"to": "+14560000000", "body": "Hello"}).get_json()["message"]["id"]
    first.deliver_due()
    poster.deliver_due()
    assert events(receiver) == [("message.sent", message_id)]


# Attempts and retries


def test_retries_come_with_growing_delays_over_a_day_and_then_it_is_given_up(
    webhooks, account, hook, poster, receiver, only, clock
):
    receiver.act = status(500)
    webhooks.send_test(account)
    times = []
    for _ in range(3_000):  # more than 40 hours
        if poster.deliver_due():
            times.append(clock.moment)
        if only().state == "failed":
            break
        due = datetime.fromisoformat(only().due_at)
        assert due > clock.moment
        clock.moment = due
    delays = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert len(delays) == len(RETRIES) == 11
    assert all(0.9 * planned <= delay <= 1.1 * planned + 0.01 for planned, delay in zip(RETRIES, delays, strict=True))
    assert delays == sorted(delays)
    assert timedelta(hours=20) < times[-1] - times[0] < timedelta(hours=28)
    assert (only().due_at, only().attempts, len(only().tries)) == (None, 12, 12)
    clock.advance(40 * 86_400)
    assert poster.deliver_due() == 0


@pytest.mark.parametrize(
    ("code", "asked", "seconds"),
    [
        (429, "60", 60),
        (503, "60", 60),
        (503, "1", 5),  # the usual delay
        (503, "999999", 3_600),
        (503, "soon", 5),
        (500, "60", 5),
    ],
)
def test_a_busy_receiver_gets_the_next_attempt_when_it_asks_for_it(
    code, asked, seconds, webhooks, account, hook, poster, receiver, only, clock
):
    receiver.act = status(code, f"Retry-After: {asked}")
    webhooks.send_test(account)
    poster.deliver_due()
    delay = (datetime.fromisoformat(only().due_at) - clock.moment).total_seconds()
    assert 0.9 * seconds - 0.01 <= delay <= 1.1 * seconds + 0.01


def test_a_name_that_turns_out_forbidden_is_not_posted_to(services, webhooks, account, receiver, only):
    webhooks.set_url(account, f"http://rebound.example:{receiver.port}/")
    webhooks.send_test(account)
    services.make_webhook_loop(resolve=lambda host, port: ["169.254.169.254"]).deliver_due()
    assert only().tries[0].error == "addresses like 169.254.169.254 are not allowed"
    assert receiver.received == []


# Listing deliveries


def test_deliveries_are_listed_by_pages_newest_first(webhooks, account, other, hook):
    ids = [webhooks.send_test(account) for _ in range(5)]
    first = webhooks.list_deliveries(account, limit=2, before=None)
    second = webhooks.list_deliveries(account, limit=2, before=first[-1].seq)
    third = webhooks.list_deliveries(account, limit=2, before=second[-1].seq)
    assert [one.id for one in first + second + third] == ids[::-1]
    assert webhooks.list_deliveries(other, limit=10) == []


def test_the_deliveries_of_a_message_are_found_by_its_account_alone(webhooks, account, other, send, hook, message_loop):
    message = send()
    message_loop.deliver_due()
    assert [one.event for one in webhooks.list_for_message(account, message["id"])] == ["message.sent"]
    assert webhooks.list_for_message(other, message["id"]) == []


def test_another_account_s_delivery_is_not_found(webhooks, account, other, hook, receiver, poster):
    webhooks.set_url(other, receiver.url)
    delivery_id = webhooks.send_test(account)
    assert [one.id for one in webhooks.list_deliveries(account, limit=10)] == [delivery_id]
    assert webhooks.list_deliveries(other, limit=10) == []
    for one, wanted in ((other, delivery_id), (account, "missing")):
        with pytest.raises(NotFound):
            webhooks.redeliver(one, wanted)
    assert poster.deliver_due() == 1


# Redelivery


def test_a_redelivery_asked_for_during_an_attempt_is_not_put_off_by_its_failure(
    webhooks, account, hook, poster, receiver, only
):
    def act(client: Any, received: Received) -> None:
        if len(receiver.received) == 1:
            webhooks.redeliver(account, delivery_id)
            client.sendall(b"HTTP/1.1 500 No\r\n\r\n")
        else:
            client.sendall(NO_CONTENT)

    receiver.act = act
    delivery_id = webhooks.send_test(account)
    assert (poster.deliver_due(), only().state) == (2, "delivered")


def test_without_a_webhook_nothing_is_redelivered(webhooks, account, hook):
    delivery_id = webhooks.send_test(account)
    webhooks.remove(account)
    with pytest.raises(RequestRefused, match="no_webhook"):
        webhooks.redeliver(account, delivery_id)
    assert webhooks.list_deliveries(account, limit=1)[0].state == "failed"


# Leases


def test_while_it_is_posted_a_delivery_is_leased_and_left_alone(
    webhooks, account, hook, poster, other_poster, receiver, only, clock
):
    seen = []

    def act(client: Any, received: Received) -> None:
        clock.advance(59.999)
        seen.append((only().attempts, only().due_at, other_poster.deliver_due()))
        client.sendall(NO_CONTENT)

    receiver.act = act
    webhooks.send_test(account)
    poster.deliver_due()
    assert seen == [(1, "2026-01-31T09:31:00.000Z", 0)]


@pytest.mark.parametrize(("late", "early"), [(500, 204), (204, 500)])
def test_of_two_attempts_side_by_side_the_one_that_succeeds_counts(
    webhooks, account, hook, poster, other_poster, receiver, only, clock, late, early
):
    def act(client: Any, received: Received) -> None:
        code = early
        if len(receiver.received) == 1:
            clock.advance(60)
            other_poster.deliver_due()
            code = late
        status(code)(client, received)

    receiver.act = act
    webhooks.send_test(account)
    poster.deliver_due()
    assert (only().state, [attempt.status for attempt in only().tries]) == ("delivered", [late, early])


def test_an_attempt_that_ends_after_the_webhook_was_removed_changes_nothing(
    inbound, webhooks, account, hook, poster, receiver, only, show
):
    def act(client: Any, received: Received) -> None:
        webhooks.remove(account)
        client.sendall(b"HTTP/1.1 500 No\r\n\r\n")

    receiver.act = act
    message = inbound()
    poster.deliver_due()
    assert (only().state, show(message["id"])["state"]) == ("failed", "sent")


def test_outcomes_that_could_not_be_recorded_are_recorded_later_and_not_posted_twice(
    webhooks, account, hook, poster, receiver, locker, only, clock
):
    def act(client: Any, received: Received) -> None:
        locker.execute("BEGIN IMMEDIATE")
        client.sendall(NO_CONTENT)

    receiver.act = act
    webhooks.send_test(account)
    with pytest.raises(StoreUnavailable):
        poster.deliver_due()
    locker.execute("ROLLBACK")
    clock.advance(61)  # even after the lease: the process with the outcome records it first
    assert poster.deliver_due() == 0
    assert (only().state, len(receiver.received)) == ("delivered", 1)


class Fastidious(StandardWebhooks):
    """A kind of webhook that fails with one text."""

    name = "fastidious"

    def compose(self, connection, event, messages, now):
        if event == "message.sent" and any(message.body == "bad" for message in messages):
            raise ZeroDivisionError
        return super().compose(connection, event, messages, now)


def test_if_a_kind_fails_with_one_message_of_a_batch_only_the_events_of_this_message_are_lost(
    send, deliver, webhooks, hook, listed, show, caplog
):
    webhooks.add_kind(Fastidious())
    sent = {body: send(body=body)["id"] for body in ("first", "bad", "last")}
    assert deliver() == 3
    assert {show(message_id)["state"] for message_id in sent.values()} == {"sent"}
    stored = Counter((delivery.kind, delivery.message_id) for delivery in listed())
    assert stored == {
        **{("standard", message_id): 1 for message_id in sent.values()},
        **{("fastidious", sent[body]): 1 for body in ("first", "last")},
    }
    (line,) = [record.getMessage() for record in caplog.records if "can't be stored" in record.getMessage()]
    assert line == f"message {sent['bad']}: the events of fastidious can't be stored"


def test_an_unexpected_error_is_an_attempt_that_failed(services, webhooks, account, hook, only, caplog):
    def resolve(host: str, port: int) -> list[str]:
        raise ZeroDivisionError

    webhooks.send_test(account)
    services.make_webhook_loop(resolve=resolve).deliver_due()
    assert (only().state, only().tries[0].error) == ("pending", "an unexpected error, which has been logged")
    assert "ZeroDivisionError" in caplog.text


# Keeping


def test_deliveries_are_removed_30_days_after_they_were_finished(
    webhooks, account, hook, poster, receiver, clock, listed, services
):
    for _ in range(250):
        webhooks.send_test(account)
    poster.deliver_due()
    receiver.act = status(500)
    clock.advance(1)
    webhooks.send_test(account)
    poster.deliver_due()
    clock.advance(30 * 86_400 - 1.001)
    services.retention.clean()
    assert len(listed()) == 251
    clock.advance(0.001)
    services.retention.clean()
    assert [one.state for one in listed()] == ["pending"]


# The loop


@pytest.fixture
def run() -> Iterator[Callable[..., threading.Thread]]:
    """Return a function that runs the loop of an app until the test ends."""
    running = []

    def run(app: Flask, *, longest_nap: float = 3_600.0) -> threading.Thread:
        # The nap is so long that only a wake-up ends it.
        services = app.extensions["phonify"]
        services.share_wakeups()
        thread = threading.Thread(target=services.make_webhook_loop(longest_nap=longest_nap).run)
        thread.start()
        running.append((services, thread))
        return thread

    yield run
    for services, thread in running:
        services.stop()
        thread.join()


def wait_until(condition: Callable[[], bool], timeout: float = 20) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_running_loop_is_woken_by_all_that_there_is_to_tell(
    app, run, send, inbound, hook, message_loop, receiver, webhooks, account, listed
):
    run(app)
    inbound()
    receiver.wait_for(1)
    send(to="+15005550001")
    receiver.wait_for(2)
    send()
    message_loop.deliver_due()
    receiver.wait_for(3)
    delivery_id = webhooks.send_test(account)
    receiver.wait_for(4)
    wait_until(lambda: all(one.state == "delivered" for one in listed()))
    webhooks.redeliver(account, delivery_id)
    receiver.wait_for(5)
    wait_until(lambda: all(one.state == "delivered" for one in listed()))


def test_a_running_loop_looks_for_what_another_server_stored(app, run, make_app, hook, account, receiver):
    run(app, longest_nap=0.05)
    make_app().extensions["phonify"].webhooks.send_test(account)
    receiver.wait_for(1)


def test_a_receiver_that_hangs_delays_no_other_account_s(
    app, run, webhooks, account, other, hook, receiver, make_receiver
):
    receiver.act = receiver.hang
    for _ in range(50):
        webhooks.send_test(account)
    run(app)
    receiver.wait_for(1)
    quick = make_receiver()
    webhooks.set_url(other, quick.url)
    for _ in range(20):
        webhooks.send_test(other)
    quick.wait_for(20, timeout=5)
    assert len(receiver.received) == 1
    receiver.stopping.set()


def test_many_receivers_that_hang_delay_nobody_who_answers(
    app, run, services, webhooks, hook, account, receiver, make_receiver, only
):
    webhooks.send_test(account)
    run(app)
    wait_until(lambda: only().state == "delivered")
    hanging = make_receiver()
    hanging.act = hanging.hang
    for number in range(70):
        one = accounts.create_account(services.database, services.clock, name=f"hanging {number}")
        webhooks.set_url(one, hanging.url)
        webhooks.send_test(one)
    hanging.wait_for(48)
    for _ in range(10):
        webhooks.send_test(account)
    receiver.wait_for(11, timeout=5)
    assert len(hanging.received) == 48  # the other places are for receivers that answer
    hanging.stopping.set()


@pytest.mark.parametrize(("seconds", "places"), [(0, 4), (3, 1)])
def test_at_most_four_posts_are_under_way_for_an_account_and_one_where_it_is_slow(
    app, run, webhooks, account, hook, receiver, only, clock, seconds, places
):
    def act(client: Any, received: Received) -> None:
        clock.advance(seconds)
        client.sendall(NO_CONTENT)

    receiver.act = act
    webhooks.send_test(account)
    run(app)
    wait_until(lambda: only().state == "delivered")
    receiver.act = receiver.hang
    for _ in range(20):
        webhooks.send_test(account)
    receiver.wait_for(1 + places)
    webhooks.send_test(account)  # wakes the loop again
    time.sleep(0.2)
    assert len(receiver.received) == 1 + places
    receiver.stopping.set()


def test_all_that_there_is_to_tell_is_told_once_by_two_loops(
    app, run, make_app, webhooks, account, hook, receiver, listed
):
    ids = [webhooks.send_test(account) for _ in range(100)]
    run(app)
    run(make_app())
    wait_until(lambda: all(one.state == "delivered" for one in listed()))
    assert Counter(received.headers["webhook-id"] for received in receiver.received) == Counter(ids)


def test_a_loop_that_is_stopped_finishes_what_is_under_way(app, run, webhooks, account, hook, receiver, only, services):
    go_on = threading.Event()

    def act(client: Any, received: Received) -> None:
        go_on.wait()
        client.sendall(NO_CONTENT)

    receiver.act = act
    webhooks.send_test(account)
    thread = run(app)
    receiver.wait_for(1)
    services.stop()
    go_on.set()
    thread.join(10)
    assert (thread.is_alive(), only().state) == (False, "delivered")


@pytest.mark.slow
def test_a_loop_that_is_stopped_leaves_to_the_lease_what_does_not_end_in_the_grace_period(
    make_app, run, account, hook, receiver, only
):
    app = make_app(GRACE=1)
    services = app.extensions["phonify"]
    receiver.act = receiver.hang
    services.webhooks.send_test(account)
    thread = run(app)
    receiver.wait_for(1)
    services.stop()
    thread.join(5)
    assert (thread.is_alive(), only().state, only().due_at) == (False, "pending", "2026-01-31T09:31:00.000Z")


def test_a_loop_that_is_stopping_takes_nothing_new(webhooks, account, hook, poster, receiver, services):
    webhooks.send_test(account)
    services.database.stopping = True
    assert (poster.deliver_due(), receiver.received) == (0, [])


@pytest.mark.slow
def test_a_running_loop_goes_on_when_the_database_was_locked_for_a_while(
    app, run, webhooks, account, hook, receiver, locker, only
):
    def act(client: Any, received: Received) -> None:
        locker.execute("BEGIN IMMEDIATE")
        unlock.start()
        client.sendall(NO_CONTENT)

    unlock = threading.Timer(0.2, locker.execute, ["ROLLBACK"])
    receiver.act = act
    webhooks.send_test(account)
    run(app)
    wait_until(lambda: only().state == "delivered")
    unlock.join()
    assert len(receiver.received) == 1


def test_logs_of_a_delivery_have_its_id_but_neither_url_nor_secret_nor_text(
    inbound, hook, poster, receiver, only, caplog
):
    caplog.set_level("DEBUG", "phonify")
    inbound(body="Secret text")
    poster.deliver_due()
    assert only().id in caplog.text
    for secret in ("Secret text", hook.secret, "/hook", "+14560000000"):
        assert secret not in caplog.text


def test_a_thread_that_can_not_be_started_is_an_attempt_that_failed(
    webhooks, account, hook, poster, only, monkeypatch, clock
):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    webhooks.send_test(account)
    with monkeypatch.context() as patched:
        patched.setattr("threading.Thread.start", refuse)
        assert poster.deliver_due() == 1
    clock.advance(60)
    assert poster.deliver_due() == 1
    assert only().state == "delivered"
    assert [attempt.error for attempt in only().tries] == ["the server could not start a thread for this post", None]
