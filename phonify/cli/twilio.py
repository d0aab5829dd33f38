"""The commands for the Twilio-compatible API: `flask --app app twilio COMMAND`."""

from collections.abc import Mapping

import click

from ..domain.fronts import TokenIsSet
from ..errors import InvalidRequest
from ..schemas.twilio import write_account_sid
from ..storage.front_records import FrontAccount
from ..storage.records import Account
from .output import (
    Failed,
    Group,
    account_option,
    get_account,
    get_services,
    json_option,
    note_done,
    print_json,
    print_table,
)

_METHOD = click.Choice(["GET", "POST"], case_sensitive=False)

twilio_cli = Group("twilio", help="Manage the Twilio-compatible API: the credentials and URLs of each account.")


@twilio_cli.command("show")
@account_option
@json_option
def show(account_name: str, as_json: bool) -> None:
    """Show the credentials (account SID and auth token), and show the URLs for received messages."""
    services = get_services()
    account = get_account(services, account_name)
    _print(account, services.fronts.ensure_account(account), as_json=as_json)


@twilio_cli.command("rotate")
@account_option
@json_option
def rotate(account_name: str, as_json: bool) -> None:
    """Give the account a new auth token. Requests with the old token are refused."""
    services = get_services()
    account = get_account(services, account_name)
    try:
        kept = services.fronts.rotate_token(account)
    except TokenIsSet as error:
        raise Failed("the token is set by PHONIFY_TWILIO_AUTH_TOKEN; change this variable instead") from error
    note_done(f"The account {account.name!r} has a new auth token. To see the token: `twilio show`")
    _print(account, kept, as_json=as_json)


@twilio_cli.command("set-inbound")
@click.argument("url")
@click.option("--method", type=_METHOD, default="POST", show_default=True)
@click.option("--fallback-url", help="A second URL. If a request to the first URL fails, Phonify uses the second URL.")
@click.option("--fallback-method", type=_METHOD, default="POST", show_default=True)
@account_option
@json_option
def set_inbound(
    url: str, method: str, fallback_url: str | None, fallback_method: str, account_name: str, as_json: bool
) -> None:
    """Set the URL for messages from phones. The answer of the app can be TwiML."""
    settings = {
        "inbound_url": url,
        "inbound_method": method,
        "fallback_url": fallback_url,
        "fallback_method": fallback_method,
    }
    try:
        _configure(account_name, settings, as_json=as_json)
    except InvalidRequest as error:
        (fault, *_) = error.faults
        hint = "URL" if fault.param == "inbound_url" else "--fallback-url"
        raise click.BadParameter(fault.title, param_hint=hint) from error


@twilio_cli.command("remove-inbound")
@account_option
@json_option
def remove_inbound(account_name: str, as_json: bool) -> None:
    """Remove the URLs for received messages."""
    settings = {"inbound_url": None, "inbound_method": "POST", "fallback_url": None, "fallback_method": "POST"}
    _configure(account_name, settings, as_json=as_json)


def _configure(account_name: str, settings: Mapping[str, str | None], *, as_json: bool) -> None:
    services = get_services()
    account = get_account(services, account_name)
    kept = services.fronts.configure(account, settings)
    note_done(f"The URLs of the account {account.name!r} were changed. To see the URLs: `twilio show`")
    _print(account, kept, as_json=as_json)


def _print(account: Account, kept: FrontAccount, *, as_json: bool) -> None:
    sid = write_account_sid(account.id)
    if as_json:
        print_json({"account_sid": sid, **kept._asdict()})
        return
    inbound = f"{kept.inbound_method} {kept.inbound_url}" if kept.inbound_url else "-"
    fallback = f"{kept.fallback_method} {kept.fallback_url}" if kept.fallback_url else "-"
    print_table(("ACCOUNT SID", "AUTH TOKEN", "INBOUND", "FALLBACK"), [(sid, kept.auth_token, inbound, fallback)])
