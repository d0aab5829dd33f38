"""Tests of the commands check and restore. test_cli.py has the tests of backup and init-db."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT

pytestmark = pytest.mark.slow


KNOWN = "+14560000000"


@pytest.fixture
def run(tmp_path):
    """Return a function that runs `python -m phonify ...` on the tests' database."""

    def run(*arguments: str, status: int = 0) -> str:
        environ = {
            **os.environ,
            "PHONIFY_DATABASE": str(tmp_path / "phonify.db"),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-m", "phonify", *arguments], env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def damage(path: Path, *, truncated: bool) -> None:
    if truncated:
        os.truncate(path, 5_000)
    else:
        path.write_bytes(os.urandom(path.stat().st_size))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def test_a_sound_database_is_said_to_be(run, tmp_path):
    run("init-db")
    run("send", KNOWN, "Hello")
    assert run("check") == f"{tmp_path / 'phonify.db'} is not damaged.\n"


def test_what_is_wrong_is_said_with_status_1(run, tmp_path):
    run("init-db")
    run("send", KNOWN, "Hello")
    with sqlite3.connect(tmp_path / "phonify.db") as connection:
        connection.execute("UPDATE conversations SET last_seq = 9")
    connection.close()
    output = run("check", status=1)
    assert "1 conversations have no latest message\n" in output
    assert "is damaged" in output


@pytest.mark.parametrize("truncated", [True, False])
def test_a_damaged_database_is_refused_at_start_with_one_line_and_restored(run, start, tmp_path, truncated):
    database, copy = tmp_path / "phonify.db", tmp_path / "copy.db"
    run("init-db")
    run("send", KNOWN, "Kept")
    run("backup", str(copy))
    run("send", KNOWN, "Later")
    damage(database, truncated=truncated)
    server = start()
    assert server.popen.wait(20) == 2
    (line,) = server.output.splitlines()
    assert line.startswith(f"Error: the database can't be used: {database}: ")

    output = run("restore", str(copy))
    former = next(tmp_path.glob("phonify.db.before-*"))
    assert output == f"{database} is now a copy of {copy}.\nThe former database is {former}.\n"
    server = start()
    _, found = server.call("GET", "/v1/messages")
    assert [message["body"] for message in found["messages"]] == ["Kept"]
    assert server.call("POST", "/v1/messages", to=KNOWN, body="On it goes")[0] == 201


def test_a_backup_is_restored_where_there_is_no_database(run, tmp_path):
    run("init-db")
    run("send", KNOWN, "Kept")
    run("backup", str(tmp_path / "copy.db"))
    for path in tmp_path.glob("phonify.db*"):
        path.unlink()
    copy = tmp_path / "copy.db"
    assert run("restore", str(copy)) == f"{tmp_path / 'phonify.db'} is now a copy of {copy}.\n"
    assert "Kept" in run("messages")
    assert (tmp_path / "phonify.db").stat().st_mode & 0o777 == 0o600


def test_nothing_is_restored_under_a_running_server(run, start, tmp_path):
    server = start()
    assert server.call("POST", "/v1/messages", to=KNOWN, body="Hello")[0] == 201
    run("backup", str(tmp_path / "copy.db"))
    assert "is in use. Stop all servers" in run("restore", str(tmp_path / "copy.db"), status=1)
    assert server.call("POST", "/v1/messages", to=KNOWN, body="Hello")[0] == 201
    assert not list(tmp_path.glob("phonify.db.*before*"))


@pytest.mark.parametrize(
    ("content", "fault"), [(b"x" * 10_000, "file is not a database"), (b"", "it is not a Phonify database")]
)
def test_what_is_no_backup_is_not_restored(run, tmp_path, content, fault):
    run("init-db")
    run("send", KNOWN, "Kept")
    (tmp_path / "copy.db").write_bytes(content)
    assert fault in run("restore", str(tmp_path / "copy.db"), status=1)
    assert "Kept" in run("messages")


def test_a_backup_of_a_newer_version_is_not_restored(run, tmp_path):
    run("init-db")
    run("send", KNOWN, "Kept")
    run("backup", str(tmp_path / "copy.db"))
    with sqlite3.connect(tmp_path / "copy.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "written by a newer version of Phonify (the file has version 99;" in run(
        "restore", str(tmp_path / "copy.db"), status=1
    )


def test_a_server_after_a_restore_knows_the_keys_of_the_backup(run, start, tmp_path):
    server = start()
    assert server.call("GET", "/v1/messages")[0] == 200
    run("backup", str(tmp_path / "copy.db"))
    server.terminate()
    run("restore", str(tmp_path / "copy.db"))
    server = start(API_KEY=None)
    assert server.call("GET", "/v1/messages", key=KEY)[0] == 200


def test_of_a_damaged_database_there_is_no_backup(run, tmp_path):
    run("init-db")
    for _ in range(3):
        run("send", KNOWN, "x" * 100)
    database = tmp_path / "phonify.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages_by_to'").fetchone()
    connection.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4_096 + 8)
        file.write(os.urandom(4_088))
    before = {path.name for path in tmp_path.iterdir()}
    output = run("backup", str(tmp_path / "copy.db"), status=1)
    assert "copy.db was not written: the database is damaged" in output
    assert {path.name for path in tmp_path.iterdir()} <= before


@pytest.mark.parametrize("command", [["check"], ["backup", "copy.db"]])
def test_what_has_nothing_in_it_is_most_likely_not_the_database_that_was_meant(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHONIFY_API_KEY", raising=False)
    run("init-db")
    for _ in range(2):
        assert f"{tmp_path / 'phonify.db'} is empty. Is PHONIFY_DATABASE set to the right file?" in run(
            *command, status=1
        )
    assert not (tmp_path / "copy.db").exists()
    run("keys", "create")
    run(*command)
