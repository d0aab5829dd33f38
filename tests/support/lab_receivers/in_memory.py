"""The lab against an app without a network: the app gets the requests as they would be on the wire."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from phonify.fronts.twilio.lab_form import TwilioForm
from phonify.lab.forms import AppUnderTest, ProviderForm
from phonify.lab.report import Report
from phonify.lab.runner import run_lab
from phonify.lab.standard_form import StandardForm
from phonify.lab.trial import Trial
from phonify.lab.trials import TRIALS
from phonify.outgoing.http_client import Answer, NotAnswered, Request
from tests.support.app import FakeClock

from .app import App
from .faults import SECRETS

FORMS: dict[str, ProviderForm] = {"standard": StandardForm(), "twilio": TwilioForm()}
ADDRESS = "http://app.test"
Send = Callable[[Request], Answer]


def connect(app: App, clock: FakeClock) -> Send:
    """Return a function that gives a request to an app."""

    def send(request: Request) -> Answer:
        begun = clock.monotonic()
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(body) < int(headers.get("content-length", 0)):
            raise NotAnswered("the app waits for the rest of the body", connected=True)
        reply = app.receive(
            request.method, urlsplit(request.url)._replace(fragment="").geturl(), request.query, headers, body
        )
        if not reply.status:
            raise NotAnswered("the connection was closed without an answer")
        if clock.monotonic() - begun > request.timeout:
            raise NotAnswered(f"no answer within {request.timeout:g} seconds", connected=True)
        return Answer(reply.status, reply.body, reply.content_type)

    return send


def make_target(form: str, **changes: Any) -> AppUnderTest:
    """Return the app as the lab knows it."""
    status_url = f"{ADDRESS}/sms" if form == "standard" else f"{ADDRESS}/status"
    target = AppUnderTest(f"{ADDRESS}/sms", status_url, SECRETS[form], probe_url=f"{ADDRESS}/probe")
    return target._replace(**changes)


def try_app(
    form: str,
    fault: str = "",
    *,
    late: float = 0.0,
    send: Send | None = None,
    trials: Sequence[Trial] = TRIALS,
    **changes: Any,
) -> Report:
    """Return the report of a lab."""
    clock = FakeClock()
    app = App(form, fault, late=late, now=clock.monotonic, pause=clock.advance)
    target = make_target(form, **changes)
    post = send or connect(app, clock)
    return run_lab(FORMS[form], target, send=post, clock=clock, sleep=clock.advance, trials=trials)


def verdicts_of(report: Report, trials: Iterable[str] = ()) -> set[str]:
    """Return the verdicts of a report, or of some of its trials."""
    chosen = set(trials)
    return {
        finding.verdict
        for result in report.results
        if not chosen or result.name in chosen
        for finding in result.findings
    }
