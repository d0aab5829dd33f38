"""Tests of accounts and their keys. A revoked key must stop working immediately."""

import re
import sqlite3
import threading

import pytest

from phonify.domain import accounts
from phonify.domain.accounts import KeyRing, KeyTaken, NameTaken

KEY = "test-key"


@pytest.fixture
def database(services):
    return services.database


@pytest.fixture
def default(database, clock):
    return accounts.ensure_default_account(database, clock)


@pytest.fixture
def ring(database, clock):
    return KeyRing(database, clock)


def stored(services, statement: str) -> list[tuple]:
    connection = sqlite3.connect(services.settings.database)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# Accounts


def test_an_account_has_its_name_and_sender_and_the_time_it_was_made(database, clock):
    account = accounts.create_account(database, clock, name="shop", origin="SHOP")
    assert (account.name, account.origin, account.created_at) == ("shop", "SHOP", "2026-01-31T09:30:00.000Z")


def test_a_name_is_taken_only_once(database, clock):
    accounts.create_account(database, clock, name="shop")
    with pytest.raises(NameTaken):
        accounts.create_account(database, clock, name="shop")


def test_the_default_account_is_made_once(database, clock, default, services):
    assert accounts.ensure_default_account(database, clock) == default
    assert stored(services, "SELECT name FROM accounts") == [("default",)]


# Keys


def test_a_key_is_url_safe_and_has_192_random_bits(database, clock, default):
    _, key = accounts.create_key(database, clock, default, name="")
    assert re.fullmatch(r"phk_[A-Za-z0-9_-]{32}", key)


def test_no_two_keys_are_the_same(database, clock, default):
    keys = {accounts.create_key(database, clock, default, name="")[1] for _ in range(100)}
    assert len(keys) == 100


def test_only_the_hash_of_a_key_is_in_the_file(database, clock, default, services):
    _, key = accounts.create_key(database, clock, default, name="web")
    files = [path.read_bytes() for path in services.settings.database.parent.iterdir() if path.is_file()]
    assert len(files) >= 2  # the database and its log
    assert not any(key.encode() in content or key[4:].encode() in content for content in files)
    assert not any(KEY.encode() in content for content in files)


def test_the_hash_of_a_key_is_its_sha_256():
    assert accounts.hash_key("test-key") == "62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef"


def test_a_key_with_characters_that_are_no_text_has_a_hash_as_well():
    assert accounts.hash_key("\ud800") != accounts.hash_key("\udfff")


def test_an_account_may_have_several_keys(database, clock, default, ring):
    keys = [accounts.create_key(database, clock, default, name="")[1] for _ in range(3)]
    assert [ring.find_account(key) for key in keys] == [default, default, default]


def test_a_first_key_is_made_only_where_there_is_none(database, clock, default, services):
    assert accounts.create_first_key(database, clock, default) is None  # the app has PHONIFY_API_KEY
    connection = sqlite3.connect(services.settings.database)
    connection.execute("DELETE FROM api_keys")
    connection.commit()
    connection.close()
    assert accounts.create_first_key(database, clock, default) is not None
    assert accounts.create_first_key(database, clock, default) is None


