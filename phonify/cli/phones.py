"""The commands for phones: `flask --app app phones COMMAND`."""

from .output import Group, account_option, get_account, get_services, json_option, msisdn_argument, report

phones_cli = Group("phones", help="Manage the data that is stored about phones.")


@phones_cli.command("forget")
@msisdn_argument
@account_option
@json_option
def forget(msisdn: str, account_name: str, as_json: bool) -> None:
    """Remove all texts between the account and the phone number MSISDN.

    The command removes scheduled texts as well. Phonify does not send these texts. If the phone has opted out, it stays
    opted out.
    """
    services = get_services()
    account = get_account(services, account_name)
    removed = services.retention.forget(account, msisdn)
    subscribed = services.subscriptions.get(account, msisdn).subscribed
    stays = "" if subscribed else " Its opt-out stays."
    done = f"{msisdn} is forgotten. Messages removed: {removed}.{stays}"
    report(done, {"phone": msisdn, "removed": removed, "subscribed": subscribed} if as_json else None)
