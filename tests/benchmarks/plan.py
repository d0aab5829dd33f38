"""The amount of measurements, and the databases for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fill import fill
from servers import Installation, make_database


class Plan(NamedTuple):
    """The amount of measurements."""

    folder: Path  # for databases and logs
    checkout: Path
    former: Path | None
    former_name: str
    sizes: Sequence[int]  # in messages, smallest first
    rounds: int
    queued: int  # queued messages at the start of a drain

    def prepare(self, name: str, size: int, checkout: Path) -> Installation:
        """Return a checkout with a new database of the given size."""
        installation = Installation(checkout, self.folder / f"{name}.db")
        make_database(installation)
        fill(installation.database, size)
        return installation
