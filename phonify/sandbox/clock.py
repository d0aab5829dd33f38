"""The resource /sandbox/clock: stop, advance and reset the clock of the server.

The rate limit does not count these requests. So a client can advance a frozen clock even if the client has reached the
rate limit.
"""

from typing import Any

from flask import Blueprint

from ..domain.server_clock import ServerClock
from ..http.arguments import read_arguments
from ..http.auth import current_account, require_key_only
from ..http.current import get_services
from ..schemas import sandbox_examples as examples
from ..schemas.clock import AdvanceAnswer, AdvanceSchema, ClockAnswer, dump_advance, dump_clock
from ..schemas.description import describe
from ..schemas.requests import load

bp = Blueprint("test_clock", __name__, url_prefix="/sandbox/clock")
bp.before_request(require_key_only)

_ADVANCE = AdvanceSchema()
_ERRORS = ("clock_not_permitted", "clock_not_changeable", "clock_is_advancing")


@bp.get("")
@describe(answers={200: ClockAnswer}, examples=examples.GET_CLOCK, text="This request is allowed with every valid key.")
def get_clock() -> dict[str, Any]:
    """Show the clock of the server."""
    return {"clock": dump_clock(get_services().clock.get_status())}


@bp.post("/freeze")
@describe(
    answers={200: ClockAnswer},
    errors=_ERRORS,
    examples=examples.FREEZE_CLOCK,
    text=(
        "The clock stops for all accounts. `POST /sandbox/clock/run` starts the clock again. `DELETE /sandbox/clock`"
        " sets the clock to the real time, and also starts the clock."
    ),
)
def freeze_clock() -> dict[str, Any]:
    """Stop the clock of the server."""
    _get_clock_to_change().freeze()
    return get_clock()


@bp.post("/run")
@describe(
    answers={200: ClockAnswer},
    errors=_ERRORS,
    examples=examples.RUN_CLOCK,
    text="The clock continues from the time that it shows.",
)
def run_clock() -> dict[str, Any]:
    """Let the clock of the server continue."""
    _get_clock_to_change().run_on()
    return get_clock()


@bp.post("/advance")
@describe(
    arguments=AdvanceSchema,
    at_least_one=True,
    answers={200: AdvanceAnswer},
    errors=(*_ERRORS, "by_or_to", "clock_only_forward", "clock_too_far"),
    examples=examples.ADVANCE_CLOCK,
    text=(
        "Give either a duration (`by`) or the new time (`to`). Phonify does everything that is due up to the new time,"
        " in the order of the due times. Phonify sends scheduled messages, repeats failed attempts, posts webhook"
        " events, ends validity periods, and removes old data. Then it answers. If this takes longer than 20 seconds,"
        " the clock does not reach `target`, and `finished` is false. In this case, advance the clock again."
    ),
)
def advance_clock() -> dict[str, Any]:
    """Advance the clock of the server."""
    services, given = get_services(), load(_ADVANCE, read_arguments())
    services.clock.check_change(current_account())
    advance = services.make_advancing().advance(given["to"] if "to" in given else given["by"])
    return {**get_clock(), "advance": dump_advance(advance)}


@bp.route("", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: ClockAnswer},
    errors=_ERRORS,
    examples=examples.RESET_CLOCK,
    text="The clock shows the real time again. The method `DESTROY` does the same.",
)
def reset_clock() -> dict[str, Any]:
    """Reset the clock of the server to the real time."""
    _get_clock_to_change().reset()
    return get_clock()


def _get_clock_to_change() -> ServerClock:
    """Return the clock of the server. Raises RequestRefused if the account is not allowed to change the clock."""
    clock = get_services().clock
    clock.check_change(current_account())
    return clock
