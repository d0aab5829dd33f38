"""Tests of the start with a hundred thousand waiting messages."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from phonify import create_app
from phonify.clock import format_time
from phonify.domain import accounts
from phonify.ids import generate_ids
from phonify.storage import messages as store
from phonify.storage.records import Message
from tests.support.app import FakeClock
from tests.support.load import TO, Load, count_and_tell, query, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


def test_a_hundred_thousand_waiting_messages_at_the_start_are_all_delivered_beside_new_ones(start, database):
    clock = FakeClock()
    clock.moment = datetime.now(UTC) - timedelta(seconds=10)
    app = create_app({"DATABASE": database, "API_KEY": "test-key"}, clock=clock)
    app.extensions["phonify"].prepare()
    services = app.extensions["phonify"]
    account = accounts.ensure_default_account(services.database, clock)
    ids = generate_ids(clock.now())
    now, until = format_time(clock.now()), format_time(clock.now() + timedelta(days=1))
    waiting = [
        Message(next(ids), account.id, "outbound", "Hello", "+15005550006", "US", None, TO, "US", None,
                      "unconfirmed", now, due_at=now, expires_at=until, gateway="stub")
        for _ in range(100_000)
    ]  # fmt: skip
    with services.database.write() as connection:
        store.insert_messages(connection, messages=waiting)
    services.close()
    begun = time.monotonic()
    server = start(ACCESS_LOG="off")
    with Load(server.port, 1, pause=0.05) as load:
        load.wait_for(10)
        wait_until(lambda: query(database, "SELECT 1 FROM messages WHERE due_at IS NOT NULL LIMIT 1") == [], 60)
    assert set(load.statuses) == {201}
    acknowledged = [message.id for message in waiting] + load.acknowledged
    count_and_tell("100,000 waiting messages at the start", database, acknowledged, begun)
