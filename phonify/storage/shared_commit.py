"""Shared commits: several threads of a process use one transaction, so one sync to disk is enough for all of them.

Each thread runs a block of code. The blocks run one after the other, each in its own savepoint. The thread that
runs the last block commits the transaction. The other threads wait for this commit.

A test had two processes, each with eight threads. The two processes together stored 2,057 messages a second. 99% of
the requests took at most 28 ms. Without shared commits, the processes stored 1,043 messages a second, and 99% of
the requests took at most 90 ms.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..clock import monotonic
from ..errors import StoreUnavailable

LONGEST = 0.1  # seconds; an older transaction is committed after the current block of code


class _Transaction:
    """One transaction and its result."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.begun = monotonic()
        self.ended = threading.Event()
        # The reason for a failed transaction. After a successful COMMIT, the value is None.
        self.error: Exception | None = sqlite3.OperationalError("the transaction was not committed")


class SharedCommit:
    """A transaction that several threads of one process use together.

    The class calls `begin` with a deadline. The deadline is compared with `clock.monotonic()`. `begin` returns a
    connection with an open transaction. After the deadline, `begin` raises sqlite3.OperationalError. After each
    transaction, the class calls the function `ended`. The argument is the error, or None after a successful commit.
    """

    def __init__(self, begin: Callable[[float], sqlite3.Connection], ended: Callable[[Exception | None], None]) -> None:
        self._begin = begin
        self._ended = ended
        self._changed = threading.Condition()
        self._waiting = 0  # number of threads that wait to run a block of code
        self._busy = False  # True while a thread is running a block of code or is committing the transaction
        self._transaction: _Transaction | None = None

    @contextmanager
    def block(self, patience: float) -> Iterator[sqlite3.Connection]:
        """Run a `with` block inside the transaction. When the block has ended, its changes are on disk.

        If a block raises an exception, only the changes of this block are undone. Raises StoreUnavailable in two cases:
        the block could not begin within `patience` seconds, or the commit has failed.
        """
        deadline = monotonic() + patience
        self._enter(patience)
        transaction = None
        try:
            if self._transaction is None:
                self._transaction = _Transaction(self._begin(deadline))
            transaction = self._transaction
            with _savepoint(transaction.connection):
                yield transaction.connection
        finally:
            self._leave()
            if transaction is not None:
                # The thread waits for the commit even if its block raised an exception. The block has possibly read
                # rows that are not yet committed.
                transaction.ended.wait()
                if transaction.error is not None:
                    raise StoreUnavailable from transaction.error

    def _enter(self, patience: float) -> None:
        with self._changed:
            self._waiting += 1
            try:
                free = self._changed.wait_for(lambda: not self._busy, patience)
            finally:
                self._waiting -= 1
            if not free:
                raise StoreUnavailable from TimeoutError("other threads blocked the database for too long")
            self._busy = True

    def _leave(self) -> None:
        """Commit the transaction, or leave the commit to another thread.

        If another thread is waiting and the transaction is younger than `LONGEST`, that thread runs its block next.
        Otherwise, this method commits the transaction.
        """
        transaction = self._transaction
        goes_on = (
            transaction is not None
            and transaction.connection.in_transaction
            and monotonic() - transaction.begun < LONGEST
        )
        with self._changed:
            if self._waiting and goes_on:
                self._busy = False
                self._changed.notify()
                return
        try:
            if transaction is not None:
                try:
                    transaction.error = _commit(transaction.connection)
                finally:
                    self._ended(transaction.error)
        finally:
            with self._changed:
                self._transaction = None
                self._busy = False
                self._changed.notify()
            if transaction is not None:
                transaction.ended.set()


@contextmanager
def _savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("SAVEPOINT block")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # otherwise, SQLite has already rolled back the whole transaction
            try:
                connection.execute("ROLLBACK TO block")
                connection.execute("RELEASE block")
            except sqlite3.Error:
                connection.execute("ROLLBACK")  # undoes the whole transaction, because this block can't be undone alone
                raise
        raise
    if connection.in_transaction:
        connection.execute("RELEASE block")


def _commit(connection: sqlite3.Connection) -> Exception | None:
    """Commit the transaction. Returns the error, or None after success."""
    if not connection.in_transaction:
        return sqlite3.OperationalError("SQLite has rolled back the transaction")
    try:
        connection.execute("COMMIT")
    except (sqlite3.Error, MemoryError) as error:
        return error
    return None
