"""The guide's Dockerfile and compose example, without a container engine: what each of their lines does here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from phonify.config import Settings
from tests.support.app import ROOT
from tests.support.guides import read_block
from tests.support.servers import Process, find_free_port

LINES = read_block("deployment", "Dockerfile").splitlines()
SERVICE = yaml.safe_load(read_block("deployment", "compose.yaml"))["services"]["phonify"]


def find_all(instruction: str) -> list[str]:
    """Return what stands behind an instruction, for each line of the Dockerfile that has it."""
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """Run a command that is to succeed; return what it prints."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )
    output = done.stdout.decode(errors="backslashreplace")
    assert done.returncode == 0, output
    return output


def test_the_dockerfile_is_short_and_its_last_user_is_not_root() -> None:
    assert len(LINES) <= 15
    assert LINES.index("USER phonify") < len(LINES) - 1
    assert find_all("USER") == ["phonify"]
    assert any("useradd" in line and "phonify" in line for line in find_all("RUN"))


def test_compose_keeps_the_data_publishes_the_port_here_alone_and_waits_for_the_end() -> None:
    assert [volume.split(":")[1] for volume in SERVICE["volumes"]] == find_all("VOLUME")
    assert SERVICE["ports"] == [f"127.0.0.1:8000:{port}" for port in find_all("EXPOSE")]
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) > Settings().grace + 5


@pytest.mark.packaging
def test_what_the_image_installs_serves_and_its_health_check_tells_whether_it_does(tmp_path: Path) -> None:
    source, site, data = tmp_path / "src", tmp_path / "site", tmp_path / "data"
    source.mkdir()
    data.mkdir(mode=0o700)
    for names in find_all("COPY"):
        *files, target = names.split()
        for file in files:
            if (ROOT / file).is_dir():
                shutil.copytree(ROOT / file, source / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / file, source / target)
    assert "pip install --no-cache-dir ." in find_all("RUN")
    # Its dependencies are here already.
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, ".", cwd=source)

    (volume,), (port,) = find_all("VOLUME"), find_all("EXPOSE")
    settings = dict(part.split("=") for line in find_all("ENV") for part in line.split())
    assert settings["PHONIFY_DATABASE"].startswith(f"{volume}/")
    free = str(find_free_port())
    environ = {name: value.replace(volume, str(data)) for name, value in settings.items()}
    environ |= {"PHONIFY_PORT": free, "PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1"}
    program, *arguments = json.loads(find_all("CMD")[0])
    key = json.loads(run(site / "bin" / program, "keys", "create", "--json", cwd=data, **environ).splitlines()[-1])[
        "key"
    ]

    server = Process(
        [str(site / "bin" / program), *arguments], log=tmp_path / "output", cwd=data, environ=os.environ | environ
    )
    try:
        assert server.call("POST", "/v1/messages", key, to="+14560000000", body="Hello")[0] == 201
        python, *check = json.loads(find_all("HEALTHCHECK")[0].removeprefix("CMD "))
        assert python == "python"
        check = [sys.executable, *(part.replace(f":{port}/", f":{free}/") for part in check)]
        run(*check, cwd=data)
        assert server.terminate() == 0
        assert subprocess.run(check, cwd=data, capture_output=True, timeout=20).returncode == 1
    finally:
        server.kill_all()
    assert (data / "phonify.db").stat().st_mode & 0o777 == 0o600
