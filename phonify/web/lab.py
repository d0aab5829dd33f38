"""The page of the webhook lab: start a lab, watch it, read its report. The page exists only in a sandbox."""

from collections.abc import Collection, Mapping
from typing import Any

from flask import Blueprint, render_template, request, url_for

from ..errors import Fault, PhonifyError
from ..http.current import get_services
from ..lab.probe import NO_PROBE
from ..lab.report import ANSWERS_ONLY
from ..schemas.lab import StartLabSchema, dump_lab
from ..schemas.requests import load
from .reading import count_unread
from .rendering import answer_fragment, place_faults
from .session import current_account, guard, redirect_to

FIELDS = ("form", "status_url", "probe_url")  # from top to bottom

bp = Blueprint("lab", __name__, url_prefix="/inbox/lab")
guard(bp)


@bp.get("")
def show_lab() -> str:
    """Show the form and the account's latest lab."""
    return _show({})


@bp.post("")
def start_lab() -> Any:
    """Start a lab. It posts to the account's own app."""
    given = {name: request.form[name].strip() for name in FIELDS if name in request.form}
    try:
        get_services().labs.start(current_account(), **load(StartLabSchema(), given))
    except PhonifyError as error:
        return _show(given, error.faults), 400
    return redirect_to(url_for("lab.show_lab", _anchor="report"))


@bp.get("/report")
def show_report() -> Any:
    """Show the current state of the account's latest lab."""
    return answer_fragment("inbox/lab_report.html", _read_lab())


def _read_lab() -> dict[str, Any]:
    labs = get_services().labs
    lab = labs.find(current_account())
    shown = dump_lab(lab, is_running=labs.is_running(lab)) if lab is not None else None
    return {"lab": shown, "no_probe": NO_PROBE, "answers_only": ANSWERS_ONLY}


def _show(given: Mapping[str, str], faults: Collection[Fault] = ()) -> str:
    labs, account = get_services().labs, current_account()
    targets = {form.name: (form.title, labs.find_app(account, form)) for form in labs.forms.values()}
    page = {"given": given, "targets": targets, "unread": count_unread(), **_read_lab(), **place_faults(faults, FIELDS)}
    return render_template("inbox/lab.html", **page)
