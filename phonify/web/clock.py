"""The clock on the pages: a sign on each page if it is not the real one, and its part of the settings page."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for

from ..clock import parse_time
from ..errors import Fault, Refused
from ..http.current import get_services
from ..schemas.clock import read_duration
from .advances import write_query
from .session import current_account, guard, redirect_to
from .settings import show_page

bp = Blueprint("clock", __name__, url_prefix="/inbox/clock")
guard(bp)


@bp.post("/freeze")
def freeze_clock() -> Response:
    """Stop the clock."""
    clock = get_services().clock
    clock.check_change(current_account())
    clock.freeze()
    return _back()


@bp.post("/run")
def run_clock() -> Response:
    """Let the clock run on."""
    clock = get_services().clock
    clock.check_change(current_account())
    clock.run_on()
    return _back()


@bp.post("/reset")
def reset_clock() -> Response:
    """Set the clock to the real time."""
    clock = get_services().clock
    clock.check_change(current_account())
    clock.reset()
    return _back()


@bp.post("/advance")
def advance_clock() -> Any:
    """Advance the clock by a duration or to a time. The settings page then shows what was done."""
    services, given = get_services(), request.form.get("advance", "").strip()
    services.clock.check_change(current_account())
    try:
        advance = services.make_advancing().advance(_read_goal(given))
    except ValueError:
        return show_page(faults=[Fault("invalid_duration", "advance")], advance=given), 400
    except Refused as error:
        return show_page(faults=[Fault(error.faults[0].type, "advance")], advance=given), 400
    return redirect_to(url_for("settings.show_settings", **write_query(advance), _anchor="clock"))


def _read_goal(text: str) -> timedelta | datetime:
    """Read a duration or a time. Raises ValueError for any other text."""
    try:
        return read_duration(text)
    except ValueError:
        return parse_time(text)


def _back() -> Response:
    return redirect_to(url_for("settings.show_settings", _anchor="clock"))
