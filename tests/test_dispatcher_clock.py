"""The dispatcher where the clock is set back or forward: due times and leases follow it."""

import time

import pytest
from load import count_and_tell, query

from phonify import accounts
from phonify.gateways.base import Gateway, Unavailable

DAY = 86_400


class Gated(Gateway):
    """Takes everything, or nothing for now."""

    sandbox = True

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.open = True

    def send(self, message) -> None:
        if not self.open:
            raise Unavailable
        self.taken.append(message.id)


@pytest.fixture
def gateway() -> Gated:
    return Gated()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


# The injected clock


def test_what_waits_from_the_future_is_sent_after_the_clock_was_set_back(
    send, dispatcher, gateway, clock, runtime, tmp_path
):
    begun = time.monotonic()
    never_tried = send()["id"]
    gateway.open = False
    tried = send()["id"]
    dispatcher.deliver_due()  # both
    gateway.open = True
    new = send()["id"]
    clock.advance(-DAY)
    assert dispatcher.deliver_due() == 0
    dispatcher.follow_clock()
    assert dispatcher.deliver_due() == 3
    dispatcher.deliver_due()
    assert sorted(gateway.taken) == sorted([never_tried, tried, new])
    count_and_tell("injected clock back by a day", tmp_path / "phonify.db", [never_tried, tried, new], begun)


def test_what_is_scheduled_still_waits_for_its_time_after_the_clock_was_set_back(send, dispatcher, clock, gateway):
    send(send_at="2026-01-31T10:30:00Z")
    clock.advance(-DAY)
    dispatcher.follow_clock()
    assert dispatcher.deliver_due() == 0
    clock.advance(DAY + 3_600)
    assert dispatcher.deliver_due() == 1


def test_what_is_in_doubt_is_not_sent_again_after_the_clock_was_set_back(send, dispatcher, clock, gateway, app):
    message = send()["id"]
    dispatcher.deliver_due()
    with app.extensions["phonify"].database.reading() as connection:  # as if the attempt had ended in doubt
        assert connection.execute("SELECT state FROM messages").fetchall() == [("sent",)]
    app.extensions["phonify"].database.write(
        lambda connection: connection.execute(
            "UPDATE messages SET state = 'unconfirmed', finished_at = NULL, due_at = expires_at,"
            " submitted_at = created_at"
        )
    )
    clock.advance(-DAY)
    dispatcher.follow_clock()
    dispatcher.deliver_due()
    assert gateway.taken == [message]


def test_what_another_dispatcher_has_in_hand_is_left_to_it_for_a_new_lease(send, dispatcher, clock, gateway, make_app):
    send()
    other = make_app(gateway=gateway).extensions["phonify"].make_dispatcher()
    (message,) = other._record_and_lease()
    clock.advance(-3_600)
    dispatcher.follow_clock()
    assert dispatcher.deliver_due() == 0
    assert message.attempts == 1
    clock.advance(31)
    dispatcher.deliver_due()
    assert gateway.taken == []  # it may have been sent: nobody knows


def test_webhooks_from_the_future_are_posted_after_the_clock_was_set_back(
    send, dispatcher, clock, runtime, receiver, tmp_path
):
    account = accounts.ensure_default_account(runtime.database, clock)
    runtime.webhooks.set_url(account, receiver.url)
    send()
    dispatcher.deliver_due()
    clock.advance(-DAY)
    poster = runtime.make_webhook_dispatcher()
    assert poster.deliver_due() == 0
    dispatcher.follow_clock()
    assert poster.deliver_due() == 1
    assert query(tmp_path / "phonify.db", "SELECT state FROM webhook_deliveries") == [("delivered",)]


@pytest.mark.parametrize("hours", [3, -3])
def test_a_step_of_hours_during_retries_loses_and_doubles_nothing(send, dispatcher, gateway, clock, hours, tmp_path):
    begun = time.monotonic()
    gateway.open = False
    acknowledged = [send()["id"] for _ in range(20)]
    dispatcher.deliver_due()
    clock.advance(hours * 3_600)
    acknowledged += [send()["id"] for _ in range(20)]
    dispatcher.follow_clock()
    dispatcher.deliver_due()
    gateway.open = True
    clock.advance(60)
    dispatcher.deliver_due()
    assert sorted(gateway.taken) == sorted(acknowledged)
    assert len(set(acknowledged)) == 40
    count_and_tell(f"injected clock by {hours:+} h during retries", tmp_path / "phonify.db", acknowledged, begun)
