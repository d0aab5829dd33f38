"""The layout of the database: each earlier version is brought up to date, and loses nothing."""

import sqlite3
import threading
from pathlib import Path

import pytest

from phonify import db, store
from phonify.db import SCHEMA_VERSION, Database
from phonify.monitoring_store import find_faults
from phonify.store import Criteria

ROOT = Path(__file__).parent.parent
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")
EARLIER = sorted((ROOT / "tests/schemas").glob("version-*.sql"))
APPLICATION_ID = 0x50484F4E


def layout(path: Path) -> dict[str, object]:
    """Return the columns of each table, and the indexes and triggers."""
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    shown: dict[str, object] = {name: connection.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in tables}
    others = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger')")
    shown |= {name: sql for name, sql in others if sql is not None}
    connection.close()
    return shown


def create_earlier(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript((ROOT / f"tests/schemas/version-{version}.sql").read_text(encoding="utf-8"))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("INSERT INTO accounts (name, created_at) VALUES ('default', 't')")
    connection.execute("INSERT INTO api_keys (account_id, name, key_hash, created_at) VALUES (1, 'mine', 'h', 't')")
    connection.executemany(
        "INSERT INTO messages (seq, id, account_id, direction, body, origin_number, to_number, state, created_at,"
        " due_at) VALUES (?, ?, 1, 'outbound', 'Hello', '+15005550006', '+14560000000', 'unconfirmed', 't', 't')",
        [(1, "i"), (2, "j"), (600_000, "k")],
    )
    connection.commit()
    connection.close()


def test_there_is_a_file_for_each_earlier_version() -> None:
    assert [path.stem for path in EARLIER] == [f"version-{version}" for version in range(1, SCHEMA_VERSION)]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_earlier_version_gets_the_layout_of_a_new_file_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    create_earlier(tmp_path / "old.db", version)
    for name in ("old.db", "new.db"):
        database = Database(tmp_path / name)
        database.prepare(SCHEMA)
        database.close()
    assert layout(tmp_path / "old.db") == layout(tmp_path / "new.db")
    connection = sqlite3.connect(tmp_path / "old.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("SELECT name, revoked_at FROM api_keys").fetchall() == [("mine", None)]
    assert connection.execute("SELECT id, body FROM messages").fetchall() == [(id_, "Hello") for id_ in "ijk"]
    assert list(find_faults(connection)) == []
    found = store.list_messages(connection, account_id=1, criteria=Criteria(to="+14560000000"), offset=0, limit=9)
    assert [message.id for message in found] == ["k", "j", "i"]
    connection.close()


def test_a_start_waits_for_another_that_brings_the_file_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_TIMEOUT", 0.1)
    path = tmp_path / "old.db"
    create_earlier(path, SCHEMA_VERSION - 1)
    slow, other = Database(path), Database(path)
    waiting = threading.Thread(target=other.prepare, args=[SCHEMA])
    with slow._locked() as connection:
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        slow._upgrade(connection, SCHEMA)
    waiting.join(10)
    assert not waiting.is_alive()
    with other.reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert list(find_faults(connection)) == []
    slow.close()
    other.close()


def test_the_schema_can_be_run_again_and_changes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "new.db")
    database.prepare(SCHEMA)
    database.close()
    before = layout(tmp_path / "new.db")
    connection = sqlite3.connect(tmp_path / "new.db")
    connection.executescript(SCHEMA)
    connection.close()
    assert layout(tmp_path / "new.db") == before
