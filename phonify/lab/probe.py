"""The probe is a URL of the app. Its answers say what the app has done. `docs/lab.md` describes the probe.

The answer to `GET PROBE?message_id=ID` is JSON with `handled` and `state`. If the app does not know the message, the
answer is 404.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from ..ids import generate_ids
from ..outgoing.http_client import Request
from .forms import ProviderForm
from .results import Finding, TrialResult, Watch
from .sender import Exchange, Sender

NO_PROBE = "no probe was given"
LIMIT = 5.0  # seconds to wait for an answer
NAP = 0.1  # seconds before the lab asks again
# An app can handle an event again, a little later. So the lab waits before it asks the probe for the last time.
CALM = 0.1  # the length of this wait, as a fraction of `patience`


class Seen(NamedTuple):
    """What the app says about one message. The lab requests this from the URL of the probe."""

    handled: int = 0  # how many events about the message it has handled
    state: str | None = None  # the app's own word for the state of the message


class ProbeUnusable(Exception):
    """The probe has given a wrong answer. The text of the exception says why the answer is wrong."""


class Probe:
    """Sends requests to the probe of one app. The probe is a URL of the app. It shows what the app has handled.

    `url` is None if the app has no probe, or if the probe can't be used.
    """

    def __init__(self, url: str | None, form: ProviderForm, sender: Sender) -> None:
        self.url = url
        self.result = TrialResult("probe", "The probe itself", skipped=NO_PROBE if url is None else None)
        self._form = form
        self._sender = sender

    def check(self) -> None:
        """Check that the lab can use the probe.

        The lab asks about a message that does not exist. The answer must have the status 404, or it must contain the
        JSON field `"handled": 0`.
        """
        if self.url is None:
            return
        try:
            handled = self._ask(next(generate_ids(self._sender.clock.machine_now()))).handled
        except ProbeUnusable as error:
            self._give_up(str(error))
        else:
            if handled:
                self._give_up(f"for a message that does not exist, the probe reports {handled} handled events")

    def judge(self, results: Sequence[TrialResult], patience: float) -> None:
        """Wait until the app has handled the events. Then add findings to the results.

        The app has at most `patience` seconds for its work. Afterwards, the method waits a little longer: see `CALM`.
        """
        if self.url is None:
            return
        watches = [watch for result in results for watch in result.watches]
        try:
            seen = self._wait(watches, patience)
        except ProbeUnusable as error:
            self._give_up(str(error))
            return
        must_handle = [watch for watch in watches if watch.minimum]
        uses_events = any(seen[watch.message_id].handled for watch in must_handle)
        word = _find_word(watches, seen)
        for result in results:
            _judge_trial(result, seen, word, uses_events=uses_events)
        if must_handle and not uses_events:
            self.result.find("handled_nothing", "for each received message, the probe says: 0 events handled")

    def _give_up(self, reason: str) -> None:
        self.url = None
        self.result.find("probe_unusable", reason)

    def _wait(self, watches: Sequence[Watch], patience: float) -> dict[str, Seen]:
        """Wait until the app has done its work. Then return the answers of its probe."""
        clock, sleep = self._sender.clock, self._sender.sleep
        end = clock.monotonic() + patience
        while not _is_done(watches, self._look(watches)) and clock.monotonic() < end:
            sleep(NAP)
        sleep(patience * CALM)
        return self._look(watches)

    def _look(self, watches: Iterable[Watch]) -> dict[str, Seen]:
        """Ask the probe about each message in `watches`."""
        ids = dict.fromkeys(watch.message_id for watch in watches)
        return {message_id: self._ask(message_id) for message_id in ids}

    def _ask(self, message_id: str) -> Seen:
        query = urlencode({"message_id": self._form.write_message_id(message_id)})
        request = Request("GET", self.url or "", None, {"Accept": "application/json"}, query=query)
        return _read(self._sender.exchange(request, LIMIT))


def _read(exchange: Exchange) -> Seen:
    if exchange.answer is None:
        raise ProbeUnusable(f"it gave no answer: {exchange.failure}")
    if exchange.status == 404:
        return Seen()
    if exchange.status != 200:
        raise ProbeUnusable(f"it answered {exchange.status}, not 200 or 404")
    try:
        found = json.loads(exchange.answer.text)
    except (ValueError, RecursionError) as error:
        raise ProbeUnusable("its answer is not JSON") from error
    handled = found.get("handled") if isinstance(found, dict) else None
    if not isinstance(handled, int) or isinstance(handled, bool) or handled < 0:
        raise ProbeUnusable('"handled" in its answer must be a whole number, at least 0')
    state = found.get("state")
    if state is not None and not isinstance(state, str):
        raise ProbeUnusable('"state" in its answer must be a text or null')
    return Seen(handled, state)


def _find_word(watches: Iterable[Watch], seen: Mapping[str, Seen]) -> str | None:
    """Return the word that the app uses for the state `delivered`.

    Returns None if the app shows no state for a delivered message. Also returns None if the app uses the same word for
    `delivered` and `sent`.
    """
    words = {watch.role: seen[watch.message_id].state for watch in watches if watch.role}
    delivered = words.get("delivered")
    return delivered if delivered != words.get("sent") else None


def _is_wrong(watch: Watch, seen: Seen, word: str | None) -> bool:
    """Return whether the app shows a wrong state for a delivered message."""
    return watch.wrong_state != "" and word is not None and seen.state != word


def _is_done(watches: Iterable[Watch], seen: Mapping[str, Seen]) -> bool:
    """Return whether the app has done all the expected work."""
    word = _find_word(watches, seen)
    pairs = [(watch, seen[watch.message_id]) for watch in watches]
    return all(one.handled >= watch.minimum and not _is_wrong(watch, one, word) for watch, one in pairs)


def _judge_trial(result: TrialResult, seen: Mapping[str, Seen], word: str | None, *, uses_events: bool) -> None:
    """Compare the probe's answers with the expected answers. Add findings to the result of the trial."""
    for watch in result.watches:
        found = seen[watch.message_id]
        times = "once" if found.handled == 1 else f"{found.handled} times"
        if uses_events and found.handled < watch.minimum:
            result.find(
                "lost_event", f"the app accepted an event, but the probe reports {found.handled} handled events"
            )
        elif found.handled > watch.maximum:
            detail = (
                f"the probe says: {times}"
                if watch.maximum
                else f"according to the probe, the app handled the event {times}"
            )
            result.find(watch.too_often, detail)
        elif watch.harmless is not None:
            result.findings = [
                Finding(watch.harmless, one.detail) if one.verdict == watch.too_often else one
                for one in result.findings
            ]
        if _is_wrong(watch, found, word):
            shown = "no state" if found.state is None else repr(found.state)
            result.find(watch.wrong_state, f"the probe shows {shown}, not {word!r}")
