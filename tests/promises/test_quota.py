"""Tests of the daily quota: messages that count, refusals, and exact counts."""

import http.client
import json
import sqlite3
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.support.app import KEY, basic, faults_of, sign_in

PHONE = "+14560000000"
CLIENTS = 32


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


# What counts


def test_without_a_quota_any_number_goes_out_and_nothing_is_counted(client, used):
    assert {post(client).status_code for _ in range(10)} == {201}
    assert used() == 0


def test_a_used_up_quota_is_402_and_the_message_is_kept_in_error(client, limit):
    limit(2)
    assert [post(client).status_code for _ in range(3)] == [201, 201, 402]
    response = post(client)
    assert faults_of(response) == [("quota_used_up", "to")]
    message = response.get_json()["message"]
    assert (message["state"], message["errors"][0]["type"]) == ("error", "quota_used_up")
    assert client.get(f"/v1/messages/{message['id']}").get_json()["message"] == message


def test_several_recipients_share_what_is_left_in_their_order(client, limit, used):
    limit(3)
    response = post(client, [f"+1456000000{number}" for number in range(5)])
    assert response.status_code == 402
    assert faults_of(response) == [("quota_used_up", "to[3]"), ("quota_used_up", "to[4]")]
    assert [message["state"] for message in response.get_json()["messages"]] == ["unconfirmed"] * 3 + ["error"] * 2
    assert used() == 3


def test_a_recipient_who_is_refused_takes_none(client, limit, used):
    limit(2)
    client.post("/v1/subscriptions/+14560000009/unsubscribe")
    response = post(client, ["+15005550001", "+14560000009", "+14560000001", "+14560000002", "+14560000003"])
    assert faults_of(response) == [("invalid_number", "to[0]"), ("opted_out", "to[1]"), ("quota_used_up", "to[4]")]
    assert used() == 2


def test_a_request_that_is_refused_as_a_whole_takes_none(client, limit, used):
    limit(2)
    assert post(client, [PHONE, "x"]).status_code == 400
    assert used() == 0


