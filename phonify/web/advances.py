"""Puts the summary of a clock advance into the address of a page. A reload then does not advance the clock again."""

from collections.abc import Mapping
from typing import Any

from ..clock import parse_time
from ..schemas.clock import write_summary
from ..storage.advancing import Advance, Ended
from .reading import read_number


def write_query(advance: Advance) -> dict[str, Any]:
    """Return the parameters of an address that shows what an advance has done."""
    counts = {name: count for name, count in advance.ended._asdict().items() if count}
    more = {} if advance.finished else {"more": 1}
    return {"from": advance.begun_at, "until": advance.ended_at, **counts, **more}


def read_summary(query: Mapping[str, str]) -> str | None:
    """Return the summary of an advance, or None if the address has no valid one. It has only times and counts."""
    begun_at, ended_at = query.get("from", ""), query.get("until", "")
    try:
        if parse_time(begun_at) > parse_time(ended_at):
            return None
    except ValueError:
        return None
    counts = Ended(**{name: read_number(query.get(name)) for name in Ended._fields})
    return write_summary(Advance(begun_at, ended_at, ended_at, "more" not in query, counts))
