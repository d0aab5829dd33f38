"""Tests of blocks that share a commit: they are undone separately and stored together."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from phonify.errors import StoreUnavailable
from phonify.storage.database import Database
from phonify.storage.upgrades import prepare

EIGHT = 8


class Gate:
    """Eight blocks that overlap: the first block begins when all others wait for their turn."""

    def __init__(self, database):
        self.database = database
        self.ready = threading.Barrier(EIGHT)

    def run(self, block):
        """Run `block(connection, number)` in eight threads. Returns the result or the exception of each."""

        def write(number):
            self.ready.wait(10)
            with self.database.write() as connection:
                return block(connection, number)

        with ThreadPoolExecutor(EIGHT) as pool:
            futures = [pool.submit(write, number) for number in range(EIGHT)]
        return [future.exception() or future.result() for future in futures]


@pytest.fixture
def commits():
    return []


@pytest.fixture
def database(tmp_path, commits):
    database = Database(tmp_path / "phonify.db")
    database.committed = lambda: commits.append(1)
    prepare(database)
    with database.write() as connection:
        connection.execute("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)")
    yield database
    database.close()


def read(database):
    with database.reading() as connection:
        return [number for (number,) in connection.execute("SELECT number FROM notes ORDER BY number")]


def insert(connection, number, text=""):
    connection.execute("INSERT INTO notes VALUES (?, ?)", (number, text))


def hold(database, seconds=0.3):
    """Hold the database in a thread, so that later blocks share a commit."""
    begun = threading.Event()

    def write():
        with suppress(StoreUnavailable), database.write():  # the block may share the failed transaction
            begun.set()
            threading.Event().wait(seconds)

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait(5)
    return thread


def test_what_a_block_has_written_is_there_when_it_has_ended(database):
    with database.write() as connection:
        insert(connection, 1)
    assert read(database) == [1]


def test_a_block_that_raises_leaves_nothing(database):
    with pytest.raises(ZeroDivisionError), database.write() as connection:  # noqa: PT012
        insert(connection, 1)
        raise ZeroDivisionError
    assert read(database) == []


def test_blocks_that_come_together_share_a_commit(database, commits):
    holder = hold(database)
    before = len(commits)
    Gate(database).run(lambda connection, number: insert(connection, number))
    holder.join()
    assert read(database) == list(range(EIGHT))
    assert 1 <= len(commits) - before <= 3


def test_one_of_eight_writers_fails_and_seven_are_stored(database):
    holder = hold(database)

    def block(connection, number):
        insert(connection, number)
        if number == 3:
            raise ZeroDivisionError

    outcomes = Gate(database).run(block)
    holder.join()
    assert [type(outcome) for outcome in outcomes].count(ZeroDivisionError) == 1
    assert read(database) == [0, 1, 2, 4, 5, 6, 7]


def test_if_sqlite_ends_the_transaction_all_its_blocks_are_unavailable(database):
    holder = hold(database)

    def block(connection, number):
        insert(connection, number)
        if number == 3:
            connection.execute("ROLLBACK")  # as SQLite itself does if the disk is full in the middle of a statement

    outcomes = Gate(database).run(block)
    holder.join()
    lost = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, StoreUnavailable)]
    assert 3 in lost
    assert read(database) == [number for number in range(EIGHT) if number not in lost]


def test_if_the_commit_fails_all_its_blocks_are_unavailable(database):
    with database.write() as connection:
        connection.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE children (id INTEGER PRIMARY KEY, parent REFERENCES parents DEFERRABLE INITIALLY DEFERRED)"
        )
    holder = hold(database)

    def block(connection, number):
        insert(connection, number)
        if number == 3:  # an error that COMMIT finds
            connection.execute("INSERT INTO children VALUES (1, 99)")

    outcomes = Gate(database).run(block)
    holder.join()
    lost = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, StoreUnavailable)]
    assert 3 in lost
    assert read(database) == [number for number in range(EIGHT) if number not in lost]
    with database.write() as connection:  # the block continues
        insert(connection, 100)
    assert read(database)[-1] == 100


def test_no_commit_is_announced_that_failed(database, commits):
    before = len(commits)
    with pytest.raises(StoreUnavailable), database.write() as connection:
        connection.execute("ROLLBACK")
    assert len(commits) == before


def test_a_block_that_cannot_begin_in_time_is_unavailable(database, tmp_path):
    other = sqlite3.connect(tmp_path / "phonify.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable), database.write(patience=0.05):
        raise AssertionError("it has begun")
    other.execute("ROLLBACK")
    other.close()
    with database.write() as connection:
        insert(connection, 1)
    assert read(database) == [1]


def test_a_block_that_waits_for_another_thread_too_long_is_unavailable(database):
    holder = hold(database, 0.5)
    with pytest.raises(StoreUnavailable), database.write(patience=0.05):
        raise AssertionError("it has begun")
    holder.join()
    with database.write() as connection:
        insert(connection, 1)
    assert read(database) == [1]
