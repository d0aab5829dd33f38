"""Tests of the upkeep: due times and leases after a change of the clock, and the removal of old rows."""

import threading
import time

import pytest

from phonify.clock import format_time
from phonify.domain import accounts
from phonify.gateways.base import Doubt, Later, Taken
from phonify.gateways.events import Part, Received
from phonify.storage import outbox as outbox_store
from phonify.storage.process_lock import Owner
from tests.support.fake_gateway import OnceGateway
from tests.support.load import count_and_tell, query, wait_until

DAY = 86_400


class Gated(OnceGateway):
    """Takes all messages, or none temporarily."""

    sandbox = True

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.open = True

    def act(self, message):
        if not self.open:
            return Later()
        self.taken.append(message.id)
        return Taken()


@pytest.fixture
def gateway() -> Gated:
    return Gated()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway, RETAIN_DAYS=30)


@pytest.fixture
def upkeep(services):
    return services.make_upkeep()


# A clock that is set back


def test_what_waits_from_the_future_is_sent_after_the_clock_was_set_back(
    send, message_loop, upkeep, gateway, clock, tmp_path
):
    begun = time.monotonic()
    never_tried = send()["id"]
    gateway.open = False
    tried = send()["id"]
    message_loop.deliver_due()  # both
    gateway.open = True
    new = send()["id"]
    clock.advance(-DAY)
    assert message_loop.deliver_due() == 0
    upkeep.follow_clock()
    assert message_loop.deliver_due() == 3
    message_loop.deliver_due()
    assert sorted(gateway.taken) == sorted([never_tried, tried, new])
    count_and_tell("injected clock back by a day", tmp_path / "phonify.db", [never_tried, tried, new], begun)


def test_what_is_scheduled_still_waits_for_its_time_after_the_clock_was_set_back(send, message_loop, upkeep, clock):
    send(send_at="2026-01-31T10:30:00Z")
    clock.advance(-DAY)
    upkeep.follow_clock()
    assert message_loop.deliver_due() == 0
    clock.advance(DAY + 3_600)
    assert message_loop.deliver_due() == 1


def test_what_is_in_doubt_is_not_sent_again_after_the_clock_was_set_back(
    send, message_loop, upkeep, clock, gateway, execute
):
    message = send()["id"]
    message_loop.deliver_due()
    execute(  # as if the attempt had ended in doubt
        "UPDATE messages SET state = 'unconfirmed', finished_at = NULL, due_at = expires_at, submitted_at = created_at"
    )
    clock.advance(-DAY)
    upkeep.follow_clock()
    message_loop.deliver_due()
    assert gateway.taken == [message]


def test_what_another_loop_has_in_hand_is_left_to_it_for_a_new_lease(
    send, message_loop, upkeep, clock, gateway, services
):
    send()
    owner = Owner(services.database.path)
    with services.database.write() as connection:
        outbox_store.lease_messages(
            connection,
            messages=outbox_store.list_due_messages(connection, gateway="gateway", now="~", limit=1),
            place="gateway",
            owner=owner.id,
            now=format_time(clock.now()),
            until=format_time(clock.now()),
        )
    clock.advance(-3_600)
    upkeep.follow_clock()
    assert message_loop.deliver_due() == 0
    clock.advance(31)
    message_loop.deliver_due()
    owner.close()
    assert gateway.taken == []  # nobody knows whether it was sent


def test_webhooks_from_the_future_are_posted_after_the_clock_was_set_back(
    send, message_loop, upkeep, clock, services, receiver, tmp_path
):
    account = accounts.ensure_default_account(services.database, clock)
    services.webhooks.set_url(account, receiver.url)
    send()
    message_loop.deliver_due()
    clock.advance(-DAY)
    poster = services.make_webhook_loop()
    assert poster.deliver_due() == 0
    upkeep.follow_clock()
    assert poster.deliver_due() == 1
    assert query(tmp_path / "phonify.db", "SELECT state FROM webhook_deliveries") == [("delivered",)]


@pytest.mark.parametrize("hours", [3, -3])
def test_a_step_of_hours_during_retries_loses_and_doubles_nothing(
    send, message_loop, upkeep, gateway, clock, hours, tmp_path
):
    begun = time.monotonic()
    gateway.open = False
    acknowledged = [send()["id"] for _ in range(20)]
    message_loop.deliver_due()
    clock.advance(hours * 3_600)
    acknowledged += [send()["id"] for _ in range(20)]
    upkeep.follow_clock()
    message_loop.deliver_due()
    gateway.open = True
    clock.advance(60)
    message_loop.deliver_due()
    assert sorted(gateway.taken) == sorted(acknowledged)
    assert len(set(acknowledged)) == 40
    count_and_tell(f"injected clock by {hours:+} h during retries", tmp_path / "phonify.db", acknowledged, begun)


