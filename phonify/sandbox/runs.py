"""The resource /sandbox/runs. A run is a temporary account. Each test can have its own run."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import sandbox_examples as examples
from ..schemas.description import describe
from ..schemas.front_requests import CreateRunSchema
from ..schemas.requests import load
from ..schemas.sandbox import NewRunAnswer, RunAnswer, RunsAnswer, dump_new_run, dump_run

bp = Blueprint("test_runs", __name__, url_prefix="/runs")

_CREATE = CreateRunSchema()
_RUN_ID = {"run_id": "$response.body#/run/id"}


@bp.post("")
@describe(
    arguments=CreateRunSchema,
    answers={201: NewRunAnswer},
    errors=("run_cannot_create_runs", "too_many_runs"),
    examples=examples.CREATE_RUN,
    links={"get_run": _RUN_ID, "end_run": _RUN_ID},
    text=(
        "A run is a separate account with its own key and its own messages. Only this answer shows the key. After `ttl`"
        " seconds, the run and all its data are removed. The requests and messages of the run count toward the limits"
        " of the account that created the run. In the answer, `twilio` contains the run's credentials"
        " for the Twilio-compatible API."
    ),
)
def create_run() -> tuple[dict[str, Any], int]:
    """Create a run, which is an account for one test."""
    created = get_services().runs.create(current_account(), **load(_CREATE, read_arguments()))
    return {"run": dump_new_run(created.run, api_key=created.api_key, front=created.front)}, 201


@bp.get("")
@describe(answers={200: RunsAnswer}, examples=examples.LIST_RUNS, text="Runs that have ended are not in the list.")
def list_runs() -> dict[str, Any]:
    """List the account's runs, newest first."""
    return {"runs": [dump_run(run) for run in get_services().runs.find_all(current_account())]}


@bp.get("/<run_id>")
@describe(answers={200: RunAnswer}, examples=examples.GET_RUN, text="You can also use the key of the run.")
def get_run(run_id: str) -> dict[str, Any]:
    """Retrieve one run of the account."""
    return {"run": dump_run(get_services().runs.find(current_account(), run_id))}


@bp.route("/<run_id>", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: RunAnswer},
    examples=examples.END_RUN,
    text=(
        "The messages and all other data of the run are removed. After that, the answer to a"
        " request with the run's key is 401. The webhook of the run gets no more events. To end the run, use the key of"
        " the run, or the key of the account that created the run. The method `DESTROY` does the same."
    ),
)
def end_run(run_id: str) -> dict[str, Any]:
    """End a test run that the account has created."""
    return {"run": dump_run(get_services().runs.end(current_account(), run_id))}
