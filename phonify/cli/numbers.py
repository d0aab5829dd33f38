"""The commands for the numbers of accounts: `flask --app app numbers COMMAND`."""

import click

from ..domain.accounts import DEFAULT_ACCOUNT
from ..sms.numbers import parse_originator, read_typed_number
from .output import (
    Failed,
    Group,
    echo,
    get_account,
    get_services,
    json_option,
    print_list,
    report,
)

numbers_cli = Group(
    "numbers", help="Manage the phone numbers of accounts. An account receives the texts to its numbers."
)


def _read_own_number(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        number = parse_originator(read_typed_number(value)).number
    except ValueError:
        number = ""
    if not number.lstrip("+").isdecimal():
        raise click.BadParameter(f"{value!r} must be an E.164 number with the plus sign, or a short code")
    return number


number_argument = click.argument("number", callback=_read_own_number)


@numbers_cli.command("list")
@click.option("--account", "account_name", help="List only the numbers of this account.")
@json_option
def list_numbers(account_name: str | None, as_json: bool) -> None:
    """List the numbers and their accounts."""
    services = get_services()
    account = get_account(services, account_name) if account_name is not None else None
    numbers = services.inbound.list_numbers(account)
    print_list(
        numbers,
        lambda row: {"number": row[0], "account": row[1]},
        ("NUMBER", "ACCOUNT"),
        lambda row: row,
        as_json=as_json,
    )
    default = services.inbound.find_default_number()
    if default is not None and account_name in (None, DEFAULT_ACCOUNT):
        text = (
            f"The account {DEFAULT_ACCOUNT!r} also receives the messages to {default},"
            " because PHONIFY_ORIGIN contains this number."
        )
        echo(text, err=True)


@numbers_cli.command("add")
@number_argument
@click.option("--account", "account_name", required=True, help="The account that gets the texts to this number.")
@json_option
def add_number(number: str, account_name: str, as_json: bool) -> None:
    """Give NUMBER to an account. If texts to NUMBER are waiting, the account gets these texts.

    If NUMBER belongs to another account, that account loses the number. That account keeps its earlier texts.
    """
    services = get_services()
    account = get_account(services, account_name)
    former = dict(services.inbound.list_numbers()).get(number)
    texts = services.inbound.give_number(account, number)
    before = f", and no longer to {former!r}" if former not in (None, account.name) else ""
    done = f"{number} belongs to the account {account.name!r}{before}. Texts that waited for it: {texts}."
    shown = {"number": number, "account": account.name, "former_account": former, "texts": texts}
    report(done, shown if as_json else None)


@numbers_cli.command("remove")
@number_argument
def remove_number(number: str) -> None:
    """Remove NUMBER from its account.

    Phonify keeps new texts to NUMBER until an account gets NUMBER. That account then gets the texts. But if
    PHONIFY_ORIGIN contains NUMBER, the account 'default' gets new texts to NUMBER.
    """
    if not get_services().inbound.take_number(number):
        raise Failed(f"no account has the number {number}; see `numbers list`")
    report(f"{number} belongs to no account any more.")
