"""Puts a summary into the URL of the settings page. The summary says what happened while the clock was advanced.

If the browser reloads the page, the page shows the same summary. Phonify does not advance the clock a second time.
"""

from collections.abc import Mapping
from typing import Any

from ..clock import parse_time
from ..schemas.clock import write_summary
from ..storage.advancing import Advance, Ended
from .reading import read_number


def write_query(advance: Advance) -> dict[str, Any]:
    """Convert an `Advance` object into URL parameters. The parameters contain times and numbers."""
    counts = {name: count for name, count in advance.ended._asdict().items() if count}
    more = {} if advance.finished else {"more": 1}
    return {"from": advance.begun_at, "until": advance.ended_at, **counts, **more}


def read_summary(query: Mapping[str, str]) -> str | None:
    """Make the summary from the parameters of the URL. Returns None if the parameters are not valid.

    The summary has only times and counts. So the author of a link can't choose the text on the page.
    """
    begun_at, ended_at = query.get("from", ""), query.get("until", "")
    try:
        if parse_time(begun_at) > parse_time(ended_at):
            return None
    except ValueError:
        return None
    counts = Ended(**{name: read_number(query.get(name)) for name in Ended._fields})
    return write_summary(Advance(begun_at, ended_at, ended_at, "more" not in query, counts))
