"""Tests that the README and the guides match the errors, settings, commands and files of the code."""

import re
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask

from phonify.config import Settings
from phonify.errors import ERROR_TYPES, MESSAGE_ERRORS, OUTCOMES
from phonify.gateways import GATEWAYS
from phonify.http.errors import STATUSES
from phonify.schemas.rules import ARGUMENTS
from phonify.schemas.twilio import FAILURES
from phonify.storage.rule_records import RuleOutcome
from phonify.testing.rules import Outcome
from tests.support.lab_tables import write_trials, write_verdicts

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "phonify" / "docs"
TEXTS = [ROOT / "README.md", *sorted(GUIDES.glob("*.md"))]


def read(name: str) -> str:
    return GUIDES.joinpath(name).read_text(encoding="utf-8")


def rows_of(table: str) -> list[str]:
    """Return the first cell of each row in a Markdown table, without backquotes."""
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def anchors_of(text: str) -> set[str]:
    """Return the anchors of the headings in a text, as a repository and the pages have them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_error_table_is_that_of_the_code() -> None:
    lines = ["| status | type | title |", "| --- | --- | --- |"]
    lines += [f"| {STATUSES[error.kind]} | `{error.type}` | {error.title} |" for error in ERROR_TYPES.values()]
    expected = "\n".join(lines)
    shown = read("api.md").split("<!-- errors -->\n", 1)[1].split("\n<!-- /errors -->", 1)[0]
    assert shown == expected


def test_every_setting_is_in_the_guide() -> None:
    assert rows_of(read("settings.md")) == [f"PHONIFY_{field.name.upper()}" for field in fields(Settings)]


def test_every_command_is_in_the_guide(app: Flask) -> None:
    commands = []
    for name, command in app.cli.commands.items():
        commands += [f"{name} {part}" for part in getattr(command, "commands", {})] or [name]
    documented = [
        " ".join(re.findall(r"(?<!\S)[a-z-]+", row)) for row in rows_of(read("command-line.md").split("\n## ")[0])
    ]
    assert sorted(documented) == sorted(commands)


@pytest.mark.parametrize("text", [ROOT / "README.md", GUIDES / "how-it-works.md"], ids=lambda path: path.name)
def test_the_tables_of_packages_name_all_that_is_in_the_package(text: Path) -> None:
    shown = text.read_text(encoding="utf-8")
    for path in (ROOT / "phonify").iterdir():
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__"):
            name = path.name if path.suffix == ".py" else f"{path.name}/"
            assert f"`{name}`" in shown or f"`phonify/{name}`" in shown, name


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(text: Path) -> None:
    shown = text.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", shown)
    for file, anchor in links:
        if file.startswith("https://"):
            continue
        path = (text.parent / file).resolve() if file else text
        assert path.is_file(), file
        if anchor:
            assert anchor in anchors_of(path.read_text(encoding="utf-8")), f"{file}#{anchor}"


def test_every_file_that_a_text_names_exists() -> None:
    for text in TEXTS:
        for name in re.findall(r"`(phonify/[\w/]+\.\w+)`", text.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{text.name}: {name}"


def test_what_one_machine_carries_is_what_the_benchmark_printed() -> None:
    table = read("deployment.md").split("<!-- figures -->\n", 1)[1].split("\n\n", 1)[0]
    printed = read("benchmarks.md").split("## Results", 1)[1]
    figures = re.findall(r"\d[\d,.]*(?:/s| ms| MB)", table)
    assert len(figures) == 10
    for figure in figures:
        number = re.escape(figure.removesuffix("/s").removesuffix(" ms").removesuffix(" MB"))
        assert re.search(rf"(?<![\d.,]){number}(?![\d.,]*\d)", printed), figure


@pytest.mark.parametrize("name", [name for name, gateway in GATEWAYS.items() if gateway.variables])
def test_the_guide_of_a_gateway_names_all_its_variables(name: str) -> None:
    path = GUIDES / f"gateways-{name}.md"
    assert path.is_file(), f"the gateway {name} has variables, so write the guide phonify/docs/{path.name} about them"
    guide = path.read_text(encoding="utf-8")
    assert [variable for variable in GATEWAYS[name].variables if f"`{variable}`" not in guide] == []


def test_the_codes_of_the_twilio_compatible_api_are_those_of_the_code() -> None:
    rows = [f"| `{type_}` | `{status}` | {code or 'none'} |" for type_, (status, code) in FAILURES.items()]
    shown = read("twilio.md").split("| error type | status | code |\n| --- | --- | --- |\n", 1)[1]
    assert shown.split("\n| any other", 1)[0].splitlines() == rows


@pytest.mark.parametrize(("name", "write"), [("trials", write_trials), ("verdicts", write_verdicts)])
def test_the_trials_and_the_verdicts_of_the_lab_are_those_of_the_code(name: str, write: Callable[[], str]) -> None:
    shown = read("lab.md").split(f"<!-- {name} -->\n\n", 1)[1].split(f"\n\n<!-- /{name} -->", 1)[0]
    assert shown == write()


def test_the_outcomes_and_errors_of_rules_are_the_same_in_the_code_and_in_the_guide() -> None:
    guide = read("rules.md")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", guide.split("## Outcomes")[1].split("\n## ")[0], re.MULTILINE)
    assert [name for name, _ in rows] == list(OUTCOMES) == list(ARGUMENTS)
    assert [re.findall(r"`(\w+)`(?! ?\))", arguments) for _, arguments in rows] == [
        [*one] for one in ARGUMENTS.values()
    ]
    assert typing.get_args(RuleOutcome) == typing.get_args(Outcome) == OUTCOMES
    shown = guide.split("<!-- errors -->\n", 1)[1].split("\n<!-- /errors -->", 1)[0]
    assert tuple(re.findall(r"`(\w+)`", shown)) == MESSAGE_ERRORS
    assert set(MESSAGE_ERRORS) == set(FAILURES)
