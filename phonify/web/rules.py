"""The page for the sandbox's rules. The module also handles the form that sets the outcome of one message."""

from collections.abc import Collection, Mapping
from math import ceil
from typing import Any

from flask import Blueprint, render_template, request, url_for

from ..clock import parse_time
from ..domain.rules import MOST_RULES
from ..errors import ERROR_TYPES, MESSAGE_ERRORS, Fault, PhonifyError
from ..http.current import get_services
from ..schemas.requests import load
from ..schemas.rule_words import describe_match, describe_outcome, describe_scenario_fault
from ..schemas.rules import CreateRuleSchema, OutcomeSchema, dump_rule, read_scenario
from ..sms.numbers import read_typed_number
from .conversations import show_detail
from .reading import count_unread, normalize_lines, read_number
from .rendering import place_faults
from .session import current_account, guard, redirect_to

# The fields of the form, from top to bottom.
FIELDS = (
    *("name", "to", "origin", "direction", "contains", "pattern", "nth", "share", "seed"),
    *("outcome", "error", "seconds", "times", "reply", "status", "uses", "ttl"),
)

bp = Blueprint("rules", __name__, url_prefix="/inbox")
guard(bp)

_RULE = CreateRuleSchema()
_OUTCOME = OutcomeSchema()


@bp.get("/rules")
def show_rules() -> str:
    """Show the rules of the account, and the form for a new rule."""
    return _show()


@bp.post("/rules")
def create_rule() -> Any:
    """Create a rule."""
    given = _read_form()
    try:
        get_services().rules.create(current_account(), load(_RULE, given))
    except PhonifyError as error:
        return _show(error.faults, given=given), 400
    return _back()


@bp.get("/rules/<rule_id>")
def show_rule(rule_id: str) -> str:
    """Show the form that changes a rule."""
    services = get_services()
    rule = services.rules.find(current_account(), rule_id)
    given = dump_rule(rule)
    if rule.expires_at is not None:
        left = (parse_time(rule.expires_at) - services.clock.now()).total_seconds()
        given["ttl"] = max(ceil(left), 1)
    return _show(given=given, changed_id=rule_id)


@bp.post("/rules/<rule_id>")
def change_rule(rule_id: str) -> Any:
    """Replace a rule."""
    given, rules = _read_form(), get_services().rules
    rules.find(current_account(), rule_id)  # raises NotFound
    try:
        rules.change(current_account(), rule_id, load(_RULE, given))
    except PhonifyError as error:
        return _show(error.faults, given=given, changed_id=rule_id), 400
    return _back()


@bp.post("/rules/<rule_id>/move")
def move_rule(rule_id: str) -> Any:
    """Move a rule up or down."""
    position = max(read_number(request.form.get("position"), 1), 1)
    get_services().rules.move(current_account(), rule_id, min(position, MOST_RULES))
    return _back()


@bp.post("/rules/<rule_id>/delete")
def delete_rule(rule_id: str) -> Any:
    """Delete a rule."""
    get_services().rules.delete(current_account(), rule_id)
    return _back()


@bp.post("/rules/scenario")
def load_scenario() -> Any:
    """Replace all rules with the rules of a scenario."""
    text = normalize_lines(request.form.get("scenario", ""))
    try:
        get_services().rules.load(current_account(), read_scenario(text))
    except PhonifyError as error:
        return _show(scenario=text, scenario_faults=[describe_scenario_fault(fault) for fault in error.faults]), 400
    return _back()


@bp.post("/messages/<message_id>/outcome")
def force_outcome(message_id: str) -> Any:
    """Set the outcome of one message.

    The form field `outcome` contains one or two words. The first word is an outcome, for example `sent`. The second
    word is an error type. For example, `failed invalid_number` contains both.
    """
    outcome, _, error = request.form.get("outcome", "").partition(" ")
    arguments = {"outcome": outcome, "error": error} if error else {"outcome": outcome}
    try:
        get_services().rules.force(current_account(), message_id, load(_OUTCOME, arguments))
    except PhonifyError as problem:
        return show_detail(message_id, faults=problem.faults), 400
    if "HX-Request" in request.headers:
        return show_detail(message_id)
    return redirect_to(url_for("inbox.show_message", message_id=message_id))


def _read_form() -> dict[str, str]:
    """Return the fields of the form that are not empty."""
    given = {name: normalize_lines(value).strip() for name, value in request.form.items()}
    for name in {"to", "origin"} & given.keys():
        given[name] = given[name] if given[name].endswith("*") else read_typed_number(given[name])
    return {name: value for name, value in given.items() if value}


def _back() -> Any:
    return redirect_to(url_for("rules.show_rules"))


def _show(faults: Collection[Fault] = (), *, given: Mapping[str, Any] | None = None, **context: Any) -> str:
    rules = get_services().rules.find_all(current_account())
    rows = [(rule, describe_match(rule), describe_outcome(rule)) for rule in rules]
    return render_template(
        "inbox/rules.html",
        rows=rows,
        given={"outcome": "failed"} if given is None else given,
        error_choices=[(name, f"{name}: {ERROR_TYPES[name].title}") for name in MESSAGE_ERRORS],
        unread=count_unread(),
        **place_faults(faults, FIELDS),
        **context,
    )
