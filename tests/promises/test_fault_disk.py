"""Tests of faults of the database files under load: full disk, locked, read-only, removed, replaced, overwritten."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.load import TO, Load, count_and_tell, query, tell, wait_until
from tests.support.processes import descendants_of

pytestmark = pytest.mark.slow


APP = str(ROOT / "tests" / "support" / "gateway_app.py")
MANY = [f"+1456000{number:04d}" for number in range(300)]


@pytest.fixture
def database(tmp_path):
    return tmp_path / "phonify.db"


def works(command: list[str]) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def processes_of(server) -> list[int]:
    return [server.popen.pid, *descendants_of(server.popen.pid)]


def limit_files(server, size: int) -> None:
    """Limit the size of files that a server may write, as on a full disk."""
    for pid in processes_of(server):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# No room


def test_a_full_disk_is_503_with_nothing_half_stored_and_passes_by_itself(start, database):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port) as load:
        load.wait_for(50)
        wal = database.with_name("phonify.db-wal")
        limit_files(server, wal.stat().st_size + 50_000)
        wait_until(lambda: load.statuses[503] >= 20)
        assert server.call("POST", "/v1/messages", to=MANY, body="Many")[0] == 503
        # It writes so little that some writes may still fit.
        wait_until(lambda: server.call("GET", "/readyz", key=None)[0] == 503)
        assert server.call("GET", "/v1/messages?limit=1")[0] == 200
        limit_files(server, resource.RLIM_INFINITY)
        load.wait_for(50)
        assert server.call("GET", "/readyz", key=None)[0] == 200
    assert (set(load.statuses), load.cut_off) == ({201, 503}, [])
    assert query(database, "SELECT count(*) FROM messages") == [(len(load.acknowledged),)]
    assert query(database, "PRAGMA integrity_check") == [("ok",)]
    count_and_tell(f"disk full (a limit), {load.statuses[503]} times 503", database, load.acknowledged, begun)


def room_on(descriptor: int) -> int:
    return os.fstatvfs(descriptor).f_bfree


# Needs permission to mount a file system. The limit above works everywhere.
MOUNTING = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c"]
# It has room for the largest -wal file.
SMALL_DISKS = [24] if works([*MOUNTING, "mount -t tmpfs none /mnt"]) else []


def wait_for_refusal(load: Load) -> int:
    """Wait until all requests are refused.

    Returns the number of acknowledged requests. Commits that had begun may still end.
    """

    def is_refused() -> bool:
        before = len(load.acknowledged)
        load.wait_for_status(503, 20)
        return len(load.acknowledged) == before

    wait_until(is_refused)
    return len(load.acknowledged)


@pytest.mark.parametrize("megabytes", SMALL_DISKS)
def test_a_small_disk_that_is_full_is_503_with_nothing_half_stored_and_passes_by_itself(start, tmp_path, megabytes):
    begun = time.monotonic()
    disk = tmp_path / "disk"
    disk.mkdir()
    run = f"mount -t tmpfs -o size={megabytes}m none {disk} && exec {sys.executable} app.py"
    execute = f"import os; os.execvp({MOUNTING[0]!r}, {[*MOUNTING, run]!r})"
    server = start("-c", execute, DATABASE=str(disk / "phonify.db"), ACCESS_LOG="off")
    with Load(server.port) as load:
        load.wait_for(20)
        filler = Path(f"/proc/{server.popen.pid}/root{disk}/filler")
        with filler.open("wb", buffering=0) as file:
            while room_on(file.fileno()):
                with suppress(OSError):  # the server may take the last page
                    file.write(b"x" * 4096)
        wait_until(lambda: load.statuses[503] >= 20)
        assert server.call("POST", "/v1/messages", to=MANY, body="Many")[0] == 503
        filler.unlink()
        load.wait_for(20)
    assert (set(load.statuses), load.cut_off) == ({201, 503}, [])
    wait_until(lambda: server.call("GET", "/v1/messages?state=unconfirmed")[1] == {"messages": []})
    stored = [message["id"] for message in server.call("GET", "/v1/messages?limit=1000")[1]["messages"]]
    assert sorted(stored) == sorted(load.acknowledged)[-1000:]
    fault = f"disk full (a tmpfs of {megabytes} MB), {load.statuses[503]} times 503"
    tell(fault, len(load.acknowledged), 0, 0, 0, time.monotonic() - begun)


# Locked


def test_a_database_locked_for_ten_seconds_is_503_after_five_and_read_without_delay(start, database):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port, 8) as load, closing(sqlite3.connect(database, isolation_level=None)) as other:
        load.wait_for(50)
        other.execute("BEGIN IMMEDIATE")
        # The server should record the use of this key now.
        other.execute("UPDATE api_keys SET used_at = NULL")
        locked = time.monotonic()
        reads = []
        while time.monotonic() - locked < 10:
            asked = time.monotonic()
            assert server.call("GET", "/v1/messages?limit=1")[0] == 200
            reads.append(time.monotonic() - asked)
            time.sleep(0.2)
        refused = load.statuses[503]
        other.execute("ROLLBACK")
        load.wait_for(50)
    assert (set(load.statuses), load.cut_off) == ({201, 503}, [])
    assert refused >= 8
    assert max(load.seconds) < 7
    assert max(reads) < 2
    fault = f"locked 10 s, {refused} times 503, at most {max(load.seconds):.1f} s, reads {max(reads):.2f} s"
    count_and_tell(fault, database, load.acknowledged, begun)


def test_the_use_of_a_key_that_can_not_be_noted_delays_no_request(tmp_path, client):
    with closing(sqlite3.connect(tmp_path / "phonify.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert client.get("/v1/messages").status_code == 200
        assert time.monotonic() - begun < 2
        other.execute("ROLLBACK")


# Read-only

# Root may write everywhere. So a server of root runs without that privilege.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_or_folder_that_can_only_be_read_is_one_clear_line_at_start(start, tmp_path, what):
    begun = time.monotonic()
    folder = tmp_path / "folder"
    folder.mkdir()
    database = folder / "phonify.db"
    start("-m", "flask", "--app", "app", "init-db", DATABASE=str(database)).popen.wait(30)
    (database if what == "file" else folder).chmod(0o400 if what == "file" else 0o500)
    execute = (
        f"import os; os.execvp({[*UNPRIVILEGED, sys.executable][0]!r}, {[*UNPRIVILEGED, sys.executable, 'app.py']!r})"
    )
    server = start("-c", execute, DATABASE=str(database))
    assert server.popen.wait(30) == 2
    why = "Permission denied" if what == "file" else "its folder is not writable"
    assert server.output == f"Error: the database can't be used: {database}: {why}\n"
    folder.chmod(0o700)
    tell(f"{what} read-only at start: refused", 0, 0, 0, 0, time.monotonic() - begun)


def can_be_made_immutable(folder: Path) -> bool:
    """Return whether a file can be made read-only even for root and for open descriptors.

    This needs ext4 and a privilege.
    """
    probe = folder / "probe"
    probe.touch()
    return works(["chattr", "+i", str(probe)]) and works(["chattr", "-i", str(probe)])


def test_files_that_become_read_only_while_it_runs_are_503_and_pass_by_themselves(start, database, tmp_path):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    files = [str(path) for path in (database, database.with_name("phonify.db-wal"))]
    immutable = can_be_made_immutable(tmp_path)
    with Load(server.port) as load:
        load.wait_for(50)
        # Without the privilege, the server can create no more files. Another call then fails with the same error.
        if immutable:
            subprocess.run(["chattr", "+i", *files], check=True)
        else:
            limit_files(server, 0)
        try:
            wait_until(lambda: load.statuses[503] >= 20)
        finally:
            if immutable:
                subprocess.run(["chattr", "-i", *files], check=True)
            else:
                limit_files(server, resource.RLIM_INFINITY)
        load.wait_for(50)
    assert (set(load.statuses), load.cut_off) == ({201, 503}, [])
    assert query(database, "SELECT count(*) FROM messages") == [(len(load.acknowledged),)]
    how = "chattr +i" if immutable else "a limit of 0"
    count_and_tell(f"files read-only ({how}), {load.statuses[503]} times 503", database, load.acknowledged, begun)


# Removed, replaced, overwritten


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_nothing_is_acknowledged_that_would_go_into_a_removed_file(start, database, suffix):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    file = database.with_name(f"phonify.db{suffix}")
    with Load(server.port) as load:
        load.wait_for(50)
        aside = file.rename(database.with_name("aside"))
        before = wait_for_refusal(load)
        status, answer = server.call("GET", "/readyz", key=None)
        assert status == 503
        assert str(file) in answer["faults"][0]
        load.wait_for_status(503, 20)
        assert len(load.acknowledged) == before
        aside.rename(file)
        load.wait_for(50)
    assert (set(load.statuses), load.cut_off) == ({201, 503}, [])
    name = "the database" if not suffix else f"its {suffix}"
    count_and_tell(f"{name} moved away and back, {load.statuses[503]} times 503", database, load.acknowledged, begun)


def test_a_database_that_is_replaced_under_a_running_server_is_not_written_to(start, database, tmp_path):
    begun = time.monotonic()
    server = start(APP, ACCESS_LOG="off")
    with Load(server.port) as load:
        load.wait_for(50)
        (tmp_path / "other.db").write_bytes(database.read_bytes())
        (tmp_path / "other.db").rename(database)
        before = wait_for_refusal(load)
        faults = server.call("GET", "/readyz", key=None)[1]["faults"]
        assert faults[0].endswith("phonify.db was replaced under the running server")
        load.wait_for_status(503, 20)
    assert len(load.acknowledged) == before
    tell("the database replaced: refused until a restart", before, 0, 0, 0, time.monotonic() - begun)


def test_without_the_lock_file_nothing_is_lost_or_doubled_and_a_revoked_key_is_refused_soon(start, database):
    begun = time.monotonic()
    first = start(APP, ACCESS_LOG="off")
    with Load(first.port) as load:
        load.wait_for(30)
        database.with_name("phonify.db-lock").unlink()
        second = start(APP, ACCESS_LOG="off")
        with Load(second.port) as other_load:
            other_load.wait_for(100)
            load.wait_for(30)
        other_load.acknowledged += load.acknowledged
    assert set(load.statuses) == set(other_load.statuses) == {201}
    count_and_tell("-lock removed, two servers on the file", database, other_load.acknowledged, begun)
    start("-m", "flask", "--app", "app", "keys", "revoke", "1", API_KEY=None).popen.wait(30)
    wait_until(lambda: first.call("GET", "/v1/messages")[0] == 401, 3)
    wait_until(lambda: second.call("GET", "/v1/messages")[0] == 401, 3)


def test_noise_in_the_file_of_a_running_server_is_503_in_json_and_found_by_the_check(start, database):
    begun = time.monotonic()
    server = start(ACCESS_LOG="off")
    with Load(server.port) as load:
        load.wait_for(200)
    assert server.terminate() == 0  # so that the file contains everything
    server = start(ACCESS_LOG="off")
    assert server.call("GET", "/v1/messages?limit=1")[0] == 200
    with database.open("r+b") as file:  # after the first page, which identifies the file
        file.seek(4096)
        file.write(os.urandom(database.stat().st_size - 4096))
    answers = [server.call("POST", "/v1/messages", to=TO, body="Hello") for _ in range(10)]
    assert {(status, answer["errors"][0]["type"]) for status, answer in answers} == {(503, "store_unavailable")}
    assert server.terminate() == 0
    check = start("-m", "phonify", "check")
    assert check.popen.wait(30) in (1, 2)
    assert "Traceback" not in server.output + check.output
    tell("noise behind the first page: 503, and named by check", 0, 0, 0, 0, time.monotonic() - begun)