def test_a_first_key_is_made_by_one_of_many_processes_that_start_at_once(make_app, clock):
    found = []
    start = threading.Barrier(4)
    databases = [make_app(API_KEY=None).extensions["phonify"].database for _ in range(4)]

    def work(database) -> None:
        account = accounts.ensure_default_account(database, clock)
        start.wait()
        found.append(accounts.create_first_key(database, clock, account))

    threads = [threading.Thread(target=work, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [key is None for key in found].count(False) == 1


def test_a_given_key_is_admitted_again_at_each_start(database, clock, default, services):
    accounts.admit_key(database, clock, default, name="again", key=KEY)
    assert stored(services, "SELECT count(*) FROM api_keys") == [(1,)]


def test_a_given_key_that_was_revoked_stays_revoked(database, clock, default, ring):
    assert accounts.revoke_key(database, clock, 1)
    assert ring.find_account(KEY) is None
    assert accounts.admit_key(database, clock, default, name="again", key=KEY) is False
    assert ring.find_account(KEY) is None


def test_a_given_key_of_another_account_is_not_taken_over(database, clock, default, ring):
    other = accounts.create_account(database, clock, name="other")
    with pytest.raises(KeyTaken):
        accounts.admit_key(database, clock, other, name="", key=KEY)
    assert ring.find_account(KEY) == default


# Finding the account of a key


def test_a_key_finds_its_own_account(database, clock, default, ring):
    other = accounts.create_account(database, clock, name="other")
    _, key = accounts.create_key(database, clock, other, name="")
    assert (ring.find_account(KEY), ring.find_account(key)) == (default, other)


@pytest.mark.parametrize("key", ["", "test-ke", "test-key ", "TEST-KEY", "test-key\0", "\ud800", "x" * 10_000])
def test_what_is_no_key_finds_no_account(ring, key):
    assert ring.find_account(key) is None


def test_the_hash_of_a_key_is_no_key(ring):
    assert ring.find_account("62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef") is None


def test_a_revoked_key_finds_nothing_at_once(database, clock, default, ring):
    assert ring.find_account(KEY) == default
    accounts.revoke_key(database, clock, 1)
    assert ring.find_account(KEY) is None


def test_a_key_that_another_process_revoked_finds_nothing_at_once(make_app, clock, default, ring):
    assert ring.find_account(KEY) == default
    accounts.revoke_key(make_app(API_KEY=None).extensions["phonify"].database, clock, 1)
    assert ring.find_account(KEY) is None


def test_a_key_that_was_revoked_by_hand_finds_nothing_after_a_second(clock, default, ring, services):
    assert ring.find_account(KEY) == default
    connection = sqlite3.connect(services.settings.database)
    connection.execute("UPDATE api_keys SET revoked_at = '2026-01-31T09:30:00.000Z'")
    connection.commit()
    connection.close()
    clock.advance(1)
    assert ring.find_account(KEY) is None


def test_a_key_made_after_it_was_first_tried_is_found_at_once(database, clock, default, ring):
    assert ring.find_account("later") is None
    accounts.admit_key(database, clock, default, name="", key="later")
    assert ring.find_account("later") == default


def test_revoking_one_key_leaves_the_others(database, clock, default, ring):
    key_id, key = accounts.create_key(database, clock, default, name="")
    accounts.revoke_key(database, clock, key_id)
    assert (ring.find_account(key), ring.find_account(KEY)) == (None, default)


def test_a_key_can_be_revoked_only_once(database, clock, default):
    assert accounts.revoke_key(database, clock, 1)
    assert not accounts.revoke_key(database, clock, 1)
    assert not accounts.revoke_key(database, clock, 99)


def test_a_request_with_a_revoked_key_is_refused_at_once(client, database, clock):
    assert client.get("/v1/messages").status_code == 200
    accounts.revoke_key(database, clock, 1)
    assert client.get("/v1/messages").status_code == 401


# The last use of a key


def used_at(database) -> list[str | None]:
    return [key.used_at for key in accounts.list_keys(database)]


def test_a_key_that_nobody_used_has_no_time_of_use(database, clock, default):
    accounts.create_key(database, clock, default, name="new")
    assert used_at(database) == [None, None]


def test_the_use_of_a_key_is_noted(database, ring):
    ring.find_account(KEY)
    assert used_at(database) == ["2026-01-31T09:30:00.000Z"]


def test_the_use_of_a_key_is_noted_at_most_once_a_minute(database, clock, ring):
    for _ in range(59):
        ring.find_account(KEY)
        clock.advance(1)
    assert used_at(database) == ["2026-01-31T09:30:00.000Z"]
    clock.advance(1)
    ring.find_account(KEY)
    assert used_at(database) == ["2026-01-31T09:31:00.000Z"]


def test_many_processes_note_the_use_of_a_key_once_a_minute(make_app, database, clock, ring):
    ring.find_account(KEY)
    clock.advance(30)
    make_app().extensions["phonify"].keys.find_account(KEY)
    assert used_at(database) == ["2026-01-31T09:30:00.000Z"]


def test_only_the_key_that_was_used_is_noted(database, clock, default, ring):
    _, key = accounts.create_key(database, clock, default, name="new")
    ring.find_account(key)
    assert used_at(database) == [None, "2026-01-31T09:30:00.000Z"]


def test_a_wrong_or_revoked_key_is_not_noted(database, clock, ring):
    ring.find_account("nothing")
    accounts.revoke_key(database, clock, 1)
    ring.find_account(KEY)
    assert used_at(database) == [None]


def test_a_request_notes_the_use_of_its_key(client, database):
    client.get("/v1/messages")
    assert used_at(database) == ["2026-01-31T09:30:00.000Z"]


def test_while_the_database_is_locked_a_key_is_found_and_its_use_is_not_noted(client, database, services):
    services.database.busy_timeout = 0.05
    writer = sqlite3.connect(services.settings.database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert client.get("/v1/messages").status_code == 200
    finally:
        writer.close()
    assert used_at(database) == [None]


# The default sender


def test_a_new_default_sender_is_found_at_once_in_every_process(make_app, database, clock, default, ring):
    elsewhere = make_app().extensions["phonify"].keys
    assert elsewhere.find_account(KEY).origin is None
    accounts.set_origin(database, default, "SHOP")
    assert elsewhere.find_account(KEY).origin == "SHOP"
    assert ring.find_account(KEY).origin == "SHOP"
    accounts.set_origin(database, default, None)
    assert elsewhere.find_account(KEY).origin is None


def test_a_default_sender_is_that_of_one_account(database, clock, default):
    other = accounts.create_account(database, clock, name="other", origin="OTHER")
    accounts.set_origin(database, default, "SHOP")
    assert [account.origin for account in accounts.list_accounts(database)] == ["SHOP", "OTHER"]
    accounts.set_origin(database, other, None)
    assert [account.origin for account in accounts.list_accounts(database)] == ["SHOP", None]


# The keys of one account


def test_an_account_can_not_revoke_anothers_key(database, clock, default, ring):
    other = accounts.create_account(database, clock, name="other")
    assert not accounts.revoke_key(database, clock, 1, account=other)
    assert ring.find_account(KEY) == default
    assert accounts.revoke_key(database, clock, 1, account=default)
    assert ring.find_account(KEY) is None


def test_the_keys_of_an_account_are_listed_without_anothers(database, clock, default):
    other = accounts.create_account(database, clock, name="other")
    accounts.create_key(database, clock, other, name="theirs")
    assert [key.name for key in accounts.list_keys(database, account="default")] == ["PHONIFY_API_KEY"]
    assert [key.name for key in accounts.list_keys(database, account="other")] == ["theirs"]


def test_the_id_of_a_key_is_found_while_it_is_valid(database, clock):
    assert accounts.find_key_id(database, KEY) == 1
    accounts.revoke_key(database, clock, 1)
    assert accounts.find_key_id(database, KEY) is None
    assert accounts.find_key_id(database, "nothing") is None
