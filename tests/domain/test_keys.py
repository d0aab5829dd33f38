"""Tests that only one process records the use of a key, once a minute."""

import pytest

from phonify.domain import accounts
from phonify.domain.accounts import KeyRing
from phonify.storage import accounts as account_store
from tests.support.app import KEY


@pytest.fixture
def used_at(operator):
    return lambda: operator.show("keys", "list")[0]["used_at"]


# Last used


def test_its_use_is_written_down_once_a_minute(client, used_at, clock, services):
    client.get("/v1/messages")
    watcher = services.database.watch()
    for _ in range(59):
        client.get("/v1/messages")
        clock.advance(1)
    assert (used_at(), watcher.changed()) == ("2026-01-31T09:30:00.000Z", False)
    clock.advance(1)
    client.get("/v1/messages")
    assert (used_at(), watcher.changed()) == ("2026-01-31T09:31:00.000Z", True)


def test_of_two_processes_that_use_it_one_writes_it_down(make_app, services, clock, used_at):
    rings = [KeyRing(make_app().extensions["phonify"].database, clock) for _ in range(2)]
    for ring in rings:
        ring.find_account(KEY)
        clock.advance(1)
    assert used_at() == "2026-01-31T09:30:00.000Z"


def test_what_another_process_wrote_meanwhile_is_not_written_again(services, used_at):
    key_id = accounts.list_keys(services.database)[0].id

    def note(now, unless_since):
        with services.database.write() as connection:
            account_store.set_key_used(connection, key_id=key_id, now=now, unless_since=unless_since)

    note("2026-01-31T09:30:00.000Z", "2026-01-31T09:29:00.000Z")
    note("2026-01-31T09:30:59.000Z", "2026-01-31T09:29:59.000Z")
    assert used_at() == "2026-01-31T09:30:00.000Z"
    note("2026-01-31T09:31:00.000Z", "2026-01-31T09:30:00.000Z")
    assert used_at() == "2026-01-31T09:31:00.000Z"
