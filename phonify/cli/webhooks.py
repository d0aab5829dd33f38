"""The commands for webhooks: `flask --app app webhooks COMMAND`."""

from typing import Any

import click

from ..errors import NotFound
from ..outgoing.url_guard import BadUrl, check_url
from ..storage.records import Delivery, Webhook
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
    print_table,
    report,
)

_INTERNAL = ("account_id", "retries")  # columns that are not shown

webhooks_cli = Group("webhooks", help="Manage webhooks and their deliveries.")


@webhooks_cli.command("set")
@click.argument("url")
@account_option
@json_option
def set_webhook(url: str, account_name: str, as_json: bool) -> None:
    """Set the URL that gets the events of the account. An existing secret does not change."""
    services = get_services()
    account = get_account(services, account_name)
    try:
        check_url(url, private_allowed=services.webhooks.private_allowed)
    except BadUrl as error:
        raise click.BadParameter(f"{url!r} can't be posted to: {error}", param_hint="URL") from error
    webhook = services.webhooks.set_url(account, url)
    note_done(f"The webhook of the account {account.name!r} was set. To see the secret: `webhooks show`")
    _print_webhook(webhook, as_json=as_json)


@webhooks_cli.command("show")
@account_option
@json_option
def show_webhook(account_name: str, as_json: bool) -> None:
    """Show the account's webhook: its URL, its secret, and whether it is disabled."""
    services = get_services()
    webhook = services.webhooks.get(get_account(services, account_name))
    if webhook is None:
        raise Failed(f"the account {account_name!r} has no webhook; see `webhooks set`")
    _print_webhook(webhook, as_json=as_json)


@webhooks_cli.command("rotate")
@account_option
@json_option
def rotate_secret(account_name: str, as_json: bool) -> None:
    """Give the account's webhook a new secret. For one day, Phonify also signs with the former secret."""
    services = get_services()
    webhook = services.webhooks.rotate_secret(get_account(services, account_name))
    note_done(f"The webhook of the account {account_name!r} has a new secret. To see the secret: `webhooks show`")
    _print_webhook(webhook, as_json=as_json)


@webhooks_cli.command("remove")
@account_option
def remove_webhook(account_name: str) -> None:
    """Remove the account's webhook. Phonify cancels all events that it has not delivered yet."""
    services = get_services()
    removed = services.webhooks.remove(get_account(services, account_name))
    if removed is None:
        report(f"The account {account_name!r} had no webhook. Nothing was removed.")
    else:
        report(f"The webhook of the account {account_name!r} was removed: {removed.url}")


@webhooks_cli.command("test")
@account_option
def send_test(account_name: str) -> None:
    """Send the event webhook.test, and print the id of its delivery. A running server or worker posts the event."""
    services = get_services()
    delivery_id = services.webhooks.send_test(get_account(services, account_name))
    note_done(f"Phonify has stored the event `webhook.test`. The id of the delivery is {delivery_id}.")
    echo(delivery_id)


@webhooks_cli.command("deliveries")
@click.option("--limit", "-n", type=click.IntRange(1, 1_000), default=10, show_default=True)
@account_option
@json_option
def list_deliveries(limit: int, account_name: str, as_json: bool) -> None:
    """List the latest deliveries. The newest delivery is at the end.

    The list shows the URL and the last answer of each delivery. With --json, the list also has every attempt.
    """
    services = get_services()
    account = get_account(services, account_name)
    webhook = services.webhooks.get(account)
    own_url = webhook.url if webhook is not None else None
    found = [
        one._replace(url=one.url or own_url)
        for one in reversed(services.webhooks.list_deliveries(account, limit=limit, before=None))
    ]
    print_list(
        found,
        _dump_delivery,
        ("CREATED", "ID", "EVENT", "STATE", "ATTEMPTS", "NEXT", "MESSAGE", "URL", "LAST ANSWER"),
        lambda one: (
            one.created_at,
            one.id,
            one.event,
            one.state,
            one.attempts,
            one.due_at or "-",
            one.message_id or "-",
            one.url or "-",
            one.tries[-1].result if one.tries else "-",
        ),
        as_json=as_json,
    )


@webhooks_cli.command("redeliver")
@click.argument("delivery_id")
@account_option
def redeliver(delivery_id: str, account_name: str) -> None:
    """Post the event of the delivery DELIVERY_ID again. A running server or worker posts the event."""
    services = get_services()
    account = get_account(services, account_name)
    try:
        services.webhooks.redeliver(account, delivery_id)
    except NotFound as error:
        raise Failed(f"account {account.name} has no delivery {delivery_id}; see `webhooks deliveries`") from error
    report(f"Delivery {delivery_id} is posted again.")


def _dump_delivery(delivery: Delivery) -> dict[str, Any]:
    shown = {name: value for name, value in delivery._asdict().items() if name not in _INTERNAL}
    return {**shown, "tries": [attempt._asdict() for attempt in delivery.tries]}


def _print_webhook(webhook: Webhook, *, as_json: bool) -> None:
    shown = webhook._asdict()
    del shown["former_secret"]
    if webhook.former_until is None:
        del shown["former_until"]
    if as_json:
        print_json(shown)
    else:
        print_table(("URL", "SECRET"), [(webhook.url, webhook.secret)])
        if webhook.former_until is not None:
            echo(f"Phonify also signs with the former secret until {webhook.former_until}.")
        if not webhook.enabled:
            echo(f"disabled at {webhook.disabled_at}, because the receiver answered 410; see `webhooks set`")
