"""The tools of a trial. A trial is a generator: it yields steps, gets the answers, and notes what is wrong.

So a trial does nothing itself. The runner sends the requests.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from ..ids import generate_ids
from ..outgoing.http_client import REFUSED, Answer, Request
from .forms import Form, LabEvent, Reading, Target, What

# The statuses with which an app may say that it does not know the message of an event, or not yet.
NOT_KNOWN = (404, 409, 422, 425, 503)
MOST_DETAIL = 300  # characters


class Exchange(NamedTuple):
    """A request and its result."""

    answer: Answer | None
    failure: str | None  # why there is no answer
    seconds: float

    def __str__(self) -> str:
        return f"{self.answer.status}" if self.answer is not None else f"no answer ({self.failure})"

    @property
    def is_accepted(self) -> bool:
        """Whether the status of the answer is 2xx."""
        return self.answer is not None and 200 <= self.answer.status < 300


class Step(NamedTuple):
    """Requests that are sent at once, after a wait."""

    requests: Sequence[Request]
    patience: float  # seconds to wait for an answer
    wait: float = 0.0  # seconds


Steps = Generator[Step, list[Exchange], None]


def make_event(now: datetime, what: What, *, age: float = 0, message_id: str | None = None) -> LabEvent:
    """Return a new event that happened `age` seconds ago."""
    ids = generate_ids(now)
    return LabEvent(next(ids), message_id or next(ids), what, now - timedelta(seconds=age))


class Finding(NamedTuple):
    """A verdict and the facts behind it."""

    verdict: str
    detail: str


@dataclass
class Watch:
    """What the probe must say about a message at the end of the lab."""

    message_id: str
    least: int = 0  # how often the app must have handled its events, and how often it may have
    most: int = 1
    too_often: str = "handled_twice"  # the verdict
    role: str = ""  # "sent" or "delivered" if the message has just this state, to learn the app's words for them
    wrong_state: str | None = None  # the verdict if the state is not that of the message with the role "delivered"
    harmless: str | None = None  # the verdict that is given instead of `too_often` if the app did nothing


class Trial(NamedTuple):
    """One thing that the lab does to an app."""

    name: str
    title: str
    run: Callable[["Bench"], Steps]


@dataclass
class Bench:
    """The form, the app and the clock for a trial, and what the trial has found."""

    form: Form
    target: Target
    now: Callable[[], datetime]
    sleep: Callable[[float], object]
    limit: float  # seconds that the provider waits
    first: LabEvent  # the event of the first trial
    known: set[str] = field(default_factory=set)  # the ids of messages that the app knows, as the probe says
    findings: list[Finding] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    skipped: str | None = None  # why the trial makes no sense for this app
    stopped: str | None = None  # why no other trial makes sense

    # Making requests

    @property
    def main(self) -> What:
        """The kind of event that most trials use. Trials about statuses use others."""
        return self.first.what

    @property
    def subjects(self) -> list[What]:
        """One kind of event for each URL of the app."""
        if self.target.url == self.target.status_url:
            return ["received"]
        subjects: list[What] = ["received"] if self.target.url is not None else []
        return [*subjects, "delivered"] if self.target.status_url is not None else subjects

    def make_event(self, what: What | None = None, *, age: float = 0, message_id: str | None = None) -> LabEvent:
        """Return a new event that happened `age` seconds ago. Without `message_id`, it is about a new message."""
        return make_event(self.now(), what or self.main, age=age, message_id=message_id)

    def build(self, event: LabEvent, *, age: float = 0, secret: str | None = None) -> Request:
        """Return the request for an event, signed `age` seconds ago."""
        target = self.target if secret is None else self.target._replace(secret=secret, former_secret=None)
        return self.form.build_request(event, target, self.now() - timedelta(seconds=age))

    def build_forged(self, event: LabEvent) -> Request:
        """Return the request for an event with a signature that somebody has made without the secret."""
        return self.build(event, secret=self.form.make_wrong_secret(self.target.secret))

    # Steps

    def send(self, *requests: Request, wait: float = 0.0) -> Step:
        """Return a step that posts genuine requests. The lab waits longer for an answer than the provider would."""
        return Step(requests, 2 * self.limit, wait)

    def try_out(self, *requests: Request) -> Step:
        """Return a step with requests. A provider would ignore the answers."""
        return Step(requests, self.limit)

    def give_up_on(self, *requests: Request) -> Step:
        """Return a step with requests. The lab waits only a very short time for their answers."""
        return Step(requests, self.limit / 20)

    def prepare(self, message_id: str) -> Generator[Step, list[Exchange], bool]:
        """Ask the app, through its probe, to treat a message as its own. Returns whether the app agrees."""
        if self.target.probe_url is None:
            return False
        body = urlencode({"message_id": self.form.write_message_id(message_id)}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        (answer,) = yield self.try_out(Request("POST", self.target.probe_url, body, headers))
        if answer.is_accepted:
            self.known.add(message_id)
        return answer.is_accepted

    def begin(self, what: What | None = None, *, age: float = 0) -> Generator[Step, list[Exchange], LabEvent]:
        """Return a new event as `make_event` does. If it is a status, first tell the app to know the message."""
        event = self.make_event(what, age=age)
        if event.what not in ("received", "test"):
            yield from self.prepare(event.message_id)
        return event

    def must_know(self, event: LabEvent) -> bool:
        """Return whether the app must handle an event. It may refuse the status of a message that it does not know."""
        return event.what in ("received", "test") or event.message_id in self.known

    # Judging

    def find(self, verdict: str, detail: str) -> None:
        """Note a verdict. An app may have put a long text into the detail."""
        self.findings.append(Finding(verdict, detail[:MOST_DETAIL]))

    def read(self, event: LabEvent, exchange: Exchange) -> Reading:
        """Return what the provider reads from an answer."""
        if exchange.answer is None:
            return Reading(accepted=False)
        return self.form.read_answer(event, self.target, exchange.answer)

    def expect_accepted(
        self, event: LabEvent, exchange: Exchange, verdict: str = "refused_genuine", *, what: str = "a genuine event"
    ) -> bool:
        """Note what is wrong with the answer to a genuine event. Returns whether the app has accepted the event.

        It is not wrong to refuse a status of a message that the app does not know. The trial `early_status` reports it.
        """
        seconds = f"{exchange.seconds:.1f} s" if exchange.seconds >= 1 else f"{exchange.seconds * 1000:.0f} ms"
        if exchange.seconds > self.limit:
            self.find("answered_late", f"{exchange} after {seconds}; the provider waits {self.limit:g} s")
            return exchange.is_accepted
        if exchange.answer is None:
            self.find("not_running" if exchange.failure == REFUSED else "no_answer", f"{what}: {exchange.failure}")
            return False
        if not exchange.is_accepted:
            if exchange.answer.status in NOT_KNOWN and not self.must_know(event):
                return False
            self.find(verdict, f"{what} got {exchange}{_explain(exchange.answer.status)}")
            return False
        reading = self.read(event, exchange)
        if not reading.accepted:
            self.find("bad_twiml", f"{what}: {reading.fault}")
        elif event == self.first and exchange.seconds > self.limit / 2:
            self.find("slow", f"{exchange} after {seconds}; the provider waits {self.limit:g} s")
        return reading.accepted


def _explain(status: int) -> str:
    if status == 410:
        return "; after this answer, the provider disables the webhook"
    return "; Phonify does not follow redirects" if 300 <= status < 400 else ""
