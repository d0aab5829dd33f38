"""Describes the rules of the sandbox in plain English."""

import re

from ..errors import Fault
from ..storage.rule_records import MetRule, Rule
from .rules import ARGUMENTS


def describe_met_rule(met: MetRule) -> str:
    """Describe the rule that was applied to a message."""
    does = describe_outcome(met)
    if met.rule_id is None:
        return f"The outcome was chosen for this message: {does}"
    if met.rule_id.startswith("+"):
        return f"Rule of the special number {met.rule_id}: {does}"
    name = f"“{met.name}”" if met.name is not None else met.rule_id
    return f"Rule {name}: {does}"


def describe_outcome(rule: Rule | MetRule) -> str:
    """Describe the outcome of a rule, such as `failed, unreachable_handset`. The description includes the arguments."""
    known = ARGUMENTS[rule.outcome]
    parts: list[str] = [rule.outcome]
    if "error" in known and rule.error_type is not None:
        parts.append(rule.error_type)
    if isinstance(rule, Rule) and rule.status is not None:
        parts.append(str(rule.status))
    if "times" in known:
        parts.append("once" if rule.times == 1 else f"{rule.times} times")
    if "reply" in known:
        parts.append(f"“{rule.reply}”")
    if "seconds" in known and rule.seconds:
        parts.append(f"after {rule.seconds:g} s")
    return ", ".join(parts)


def describe_match(rule: Rule) -> str:
    """Describe the messages or requests that a rule matches."""
    what = "requests" if rule.is_about_requests else "received messages" if rule.direction == "inbound" else "messages"
    parts = [
        f"to {rule.to_number}" if rule.to_number else "",
        f"from {rule.origin_number}" if rule.origin_number else "",
        f"with “{rule.contains}”" if rule.contains else "",
        f"like “{rule.pattern}”" if rule.pattern else "",
    ]
    found = " ".join([what, *filter(None, parts)])
    if rule.share is not None:
        found = f"{rule.share:g} % of {found}, seed {rule.seed}"
    return f"{found}, only number {rule.nth}" if rule.nth is not None else f"all {found}" if found == what else found


def describe_scenario_fault(fault: Fault) -> str:
    """Return a description of a mistake in a scenario file. In this description, rule 1 is the first rule."""
    text = "A rule has no argument with this name." if fault.type == "unknown_argument" else fault.title
    place = re.fullmatch(r"rules\[([0-9]+)\]\.?(.*)", fault.param or "", re.DOTALL)
    if place is None:
        return text
    return ": ".join(part for part in (f"rule {int(place[1]) + 1}", place[2], text) if part)
