"""Keys in use: when they were used, revoking at once in every process, and rotation without a gap."""

import http.client
import json
import sqlite3
import threading
import time

import pytest
from conftest import KEY, basic

from phonify import accounts
from phonify.accounts import KeyRing

PHONE = "+14560000000"


@pytest.fixture
def account(runtime, clock):
    return accounts.ensure_default_account(runtime.database, clock)


@pytest.fixture
def used_at(runtime):
    return lambda: accounts.list_keys(runtime.database)[0].used_at


def count_writes(database):
    """Return a list that gets an element with each write of a database that waits for no disk."""
    writes, write = [], database.write_unsynced

    def counted(*arguments, **options):
        writes.append(1)
        return write(*arguments, **options)

    database.write_unsynced = counted
    return writes


# Last used


def test_a_key_that_was_never_used_says_so(used_at):
    assert used_at() is None


def test_a_key_says_when_it_was_used(client, used_at):
    client.get("/v1/messages")
    assert used_at() == "2026-01-31T09:30:00.000Z"


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


def test_what_another_process_wrote_meanwhile_is_not_written_again(runtime, account, used_at):
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


def test_a_wrong_key_leaves_no_trace(anonymous, used_at):
    anonymous.get("/v1/messages?api_key=wrong")
    assert used_at() is None


def test_requests_go_on_where_its_use_can_t_be_written_down(client, used_at, tmp_path, monkeypatch):
    monkeypatch.setattr("phonify.db.BUSY_TIMEOUT", 0.01)
    locker = sqlite3.connect(tmp_path / "phonify.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
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
    """A thread that asks again and again, and notes what it was answered and when it had asked."""

    def __init__(self, port, key):
        self.port = port
        self.key = key
        self.answers = []  # key, when it was asked, status
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


def test_a_key_is_rotated_under_load_without_a_single_refusal_and_the_old_one_ends_at_once(start):
    server = start(WORKERS="2", THREADS="8")
    old = json.loads(run_command(start, "keys", "create", "--json").splitlines()[0])
    callers = [Caller(server.port, old["key"]) for _ in range(8)]
    kept = Caller(server.port, old["key"])
    time.sleep(0.5)
    new = json.loads(run_command(start, "keys", "create", "--json").splitlines()[0])
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
