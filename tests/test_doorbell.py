"""The pipe that wakes a loop."""

import os
import threading
import time

import pytest

from phonify.storage.doorbell import Doorbell


@pytest.fixture
def doorbell():
    doorbell = Doorbell()
    doorbell.share()
    yield doorbell
    doorbell.close()


def seconds_of(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_a_ring_before_the_wait_ends_it_at_once(doorbell):
    doorbell.ring()
    assert seconds_of(lambda: doorbell.wait(30)) < 10


def test_a_ring_during_the_wait_ends_it(doorbell):
    threading.Timer(0.05, doorbell.ring).start()
    assert seconds_of(lambda: doorbell.wait(30)) < 10


def test_a_ring_from_a_forked_process_ends_the_wait(doorbell):
    child = os.fork()
    if child == 0:
        doorbell.ring()
        os._exit(0)
    assert seconds_of(lambda: doorbell.wait(30)) < 10
    os.waitpid(child, 0)


def test_many_rings_are_answered_by_one_wait(doorbell):
    for _ in range(100):
        doorbell.ring()
    doorbell.wait(30)
    assert seconds_of(lambda: doorbell.wait(0.05)) >= 0.04


def test_without_a_ring_the_wait_ends_in_time(doorbell):
    assert 0.04 <= seconds_of(lambda: doorbell.wait(0.05)) < 10


def test_more_rings_than_the_pipe_holds_do_no_harm(doorbell):
    for _ in range(70_000):
        doorbell.ring()
    assert seconds_of(lambda: doorbell.wait(30)) < 10


def test_one_that_is_not_shared_waits_its_time_and_rings_in_vain():
    doorbell = Doorbell()
    doorbell.ring()
    assert 0.04 <= seconds_of(lambda: doorbell.wait(0.05)) < 10


def test_sharing_twice_keeps_what_was_shared(doorbell):
    doorbell.ring()
    doorbell.share()
    assert seconds_of(lambda: doorbell.wait(30)) < 10
