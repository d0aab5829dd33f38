"""Trials with genuine events: each of them must be accepted."""

from .bench import NOT_KNOWN, Bench, Steps, Watch
from .forms import TEST_EVENT, LabEvent

DAY = 86_400.0  # seconds
NEW_FIELD = 12  # characters
NO_STATUSES = "no URL for statuses was given"


def try_genuine(bench: Bench) -> Steps:
    """Post one event. If the app refuses it, no other trial makes sense."""
    if bench.main != "received":
        yield from bench.prepare(bench.first.message_id)
    (answer,) = yield bench.send(bench.build(bench.first))
    if answer.seconds > bench.limit:  # some apps are slow only when they begin
        (again,) = yield bench.send(bench.build(bench.first))
        if again.seconds > bench.limit:
            bench.stopped = "the app answers too late"
    accepted = bench.expect_accepted(bench.first, answer)
    if not accepted and bench.must_know(bench.first):
        refused = any(found.verdict == "not_running" for found in bench.findings)
        reason = "nothing listens at this address" if refused else "the app does not accept a genuine event"
        bench.stopped = bench.stopped or reason
    # Another trial posts this event again, and judges whether it was handled twice.
    bench.watches.append(Watch(bench.first.message_id, least=int(accepted and bench.main == "received"), most=99))


def try_statuses(bench: Bench) -> Steps:
    """Post the statuses of messages, in the right order."""
    if bench.target.status_url is None:
        bench.skipped = NO_STATUSES
        return
    for role in ("sent", "delivered"):
        first = yield from bench.begin("sent", age=3)
        events = [first]
        if role == "delivered":
            events.append(bench.make_event("delivered", message_id=first.message_id))
        for event in events:
            yield from _post_status(bench, event)
        bench.watches.append(Watch(first.message_id, most=len(events), role=role))  # an app may ignore a status
    for what in bench.form.statuses:
        event = yield from bench.begin(what)
        yield from _post_status(bench, event)


def _post_status(bench: Bench, event: LabEvent) -> Steps:
    (answer,) = yield bench.send(bench.build(event))
    bench.expect_accepted(event, answer, what=f"the {_name(event)}")
    refused = answer.answer is not None and answer.answer.status in NOT_KNOWN and not bench.must_know(event)
    if refused and not any(found.verdict == "refused_unknown_message" for found in bench.findings):
        bench.find("refused_unknown_message", f"the {_name(event)} of a new message got {answer}")


def _name(event: LabEvent) -> str:
    return f"event {TEST_EVENT}" if event.what == "test" else f"status {event.what}"


def try_two_signatures(bench: Bench) -> Steps:
    """Post an event that has the signature of another secret before its own, as after a change of the secret."""
    for what in bench.subjects:
        event = yield from bench.begin(what)
        request = bench.form.add_signature(bench.build(event), bench.build_forged(event))
        if request is None:
            bench.skipped = f"{bench.form.title} has no second signature"
            return
        (answer,) = yield bench.send(request)
        bench.expect_accepted(event, answer, "refused_two_signatures", what="an event with two signatures")


def try_respelled(bench: Bench) -> Steps:
    """Post an event that is written another way: with spaces and escapes."""
    for what in bench.subjects:
        event = (yield from bench.begin(what))._replace(respelled=True)
        (answer,) = yield bench.send(bench.build(event))
        bench.expect_accepted(event, answer, "refused_respelled", what="an event with other spaces and escapes")


def try_unknown_field(bench: Bench) -> Steps:
    """Post an event with fields that did not exist when the app was written."""
    for what in bench.subjects:
        event = (yield from bench.begin(what))._replace(extra=NEW_FIELD)
        (answer,) = yield bench.send(bench.build(event))
        bench.expect_accepted(event, answer, "refused_unknown_field", what="an event with a new field")


def try_unknown_event(bench: Bench) -> Steps:
    """Post an event that did not exist when the app was written."""
    if bench.target.status_url is None:
        bench.skipped = NO_STATUSES
        return
    event = yield from bench.begin("unknown")
    (answer,) = yield bench.send(bench.build(event))
    if answer.answer is not None and 400 <= answer.answer.status < 500 and answer.seconds <= bench.limit:
        bench.find("refused_unknown_event", f"an unknown event got {answer}")
        return
    bench.expect_accepted(event, answer, "failed_on_unknown_event", what="an unknown event")


def try_day_late(bench: Bench) -> Steps:
    """Post an event that happened a day ago. It is signed now, as at a retry."""
    for what in bench.subjects:
        event = yield from bench.begin(what, age=DAY)
        (answer,) = yield bench.send(bench.build(event))
        bench.expect_accepted(event, answer, "refused_day_late", what="an event of yesterday")
