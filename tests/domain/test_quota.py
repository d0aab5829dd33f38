"""Tests of counting the quota in a transaction."""

import pytest

from phonify.domain import accounts
from phonify.storage import accounts as account_store

PHONE = "+14560000000"


@pytest.fixture
def limit(operator):
    """Return a function that sets the quota."""
    return lambda quota: operator.set_limits(quota=quota)


@pytest.fixture
def used(operator):
    return operator.count_quota_used


def post(client, to=PHONE, **arguments):
    headers = arguments.pop("headers", None)
    return client.post("/v1/messages", json={"to": to, "body": "Hello", **arguments}, headers=headers)


# The day


def test_a_quota_that_was_lowered_below_what_is_used_refuses_and_takes_nothing(services, clock):
    account = accounts.ensure_default_account(services.database, clock)

    def take(quota, wanted):
        with services.database.write() as connection:
            return account_store.take_quota(
                connection, account_id=account.id, day="2026-01-31", quota=quota, wanted=wanted
            )

    assert [take(5, 3), take(2, 1), take(5, 0), take(5, 9), take(5, 1)] == [3, 0, 0, 2, 0]


# Exact counts for parallel requests


def test_a_transaction_that_is_undone_gives_its_part_back(client, limit, used, execute):
    limit(2)
    execute("CREATE TRIGGER fail BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'a mistake'); END")
    assert post(client).status_code == 500
    execute("DROP TRIGGER fail")
    assert used() == 0
    assert [post(client).status_code for _ in range(3)] == [201, 201, 402]
