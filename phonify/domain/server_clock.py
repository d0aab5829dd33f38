"""The clock of the server. In a sandbox, a developer stops it, advances it and lets it run.

The difference to the machine's clock is a row of the database. So all processes have the same time. The clock of a
sandbox reads this row each time it is asked. The read takes about ten microseconds, so nothing is cached. Leases, keys,
sessions, test runs and the signatures of webhooks follow the machine's clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from ..clock import Clock, format_time, parse_time
from ..errors import Conflict, Fault, Refused, StoreUnavailable
from ..storage import server_clock as store
from ..storage.database import Database
from ..storage.process_lock import ProcessLock
from ..storage.records import Account
from ..storage.server_clock import ClockRow, ClockStatus
from ..storage.upgrades import DatabaseUnusable
from .accounts import DEFAULT_ACCOUNT

MOST_AHEAD = timedelta(days=36_500)
_PATIENCE = 0.1  # seconds to wait for another change that takes no time
_MILLISECOND = timedelta(milliseconds=1)


class ServerClock(Clock):
    """The clock of the server. With `can_change`, a developer may change it."""

    def __init__(self, database: Database, machine: Clock, *, can_change: bool) -> None:
        self._database = database
        self._machine = machine
        self._can_change = can_change
        self._row: ClockRow | None = None

    def now(self) -> datetime:
        """Return the time of the clock. If the database can't be read, the clock goes on as before."""
        return self._tell(self._read_row())

    def _read_row(self) -> ClockRow | None:
        if self._can_change:
            with suppress(StoreUnavailable), self._database.reading() as connection:
                self._row = store.get_clock(connection)
        return self._row

    def _tell(self, row: ClockRow | None) -> datetime:
        if row is None:
            return self._machine.now()
        if row.frozen_at is not None:
            return parse_time(row.frozen_at)
        return self._machine.now() + row.ahead_ms * _MILLISECOND

    def machine_now(self) -> datetime:
        """Return the machine's time of day in UTC."""
        return self._machine.now()

    def monotonic(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return self._machine.monotonic()

    def get_status(self) -> ClockStatus:
        """Return what the clock shows."""
        row = self._read_row()
        frozen = row is not None and row.frozen_at is not None
        return ClockStatus(format_time(self._tell(row)), format_time(self._machine.now()), frozen, row is not None)

    def describe_change(self) -> str | None:
        """Return how the clock differs from the real time, as a text for people. Return None if it does not differ."""
        status = self.get_status()
        if not status.changed:
            return None
        return f"the clock is not the real one: it {'stands still at' if status.frozen else 'shows'} {status.now}"

    def check_start(self) -> None:
        """Raise DatabaseUnusable if the clock was changed and this server sends messages to phones."""
        with self._database.reading() as connection:
            row = store.get_clock(connection)
        if row is not None and not self._can_change:
            raise DatabaseUnusable(
                f"{self._database.path}: its clock was changed and shows {format_time(self._tell(row))}. Messages to"
                " phones need the real time. Use another database. Or run `clock reset` with PHONIFY_GATEWAY=stub and"
                " without PHONIFY_RELEASE_GATEWAY."
            )

    # Changes

    def may_change(self, account: Account) -> bool:
        """Return whether an account may change the clock. Only `default` may, because all accounts share the clock."""
        return self._can_change and account.name == DEFAULT_ACCOUNT

    def check_change(self, account: Account) -> None:
        """Raise Refused if the account may not change the clock."""
        if account.name != DEFAULT_ACCOUNT:
            raise Refused([Fault("clock_not_permitted")])

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Be the only one that changes the clock in this block.

        Raises Refused if the clock of this server can't be changed, and Conflict if the clock is being advanced.
        """
        if not self._can_change:
            raise Refused([Fault("clock_not_changeable")])
        lock = ProcessLock(self._database.path.with_name(f"{self._database.path.name}-clock"))
        try:
            lock.acquire(_PATIENCE)
        except TimeoutError as error:
            raise Conflict([Fault("clock_is_advancing")]) from error
        except OSError as error:
            raise StoreUnavailable from error
        try:
            yield
        finally:
            lock.release()

    def freeze(self) -> None:
        """Stop the clock. It stands at its current time."""
        with self.changing():
            self.stand_at(self.now())

    def run_on(self) -> None:
        """Let the clock run on from the time that it shows."""
        with self.changing():
            self.run_from(self.now())

    def reset(self) -> None:
        """Let the clock show the machine's time again."""
        with self.changing(), self._database.write() as connection:
            store.delete_clock(connection)

    def stand_at(self, moment: datetime) -> None:
        """Set the clock to a time, and stop it there. Call it within `changing`."""
        self._put(moment, format_time(moment))

    def run_from(self, moment: datetime) -> None:
        """Set the clock to a time. The clock runs on from there. Call it within `changing`."""
        self._put(moment, None)

    def _put(self, moment: datetime, frozen_at: str | None) -> None:
        ahead_ms = round((moment - self._machine.now()) / _MILLISECOND)
        with self._database.write() as connection:
            store.put_clock(connection, row=ClockRow(ahead_ms, frozen_at))
