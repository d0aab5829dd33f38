"""Trials with requests that are not from the provider: the app must refuse them and do nothing."""

from .bench import Bench, Steps, Watch
from .events import DAY
from .forms import LabEvent


def try_forged(bench: Bench) -> Steps:
    """Post an event with the signature of another secret."""
    for what in bench.subjects:
        event = yield from bench.begin(what)
        (answer,) = yield bench.try_out(bench.build_forged(event))
        expect_refused(bench, event, answer.is_accepted, f"a signature of another secret got {answer}")


def try_missing(bench: Bench) -> Steps:
    """Post an event without a signature."""
    for what in bench.subjects:
        event = yield from bench.begin(what)
        request = bench.build(event)
        headers = {name: value for name, value in request.headers.items() if name != bench.form.signature}
        (answer,) = yield bench.try_out(request._replace(headers=headers))
        expect_refused(bench, event, answer.is_accepted, f"a request without {bench.form.signature} got {answer}")


def try_other_bytes(bench: Bench) -> Steps:
    """Post an event with the signature of another event."""
    for what in bench.subjects:
        event = yield from bench.begin(what)
        signed = bench.build(bench.make_event(what)._replace(id=event.id))
        changed = bench.build(event)
        (answer,) = yield bench.try_out(signed._replace(body=changed.body, query=changed.query))
        expect_refused(bench, event, answer.is_accepted, f"a signature of another body got {answer}")


def try_stale(bench: Bench) -> Steps:
    """Post an event with a signature that was right a day ago."""
    if not bench.form.has_time:
        bench.skipped = f"a signature of {bench.form.title} has no time"
        return
    for what in bench.subjects:
        event = yield from bench.begin(what, age=DAY)
        (answer,) = yield bench.try_out(bench.build(event, age=DAY))
        detail = f"a signature of yesterday got {answer}"
        expect_refused(bench, event, answer.is_accepted, detail, verdict="accepted_replay")


def expect_refused(
    bench: Bench, event: LabEvent, accepted: bool, detail: str, *, verdict: str = "accepted_forgery"
) -> None:
    """Note it if the app has accepted an event that it must refuse, or if the probe says that it has handled it."""
    if accepted:
        bench.find(verdict, detail)
    harmless = "answered_forgery" if accepted else None
    bench.watches.append(Watch(event.message_id, most=0, too_often=verdict, harmless=harmless))
