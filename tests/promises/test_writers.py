"""Tests of requests that share a commit: each is stored completely or not at all, and is on disk before its answer."""

import http.client
import json
import resource
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.load import HEADERS, TO, query, wait_until
from tests.support.processes import find_processes

pytestmark = pytest.mark.slow


EIGHT = 8


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


def post(port: int, number: int) -> int | None:
    """Send one message. Returns the status, or None if the connection ended without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/v1/messages", json.dumps({"to": TO, "body": f"{number}"}), HEADERS)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def post_eight(pool: ThreadPoolExecutor, port: int) -> list:
    return [pool.submit(post, port, number) for number in range(EIGHT)]


def limit_files(pids: list[int], size: int) -> None:
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def lock(database) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_a_full_disk_at_commit_is_eight_times_503_and_no_row(start, database):
    server = start(WORKERS="1", ACCESS_LOG="off")
    assert post(server.port, 0) == 201
    wait_until(lambda: query(database, "SELECT state FROM messages") == [("sent",)])
    workers, wal = find_processes(server, workers=1).workers, database.with_name("phonify.db-wal")
    other = lock(database)  # so that all eight wait for the lock, and then share a transaction
    with ThreadPoolExecutor(EIGHT) as pool:
        answers = post_eight(pool, server.port)
        time.sleep(0.5)
        limit_files(workers, wal.stat().st_size)
        other.execute("ROLLBACK")
        assert [answer.result() for answer in answers] == [503] * EIGHT
    other.close()
    assert query(database, "SELECT count(*) FROM messages") == [(1,)]
    limit_files(workers, resource.RLIM_INFINITY)
    assert post(server.port, 9) == 201
    assert query(database, "SELECT count(*) FROM messages") == [(2,)]


def test_who_is_killed_before_the_commit_has_answered_nobody(start, database):
    server = start(ACCESS_LOG="off")
    assert post(server.port, 0) == 201
    other = lock(database)
    with ThreadPoolExecutor(EIGHT) as pool:
        answers = post_eight(pool, server.port)
        time.sleep(0.5)
        server.kill_all()
        assert [answer.result() for answer in answers] == [None] * EIGHT
    other.execute("ROLLBACK")
    other.close()
    assert query(database, "SELECT count(*) FROM messages") == [(1,)]
