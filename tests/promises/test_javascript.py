"""Tests of the client for JavaScript: its own tests in tests/javascript, its types, and a sign-up in a browser."""

import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT
from tests.support.servers import Process, find_free_port, starting

CHROMIUM = Path("/usr/bin/chromium")
GUIDE = ROOT.joinpath("phonify/docs/testing.md").read_text(encoding="utf-8")
FOLDER = ROOT / "tests" / "javascript"
PACKAGES = ("@playwright/test@1", "typescript@5")

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
needs_browser = pytest.mark.skipif(
    shutil.which("npm") is None or not CHROMIUM.exists(), reason=f"there is no npm or no {CHROMIUM} on this machine"
)


def run(*command: str | Path, cwd: Path, **environ: str) -> None:
    """Run a command that must succeed."""
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300
    )
    assert result.returncode == 0, f"{command} failed:\n{result.stdout.decode(errors='backslashreplace')}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with starting(tmp_path_factory.mktemp("server")) as start:
        process = start(WORKERS="1")
        assert process.port
        yield process


@pytest.fixture(scope="module")
def place(server: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tests, and with the client and its types as the server sends them."""
    place = tmp_path_factory.mktemp("javascript")
    shutil.copytree(FOLDER, place, dirs_exist_ok=True)
    for name in ("phonify.mjs", "phonify.d.mts"):
        with urllib.request.urlopen(f"{server_url(server)}/sandbox/{name}") as response:
            place.joinpath(name).write_bytes(response.read())
    return place


@pytest.fixture(scope="module")
def packages(place: Path) -> Path:
    """The same folder with the npm packages that the tests need."""
    place.joinpath("package.json").write_text('{"private": true}')
    run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES, cwd=place)
    return place


def server_url(server: Process) -> str:
    return f"http://127.0.0.1:{server.port}"


def run_tests(name: str, server: Process, place: Path) -> None:
    environ = {"TEST_URL": server_url(server), "TEST_KEY": KEY, "TEST_CHROMIUM": str(CHROMIUM)}
    run("node", "--test", name, cwd=place, **environ)


@needs_node
@pytest.mark.slow
def test_the_module_does_what_its_tests_say(server: Process, place: Path) -> None:
    run_tests("client.test.mjs", server, place)


@needs_node
@needs_browser
@pytest.mark.browser
def test_a_person_signs_up_in_a_browser_with_the_code_of_a_text(server: Process, packages: Path) -> None:
    run_tests("sign_up.test.mjs", server, packages)


@needs_node
@needs_browser
@pytest.mark.browser
def test_the_example_of_the_guide_passes_with_playwright(server: Process, packages: Path) -> None:
    (example,) = re.findall(r"<!-- playwright -->\n```javascript\n(.*?)```", GUIDE, re.DOTALL)
    packages.joinpath("example.spec.mjs").write_text(example)
    phonify = {"PHONIFY_URL": server_url(server), "PHONIFY_API_KEY": KEY}
    ours = {"TEST_PORT": str(find_free_port()), "TEST_CHROMIUM": str(CHROMIUM)}
    run("node_modules/.bin/playwright", "test", cwd=packages, **phonify, **ours)


@needs_node
@pytest.mark.slow
def test_the_examples_of_the_guide_are_valid_javascript(tmp_path: Path) -> None:
    examples = re.findall(r"```javascript\n(.*?)```", GUIDE, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        tmp_path.joinpath("example.mjs").write_text(example)
        run("node", "--check", "example.mjs", cwd=tmp_path)


@needs_node
@needs_browser
@pytest.mark.browser
def test_the_types_are_those_of_the_module(packages: Path) -> None:
    options = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
    run("node_modules/.bin/tsc", *options, "types.mts", cwd=packages)
