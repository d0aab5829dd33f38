"""Prism by Stoplight: a server that is made of a provider's published description, and checks each request with it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Process, find_free_port

VERSION = "5.16.0"
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm on this machine")


class Prism:
    """A running Prism. It refuses requests that do not match the description, and answers with its examples."""

    def __init__(self, process: Process, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process

    @property
    def checked(self) -> list[str]:
        """The requests so far, such as `post /messages`."""
        lines = self._process.output.splitlines()
        return [line.split("[HTTP SERVER] ")[1].split(" ℹ")[0] for line in lines if "[HTTP SERVER]" in line]

    @property
    def faults(self) -> list[str]:
        """What did not match the description so far, in requests and in answers."""
        return [line for line in self._process.output.splitlines() if "Violation" in line or "did not pass" in line]


@contextmanager
def serving(document: dict[str, Any], folder: Path) -> Iterator[Prism]:
    """Install Prism in a folder, and serve a description until the end of the block."""
    folder.joinpath("package.json").write_text('{"private": true}')
    folder.joinpath("document.json").write_text(json.dumps(document))
    package = f"@stoplight/prism-cli@{VERSION}"
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", package]
    result = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode(errors="backslashreplace")
    port = find_free_port()
    command = ["node", "node_modules/@stoplight/prism-cli/dist/index.js", "mock", "--errors", "--port", str(port)]
    process = Process(
        [*command, "document.json"], log=folder / "log", cwd=folder, environ={**os.environ, "NO_COLOR": "1"}
    )
    try:
        process.wait_for("Prism is listening", timeout=60)
        yield Prism(process, port)
    finally:
        process.kill_all()
