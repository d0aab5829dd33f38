"""Undoes one part of a transaction if this part fails. The rest of the transaction can continue.

So one bad row does not block all other rows.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreUnavailable
from .database import translate


class PartFailed(Exception):
    """A part of a transaction failed unexpectedly, and was rolled back. The transaction can continue."""


@contextmanager
def isolating(connection: sqlite3.Connection) -> Iterator[None]:
    """If the `with` block raises an unexpected error, undo the changes of the block and raise PartFailed.

    Some database errors can be temporary. In this case, the function raises the original error, not PartFailed. The
    whole transaction then fails.
    """
    connection.execute("SAVEPOINT part")
    try:
        yield
    except Exception as error:
        if isinstance(translate(error), StoreUnavailable) or not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO part")
        connection.execute("RELEASE part")
        raise PartFailed from error
    connection.execute("RELEASE part")
