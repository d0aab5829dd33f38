"""Commits that concurrent writers share."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from phonify.errors import StoreUnavailable
from phonify.group_commit import GroupCommit, atomic


def insert(connection: sqlite3.Connection, text: str | None) -> int:
    (number,) = connection.execute("INSERT INTO notes (text) VALUES (?) RETURNING id", [text]).fetchone()
    return number


def insert_all(connection: sqlite3.Connection, texts: Sequence[str | None]) -> list[int]:
    return [insert(connection, text) for text in texts]


class Store:
    """A database with a queue of writers before it, and a look at what they did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)
        self.lock = threading.Lock()
        self.group_commit = GroupCommit(self.locked)

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            yield self.connection

    def submit(self, function: Callable[..., Any], item: Any) -> Any:
        return self.group_commit.submit(function, item)

    @property
    def notes(self) -> list[str]:
        """All that another connection sees."""
        reader = sqlite3.connect(self.path)
        try:
            return sorted(text for (text,) in reader.execute("SELECT text FROM notes"))
        finally:
            reader.close()

    @property
    def commits(self) -> int:
        return self.statements.count("COMMIT")

    def wait_together(self, count: int, work: Callable[[int], object]) -> list[object]:
        """Call `work` with 0, 1, ... in threads that all wait for the database; return results or exceptions."""
        results: list[object] = [None] * count

        def call(number: int) -> None:
            try:
                results[number] = work(number)
            except BaseException as error:
                results[number] = error

        threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
        with self.lock:
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 10
            while len(self.group_commit._queue) < count and time.monotonic() < deadline:
                pass
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        return results


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "notes.db")
    yield store
    store.connection.close()


