"""How waiting is done: who searches when, who leads, and places of clients that have gone."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import pytest
from conftest import Waiting
from flask import Flask
from flask.testing import FlaskClient

from phonify import accounts
from phonify.errors import StoreUnavailable, TooManyWaiting
from phonify.runtime import Runtime
from phonify.store import Criteria, Message

TO = "+14560000000"
OTHER = "+442071838750"


class Searching(Waiting):
    """Waiting without requests, too."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.runtime: Runtime = app.extensions["phonify"]

    def find(self, criteria: Criteria, *, wait: float = 30, **arguments: Any) -> "Future[list[Message]]":
        """Begin to wait without a request; return what is found, once it waits."""
        account = accounts.find_account(self.runtime.database, "default")
        assert account is not None
        find_all = self.runtime.messaging.find_all
        found = self.pool.submit(find_all, account, criteria, wait=wait, **arguments)
        assert self.begun.acquire(timeout=20)
        return found


@pytest.fixture
def searching(app: Flask) -> Iterator[Searching]:
    searching = Searching(app)
    yield searching
    searching.close()


def bodies_of(answer: "Future[Any]") -> list[str]:
    """Return the bodies in an answer as soon as it is there."""
    response = answer.result(timeout=20)
    assert response.status_code == 200
    return [message["body"] for message in response.get_json()["messages"]]


# What wakes


def test_a_wait_searches_once_more_when_its_time_is_up(app: Flask, searching: Searching) -> None:
    searches = []

    def search() -> list[Message]:
        searches.append(len(searches))
        return []

    arrivals = searching.runtime.messaging.arrivals
    assert arrivals.wait(1, Criteria(), search, offset=0, timeout=0.05, gone=lambda: False) == []
    assert searches == [0, 1]


# What does not


def test_nobody_searches_because_of_what_concerns_others(
    searching: Searching, send: Callable[..., Any], stranger: FlaskClient
) -> None:
    searches: queue.Queue[str] = queue.Queue()
    arrivals = searching.runtime.messaging.arrivals

    def wait(name: str, criteria: Criteria) -> None:
        def search() -> list[Message]:
            searches.put(name)
            return []

        searching.pool.submit(arrivals.wait, 1, criteria, search, offset=0, timeout=60, gone=lambda: False)
        assert searches.get(timeout=20) == name
        assert searching.begun.acquire(timeout=20)

    wait("another number", Criteria(to="+14560000001"))
    wait("another text", Criteria(q="goodbye"))
    wait("another direction", Criteria(direction="inbound"))
    wait("before", Criteria(before="00000000-0000-7000-8000-000000000000"))
    wait("this one", Criteria(q="HELLO", to=TO))
    stranger.post("/v1/messages", json={"to": TO, "body": "Hello from another account"})

    send(TO, body="Hello")

    # The others do so later, if at all.
    assert searches.get(timeout=20) == "this one"


def test_whoever_waits_for_a_state_searches_no_more_often_than_its_pace(
    searching: Searching, send: Callable[..., Any]
) -> None:
    times: list[float] = []

    def search() -> list[Message]:
        times.append(time.monotonic())
        return []

    arrivals = searching.runtime.messaging.arrivals
    waits = searching.pool.submit(
        arrivals.wait, 1, Criteria(state="error"), search, offset=0, timeout=0.6, gone=lambda: False
    )
    while not waits.done():
        send()

    assert waits.result() == []
    gaps = [after - before for before, after in pairwise(times[:-1])]
    assert gaps
    assert min(gaps) >= 0.1


# The lead


def test_the_lead_passes_on_from_one_that_finds_and_from_one_that_fails(
    searching: Searching, send: Callable[..., Any]
) -> None:
    tries: list[int] = []

    def fail() -> list[Message]:
        tries.append(len(tries))
        if len(tries) > 1:
            raise StoreUnavailable
        return []

    arrivals = searching.runtime.messaging.arrivals
    fails = searching.pool.submit(arrivals.wait, 1, Criteria(to=TO), fail, offset=0, timeout=30, gone=lambda: False)
    assert searching.begun.acquire(timeout=20)
    finds, stays = searching.list(f"to=%2B{TO[1:]}"), searching.list(f"to=%2B{OTHER[1:]}")
    send(TO, body="First")
    with pytest.raises(StoreUnavailable):
        fails.result(timeout=20)
    assert bodies_of(finds) == ["First"]

    send(OTHER, body="Second")

    assert bodies_of(stays) == ["Second"]


# Places


def test_a_wait_whose_client_has_gone_ends_and_gives_its_place_back(make_app: Callable[..., Flask]) -> None:
    searching = Searching(make_app(WAITING=2))
    gone = threading.Event()
    stays, leaves = searching.find(Criteria(to=TO)), searching.find(Criteria(to=OTHER), gone=gone.is_set)
    account = accounts.find_account(searching.runtime.database, "default")
    with pytest.raises(TooManyWaiting):
        searching.runtime.messaging.find_all(account, Criteria(), wait=30)

    gone.set()

    assert leaves.result(timeout=20) == []
    assert not stays.done()
    assert not searching.find(Criteria(), wait=0.05).result(timeout=20)
    searching.runtime.stop()
    assert stays.result(timeout=20) == []
    searching.pool.shutdown()
