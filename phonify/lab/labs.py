"""The labs of accounts. A lab tests the webhook of its account. Phonify stores the report.

A lab runs in a thread of the process that received the request. While the lab runs, a row in the database records
this. Other processes read the row.
"""

import json
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from ..clock import Clock, format_time, monotonic
from ..domain.fronts import Fronts
from ..domain.webhooks import Webhooks
from ..errors import Fault, InvalidRequest, LabRunning, PhonifyError, RequestRefused, StoreUnavailable, TooManyWaiting
from ..ids import generate_ids
from ..outgoing.http_client import Answer, Request, send
from ..storage import labs as store
from ..storage.database import Database
from ..storage.records import Account, LabRun
from .forms import AppUnderTest, ProviderForm
from .runner import run_lab
from .standard_form import StandardForm

logger = logging.getLogger(__name__)

# A running lab renews its lease regularly. A lease is valid for this time. Each request is shorter.
LEASE = timedelta(seconds=60)
PULSE = 5  # seconds between two renewals of the lease


class _Ended(Exception):
    """The lab was replaced, its account was removed, or the server is stopping."""


class Labs:
    """The operations on labs. Each operation is for one account."""

    def __init__(self, database: Database, clock: Clock, webhooks: Webhooks, fronts: Fronts) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._fronts = fronts
        self._threads: list[threading.Thread] = []
        self.forms: dict[str, ProviderForm] = {StandardForm.name: StandardForm()}

    def add_form(self, form: ProviderForm) -> None:
        """Add a description of another provider's requests."""
        self.forms[form.name] = form

    def find(self, account: Account) -> LabRun | None:
        """Return the account's latest lab, or None."""
        with self._database.reading() as connection:
            return store.get_lab(connection, account_id=account.id)

    def is_running(self, lab: LabRun) -> bool:
        """Return whether a lab is running."""
        return lab.finished_at is None and lab.until > format_time(self._clock.machine_now())

    def find_app(self, account: Account, form: ProviderForm) -> AppUnderTest | None:
        """Return the app of the account. If the account has no secret for `form`, return None."""
        if form.name == StandardForm.name:
            webhook = self._webhooks.get(account)
            if webhook is None:
                return None
            app = AppUnderTest(webhook.url, webhook.url, webhook.secret, account_id=account.id)
            return app._replace(former_secret=webhook.former_secret, former_until=webhook.former_until)
        kept = self._fronts.find(account)
        if kept is None:
            return None
        return AppUnderTest(kept.inbound_url, None, kept.auth_token, kept.inbound_method, account_id=account.id)

    def start(
        self,
        account: Account,
        *,
        form: str = StandardForm.name,
        status_url: str | None = None,
        probe_url: str | None = None,
    ) -> LabRun:
        """Start a lab in a thread. The lab tests the account's own webhook.

        Raises InvalidRequest if an argument is wrong, RequestRefused if the account has no webhook, and LabRunning if a
        lab of the account is already running.
        """
        chosen, app = self._read(account, form, status_url, probe_url)
        now, shown = self._clock.machine_now(), self._clock.now()
        lab = LabRun(account.id, next(generate_ids(shown)), form, format_time(shown), format_time(now + LEASE))
        with self._database.write() as connection:
            latest = store.get_lab(connection, account_id=account.id)
            if latest is not None and self.is_running(latest):
                raise LabRunning(retry_after=PULSE)
            store.put_lab(connection, lab=lab)
        thread = threading.Thread(target=self._run, args=(lab, chosen, app), name="lab", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._finish(lab, None)
            raise TooManyWaiting from error
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        return lab

    def _read(
        self, account: Account, name: str, status_url: str | None, probe_url: str | None
    ) -> tuple[ProviderForm, AppUnderTest]:
        urls = {"status_url": status_url, "probe_url": probe_url}
        faults = [
            Fault("invalid_webhook_url", param)
            for param, url in urls.items()
            if url is not None and not self._fronts.is_url(url)
        ]
        form = self.forms.get(name)
        if form is None:
            faults.append(Fault("invalid_form", "form"))
        if faults or form is None:
            raise InvalidRequest(faults)
        app = self.find_app(account, form)
        if app is not None and name != StandardForm.name:  # the account's own webhook has one URL for all events
            app = app._replace(status_url=status_url)
        if app is None or (app.url is None and app.status_url is None):
            raise RequestRefused([Fault("no_webhook")])
        return form, app._replace(probe_url=probe_url)

    # Running

    def close(self) -> None:
        """Wait until the labs of this process have ended. For each lab, wait at most 2 seconds.

        To end the labs, first set `database.stopping`.
        """
        for thread in self._threads:
            thread.join(timeout=2)

    def post(self, request: Request) -> Answer:
        """Send a request from a lab.

        Raises NotAnswered if the app does not answer. Raises the same error if the app's IP address is forbidden for
        webhooks.
        """
        return send(request, private_allowed=self._webhooks.private_allowed)

    def _run(self, lab: LabRun, form: ProviderForm, app: AppUnderTest) -> None:
        report = None
        try:
            pulse = _Pulse(self._database, self._clock, lab)
            report = json.dumps(run_lab(form, app, send=self.post, clock=self._clock, tell=pulse.beat).to_dict())
        except _Ended:
            logger.info("lab %s was ended", lab.id)
        except Exception:
            logger.exception("lab %s failed unexpectedly", lab.id)
        try:
            self._finish(lab, report)
        except PhonifyError:
            logger.exception("the report of lab %s can't be stored", lab.id)

    def _finish(self, lab: LabRun, report: str | None) -> None:
        with self._database.write() as connection:
            store.finish_lab(connection, lab=lab, report=report, now=format_time(self._clock.now()))


@dataclass
class _Pulse:
    """Renews the lease of a running lab, so that other processes see that the lab is still running."""

    database: Database
    clock: Clock
    lab: LabRun
    last: tuple[str, float] = ("", 0.0)  # the trial and the time of the last write

    def beat(self, trial: str) -> None:
        """Renew the lease if a new trial begins, or if the last renewal is more than `PULSE` seconds ago.

        Raises `_Ended` in three cases: the process is stopping, the account was removed, or a new lab has replaced this
        lab.
        """
        if self.database.stopping:
            raise _Ended
        name, at = self.last
        if trial == name and monotonic() - at <= PULSE:
            return
        until = format_time(self.clock.machine_now() + LEASE)
        with suppress(StoreUnavailable), self.database.write() as connection:  # the next call tries again
            if not store.extend_lab(connection, lab=self.lab, trial=trial, until=until):
                raise _Ended
        self.last = (trial, monotonic())
