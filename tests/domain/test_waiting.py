"""Tests of waiting: results after a commit of any process, the number of places, the end of a wait."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from phonify.domain.waiting import Waiting
from phonify.errors import TooManyWaiting
from phonify.storage.database import Database
from phonify.storage.upgrades import prepare
from tests.support.load import wait_until


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "phonify.db")
    prepare(database)
    yield database
    database.close()


@pytest.fixture
def waiting(database):
    return Waiting(database, places=2)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def search(database):
    """The search of the waiting request: the names of accounts."""

    def search():
        with database.reading() as connection:
            return [name for (name,) in connection.execute("SELECT name FROM accounts")]

    return search


@pytest.fixture
def store(database):
    def store(name):
        with database.write() as connection:
            connection.execute("INSERT INTO accounts (name, created_at) VALUES (?, 't')", [name])

    return store


def find_nothing():
    return []


def test_what_is_there_is_returned_at_once_and_needs_no_place(database, search, store):
    store("one")
    assert Waiting(database, places=0).search(search, 30) == ["one"]


def test_what_this_process_stores_is_found(waiting, pool, search, store):
    found = pool.submit(waiting.search, search, 30)
    wait_until(lambda: waiting.count == 1)
    store("one")
    assert found.result(10) == ["one"]
    assert waiting.count == 0


def test_what_another_connection_stores_is_found(waiting, pool, search, tmp_path):
    found = pool.submit(waiting.search, search, 30)
    wait_until(lambda: waiting.count == 1)
    other = sqlite3.connect(tmp_path / "phonify.db")
    with other:
        other.execute("INSERT INTO accounts (name, created_at) VALUES ('one', 't')")
    other.close()
    assert found.result(10) == ["one"]


def test_what_is_stored_right_after_the_first_search_is_found(waiting, search, store):
    searches = []

    def search_and_store():
        found = search()
        searches.append(found)
        if len(searches) == 1:
            store("one")
        return found

    assert waiting.search(search_and_store, 30) == ["one"]


def test_a_commit_that_stores_nothing_of_it_ends_no_wait_and_without_one_nothing_is_searched(waiting, pool, store):
    searches = []

    def search():
        searches.append(1)
        return [1] if len(searches) == 3 else []

    found = pool.submit(waiting.search, search, 30)
    wait_until(lambda: waiting.count == 1)
    store("one")
    wait_until(lambda: len(searches) == 2)
    store("two")
    assert found.result(10) == [1]
    assert len(searches) == 3


def test_after_the_time_nothing_is_returned(waiting):
    begun = time.monotonic()
    assert waiting.search(find_nothing, 0.1) == []
    assert 0.1 <= time.monotonic() - begun < 5
    assert waiting.count == 0


def test_one_more_than_there_are_places_is_refused_until_one_is_free(waiting, pool, database, search, store):
    found = [pool.submit(waiting.search, search, 30) for _ in range(2)]
    wait_until(lambda: waiting.count == 2)
    with pytest.raises(TooManyWaiting):
        waiting.search(find_nothing, 30)
    assert waiting.count == 2
    store("one")
    assert [each.result(10) for each in found] == [["one"]] * 2
    assert waiting.search(find_nothing, 0.01) == []


def test_a_search_that_fails_frees_its_place(waiting, pool, store):
    searches = []

    def search():
        searches.append(1)
        return [] if len(searches) == 1 else 1 / 0

    found = pool.submit(waiting.search, search, 30)
    wait_until(lambda: waiting.count == 1)
    store("one")
    assert isinstance(found.exception(10), ZeroDivisionError)
    assert waiting.count == 0


def test_all_who_wait_go_when_the_server_is_stopping(waiting, pool, database):
    found = [pool.submit(waiting.search, find_nothing, 60) for _ in range(2)]
    wait_until(lambda: waiting.count == 2)
    threading.Timer(0.05, setattr, [database, "stopping", True]).start()
    assert [each.result(10) for each in found] == [[], []]


def test_a_wait_ends_where_the_clock_of_the_process_is_stopped(waiting, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert waiting.search(list, 0.05) == []
