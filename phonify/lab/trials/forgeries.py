"""Trials that post forged requests. The app must refuse such a request, and must not handle its event."""

from ...outgoing.http_client import Request
from ..forms import LabEvent
from ..results import Watch
from ..sender import Exchange
from ..trial import Bench, Skipped
from .events import DAY


def try_forged(bench: Bench) -> None:
    """Post an event that is signed with a wrong secret."""
    for event in bench.begin_each():
        post_forgery(bench, event, bench.build_forged(event), "an event that is signed with a wrong secret")


def try_missing(bench: Bench) -> None:
    """Post an event without a signature."""
    for event in bench.begin_each():
        request = bench.build(event)
        headers = {name: value for name, value in request.headers.items() if name != bench.form.signature}
        post_forgery(bench, event, request._replace(headers=headers), f"a request without {bench.form.signature}")


def try_other_bytes(bench: Bench) -> None:
    """Post an event with the signature of another event."""
    for event in bench.begin_each():
        signed = bench.build(bench.make_event(event.kind)._replace(id=event.id))
        changed = bench.build(event)
        request = signed._replace(body=changed.body, query=changed.query)
        post_forgery(bench, event, request, "an event with the signature of another event")


def try_stale(bench: Bench) -> None:
    """Post an event whose signature was made a day ago."""
    if not bench.form.has_time:
        raise Skipped(f"the signatures of {bench.form.title} do not include a time")
    for event in bench.begin_each(age=DAY):
        request = bench.build(event, age=DAY)
        post_forgery(bench, event, request, "a request that was signed a day ago", verdict="accepted_replay")


def post_forgery(
    bench: Bench, event: LabEvent, request: Request, subject: str, *, verdict: str = "accepted_forgery"
) -> Exchange:
    """Send a request that the app must refuse, and add a watch.

    If the app accepts the request, this is a mistake. The function then adds a finding.
    """
    exchange = bench.post(request, patience=1)
    if exchange.is_accepted:
        bench.result.find(verdict, f"{subject} got {exchange}")
    harmless = "answered_forgery" if exchange.is_accepted else None
    bench.result.watches.append(Watch(event.message_id, maximum=0, too_often=verdict, harmless=harmless))
    return exchange
