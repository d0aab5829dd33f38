"""Tests of locks between processes: one holder at a time, and whether the owner of a lease is alive."""

import signal
import subprocess
import sys
import threading

import pytest

from phonify.storage.process_lock import Owner, ProcessLock
from tests.support.app import ROOT

HOLD = "from phonify.storage.process_lock import Owner; from pathlib import Path; import sys, time\n"
HOLD += "print(Owner(Path(sys.argv[1])).id, flush=True); time.sleep(60)"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


def list_files(database):
    return sorted(file.name for file in database.parent.iterdir())


def start_owner(database):
    process = subprocess.Popen([sys.executable, "-c", HOLD, database], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return process, process.stdout.readline().strip()


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_lock_is_waited_for(tmp_path):
    first, second = ProcessLock(tmp_path / "lock"), ProcessLock(tmp_path / "lock")
    first.acquire(1)
    threading.Timer(0.1, first.release).start()
    second.acquire(5)
    second.release()


def test_a_lock_that_is_not_let_go_of_is_an_error(tmp_path):
    first, second = ProcessLock(tmp_path / "lock"), ProcessLock(tmp_path / "lock")
    first.acquire(1)
    with pytest.raises(TimeoutError):
        second.acquire(0.02)
    first.release()


def test_an_owner_lives_until_it_is_closed(database):
    one, other = Owner(database), Owner(database)
    assert other.is_alive(one.id)
    assert other.is_alive(other.id)
    one.close()
    assert not other.is_alive(one.id)
    other.close()
    assert list_files(database) == []


def test_an_owner_that_never_was_does_not_live(database):
    owner = Owner(database)
    assert not owner.is_alive("0123456789abcdef")
    owner.close()


def test_an_owner_whose_process_was_killed_does_not_live_and_leaves_no_file(database):
    owner = Owner(database)
    process, other = start_owner(database)
    assert owner.is_alive(other)
    end(process)
    assert not owner.is_alive(other)
    assert len(list_files(database)) == 1
    owner.close()


def test_an_owner_whose_process_stands_still_lives(database):
    owner = Owner(database)
    process, other = start_owner(database)
    process.send_signal(signal.SIGSTOP)
    assert owner.is_alive(other)
    end(process)
    owner.close()


def test_files_of_processes_that_were_killed_go_with_the_next_owner(database):
    process, _ = start_owner(database)
    end(process)
    assert len(list_files(database)) == 1
    Owner(database).close()
    assert list_files(database) == []


def test_an_owner_is_found_by_those_who_open_the_database_by_another_name(database, tmp_path):
    other_name = tmp_path / "elsewhere" / "link.db"
    other_name.parent.mkdir()
    other_name.symlink_to(database)
    one, other = Owner(database), Owner(other_name)
    assert one.is_alive(other.id)
    assert other.is_alive(one.id)
    one.close()
    other.close()


def test_files_are_found_whatever_characters_the_name_has(tmp_path):
    database = tmp_path / "notes[1]*?.db"
    process, _ = start_owner(database)
    end(process)
    Owner(database).close()
    assert list_files(database) == []


def test_a_child_of_an_owner_does_not_keep_it_alive(database):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD.replace("time.sleep(60)", "__import__('subprocess').Popen(['sleep', '5'])"),
            database,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    other = process.stdout.readline().strip()
    process.wait()
    process.stdout.close()
    owner = Owner(database)
    assert not owner.is_alive(other)
    owner.close()
