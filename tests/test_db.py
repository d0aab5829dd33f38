"""Connections, watchers, the start with all kinds of files, and backups while others write."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

import phonify.db
from phonify.db import SCHEMA_VERSION, Database, DatabaseUnusable
from phonify.errors import StoreUnavailable

SCHEMA = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"
ROOT = Path(__file__).parent.parent


def insert(connection: sqlite3.Connection, text: str | None) -> int:
    (number,) = connection.execute("INSERT INTO notes (text) VALUES (?) RETURNING id", [text]).fetchone()
    return number


def insert_all(connection: sqlite3.Connection, texts: Sequence[str | None]) -> list[int]:
    return [insert(connection, text) for text in texts]


def read_notes(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]
    finally:
        connection.close()


def run_python(code: str, *arguments: object, prefix: Sequence[str] = ()) -> str:
    """Run code in another process and return what it printed."""
    command = [*prefix, sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Call a function with 0, 1, ... in as many threads at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def open_database(path: Path) -> Iterator[Callable[..., Database]]:
    """Return a function that opens the file, once more with each call, as other processes would."""
    opened = []

    def open_database(other: Path = path) -> Database:
        opened.append(Database(other))
        opened[-1].prepare(SCHEMA)
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[..., Database]) -> Database:
    return open_database()


# Writing


def test_a_write_returns_what_its_work_returns(database):
    assert database.write(lambda connection: insert(connection, "one")) == 1


def test_a_write_is_on_disk_when_it_returns(database, path):
    database.write(lambda connection: insert(connection, "one"))
    assert read_notes(path) == ["one"]


def test_writes_are_synced_to_disk(database):
    assert database.write(lambda connection: connection.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert database.write(lambda connection: connection.execute("PRAGMA journal_mode").fetchone()) == ("wal",)


def test_foreign_keys_are_enforced_for_reading_and_writing(database):
    with database.reading() as connection:
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert database.write(lambda connection: connection.execute("PRAGMA foreign_keys").fetchone()) == (1,)


def test_many_threads_that_write_at_once_all_get_their_own_results_in_fewer_commits_than_writes(database, path):
    results, statements = {}, []
    database.write(lambda connection: connection.set_trace_callback(statements.append))

    def work(number: int) -> None:
        for turn in range(20):
            text = f"{number}/{turn}"
            if number % 2:
                results[text] = database.write(partial(insert, text=text))
            else:
                results[text] = database.write_batched(insert_all, text)

    in_threads(16, work)
    assert len(results) == 320
    assert [text for text, _ in sorted(results.items(), key=lambda item: item[1])] == read_notes(path)
    assert statements.count("COMMIT") < 320


def test_after_close_everything_opens_again(database, path):
    database.write(lambda connection: insert(connection, "one"))
    database.close()
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (1,)
    database.write(lambda connection: insert(connection, "two"))
    assert database.generation == 0
    assert read_notes(path) == ["one", "two"]


def open_otherwise(path, how):
    """Return a connection as it is where the file could not be written, or was another one, when it was opened."""
    if how == "read-only":
        address = f"{path.as_uri()}?mode=ro"
    else:
        path.with_name("other").write_bytes(b"no database" * 1_000)
        address = path.with_name("other").as_uri()
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


@pytest.mark.parametrize("how", ["read-only", "another file"])
@pytest.mark.parametrize("write", ["write", "write_unsynced"])
def test_a_connection_that_can_not_write_is_replaced(database, path, monkeypatch, how, write):
    database.close()
    connect = database._connect
    monkeypatch.setattr(database, "_connect", lambda **_: open_otherwise(path, how))
    with pytest.raises(StoreUnavailable):
        getattr(database, write)(lambda connection: insert(connection, "one"))
    monkeypatch.setattr(database, "_connect", connect)
    getattr(database, write)(lambda connection: insert(connection, "two"))
    assert read_notes(path) == ["two"]


def test_a_connection_that_can_not_read_is_replaced(database, path):
    database.write(lambda connection: insert(connection, "one"))
    while database._idle:
        database._idle.pop().close()
    database._idle.append(open_otherwise(path, "another file"))
    with pytest.raises(StoreUnavailable), database.reading() as connection:
        connection.execute("SELECT text FROM notes")
    with database.reading() as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("one",)]


def test_where_the_log_file_is_missing_none_is_made_in_its_place(database, path):
    database.write(lambda connection: insert(connection, "one"))
    wal = path.with_name(f"{path.name}-wal")
    aside = wal.rename(path.with_name("aside"))
    while database._idle:
        database._idle.pop().close()
    with pytest.raises(StoreUnavailable), database.reading():
        pass
    assert not wal.exists()
    aside.rename(wal)
    database.write(lambda connection: insert(connection, "two"))
    assert read_notes(path) == ["one", "two"]


def test_the_log_file_shrinks_after_a_long_read_during_which_it_grew(database, path):
    wal = path.with_name(f"{path.name}-wal")

    def write(megabytes: int) -> int:
        for _ in range(megabytes):
            database.write(lambda connection: insert(connection, f"{time.monotonic_ns()}{'x' * 1_000_000}"))
        return wal.stat().st_size

    with database.reading() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM notes").fetchall()
        assert write(40) > 40_000_000
        connection.execute("COMMIT")
    assert write(2) < 17_000_000


def test_close_leaves_no_file_of_the_database_open(database, path):
    database.write(lambda connection: insert(connection, "one"))
    with database.reading() as connection:
        connection.execute("SELECT count(*) FROM notes").fetchone()
    assert database.generation == 0
    database.close()
    opened = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [name for name in opened if name.startswith(str(path))] == []


def test_those_who_close_at_once_take_turns_and_leave_all_in_the_one_file(open_database, path):
    first, second = open_database(), open_database()
    second.write(lambda connection: insert(connection, "one"))
    closing = threading.Thread(target=second.close)

    def work(connection: sqlite3.Connection) -> None:
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        insert(connection, "two")

    first.write(work)
    closing.join()
    first.close()
    assert [found.name for found in sorted(path.parent.iterdir())] == ["notes.db", "notes.db-lock"]
    assert read_notes(path) == ["one", "two"]


def test_two_databases_on_one_file_take_turns(open_database, path):
    both = [open_database(), open_database()]

    def work(number: int) -> None:
        for turn in range(20):
            both[number % 2].write(partial(insert, text=f"{number}/{turn}"))

    in_threads(8, work)
    assert len(read_notes(path)) == 160


def test_a_database_that_is_locked_past_the_time_out_is_unavailable(database, path, monkeypatch):
    monkeypatch.setattr(phonify.db, "BUSY_TIMEOUT", 0.01)
    database.close()
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        database.write(lambda connection: insert(connection, "one"))
    locker.execute("ROLLBACK")
    locker.close()
    assert read_notes(path) == []


def test_those_who_wait_together_for_a_locked_database_are_all_told(database, path, monkeypatch):
    monkeypatch.setattr(phonify.db, "BUSY_TIMEOUT", 0.01)
    database.close()
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    told = []

    def work(number: int) -> None:
        try:
            database.write(lambda connection: insert(connection, str(number)))
        except StoreUnavailable:
            told.append(number)

    in_threads(10, work)
    locker.execute("ROLLBACK")
    locker.close()
    assert sorted(told) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_waiting_for_threads_processes_and_sqlite_takes_no_longer_than_the_time_out_in_all(
    database, open_database, path, monkeypatch
):
    monkeypatch.setattr(phonify.db, "BUSY_TIMEOUT", 0.5)
    other = open_database()  # as another process would have it
    database.close()
    other.close()
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    seconds = []

    def work(number: int) -> None:
        one = (database, other)[number % 2]
        write = one.write if number % 4 < 2 else one.write_unsynced
        time.sleep(0.05 * (number % 5))
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            write(lambda connection: insert(connection, str(number)))
        seconds.append(time.monotonic() - begun)

    in_threads(16, work)
    locker.execute("ROLLBACK")
    locker.close()
    assert len(seconds) == 16
    assert max(seconds) < 1.0
    in_threads(4, lambda number: database.write(lambda connection: insert(connection, str(number))))
    assert len(read_notes(path)) == 4


def test_a_full_disk_is_unavailable_and_nothing_is_stored(database, path):
    def work(connection: sqlite3.Connection) -> None:
        insert(connection, "one")
        insert(connection, "x" * 1_000_000)

    (pages,) = database.write(lambda connection: connection.execute("PRAGMA page_count").fetchone())
    database.write(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchone())
    with pytest.raises(StoreUnavailable):
        database.write(work)
    assert read_notes(path) == []


def test_a_file_that_was_removed_is_not_silently_made_anew(database, path):
    database.close()
    path.unlink()
    with pytest.raises(StoreUnavailable):
        database.write(lambda connection: insert(connection, "one"))
    assert not path.exists()


def test_a_mistake_in_the_code_is_not_called_unavailable(database):
    with pytest.raises(sqlite3.OperationalError), database.reading() as connection:
        connection.execute("SELECT nothing FROM nowhere")


# Watcher


def test_a_watcher_sees_a_commit_of_this_process(database):
    with database.watch() as watcher:
        database.write(lambda connection: insert(connection, "one"))
        assert watcher.wait(0)


def test_a_watcher_sees_a_commit_of_another_connection(database, open_database):
    with database.watch() as watcher:
        open_database().write(lambda connection: insert(connection, "one"))
        assert watcher.wait(0)


def test_a_watcher_sees_a_commit_of_another_process(database, path):
    with database.watch() as watcher:
        run_python(
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
            " c.execute(\"INSERT INTO notes (text) VALUES ('one')\"); c.commit(); c.close()",
            path,
        )
        assert watcher.wait(0)


def test_a_watcher_is_woken_while_it_waits(database):
    with database.watch() as watcher:
        thread = threading.Thread(target=database.write, args=(lambda connection: insert(connection, "one"),))
        thread.start()
        assert watcher.wait(10)
        thread.join()


def test_a_watcher_sees_each_commit_once(database):
    with database.watch() as watcher:
        database.write(lambda connection: insert(connection, "one"))
        assert watcher.wait(0)
        assert not watcher.wait(0)


def test_a_watcher_does_not_see_what_was_committed_before_it(database):
    database.write(lambda connection: insert(connection, "one"))
    with database.watch() as watcher:
        assert not watcher.wait(0)


def test_a_watcher_does_not_see_what_was_rolled_back(database):
    with database.watch() as watcher:
        with pytest.raises(ZeroDivisionError):
            database.write(lambda connection: insert(connection, "one") / 0)
        assert not watcher.wait(0)


def test_a_watcher_returns_at_once_where_the_server_is_stopping(database):
    with database.watch() as watcher:
        database.stopping = True
        assert not watcher.wait(3_600)


# Generation


def test_the_generation_stays_while_messages_are_written(database):
    before = database.generation
    database.write(lambda connection: insert(connection, "one"))
    assert database.generation == before


def test_the_generation_advances_for_every_database_on_the_file(database, open_database):
    other = open_database()
    before = other.generation
    database.advance_generation()
    assert other.generation != before


GENERATION = (
    "import sys; from pathlib import Path; from phonify.db import Database;"
    " database = Database(Path(sys.argv[1])); {}print(database.generation); database.close()"
)


def test_the_generation_is_seen_by_another_process(database, path):
    database.advance_generation()
    assert database.generation != 0
    assert run_python(GENERATION.format(""), path) == f"{database.generation}\n"


def test_another_process_advances_the_generation(database, path):
    assert database.generation == 0
    printed = run_python(GENERATION.format("database.advance_generation(); "), path)
    assert printed == f"{database.generation}\n" != "0\n"


def test_the_generation_advances_while_another_process_does_not_let_go_of_the_lock(database, open_database):
    other = open_database()
    with other._locked():
        database.advance_generation()
    assert other.generation == database.generation != 0


# Writing that does not wait for the disk


def test_what_is_written_unsynced_is_there(database, path):
    assert database.write_unsynced(lambda connection: insert(connection, "one")) == 1
    assert read_notes(path) == ["one"]


def test_work_that_fails_unsynced_leaves_nothing_behind(database, path):
    def work(connection):
        insert(connection, "one")
        raise LookupError

    with pytest.raises(LookupError):
        database.write_unsynced(work)
    database.write_unsynced(lambda connection: insert(connection, "two"))
    assert read_notes(path) == ["two"]


def test_what_is_promised_is_synced_also_after_something_that_was_not(database):
    database.write_unsynced(lambda connection: insert(connection, "one"))
    synchronous = database.write(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
    assert synchronous == (2,)  # FULL
    assert database.write_unsynced(lambda connection: connection.execute("PRAGMA synchronous").fetchone()) == (1,)


def test_unsynced_writing_to_a_locked_database_is_refused(database, path, monkeypatch):
    monkeypatch.setattr(phonify.db, "BUSY_TIMEOUT", 0.01)
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        database.write_unsynced(lambda connection: insert(connection, "one"))
    locker.execute("ROLLBACK")
    locker.close()
    database.write_unsynced(lambda connection: insert(connection, "two"))
    assert read_notes(path) == ["two"]


# Start


def test_a_new_file_gets_the_schema_and_can_be_read_by_its_owner_alone(database, path):
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall() == [("notes",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_preparing_a_file_again_leaves_its_content(database, open_database, path):
    database.write(lambda connection: insert(connection, "one"))
    database.close()
    open_database()
    assert read_notes(path) == ["one"]


def test_many_databases_that_prepare_one_new_file_at_once_all_succeed(tmp_path):
    faults = []

    def work(_: int) -> None:
        database = Database(tmp_path / "new.db")
        try:
            database.prepare(SCHEMA)
            database.write(lambda connection: connection.execute("SELECT * FROM notes").fetchall())
        except DatabaseUnusable as error:
            faults.append(str(error))
        finally:
            database.close()

    in_threads(8, work)
    assert faults == []


def test_an_empty_file_becomes_a_database(open_database, path):
    path.touch()
    open_database().write(lambda connection: insert(connection, "one"))
    assert read_notes(path) == ["one"]


def test_a_schema_that_fails_leaves_nothing_behind(path):
    database = Database(path)
    with pytest.raises(DatabaseUnusable):
        database.prepare("CREATE TABLE notes (id INTEGER PRIMARY KEY); CREATE TABLE broken (")
    database.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == []
    connection.close()


def refuse(path: Path) -> str:
    """Return why a file can't be prepared; it must be one line that names it."""
    database = Database(path)
    with pytest.raises(DatabaseUnusable) as raised:
        database.prepare(SCHEMA)
    database.close()
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.write_bytes(b"Dear diary, " * 1_000)
    assert refuse(path) == "file is not a database"
    assert path.read_bytes() == b"Dear diary, " * 1_000


