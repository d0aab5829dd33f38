"""Tests of counting requests for the rate limit."""

import pytest

from phonify.domain import accounts


@pytest.fixture
def limit(operator):
    """Return a function that sets the limit of requests a minute."""
    return lambda rate: operator.set_limits(rate=rate)


# What counts


def test_an_error_of_the_server_says_what_is_left_too(client, limit, execute):
    limit(5)
    execute("ALTER TABLE messages RENAME TO elsewhere")
    response = client.get("/v1/messages")
    assert (response.status_code, response.headers["RateLimit"]) == (500, '"default";r=4;t=60')


# The minute


def test_a_request_that_was_kept_waiting_counts_for_its_own_minute(services, clock):
    account = accounts.ensure_default_account(services.database, clock)

    def take(minute):
        return services.keys.count_request(account, minute=minute, limit=2)

    assert [take(minute) for minute in (10, 10, 11, 11, 10, 11)] == [1, 2, 1, 2, None, None]


def test_a_limit_of_none_at_all_lets_nothing_pass(services, clock):
    account = accounts.ensure_default_account(services.database, clock)
    assert services.keys.count_request(account, minute=1, limit=0) is None
