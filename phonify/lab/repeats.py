"""Trials with events that come more than once, or in another order."""

from collections.abc import Generator

from .bench import NOT_KNOWN, Bench, Exchange, Step, Steps, Watch
from .events import NO_STATUSES
from .forms import LabEvent

PAIRS = 3  # an app that handles both of two equal events may do so only sometimes
WAITS = (0.05, 0.1, 0.2)  # before each retry, as parts of the time that the provider waits


def try_twice_at_once(bench: Bench) -> Steps:
    """Post the same event twice at once, several times."""
    for _ in range(PAIRS):
        event = yield from bench.begin()
        first, second = yield bench.send(bench.build(event), bench.build(event))
        if second.is_accepted and not first.is_accepted:
            first, second = second, first
        yield from _compare(bench, event, first, second, how="of two at once")


def try_answer_too_late(bench: Bench) -> Steps:
    """Post an event, do not wait for the answer, and post it again."""
    event = yield from bench.begin()
    (first,) = yield bench.give_up_on(bench.build(event))
    (second,) = yield bench.send(bench.build(event))
    yield from _compare(bench, event, first, second, how="after the first answer came too late")


def try_twice_later(bench: Bench) -> Steps:
    """Post the first event again at the end of the lab."""
    (again,) = yield bench.send(bench.build(bench.first))
    yield from _compare(bench, bench.first, None, again, how="at the end of the lab")


def _compare(bench: Bench, event: LabEvent, first: Exchange | None, second: Exchange, *, how: str) -> Steps:
    """Judge the second answer to an event. `first` is None if the app has accepted the event in an earlier trial."""
    was_accepted = first is None or first.is_accepted
    if second.answer is not None and not second.is_accepted:
        if second.answer.status in NOT_KNOWN and not bench.must_know(event):
            return
        again = yield from _retry(bench, event)
        if again.is_accepted:
            bench.find("refused_parallel", f"the second {how} got {second}, and a retry got {again}")
            second = again
        elif was_accepted:
            before = first if first is not None else "2xx"
            bench.find("other_second_answer", f"the first answer was {before}, the second {how} {second}")
            return
    accepted = bench.expect_accepted(event, second, what=f"the second {how}")
    if accepted and first is not None and first.is_accepted:
        _compare_replies(bench, event, first, second)
    bench.watches.append(Watch(event.message_id, least=int(accepted and event.what == "received")))


def _retry(bench: Bench, event: LabEvent) -> Generator[Step, list[Exchange], Exchange]:
    """Post an event again, as a provider does, until the app accepts it. Returns the last answer."""
    for wait in WAITS:
        (answer,) = yield bench.send(bench.build(event), wait=wait * bench.limit)
        if answer.is_accepted:
            break
    return answer


def _compare_replies(bench: Bench, event: LabEvent, first: Exchange, second: Exchange) -> None:
    before, after = bench.read(event, first).replies, bench.read(event, second).replies
    if len(before) != len(after):
        bench.find("other_second_answer", f"the first answer has {len(before)} replies, the second {len(after)}")
    elif before != after:
        bench.find("other_reply", f"the first reply is {before[0]!r}, the second {after[0]!r}")


def try_out_of_order(bench: Bench) -> Steps:
    """Post the status delivered, and then the status sent of the same message."""
    if bench.target.status_url is None:
        bench.skipped = NO_STATUSES
        return
    later = yield from bench.begin("delivered")
    earlier = bench.make_event("sent", age=3, message_id=later.message_id)
    (answer,) = yield bench.send(bench.build(later))
    bench.expect_accepted(later, answer, what="the status delivered")
    (answer,) = yield bench.send(bench.build(earlier))
    bench.expect_accepted(earlier, answer, "refused_older", what="the status sent after delivered")
    bench.watches.append(Watch(later.message_id, most=2, wrong_state="took_older_state"))


def try_early_status(bench: Bench) -> Steps:
    """Post a status of a message that the app does not know yet, and let the app know the message afterwards."""
    if bench.target.status_url is None:
        bench.skipped = NO_STATUSES
        return
    event = bench.make_event("delivered")
    (answer,) = yield bench.send(bench.build(event))
    if answer.answer is not None and answer.answer.status in NOT_KNOWN:
        if not bench.form.repeats_refused:
            bench.find(
                "lost_early_status", f"the status got {answer}, and {bench.form.title} does not repeat a refused status"
            )
            return
        known = yield from bench.prepare(event.message_id)
        if not known:
            bench.skipped = "only with a probe can the lab make a message known to the app"
            return
        answer = yield from _retry(bench, event)
    else:
        yield from bench.prepare(event.message_id)
    bench.expect_accepted(event, answer, what="a status of a message that the app did not know yet")
    bench.watches.append(Watch(event.message_id, wrong_state="lost_early_status"))