def test_a_database_of_another_application_is_refused_and_left_as_it_is(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (address TEXT)")
    connection.close()
    before = path.read_bytes()
    assert refuse(path) == "a SQLite file, but not one of Phonify's"
    assert path.read_bytes() == before


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database, path):
    database.write(lambda connection: insert(connection, "one"))
    database.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    assert refuse(path) == f"written by a newer Phonify (version 7; this one knows up to {SCHEMA_VERSION})"
    assert read_notes(path) == ["one"]


def test_a_folder_that_is_missing_is_refused_and_not_made(tmp_path):
    assert refuse(tmp_path / "missing" / "notes.db") == "No such file or directory"
    assert not (tmp_path / "missing").exists()


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    assert refuse(tmp_path) == "Is a directory"


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert refuse(tmp_path / "file" / "notes.db") == "Not a directory"


# Root may write everywhere; these are run without that privilege.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
PREPARE = """
import sys
from functools import partial
from pathlib import Path
from phonify.db import Database, DatabaseUnusable
try:
    Database(Path(sys.argv[1])).prepare("")
except DatabaseUnusable as error:
    print(error)
"""
needs_permissions = pytest.mark.skipif(
    subprocess.run([*UNPRIVILEGED, "true"], check=False, capture_output=True).returncode != 0
    if not UNPRIVILEGED or shutil.which("setpriv")
    else True,
    reason="nothing is read-only for root, and setpriv does not work here",
)


