"""The page of all messages. A person can filter the messages, and can search for a text or a number."""

from typing import Any, get_args

from flask import Blueprint, render_template, request

from ..clock import monotonic
from ..domain.conversations import END, Found
from ..errors import HIGHEST_MAX_BODY
from ..http.current import get_services
from ..sms.numbers import list_searched_numbers
from ..storage.records import Direction, State
from .reading import count_unread, find_copies, read_number
from .session import current_account, guard

SEARCH_TIME = 0.2  # seconds
RESULTS = 50  # the maximum number on one page
# The name of each filter, and the query parameters of the filter's link.
FILTERS: list[tuple[str, dict[str, str]]] = [
    ("All", {}),
    ("Errors", {"state": "error"}),
    ("Scheduled", {"state": "scheduled"}),
    ("Received", {"direction": "inbound"}),
]

bp = Blueprint("search", __name__)
guard(bp)


@bp.get("/inbox/search")
def search() -> str:
    """Show the messages that match the search and the filters. An empty search string matches all messages."""
    given = {name: request.args.get(name, "").strip() or None for name in ("q", "state", "direction")}
    below: int | None = read_number(request.args.get("below"), END)
    numbers = list_searched_numbers(given["q"] or "")
    if given["q"] and (len(given["q"]) > HIGHEST_MAX_BODY or "\0" in given["q"]):
        below = None  # find nothing
    found, begun = Found([], below), monotonic()
    # Each call searches a limited number of messages. If a call finds nothing, the next call searches older messages.
    while not found.entries and found.next is not None and monotonic() - begun < SEARCH_TIME:
        found = get_services().conversations.search(
            current_account(), text=given["q"], numbers=numbers, below=found.next, limit=RESULTS, **_read_filter(given)
        )
    page: dict[str, Any] = {"found": found, "given": given, "numbers": numbers, "copies": find_copies(found.entries)}
    if "HX-Request" in request.headers:
        return render_template("inbox/results.html", **page)
    chosen = {name: value for name, value in given.items() if value and name != "q"}
    page |= {"filters": FILTERS, "chosen": chosen, "count": _count(found, given["q"], "below" in request.args)}
    return render_template("inbox/search.html", unread=count_unread(), **page)


def _read_filter(given: dict[str, str | None]) -> dict[str, Any]:
    state, direction = given["state"], given["direction"]
    return {
        "state": state if state in get_args(State) and state != "error" else None,
        "failed": state == "error",  # this includes undelivered messages, although their state is `sent`
        "direction": direction if direction in get_args(Direction) else None,
        "scheduled": state == "scheduled",
    }


def _count(found: Found, text: str | None, older: bool) -> str:
    """Return a phrase that says how many results this page shows, such as `3 older results`."""
    number, name = len(found.entries), f"{'older ' if older else ''}{'result' if text else 'message'}"
    if found.next is not None and number == RESULTS:
        return f"More than {number} {name}s"
    return f"{number} {name}{'' if number == 1 else 's'}{'' if found.next is None else ' so far'}"
