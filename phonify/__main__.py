"""The command `phonify`. The command `python -m phonify` does the same.

Both commands accept the subcommand `serve` and every subcommand of `flask --app app`.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask.cli import ScriptInfo

from phonify import __version__, create_app
from phonify.cli.commands import register_commands
from phonify.cli.database import restore
from phonify.cli.demo import serve_demo
from phonify.cli.output import Group
from phonify.cli.serving import list_settings, load_scenario, setting_option
from phonify.server import serve


@click.group(cls=Group)
@click.version_option(__version__, message="Phonify %(version)s")
def phonify() -> None:
    """Run the server of the SMS API. Manage the accounts, keys and messages in its SQLite file.

    Settings are PHONIFY_* variables, such as PHONIFY_DATABASE and PHONIFY_PORT.
    """


register_commands(phonify)
phonify.add_command(restore)


@phonify.command("serve", epilog=list_settings())
@setting_option("port", "The port. If the value is 0, Phonify uses a free port.", metavar="PORT")
@setting_option("host", "The address to listen on.", metavar="HOST")
@setting_option("database", "The SQLite file. It is created if it is missing.", metavar="FILE")
@setting_option("workers", "The number of processes that serve requests.", metavar="N")
@click.option("--open", "open_inbox", is_flag=True, help="Open the inbox in a browser.")
@click.option(
    "--scenario",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read rules from this TOML file. They replace all rules of the account `default`.",
)
@click.option(
    "--demo", is_flag=True, help="Show a demo with invented conversations. The demo uses a temporary database."
)
def serve_api(demo: bool, open_inbox: bool, scenario: Path | None, **options: str | None) -> None:
    """Serve the API and the inbox until SIGTERM or Ctrl-C."""
    command = "python -m phonify" if Path(sys.argv[0]).name == "__main__.py" else "phonify"
    given = {name.upper(): value for name, value in options.items() if value is not None}

    def make_app(*settings: Any, **parts: Any) -> Any:
        app = create_app(*settings, **parts)
        return app if scenario is None else load_scenario(app, scenario)

    if not demo:
        serve(partial(make_app, given), command=command, open_inbox=open_inbox)
    elif "DATABASE" in given:
        raise click.UsageError("--demo can't be used with --database, because the demo has its own database")
    else:
        serve_demo(make_app, given, command=command, open_inbox=open_inbox)


def main() -> None:
    """Run the command."""
    # The app is built only if a command needs it, because building it may upgrade the database.
    phonify(obj=ScriptInfo(create_app=create_app, set_debug_flag=False))


if __name__ == "__main__":
    main()
