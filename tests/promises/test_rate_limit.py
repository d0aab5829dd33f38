"""Tests of the rate limit: requests that count, headers of answers, and exact counts over all processes."""

import http.client
import re
import sqlite3
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.support.app import KEY, basic, faults_of, sign_in

PHONE = "+14560000000"
CLIENTS = 32


@pytest.fixture
def limit(operator):
    """Return a function that sets the limit of requests a minute."""
    return lambda rate: operator.set_limits(rate=rate)


def statuses(client, count, path="/v1/messages"):
    return [client.get(path).status_code for _ in range(count)]


# Headers of answers


def test_without_a_limit_there_is_none_and_no_header_of_it(client, tmp_path):
    response = client.get("/v1/messages")
    assert not [name for name, _ in response.headers if name.lower().startswith("ratelimit")]
    connection = sqlite3.connect(tmp_path / "phonify.db")
    assert connection.execute("SELECT count(*) FROM rate_minutes").fetchone() == (0,)
    connection.close()


def test_each_answer_says_what_is_left_and_for_how_long(client, limit, clock):
    limit(3)
    clock.moment = datetime(2026, 1, 31, 9, 30, 13, 500_000, tzinfo=UTC)
    response = client.get("/v1/messages")
    assert response.headers["RateLimit-Policy"] == '"default";q=3;w=60'
    assert response.headers["RateLimit"] == '"default";r=2;t=47'
    assert "Retry-After" not in response.headers
    clock.advance(46)
    assert client.get("/v1/messages").headers["RateLimit"] == '"default";r=1;t=1'


def test_one_too_many_is_429_and_says_when_to_come_back(client, limit, clock):
    limit(2)
    clock.advance(20)
    assert statuses(client, 2) == [200, 200]
    response = client.get("/v1/messages")
    assert response.status_code == 429
    assert faults_of(response) == [("rate_limited", None)]
    assert response.headers["Retry-After"] == "40"
    assert response.headers["RateLimit-Policy"] == '"default";q=2;w=60'
    assert response.headers["RateLimit"] == '"default";r=0;t=40'


def test_who_comes_back_when_told_to_gets_through(client, limit, clock):
    limit(1)
    clock.moment = datetime(2026, 1, 31, 9, 30, 59, 999_000, tzinfo=UTC)
    assert statuses(client, 2) == [200, 429]
    clock.advance(int(client.get("/v1/messages").headers["Retry-After"]))
    assert statuses(client, 2) == [200, 429]


def test_refused_requests_are_not_held_against_the_account(client, limit, clock):
    limit(2)
    statuses(client, 50)
    clock.advance(60)
    assert statuses(client, 3) == [200, 200, 429]


def test_what_is_refused_does_nothing(client, limit):
    limit(1)
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 201
    assert client.post("/v1/messages", json={"to": PHONE, "body": "Hello"}).status_code == 429
    assert client.post(f"/v1/subscriptions/{PHONE}/unsubscribe").status_code == 429
    limit(None)
    assert len(client.get("/v1/messages").get_json()["messages"]) == 1
    assert client.get(f"/v1/subscriptions/{PHONE}").get_json()["subscription"]["subscribed"] is True


# What counts


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages", 200),
        ("HEAD", "/v1/messages", 200),
        ("POST", "/v1/messages", 400),
        ("GET", "/v1/messages/x", 404),
        ("DELETE", "/v1/messages/x", 404),
        ("GET", "/v1/messages?limit=0", 400),
        ("GET", "/v1/phones", 200),
        ("POST", "/sandbox/inbound", 400),
    ],
)
def test_every_request_for_a_resource_counts_and_says_so_whatever_becomes_of_it(client, limit, method, path, status):
    limit(5)
    response = client.open(path, method=method)
    assert (response.status_code, response.headers["RateLimit"]) == (status, '"default";r=4;t=60')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/v1/messages", 200),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/messages", 405),
        ("GET", "/sandbox/nothing", 404),
        ("GET", "/v1/openapi.json", 200),
    ],
)
def test_what_needs_no_key_does_not_count(client, limit, method, path, status):
    limit(1)
    response = client.open(path, method=method)
    assert (response.status_code, "RateLimit" in response.headers) == (status, False)
    assert statuses(client, 2) == [200, 429]


def test_a_refusal_for_the_quota_counts_as_well(client, operator):
    operator.set_limits(quota=0, rate=5)
    response = client.post("/v1/messages", json={"to": PHONE, "body": "Hello"})
    assert (response.status_code, response.headers["RateLimit"]) == (402, '"default";r=4;t=60')


def test_a_body_that_is_too_long_counts(client, limit):
    limit(5)
    response = client.post("/v1/messages", data=b"x" * 300_000, content_type="application/json")
    assert (response.status_code, response.headers["RateLimit"]) == (413, '"default";r=4;t=60')


def test_without_a_valid_key_the_answer_is_401_and_nothing_counts(anonymous, client, limit):
    limit(1)
    for key in (None, "wrong"):
        anonymous.key = key
        response = anonymous.get("/v1/messages")
        assert (response.status_code, "RateLimit" in response.headers) == (401, False)
    assert statuses(client, 2) == [200, 429]
    assert anonymous.get("/v1/messages").status_code == 401


def test_all_keys_of_an_account_share_its_limit(client, anonymous, limit, make_key):
    limit(2)
    anonymous.key = make_key()
    assert [client.get("/v1/phones").status_code, anonymous.get("/v1/phones").status_code] == [200, 200]
    assert [client.get("/v1/phones").status_code, anonymous.get("/v1/phones").status_code] == [429, 429]


