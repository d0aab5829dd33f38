"""The search page. It finds messages by text or number, state and direction."""

from typing import cast, get_args

from flask import Blueprint, render_template, request

from ..clock import monotonic
from ..domain.conversations import END, Found
from ..errors import HIGHEST_MAX_BODY
from ..http.current import get_services
from ..storage.records import Direction, State
from . import display
from .reading import read_conversations, read_number
from .session import current_account, guard

SEARCH_TIME = 0.2  # seconds

bp = Blueprint("search", __name__, template_folder="templates")
guard(bp)


@bp.get("/inbox/search")
def search() -> str:
    """Show the messages that match the search."""
    given = {name: request.args.get(name, "").strip() or None for name in ("q", "state", "direction")}
    state = cast("State", given["state"]) if given["state"] in get_args(State) else None
    direction = cast("Direction", given["direction"]) if given["direction"] in get_args(Direction) else None
    below: int | None = read_number(request.args.get("below"), END)
    if given["q"] and (len(given["q"]) > HIGHEST_MAX_BODY or "\0" in given["q"]):
        below = None  # find nothing
    found, begun = Found([], below), monotonic()
    # One call searches a limited number of messages. If it finds nothing, search older messages for a short time.
    while not found.entries and found.next is not None and monotonic() - begun < SEARCH_TIME:
        found = get_services().conversations.search(
            current_account(), text=given["q"], state=state, direction=direction, below=found.next
        )
    page = {"found": found, "given": given, "cut_matches": display.cut_matches}
    if "HX-Request" in request.headers:
        return render_template("inbox/results.html", **page)
    return render_template("inbox/search.html", **read_conversations(), **page)
