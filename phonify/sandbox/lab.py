"""The resource /sandbox/lab. The webhook lab tests the account's own webhook."""

from typing import Any

from flask import Blueprint

from ..errors import NotFound
from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import sandbox_examples as examples
from ..schemas.description import describe
from ..schemas.lab import LabAnswer, StartLabSchema, dump_lab
from ..schemas.requests import load

bp = Blueprint("test_lab", __name__, url_prefix="/lab")

_START = StartLabSchema()


@bp.post("")
@describe(
    arguments=StartLabSchema,
    answers={202: LabAnswer},
    errors=("no_webhook", "lab_running", "unknown_argument"),
    examples=examples.START_LAB,
    text=(
        "The lab posts genuine, forged and damaged events to the URL that the account has registered. The lab can"
        " take some minutes. `GET /sandbox/lab` shows its progress and its report. An account has one lab at a time."
    ),
)
def start_lab() -> tuple[dict[str, Any], int]:
    """Start a lab that tests the account's own webhook."""
    lab = get_services().labs.start(current_account(), **load(_START, read_arguments()))
    return {"lab": dump_lab(lab, is_running=True)}, 202


@bp.get("")
@describe(
    answers={200: LabAnswer},
    errors=("not_found",),
    examples=examples.GET_LAB,
    text="The report is kept until the account starts another lab. If the account never had a lab, the answer is 404.",
)
def get_lab() -> dict[str, Any]:
    """Retrieve the account's latest lab."""
    labs = get_services().labs
    lab = labs.find(current_account())
    if lab is None:
        raise NotFound
    return {"lab": dump_lab(lab, is_running=labs.is_running(lab))}
