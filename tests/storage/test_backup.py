"""Tests of backups: made during writes, checked, and restored."""

import sqlite3
import threading
from pathlib import Path

import pytest

from phonify.errors import StoreUnavailable
from phonify.storage.backup import DatabaseInUse, backup, check_backup, restore
from phonify.storage.database import Database
from phonify.storage.upgrades import APPLICATION_ID, SCHEMA_VERSION, DatabaseUnusable, prepare
from tests.storage.rows import NOW, SENT, insert, message_id, opening
from tests.support.app import ROOT


@pytest.fixture
def path(tmp_path):
    """A database with a message."""
    with opening(tmp_path) as connection:
        insert(connection, SENT)
    return tmp_path / "phonify.db"


@pytest.fixture
def database(path):
    database = Database(path)
    yield database
    database.close()


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy.db"


def read(path: Path, statement: str = "SELECT id FROM messages") -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# Taking one


def test_a_backup_taken_while_another_thread_writes_is_consistent(database, tmp_path):
    stop, begun = threading.Event(), threading.Event()

    def write_pairs() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with database.write() as connection:
                for side in ("left", "right"):
                    connection.execute(
                        "INSERT INTO webhook_deliveries (id, account_id, event, payload, state, created_at, due_at)"
                        " VALUES (?, 1, 'webhook.test', ?, 'pending', ?, ?)",
                        [f"{number} {side}", "x" * 2_000, NOW, NOW],
                    )
            if number == 100:
                begun.set()

    thread = threading.Thread(target=write_pairs)
    thread.start()
    assert begun.wait(20)
    copies = [tmp_path / f"copy-{number}.db" for number in range(3)]
    for copy in copies:
        backup(database, copy)
    stop.set()
    thread.join()
    for copy in copies:
        ((count,),) = read(copy, "SELECT count(*) FROM webhook_deliveries")
        assert count >= 200
        assert count % 2 == 0
        other = Database(copy)
        prepare(other)
        with other.write() as connection:
            connection.execute("DELETE FROM webhook_deliveries")
        other.close()


def test_a_backup_has_what_is_only_in_the_log_so_far_and_is_one_file_for_its_owner_alone(database, copy, tmp_path):
    with database.write() as connection:
        connection.execute("UPDATE messages SET body = 'new'")
    before = set(tmp_path.iterdir())
    backup(database, copy)
    assert set(tmp_path.iterdir()) - before == {copy}
    assert read(copy, "SELECT body FROM messages") == [("new",)]
    assert copy.stat().st_mode & 0o077 == 0


def test_a_backup_to_a_file_that_exists_is_refused_and_leaves_it(database, copy):
    copy.write_text("precious")
    with pytest.raises(FileExistsError):
        backup(database, copy)
    assert copy.read_text() == "precious"


def test_a_backup_that_fails_leaves_no_file(database, path, copy, tmp_path):
    path.write_bytes(b"no database any more " * 1_000)
    before = set(tmp_path.iterdir())
    with pytest.raises((sqlite3.Error, StoreUnavailable)):
        backup(database, copy)
    assert set(tmp_path.iterdir()) == before


def damage(path: Path) -> None:
    """Overwrite the pages with the names of the accounts."""
    ((page,),) = read(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_accounts_1'")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4_096)
        file.write(bytes(range(256)) * 16)


def test_of_a_database_that_is_damaged_there_is_no_backup(database, path, copy, tmp_path):
    damage(path)
    before = set(tmp_path.iterdir())
    with pytest.raises(DatabaseUnusable, match="the database is damaged, so no backup was made: "):
        backup(database, copy)
    assert {file.name for file in set(tmp_path.iterdir()) - before} <= {
        "phonify.db-shm",
        "phonify.db-wal",
    }


def test_a_backup_into_a_folder_that_is_missing_fails(database, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        backup(database, tmp_path / "missing" / "copy.db")


# Checking a copy


NEWER = SCHEMA_VERSION + 1


def write_no_database(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1_000)


def write_another(path: Path) -> None:
    read(path, "CREATE TABLE bookmarks (address TEXT)")


NEWER = SCHEMA_VERSION + 1


def write_a_newer_one(path: Path) -> None:
    read(path, f"PRAGMA application_id = {APPLICATION_ID}")
    read(path, f"PRAGMA user_version = {NEWER}")


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (write_no_database, "file is not a database"),
        (write_another, "it is not a Phonify database"),
        (
            write_a_newer_one,
            (
                "it was written by a newer version of Phonify"
                f" (the file has version {NEWER}; this Phonify reads versions up to {SCHEMA_VERSION})"
            ),
        ),
    ],
)
def test_what_is_no_backup_is_told_in_words(copy, write, fault):
    write(copy)
    assert check_backup(copy) == fault


def test_a_sound_backup_has_no_fault_and_a_damaged_one_has(database, copy):
    backup(database, copy)
    assert check_backup(copy) is None
    damage(copy)
    assert check_backup(copy) is not None


def test_a_backup_of_an_earlier_version_is_sound(copy):
    connection = sqlite3.connect(copy)
    connection.executescript((ROOT / "tests/storage/former_schemas/version-1.sql").read_text(encoding="utf-8"))
    connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
    connection.close()
    assert check_backup(copy) is None


# Restoring a copy


def test_a_restored_database_is_as_it_was_and_the_former_one_is_kept(database, path, copy):
    backup(database, copy)
    with database.write() as connection:
        connection.execute("UPDATE messages SET body = 'new'")
    database.close()
    former = restore(path, copy)
    assert former is not None
    assert read(former, "SELECT body FROM messages") == [("new",)]
    assert read(path, "SELECT id, body FROM messages") == [(message_id(1), "Hello")]
    assert path.stat().st_mode & 0o077 == 0
    started_again = Database(path)
    prepare(started_again)
    started_again.close()


def test_a_backup_is_restored_where_there_is_no_database(database, tmp_path, copy):
    backup(database, copy)
    assert restore(tmp_path / "new.db", copy) is None
    assert read(tmp_path / "new.db") == [(message_id(1),)]


def test_a_database_that_is_open_somewhere_is_not_replaced(database, path, copy):
    backup(database, copy)  # the connection that has read it stays open
    with pytest.raises(DatabaseInUse):
        restore(path, copy)
    assert read(path) == [(message_id(1),)]
