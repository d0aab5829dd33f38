"""Tests of the pipe that wakes a loop."""

import os
import threading
import time

import pytest

from phonify.storage.wakeup import Wakeup


@pytest.fixture
def wakeup():
    wakeup = Wakeup()
    wakeup.share()
    yield wakeup
    wakeup.close()


def seconds_of(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_a_wake_up_before_the_wait_ends_it_at_once(wakeup):
    wakeup.wake()
    assert seconds_of(lambda: wakeup.wait(30)) < 10


def test_a_wake_up_during_the_wait_ends_it(wakeup):
    threading.Timer(0.05, wakeup.wake).start()
    assert seconds_of(lambda: wakeup.wait(30)) < 10


def test_a_wake_up_from_a_forked_process_ends_the_wait(wakeup):
    child = os.fork()
    if child == 0:
        wakeup.wake()
        os._exit(0)
    assert seconds_of(lambda: wakeup.wait(30)) < 10
    os.waitpid(child, 0)


def test_many_wake_ups_are_answered_by_one_wait(wakeup):
    for _ in range(100):
        wakeup.wake()
    wakeup.wait(30)
    assert seconds_of(lambda: wakeup.wait(0.05)) >= 0.04


def test_without_a_wake_up_the_wait_ends_in_time(wakeup):
    assert 0.04 <= seconds_of(lambda: wakeup.wait(0.05)) < 10


def test_more_wake_ups_than_the_pipe_holds_do_no_harm(wakeup):
    for _ in range(70_000):
        wakeup.wake()
    assert seconds_of(lambda: wakeup.wait(30)) < 10


def test_one_that_is_not_shared_waits_its_time_and_wakes_nobody():
    wakeup = Wakeup()
    wakeup.wake()
    assert 0.04 <= seconds_of(lambda: wakeup.wait(0.05)) < 10


def test_sharing_twice_keeps_what_was_shared(wakeup):
    wakeup.wake()
    wakeup.share()
    assert seconds_of(lambda: wakeup.wait(30)) < 10
