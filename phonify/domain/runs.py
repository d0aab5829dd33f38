"""The rules of test runs. A run is an account with its own key. When the run ends, all its rows are removed."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from math import ceil
from typing import Any, NamedTuple

from ..clock import Clock, format_time, parse_time
from ..errors import Fault, NotFound, RequestRefused, StoreUnavailable, TooManyRuns
from ..ids import generate_ids
from ..storage import accounts as account_store
from ..storage import conversations as conversation_store
from ..storage import fronts as front_store
from ..storage import runs as store
from ..storage.database import Database
from ..storage.front_records import FrontAccount
from ..storage.records import Account, Run
from .accounts import generate_key, hash_key
from .fronts import Fronts, make_token

MOST_RUNS = 100  # of one account, at the same time
_ROWS = 500  # one transaction removes at most this number of rows


class NewRun(NamedTuple):
    """A new run and its API key. `front` contains the run's data for the Twilio-compatible API."""

    run: Run
    api_key: str
    front: FrontAccount


class Runs:
    """The operations on test runs. An account can use a run only if the account has created the run.

    The key of a run gives access to this run only.
    """

    def __init__(self, database: Database, clock: Clock, fronts: Fronts) -> None:
        self._database = database
        self._clock = clock
        self._fronts = fronts

    def create(
        self, account: Account, *, ttl: int, name: str | None = None, front: Mapping[str, Any] | None = None
    ) -> NewRun:
        """Create a run that ends after `ttl` seconds. The run has the default sender and the limits of the account.

        `front` contains the run's settings for the Twilio-compatible API. Raises InvalidRequest if a URL in `front` is
        not allowed. Raises RequestRefused if the account belongs to a run. Raises TooManyRuns if the account already
        has MOST_RUNS runs.
        """
        if account.creator_id is not None:
            raise RequestRefused([Fault("run_cannot_create_runs")])
        settings = front or {}
        self._fronts.check(settings)
        key = generate_key()
        with self._database.write() as connection:
            moment = self._clock.machine_now()
            now = format_time(moment)
            live = store.list_live_runs(connection, creator_id=account.id, now=now)
            if len(live) >= MOST_RUNS:
                first_end = min(parse_time(run.expires_at) for run in live)
                raise TooManyRuns(retry_after=ceil((first_end - moment).total_seconds()))
            run_id = next(generate_ids(moment, after=store.get_last_run_id(connection)))
            # SQLite can give the id of a removed account to a new account. If a request of the removed account is still
            # waiting, it would then see the new account. So the id is random. It is also negative. So the ids of other
            # accounts stay in the order of their creation.
            owner = account_store.insert_account(
                connection, name=f"run {run_id}", origin=account.origin, now=now, account_id=-secrets.randbits(52) - 1
            )
            expires_at = format_time(moment + timedelta(seconds=ttl))
            run = Run(run_id, owner.id, account.id, name, now, expires_at)
            store.insert_run(connection, run=run)
            account_store.insert_key(connection, account_id=owner.id, name="run", key_hash=hash_key(key), now=now)
            kept = FrontAccount(owner.id, make_token())._replace(**settings)
            front_store.put_front_account(connection, account=kept)
        return NewRun(run, key, kept)

    def find_all(self, account: Account) -> list[Run]:
        """Return the active runs of an account, newest first. The result has no ended runs."""
        with self._database.reading() as connection:
            return store.list_live_runs(connection, creator_id=account.id, now=format_time(self._clock.machine_now()))

    def find(self, account: Account, run_id: str) -> Run:
        """Return a run that has not ended. Raises NotFound if there is no such run, or if the account can't see it."""
        with self._database.reading() as connection:
            run = store.get_live_run(connection, run_id=run_id, now=format_time(self._clock.machine_now()))
        return _check(account, run)

    def count_messages(self, run: Run) -> int:
        """Return how many messages a run has."""
        with self._database.reading() as connection:
            return conversation_store.count_messages(connection, account_id=run.account_id)

    def end(self, account: Account, run_id: str) -> Run:
        """End a run immediately, and remove all its rows. Raises NotFound in the same cases as `find`."""
        with self._database.write() as connection:
            now = format_time(self._clock.machine_now())
            run = _check(account, store.get_live_run(connection, run_id=run_id, now=now))
            run = run._replace(expires_at=now)
            store.end_run(connection, run=run)
        with suppress(StoreUnavailable):  # the run has ended, and the upkeep removes the other rows later
            self._remove(run.account_id)
        return run

    def remove_ended(self) -> None:
        """Remove all rows of runs that have ended."""
        with self._database.reading() as connection:
            account_ids = store.list_ended_accounts(connection, now=format_time(self._clock.machine_now()))
        for account_id in account_ids:
            self._remove(account_id)

    def _remove(self, account_id: int) -> None:
        """Remove all rows of a run's account. Each transaction is small, so other writers never wait long."""
        removed = False
        while not removed and not self._database.stopping:
            with self._database.write() as connection:
                removed = store.delete_account_rows(connection, account_id=account_id, limit=_ROWS)


def _check(account: Account, run: Run | None) -> Run:
    if run is None or account.id not in (run.creator_id, run.account_id):
        raise NotFound
    return run
