"""Trials with events that come more than once, or in the wrong order."""

from ..forms import LabEvent
from ..results import Watch
from ..sender import Exchange
from ..trial import NOT_KNOWN, Bench, Skipped

PAIRS = 3  # some apps handle a repeated event twice, but not every time
WAITS = (0.05, 0.1, 0.2)  # the pauses before the retries, as fractions of the provider's time limit


def try_twice_at_once(bench: Bench) -> None:
    """Post the same event twice at the same time. Do this several times."""
    for _ in range(PAIRS):
        event = bench.begin()
        first, second = bench.post_twice(bench.build(event))
        if second.is_accepted and not first.is_accepted:
            first, second = second, first
        _compare(bench, event, first, second, how="at the same time")


def try_answer_too_late(bench: Bench) -> None:
    """Post an event, do not wait for the answer, and post it again."""
    event = bench.begin()
    first = bench.post(bench.build(event), patience=0.05)
    second = bench.post(bench.build(event))
    _compare(bench, event, first, second, how="(the first answer was late)")


def try_twice_later(bench: Bench) -> None:
    """Post the first event again at the end of the lab."""
    _compare(bench, bench.first, None, bench.post(bench.build(bench.first)), how="at the end of the lab")


def _compare(bench: Bench, event: LabEvent, first: Exchange | None, second: Exchange, *, how: str) -> None:
    """Judge the second answer to an event.

    If an earlier trial has already posted the event, `first` is None. In this case, the first answer was 2xx.
    """
    result = bench.result
    if second.answer is not None and not second.is_accepted:
        if bench.is_not_known(event, second):
            return
        again = _retry(bench, event)
        if again.is_accepted:
            result.find("refused_parallel", f"the second request {how} got {second}, and a retry got {again}")
            second = again
        elif first is None or first.is_accepted:
            before = first if first is not None else "2xx"
            result.find("other_second_answer", f"the first answer was {before}, the second request {how} got {second}")
            return
    accepted = bench.expect_accepted(event, second, subject=f"the second request {how}")
    if accepted and first is not None and first.is_accepted:
        _compare_replies(bench, event, first, second)
    result.watches.append(Watch(event.message_id, minimum=int(accepted and event.kind == "received")))


def _retry(bench: Bench, event: LabEvent) -> Exchange:
    """Post an event again until the app accepts it. Post it at most `len(WAITS)` times. Returns the last answer."""
    for wait in WAITS:
        bench.sender.sleep(wait * bench.limit)
        exchange = bench.post(bench.build(event))
        if exchange.is_accepted:
            break
    return exchange


def _compare_replies(bench: Bench, event: LabEvent, first: Exchange, second: Exchange) -> None:
    before, after = bench.read(event, first).replies, bench.read(event, second).replies
    if len(before) != len(after):
        detail = f"the first answer has {len(before)} replies, and the second answer has {len(after)} replies"
        bench.result.find("other_second_answer", detail)
    elif before != after:
        bench.result.find("other_reply", f"the first reply is {before[0]!r}, and the second reply is {after[0]!r}")


def try_out_of_order(bench: Bench) -> None:
    """Post the status `delivered` of a message, and then its older status `sent`."""
    bench.require_statuses()
    later = bench.begin("delivered")
    earlier = bench.make_event("sent", age=3, message_id=later.message_id)
    bench.expect_accepted(later, bench.post(bench.build(later)), subject="the status delivered")
    exchange = bench.post(bench.build(earlier))
    bench.expect_accepted(earlier, exchange, "refused_older", subject='the status "sent" after "delivered"')
    bench.result.watches.append(Watch(later.message_id, maximum=2, wrong_state="took_older_state"))


def try_early_status(bench: Bench) -> None:
    """Post the status of a message that the app has not stored yet. Then let the app store the message."""
    bench.require_statuses()
    event = bench.make_event("delivered")
    exchange = bench.post(bench.build(event))
    refused = exchange.status in NOT_KNOWN
    if refused and not bench.form.repeats_refused:
        detail = f"the app answered {exchange}, and {bench.form.title} does not post this status again"
        bench.result.find("lost_early_status", detail)
        return
    known = bench.prepare(event.message_id)
    if refused and not known:
        raise Skipped("this trial needs a probe that stores the message")
    if refused:
        exchange = _retry(bench, event)
    bench.expect_accepted(event, exchange, subject="a status that came too early")
    bench.result.watches.append(Watch(event.message_id, wrong_state="lost_early_status"))
