"""The resource /sandbox/problems: the refused requests and the failed webhooks of an account."""

from typing import Any

from flask import Blueprint

from ..domain.problems import list_problems
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import sandbox_examples as examples
from ..schemas.description import describe
from ..schemas.sandbox import ProblemsAnswer, dump_problems

bp = Blueprint("test_problems", __name__, url_prefix="/problems")


@bp.get("")
@describe(
    answers={200: ProblemsAnswer},
    examples=examples.LIST_PROBLEMS,
    text=(
        "The list has at most 20 problems, of two kinds. A problem of the first kind is a request that the"
        " Twilio-compatible API has refused. A problem of the second kind is a webhook event whose last attempt failed"
        " or got a wrong answer. For example, the status of the answer is not 2xx, or its TwiML has an error. The"
        " messages of the account do not show these problems."
    ),
)
def list_test_problems() -> dict[str, Any]:
    """List the account's latest problems, oldest first."""
    services = get_services()
    found = list_problems(services.fronts, services.webhooks, services.clock, current_account())
    return {"problems": dump_problems(found)}
