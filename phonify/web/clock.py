"""The forms that change the clock. They are on the settings page."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for

from ..clock import parse_time
from ..errors import Fault, RequestRefused
from ..http.current import get_services
from ..schemas.clock import read_duration
from .advances import write_query
from .session import current_account, guard, redirect_to
from .settings import show_page

bp = Blueprint("clock", __name__, url_prefix="/inbox/clock")
guard(bp)


@bp.before_request
def check_account() -> None:
    """Refuse an account that is not allowed to change the clock."""
    get_services().clock.check_change(current_account())


@bp.post("/freeze")
def freeze_clock() -> Response:
    """Stop the clock."""
    get_services().clock.freeze()
    return _back()


@bp.post("/run")
def run_clock() -> Response:
    """Start the stopped clock again. It continues from the time that it shows."""
    get_services().clock.run_on()
    return _back()


@bp.post("/reset")
def reset_clock() -> Response:
    """Set the clock to the real time."""
    get_services().clock.reset()
    return _back()


@bp.post("/advance")
def advance_clock() -> Any:
    """Advance the clock by a duration or to a time. The settings page then shows a summary."""
    given, advancing = request.form.get("advance", "").strip(), get_services().make_advancing()
    try:
        advance = advancing.advance(_read_goal(given))
    except ValueError:
        return show_page(faults=[Fault("invalid_duration", "advance")], advance=given), 400
    except RequestRefused as error:
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
