"""Tests of the trials: which verdicts the lab gives about correct and about wrong apps."""

import pytest

from phonify.lab.report import Report
from phonify.lab.runner import run_lab
from phonify.lab.trials import TRIALS
from phonify.outgoing.http_client import Answer, NotAnswered, Request
from tests.support.app import FakeClock
from tests.support.lab_receivers.app import STANDARD_SECRET, App
from tests.support.lab_receivers.faults import CORRECT, WRONG
from tests.support.lab_receivers.in_memory import ADDRESS, FORMS, connect, make_target, try_app, verdicts_of

PAIRS = [(form, fault, verdict) for form, faults in WRONG.items() for fault, verdict in faults.items()]


def skipped_in(report: Report) -> dict[str, str | None]:
    return {result.name: result.skipped for result in report.results if result.outcome == "skipped"}


@pytest.mark.parametrize(("form", "fault"), [(form, fault) for form in CORRECT for fault in CORRECT[form]])
def test_a_correct_app_fails_no_trial(form: str, fault: str) -> None:
    report = try_app(form, fault)
    assert verdicts_of(report) == CORRECT[form][fault]
    assert report.count("failed") == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_correct_app_passes_without_a_probe(form: str) -> None:
    report = try_app(form, probe_url=None)
    assert verdicts_of(report) == set()
    assert skipped_in(report)["probe"] == "no probe was given"


@pytest.mark.parametrize(("form", "fault", "verdict"), PAIRS)
def test_a_wrong_app_gets_the_verdict_about_its_fault_and_no_other(form: str, fault: str, verdict: str) -> None:
    report = try_app(form, fault)
    assert verdicts_of(report) == {verdict}
    assert report.count("failed") > 0


def test_the_trials_that_fail_are_those_about_the_fault() -> None:
    for fault, trials in (
        ("missing", {"missing"}),
        ("no_time", {"stale"}),
        ("twice", {"twice_at_once", "answer_too_late", "twice_later"}),
        ("race", {"twice_at_once"}),
        ("older", {"out_of_order"}),
        ("ignores_unknown", {"early_status"}),
    ):
        failed = {result.name for result in try_app("standard", fault).results if result.outcome == "failed"}
        assert failed == trials, fault


@pytest.mark.parametrize(("form", "late", "limit"), [("standard", 14.0, 10), ("twilio", 16.0, 15)])
def test_an_app_that_answers_too_late_is_told_how_late(form: str, late: float, limit: int) -> None:
    report = try_app(form, late=late)
    assert verdicts_of(report) == {"answered_late"}
    (finding,) = report.results[0].findings
    assert finding.detail == f"200 after {late} s; the provider waits {limit} s"
    assert skipped_in(report)["forged"] == "the app answers too late"


def test_an_app_that_never_answers_is_late_too() -> None:
    report = try_app("standard", late=25.0)
    assert verdicts_of(report) == {"answered_late"}


def test_a_slow_app_gets_a_warning() -> None:
    # Of two requests at once, each would also wait for the clock of the other.
    report = try_app("standard", late=6.0, trials=TRIALS[:1])
    assert verdicts_of(report) == {"slow"}
    assert report.count("failed") == 0


def test_an_app_that_answers_forgeries_with_2xx_and_does_nothing_gets_a_warning() -> None:
    report = try_app("standard", "silent")
    assert verdicts_of(report) == {"answered_forgery"}
    assert report.count("failed") == 0


def test_without_a_probe_an_answer_2xx_to_a_forgery_counts_as_accepted() -> None:
    assert verdicts_of(try_app("standard", "silent", probe_url=None)) == {"accepted_forgery", "accepted_replay"}


def test_an_app_that_acts_before_it_refuses_is_found_by_the_probe() -> None:
    assert verdicts_of(try_app("twilio", "acts_first")) == {"accepted_forgery"}
    assert verdicts_of(try_app("twilio", "acts_first", probe_url=None)) == set()


def test_what_only_a_probe_can_show_is_not_judged_without_one() -> None:
    for fault in ("twice", "race", "older", "forgets", "ignores_unknown"):
        assert verdicts_of(try_app("standard", fault, probe_url=None)) == set()


