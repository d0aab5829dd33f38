"""Tests of connections for reading and writing, of changed files, and of watching commits."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phonify.errors import StoreUnavailable
from phonify.storage.database import Database
from phonify.storage.upgrades import prepare
from tests.support.app import ROOT


def insert(connection: sqlite3.Connection, text: str) -> None:
    connection.execute("INSERT INTO notes VALUES (?)", [text])


def note(database: Database, text: str) -> None:
    with database.write() as connection:
        insert(connection, text)


def read_notes(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]
    finally:
        connection.close()


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Call a function with 0, 1, ..., each in its own thread, at the same time."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def open_database(path: Path) -> Iterator[Callable[[], Database]]:
    """Return a function that opens the file again, as another process would."""
    opened = []

    def open_database() -> Database:
        opened.append(Database(path))
        prepare(opened[-1])
        with opened[-1].write() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)")
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()


@pytest.fixture
def locker(path: Path, database: Database) -> Iterator[sqlite3.Connection]:
    """A connection that has locked the database for writing."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


# Writing


def test_writes_are_synced_to_disk_and_foreign_keys_are_enforced(database):
    with database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: also in WAL mode
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_two_databases_on_one_file_take_turns(open_database, path):
    both = [open_database(), open_database()]

    def work(number: int) -> None:
        for turn in range(20):
            note(both[number % 2], f"{number}/{turn}")

    in_threads(8, work)
    assert len(set(read_notes(path))) == 160


def test_those_who_wait_together_for_a_locked_database_are_all_told_in_time(database, open_database, locker, path):
    locker.execute("ROLLBACK")
    both = [database, open_database()]
    locker.execute("BEGIN IMMEDIATE")
    seconds = []

    def work(number: int) -> None:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable), both[number % 2].write(patience=0.5):
            raise AssertionError("it has begun")
        seconds.append(time.monotonic() - begun)

    in_threads(16, work)
    locker.execute("ROLLBACK")
    assert len(seconds) == 16
    assert max(seconds) < 2
    in_threads(4, lambda number: note(database, str(number)))
    assert len(read_notes(path)) == 4


def test_a_full_disk_is_unavailable_and_nothing_is_stored(database, path):
    with database.write() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchone()
    with pytest.raises(StoreUnavailable), database.write() as connection:  # noqa: PT012
        insert(connection, "one")
        insert(connection, "x" * 1_000_000)
    assert read_notes(path) == []


def test_a_connection_that_can_not_write_is_replaced(database, path):
    with database.write() as connection:
        connection.execute("PRAGMA query_only = ON")  # as a connection that was opened while the file was read-only
    with pytest.raises(StoreUnavailable):
        note(database, "one")
    note(database, "two")
    assert read_notes(path) == ["two"]


def test_the_log_file_shrinks_after_a_long_read_during_which_it_grew(database, path):
    wal = path.with_name(f"{path.name}-wal")

    def write(megabytes: int) -> int:
        for _ in range(megabytes):
            note(database, "x" * 1_000_000)
        return wal.stat().st_size

    with database.reading() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM notes").fetchall()
        assert write(40) > 40_000_000
        connection.execute("COMMIT")
    assert write(2) < 17_000_000


# Reading


def test_a_connection_on_which_reading_failed_is_not_lent_again(database):
    with pytest.raises(StoreUnavailable), database.reading() as failed:  # noqa: PT012
        failed.execute("PRAGMA query_only = ON")
        failed.execute("DELETE FROM notes")
    with database.reading() as connection:
        assert connection is not failed
    with pytest.raises(sqlite3.ProgrammingError):
        failed.execute("SELECT 1")


def test_a_mistake_in_the_code_is_not_called_unavailable(database):
    with pytest.raises(sqlite3.OperationalError), database.reading() as connection:
        connection.execute("SELECT nothing FROM nowhere")
    with pytest.raises(sqlite3.OperationalError), database.write() as connection:
        connection.execute("SELECT nothing FROM nowhere")


# The files


def test_a_file_that_was_removed_is_not_silently_made_anew(database, path):
    database.close()
    path.unlink()
    with pytest.raises(StoreUnavailable):
        note(database, "one")
    with pytest.raises(StoreUnavailable), database.reading():
        raise AssertionError("it was read")
    assert not path.exists()


def insert_as_if_read_only(connection: sqlite3.Connection) -> None:
    # A connection that was opened on a read-only file begins transactions too, but it can't change anything.
    connection.execute("PRAGMA query_only = ON")
    insert(connection, "not stored")


def test_a_connection_that_can_only_read_is_replaced_after_its_first_failure(database, path):
    with pytest.raises(StoreUnavailable), database.write() as connection:
        insert_as_if_read_only(connection)
    note(database, "stored")
    assert read_notes(path) == ["stored"]


def test_to_a_file_that_has_taken_the_place_of_the_one_that_is_open_nothing_is_written(database, path):
    note(database, "one")
    path.rename(path.with_name("former"))
    other = sqlite3.connect(path)
    other.close()
    path.touch()
    with pytest.raises(StoreUnavailable) as raised:
        note(database, "two")
    assert "was replaced under the running server" in str(raised.value.__cause__)


