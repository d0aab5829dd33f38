"""Tests of keys in use: their last use, immediate revoking in every process, and rotation without an interruption."""

import http.client
import json
import threading
import time

import pytest

from tests.support.app import basic

PHONE = "+14560000000"


@pytest.fixture
def used_at(operator):
    return lambda: operator.show("keys", "list")[0]["used_at"]


# Last used


def test_a_key_that_was_never_used_says_so(used_at):
    assert used_at() is None


def test_a_key_says_when_it_was_used(client, used_at):
    client.get("/v1/messages")
    assert used_at() == "2026-01-31T09:30:00.000Z"


def test_a_wrong_key_leaves_no_trace(anonymous, used_at):
    anonymous.get("/v1/messages?api_key=wrong")
    assert used_at() is None


def test_requests_go_on_where_its_use_can_t_be_written_down(client, used_at, lock_database):
    locker = lock_database()
    assert client.get("/v1/messages").status_code == 200
    locker.execute("ROLLBACK")
    locker.close()
    assert used_at() is None


def test_the_list_shows_name_and_when_each_was_made_and_used(client, runner):
    runner.invoke(args=["keys", "create", "--name", "new"])
    client.get("/v1/messages")
    lines = runner.invoke(args=["keys", "list", "--json"]).stdout.splitlines()
    shown = [json.loads(line) for line in lines]
    assert [(key["name"], key["created_at"], key["used_at"]) for key in shown] == [
        ("PHONIFY_API_KEY", "2026-01-31T09:30:00.000Z", "2026-01-31T09:30:00.000Z"),
        ("new", "2026-01-31T09:30:00.000Z", None),
    ]


# Over processes


def run_command(start, *arguments):
    command = start("-m", "flask", "--app", "app", *arguments)
    assert command.popen.wait(60) == 0, command.output
    return command.output


class Caller:
    """A thread that sends one request after another. It records the time and the answer of each."""

    def __init__(self, port, key):
        self.port = port
        self.key = key
        self.answers = []  # key, time of the request, status
        self.ending = False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        turn = 0
        while not self.ending:
            key, begun, turn = self.key, time.monotonic(), turn + 1
            headers = {"Authorization": basic(key), "Content-Type": "application/json"}
            if turn % 3:
                connection.request("GET", "/v1/messages?limit=1", headers=headers)
            else:
                connection.request("POST", "/v1/messages", json.dumps({"to": PHONE, "body": "Hello"}), headers)
            response = connection.getresponse()
            response.read()
            self.answers.append((key, begun, response.status))
        connection.close()


@pytest.mark.slow
def test_a_key_is_rotated_under_load_without_a_single_refusal_and_the_old_one_ends_at_once(start):
    server = start(WORKERS="2", THREADS="8")
    old = json.loads(run_command(start, "keys", "create", "--json").splitlines()[-1])
    callers = [Caller(server.port, old["key"]) for _ in range(8)]
    kept = Caller(server.port, old["key"])
    time.sleep(0.5)
    new = json.loads(run_command(start, "keys", "create", "--json").splitlines()[-1])
    for caller in callers:
        caller.key = new["key"]
    time.sleep(0.5)
    run_command(start, "keys", "revoke", str(old["id"]))
    revoked = time.monotonic()
    time.sleep(0.5)
    for caller in [*callers, kept]:
        caller.ending = True
        caller.thread.join()
    answers = [answer for caller in callers for answer in caller.answers]
    assert {status for _, _, status in answers} <= {200, 201}
    assert {key for key, *_ in answers} == {old["key"], new["key"]}
    before = [status for _, begun, status in kept.answers if begun <= revoked]
    after = [status for _, begun, status in kept.answers if begun > revoked]
    assert {200, 201} <= set(before)
    assert after
    assert set(after) == {401}
