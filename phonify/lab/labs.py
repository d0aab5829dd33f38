"""The labs of accounts: start one against the account's own webhook, and keep its report.

A lab runs in a thread of the process that has got the request. Its row tells the other processes that it is running.
"""

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from math import ceil

from ..clock import Clock, format_time, monotonic, parse_time
from ..domain.fronts import Fronts
from ..domain.webhooks import Webhooks
from ..errors import Fault, InvalidRequest, LabRunning, PhonifyError, Refused, StoreUnavailable, TooManyWaiting
from ..ids import generate_ids
from ..outgoing.http_client import send
from ..outgoing.url_guard import BadUrl, check_url
from ..storage import labs as store
from ..storage.database import Database
from ..storage.records import Account, LabRun
from .forms import Form, Target
from .runner import PATIENCE, Lab
from .standard_form import StandardForm

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # longer than a step of a lab
PULSE = 5.0  # seconds after which a lab says again that it is running


class _Ended(Exception):
    """The lab was replaced, its account was removed, or the server is stopping."""


class Labs:
    """The operations on labs. Each is limited to one account."""

    def __init__(self, database: Database, clock: Clock, webhooks: Webhooks, fronts: Fronts) -> None:
        self._database = database
        self._clock = clock
        self._webhooks = webhooks
        self._fronts = fronts
        self._threads: list[threading.Thread] = []
        self.forms: dict[str, Form] = {}
        self.add_form(StandardForm())

    def add_form(self, form: Form) -> None:
        """Add a form: how a provider writes, signs and repeats its requests."""
        self.forms[form.name] = form

    def find(self, account: Account) -> LabRun | None:
        """Return the account's latest lab, or None."""
        with self._database.reading() as connection:
            return store.get_lab(connection, account_id=account.id)

    def is_running(self, lab: LabRun) -> bool:
        """Return whether a lab is running."""
        return lab.finished_at is None and lab.until > format_time(self._clock.machine_now())

    def find_target(self, account: Account, form: Form) -> Target | None:
        """Return the account's registered URL and its secret. Returns None if it has no secret of this form."""
        if form.name == StandardForm.name:
            webhook = self._webhooks.get(account)
            if webhook is None:
                return None
            target = Target(webhook.url, webhook.url, webhook.secret, account_id=account.id)
            return target._replace(former_secret=webhook.former_secret, former_until=webhook.former_until)
        kept = self._fronts.find(account)
        if kept is None:
            return None
        return Target(kept.inbound_url, None, kept.auth_token, kept.inbound_method, account_id=account.id)

    def start(
        self,
        account: Account,
        *,
        form: str = StandardForm.name,
        status_url: str | None = None,
        probe_url: str | None = None,
    ) -> LabRun:
        """Start a lab against the account's own webhook, in a thread.

        Raises InvalidRequest if an argument is not allowed, Refused if the account has no webhook, and LabRunning if
        the account has a lab that is running.
        """
        chosen, target = self._read(account, form, status_url, probe_url)
        now, shown = self._clock.machine_now(), self._clock.now()
        lab = LabRun(account.id, next(generate_ids(shown)), form, format_time(shown), format_time(now + LEASE))
        with self._database.write() as connection:
            latest = store.get_lab(connection, account_id=account.id)
            if latest is not None and self.is_running(latest):
                left = (parse_time(latest.until) - now).total_seconds()
                raise LabRunning(max(1, ceil(min(left, PULSE))))
            store.put_lab(connection, lab=lab)
        thread = threading.Thread(target=self._run, args=(lab, chosen, target), name="lab", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._finish(lab, None)
            raise TooManyWaiting from error
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        return lab

    def _read(self, account: Account, name: str, status_url: str | None, probe_url: str | None) -> tuple[Form, Target]:
        faults = [
            Fault("invalid_webhook_url", param)
            for param, url in (("status_url", status_url), ("probe_url", probe_url))
            if url is not None and not self._is_url(url)
        ]
        form = self.forms.get(name)
        if form is None:
            faults.append(Fault("invalid_form", "form"))
        if faults or form is None:
            raise InvalidRequest(faults)
        target = self.find_target(account, form)
        if target is not None:
            # The account's own webhook has one URL for all events.
            status_url = target.status_url if name == StandardForm.name else status_url
            target = target._replace(status_url=status_url, probe_url=probe_url)
        if target is None or (target.url is None and target.status_url is None):
            raise Refused([Fault("no_webhook")])
        return form, target

    def _is_url(self, url: str) -> bool:
        try:
            check_url(url, private_allowed=self._webhooks.private_allowed)
        except BadUrl:
            return False
        return True

    # Running

    def close(self) -> None:
        """Wait briefly for the labs of this process. They end after `database.stopping` is set."""
        for thread in self._threads:
            thread.join(timeout=2)

    def make_lab(
        self,
        form: Form,
        target: Target,
        *,
        limit: float | None = None,
        patience: float = PATIENCE,
        tell: Callable[[str], None] = lambda _trial: None,
    ) -> Lab:
        """Return a new lab. It posts only to the addresses that webhooks may have."""
        post = partial(send, private_allowed=self._webhooks.private_allowed)
        return Lab(form, target, send=post, clock=self._clock, limit=limit, patience=patience, tell=tell)

    def _run(self, lab: LabRun, form: Form, target: Target) -> None:
        report = None
        try:
            pulse = _Pulse(self._database, partial(self._extend, lab))
            found = self.make_lab(form, target, tell=pulse.beat).run()
            report = json.dumps(found.to_dict())
        except _Ended:
            logger.info("lab %s was ended", lab.id)
        except Exception:
            logger.exception("lab %s failed unexpectedly", lab.id)
        try:
            self._finish(lab, report)
        except PhonifyError:
            logger.exception("the report of lab %s can't be stored", lab.id)

    def _extend(self, lab: LabRun, trial: str) -> None:
        until = format_time(self._clock.machine_now() + LEASE)
        with self._database.write() as connection:
            if not store.extend_lab(connection, lab=lab, trial=trial, until=until):
                raise _Ended

    def _finish(self, lab: LabRun, report: str | None) -> None:
        with self._database.write() as connection:
            store.finish_lab(connection, lab=lab, report=report, now=format_time(self._clock.now()))


class _Pulse:
    """Tells that a lab is running: at the beginning of each trial, and once in PULSE seconds."""

    def __init__(self, database: Database, extend: Callable[[str], None]) -> None:
        self._database = database
        self._extend = extend
        self._last = ("", 0.0)

    def beat(self, trial: str) -> None:
        """Record that the lab is running, if the next pulse is due. Raises _Ended if the server is stopping."""
        if self._database.stopping:
            raise _Ended
        name, at = self._last
        if trial != name or monotonic() - at > PULSE:
            with suppress(StoreUnavailable):  # the next beat tells it
                self._extend(trial)
            self._last = (trial, monotonic())