def test_another_account_has_its_own(client, stranger, limit):
    limit(1)
    statuses(client, 2)
    assert statuses(stranger, 5) == [200] * 5


def test_the_pages_of_the_inbox_do_not_count(client, limit, anonymous):
    limit(1)
    sign_in(anonymous, KEY)
    assert {anonymous.get("/").status_code for _ in range(5)} == {200}
    assert statuses(client, 2) == [200, 429]


def test_a_repeated_request_with_an_idempotency_key_counts_as_a_request(client, limit):
    limit(2)
    arguments = {"json": {"to": PHONE, "body": "Hello"}, "headers": {"Idempotency-Key": "one"}}
    assert [client.post("/v1/messages", **arguments).status_code for _ in range(3)] == [201, 201, 429]


# The limit


def test_a_new_limit_holds_at_once_in_every_process(client, make_app, limit):
    other = make_app().test_client()
    assert [client.get("/v1/phones").status_code, other.get("/v1/phones").status_code] == [200, 200]
    limit(1)
    assert [client.get("/v1/phones").status_code, other.get("/v1/phones").status_code] == [200, 429]
    limit(3)
    assert [other.get("/v1/phones").status_code, client.get("/v1/phones").status_code] == [200, 200]
    assert other.get("/v1/phones").status_code == 429
    limit(None)
    assert other.get("/v1/phones").status_code == 200


def test_a_limit_that_was_lowered_below_what_was_used_shows_nothing_left(client, limit):
    limit(10)
    statuses(client, 5)
    limit(3)
    response = client.get("/v1/messages")
    assert (response.status_code, response.headers["RateLimit"]) == (429, '"default";r=0;t=60')


# The minute


def test_a_clock_that_is_set_back_gives_nobody_more(client, limit, clock):
    limit(2)
    clock.moment = datetime(2026, 1, 31, 9, 30, 59, tzinfo=UTC)
    assert statuses(client, 3) == [200, 200, 429]
    clock.advance(2)
    assert statuses(client, 3) == [200, 200, 429]
    clock.advance(-2)
    assert statuses(client, 1) == [429]
    clock.advance(2)
    assert statuses(client, 1) == [429]


def test_a_clock_that_was_a_year_ahead_and_is_mended_takes_nothing_away(client, limit, clock):
    limit(1)
    clock.moment = datetime(2027, 1, 31, tzinfo=UTC)
    assert statuses(client, 2) == [200, 429]
    clock.moment = datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert statuses(client, 2) == [200, 429]


def test_minutes_that_are_over_are_not_kept(client, limit, clock, tmp_path):
    limit(5)
    for _ in range(10):
        statuses(client, 2)
        clock.advance(60)
    connection = sqlite3.connect(tmp_path / "phonify.db")
    assert connection.execute("SELECT requests FROM rate_minutes").fetchall() == [(2,), (2,)]
    connection.close()


# A database that can't be written


def test_a_request_that_can_t_be_counted_is_503_and_not_let_through(client, limit, lock_database):
    limit(5)
    client.get("/v1/messages")
    locker = lock_database()
    response = client.get("/v1/messages")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert faults_of(response) == [("store_unavailable", None)]
    locker.execute("ROLLBACK")
    locker.close()
    response = client.get("/v1/messages")
    assert (response.status_code, response.headers["RateLimit"]) == (200, '"default";r=3;t=60')


def test_an_account_without_a_limit_reads_on_meanwhile(client, stranger, limit, lock_database):
    limit(5)
    stranger.get("/v1/messages")
    locker = lock_database()
    assert stranger.get("/v1/messages").status_code == 200
    locker.execute("ROLLBACK")
    locker.close()


# Exact counts for parallel requests


@pytest.mark.slow
def test_exactly_the_limit_passes_of_what_32_clients_ask_at_once_of_two_servers_with_two_processes(start):
    limit, each = 200, 15
    servers = [start(WORKERS="2", THREADS="16"), start(WORKERS="2", THREADS="16")]
    assert [server.call("GET", "/v1/phones")[0] for server in servers] == [200, 200]
    command = start("-m", "flask", "--app", "app", "accounts", "limit", "default", f"--rate={limit}")
    assert command.popen.wait(60) == 0
    if time.time() % 60 > 35:  # the whole test must run in one minute
        time.sleep(60 - time.time() % 60)
    begin, found = threading.Barrier(CLIENTS), []

    def work(number):
        connection = http.client.HTTPConnection("127.0.0.1", servers[number % 2].port, timeout=60)
        begin.wait()
        for _ in range(each):
            connection.request("GET", "/v1/messages?limit=1", headers={"Authorization": basic(KEY)})
            response = connection.getresponse()
            response.read()
            remaining, seconds = re.fullmatch(r'"default";r=(\d+);t=(\d+)', response.headers["RateLimit"]).groups()
            found.append((response.status, int(remaining), int(seconds), response.headers["Retry-After"]))
        connection.close()

    minute = int(time.time() // 60)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.time() // 60 == minute, "too slow for this test to tell anything"
    assert Counter(status for status, *_ in found) == {200: limit, 429: CLIENTS * each - limit}
    assert sorted(left for status, left, *_ in found if status == 200) == list(range(limit))
    assert {left for status, left, *_ in found if status == 429} == {0}
    assert all(wait == (str(seconds) if status == 429 else None) for status, _, seconds, wait in found)
