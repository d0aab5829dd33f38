"""The list of all commands, for `flask --app app` and for `phonify`."""

import click

from .accounts import accounts_cli
from .clock import clock_cli
from .database import backup, check, init_db
from .explain import explain
from .gateway import gateway_cli
from .gateway_send import send_one
from .keys import keys_cli
from .lab import lab
from .messages import messages, send
from .numbers import numbers_cli
from .phones import phones_cli
from .rules import rules_cli
from .sessions import open_inbox, sessions_cli
from .subscriptions import keywords_cli, subscriptions_cli
from .text import check_text_command
from .twilio import twilio_cli
from .webhooks import webhooks_cli
from .worker import worker

_COMMANDS: tuple[click.Command, ...] = (
    accounts_cli,
    keys_cli,
    webhooks_cli,
    twilio_cli,
    subscriptions_cli,
    keywords_cli,
    phones_cli,
    gateway_cli,
    numbers_cli,
    rules_cli,
    sessions_cli,
    clock_cli,
    open_inbox,
    send,
    messages,
    explain,
    lab,
    worker,
    init_db,
    backup,
    check,
    check_text_command,
)
_ABOUT = (
    "This app is Phonify, an SMS API and sandbox on one SQLite file. To serve the app, run: python app.py. Settings are"
    " PHONIFY_* variables, such as PHONIFY_DATABASE and PHONIFY_PORT. The running server has guides at /docs."
)


def register_commands(group: click.Group) -> None:
    """Add all commands to a click group, such as `app.cli` of a Flask app."""
    gateway_cli.add_command(send_one)
    for command in _COMMANDS:
        group.add_command(command)
    _describe_app()


def _describe_app() -> None:
    """Add `_ABOUT` at the end of the root command's help.

    For example, the root command is `flask --app app`.

    Before flask lists the commands, it builds the app. The app calls this function. Then the library `click` prints the
    list and `_ABOUT`.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.find_root().command.epilog is None:
        context.find_root().command.epilog = _ABOUT
