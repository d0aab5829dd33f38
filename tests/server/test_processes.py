"""Tests of the parent of a server's processes. The children in these tests only end."""

import re
import signal
import subprocess
import sys

import pytest

from tests.support.app import ROOT

pytestmark = pytest.mark.slow


CODE = """
import os, signal, sys, time
from phonify.server import processes

def start_delivery(pause):
    print(f"delivery after {pause} s", flush=True)
    return processes.start(deliver, pause)

processes.hold_signals()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CODE + code], cwd=ROOT, capture_output=True, text=True, timeout=30)


def test_delivery_that_ends_at_once_is_started_again_once_a_second():
    ended = run("""
def deliver(pause):
    time.sleep(pause)

web_server = processes.start(time.sleep, 2.5)
sys.exit(processes.supervise(web_server, start_delivery, grace=1))
""")
    assert ended.stdout.splitlines() == ["delivery after 0.0 s"] + ["delivery after 1.0 s"] * 3
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("end", "status"),
    [("sys.exit(3)", 3), ("sys.exit()", 0), (f"os.kill(os.getpid(), {signal.SIGKILL:d})", 128 + signal.SIGKILL)],
)
def test_the_status_is_that_of_the_web_server_if_that_ends_by_itself(end, status):
    ended = run(f"""
def deliver(pause):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    processes.heed_signals()
    time.sleep(20)

def serve():
    {end}

sys.exit(processes.supervise(processes.start(serve), start_delivery, grace=1))
""")
    assert ended.returncode == status


@pytest.mark.parametrize("signum", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_signal_that_comes_while_a_child_is_being_forked_is_not_lost(signum):
    ended = run(f"""
def child(pause=0):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    time.sleep(0.5)  # the signal comes before this
    processes.heed_signals()
    time.sleep(20)

deliver = child
web_server = processes.start(child)
os.kill(os.getpid(), signal.{signum})
status = processes.supervise(web_server, start_delivery, grace=20)
print("ended")
sys.exit(status)
""")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "ended")


def test_a_child_that_does_not_end_is_killed_after_the_grace_period_and_a_margin():
    ended = run("""
processes._MARGIN = 0

def deliver(pause):
    time.sleep(60)  # and heeds nothing

os.kill(os.getpid(), signal.SIGTERM)
status = processes.supervise(processes.start(deliver, 0), start_delivery, grace=1)
sys.exit(status)
""")
    assert ended.returncode == 0


def test_a_child_ends_soon_after_its_parent_also_if_it_does_not_heed_sigterm(tmp_path):
    ended = run("""
def child(parent):
    signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
    processes.begin(parent)
    while True:
        time.sleep(20)

child = processes.start(child, os.getpid())
time.sleep(0.5)
print("parent ends", flush=True)
os._exit(7)
""")  # the call returns when the child has closed the pipe of its output
    assert ended.returncode == 7
    assert re.fullmatch("parent ends\ntold\n", ended.stdout)
