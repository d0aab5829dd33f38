"""Trials with genuine events. The app must accept each of them."""

from ..forms import TEST_EVENT, LabEvent
from ..results import Watch
from ..trial import Bench, Skipped

DAY = 86_400.0  # seconds
NEW_FIELD = 12  # characters


def try_genuine(bench: Bench) -> None:
    """Post one event. If the app refuses the event, run no other trial."""
    event = bench.first
    if event.kind != "received":
        bench.prepare(event.message_id)
    exchange = bench.post(bench.build(event))
    if exchange.seconds > bench.limit:  # some apps are slow only when they begin
        again = bench.post(bench.build(event))
        if again.seconds > bench.limit:
            bench.stopped = "the app answers too late"
    accepted = bench.expect_accepted(event, exchange)
    if not accepted and bench.must_know(event):
        refused = any(finding.verdict == "not_running" for finding in bench.result.findings)
        reason = "nothing listens at this address" if refused else "the app does not accept a genuine event"
        bench.stopped = bench.stopped or reason
    # Another trial posts this event again, and judges whether it was handled twice.
    minimum = int(accepted and event.kind == "received")
    bench.result.watches.append(Watch(event.message_id, minimum, maximum=99))


def try_statuses(bench: Bench) -> None:
    """Post the statuses of messages, in the right order."""
    bench.require_statuses()
    sent = bench.begin("sent", age=3)
    _post_status(bench, sent)
    # No minimum, because an app is allowed to ignore a status.
    bench.result.watches.append(Watch(sent.message_id, maximum=1, role="sent"))
    sent = bench.begin("sent", age=3)
    _post_status(bench, sent)
    _post_status(bench, bench.make_event("delivered", message_id=sent.message_id))
    bench.result.watches.append(Watch(sent.message_id, maximum=2, role="delivered"))
    for kind in bench.form.statuses:
        _post_status(bench, bench.begin(kind))


def _post_status(bench: Bench, event: LabEvent) -> None:
    exchange = bench.post(bench.build(event))
    name = f"event {TEST_EVENT}" if event.kind == "test" else f"status {event.kind}"
    bench.expect_accepted(event, exchange, subject=f"the {name}")
    known = any(finding.verdict == "refused_unknown_message" for finding in bench.result.findings)
    if bench.is_not_known(event, exchange) and not known:
        bench.result.find("refused_unknown_message", f"the {name} of a new message got {exchange}")


def try_two_signatures(bench: Bench) -> None:
    """Post an event with two signatures. Only the second one is right. A change of the secret causes such events."""
    for event in bench.begin_each():
        request = bench.form.add_signature(bench.build(event), bench.build_forged(event))
        if request is None:
            raise Skipped(f"{bench.form.title} has no second signature")
        exchange = bench.post(request)
        bench.expect_accepted(event, exchange, "refused_two_signatures", subject="an event with two signatures")


def try_respelled(bench: Bench) -> None:
    """Post an event that is written with unusual spaces and escape sequences."""
    for event in bench.begin_each():
        exchange = bench.post(bench.build(event._replace(respelled=True)))
        bench.expect_accepted(
            event, exchange, "refused_respelled", subject="an event that is written in an unusual way"
        )


def try_unknown_field(bench: Bench) -> None:
    """Post an event with new fields, which the app does not know."""
    for event in bench.begin_each():
        exchange = bench.post(bench.build(event._replace(extra=NEW_FIELD)))
        bench.expect_accepted(event, exchange, "refused_unknown_field", subject="an event with a new field")


def try_unknown_event(bench: Bench) -> None:
    """Post a new kind of event, which the app does not know."""
    bench.require_statuses()
    event = bench.begin("unknown")
    exchange = bench.post(bench.build(event))
    if 400 <= exchange.status < 500 and exchange.seconds <= bench.limit:
        bench.result.find("refused_unknown_event", f"the answer to an unknown event was {exchange}")
    else:
        bench.expect_accepted(event, exchange, "failed_on_unknown_event", subject="an unknown event")


def try_day_late(bench: Bench) -> None:
    """Post an event that happened a day ago. The signature is new. Providers do this after an outage."""
    for event in bench.begin_each(age=DAY):
        exchange = bench.post(bench.build(event))
        bench.expect_accepted(event, exchange, "refused_day_late", subject="an event that happened a day ago")


def try_alive(bench: Bench) -> None:
    """Post one more event at the end."""
    event = bench.begin()
    bench.expect_accepted(event, bench.post(bench.build(event)))
