"""A part of a transaction can fail separately. So one bad row does not block all other rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreUnavailable
from .database import translate


class PartFailed(Exception):
    """A part has failed unexpectedly, and its changes are undone. The transaction can continue."""


@contextmanager
def isolating(connection: sqlite3.Connection) -> Iterator[None]:
    """If the `with` block raises an unexpected error, undo the changes of the block and raise PartFailed.

    Some database errors can be temporary. Such an error is raised unchanged, and the whole transaction fails.
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