class Notes:
    """Writes with bound methods: a new object each time that one is looked up."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.calls: list[int] = []

    def add(self, connection: sqlite3.Connection, texts: Sequence[str]) -> list[int]:
        self.calls.append(len(texts))
        return insert_all(connection, [self.prefix + text for text in texts])

    @atomic
    def add_atomic(self, connection: sqlite3.Connection, texts: Sequence[str | None]) -> list[str]:
        self.calls.append(len(texts))
        rows = ", ".join(["(?)"] * len(texts))
        added = connection.execute(f"INSERT INTO notes (text) VALUES {rows} RETURNING text", texts).fetchall()
        return [text for (text,) in added]


TEN = [str(number) for number in range(10)]
ALL_BUT_FOUR = ["0", "1", "2", "3", "5", "6", "7", "8", "9"]


def test_what_was_submitted_is_committed_when_the_call_returns(store):
    assert store.submit(insert_all, "one") == 1
    assert store.notes == ["one"]


def test_writers_that_wait_together_share_one_commit_and_get_their_own_results(store):
    results = store.wait_together(10, lambda number: store.submit(insert_all, str(number)))
    assert sorted(results) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert (store.notes, store.commits) == (TEN, 1)


def test_a_result_goes_to_the_thread_whose_item_it_is_for(store):
    def echo(connection: sqlite3.Connection, texts: Sequence[str]) -> list[str]:
        insert_all(connection, texts)
        return [f"result {text}" for text in texts]

    results = store.wait_together(10, lambda number: store.submit(echo, str(number)))
    assert results == [f"result {number}" for number in range(10)]


def test_different_functions_that_wait_together_share_one_commit(store):
    def add_twice(connection: sqlite3.Connection, texts: Sequence[str]) -> list[int]:
        return insert_all(connection, texts) and insert_all(connection, texts)

    store.wait_together(10, lambda number: store.submit(add_twice if number % 2 else insert_all, str(number)))
    assert store.commits == 1
    assert "".join(store.notes) == "011233455677899"


def test_many_threads_that_go_on_writing_commit_less_often_than_they_write(store):
    def work(number: int) -> None:
        for turn in range(50):
            store.submit(insert_all, f"{number}/{turn}")

    store.wait_together(8, work)
    assert len(set(store.notes)) == 400
    assert store.commits < 400


def test_a_bound_method_is_one_function_however_often_it_is_looked_up(store):
    notes = Notes()
    store.wait_together(10, lambda number: store.submit(notes.add, str(number)))
    assert notes.calls == [10]


def test_methods_of_two_objects_are_two_functions(store):
    both = [Notes("a"), Notes("b")]
    store.wait_together(10, lambda number: store.submit(both[number % 2].add, str(number)))
    assert (both[0].calls, both[1].calls) == ([5], [5])
    assert store.notes == ["a0", "a2", "a4", "a6", "a8", "b1", "b3", "b5", "b7", "b9"]


def test_an_atomic_function_is_called_once_for_all_and_without_a_transaction_of_its_own(store):
    notes = Notes()
    assert store.wait_together(10, lambda number: store.submit(notes.add_atomic, str(number))) == TEN
    assert (notes.calls, store.notes) == ([10], TEN)
    assert [statement for statement in store.statements if statement.startswith(("BEGIN", "COMMIT"))] == []


def test_an_atomic_function_that_waits_with_others_shares_their_transaction(store):
    notes = Notes()
    store.wait_together(10, lambda number: store.submit(notes.add_atomic if number % 2 else insert_all, str(number)))
    assert (store.notes, store.commits, notes.calls) == (TEN, 1, [5])


def test_what_fails_undoes_only_itself(store):
    def add(connection: sqlite3.Connection, texts: Sequence[str]) -> list[int]:
        numbers = insert_all(connection, texts)
        if "4" in texts:
            raise LookupError("four")
        return numbers

    results = store.wait_together(10, lambda number: store.submit(add, str(number)))
    assert [str(result) for result in results if isinstance(result, Exception)] == ["four"]
    assert isinstance(results[4], LookupError)
    assert store.notes == ALL_BUT_FOUR


def test_a_function_that_fails_does_not_undo_what_another_function_did(store):
    def fail(connection: sqlite3.Connection, texts: Sequence[str]) -> list[int]:
        insert_all(connection, texts)
        raise LookupError

    results = store.wait_together(10, lambda number: store.submit(fail if number == 4 else insert_all, str(number)))
    assert isinstance(results[4], LookupError)
    assert store.notes == ALL_BUT_FOUR


def test_an_item_that_breaks_a_constraint_undoes_only_itself(store):
    results = store.wait_together(10, lambda number: store.submit(insert_all, None if number == 4 else str(number)))
    assert isinstance(results[4], sqlite3.IntegrityError)
    assert store.notes == ALL_BUT_FOUR


def test_an_atomic_item_that_breaks_a_constraint_undoes_only_itself(store):
    notes = Notes()
    results = store.wait_together(
        10, lambda number: store.submit(notes.add_atomic, None if number == 4 else str(number))
    )
    assert isinstance(results[4], sqlite3.IntegrityError)
    assert store.notes == ALL_BUT_FOUR


def test_a_wrong_statement_undoes_only_the_work_that_has_it(store):
    def fail(connection: sqlite3.Connection, _: Sequence[str]) -> list[int]:
        connection.execute("SELECT nothing FROM nowhere")
        return []

    results = store.wait_together(10, lambda number: store.submit(fail if number == 4 else insert_all, str(number)))
    assert isinstance(results[4], sqlite3.OperationalError)
    assert store.notes == ALL_BUT_FOUR


def test_a_result_that_is_an_exception_is_raised_to_its_caller_and_undoes_nothing(store):
    def add(connection: sqlite3.Connection, texts: Sequence[str]) -> list[Any]:
        insert_all(connection, texts)
        return [LookupError("four") if text == "4" else text for text in texts]

    results = store.wait_together(10, lambda number: store.submit(add, str(number)))
    assert str(results.pop(4)) == "four"
    assert results == ALL_BUT_FOUR
    assert store.notes == TEN


def test_a_function_with_too_few_results_fails_and_stores_nothing(store):
    def add(connection: sqlite3.Connection, texts: Sequence[str]) -> list[int]:
        return insert_all(connection, texts)[1:]

    with pytest.raises(ValueError, match="zip"):
        store.submit(add, "one")
    assert store.notes == []


def test_after_a_failure_others_can_write(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.submit(insert_all, None)
    store.submit(insert_all, "one")
    assert store.notes == ["one"]


def test_a_database_that_cannot_be_had_fails_for_all_that_wait_and_not_for_those_who_come_later(store):
    available = False

    @contextmanager
    def locked() -> Iterator[sqlite3.Connection]:
        with store.locked() as connection:
            if not available:
                raise StoreUnavailable
            yield connection

    store.group_commit = GroupCommit(locked)
    results = store.wait_together(10, lambda number: store.submit(insert_all, str(number)))
    assert [type(result) for result in results] == [StoreUnavailable] * 10
    available = True
    store.submit(insert_all, "one")
    assert store.notes == ["one"]


def test_a_thread_that_is_ended_in_the_middle_undoes_its_work_and_leaves_nobody_waiting(store):
    def add(connection: sqlite3.Connection, texts: Sequence[str]) -> list[int]:
        insert_all(connection, texts)
        raise SystemExit

    results = store.wait_together(10, lambda number: store.submit(add, str(number)))
    assert sorted(type(result).__name__ for result in results) == ["StoreUnavailable"] * 9 + ["SystemExit"]
    assert store.notes == []
    store.submit(insert_all, "one")
    assert store.notes == ["one"]
