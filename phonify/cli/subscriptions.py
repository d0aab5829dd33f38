"""The commands for subscriptions and keywords: `flask --app app subscriptions COMMAND`, `... keywords COMMAND`."""

from collections.abc import Sequence

import click

from ..schemas.keywords import read_keyword_settings
from ..schemas.objects import dump_subscription
from ..sms.keywords import HELP_KEYWORDS, START_KEYWORDS, STOP_KEYWORDS
from ..storage.records import KeywordReplies, SubscriptionRow
from .output import (
    Group,
    account_option,
    get_account,
    get_services,
    json_option,
    msisdn_argument,
    note_done,
    print_json,
    print_list,
    print_table,
    usage_errors,
)

subscriptions_cli = Group("subscriptions", help="Manage the opt-outs and opt-ins of phones.")
keywords_cli = Group("keywords", help="Manage opt-out keywords and automatic replies.")


@subscriptions_cli.command("list")
@click.option("--offset", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--limit", "-n", type=click.IntRange(1, 1_000), default=50, show_default=True)
@account_option
@json_option
def list_subscriptions(offset: int, limit: int, account_name: str, as_json: bool) -> None:
    """List the phones that have conversations with the account.

    Then list the other phones that have opted out or opted in.
    """
    services = get_services()
    found = services.subscriptions.find_all(get_account(services, account_name), offset=offset, limit=limit)
    _print_subscriptions(found, as_json=as_json)


@subscriptions_cli.command("show")
@msisdn_argument
@account_option
@json_option
def show_subscription(msisdn: str, account_name: str, as_json: bool) -> None:
    """Show whether the account is allowed to send messages to the phone MSISDN."""
    _show(msisdn, account_name, as_json=as_json)


@subscriptions_cli.command("opt-out")
@msisdn_argument
@account_option
@json_option
def opt_out(msisdn: str, account_name: str, as_json: bool) -> None:
    """Record that a phone has opted out. MSISDN is the number of the phone.

    Phonify then refuses messages to this phone. The phone can opt in again.
    """
    _show(msisdn, account_name, subscribed=False, as_json=as_json)


@subscriptions_cli.command("opt-in")
@msisdn_argument
@account_option
@json_option
def opt_in(msisdn: str, account_name: str, as_json: bool) -> None:
    """Record that a phone has opted in again. MSISDN is the number of the phone.

    Then the account can send messages to the phone again.
    """
    _show(msisdn, account_name, subscribed=True, as_json=as_json)


def _show(msisdn: str, account_name: str, *, subscribed: bool | None = None, as_json: bool) -> None:
    """Show the subscription of a phone. If `subscribed` is given, change the subscription first."""
    services = get_services()
    account = get_account(services, account_name)
    if subscribed is not None:
        services.subscriptions.change(account, msisdn, subscribed=subscribed, reason="command")
        note_done(
            f"{msisdn} was opted {'in' if subscribed else 'out'}."
            f" To see the subscription: `subscriptions show {msisdn}`"
        )
    _print_subscriptions([services.subscriptions.get(account, msisdn)], as_json=as_json)


def _print_subscriptions(found: Sequence[SubscriptionRow], *, as_json: bool) -> None:
    print_list(
        found,
        dump_subscription,
        ("PHONE", "SUBSCRIBED", "SINCE", "BY"),
        lambda one: (one.phone, "yes" if one.subscribed else "no", one.changed_at or "-", one.reason or "-"),
        as_json=as_json,
    )


@keywords_cli.command("show")
@account_option
@json_option
def show_keywords(account_name: str, as_json: bool) -> None:
    """Show the opt-out keywords and the replies of the account."""
    services = get_services()
    _print_replies(services.subscriptions.get_replies(get_account(services, account_name)), as_json=as_json)


@keywords_cli.command("set")
@click.option(
    "--stop-keyword",
    "stop_keywords",
    multiple=True,
    help="An additional opt-out keyword. For several keywords, repeat the option.",
)
@click.option("--stop-reply", help="Phonify sends this reply when a phone opts out.")
@click.option("--start-reply", help="Phonify sends this reply when a phone opts in again.")
@click.option("--help-reply", help="Phonify sends this reply when a phone sends the keyword HELP.")
@account_option
@json_option
def set_keywords(stop_keywords: Sequence[str], account_name: str, as_json: bool, **replies: str | None) -> None:
    """Set the account's additional opt-out keywords and its replies.

    To remove a setting, give its option with an empty string. If you omit an option, its setting does not change.
    """
    services = get_services()
    account = get_account(services, account_name)
    before = services.subscriptions.get_replies(account)
    given = {name: reply if reply is not None else getattr(before, name) or "" for name, reply in replies.items()}
    options = {"stop_keywords": "--stop-keyword", **{name: f"--{name.replace('_', '-')}" for name in replies}}
    keywords = stop_keywords or before.stop_keywords
    with usage_errors(options):
        after = read_keyword_settings(keywords, given, max_body=services.settings.max_body)
    services.subscriptions.set_replies(account, after)
    note_done("The keywords and replies were changed. To see the settings: `keywords show`")
    _print_replies(after, as_json=as_json)


def _print_replies(replies: KeywordReplies, *, as_json: bool) -> None:
    if as_json:
        print_json({**replies._asdict(), "stop_keywords": list(replies.stop_keywords)})
        return
    rows = [
        ("opt out", ", ".join([*STOP_KEYWORDS, *replies.stop_keywords]), replies.stop_reply or "-"),
        ("opt in", ", ".join(START_KEYWORDS), replies.start_reply or "-"),
        ("help", ", ".join(HELP_KEYWORDS), replies.help_reply or "-"),
    ]
    print_table(("TO", "KEYWORDS", "REPLY"), rows)
