"""The guide's units of systemd: systemd finds no fault in them, and Phonify does what its unit relies on."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from phonify.config import Settings
from tests.support.guides import read_block
from tests.support.load import wait_until
from tests.support.processes import find_processes
from tests.support.servers import Process

pytestmark = pytest.mark.slow

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine"
)
UNITS = ("phonify.service", "litestream.service")
PROGRAMS = r"(?m)^(ExecStart=)/(?:opt/phonify/bin/phonify|usr/bin/litestream) "


def analyze(*arguments: str | Path) -> tuple[int, str]:
    """Run systemd-analyze; return the exit status and what it prints."""
    command = ["systemd-analyze", "--no-pager", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def write_unit(name: str, folder: Path) -> Path:
    """Write a unit of the guide into a folder, with a program that exists here."""
    text, replaced = re.subn(PROGRAMS, rf"\g<1>{sys.executable} ", read_block("deployment", name))
    assert replaced == 1
    unit = folder / name
    unit.write_text(text)
    return unit


def find_value(name: str) -> str:
    """Return the value of a line in Phonify's unit."""
    (value,) = re.findall(rf"(?m)^{name}=(.*)$", read_block("deployment", "phonify.service"))
    return str(value)


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_no_fault_in_a_unit(tmp_path, name):
    assert analyze("verify", "--man=no", write_unit(name, tmp_path)) == (0, "")  # an unknown line would be a warning


@needs_systemd
def test_little_of_the_machine_is_exposed_to_phonify(tmp_path):
    # systemd calls 2.0 of 10 OK; a unit without any of these lines has 9.6.
    status, output = analyze("security", "--offline=true", "--threshold=20", write_unit("phonify.service", tmp_path))
    assert status == 0, output


def test_the_units_command_serves_reloads_and_ends_as_the_unit_expects(start, tmp_path):
    names = [f"PHONIFY_{field.name.upper()}" for field in fields(Settings)]
    name, path = find_value("Environment").split("=")
    assert name in names
    assert Path(path).parent == Path("/var/lib") / find_value("StateDirectory")
    program, *arguments = find_value("ExecStart").split()
    assert Path(program).name == "phonify"
    server: Process = start("-m", "phonify", *arguments, DATABASE=str(tmp_path / Path(path).name))
    assert server.call("GET", "/readyz", None)[0] == 200

    before = set(find_processes(server).workers)
    assert find_value("ExecReload").split() == ["/bin/kill", "-HUP", "$MAINPID"]
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & set(find_processes(server).workers))

    begun = time.monotonic()
    assert server.terminate() == 0  # systemd's signal, to the first process alone
    assert time.monotonic() - begun < int(find_value("TimeoutStopSec"))
    assert int(find_value("TimeoutStopSec")) > Settings().grace + 5


def test_the_first_key_is_made_before_the_first_start_which_then_prints_none(start):
    made: Process = start("-m", "phonify", "keys", "create", "--json", API_KEY=None)
    assert made.popen.wait(20) == 0
    key = json.loads(made.output.splitlines()[-1])["key"]  # after the line about the new database
    server: Process = start(API_KEY=None)
    assert server.call("GET", "/v1/messages", key)[0] == 200
    assert "shown only once" not in server.output
