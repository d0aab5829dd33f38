"""What the README says of errors, settings and commands is what the code has."""

import re
from dataclasses import fields
from pathlib import Path

from flask import Flask

from phonify.config import Settings
from phonify.errors import ERROR_TYPES
from phonify.http.errors import STATUSES

README = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")


def rows_of(table: str) -> list[str]:
    """Return the first cell of each row of a Markdown table, without the backquotes."""
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    return re.split(r"^#+ ", README.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_error_table_is_that_of_the_code() -> None:
    lines = ["| status | type | title |", "| --- | --- | --- |"]
    lines += [f"| {STATUSES[error.kind]} | `{error.type}` | {error.title} |" for error in ERROR_TYPES.values()]
    expected = "\n".join(lines)
    shown = README.split("<!-- errors -->\n", 1)[1].split("\n<!-- /errors -->", 1)[0]
    assert shown == expected


def test_every_setting_is_in_the_readme() -> None:
    assert rows_of(section("Settings")) == [f"PHONIFY_{field.name.upper()}" for field in fields(Settings)]


def test_every_command_is_in_the_readme(app: Flask) -> None:
    commands = []
    for name, command in app.cli.commands.items():
        commands += [f"{name} {part}" for part in getattr(command, "commands", {})] or [name]
    documented = [" ".join(re.findall(r"(?<!\S)[a-z-]+", row)) for row in rows_of(section("Command line"))]
    assert sorted(documented) == sorted(commands)


def test_the_readme_names_every_file_of_the_package() -> None:
    package = Path(__file__).parent.parent / "phonify"
    for path in package.iterdir():
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__"):
            assert path.name in section("How it works"), path.name