def test_a_file_that_was_replaced_is_refused_by_a_process_that_has_nothing_open(database, path):
    note(database, "one")
    database.close()  # as before a fork
    path.rename(path.with_name("former"))
    path.write_bytes(path.with_name("former").read_bytes())
    with pytest.raises(StoreUnavailable), database.reading():
        raise AssertionError("it was read")
    with pytest.raises(StoreUnavailable) as raised:
        note(database, "two")
    assert "was replaced under the running server" in str(raised.value.__cause__)


def test_if_the_log_file_is_missing_a_process_that_has_nothing_open_makes_none(database, path):
    note(database, "one")
    wal = path.with_name(f"{path.name}-wal")
    aside = wal.rename(path.with_name("aside"))
    other = Database(path)
    with pytest.raises(StoreUnavailable) as raised:
        note(other, "lost")
    assert f"{wal} was removed; if no program has the database open, remove {path}-shm too" in str(
        raised.value.__cause__
    )
    assert not wal.exists()
    aside.rename(wal)
    note(other, "two")
    other.close()
    assert read_notes(path) == ["one", "two"]


def test_a_process_that_has_only_read_refuses_another_log_file(database, path):
    note(database, "one")
    other = Database(path)
    with other.reading():
        pass
    wal = path.with_name(f"{path.name}-wal")
    aside = wal.rename(path.with_name("aside"))
    wal.write_bytes(aside.read_bytes())
    with pytest.raises(StoreUnavailable) as raised:
        note(other, "lost")
    assert str(wal) in str(raised.value.__cause__)
    aside.rename(wal)
    other.close()


def test_a_file_in_the_place_of_the_database_stays_as_it_is(database, path):
    note(database, "one")
    aside = path.rename(path.with_name("aside"))
    path.write_bytes(aside.read_bytes())
    before = path.read_bytes()
    with database.reading(), pytest.raises(StoreUnavailable), database.reading():
        raise AssertionError("it was read")
    assert path.read_bytes() == before
    assert path.with_name(f"{path.name}-wal").exists()
    aside.rename(path)
    note(database, "two")
    assert read_notes(path) == ["one", "two"]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_process_whose_shm_file_is_gone_or_another_writes_nothing(database, path, replaced):
    note(database, "one")
    shm = path.with_name(f"{path.name}-shm")
    aside = shm.rename(path.with_name("aside"))
    if replaced:
        shm.write_bytes(aside.read_bytes())
    with pytest.raises(StoreUnavailable) as raised:
        note(database, "lost")
    assert str(shm) in str(raised.value.__cause__)
    aside.rename(shm)
    note(database, "two")
    assert read_notes(path) == ["one", "two"]


def test_after_all_was_closed_the_new_log_file_is_taken(database, path):
    note(database, "one")
    database.close()
    other = sqlite3.connect(path)
    other.execute("INSERT INTO notes VALUES ('two')")
    other.commit()
    note(database, "three")
    other.close()
    assert read_notes(path) == ["one", "two", "three"]


def test_if_the_log_file_is_missing_none_is_made_in_its_place(database, path):
    note(database, "one")
    wal = path.with_name(f"{path.name}-wal")
    aside = wal.rename(path.with_name("aside"))
    # The second connection is new.
    with database.reading(), pytest.raises(StoreUnavailable), database.reading():
        raise AssertionError("it was read")
    with pytest.raises(StoreUnavailable):
        note(database, "lost")
    assert not wal.exists()
    aside.rename(wal)
    note(database, "two")
    assert read_notes(path) == ["one", "two"]


def test_after_close_no_file_is_open_and_everything_opens_again(database, path):
    note(database, "one")
    with database.reading() as connection:
        connection.execute("SELECT count(*) FROM notes").fetchone()
    database.close()
    opened = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [name for name in opened if name.startswith(str(path))] == []
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (1,)
    note(database, "two")
    assert read_notes(path) == ["one", "two"]


def test_those_who_close_at_once_leave_all_in_the_one_file(open_database, path):
    for turn in range(3):
        opened = [open_database() for _ in range(4)]
        for number, database in enumerate(opened):
            note(database, f"{turn}/{number}")
        in_threads(4, lambda number: opened[number].close())
        assert [found.name for found in sorted(path.parent.iterdir())] == ["notes.db", "notes.db-lock"]
    assert len(read_notes(path)) == 12


# Watcher


def test_a_watcher_sees_a_commit_of_this_process_once(database):
    watcher = database.watch()
    assert not watcher.changed()
    note(database, "one")
    assert watcher.changed()
    assert not watcher.changed()


def test_a_watcher_sees_a_commit_of_another_process(database, path):
    insert_one = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        " c.execute(\"INSERT INTO notes VALUES ('one')\"); c.commit(); c.close()"
    )
    watcher = database.watch()
    subprocess.run([sys.executable, "-c", insert_one, path], cwd=ROOT, check=True)
    assert watcher.changed()


def test_a_watcher_does_not_see_what_was_committed_before_it(database):
    note(database, "one")
    watcher = database.watch()
    assert not watcher.changed()


def test_a_watcher_is_woken_while_it_waits(database):
    watcher = database.watch()
    thread = threading.Thread(target=note, args=(database, "one"))
    thread.start()
    assert watcher.wait(10)
    thread.join()
    assert not watcher.wait(0)


def test_a_watcher_returns_at_once_if_the_server_is_stopping(database):
    watcher = database.watch()
    database.stopping = True
    assert not watcher.wait(3_600)
