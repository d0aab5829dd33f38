"""Schemas for the sandbox rules. They check requests and build answers. This module also reads scenario files."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, get_args

from marshmallow import Schema, ValidationError, fields, post_dump, post_load, validate, validates_schema

from ..errors import MESSAGE_ERRORS, OUTCOMES, SIMULATED_FAULTS, Fault, InvalidRequest, RuleOutcome
from ..sms.numbers import parse_originator
from ..storage.rule_records import Rule
from .fields import (
    Argument,
    NumericArgument,
    WholeArgument,
    choice_field,
    list_error_types,
    name_field,
    read_decimal,
    read_own_number,
    search_field,
    whole_field,
)
from .objects import MOMENT, RecordSchema, Shown
from .requests import StrictSchema, load

_MAX_VALUE = 1_000_000  # the maximum count, and the maximum number of seconds
_MAX_DELAY = 30  # seconds; the longest delay of the outcome `api_slow`
# The arguments that an outcome can have, and whether each is required.
ARGUMENTS: dict[RuleOutcome, dict[str, bool]] = {
    "sent": {},
    "refused": {"error": True},
    "failed": {"error": True},
    "delayed": {"seconds": True},
    "unavailable": {"times": False},
    "unconfirmed": {},
    "delivered": {"seconds": False},
    "undelivered": {"seconds": False, "error": False},
    "reply": {"reply": True, "seconds": False},
    "api_error": {"status": True},
    "api_slow": {"seconds": True},
}
_FOR_ONE_MESSAGE = tuple(outcome for outcome in OUTCOMES if outcome not in ("refused", "api_error", "api_slow"))
_OUTCOME_ARGUMENTS = ("error", "seconds", "times", "reply", "status")


class RuleDraft(NamedTuple):
    """A rule that a request contains. The rule is valid, but it has no id yet."""

    rule: Rule
    ttl: int | None = None  # seconds until it ends
    position: int | None = None  # if None, a new rule becomes the last, and a changed rule keeps its place


def _read_recipient(text: str) -> str:
    """Parse a number, such as `+4915123456789`, or the prefix of a number, such as `+49*`."""
    return text if re.fullmatch(r"\+?[0-9]{1,15}\*", text) else read_own_number(text).number


def _read_sender(text: str) -> str:
    """Parse a sender, such as `MyShop`, or the prefix of a sender, such as `My*`."""
    return text if re.fullmatch(r"\+?[A-Za-z0-9 ]{1,15}\*", text) else parse_originator(text).number


def _number_field(read: Callable[[str], str], form: str, whose: str, attribute: str) -> Argument:
    shown = {
        "type": "string",
        "minLength": 1,
        "maxLength": 17,
        "format": form,
        "description": f"The rule applies to messages {whose}. `+49*` means all numbers that begin with +49.",
        "examples": ["+49*"],
    }
    return Argument(read, invalid="invalid_match", form=shown, attribute=attribute)


def _count_field(description: str, **options: Any) -> Argument:
    return whole_field(1, _MAX_VALUE, invalid="invalid_count", description=description, **options)


class OutcomeSchema(StrictSchema):
    """The arguments for setting the outcome of one message. `load` returns a `RuleDraft`."""

    outcomes = _FOR_ONE_MESSAGE

    outcome = choice_field(*OUTCOMES, invalid="invalid_outcome", description="What happens.", required=True)
    error = choice_field(
        *MESSAGE_ERRORS,
        invalid="invalid_error_type",
        description="The error type for the outcome `refused`, `failed` or `undelivered`.",
        attribute="error_type",
    )
    seconds = NumericArgument(
        read_decimal,
        invalid="invalid_seconds",
        form={
            "description": "A delay in seconds. The outcome determines what Phonify delays: the message, the receipt,"
            " the reply, or the API's answer."
        },
        validate=validate.Range(0, _MAX_VALUE, error="invalid_seconds"),
    )
    times = _count_field("With `unavailable`: the number of attempts that fail. The default is 1.")
    reply = search_field("The text that the phone sends.")
    status = WholeArgument(
        int,
        invalid="invalid_status",
        form={"description": "The status of `api_error`."},
        validate=validate.OneOf([*SIMULATED_FAULTS], error="invalid_status"),
    )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_outcome(self, loaded: dict[str, Any], given: Mapping[str, Any], **_: Any) -> None:
        """Check that the outcome is allowed. Check that the arguments fit this outcome."""
        outcome = loaded.get("outcome")
        if outcome not in ARGUMENTS:
            return
        known, faults = ARGUMENTS[outcome], {}
        if outcome not in self.outcomes or (loaded.get("direction") == "inbound" and outcome != "reply"):
            faults["outcome"] = ["invalid_outcome"]
        for name in _OUTCOME_ARGUMENTS:
            if name in given and name not in known:
                faults[name] = ["argument_without_effect"]
            elif known.get(name) and name not in given:
                faults[name] = ["missing_argument"]
        if outcome == "api_slow" and loaded.get("seconds", 0) > _MAX_DELAY:
            faults["seconds"] = ["invalid_seconds"]
        if faults:
            raise ValidationError(faults)

    @post_load
    def make_draft(self, loaded: dict[str, Any], **_: Any) -> RuleDraft:
        """Return the arguments as a RuleDraft."""
        ttl, position = loaded.pop("ttl", None), loaded.pop("position", None)
        if loaded["outcome"] == "reply":
            loaded.setdefault("seconds", 1.0)
        return RuleDraft(Rule(**loaded), ttl, position)


class CreateRuleSchema(OutcomeSchema):
    """The arguments of a rule. `load` returns a `RuleDraft`."""

    outcomes = OUTCOMES

    name = name_field("A name for people.")
    to = _number_field(_read_recipient, "recipient-or-beginning", "to this number", "to_number")
    origin = _number_field(_read_sender, "sender-or-beginning", "from this sender", "origin_number")
    contains = search_field(
        "The rule applies to messages with this text in the body. The case of letters does not matter."
    )
    pattern = search_field(
        "The rule applies to messages whose whole body matches this pattern. `*` means any text, and `?` means one"
        " character. The case of letters does not matter."
    )
    direction = choice_field(
        "outbound", "inbound", invalid="invalid_direction", description="`outbound` is the default."
    )
    nth = _count_field("A match is a message or a request. If `nth` is 2, the rule applies only to the second match.")
    share = NumericArgument(
        read_decimal,
        invalid="invalid_share",
        form={"description": "The rule applies to this percentage of all matches. The selection depends on `seed`."},
        validate=validate.Range(0.001, 100, error="invalid_share"),
    )
    seed = whole_field(
        0, 2**31 - 1, invalid="invalid_seed", description="The same seed gives the same selection. The default is 0."
    )
    uses = _count_field("The rule ends after this number of uses.")
    ttl = _count_field("The rule ends after this number of seconds.")
    position = _count_field("The position in the list, counted from 1. The default is the end of the list.")


class ChangeRuleSchema(CreateRuleSchema):
    """The arguments of a request to replace a rule. `load` returns a `RuleDraft`."""


class MoveSchema(StrictSchema):
    """The argument for moving a rule."""

    position = _count_field("The new position in the list, counted from 1.", required=True)


class ScenarioSchema(StrictSchema):
    """The argument of the request that replaces all rules."""

    scenario = Argument(
        str,
        invalid="invalid_scenario",
        form={"type": "string", "description": "The rules in TOML. Each rule is a table `[[rules]]`."},
        required=True,
    )


_RULE = CreateRuleSchema()
RULE_ERRORS = tuple(sorted({type_ for field in _RULE.fields.values() for type_ in list_error_types(field)}))


def read_scenario(text: str) -> list[RuleDraft]:
    """Read the text of a scenario file.

    Raises InvalidRequest, which lists all errors. `param` is the place of an error in the file, such as `rules[2].to`.
    """
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest([Fault("invalid_scenario", "scenario")]) from error
    tables = given.get("rules", [])
    if given.keys() - {"rules"} or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise InvalidRequest([Fault("invalid_scenario", "scenario")])
    drafts: list[RuleDraft] = []
    faults: list[Fault] = []
    for index, table in enumerate(tables):
        try:
            drafts.append(load(_RULE, table))
        except InvalidRequest as error:
            faults += [Fault(fault.type, f"rules[{index}].{fault.param or ''}".rstrip(".")) for fault in error.faults]
    if faults:
        raise InvalidRequest(faults)
    return drafts


class MetRuleSchema(RecordSchema):
    """The rule that was applied to a message."""

    id = fields.String(
        required=True,
        attribute="rule_id",
        allow_none=True,
        metadata={
            "description": "The id of the rule. If the rule belongs to a special number, the id is this number. Null if"
            " a request has forced the outcome of this message."
        },
    )
    name = fields.String(required=True, allow_none=True, metadata={"description": "Null if the rule has no name."})
    outcome = fields.String(required=True, validate=validate.OneOf(get_args(RuleOutcome)))


class RuleSchema(RecordSchema):
    """A rule in the format of the API. Fields without a value and fields without an effect are left out."""

    id = fields.String(required=True, metadata={"description": "Later rules have greater ids."})
    position = fields.Integer(required=True, metadata={"description": "The position in the list, counted from 1."})
    name = fields.String()
    to = fields.String(attribute="to_number")
    origin = fields.String(attribute="origin_number")
    contains = fields.String()
    pattern = fields.String()
    direction = fields.String(required=True, validate=validate.OneOf(["outbound", "inbound"]))
    nth = fields.Integer()
    share = fields.Float()
    seed = fields.Integer()
    outcome = fields.String(required=True, validate=validate.OneOf(get_args(RuleOutcome)))
    error = fields.String(attribute="error_type")
    seconds = fields.Float()
    times = fields.Integer()
    reply = fields.String()
    status = fields.Integer()
    uses = fields.Integer()
    expires_at = fields.String(metadata={**MOMENT, "description": "The time when the rule expires, in UTC."})
    seen = fields.Integer(
        required=True,
        metadata={"description": "The number of matches. Phonify counts them before it applies `nth` and `share`."},
    )
    used = fields.Integer(required=True, metadata={"description": "The number of times that the rule was applied."})

    @post_dump
    def leave_out_fields_without_effect(self, shown: Shown, **_: Any) -> Shown:
        """Leave out the fields that have no effect. For example, if `share` is missing, leave out `seed`."""
        without_effect = set(_OUTCOME_ARGUMENTS) - ARGUMENTS[shown["outcome"]].keys()
        if shown.get("share") is None:
            without_effect.add("seed")
        return {name: value for name, value in shown.items() if name not in without_effect}


class RuleAnswer(Schema):
    """One rule."""

    rule = fields.Nested(RuleSchema, required=True)


class RulesAnswer(Schema):
    """Several rules."""

    rules = fields.List(fields.Nested(RuleSchema), required=True)


_SHOWN = RuleSchema()


def dump_rule(rule: Rule) -> Shown:
    """Convert a rule to an object for the API's answer."""
    shown: Shown = _SHOWN.dump(rule)
    return shown


def dump_rules(rules: Iterable[Rule]) -> list[Shown]:
    """Convert each rule to an object for the API's answer."""
    shown: list[Shown] = _SHOWN.dump(rules, many=True)
    return shown