def test_a_repeated_request_with_the_same_idempotency_key_takes_none_again(client, limit, used):
    limit(2)
    answers = [post(client, headers={"Idempotency-Key": "one"}) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {201}
    assert used() == 1
    post(client)
    refused = [post(client, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [402, 402]
    assert refused[0].get_data() == refused[1].get_data()
    assert post(client, headers={"Idempotency-Key": "one"}).status_code == 201


def test_an_answer_that_was_402_for_the_quota_is_given_again_also_when_there_is_more(client, limit, clock):
    limit(1)
    post(client)
    post(client, headers={"Idempotency-Key": "one"})
    clock.advance(15 * 3_600)
    assert post(client, headers={"Idempotency-Key": "one"}).status_code == 402
    assert post(client, headers={"Idempotency-Key": "two"}).status_code == 201


def test_a_scheduled_message_counts_when_it_is_accepted(client, limit, used, clock):
    limit(1)
    assert post(client, send_at="2026-02-01T09:00:00Z").status_code == 201
    assert post(client).status_code == 402
    clock.advance(24 * 3_600)
    assert used() == 0


def test_a_cancelled_message_gives_nothing_back(client, limit, used):
    limit(1)
    path = post(client, send_at="2026-02-01T09:00:00Z").headers["Location"]
    assert client.delete(path).status_code == 200
    assert (used(), post(client).status_code) == (1, 402)


def test_changing_a_message_takes_none(client, limit, used):
    limit(1)
    path = post(client, send_at="2026-02-01T09:00:00Z").headers["Location"]
    assert client.put(path, json={"body": "Other", "to": "+14560000001"}).status_code == 200
    assert used() == 1


def test_a_message_that_fails_later_gives_nothing_back(client, limit, used, deliver):
    limit(1)
    post(client, "+15005550004")
    deliver()
    assert (used(), post(client).status_code) == (1, 402)


def test_received_messages_and_replies_to_keywords_take_none(client, limit, used, operator):
    limit(0)
    operator.run("keywords", "set", "--help-reply", "Call")
    client.post("/sandbox/inbound", json={"from": PHONE, "to": "+15005550006", "body": "HELP"})
    directions = [message["direction"] for message in client.get("/v1/messages").get_json()["messages"]]
    assert sorted(directions) == ["inbound", "outbound"]
    assert used() == 0


def test_what_the_command_and_the_inbox_send_counts_as_well(client, limit, used, runner):
    limit(2)
    assert runner.invoke(args=["send", PHONE, "Hello"]).exit_code == 0
    sign_in(client, KEY)
    client.post("/inbox/compose", data={"to": PHONE, "body": "Hello"}, headers={"Origin": "http://localhost"})
    assert used() == 2
    assert runner.invoke(args=["send", PHONE, "Hello"]).exit_code == 1


def test_a_quota_of_none_at_all_refuses_everything(client, limit):
    limit(0)
    assert post(client).status_code == 402
    limit(None)
    assert post(client).status_code == 201


def test_a_new_quota_holds_at_once_in_every_process(client, limit, make_app):
    other = make_app().test_client()
    limit(1)
    assert [post(client).status_code, post(other).status_code] == [201, 402]
    limit(2)
    assert [post(other).status_code, post(client).status_code] == [201, 402]


def test_one_account_s_quota_is_not_another_s(client, stranger, limit):
    limit(1)
    post(client)
    assert [post(client).status_code, post(stranger).status_code] == [402, 201]


# The day


def test_the_day_ends_at_midnight_utc(client, limit, used, clock):
    limit(1)
    clock.moment = datetime(2026, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    assert [post(client).status_code for _ in range(2)] == [201, 402]
    clock.advance(0.001)
    assert used() == 0
    assert [post(client).status_code for _ in range(2)] == [201, 402]


def test_a_clock_that_is_set_back_over_midnight_gives_nobody_a_new_quota(client, limit, clock):
    limit(1)
    clock.moment = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert [post(client).status_code for _ in range(2)] == [201, 402]
    clock.advance(2)
    assert [post(client).status_code for _ in range(2)] == [201, 402]
    clock.advance(-2)
    assert post(client).status_code == 402
    clock.advance(2)
    assert post(client).status_code == 402


def test_a_clock_that_was_a_year_ahead_and_is_mended_takes_nothing_away(client, limit, clock):
    limit(1)
    clock.moment = datetime(2027, 1, 31, tzinfo=UTC)
    assert post(client).status_code == 201
    clock.moment = datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert [post(client).status_code for _ in range(2)] == [201, 402]


def test_days_that_are_over_are_not_kept(client, limit, clock, tmp_path):
    limit(5)
    for _ in range(10):
        post(client)
        clock.advance(24 * 3_600)
    connection = sqlite3.connect(tmp_path / "phonify.db")
    assert connection.execute("SELECT day FROM quota_days").fetchall() == [("2026-02-08",), ("2026-02-09",)]
    connection.close()


# Exact counts for parallel requests


@pytest.mark.slow
def test_exactly_the_quota_is_accepted_of_what_32_clients_send_at_once_to_two_processes(start, tmp_path):
    quota, each = 150, 10
    server = start(WORKERS="2", THREADS="16")
    assert server.call("GET", "/v1/messages")[0] == 200
    assert start("-m", "flask", "--app", "app", "accounts", "limit", "default", f"--quota={quota}").popen.wait(60) == 0
    begin, statuses = threading.Barrier(CLIENTS), []
    headers = {"Authorization": basic(KEY), "Content-Type": "application/json"}

    def work(number):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        begin.wait()
        for turn in range(each):
            # One of five requests has three recipients. One of five is sent twice with the same idempotency key.
            to = [f"+1456{number:03}{turn:04}"] * (3 if turn % 5 == 0 else 1)
            keyed = {"Idempotency-Key": f"{number}-{turn}"} if turn % 5 == 1 else {}
            for _ in range(2 if keyed else 1):
                connection.request(
                    "POST", "/v1/messages", json.dumps({"to": to, "body": "Hello"}), {**headers, **keyed}
                )
                response = connection.getresponse()
                answer = json.loads(response.read())
            statuses.append((response.status, [message["state"] for message in answer["messages"]]))
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = Counter(state for _, found in statuses for state in found)
    assert sum(states.values()) == CLIENTS * (each + 2 * each // 5)
    assert states["error"] == sum(states.values()) - quota
    assert {status for status, found in statuses if "error" in found} == {402}
    assert {status for status, found in statuses if "error" not in found} == {201}
    connection = sqlite3.connect(tmp_path / "phonify.db")
    refused = connection.execute("SELECT count(*) FROM messages WHERE error_type = 'quota_used_up'").fetchone()[0]
    total = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
    day = connection.execute("SELECT sum(messages) FROM quota_days").fetchone()[0]
    connection.close()
    assert (total - refused, day) == (quota, quota)