def test_the_validity_of_what_is_in_doubt_ends_in_time_after_the_clock_was_set_back(
    send, message_loop, upkeep, clock, gateway, execute
):
    gateway.act = lambda _: Doubt()
    send()
    message_loop.deliver_due()
    scheduled = send(send_at="2026-02-28T09:30:00Z")["id"]
    clock.advance(-30 * DAY)
    for _ in range(3):  # it ends at the same time, however often the clock is followed
        upkeep.follow_clock()
        clock.advance(60)
    clock.advance(DAY - 181)
    message_loop.deliver_due()
    assert execute("SELECT state FROM messages") == [("unconfirmed",), ("unconfirmed",)]
    clock.advance(1)
    message_loop.deliver_due()
    assert execute("SELECT id, state FROM messages ORDER BY seq")[1:] == [(scheduled, "unconfirmed")]
    assert execute("SELECT error_type FROM messages ORDER BY seq")[0] == ("validity_expired",)
    assert execute("SELECT expires_at FROM messages ORDER BY seq")[1] == ("2026-03-01T09:30:00.000Z",)


def test_a_message_that_the_gateway_did_not_get_is_still_due_after_the_clock_was_set_back(
    make_app, clock, deliver, execute
):
    gateway = Gated()
    gateway.act = lambda _: Later(pause=True)
    app = make_app(gateway=gateway)
    app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})
    clock.advance(-DAY)
    app.extensions["phonify"].make_upkeep().follow_clock()
    deliver(app)
    gateway.act = lambda _: Taken()
    clock.advance(2)
    deliver(app)
    assert execute("SELECT state FROM messages") == [("sent",)]


def test_look_ups_and_parts_of_texts_from_the_future_wait_no_longer_than_usual(make_app, clock, execute):
    class Looking(Gated):
        can_look_up = True
        sandbox = False
        number = "+15005550006"

    gateway = Looking()
    gateway.act = lambda _: Doubt()
    app = make_app(gateway=gateway)
    services = app.extensions["phonify"]
    app.test_client().post("/v1/messages", json={"to": "+14560000000", "body": "Hello"})
    services.make_message_loop().deliver_due()
    part = Received("+4915112345678", "world", "event", part=Part("7", 2, 2))
    services.gateways["gateway"].take([part])
    clock.advance(-DAY)
    services.make_upkeep().follow_clock()
    assert services.gateways["gateway"].make_look_ups().step() == 1
    services.inbound.hand_over_due()
    assert execute("SELECT count(*) FROM messages WHERE direction = 'inbound'") == [(0,)]
    clock.advance(600)
    services.inbound.hand_over_due()
    assert execute("SELECT body FROM messages WHERE direction = 'inbound'") == [("…world",)]


# The loop


@pytest.fixture
def run(services, upkeep):
    thread = threading.Thread(target=upkeep.run)
    yield thread.start
    services.stop()
    thread.join()


def put_answer(execute, created_at):
    execute(f"INSERT INTO idempotency_keys VALUES (1, '{created_at}', 'h', 201, '{{}}', '{created_at}')")


def count_old(execute):
    tables = ("idempotency_keys", "messages", "webhook_deliveries")
    return [execute(f"SELECT count(*) FROM {table}")[0][0] for table in tables]


def test_what_is_old_is_removed_at_the_start_and_then_each_minute(run, send, message_loop, execute, clock):
    send()
    message_loop.deliver_due()
    put_answer(execute, "2026-01-31T09:30:00.000Z")
    execute(
        "INSERT INTO webhook_deliveries (id, account_id, event, payload, state, created_at, finished_at) SELECT"
        " 'id', 1, 'message.sent', '{}', 'delivered', created_at, created_at FROM messages"
    )
    clock.advance(31 * DAY)
    put_answer(execute, "2026-03-02T09:30:01.000Z")
    assert count_old(execute) == [2, 1, 1]
    run()
    wait_until(lambda: count_old(execute) == [1, 0, 0])
    clock.advance(61)
    wait_until(lambda: count_old(execute) == [0, 0, 0])


def test_the_former_secret_of_a_webhook_is_removed_after_a_day(services, upkeep, execute, clock):
    account = accounts.ensure_default_account(services.database, services.clock)
    services.webhooks.set_url(account, "https://example.com/")
    rotated = services.webhooks.rotate_secret(account)
    clock.advance(DAY - 0.001)
    upkeep.step()
    assert services.webhooks.get(account) == rotated
    clock.advance(61)
    upkeep.step()
    secrets = execute("SELECT secret, former_secret, former_until FROM webhooks")
    assert secrets == [(rotated.secret, None, None)]


def test_a_clock_that_is_set_back_is_noticed_at_once(run, send, execute, clock, gateway, message_loop):
    put_answer(execute, "2026-01-29T09:30:00.000Z")
    gateway.open = False
    send()
    message_loop.deliver_due()
    run()
    wait_until(lambda: execute("SELECT count(*) FROM idempotency_keys") == [(0,)])
    clock.advance(-DAY)
    wait_until(lambda: execute("SELECT due_at FROM messages") == [("2026-01-30T09:30:00.000Z",)])


def test_a_database_that_can_not_be_used_is_told_and_upkeep_goes_on(run, execute, clock, lock_database, caplog):
    put_answer(execute, "2026-01-29T09:30:00.000Z")
    locker = lock_database()
    run()
    wait_until(lambda: "the upkeep is paused for a minute, because the database can't be used: " in caplog.text)
    locker.execute("ROLLBACK")
    clock.advance(61)
    wait_until(lambda: execute("SELECT count(*) FROM idempotency_keys") == [(0,)])
