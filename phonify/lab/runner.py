"""Runs the trials against an app."""

from collections.abc import Callable, Iterable

from ..clock import Clock, format_time
from ..clock import sleep as sleep_really
from .forms import AppUnderTest, ProviderForm
from .probe import Probe
from .report import Report
from .results import TrialResult
from .sender import Send, Sender
from .trial import Bench, OutOfTime, Skipped, Trial
from .trials import TRIALS

MOST_SECONDS = 300.0  # for all trials
PATIENCE = 10.0  # seconds for the work that an app does after its answer


def run_lab(
    form: ProviderForm,
    app: AppUnderTest,
    *,
    send: Send,
    clock: Clock,
    sleep: Callable[[float], object] = sleep_really,
    limit: float | None = None,
    patience: float = PATIENCE,
    most_seconds: float = MOST_SECONDS,
    tell: Callable[[str], None] = lambda _trial: None,
    trials: Iterable[Trial] = TRIALS,
) -> Report:
    """Run the trials and return their results.

    `limit` is the number of seconds that the provider waits for an answer. If `limit` is None, `form.limit` applies.
    An app can answer first and finish its work later. The app has `patience` seconds for this work. Before each
    request, the lab calls `tell` with the name of the trial. The signatures contain the real time of the machine,
    because the app also uses the real time to check signatures.
    """
    begun, started_at = clock.monotonic(), format_time(clock.machine_now())
    limit = limit or form.limit
    sender = Sender(send, clock, sleep, tell, longest_pause=limit)
    probe = Probe(app.probe_url, form, sender)
    sender.trial = probe.result.name
    probe.check()
    bench = Bench(form, app._replace(probe_url=probe.url), sender, limit, end=begun + most_seconds)
    results = [_run_trial(bench, trial) for trial in trials]
    sender.trial, since = probe.result.name, clock.monotonic()
    if bench.stopped is None:
        probe.judge(results, patience)
    elif app.probe_url is not None:
        probe.result.skipped = bench.stopped
    ended = clock.monotonic()
    probe.result.seconds = ended - since
    url = app.url or app.status_url or ""
    return Report(form.name, url, started_at, ended - begun, probe.url is not None, (*results, probe.result))


def _run_trial(bench: Bench, trial: Trial) -> TrialResult:
    result = TrialResult(trial.name, trial.title, skipped=bench.stopped)
    if bench.stopped is not None:
        return result
    bench.result, bench.sender.trial = result, trial.name
    begun = bench.sender.clock.monotonic()
    try:
        trial.run(bench)
    except Skipped as reason:
        result.skipped = str(reason)
    except OutOfTime:
        result.find("not_finished", f"during the trial {trial.name}")
        bench.stopped = "the time limit of the lab was reached"
    result.seconds = bench.sender.clock.monotonic() - begun
    return result
