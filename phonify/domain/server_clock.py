"""The clock of the server. In a sandbox, a developer can stop it, advance it and let it run.

This clock and the machine's clock can show different times. One row of the database contains the difference between the
two clocks. So all processes have the same time. In a sandbox, each call of `now` reads this row. One read takes about
ten microseconds. So nothing is cached.

Some features always use the machine's time: leases, keys, sessions, test runs and webhook signatures.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from ..clock import Clock, format_time, parse_time
from ..errors import Conflict, Fault, RequestRefused, StoreUnavailable
from ..storage import server_clock as store
from ..storage.database import Database
from ..storage.process_lock import ProcessLock
from ..storage.records import Account
from ..storage.server_clock import ClockRow, ClockStatus
from ..storage.upgrades import DatabaseUnusable
from .accounts import DEFAULT_ACCOUNT

MOST_AHEAD = timedelta(days=36_500)
_PATIENCE = 0.1  # seconds; `changing` waits at most this time for the lock
_MILLISECOND = timedelta(milliseconds=1)


class ServerClock(Clock):
    """The clock of the server. A developer can change it only if `can_change` is true."""

    def __init__(self, database: Database, machine: Clock, *, can_change: bool) -> None:
        self._database = database
        self._machine = machine
        self._can_change = can_change
        self._row: ClockRow | None = None

    def now(self) -> datetime:
        """Return the time of the clock. If the database is unreadable, use the row from the last successful read."""
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
        """Return the machine's date and time in UTC."""
        return self._machine.now()

    def monotonic(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return self._machine.monotonic()

    def get_status(self) -> ClockStatus:
        """Return the time of the server's clock, and the time of the machine's clock.

        In the result, `frozen` is true if the server's clock is stopped. `changed` is true if somebody has changed the
        server's clock.
        """
        row = self._read_row()
        frozen = row is not None and row.frozen_at is not None
        return ClockStatus(format_time(self._tell(row)), format_time(self._machine.now()), frozen, row is not None)

    def describe_change(self) -> str | None:
        """Return a text about the difference between the clock and the real time, or None if there is no difference."""
        status = self.get_status()
        if not status.changed:
            return None
        verb = "stands still at" if status.frozen else "shows"
        return f"the clock does not show the real time: it {verb} {status.now}"

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
        """Return whether an account can change the clock.

        Only the account `default` can change the clock, because all accounts share the clock.
        """
        return self._can_change and account.name == DEFAULT_ACCOUNT

    def check_change(self, account: Account) -> None:
        """Raise RequestRefused if an account is not allowed to change the clock."""
        if account.name != DEFAULT_ACCOUNT:
            raise RequestRefused([Fault("clock_not_permitted")])

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold a lock while a `with` block runs. During this time, nobody else can change the clock.

        Raises RequestRefused if the clock of this server can't be changed. Raises Conflict if the clock is being
        advanced.
        """
        if not self._can_change:
            raise RequestRefused([Fault("clock_not_changeable")])
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
        """Stop the clock at its current time."""
        with self.changing():
            self.set_to(self.now(), frozen=True)

    def run_on(self) -> None:
        """Restart a stopped clock. The clock continues from the time that it shows now."""
        with self.changing():
            self.set_to(self.now(), frozen=False)

    def reset(self) -> None:
        """Let the clock show the machine's time again."""
        with self.changing(), self._database.write() as connection:
            store.delete_clock(connection)

    def set_to(self, moment: datetime, *, frozen: bool) -> None:
        """Set the clock to a time. If `frozen` is true, stop the clock. Call this inside `with self.changing()`."""
        ahead_ms = round((moment - self._machine.now()) / _MILLISECOND)
        with self._database.write() as connection:
            store.put_clock(connection, row=ClockRow(ahead_ms, format_time(moment) if frozen else None))
