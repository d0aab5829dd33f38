"""The probe: a URL of the app that says what the app did. `docs/lab.md` describes it.

`GET PROBE?message_id=ID` answers `{"handled": 1, "state": "delivered"}`, or 404 if the app does not know the message.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from ..outgoing.http_client import Request
from .bench import Bench, Exchange, Finding, Watch

LIMIT = 5.0  # seconds to wait for an answer
NAP = 0.1  # seconds between two looks


class Seen(NamedTuple):
    """What the app says about a message."""

    handled: int = 0  # how many events about the message it has handled
    state: str | None = None  # the state that it shows, in its own words


class ProbeUnusable(Exception):
    """The probe does not answer as it should. The message is for people."""


def build_request(url: str, message_id: str) -> Request:
    """Return the request that asks about a message."""
    return Request("GET", url, None, {"Accept": "application/json"}, query=urlencode({"message_id": message_id}))


def read_answer(exchange: Exchange) -> Seen:
    """Read what the app says about a message. Raises ProbeUnusable."""
    answer = exchange.answer
    if answer is None:
        raise ProbeUnusable(f"it gave no answer: {exchange.failure}")
    if answer.status == 404:
        return Seen()
    if answer.status != 200:
        raise ProbeUnusable(f"it answered {answer.status}, not 200 or 404")
    try:
        found = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        raise ProbeUnusable("its answer is not JSON") from error
    handled = found.get("handled") if isinstance(found, dict) else None
    if not isinstance(handled, int) or isinstance(handled, bool) or handled < 0:
        raise ProbeUnusable('its answer has no whole number "handled"')
    state = found.get("state")
    if state is not None and not isinstance(state, str):
        raise ProbeUnusable('"state" in its answer is neither a text nor null')
    return Seen(handled, state)


def find_words(watches: Iterable[Watch], seen: Mapping[str, Seen]) -> tuple[str | None, str | None]:
    """Return the app's words for sent and for delivered messages. None means that the app has no such word."""
    words = {watch.role: seen[watch.message_id].state for watch in watches if watch.role}
    return words.get("sent"), words.get("delivered")


def can_judge_states(words: tuple[str | None, str | None]) -> bool:
    """Return whether the app tells delivered messages from sent ones."""
    sent, delivered = words
    return delivered is not None and sent != delivered


def is_done(watch: Watch, seen: Seen, words: tuple[str | None, str | None]) -> bool:
    """Return whether an app has done all that it should do for a message."""
    if watch.wrong_state is not None and can_judge_states(words) and seen.state != words[1]:
        return False
    return seen.handled >= watch.least


def uses_events(watches: Iterable[Watch], seen: Mapping[str, Seen]) -> bool:
    """Return whether the app has handled at least one of the events that it had to handle."""
    return any(seen[watch.message_id].handled for watch in watches if watch.least)


def judge(bench: Bench, seen: Mapping[str, Seen], words: tuple[str | None, str | None], *, uses: bool) -> None:
    """Add to a trial what the probe says about its messages. `uses` is what `uses_events` returns."""
    for watch in bench.watches:
        found = seen[watch.message_id]
        if uses and found.handled < watch.least:
            bench.find("lost_event", f"the app accepted an event, and the probe says that it handled {found.handled}")
        elif found.handled > watch.most:
            bench.find(watch.too_often, _count(found.handled, watch.most))
        elif watch.harmless is not None:
            bench.findings = [
                Finding(watch.harmless, one.detail) if one.verdict == watch.too_often else one for one in bench.findings
            ]
        if watch.wrong_state is not None and can_judge_states(words) and found.state != words[1]:
            shown = "no state" if found.state is None else repr(found.state)
            bench.find(watch.wrong_state, f"the probe shows {shown}, not {words[1]!r}")


def _count(handled: int, most: int) -> str:
    times = "once" if handled == 1 else f"{handled} times"
    return f"the app handled it {times}, the probe says" if most == 0 else f"the probe says: {times}"


def look(message_ids: Iterable[str], ask: Callable[[str], Exchange]) -> dict[str, Seen]:
    """Ask the probe about messages. Raises ProbeUnusable."""
    return {message_id: read_answer(ask(message_id)) for message_id in message_ids}
