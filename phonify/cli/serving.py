"""The options of `phonify serve`. Each stands for a setting, and the help names all settings."""

from collections.abc import Callable
from typing import Any

import click

from ..config import PREFIX, check_setting, list_defaults


def _check(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            check_setting(str(option.name), value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from error
    return value


def setting_option(name: str, text: str, *, metavar: str) -> Callable[[Any], Any]:
    """Return an option for a setting. It wins over the variable of the setting."""
    text = f"{text} It wins over {PREFIX}{name.upper()}."
    return click.option(f"--{name}", callback=_check, metavar=metavar, help=text)


def list_settings() -> str:
    """Return a text for the end of the help: all settings and their defaults."""
    lines = [f"  {name:26} {default}".rstrip() for name, default in list_defaults()]
    # With \\b, click keeps the lines of a paragraph.
    return "\n".join(["\b", "Settings (variables of the environment) and their defaults:", *lines])
