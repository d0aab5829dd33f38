"""Trials with requests that are damaged, huge or slow."""

from collections.abc import Callable, Iterator

from ...outgoing.http_client import Request
from ..results import Watch
from ..sender import Exchange
from ..trial import Bench, Skipped
from .forgeries import post_forgery

HUGE = 2 * 1024 * 1024  # bytes
PIECES = 5  # of a slow request


def try_empty(bench: Bench) -> None:
    """Post an empty body without a signature. Bots send such requests."""
    request = bench.build(bench.make_event())
    _require_body(request)
    exchange = bench.post(request._replace(body=b"", headers={"Content-Type": "text/plain"}), patience=1)
    _note_error(bench, exchange, "an empty body")
    _check_alive(bench, "an empty body")


def try_huge(bench: Bench) -> None:
    """Post a huge body with a wrong signature."""
    event = bench.make_event()._replace(extra=HUGE)
    request = bench.build_forged(event)
    _require_body(request)
    exchange = post_forgery(bench, event, request, "a huge body with a wrong signature")
    _note_error(bench, exchange, "a huge body")
    _check_alive(bench, "a huge body")


def try_cut(bench: Bench) -> None:
    """Post half of an event, and then end the connection."""
    event = bench.begin()
    request = bench.build(event)
    body = _require_body(request)
    half = iter([body[: len(body) // 2]])
    exchange = bench.post(_replace_body(request, half, length=len(body)), patience=0.05)
    if exchange.is_accepted:
        bench.result.find("accepted_cut", f"the lab posted half of an event, and the answer was {exchange}")
    bench.result.watches.append(Watch(event.message_id, maximum=0, too_often="accepted_cut"))
    _check_alive(bench, "a request that was cut off")


def try_slow(bench: Bench) -> None:
    """Post an event in several pieces, with pauses between them."""
    event = bench.begin()
    request = bench.build(event)
    body = _require_body(request)
    pieces = _dribble(body, bench.limit / 5, bench.sender.sleep)
    exchange = bench.post(_replace_body(request, pieces, length=len(body)))
    bench.expect_accepted(event, exchange, "refused_slow", subject="an event whose body came in several pieces")


def _require_body(request: Request) -> bytes:
    """Return the body of a request. Raises Skipped if the request has none."""
    if not isinstance(request.body, bytes):
        raise Skipped("a GET has no body")
    return request.body


def _replace_body(request: Request, pieces: Iterator[bytes], *, length: int) -> Request:
    return request._replace(body=pieces, headers={**request.headers, "Content-Length": str(length)})


def _dribble(body: bytes, seconds: float, sleep: Callable[[float], object]) -> Iterator[bytes]:
    """Yield a body in pieces, with pauses between them. `seconds` is the total time of the pauses."""
    size = len(body) // PIECES + 1
    for start in range(0, len(body), size):
        sleep(seconds / PIECES)
        yield body[start : start + size]


def _note_error(bench: Bench, exchange: Exchange, subject: str) -> None:
    if exchange.status >= 500:
        bench.result.find("server_error", f"{subject} got {exchange}")


def _check_alive(bench: Bench, after: str) -> None:
    """Check that the app still accepts genuine events."""
    event = bench.begin()
    exchange = bench.post(bench.build(event))
    if exchange.is_accepted or (exchange.answer is not None and not bench.must_know(event)):
        bench.expect_accepted(event, exchange)
        return
    bench.result.find(
        "stopped_answering", f"the lab posted {after}. The answer to the next genuine event was {exchange}"
    )
    event = bench.begin()
    bench.sender.sleep(bench.limit / 5)
    if not bench.post(bench.build(event)).is_accepted:
        bench.stopped = "the app has stopped answering"
