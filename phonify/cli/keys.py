"""The commands for API keys: `flask --app app keys COMMAND`."""

import click

from ..domain import accounts
from .output import (
    Failed,
    Group,
    account_option,
    echo,
    get_account,
    get_services,
    json_option,
    note_done,
    print_json,
    print_list,
    report,
)

keys_cli = Group("keys", help="Manage API keys.")


@keys_cli.command("create")
@account_option
@click.option("--name", default="", help="A name for the key, such as the name of the app.")
@json_option
def create_key(account_name: str, name: str, as_json: bool) -> None:
    """Create a key and print it. The key is shown only once."""
    services = get_services(may_create=True)
    if name and not name.isprintable():
        raise click.BadParameter("must be printable", param_hint="--name")
    account = get_account(services, account_name)
    key_id, key = accounts.create_key(services.database, services.clock, account, name=name)
    note_done(
        f"Key {key_id} of the account {account.name!r} was created, but the key could not be printed."
        f" To revoke the key: `keys revoke {key_id}`"
    )
    if as_json:
        print_json({"id": key_id, "account": account.name, "name": name, "key": key})
    else:
        echo(key)
        echo(f"Key {key_id} of the account {account.name!r}. It is shown only once.", err=True)


@keys_cli.command("list")
@click.option("--account", "account_name", help="List only the keys of this account.")
@json_option
def list_keys(account_name: str | None, as_json: bool) -> None:
    """List the id, the account and the name of each key. The keys themselves are not shown.

    The list also shows when each key was created, when it was revoked, and when it was last used.
    """
    services = get_services()
    if account_name is not None:
        get_account(services, account_name)
    found = accounts.list_keys(services.database, account=account_name)
    print_list(
        found,
        lambda key: key._asdict(),
        ("ID", "ACCOUNT", "NAME", "CREATED", "LAST USED", "REVOKED"),
        lambda key: (key.id, key.account, key.name or "-", key.created_at, key.used_at or "-", key.revoked_at or "-"),
        as_json=as_json,
    )


@keys_cli.command("revoke")
@click.argument("key_id", type=click.IntRange(1, 2**63 - 1))
def revoke_key(key_id: int) -> None:
    """Revoke the key with the id KEY_ID. From then on, requests with this key are refused."""
    services = get_services()
    if not accounts.revoke_key(services.database, services.clock, key_id):
        raise Failed(f"no valid key has the id {key_id}; see `keys list`")
    report(f"Key {key_id} is no longer valid.")
