"""The guide's configuration of Litestream, with the real program: what a second machine has after the first is lost."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.guides import read_block
from tests.support.load import Load, count_and_tell, query
from tests.support.processes import find_processes
from tests.support.servers import Process, starting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm on this machine"),
]

PACKAGE = "@flydotio/litestream@1"
DATABASE = Path("/var/lib/phonify/phonify.db")  # in the guide
AS_STORED = (
    "SELECT seq, id, account_id, direction, origin_number, to_number, body, created_at FROM messages ORDER BY seq"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Litestream, as its package of npm brings it."""
    place = tmp_path_factory.mktemp("litestream")
    place.joinpath("package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    done = subprocess.run(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    (found,) = place.glob("node_modules/@flydotio/litestream-*/litestream")
    return found


class Litestream:
    """Litestream with the guide's configuration, which replicates the tests' database to a folder."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._machines = count(2)
        self.database = folder / "phonify.db"
        command = self._command("replicate", self._configure(self.database))
        self.process = Process(command, log=folder / "litestream.log", cwd=folder, environ=dict(os.environ))

    def restore(self) -> Path | None:
        """Restore the database on another machine, which is a new folder; None if there is no replica yet."""
        machine = self._folder / f"machine-{next(self._machines)}"
        machine.mkdir()
        database = machine / "phonify.db"
        (line,) = re.findall(r"litestream restore (.*)", read_block("deployment", "fail over"))
        assert line == str(DATABASE)
        command = self._command("restore", self._configure(database), str(database))
        return database if subprocess.run(command, capture_output=True, timeout=120).returncode == 0 else None

    def _configure(self, database: Path) -> Path:
        """Write the guide's configuration beside a database, with the paths of the tests; return its path."""
        text = read_block("deployment", "litestream.yml")
        for path, ours in ((DATABASE, database), ("/mnt/second/phonify", self._folder / "replica")):
            assert text.count(f" {path}\n") == 1
            text = text.replace(f" {path}\n", f" {ours}\n")
        configuration = database.with_name("litestream.yml")
        configuration.write_text(text)
        return configuration

    def _command(self, name: str, configuration: Path, *arguments: str) -> list[str]:
        return [str(self._program), name, "-config", str(configuration), *arguments]

    def wait_until_replicated(self, ids: list[str]) -> set[str]:
        """Wait until the replica has messages; return the ids of all that it has."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            restored = self.restore()
            if restored is not None and (found := ids_in(restored)).issuperset(ids):
                return found
        raise AssertionError(f"not all is replicated:\n{self.process.output}")


@pytest.fixture
def replicate(program: Path, tmp_path: Path) -> Iterator[Callable[[], Litestream]]:
    """Return a function that starts Litestream."""
    started: list[Litestream] = []

    def replicate() -> Litestream:
        started.append(Litestream(program, tmp_path))
        return started[-1]

    yield replicate
    for litestream in started:
        litestream.process.kill_all()


def ids_in(database: Path) -> set[str]:
    return {found for (found,) in query(database, "SELECT id FROM messages")}


def check(database: Path) -> str:
    """Run `phonify check` on a database; return what it prints."""
    environ = {**os.environ, "PHONIFY_DATABASE": str(database), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "phonify", "check"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


def test_after_a_loss_of_the_machine_the_second_has_all_that_was_replicated(start, replicate, tmp_path):
    begun = time.monotonic()
    server: Process = start(ACCESS_LOG="off")
    litestream = replicate()
    find_processes(server)
    with Load(server.port, until_gone=True) as load:
        load.wait_for(500)
        replicated = litestream.wait_until_replicated(load.acknowledged[:500])
        load.wait_for(200)
        server.kill_all()
        litestream.process.kill_all()
    restored = litestream.restore()
    assert restored is not None
    assert check(restored) == f"{restored} is not damaged.\n"
    stored, kept = query(litestream.database, AS_STORED), query(restored, AS_STORED)
    assert kept == stored[: len(kept)]  # no gap, and each as it was stored
    assert {row[1] for row in kept} >= replicated
    print(f"\n{len(stored) - len(kept)} of {len(stored)} messages were not replicated yet")

    with starting(restored.parent) as start_second:
        second = start_second(ACCESS_LOG="off")
        status, answer = second.call("POST", "/v1/messages", to="+14560000000", body="on the second machine")
        assert status == 201
        acknowledged = [row[1] for row in kept] + [answer["message"]["id"]]
        count_and_tell("loss of the machine, Litestream's replica", restored, acknowledged, begun)


def test_a_planned_move_loses_nothing(start, replicate):
    server: Process = start(ACCESS_LOG="off")
    litestream = replicate()
    with Load(server.port, until_gone=True) as load:
        load.wait_for(500)
        server.terminate()
    litestream.process.terminate()
    restored = litestream.restore()
    assert restored is not None
    assert check(restored) == f"{restored} is not damaged.\n"
    assert query(restored, AS_STORED) == query(litestream.database, AS_STORED)
    assert ids_in(restored) >= set(load.acknowledged)


def test_litestream_reads_the_lines_for_sftp(program, tmp_path):
    configuration = tmp_path / "litestream.yml"
    configuration.write_text(read_block("deployment", "litestream.yml sftp"))
    command = [program, "databases", "-config", configuration]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["path", "replicas", str(DATABASE), "sftp"]
