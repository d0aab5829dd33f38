"""A trial is one test of an app. It sends requests to the app, and checks the app's answers.

`Bench` has the tools for trials. Each lab has one bench. The trials of the lab use it one after another.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from ..ids import generate_ids
from ..outgoing.http_client import REFUSED, Request
from .forms import AppUnderTest, EventKind, LabEvent, ProviderForm, Reading
from .results import TrialResult
from .sender import Exchange, Sender

# If an app does not know the message that an event is about, it can answer with one of these statuses.
NOT_KNOWN = (404, 409, 422, 425, 503)


class Trial(NamedTuple):
    """One test of an app. The function `run` can raise Skipped and OutOfTime."""

    name: str
    title: str
    run: Callable[["Bench"], None]


class Skipped(Exception):
    """The lab can't run the trial with this app. The text of the exception says why."""


class OutOfTime(Exception):
    """The time for all trials is over."""


@dataclass
class Bench:
    """The app under test, and the tools that a trial uses."""

    form: ProviderForm
    app: AppUnderTest
    sender: Sender
    limit: float  # seconds that the provider waits
    end: float  # the end of the time for all trials, as a time of the monotonic clock
    result: TrialResult = field(init=False)  # of the trial that is running
    first: LabEvent = field(init=False)  # the event of the first trial
    stopped: str | None = None  # the reason why the lab skips the remaining trials
    _known: set[str] = field(init=False, default_factory=set)  # ids of messages that the probe has stored

    def __post_init__(self) -> None:
        self.first = self.make_event("received" if self.app.url is not None else "delivered")

    # Making requests

    def make_event(self, kind: EventKind | None = None, *, age: float = 0, message_id: str | None = None) -> LabEvent:
        """Return a new event that happened `age` seconds ago. By default, the event is about a new message."""
        now = self.sender.clock.machine_now()
        ids = generate_ids(now)
        return LabEvent(next(ids), message_id or next(ids), kind or self.first.kind, now - timedelta(seconds=age))

    def build(self, event: LabEvent, *, age: float = 0) -> Request:
        """Return a request that contains the event. `age` is the age of the request's signature, in seconds."""
        return self.form.build_request(event, self.app, self.sender.clock.machine_now() - timedelta(seconds=age))

    def build_forged(self, event: LabEvent) -> Request:
        """Return a request that contains the event. The request is signed with a wrong secret."""
        app = self.app._replace(secret=self.form.make_wrong_secret(self.app.secret), former_secret=None)
        return self.form.build_request(event, app, self.sender.clock.machine_now())

    def begin(self, kind: EventKind | None = None, *, age: float = 0) -> LabEvent:
        """Return a new event. If the event reports a message's status, first call `prepare` for this message."""
        event = self.make_event(kind, age=age)
        if event.kind not in ("received", "test"):
            self.prepare(event.message_id)
        return event

    def begin_each(self, *, age: float = 0) -> Iterator[LabEvent]:
        """Call `begin` for each URL of the app, and yield the events."""
        if self.app.url is not None:
            yield self.begin("received", age=age)
        if self.app.status_url not in (None, self.app.url):
            yield self.begin("delivered", age=age)

    # Sending

    def post(self, request: Request, *, patience: float = 2.0) -> Exchange:
        """Send a request, and wait up to `patience * limit` seconds for the answer."""
        self._check_time()
        return self.sender.exchange(request, patience * self.limit)

    def post_twice(self, request: Request) -> tuple[Exchange, Exchange]:
        """Send two copies of a request at the same time. Returns both results."""
        self._check_time()
        return self.sender.exchange_twice(request, 2 * self.limit)

    def _check_time(self) -> None:
        if self.sender.clock.monotonic() >= self.end:
            raise OutOfTime

    def prepare(self, message_id: str) -> bool:
        """Send a message id to the probe. The app must then store a message with this id.

        In the app, this message must look like a message that the app has sent. Returns whether the probe accepts the
        request.
        """
        if self.app.probe_url is None:
            return False
        body = urlencode({"message_id": self.form.write_message_id(message_id)}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        exchange = self.post(Request("POST", self.app.probe_url, body, headers), patience=1)
        if exchange.is_accepted:
            self._known.add(message_id)
        return exchange.is_accepted

    # Judging

    def require_statuses(self) -> None:
        """Skip the trial if the app gets no statuses."""
        if self.app.status_url is None:
            raise Skipped("no URL for statuses was given")

    def must_know(self, event: LabEvent) -> bool:
        """Return whether the app must accept an event.

        If a message is unknown to the app, the app is allowed to reject the statuses of this message.
        """
        return event.kind in ("received", "test") or event.message_id in self._known

    def is_not_known(self, event: LabEvent, exchange: Exchange) -> bool:
        """Return whether the app has rejected a status because the message is unknown to the app.

        In this case, `must_know` returns False, and the HTTP status of the answer is in `NOT_KNOWN`.
        """
        return exchange.status in NOT_KNOWN and not self.must_know(event)

    def read(self, event: LabEvent, exchange: Exchange) -> Reading:
        """Return the meaning of the app's answer, according to the rules of the provider."""
        if exchange.answer is None:
            return Reading(accepted=False)
        return self.form.read_answer(event, self.app, exchange.answer)

    def expect_accepted(
        self, event: LabEvent, exchange: Exchange, verdict: str = "refused_genuine", *, subject: str = "a genuine event"
    ) -> bool:
        """Add a finding if the answer to a genuine event is wrong. Returns whether the app has accepted the event.

        If a message is unknown to the app, the app is allowed to reject the statuses of this message. The trials
        `statuses` and `early_status` report such a rejection.
        """
        find = self.result.find
        seconds = f"{exchange.seconds:.1f} s" if exchange.seconds >= 1 else f"{exchange.seconds * 1000:.0f} ms"
        times = f"{exchange} after {seconds}; the provider waits {self.limit:g} s"
        if exchange.seconds > self.limit:
            find("answered_late", times)
            return exchange.is_accepted
        if exchange.answer is None:
            find("not_running" if exchange.failure == REFUSED else "no_answer", f"{subject}: {exchange.failure}")
            return False
        if not exchange.is_accepted:
            if not self.is_not_known(event, exchange):
                find(verdict, f"{subject} got {exchange}{_explain(exchange.status)}")
            return False
        reading = self.read(event, exchange)
        if not reading.accepted:
            find("bad_twiml", f"{subject}: {reading.error}")
        elif event == self.first and exchange.seconds > self.limit / 2:
            find("slow", times)
        return reading.accepted


def _explain(status: int) -> str:
    if status == 410:
        return "; because of this answer, the provider disables the webhook"
    return "; Phonify does not follow redirects" if 300 <= status < 400 else ""
