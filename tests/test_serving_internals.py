"""The threads and CPUs of workers."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from conftest import ROOT

from phonify import serving

# Threads


def submit(threads: serving.Threads, function) -> Future:
    """Return what a thread gets to, once it does."""
    future = Future()
    threads.submit(lambda: future.set_result(function()))
    return future


def test_a_thread_that_is_replaced_ends_with_its_request_and_its_place_is_taken():
    threads = serving.Threads(1)
    begun, ended = threading.Event(), threading.Event()

    def wait() -> threading.Thread:
        threads.replace_current()
        begun.set()
        assert ended.wait(20)
        return threading.current_thread()

    waits = submit(threads, wait)
    assert begun.wait(20)
    others = {submit(threads, threading.current_thread).result(20) for _ in range(3)}
    ended.set()
    replaced = waits.result(20)
    replaced.join(20)
    assert not replaced.is_alive()
    assert len(others) == 1
    assert others != {replaced}
    assert {submit(threads, threading.current_thread).result(20)} == others
    threads.shutdown()


def test_at_the_end_each_thread_ends_after_what_is_queued():
    threads = serving.Threads(3)
    workers = [submit(threads, threading.current_thread) for _ in range(10)]
    threads.shutdown()
    for worker in workers:
        worker.result(20).join(20)
        assert not worker.result().is_alive()


# The end


def children_of(server, count):
    """Return the processes of a server as soon as there are so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = Path(f"/proc/{server.popen.pid}/task/{server.popen.pid}/children").read_text().split()
        if len(children) == count:
            return set(children)
        time.sleep(0.02)
    raise AssertionError(f"{children}, and not {count} of them")


@pytest.mark.parametrize(
    ("cpus", "count", "shares"),
    [
        ({0, 1}, 2, [{0}, {1}]),
        ({4, 1, 2, 3}, 2, [{1, 3}, {2, 4}]),
        ({0, 1, 2}, 2, [{0, 2}, {1}]),
        ({0, 1, 2}, 1, [{0, 1, 2}]),
        ({0, 1}, 3, [{0, 1}, {0, 1}, {0, 1}]),
    ],
)
def test_workers_share_the_cpus_where_there_are_enough(cpus, count, shares):
    assert [serving.share_cpus(cpus, slot, count) for slot in range(count)] == shares


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process choose its CPUs")
def test_each_worker_of_the_api_keeps_to_its_cpus_and_the_other_processes_to_all_of_them(start):
    server = start(WORKERS="2")
    server.call("GET", "/v1/messages")
    everything = os.sched_getaffinity(server.popen.pid)
    expected = sorted(
        [*(serving.share_cpus(everything, slot, 2) for slot in range(2)), everything, everything], key=sorted
    )

    def affinities() -> list[set[int]]:
        return sorted((os.sched_getaffinity(int(child)) for child in children_of(server, 4)), key=sorted)

    deadline = time.monotonic() + 20
    while affinities() != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert affinities() == expected


# Other servers


def test_serving_looks_for_garbage_again_after_a_start_that_did_not(tmp_path):
    code = (
        "import gc; gc.disable()\n"
        "from phonify import create_app, serving\n"
        "serving.Server.run = lambda server: print(gc.isenabled(), gc.get_freeze_count() > 10_000)\n"
        "serving.serve(create_app)\n"
    )
    environ = {**os.environ, "PHONIFY_DATABASE": str(tmp_path / "phonify.db"), "PHONIFY_PORT": "0"}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1:] == ["True True"], result.stderr
