"""The commands for rules of the sandbox: `flask --app app rules COMMAND`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..domain.rules import Rules
from ..errors import OUTCOMES, InvalidRequest
from ..schemas.requests import load
from ..schemas.rule_words import describe_match, describe_outcome, describe_scenario_fault
from ..schemas.rules import CreateRuleSchema, RuleDraft, dump_rule, read_scenario
from ..storage.records import Account
from ..storage.rule_records import Rule
from .output import (
    Failed,
    Group,
    account_option,
    echo,
    get_account,
    get_services,
    json_option,
    print_list,
    usage_errors,
)

rules_cli = Group("rules", help="Manage the rules of the sandbox. A rule changes what happens to messages or requests.")

_OPTIONS = (
    click.option("--to", help="Match only messages to this number. +49* means all numbers that begin with +49."),
    click.option("--origin", help="Match only messages from this sender."),
    click.option("--contains", help="Match only messages that contain this text."),
    click.option(
        "--pattern",
        help="Match only messages whose whole text fits this pattern. * means any text, ? means any character.",
    ),
    click.option("--direction", type=click.Choice(("outbound", "inbound")), help="Default: outbound."),
    click.option("--nth", metavar="N", help="Apply the rule only to the N-th matching message."),
    click.option("--share", metavar="PERCENT", help="The rule applies to this percentage of the matching messages."),
    click.option(
        "--seed",
        metavar="N",
        help="The seed for --share, a number. If you repeat a test with the same seed, the rule selects the same"
        " messages as before. Default: 0.",
    ),
    click.option("--error", metavar="TYPE", help="The type of the message's error. Example: unreachable_handset."),
    click.option("--seconds", metavar="N", help="The delay of a message, a receipt, a reply or an answer, in seconds."),
    click.option("--times", metavar="N", help="The number of temporary failures of a message. Default: 1."),
    click.option("--reply", metavar="TEXT", help="The text of the reply from the phone."),
    click.option("--status", type=click.Choice(("429", "500", "503")), help="The HTTP status of the answer."),
    click.option("--name", help="A name for the rule."),
    click.option("--uses", metavar="N", help="Phonify applies the rule at most N times."),
    click.option("--ttl", metavar="SECONDS", help="The rule ends after this number of seconds."),
    click.option("--position", metavar="N", help="The position of the rule in the list. The first position is 1."),
)


def _rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a rule to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@rules_cli.command("list")
@account_option
@json_option
def list_rules(account_name: str, as_json: bool) -> None:
    """List the rules, sorted by position. For each message, Phonify applies the first rule that matches."""
    rules, account = _get_rules(account_name)
    _print_rules(rules.find_all(account), as_json=as_json)


@rules_cli.command("add")
@click.argument("outcome", type=click.Choice(OUTCOMES), metavar="OUTCOME")
@_rule_options
@account_option
@json_option
def add_rule(outcome: str, account_name: str, as_json: bool, **options: str | None) -> None:
    """Add a rule with the outcome OUTCOME. Without --position, the new rule is the last rule.

    OUTCOME is one of these values: sent, refused, failed, delayed, unavailable, unconfirmed, delivered, undelivered,
    reply, api_error, api_slow.
    """
    rules, account = _get_rules(account_name)
    _print_rules([rules.create(account, _read_rule(outcome, options))], as_json=as_json)


@rules_cli.command("change")
@click.argument("rule")
@click.argument("outcome", type=click.Choice(OUTCOMES), metavar="OUTCOME")
@_rule_options
@account_option
@json_option
def change_rule(rule: str, outcome: str, account_name: str, as_json: bool, **options: str | None) -> None:
    """Replace a whole rule. RULE is the position or the id of the rule. The counts of the rule begin again at 0."""
    rules, account = _get_rules(account_name)
    changed = rules.change(account, _find_id(rules, account, rule), _read_rule(outcome, options))
    _print_rules([changed], as_json=as_json)


@rules_cli.command("move")
@click.argument("rule")
@click.argument("position", type=click.IntRange(1))
@account_option
@json_option
def move_rule(rule: str, position: int, account_name: str, as_json: bool) -> None:
    """Move a rule to the position POSITION, and print the new list.

    For RULE, give the current position or the id of the rule.
    """
    rules, account = _get_rules(account_name)
    rules.move(account, _find_id(rules, account, rule), position)
    _print_rules(rules.find_all(account), as_json=as_json)


@rules_cli.command("delete")
@click.argument("rule")
@account_option
def delete_rule(rule: str, account_name: str) -> None:
    """Delete a rule. RULE is the position or the id of the rule. If RULE is `all`, delete all rules."""
    rules, account = _get_rules(account_name)
    if rule == "all":
        rules.load(account, [])
        echo(f"The account {account.name!r} has no rules.")
        return
    removed = rules.delete(account, _find_id(rules, account, rule))
    echo(f"Deleted: {removed.name or removed.id}")


@rules_cli.command("load")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@account_option
@json_option
def load_rules(file: Path, account_name: str, as_json: bool) -> None:
    """Replace all rules with the rules in the scenario file FILE."""
    rules, account = _get_rules(account_name)
    try:
        drafts = read_scenario_file(file)
    except ValueError as error:
        raise Failed(str(error)) from error
    _print_rules(rules.load(account, drafts), as_json=as_json)


def read_scenario_file(file: Path) -> list[RuleDraft]:
    """Read a scenario file. Raises ValueError with one line for each error."""
    try:
        return read_scenario(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: is not UTF-8") from error
    except InvalidRequest as error:
        raise ValueError("\n".join(f"{file}: {describe_scenario_fault(fault)}" for fault in error.faults)) from error


def _get_rules(account_name: str) -> tuple[Rules, Account]:
    services = get_services()
    if not services.rules.enabled:
        raise Failed(f"rules need PHONIFY_GATEWAY=stub; the current gateway is {services.gateway.name}")
    return services.rules, get_account(services, account_name)


def _find_id(rules: Rules, account: Account, given: str) -> str:
    """Return the id of a rule. `given` is the position or the id of the rule."""
    for rule in rules.find_all(account):
        if given in (rule.id, str(rule.position)):
            return rule.id
    raise Failed(f"unknown rule {given}; to list the rules, use `rules list`")


def _read_rule(outcome: str, options: dict[str, str | None]) -> RuleDraft:
    given = {name: value for name, value in options.items() if value is not None}
    with usage_errors({name: f"--{name}" for name in options}):
        draft: RuleDraft = load(CreateRuleSchema(), {"outcome": outcome, **given})
    return draft


def _print_rules(found: Sequence[Rule], *, as_json: bool) -> None:
    print_list(
        found,
        dump_rule,
        ("POSITION", "RULE", "MATCHES", "OUTCOME", "USED"),
        lambda rule: (
            rule.position,
            rule.name or rule.id,
            describe_match(rule),
            describe_outcome(rule),
            rule.used,
        ),
        as_json=as_json,
    )
