"""Runs schemathesis against a server, with requests generated from the API's description.

See the folder schemathesis.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT, ApiClient, basic
from tests.support.servers import Process

pytestmark = pytest.mark.slow


FOLDER = ROOT / "tests/schemathesis"


def test_schemathesis_finds_nothing(start: Callable[..., Process], stranger: ApiClient, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": basic(key)}]}
        for name, key in (("default", KEY), ("other", stranger.key))
    ]
    accounts.write_text(json.dumps({"schemaVersion": "0.2.0", "auth": users}), encoding="utf-8")
    server = start(WORKERS="1", ACCESS_LOG="off")
    result = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", FOLDER / "schemathesis.toml", "run", "--checks", "all", "--no-color"),
            f"http://127.0.0.1:{server.port}/v1/openapi.json",
        ],
        cwd=tmp_path,
        env={**os.environ, "PHONIFY_TEST_ACCOUNTS": str(accounts), "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout
    assert "Traceback" not in server.output
