"""Tests of conversations with the whole app: the list, reading, search, history, clearing and retention."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from phonify.delivery.upkeep import INTERVAL, Upkeep
from phonify.domain import accounts
from phonify.domain.conversations import Conversations
from phonify.domain.retention import Retention
from phonify.errors import NotFound
from phonify.gateways.base import Doubt, Later, Outcome
from phonify.ids import generate_ids
from phonify.services import Services
from phonify.storage import messages as store
from phonify.storage.conversations import list_attempts
from phonify.storage.records import Account
from tests.storage.rows import SENT
from tests.support.fake_gateway import OnceGateway

PHONE = "+14560000000"
OTHER = "+14560000001"
OWN = "+15005550006"
TOMORROW = "2026-02-01T09:30:00Z"


@pytest.fixture
def conversations(services: Services) -> Conversations:
    return services.conversations


@pytest.fixture
def account(services: Services, clock: Any) -> Account:
    return accounts.ensure_default_account(services.database, clock)


@pytest.fixture
def receive(client: FlaskClient) -> Callable[..., dict[str, Any]]:
    """Return a function that lets a phone write to the account `default`."""

    def receive(sender: str = PHONE, body: str = "Hello", to: str = OWN) -> dict[str, Any]:
        response = client.post("/sandbox/inbound", json={"from": sender, "to": to, "body": body})
        assert response.status_code == 201
        message: dict[str, Any] = response.get_json()["message"]
        return message

    return receive


@pytest.fixture
def listed(conversations: Conversations, account: Account) -> Callable[..., list[tuple[str, str, int]]]:
    """Return a function that lists the conversations: phone, latest text and number of unread messages."""

    def listed(**paging: int) -> list[tuple[str, str, int]]:
        found = conversations.find_all(account, **paging)
        return [(one.phone, one.last.message.body, one.unread) for one in found]

    return listed


@pytest.fixture
def bodies(conversations: Conversations, account: Account) -> Callable[..., list[str]]:
    """Return a function that lists the texts of a thread, newest first."""

    def bodies(phone: str = PHONE, **paging: int) -> list[str]:
        return [entry.message.body for entry in conversations.find_thread(account, phone, **paging)]

    return bodies


@pytest.fixture
def fill(services: Services, account: Account, clock: Any) -> Callable[..., None]:
    """Return a function that stores sent messages to several phones in one call."""

    def fill(number: int, phones: int = 5, account_id: int = account.id) -> None:
        with services.database.reading() as connection:
            ids = generate_ids(clock.now(), after=store.get_last_message_id(connection))
        messages = [
            SENT._replace(
                id=next(ids),
                account_id=account_id,
                to_number=f"+1456{each % phones:07d}",
                body=str(each),
            )
            for each in range(number)
        ]
        with services.database.write() as connection:
            store.insert_messages(connection, messages=messages)

    return fill


def execute(services: Services, statement: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(services.settings.database)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


# The list


def test_the_list_has_each_phone_once_the_latest_first(send, receive, listed):
    send(PHONE, "one")
    send(OTHER, "two")
    receive(PHONE, "three")
    assert listed() == [(PHONE, "three", 2), (OTHER, "two", 1)]


def test_the_list_is_up_to_date_whenever_it_is_looked_at(send, listed):
    for number in range(3):
        send(PHONE, str(number))
        assert listed() == [(PHONE, str(number), number + 1)]


def test_a_list_that_another_process_brought_up_to_date_is_not_touched_again(make_app, send, listed, account):
    send(PHONE, "one")
    elsewhere = make_app().extensions["phonify"].conversations
    assert len(elsewhere.find_all(account)) == 1
    send(OTHER, "two")
    assert listed() == [(OTHER, "two", 1), (PHONE, "one", 1)]
    assert [one.phone for one in elsewhere.find_all(account)] == [OTHER, PHONE]


def test_many_who_look_at_once_bring_the_list_up_to_date_together(make_app, fill, listed, account):
    fill(3_000, phones=40)
    apps = [make_app().extensions["phonify"].conversations for _ in range(4)]
    found: list[list[Any]] = []
    threads = [threading.Thread(target=lambda one=one: found.append(one.find_all(account, limit=100))) for one in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(each) for each in found] == [40] * 4
    assert [one[:2] for one in listed(limit=100)] == [
        (f"+1456{each % 40:07d}", str(each)) for each in range(2999, 2959, -1)
    ]


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
def test_pages_of_the_list_have_each_conversation_exactly_once(fill, conversations, account, limit):
    fill(50, phones=10)
    seen, below = [], 2**63 - 1
    while page := conversations.find_all(account, below=below, limit=limit):
        seen += [one.phone for one in page]
        below = page[-1].last.seq
    assert seen == [f"+1456{phone:07d}" for phone in range(9, -1, -1)]


def test_a_message_that_comes_while_one_pages_makes_nothing_be_seen_twice_or_never(fill, send, conversations, account):
    fill(20, phones=4)
    first = conversations.find_all(account, limit=2)
    send("+14560000001", "new")  # the conversation of the second page is now the first
    second = conversations.find_all(account, below=first[-1].last.seq, limit=2)
    assert [one.phone for one in [*first, *second]] == ["+14560000003", "+14560000002", "+14560000000"]
    assert conversations.find_all(account, limit=1)[0].phone == "+14560000001"


def test_another_accounts_messages_are_in_no_list_thread_or_search(
    stranger, send, conversations, account, listed, bodies
):
    stranger.post("/v1/messages", json={"to": PHONE, "body": "secret"})
    send(OTHER, "mine")
    assert listed() == [(OTHER, "mine", 1)]
    assert bodies(PHONE) == []
    found = conversations.search(account, text="secret", state=None, direction=None)
    assert found == ([], None)


def test_a_message_of_another_account_is_not_found(stranger, conversations, account):
    theirs = stranger.post("/v1/messages", json={"to": PHONE, "body": "secret"}).get_json()["message"]["id"]
    with pytest.raises(NotFound):
        conversations.find_entry(account, theirs)


# Cancelled and changed messages


def test_a_cancelled_message_gives_way_to_the_one_before(client, send, listed):
    send(PHONE, "kept")
    later = send(PHONE, "cancelled", send_at=TOMORROW)
    assert listed() == [(PHONE, "cancelled", 2)]
    assert client.delete(f"/v1/messages/{later['id']}").status_code == 200
    assert listed() == [(PHONE, "kept", 1)]


def test_a_conversation_whose_only_message_was_cancelled_is_gone(client, send, listed):
    later = send(PHONE, "cancelled", send_at=TOMORROW)
    assert len(listed()) == 1
    client.delete(f"/v1/messages/{later['id']}")
    assert listed() == []


def test_a_message_sent_after_a_cancelled_one_is_listed_and_unread(client, send, listed, conversations, account):
    later = send(PHONE, "cancelled", send_at=TOMORROW)
    listed()
    conversations.mark_read(account, PHONE, conversations.find_thread(account, PHONE))
    client.delete(f"/v1/messages/{later['id']}")
    send(PHONE, "after")
    assert listed() == [(PHONE, "after", 1)]


def test_a_message_that_was_given_another_number_goes_over_to_its_conversation(client, send, listed, bodies):
    later = send(PHONE, "moved", send_at=TOMORROW)
    send(OTHER, "newer")
    assert [phone for phone, _, _ in listed()] == [OTHER, PHONE]
    assert client.put(f"/v1/messages/{later['id']}", json={"to": "+14560000002"}).status_code == 200
    assert listed() == [(OTHER, "newer", 1), ("+14560000002", "moved", 1)]
    assert bodies("+14560000002") == ["moved"]
    assert bodies(PHONE) == []


def test_a_message_given_a_number_with_newer_messages_leaves_those_the_latest(client, send, listed, bodies):
    later = send(PHONE, "moved", send_at=TOMORROW)
    send(OTHER, "newer")
    listed()
    client.put(f"/v1/messages/{later['id']}", json={"to": OTHER})
    assert listed() == [(OTHER, "newer", 2)]
    assert bodies(OTHER) == ["newer", "moved"]


def test_a_message_given_another_number_before_anyone_looked_is_in_its_conversation_alone(client, send, listed):
    later = send(PHONE, "moved", send_at=TOMORROW)
    client.put(f"/v1/messages/{later['id']}", json={"to": OTHER})
    assert listed() == [(OTHER, "moved", 1)]


def test_a_change_of_the_text_alone_leaves_the_conversation(client, send, listed):
    later = send(PHONE, "first", send_at=TOMORROW)
    listed()
    client.put(f"/v1/messages/{later['id']}", json={"body": "second"})
    assert listed() == [(PHONE, "second", 1)]


# Reading


def test_a_conversation_that_was_looked_at_has_nothing_unread(send, listed, conversations, account):
    send(PHONE, "one")
    conversations.mark_read(account, PHONE, conversations.find_thread(account, PHONE))
    assert listed() == [(PHONE, "one", 0)]
    send(PHONE, "two")
    assert listed() == [(PHONE, "two", 1)]


def test_a_look_at_no_messages_is_none(conversations, account, send, listed):
    conversations.mark_read(account, PHONE, [])
    assert listed() == []


def test_a_look_that_can_not_be_written_down_is_no_error(services, send, listed, conversations, account):
    send(PHONE, "one")
    listed()
    entries = conversations.find_thread(account, PHONE)
    writer = sqlite3.connect(services.settings.database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        conversations.mark_read(account, PHONE, entries)
        assert listed() == [(PHONE, "one", 1)]
    finally:
        writer.close()
    assert listed() == [(PHONE, "one", 1)]


# Threads and search


def test_a_thread_has_both_directions(send, receive, bodies):
    send(PHONE, "one")
    receive(PHONE, "two")
    send(PHONE, "three")
    assert bodies() == ["three", "two", "one"]
    assert bodies(limit=2) == ["three", "two"]


def test_a_search_goes_on_where_it_left_off_until_all_is_seen(fill, services, account):
    conversations = Conversations(services.database, search_at_once=10)
    fill(45)
    seen, below = [], 2**63 - 1
    while below is not None:
        entries, below = conversations.search(account, text="+1456", state=None, direction=None, below=below, limit=3)
        seen += [entry.message.body for entry in entries]
    assert seen == [str(number) for number in range(44, -1, -1)]


# History


class Flaky(OnceGateway):
    """The first attempt is unavailable, the second in doubt."""

    def act(self, message: Any) -> Outcome:
        return Later() if message.attempt == 1 else Doubt()


def history(services: Services, account: Account, id_: str) -> list[tuple[str, str]]:
    """Return the text and the state of each step of a message."""
    found = services.history.find(id_)
    assert found.account.id == account.id
    return [(step.text, step.state) for step in found.steps]


def attempts(services: Services, id_: str) -> list[tuple[int, str]]:
    with services.database.reading() as connection:
        return [(one.attempt, one.outcome) for one in list_attempts(connection, message_id=id_)]


ACCEPTED = ("Accepted and stored", "done")


def test_the_history_of_a_message_that_was_simply_sent(send, message_loop, services, account):
    id_ = send()["id"]
    assert history(services, account, id_)[0] == ACCEPTED
    message_loop.deliver_due()
    assert attempts(services, id_) == []
    assert history(services, account, id_) == [ACCEPTED, ("Attempt 1: the gateway accepted the message", "done")]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("+15005550001", "The gateway refuses this number as invalid."),
        ("+15005550002", "The gateway has no route to this number."),
        ("+15005550003", "The account has no permission to send to this country."),
    ],
)
def test_the_history_of_a_message_that_was_refused_at_once(send, message_loop, services, account, number, reason):
    id_ = send(number)["id"]
    assert message_loop.deliver_due() == 0
    assert attempts(services, id_) == []
    assert history(services, account, id_) == [ACCEPTED, (f"Failed: {reason}", "failed")]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("+15005550004", "The recipient has blocked messages from this sender."),
        ("+15005550009", "This number cannot receive SMS."),
    ],
)
def test_the_history_of_a_message_that_was_refused_later(send, message_loop, services, account, number, reason):
    id_ = send(number)["id"]
    message_loop.deliver_due()
    assert attempts(services, id_) == [(1, "rejected")]
    assert history(services, account, id_) == [
        ACCEPTED,
        ("Attempt 1: the gateway refused it", "failed"),
        (f"Failed: {reason}", "failed"),
    ]


UNAVAILABLE = "the gateway could not take it at that time"


def test_the_history_of_a_message_that_fails_twice(send, message_loop, services, account, clock):
    id_ = send("+15005550010")["id"]
    message_loop.deliver_due()
    assert history(services, account, id_) == [
        ACCEPTED,
        (f"Attempt 1: {UNAVAILABLE}", "waiting"),
        ("Attempt 2 is due", "waiting"),
    ]
    for _ in range(2):
        clock.advance(10)
        message_loop.deliver_due()
    assert attempts(services, id_) == [(1, "unavailable"), (2, "unavailable")]
    assert history(services, account, id_) == [
        ACCEPTED,
        (f"Attempt 1: {UNAVAILABLE}", "waiting"),
        (f"Attempt 2: {UNAVAILABLE}", "waiting"),
        ("Attempt 3: the gateway accepted the message", "done"),
    ]


def test_the_history_of_a_message_that_takes_five_seconds(send, message_loop, services, account, clock):
    id_ = send("+15005550011")["id"]
    message_loop.deliver_due()
    steps = services.history.find(id_).steps
    assert (steps[-1].text, steps[-1].at) == ("Attempt 2 is due", "2026-01-31T09:30:05.000Z")
    clock.advance(5)
    message_loop.deliver_due()
    assert history(services, account, id_)[-1] == ("Attempt 2: the gateway accepted the message", "done")


def test_the_history_of_a_message_that_is_never_confirmed(send, message_loop, services, account, clock):
    id_ = send("+15005550012")["id"]
    message_loop.deliver_due()
    doubt = (
        "Attempt 1: nobody knows whether the gateway accepted the message. Phonify does not send the message again",
        "waiting",
    )
    assert history(services, account, id_) == [ACCEPTED, doubt, ("End of the validity period", "waiting")]
    clock.advance(86_400)
    message_loop.deliver_due()
    assert attempts(services, id_) == [(1, "unconfirmed")]
    assert history(services, account, id_) == [
        ACCEPTED,
        doubt,
        ("Failed: The validity period ended before the gateway confirmed the message.", "failed"),
    ]


def test_the_history_of_an_attempt_in_hand_names_no_later_one(send, services, account, message_loop, clock):
    id_ = send("+15005550010")["id"]
    message_loop.deliver_due()
    execute(services, "UPDATE messages SET attempts = 2 WHERE id = ?", id_)
    assert history(services, account, id_)[-1] == ("Attempt 2 is due", "waiting")


def test_the_history_of_a_scheduled_message(send, message_loop, services, account, clock):
    id_ = send(send_at=TOMORROW)["id"]
    assert history(services, account, id_)[:2] == [ACCEPTED, ("Scheduled to be sent", "waiting")]
    clock.advance(86_400)
    message_loop.deliver_due()
    assert history(services, account, id_) == [
        ACCEPTED,
        ("Scheduled to be sent", "done"),
        ("Attempt 1: the gateway accepted the message", "done"),
    ]


def test_the_history_of_a_cancelled_message_ends_with_the_cancellation(send, services, account, clock):
    id_ = send(send_at=TOMORROW)["id"]
    clock.advance(60)
    services.changing.call_off(account, id_)
    steps = services.history.find(id_).steps
    assert [(step.at[11:19], step.text, step.state) for step in steps] == [
        ("09:30:00", "Accepted and stored", "done"),
        ("09:31:00", "Cancelled", "failed"),
    ]
    (planned,) = steps[-1].parts
    assert (planned.at, planned.text) == (f"{TOMORROW[:-1]}.000Z", "It was scheduled for this time")


def test_a_message_that_is_cancelled_at_once_has_passed_its_checks(send, services, account):
    id_ = send(send_at=TOMORROW)["id"]
    services.changing.call_off(account, id_)
    accepted, _ = services.history.find(id_).steps
    assert accepted.parts[-1].text.startswith("It passed the checks")


def test_the_history_of_a_received_message(receive, services, account):
    assert history(services, account, receive()["id"]) == [("Received and stored", "done")]


def test_the_history_of_a_received_message_that_waits_for_the_webhook(receive, services, account):
    services.webhooks.set_url(account, "http://127.0.0.1:9/hook")
    assert history(services, account, receive()["id"]) == [
        ("Received and stored", "done"),
        ("Waiting for delivery to the webhook", "waiting"),
        ("Webhook message.received: pending", "waiting"),
    ]


def test_the_attempts_of_a_gateway_in_trouble_are_kept_in_order(make_app, clock):
    app = make_app(Flaky())
    app.test_client().post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    services = app.extensions["phonify"]
    message_loop = services.make_message_loop()
    message_loop.deliver_due()
    clock.advance(5)
    message_loop.deliver_due()
    ((id_,),) = execute(services, "SELECT id FROM messages")
    assert attempts(services, id_) == [(1, "unavailable"), (2, "unconfirmed")]


# Clearing


def count(services: Services) -> int:
    return int(execute(services, "SELECT count(*) FROM messages")[0][0])


def test_clearing_removes_what_is_settled(send, receive, message_loop, conversations, account, listed, services):
    send(PHONE, "sent")
    receive(PHONE, "received")
    send("+15005550001", "refused")
    message_loop.deliver_due()
    send(OTHER, "waits", send_at=TOMORROW)
    services.retention.clear(account)
    assert listed() == [(OTHER, "waits", 1)]
    assert conversations.count(account) == 1


def test_clearing_an_empty_inbox_removes_nothing(conversations, account, services):
    services.retention.clear(account)
    assert conversations.count(account) == 0


def test_clearing_leaves_another_accounts_messages(stranger, receive, conversations, account, services):
    stranger.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "theirs"})
    receive()
    services.retention.clear(account)
    assert execute(services, "SELECT body FROM messages") == [("theirs",)]


def test_clearing_removes_more_than_one_transaction_takes(fill, conversations, account, services):
    fill(1_234)
    services.retention.clear(account)
    assert count(services) == 0
    assert conversations.count(account) == 0


def test_clearing_steps_over_those_that_stay_once(fill, send, account, services):
    retention = Retention(services.database, services.clock, most_messages=None, longest=None, messages_at_once=2)
    for number in range(5):
        send(PHONE, str(number), send_at=TOMORROW)
    execute(services, "UPDATE messages SET id = replace(id, '019c', '0190')")  # older than the next messages
    fill(7)
    retention.clear(account)
    assert count(services) == 5


def test_after_clearing_new_messages_are_listed_and_unread(
    send, receive, conversations, account, listed, message_loop, services
):
    for number in range(5):
        receive(PHONE, str(number))
    listed()
    conversations.mark_read(account, PHONE, conversations.find_thread(account, PHONE))
    services.retention.clear(account)
    receive(PHONE, "new")
    send(OTHER, "other")
    assert listed() == [(OTHER, "other", 1), (PHONE, "new", 1)]


def test_clearing_stops_where_the_server_does(fill, conversations, account, services):
    fill(10)
    services.database.stopping = True
    services.retention.clear(account)
    assert count(services) == 10


# Retention


def clean(upkeep: Upkeep, clock: Any) -> None:
    """Move the clock to the next cleaning, and run it."""
    clock.advance(INTERVAL + 1)
    upkeep.step()


@pytest.fixture
def retaining(make_app: Callable[..., Flask]) -> Callable[..., tuple[FlaskClient, Services, Upkeep]]:
    """Return a function that builds an app with settings for retention."""

    def build(**settings: int) -> tuple[FlaskClient, Services, Upkeep]:
        app = make_app(**settings)
        services = app.extensions["phonify"]
        return app.test_client(), services, services.make_upkeep()

    return build


def receive_several(client: FlaskClient, clock: Any, number: int, apart: float = 1) -> None:
    for each in range(number):
        client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": str(each)})
        clock.advance(apart)


def left(services: Services) -> list[str]:
    return [body for (body,) in execute(services, "SELECT body FROM messages ORDER BY seq")]


def test_without_settings_nothing_is_removed(retaining, clock):
    client, services, upkeep = retaining()
    receive_several(client, clock, 5, apart=400 * 86_400)
    clean(upkeep, clock)
    assert len(left(services)) == 5


def test_the_oldest_beyond_a_number_are_removed(retaining, clock):
    client, services, upkeep = retaining(RETAIN_MESSAGES=3)
    receive_several(client, clock, 5)
    assert len(left(services)) == 5  # until the next cleaning
    clean(upkeep, clock)
    assert left(services) == ["2", "3", "4"]


def test_the_settings_come_from_the_environment(make_app, clock, monkeypatch):
    monkeypatch.setenv("PHONIFY_RETAIN_MESSAGES", "2")
    monkeypatch.setenv("PHONIFY_RETAIN_DAYS", "1")
    app = make_app()
    receive_several(app.test_client(), clock, 5)
    clean(app.extensions["phonify"].make_upkeep(), clock)
    assert left(app.extensions["phonify"]) == ["3", "4"]


def test_a_number_is_that_of_each_account(retaining, clock):
    client, services, upkeep = retaining(RETAIN_MESSAGES=2)
    other = accounts.create_account(services.database, clock, name="other")
    _, key = accounts.create_key(services.database, clock, other, name="")
    receive_several(client, clock, 2)
    stranger = client.application.test_client()
    stranger.key = key
    receive_several(stranger, clock, 4)
    clean(upkeep, clock)
    assert execute(services, "SELECT account_id, count(*) FROM messages GROUP BY 1") == [(1, 2), (other.id, 2)]


def test_messages_are_kept_for_some_days(retaining, clock):
    client, services, upkeep = retaining(RETAIN_DAYS=2)
    receive_several(client, clock, 5, apart=86_400)
    clean(upkeep, clock)
    assert left(services) == ["4"]


def test_a_message_goes_when_its_days_are_over_and_no_sooner(retaining, clock):
    client, services, upkeep = retaining(RETAIN_DAYS=1)
    receive_several(client, clock, 1, apart=0)
    clock.advance(86_400 - INTERVAL - 2)
    clean(upkeep, clock)
    assert left(services) == ["0"]
    clean(upkeep, clock)
    assert left(services) == []


def test_a_day_is_that_of_all_accounts(retaining, clock):
    client, services, upkeep = retaining(RETAIN_DAYS=1)
    other = accounts.create_account(services.database, clock, name="other")
    _, key = accounts.create_key(services.database, clock, other, name="")
    stranger = client.application.test_client()
    stranger.key = key
    for each in (client, stranger):
        receive_several(each, clock, 2)
    clock.advance(86_400)
    clean(upkeep, clock)
    assert left(services) == []


@pytest.mark.parametrize("settings", [{"RETAIN_MESSAGES": 1}, {"RETAIN_DAYS": 1}])
def test_messages_that_are_not_settled_are_kept(retaining, clock, settings):
    client, services, upkeep = retaining(**settings)
    for number in range(3):
        client.post("/v1/messages", json={"to": PHONE, "body": f"waits {number}", "send_at": "2027-01-01T00:00:00Z"})
    receive_several(client, clock, 3)
    clock.advance(3 * 86_400)
    clean(upkeep, clock)
    assert left(services) == ["waits 0", "waits 1", "waits 2"]


def test_as_many_days_as_can_be_set_keep_all(retaining, clock):
    client, services, upkeep = retaining(RETAIN_DAYS=36_500)
    receive_several(client, clock, 3)
    clean(upkeep, clock)
    assert len(left(services)) == 3


def test_more_than_one_transaction_takes_is_removed_in_one_cleaning(retaining, clock, services, fill):
    _, _, upkeep = retaining(RETAIN_MESSAGES=10)
    fill(1_200)
    clean(upkeep, clock)
    assert count(services) == 10


def test_counts_stay_right_after_cleaning(retaining, clock, client, conversations, account):
    cleaning, _, upkeep = retaining(RETAIN_MESSAGES=3)
    receive_several(cleaning, clock, 8)
    clean(upkeep, clock)
    assert conversations.count(account) == 3
    assert len(client.get("/v1/messages").get_json()["messages"]) == 3


def test_the_list_is_right_after_cleaning(retaining, clock, listed):
    client, _, upkeep = retaining(RETAIN_MESSAGES=2)
    client.post("/sandbox/inbound", json={"from": OTHER, "to": OWN, "body": "old"})
    receive_several(client, clock, 3)
    assert [phone for phone, _, _ in listed()] == [PHONE, OTHER]
    clean(upkeep, clock)
    assert listed() == [(PHONE, "2", 2)]
