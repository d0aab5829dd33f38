"""The list of all commands, for `flask --app app` and for `phonify`."""

import click

from .accounts import accounts_cli
from .database import backup, check, init_db
from .explain import explain
from .keys import keys_cli
from .messages import messages, send
from .phones import phones_cli
from .subscriptions import keywords_cli, subscriptions_cli
from .text import check_text_command
from .twilio import twilio_cli
from .webhooks import webhooks_cli
from .worker import worker


def register_commands(group: click.Group) -> None:
    """Add all commands to a click group, such as `app.cli` of a Flask app."""
    groups = (accounts_cli, keys_cli, webhooks_cli, twilio_cli, subscriptions_cli, keywords_cli, phones_cli)
    for command in (*groups, send, messages, explain, worker, init_db, backup, check, check_text_command):
        group.add_command(command)
