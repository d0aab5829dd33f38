"""How much is measured, and the databases that it is measured with."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fill import fill
from servers import Installation, make_database


class Plan(NamedTuple):
    """How much is measured."""

    folder: Path  # for databases and logs
    checkout: Path
    former: Path | None
    former_name: str
    sizes: Sequence[int]  # in messages, the least first
    rounds: int
    queued: int  # messages that a drain begins with

    def prepare(self, name: str, size: int, checkout: Path) -> Installation:
        """Return a checkout with a new database of the given size."""
        installation = Installation(checkout, self.folder / f"{name}.db")
        make_database(installation)
        fill(installation.database, size)
        return installation
