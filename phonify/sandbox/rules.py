"""The resource /sandbox/rules. Rules decide what happens to the messages and requests of an account."""

from typing import Any

from flask import Blueprint

from ..http.arguments import read_arguments
from ..http.auth import current_account
from ..http.current import get_services
from ..schemas import rule_examples as examples
from ..schemas.description import describe
from ..schemas.requests import load
from ..schemas.rules import (
    RULE_ERRORS,
    ChangeRuleSchema,
    CreateRuleSchema,
    MoveSchema,
    RuleAnswer,
    RulesAnswer,
    ScenarioSchema,
    dump_rule,
    dump_rules,
    read_scenario,
)

bp = Blueprint("test_rules", __name__, url_prefix="/rules")

_RULE = CreateRuleSchema()
_MOVE = MoveSchema()
_SCENARIO = ScenarioSchema()
_RULE_ID = {"rule_id": "$response.body#/rule/id"}
_FAULTS = ("unknown_argument", "argument_without_effect")


@bp.get("")
@describe(
    answers={200: RulesAnswer},
    examples=examples.LIST_RULES,
    text=(
        "Phonify applies the first rule that matches. If no rule matches, and the recipient is a special number,"
        " Phonify uses the outcome of the special number."
    ),
)
def list_rules() -> dict[str, Any]:
    """List the account's rules, in the order in which Phonify checks the rules."""
    return {"rules": dump_rules(get_services().rules.find_all(current_account()))}


@bp.post("")
@describe(
    arguments=CreateRuleSchema,
    answers={201: RuleAnswer},
    errors=(*_FAULTS, "too_many_rules"),
    examples=examples.CREATE_RULE,
    links=dict.fromkeys(("get_rule", "change_rule", "delete_rule", "move_rule"), _RULE_ID),
    text="The rule applies to later messages and requests.",
)
def create_rule() -> tuple[dict[str, Any], int]:
    """Create a rule."""
    draft = load(_RULE, read_arguments())
    return {"rule": dump_rule(get_services().rules.create(current_account(), draft))}, 201


@bp.put("")
@describe(
    arguments=ScenarioSchema,
    answers={200: RulesAnswer},
    errors=(*_FAULTS, *RULE_ERRORS, "too_many_rules"),
    examples=examples.LOAD_RULES,
    text="The rules of the scenario replace all rules of the account, and all counts begin at 0.",
)
def load_scenario() -> dict[str, Any]:
    """Replace the account's rules with the rules of a scenario file."""
    drafts = read_scenario(load(_SCENARIO, read_arguments())["scenario"])
    return {"rules": dump_rules(get_services().rules.load(current_account(), drafts))}


@bp.route("", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: RulesAnswer},
    examples=examples.DELETE_RULES,
    text="The answer has an empty list of rules. The method `DESTROY` does the same.",
)
def delete_rules() -> dict[str, Any]:
    """Delete all rules of the account."""
    return {"rules": dump_rules(get_services().rules.load(current_account(), []))}


@bp.get("/<rule_id>")
@describe(answers={200: RuleAnswer}, examples=examples.GET_RULE)
def get_rule(rule_id: str) -> dict[str, Any]:
    """Retrieve one rule."""
    return {"rule": dump_rule(get_services().rules.find(current_account(), rule_id))}


@bp.put("/<rule_id>")
@describe(
    arguments=ChangeRuleSchema,
    answers={200: RuleAnswer},
    errors=_FAULTS,
    examples=examples.CHANGE_RULE,
    text="The arguments replace the whole rule. Its counts begin again at 0. It keeps its id and its position.",
)
def change_rule(rule_id: str) -> dict[str, Any]:
    """Replace a rule."""
    draft = load(_RULE, read_arguments())
    return {"rule": dump_rule(get_services().rules.change(current_account(), rule_id, draft))}


@bp.post("/<rule_id>/move")
@describe(
    arguments=MoveSchema,
    answers={200: RuleAnswer},
    errors=("unknown_argument",),
    examples=examples.MOVE_RULE,
    text="The values of `seen` and `used` stay the same.",
)
def move_rule(rule_id: str) -> dict[str, Any]:
    """Move a rule to another position in the list."""
    position = load(_MOVE, read_arguments())["position"]
    return {"rule": dump_rule(get_services().rules.move(current_account(), rule_id, position))}


@bp.route("/<rule_id>", methods=["DELETE", "DESTROY"])
@describe(
    answers={200: RuleAnswer},
    examples=examples.DELETE_RULE,
    text=(
        "If Phonify has already applied the rule to a message, the outcome of this message stays the same. The method"
        " `DESTROY` does the same."
    ),
)
def delete_rule(rule_id: str) -> dict[str, Any]:
    """Delete a rule."""
    return {"rule": dump_rule(get_services().rules.delete(current_account(), rule_id))}
