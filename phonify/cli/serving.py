"""Functions for the command `phonify serve`: its options, its list of settings, and its scenario."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..config import PREFIX, ConfigError, check_setting, list_defaults
from ..domain import accounts
from ..errors import RequestRefused
from ..services import Services
from .rules import read_scenario_file


def _check(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            check_setting(str(option.name), value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from error
    return value


def setting_option(name: str, text: str, *, metavar: str) -> Callable[[Any], Any]:
    """Return an option that overrides the environment variable of a setting."""
    text = f"{text} This option overrides {PREFIX}{name.upper()}."
    return click.option(f"--{name}", callback=_check, metavar=metavar, help=text)


def load_scenario(app: Any, file: Path) -> Any:
    """Replace the rules of the account `default` with the rules in a scenario file. Returns the app.

    Raises ConfigError if the rules can't be replaced.
    """
    services: Services = app.extensions["phonify"]
    if not services.rules.enabled:
        raise ConfigError(f"--scenario needs the stub gateway, but PHONIFY_GATEWAY is {services.gateway.name}")
    try:
        drafts = read_scenario_file(file)
        services.prepare()
        services.rules.load(accounts.ensure_default_account(services.database, services.clock), drafts)
    except ValueError as error:
        raise ConfigError(f"the scenario can't be used:\n{error}") from error
    except RequestRefused as error:
        raise ConfigError(f"the scenario can't be used: {error.faults[0].title}") from error
    return app


def list_settings() -> str:
    """Return the last part of the help. It lists each setting with its default."""
    lines = [f"  {name:26} {default}".rstrip() for name, default in list_defaults()]
    # With \\b, click keeps the lines of a paragraph.
    return "\n".join(["\b", "Settings (environment variables) and their defaults:", *lines])
