"""The commands for phones: `flask --app app phones COMMAND`."""

from .output import (
    Command,
    Group,
    account_option,
    echo,
    get_account,
    get_services,
    json_option,
    msisdn_argument,
    note_done,
    print_json,
)

phones_cli = Group("phones", help="Manage what accounts have about phones.")


@phones_cli.command("forget", cls=Command)
@msisdn_argument
@account_option
@json_option
def forget(msisdn: str, account_name: str, as_json: bool) -> None:
    """Remove all texts that the account has exchanged with the phone MSISDN.

    Scheduled texts are removed too, and they are not sent. An opt-out of the phone stays.
    """
    services = get_services()
    account = get_account(services, account_name)
    removed = services.retention.forget(account, msisdn)
    subscribed = services.subscriptions.get(account, msisdn).subscribed
    stays = "" if subscribed else " Its opt-out stays."
    done = f"{msisdn} is forgotten. Messages removed: {removed}.{stays}"
    note_done(done)
    if as_json:
        print_json({"phone": msisdn, "removed": removed, "subscribed": subscribed})
    else:
        echo(done)
