"""Trials with requests that are damaged, huge or slow."""

from collections.abc import Callable, Iterator

from .bench import Bench, Exchange, Steps, Watch
from .forgeries import expect_refused

HUGE = 2 * 1024 * 1024  # bytes
PIECES = 5  # of a slow request
NO_BODY = "a GET has no body"


def try_empty(bench: Bench) -> Steps:
    """Post nothing, without a signature, as bots do."""
    request = bench.build(bench.make_event())
    if request.body is None:
        bench.skipped = NO_BODY
        return
    (answer,) = yield bench.try_out(request._replace(body=b"", headers={"Content-Type": "text/plain"}))
    _note_error(bench, answer, "an empty body")
    yield from _check_alive(bench, "an empty body")


def try_huge(bench: Bench) -> Steps:
    """Post a huge body with a wrong signature."""
    event = bench.make_event()._replace(extra=HUGE)
    if bench.build(bench.make_event()).body is None:
        bench.skipped = NO_BODY
        return
    (answer,) = yield bench.try_out(bench.build_forged(event))
    _note_error(bench, answer, "a huge body")
    expect_refused(bench, event, answer.is_accepted, f"a huge body with a wrong signature got {answer}")
    yield from _check_alive(bench, "a huge body")


def try_cut(bench: Bench) -> Steps:
    """Post an event whose connection ends in the middle of the body."""
    event = yield from bench.begin()
    request = bench.build(event)
    if not isinstance(request.body, bytes):
        bench.skipped = NO_BODY
        return
    headers = {**request.headers, "Content-Length": str(len(request.body))}
    half = iter([request.body[: len(request.body) // 2]])
    (answer,) = yield bench.give_up_on(request._replace(body=half, headers=headers))
    if answer.is_accepted:
        bench.find("accepted_cut", f"half of an event got {answer}")
    bench.watches.append(Watch(event.message_id, most=0, too_often="accepted_cut"))
    yield from _check_alive(bench, "a request that was cut off")


def try_slow(bench: Bench) -> Steps:
    """Post an event whose body comes in several pieces."""
    event = yield from bench.begin()
    request = bench.build(event)
    if not isinstance(request.body, bytes):
        bench.skipped = NO_BODY
        return
    headers = {**request.headers, "Content-Length": str(len(request.body))}
    pieces = _dribble(request.body, bench.limit / 5, bench.sleep)
    (answer,) = yield bench.send(request._replace(body=pieces, headers=headers))
    bench.expect_accepted(event, answer, "refused_slow", what="an event that came in pieces")


def try_alive(bench: Bench) -> Steps:
    """Post one more event at the end."""
    event = yield from bench.begin()
    (answer,) = yield bench.send(bench.build(event))
    bench.expect_accepted(event, answer)


def _dribble(body: bytes, seconds: float, sleep: Callable[[float], object]) -> Iterator[bytes]:
    """Yield a body in pieces. All pauses together take the given time."""
    size = len(body) // PIECES + 1
    for start in range(0, len(body), size):
        sleep(seconds / PIECES)
        yield body[start : start + size]


def _note_error(bench: Bench, answer: Exchange, what: str) -> None:
    if answer.answer is not None and answer.answer.status >= 500:
        bench.find("server_error", f"{what} got {answer}")


def _check_alive(bench: Bench, after: str) -> Steps:
    """Check that the app still accepts genuine events."""
    event = yield from bench.begin()
    (answer,) = yield bench.send(bench.build(event))
    if answer.is_accepted or (answer.answer is not None and not bench.must_know(event)):
        bench.expect_accepted(event, answer)
        return
    bench.find("stopped_answering", f"after {after}, a genuine event got {answer}")
    event = yield from bench.begin()
    (answer,) = yield bench.send(bench.build(event), wait=bench.limit / 5)
    if not answer.is_accepted:
        bench.stopped = "the app has stopped answering"
