"""Tests of `pip install .` in an empty environment: the command, the plugin, and all their files."""

import http.client
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.app import ROOT
from tests.support.servers import Process

pytestmark = pytest.mark.packaging


PROJECT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
# Files that the package reads at run time.
FILES = {
    path.relative_to(ROOT).as_posix()
    for path in ROOT.joinpath("phonify").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


def run(*command: str | Path, cwd: Path, status: int = 0, **more: str) -> str:
    """Run a command. It must end with the given status. Returns its output."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PHONIFY_", "PYTHON"))}
    result = subprocess.run(
        command, cwd=cwd, env=environ | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )
    output = result.stdout.decode(errors="backslashreplace")
    assert result.returncode == status, output
    return output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def environment(place: Path) -> Path:
    """The folder of programs of an empty environment."""
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    return place / "venv/bin"


@pytest.fixture(scope="module")
def install(environment: Path, place: Path) -> Callable[..., None]:
    def install(*requirements: str | Path) -> None:
        options = ("-q", "--no-warn-script-location", "--disable-pip-version-check")
        pip = (sys.executable, "-m", "pip", "--python", environment / "python")
        run(*pip, "install", *options, *requirements, cwd=place)

    return install


@pytest.fixture(scope="module")
def wheel(place: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place / "wheels", ROOT, cwd=place)
    (wheel,) = place.joinpath("wheels").iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(environment: Path, install: Callable[..., None], wheel: Path) -> Path:
    """The programs of an environment with only the wheel and its requirements."""
    install(wheel)
    return environment


@pytest.fixture(scope="module")
def tested(installed: Path, install: Callable[..., None]) -> Path:
    """The same with pytest and pytest-xdist."""
    install(*PROJECT["optional-dependencies"]["pytest"], "pytest-xdist")
    return installed


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[Process]:
    environ = {**os.environ, "PHONIFY_PORT": "0", "PHONIFY_API_KEY": "test-key", "PYTHONUNBUFFERED": "1"}
    environ.pop("PYTHONPATH", None)
    process = Process([str(installed / "phonify"), "serve"], log=tmp_path / "output", cwd=tmp_path, environ=environ)
    yield process
    process.kill_all()


def test_the_project_depends_on_what_requirements_txt_names() -> None:
    lines = ROOT.joinpath("requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["pytest"]]


def test_all_files_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == FILES | {"phonify/schema.sql"}


def test_a_wheel_can_be_built_from_the_source_distribution(tested, install, place: Path, wheel: Path) -> None:
    install("hatchling>=1.27,<2")
    run(tested / "python", "-m", "hatchling", "build", "-t", "sdist", "-d", place / "sdist", cwd=ROOT)
    (sdist,) = place.joinpath("sdist").iterdir()
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= FILES | {"schema.sql", "app.py", "README.md", "requirements.txt"}
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place / "again", sdist, cwd=place)
    (again,) = place.joinpath("again").iterdir()
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert set(first.namelist()) == set(second.namelist())


def test_the_command_says_what_it_can_do(installed: Path, tmp_path: Path) -> None:
    assert "Serve the API" in run(installed / "phonify", "--help", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_serves_the_api_and_the_web_page(server: Process, tmp_path: Path) -> None:
    status, answer = server.call("POST", "/v1/messages", to="+14560000000", body="Hello")
    assert (status, answer["message"]["body"]) == (201, "Hello")
    server.wait_for(r"Make another key with: \S*phonify keys create")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for path in ("/inbox/sign-in", "/inbox/static/inbox.css"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, path
    connection.close()
    assert server.terminate() == 0
    assert tmp_path.joinpath("phonify.db").exists()


def read_example() -> str:
    """Return the example of the README."""
    readme = ROOT.joinpath("README.md").read_text(encoding="utf-8")
    return readme.split("<!-- test suite -->\n```python\n", 1)[1].split("```", 1)[0]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_the_example_of_the_readme_passes_with_the_plugin(tested: Path, tmp_path: Path, arguments) -> None:
    tmp_path.joinpath("test_example.py").write_text(read_example())
    output = run(tested / "python", "-m", "pytest", "-W", "error", *arguments, cwd=tmp_path)
    assert "1 passed" in output
    assert "warning" not in output


@pytest.fixture(scope="module")
def older(place: Path) -> Path:
    """The folder of programs of an environment with an app's own, older versions of Flask and marshmallow."""
    run(sys.executable, "-m", "venv", place / "older", cwd=place)
    programs = place / "older/bin"
    run(programs / "pip", "install", "-q", "flask<3", "marshmallow<4", "pytest<10", cwd=place)
    return programs


def test_beside_older_versions_the_plugin_uses_a_server_elsewhere_and_moves_no_package(
    older: Path, server: Process, tmp_path: Path
) -> None:
    before = run(older / "pip", "freeze", cwd=tmp_path).splitlines()
    run(older / "pip", "install", "-q", "--no-deps", ROOT, cwd=tmp_path)
    after = run(older / "pip", "freeze", cwd=tmp_path).splitlines()
    assert [line for line in after if not line.startswith("phonify ")] == before
    assert len(after) == len(before) + 1
    tmp_path.joinpath("test_example.py").write_text(
        "import flask, marshmallow\n" + read_example() + "    assert phonify.url in __import__('os').environ.values()\n"
    )
    command = (older / "python", "-m", "pytest", "-W", "error")
    output = run(*command, cwd=tmp_path, PHONIFY_URL=f"http://127.0.0.1:{server.port}", PHONIFY_API_KEY="test-key")
    assert "1 passed" in output
    assert server.call("GET", "/sandbox/runs") == (200, {"runs": []})


def test_beside_older_versions_the_plugin_says_what_it_needs(older: Path, tmp_path: Path) -> None:
    run(older / "pip", "install", "-q", "--no-deps", ROOT, cwd=tmp_path)
    tmp_path.joinpath("test_example.py").write_text(read_example())
    output = run(older / "python", "-m", "pytest", cwd=tmp_path, status=1)
    assert "the server can't be started here: " in output
    assert "1 error" in output


def test_a_suite_without_the_fixture_imports_no_flask(tested: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("test_nothing.py").write_text(
        "import sys\n\n"
        "def test_it():\n"
        "    assert 'phonify.testing.pytest_plugin' in sys.modules\n"
        "    assert not {'flask', 'marshmallow', 'urllib3'} & set(sys.modules)\n"
    )
    assert "1 passed" in run(tested / "python", "-m", "pytest", cwd=tmp_path)
