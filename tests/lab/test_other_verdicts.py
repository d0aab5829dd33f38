"""Tests of the verdicts that need an app whose answer depends on more than one event."""

from collections.abc import Callable

import pytest

from phonify.lab.runner import run_lab
from phonify.lab.verdicts import VERDICTS
from phonify.outgoing.http_client import Answer, Request
from tests.support.app import FakeClock
from tests.support.lab_receivers.app import App
from tests.support.lab_receivers.faults import CORRECT, WRONG
from tests.support.lab_receivers.in_memory import FORMS, Send, connect, make_target, try_app, verdicts_of

Change = Callable[[Send], Send]


def fail_on_an_empty_body(send: Send) -> Send:
    return lambda request: Answer(500, "") if request.body == b"" else send(request)


def accept_what_was_cut(send: Send) -> Send:
    def accept(request: Request) -> Answer:
        if isinstance(request.body, bytes | None):
            return send(request)
        body = b"".join(request.body)
        whole = len(body) == int(request.headers["Content-Length"])
        return send(request._replace(body=body)) if whole else Answer(200, "")

    return accept


def refuse_what_comes_in_pieces(send: Send) -> Send:
    return lambda request: send(request) if isinstance(request.body, bytes | None) else Answer(400, "")


def refuse_sent_after_delivered(send: Send) -> Send:
    delivered = set()

    def refuse(request: Request) -> Answer:
        body = request.body if isinstance(request.body, bytes) else b""
        message_id = body.partition(b'"message":{"id":"')[2][:36]
        if b'"message.delivered"' in body:
            delivered.add(message_id)
        return Answer(400, "") if b'"message.sent"' in body and message_id in delivered else send(request)

    return refuse


def number_replies(send: Send) -> Send:
    replies = []

    def number(request: Request) -> Answer:
        answer = send(request)
        replies.append(answer)
        return answer._replace(text=answer.text.replace("Thank you", f"Thank you {len(replies)}"))

    return number


OTHER: list[tuple[str, Change, str]] = [
    ("standard", fail_on_an_empty_body, "server_error"),
    ("standard", accept_what_was_cut, "accepted_cut"),
    ("twilio", accept_what_was_cut, "accepted_cut"),
    ("standard", refuse_what_comes_in_pieces, "refused_slow"),
    ("standard", refuse_sent_after_delivered, "refused_older"),
    ("twilio", number_replies, "other_reply"),
]


@pytest.mark.parametrize(("form", "change", "verdict"), OTHER)
def test_such_an_app_gets_the_verdict_and_no_other(form: str, change: Change, verdict: str) -> None:
    clock = FakeClock()
    send = change(connect(App(form, now=clock.monotonic), clock))
    report = run_lab(FORMS[form], make_target(form), send=send, clock=clock, sleep=clock.advance)
    assert verdicts_of(report) == {verdict}
    assert (report.count("failed") > 0) == (VERDICTS[verdict].severity == "failure")


def test_a_lab_ends_after_its_time() -> None:
    clock = FakeClock()
    send = connect(App("standard", late=4.0, now=clock.monotonic, pause=clock.advance), clock)
    target = make_target("standard")
    report = run_lab(FORMS["standard"], target, send=send, clock=clock, sleep=clock.advance, most_seconds=30)
    assert verdicts_of(report) == {"not_finished"}
    assert report.seconds < 40
    assert report.results[-1].skipped == "the time limit of the lab was reached"


def test_every_verdict_is_given_in_these_tests() -> None:
    given = {verdict for faults in WRONG.values() for verdict in faults.values()}
    given |= {verdict for faults in CORRECT.values() for verdicts in faults.values() for verdict in verdicts}
    given |= {verdict for _, _, verdict in OTHER}
    elsewhere = {
        "answered_late",
        "slow",
        "no_answer",
        "not_running",
        "answered_forgery",
        "refused_unknown_message",
        "not_finished",
    }
    assert given | elsewhere == VERDICTS.keys()


def test_a_verdict_of_the_probe_says_what_the_probe_says() -> None:
    details = [
        finding.detail
        for fault in ("twice", "older")
        for one in try_app("standard", fault).results
        for finding in one.findings
    ]
    assert details == [
        *["the probe says: 2 times"] * 5,
        "the probe shows 'sent', not 'delivered'",
    ]
