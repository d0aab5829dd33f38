"""Tests of the client in `async` tests: waits that do not block the event loop in which the app runs."""

import asyncio
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from phonify.testing.client import Phonify
from phonify.testing.server import Server

ALICE = "+14560000001"
HINT = "This call blocked the event loop. If your app runs in this event loop, await a method such as `code_async`."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "phonify.db") as server:
        yield server


@pytest.fixture
def phonify(server: Server) -> Phonify:
    return server.create_account("test")


def send(phonify: Phonify, body: str) -> None:
    data = urllib.parse.urlencode({"api_key": phonify.api_key, "to": ALICE, "body": body}).encode()
    urllib.request.urlopen(f"{phonify.url}/v1/messages", data).close()


@pytest.fixture
def run_with_app(phonify: Phonify) -> Callable[[str, Coroutine[Any, Any, Any]], Any]:
    """Return a function that runs a wait in an event loop. The app in this loop sends a text a moment later."""

    async def run(body: str, wait: Coroutine[Any, Any, Any]) -> Any:
        asyncio.get_running_loop().call_later(0.1, send, phonify, body)
        return await wait

    return lambda body, wait: asyncio.run(run(body, wait))


def test_an_app_in_the_same_event_loop_sends_what_a_test_awaits(phonify: Phonify, run_with_app) -> None:
    message = run_with_app("Welcome", phonify.wait_for_async(to=ALICE, contains="welcome"))
    assert (message.to, message.body) == (ALICE, "Welcome")


def test_a_code_and_a_link_are_awaited(phonify: Phonify, run_with_app) -> None:
    assert run_with_app("Your code is 482193", phonify.code_async(to=ALICE)) == "482193"
    assert run_with_app("See https://example.com/a", phonify.link_async(contains="see")) == "https://example.com/a"


def test_none_is_awaited_and_what_comes_fails(phonify: Phonify, run_with_app) -> None:
    asyncio.run(phonify.assert_none_async(within=0.05))
    with pytest.raises(AssertionError, match="an unwanted outbound message arrived"):
        run_with_app("Hello", phonify.assert_none_async(within=5))


def test_two_waits_at_once_do_not_return_the_same_message(phonify: Phonify) -> None:
    async def wait() -> list[str]:
        waits = [asyncio.create_task(phonify.wait_for_async(to=ALICE)) for _ in range(8)]
        for number in range(8):
            await asyncio.to_thread(send, phonify, f"text {number}")
        return [message.body for message in await asyncio.gather(*waits)]

    assert sorted(asyncio.run(wait())) == [f"text {number}" for number in range(8)]


def test_a_wait_that_blocks_the_event_loop_says_so_when_it_fails(phonify: Phonify, run_with_app) -> None:
    async def wait() -> None:
        phonify.code(to=ALICE, timeout=0.3)

    with pytest.raises(AssertionError) as caught:
        run_with_app("Your code is 482193", wait())
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"no outbound message to {ALICE} with a one-time code arrived within 0.3 s. ")
    assert second == HINT


def test_a_wait_that_blocks_the_event_loop_still_finds_what_another_process_sends(phonify: Phonify) -> None:
    async def wait() -> str:
        return phonify.code(to=ALICE)

    send(phonify, "Your code is 482193")
    assert asyncio.run(wait()) == "482193"


def test_a_failed_wait_that_blocks_nothing_has_no_hint(phonify: Phonify) -> None:
    with pytest.raises(AssertionError) as plain:
        phonify.wait_for(to=ALICE, timeout=0)
    with pytest.raises(AssertionError) as awaited:
        asyncio.run(phonify.wait_for_async(to=ALICE, timeout=0))
    assert str(plain.value) == str(awaited.value)
    assert HINT not in str(plain.value)


def test_a_wrong_argument_of_an_awaited_wait_is_refused(phonify: Phonify) -> None:
    with pytest.raises(ValueError, match="is not a valid number"):
        asyncio.run(phonify.wait_for_async(to="Alice in Wonderland"))
    with pytest.raises(TypeError, match="number"):
        asyncio.run(phonify.wait_for_async(number=ALICE))  # type: ignore[call-arg]


def test_an_awaited_wait_works_if_a_test_has_replaced_sleep(phonify: Phonify, run_with_app, monkeypatch) -> None:
    def refuse(_seconds: float) -> None:
        raise AssertionError

    async def end(_seconds: float) -> None:
        """Return immediately."""

    monkeypatch.setattr(time, "sleep", refuse)
    monkeypatch.setattr(asyncio, "sleep", end)
    assert run_with_app("Your code is 482193", phonify.code_async(to=ALICE)) == "482193"
