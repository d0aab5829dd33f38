"""Runs the trials against an app: sends their requests, measures the answers, and asks the probe at the end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..clock import Clock, format_time
from ..clock import sleep as sleep_really
from ..ids import generate_ids
from ..outgoing.http_client import Answer, NotAnswered, Request
from . import probe
from .bench import Bench, Exchange, Finding, Step, Trial, make_event
from .forms import Form, Target
from .report import NO_PROBE, Report, Result
from .trials import TRIALS

MOST_SECONDS = 300.0  # for all trials
PATIENCE = 10.0  # seconds that an app may take for its work after its answer
CALM = 0.1  # part of the patience in which nothing more may happen
BUSY, BUSY_TRIES = 429, 3  # the status of an app that limits its requests, and how often the lab waits for it
PROBE = "probe", "The probe itself"  # the name and the title of the result
Send = Callable[[Request], Answer]  # raises NotAnswered


class Lab:
    """One lab. Call `run` once.

    `limit` is the number of seconds that the provider waits for an answer. By default, it is the limit of the form.
    `patience` is the number of seconds that the app may work after its answer. `tell` gets the name of the trial before
    each step. An app compares the time of a signature with its machine's time. So the lab does not follow the server's
    clock.
    """

    def __init__(
        self,
        form: Form,
        target: Target,
        *,
        send: Send,
        clock: Clock,
        sleep: Callable[[float], object] = sleep_really,
        limit: float | None = None,
        patience: float = PATIENCE,
        most_seconds: float = MOST_SECONDS,
        tell: Callable[[str], None] = lambda _trial: None,
    ) -> None:
        self._form = form
        self._target = target
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._limit = limit or form.limit
        self._patience = patience
        self._tell = tell
        self._current = PROBE[0]
        self._end = clock.monotonic() + most_seconds
        self._known: set[str] = set()
        self._first = make_event(clock.machine_now(), "received" if target.url is not None else "delivered")

    def run(self, trials: Iterable[Trial] = TRIALS) -> Report:
        """Run the trials and return their results."""
        begun, started_at = self._clock.monotonic(), format_time(self._clock.machine_now())
        asks, faults = self._target.probe_url is not None, self._check_probe()
        if faults:
            self._target = self._target._replace(probe_url=None)
        ran: list[tuple[Trial, Bench, float]] = []
        stopped = None
        for trial in trials:
            since, bench = self._clock.monotonic(), self._make_bench()
            if stopped is None:
                self._current = trial.name
                self._run_trial(trial, bench)
                stopped = bench.stopped
            else:
                bench.skipped = stopped
            ran.append((trial, bench, self._clock.monotonic() - since))
        since, self._current = self._clock.monotonic(), PROBE[0]
        if not faults and stopped is None:
            faults = self._judge_probe([bench for _, bench, _ in ran])
        results = [
            Result(trial.name, trial.title, tuple(bench.findings), seconds, bench.skipped)
            for trial, bench, seconds in ran
        ]
        results.append(Result(*PROBE, tuple(faults), self._clock.monotonic() - since, stopped if asks else NO_PROBE))
        probed = asks and not any(fault.verdict == "probe_unusable" for fault in faults)
        url = self._target.url or self._target.status_url or ""
        return Report(self._form.name, url, started_at, self._clock.monotonic() - begun, probed, tuple(results))

    def _make_bench(self) -> Bench:
        return Bench(
            self._form, self._target, self._clock.machine_now, self._sleep, self._limit, self._first, self._known
        )

    # Trials

    def _run_trial(self, trial: Trial, bench: Bench) -> None:
        steps = trial.run(bench)
        try:
            step = next(steps)
            while self._clock.monotonic() < self._end:
                step = steps.send(self._take(step))
            bench.find("not_finished", f"during the trial {trial.name}")
            bench.stopped = "the lab had no time left"
        except StopIteration:
            pass
        finally:
            steps.close()

    def _take(self, step: Step) -> list[Exchange]:
        """Send the requests of a step at the same time, and return their results."""
        self._tell(self._current)
        self._sleep(step.wait)
        if len(step.requests) == 1:
            return [self._exchange(step.requests[0], step.patience)]
        with ThreadPoolExecutor(len(step.requests)) as pool:
            return list(pool.map(lambda request: self._exchange(request, step.patience), step.requests))

    def _exchange(self, request: Request, patience: float) -> Exchange:
        """Send a request. If the app answers that it got too many requests, wait and send the request again."""
        request = request._replace(timeout=patience, connect_timeout=patience, read_timeout=patience)
        exchange = self._try(request)
        for _ in range(BUSY_TRIES):
            answer = exchange.answer
            if answer is None or answer.status != BUSY or not isinstance(request.body, bytes | None):
                break
            self._sleep(min(answer.retry_after or 1.0, self._limit))
            self._tell(self._current)
            exchange = self._try(request)
        return exchange

    def _try(self, request: Request) -> Exchange:
        begun = self._clock.monotonic()
        try:
            answer, failure = self._send(request), None
        except NotAnswered as error:
            answer, failure = None, str(error)
        return Exchange(answer, failure, self._clock.monotonic() - begun)

    # The probe

    def _ask(self, message_id: str) -> Exchange:
        self._tell(self._current)
        shown = self._form.write_message_id(message_id)
        return self._exchange(probe.build_request(self._target.probe_url or "", shown), probe.LIMIT)

    def _check_probe(self) -> list[Finding]:
        """Return what is wrong with the probe, if the app has one. The probe must know nothing about a new message."""
        if self._target.probe_url is None:
            return []
        try:
            seen = probe.read_answer(self._ask(next(generate_ids(self._clock.machine_now()))))
        except probe.ProbeUnusable as error:
            return [Finding("probe_unusable", str(error))]
        if seen.handled:
            return [Finding("probe_unusable", f"it says {seen.handled} about a message that it can't know")]
        return []

    def _judge_probe(self, benches: Sequence[Bench]) -> list[Finding]:
        """Wait until the app has done its work, and judge what it has done. Returns what is wrong with the probe."""
        if self._target.probe_url is None:
            return []
        watches = [watch for bench in benches for watch in bench.watches]
        ids = list(dict.fromkeys(watch.message_id for watch in watches))
        try:
            for seen in self._look_until(self._clock.monotonic() + self._patience, ids):
                words = probe.find_words(watches, seen)
                if all(probe.is_done(watch, seen[watch.message_id], words) for watch in watches):
                    break
            self._sleep(self._patience * CALM)
            seen = probe.look(ids, self._ask)
        except probe.ProbeUnusable as error:
            return [Finding("probe_unusable", str(error))]
        words = probe.find_words(watches, seen)
        uses = probe.uses_events(watches, seen)
        for bench in benches:
            probe.judge(bench, seen, words, uses=uses)
        if uses or not any(watch.least for watch in watches):
            return []
        return [Finding("handled_nothing", "the probe says that the app handled no received message")]

    def _look_until(self, end: float, ids: Sequence[str]) -> Iterator[dict[str, probe.Seen]]:
        """Yield what the probe says, again and again."""
        yield probe.look(ids, self._ask)
        while self._clock.monotonic() < end:
            self._sleep(probe.NAP)
            yield probe.look(ids, self._ask)