def test_without_a_probe_an_app_that_does_not_know_a_message_gets_a_warning() -> None:
    report = try_app("standard", "refuses_unknown", probe_url=None)
    assert verdicts_of(report) == {"refused_unknown_message"}
    assert report.count("failed") == 0


def test_twilio_does_not_repeat_a_refused_status() -> None:
    report = try_app("twilio", "refuses_unknown", probe_url=None)
    assert verdicts_of(report) == {"refused_unknown_message", "lost_early_status"}


def test_after_a_refused_genuine_event_nothing_else_is_tried() -> None:
    report = try_app("standard", "wrong_secret")
    assert {result.outcome for result in report.results[1:]} == {"skipped"}
    assert skipped_in(report)["forged"] == "the app does not accept a genuine event"


@pytest.mark.parametrize("form", FORMS)
def test_nothing_listens(form: str) -> None:
    def send(request: Request) -> Answer:
        raise NotAnswered("the connection was refused")

    report = try_app(form, send=send, probe_url=None)
    assert verdicts_of(report) == {"not_running"}
    assert skipped_in(report)["forged"] == "nothing listens at this address"
    assert report.results[0].findings[0].detail == "a genuine event: the connection was refused"


def test_an_app_that_ends_the_connection_gives_no_answer() -> None:
    def send(request: Request) -> Answer:
        raise NotAnswered("the connection was closed without an answer", connected=True)

    report = try_app("standard", send=send, probe_url=None)
    assert verdicts_of(report) == {"no_answer"}
    assert skipped_in(report)["forged"] == "the app does not accept a genuine event"


def test_a_refused_test_event_has_its_name_in_the_finding() -> None:
    clock = FakeClock()
    send = connect(App("standard", now=clock.monotonic), clock)

    def refuse(request: Request) -> Answer:
        body = request.body if isinstance(request.body, bytes) else b""
        return Answer(400, "") if b'"webhook.test"' in body else send(request)

    report = try_app("standard", send=refuse)
    assert [finding.detail for result in report.results for finding in result.findings] == [
        "the event webhook.test got 400"
    ]


def test_with_only_one_url_of_twilio_the_other_is_not_tried() -> None:
    received = try_app("twilio", status_url=None)
    assert verdicts_of(received) == set()
    assert skipped_in(received)["out_of_order"] == "no URL for statuses was given"
    statuses = try_app("twilio", url=None)
    assert verdicts_of(statuses) == set()
    assert "out_of_order" not in skipped_in(statuses)
    assert statuses.url == f"{ADDRESS}/status"


def test_received_messages_may_come_with_get() -> None:
    report = try_app("twilio", method="GET", status_url=None)
    assert verdicts_of(report) == set()
    assert {name for name, reason in skipped_in(report).items() if reason == "a GET has no body"} == {
        *("empty", "huge", "cut", "slow")
    }


def test_a_forged_get_is_found() -> None:
    assert verdicts_of(try_app("twilio", "missing", method="GET", status_url=None)) == {"accepted_forgery"}


def test_a_signature_of_twilio_has_no_time_and_no_second_one() -> None:
    assert set(skipped_in(try_app("twilio"))) == {"stale", "two_signatures"}


def test_an_app_that_limits_its_requests_is_tried_again_later() -> None:
    clock = FakeClock()
    inner = connect(App("standard", now=clock.monotonic), clock)
    allowed = [5.0]  # requests, of which each second allows five more

    def send(request: Request) -> Answer:
        allowed[0] -= 1
        return inner(request) if allowed[0] >= 0 else Answer(429, "", retry_after=2.0)

    def sleep(seconds: float) -> None:
        clock.advance(seconds)
        allowed[0] = max(allowed[0], 0) + 5 * seconds

    report = run_lab(FORMS["standard"], make_target("standard"), send=send, clock=clock, sleep=sleep)
    assert verdicts_of(report) == set()


def test_after_a_change_of_the_secret_an_app_with_the_former_secret_is_correct() -> None:
    until = {"former_secret": STANDARD_SECRET, "former_until": "2026-02-01T09:30:00.000Z"}
    assert verdicts_of(try_app("standard", secret="whsec_bmV3IHNlY3JldA==", **until)) == set()
    later = {**until, "former_until": "2026-01-30T09:30:00.000Z"}
    assert verdicts_of(try_app("standard", secret="whsec_bmV3IHNlY3JldA==", **later)) == {"refused_genuine"}