@needs_permissions
def test_a_folder_that_can_only_be_read_is_refused(tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(0o500)
    assert run_python(PREPARE, folder / "notes.db", prefix=UNPRIVILEGED) == f"{folder}/notes.db: Permission denied\n"


@needs_permissions
def test_a_file_in_a_folder_that_can_only_be_read_is_refused(open_database, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir()
    open_database(folder / "notes.db").close()
    folder.chmod(0o500)
    shown = run_python(PREPARE, folder / "notes.db", prefix=UNPRIVILEGED)
    assert shown == f"{folder}/notes.db: its folder can't be written to\n"


@needs_permissions
def test_a_file_that_can_only_be_read_is_refused(database, path):
    database.close()
    path.chmod(0o400)
    assert run_python(PREPARE, path, prefix=UNPRIVILEGED) == f"{path}: Permission denied\n"


def test_a_path_with_characters_that_mean_something_in_addresses_is_one_file(open_database, tmp_path):
    strange = tmp_path / "notes?mode=ro&x=%41#y é.db"
    open_database(strange).write(lambda connection: insert(connection, "one"))
    assert read_notes(strange) == ["one"]


# Backup


def test_a_backup_taken_while_another_thread_writes_opens_and_is_consistent(database, open_database, tmp_path):
    stop = threading.Event()
    begun = threading.Event()

    def write_pairs() -> None:
        number = 0
        while not stop.is_set():
            pair = [f"{number} left {'x' * 2_000}", f"{number} right {'x' * 2_000}"]
            database.write(partial(insert_all, texts=pair))
            number += 1
            if number == 100:
                begun.set()

    thread = threading.Thread(target=write_pairs)
    thread.start()
    assert begun.wait(10)
    for number in range(5):
        database.backup(tmp_path / f"copy-{number}.db")
    stop.set()
    thread.join()
    for number in range(5):
        copy = open_database(tmp_path / f"copy-{number}.db")
        with copy.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (count,) = connection.execute("SELECT count(*) FROM notes").fetchone()
        assert count >= 200
        assert count % 2 == 0
        copy.write(lambda connection: insert(connection, "more"))


def test_a_backup_has_what_is_only_in_the_log_so_far(database, tmp_path):
    database.write(lambda connection: insert(connection, "one"))
    database.backup(tmp_path / "copy.db")
    assert read_notes(tmp_path / "copy.db") == ["one"]


def test_a_backup_to_a_file_that_exists_is_refused_and_leaves_it(database, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(FileExistsError):
        database.backup(target)
    assert target.read_text() == "precious"


def test_a_backup_leaves_no_other_file(database, tmp_path):
    before = set(tmp_path.iterdir())
    database.backup(tmp_path / "copy.db")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "copy.db"}


def test_a_backup_that_fails_leaves_no_file(database, path, tmp_path):
    database.close()
    path.write_bytes(b"no database any more " * 1_000)
    before = set(tmp_path.iterdir())
    with pytest.raises((sqlite3.Error, StoreUnavailable)):
        database.backup(tmp_path / "copy.db")
    assert set(tmp_path.iterdir()) == before


def test_a_backup_into_a_folder_that_is_missing_fails(database, tmp_path):
    with pytest.raises((OSError, sqlite3.Error)):
        database.backup(tmp_path / "missing" / "copy.db")


def test_a_backup_can_be_read_by_its_owner_alone_like_the_database(database, tmp_path):
    database.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
