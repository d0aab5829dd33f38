"""Tests of imports: a package imports only from packages below it, and each third-party package has its place."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "phonify"
GROUND = {"errors", "clock", "ids", "logs", "request_id", "outgoing"}
BELOW_HTTP = {"services", "config", "lab", "domain", "schemas", "gateways", "sms", *GROUND}

# The parts that each part may import. Files of a part may import each other.
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "sms": GROUND,
    "gateways": GROUND | {"sms"},
    "storage": GROUND,
    "schemas": GROUND | {"sms", "storage"},
    "domain": GROUND | {"sms", "storage", "schemas", "gateways"},
    "delivery": GROUND | {"sms", "storage", "domain", "gateways"},
    "lab": GROUND | {"storage", "schemas", "domain"},
    "config": GROUND | {"sms", "gateways"},
    "services": GROUND | {"sms", "storage", "schemas", "gateways", "domain", "delivery", "lab", "config"},
    "http": GROUND | {"services", "schemas", "storage"},
    "api": BELOW_HTTP | {"http", "storage"},
    "fronts": BELOW_HTTP | {"http", "storage"},
    "sandbox": BELOW_HTTP | {"http"},
    "web": BELOW_HTTP | {"http", "api", "storage"},
    "operations": BELOW_HTTP | {"http", "storage"},
    "server": GROUND | {"services", "config"},
    "cli": BELOW_HTTP | {"storage", "server"},
    "testing": {"factory", "services", "config", "domain", "storage", *GROUND},
}
ABOVE_ALL = {"factory", "__main__", "__init__"}

# Third-party packages, and the parts that may import them.
HTTP_PARTS = {"http", "api", "fronts", "sandbox", "web", "operations"}
HOMES = {
    "sqlite3": {"storage"},
    "flask": HTTP_PARTS | {"factory", "__main__"},
    "werkzeug": HTTP_PARTS | {"testing"},
    "markupsafe": {"web"},
    "flask_httpauth": {"http"},
    "marshmallow": {"schemas", "api"},
    "apispec": {"api"},
    "phonenumbers": {"sms"},
    "urllib3": {"outgoing"},
    "markdown_it": {"web"},
    "gunicorn": {"server"},
    "click": {"cli", "config", "__main__"},
    "prometheus_client": {"operations"},
    "pytest": {"testing"},
}


def list_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the imports of a file as pairs.

    A pair is ("phonify", part) for a part of phonify, or else the name of the top-level module twice.
    """
    base = ("phonify", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = list(base[: len(base) - node.level + 1]) if node.level else []
            module = [*start, *(node.module or "").split(".")] if node.module else start
            modules = [[*module, alias.name] for alias in node.names]
        else:
            continue
        for module in modules:
            yield module[0], module[1] if module[0] == "phonify" else module[0]


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_part_is_in_the_table() -> None:
    assert {part_of(path) for path in FILES} == MAY_IMPORT.keys() | ABOVE_ALL


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part in ABOVE_ALL:
        return
    imported = {name for package, name in list_imports(path) if package == "phonify"} - {part}
    assert imported <= MAY_IMPORT[part], imported - MAY_IMPORT[part]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_other_package_is_imported_in_its_places_alone(path: Path) -> None:
    for package, _ in list_imports(path):
        if package in HOMES:
            assert part_of(path) in HOMES[package], package
        else:
            assert package == "phonify" or package in sys.stdlib_module_names, package


def test_only_the_reference_imports_the_api() -> None:
    files = [path for path in FILES if part_of(path) == "web" and ("phonify", "api") in list_imports(path)]
    assert [path.name for path in files] == ["reference.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_has_more_than_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
