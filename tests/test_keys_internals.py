"""How the use of a key is noted: once a minute, by one process."""

import pytest
from conftest import KEY

from phonify import accounts
from phonify.accounts import KeyRing


@pytest.fixture
def used_at(operator):
    return lambda: operator.show("keys", "list")[0]["used_at"]


def count_writes(database):
    """Return a list that gets an element with each write of a database that waits for no disk."""
    writes, write = [], database.write_unsynced

    def counted(*arguments, **options):
        writes.append(1)
        return write(*arguments, **options)

    database.write_unsynced = counted
    return writes


# Last used


def test_its_use_is_written_down_once_a_minute(client, used_at, clock, runtime):
    writes = count_writes(runtime.database)
    for _ in range(59):
        client.get("/v1/messages")
        clock.advance(1)
    assert (used_at(), len(writes)) == ("2026-01-31T09:30:00.000Z", 1)
    clock.advance(1)
    client.get("/v1/messages")
    assert (used_at(), len(writes)) == ("2026-01-31T09:31:00.000Z", 2)


def test_of_two_processes_that_use_it_one_writes_it_down(make_app, runtime, clock, used_at):
    rings = [KeyRing(make_app().extensions["phonify"].database, clock) for _ in range(2)]
    for ring in rings:
        ring.find_account(KEY)
        clock.advance(1)
    assert used_at() == "2026-01-31T09:30:00.000Z"


def test_what_another_process_wrote_meanwhile_is_not_written_again(runtime, used_at):
    from phonify import store

    key_id = accounts.list_keys(runtime.database)[0].id

    def note(now, unless_since):
        runtime.database.write(
            lambda connection: store.set_key_used(connection, key_id=key_id, now=now, unless_since=unless_since)
        )

    note("2026-01-31T09:30:00.000Z", "2026-01-31T09:29:00.000Z")
    note("2026-01-31T09:30:59.000Z", "2026-01-31T09:29:59.000Z")
    assert used_at() == "2026-01-31T09:30:00.000Z"
    note("2026-01-31T09:31:00.000Z", "2026-01-31T09:30:00.000Z")
    assert used_at() == "2026-01-31T09:31:00.000Z"
