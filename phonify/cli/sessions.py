"""The commands for sessions of the inbox: `flask --app app open`, `flask --app app sessions COMMAND`."""

import http.client
import json

import click

from ..config import Settings, write_address
from ..server.browser import open_browser
from ..server.start import write_program
from .output import (
    Command,
    Failed,
    Group,
    account_option,
    echo,
    get_account,
    get_services,
    json_option,
    note_done,
    print_list,
    report,
)

_PATIENCE = 5.0  # seconds to wait for an answer of the server

sessions_cli = Group("sessions", help="Manage the sessions of the inbox.")


@click.command("open", cls=Command)
@click.option("--url", help="The address of the server. The default uses the values of PHONIFY_HOST and PHONIFY_PORT.")
@account_option
def open_inbox(url: str | None, account_name: str) -> None:
    """Open the inbox in a browser, and print the link. The link signs you in without a key.

    The link works only once, and only for ten minutes. If --url is not given, a server must be running.
    """
    services = get_services()
    account = get_account(services, account_name)
    address = url or write_address(services.settings.host, services.settings.port)
    if url is None:
        _check_server(services.settings, address)
    link = services.sessions.create_link(account, address)
    note_done("A sign-in link was created, but it could not be printed. The link expires after ten minutes.")
    echo(link)
    open_browser(link).wait()


def _check_server(settings: Settings, address: str) -> None:
    """Raise `Failed` if no Phonify server answers at `address`."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=_PATIENCE)
    try:
        connection.request("GET", "/healthz")
        with connection.getresponse() as response:
            is_phonify = response.status == 200 and json.loads(response.read()) == {"status": "ok"}
    except ValueError:  # not JSON
        is_phonify = False
    except (OSError, http.client.HTTPException) as error:
        start = write_program(settings, "python -m phonify serve")
        hint = "If your server has another address, use --url."
        raise Failed(f"no server answers at {address}; start one with: {start}\n{hint}") from error
    finally:
        connection.close()
    if not is_phonify:
        raise Failed(f"the server at {address} is not Phonify. Set PHONIFY_PORT, or use --url.")


@sessions_cli.command("list")
@click.option("--account", "account_name", help="List only the sessions of this account.")
@json_option
def list_sessions(account_name: str | None, as_json: bool) -> None:
    """List the sessions that have not ended."""
    services = get_services()
    found = services.sessions.find_all(get_account(services, account_name) if account_name is not None else None)
    print_list(
        found,
        lambda one: one._asdict(),
        ("ID", "ACCOUNT", "OPENED BY", "CREATED", "EXPIRES"),
        lambda one: (
            one.id,
            one.account,
            f"key {one.key_id}" if one.key_id else "link",
            one.created_at,
            one.expires_at,
        ),
        as_json=as_json,
    )


@sessions_cli.command("end")
@click.argument("session_id", type=click.IntRange(1, 2**63 - 1))
def end_session(session_id: int) -> None:
    """End the session with the id SESSION_ID. The user of the session must sign in again."""
    if not get_services().sessions.end(session_id):
        raise Failed(f"no session has the id {session_id}; see `sessions list`")
    report(f"Session {session_id} has ended.")
