"""Servers and commands in separate processes."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.app import KEY, ROOT, basic


class Process:
    """A server or command in its own process group. Its output goes to a file."""

    def __init__(self, command: list[str], *, log: Path, cwd: Path, environ: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                command, cwd=cwd, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def output(self) -> str:
        """The output of the process so far."""
        return self.log.read_text(encoding="utf-8", errors="backslashreplace")

    def wait_for(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait until the output matches a pattern. Returns the match."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.output)):
            if self.popen.poll() is not None or time.monotonic() > deadline:
                # Read again: this may be the last output of the process.
                found = re.search(pattern, self.output)
                assert found, f"no {pattern!r} in what it printed:\n{self.output}"
                break
            time.sleep(0.01)
        return found

    def terminate(self, timeout: float = 40) -> int:
        """Send SIGTERM. Returns the exit status."""
        self.popen.terminate()
        return self.popen.wait(timeout)

    def kill_all(self) -> None:
        """Send SIGKILL to the process and to all processes that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    @property
    def port(self) -> int:
        """The port of a server, after the server has printed it."""
        return int(self.wait_for(r"http://(?:127\.0\.0\.1|localhost):(\d+)")[1])

    def call(self, method: str, path: str, key: str | None = KEY, **arguments: Any) -> tuple[int, Any]:
        """Send a request with a JSON body. Returns the status and the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        headers = {"Authorization": basic(key)} if key is not None else {}
        body = None
        if arguments:
            body, headers["Content-Type"] = json.dumps(arguments), "application/json"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def find_free_port() -> int:
    """Return a free port, for servers that can't choose a port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def starting(folder: Path) -> Iterator[Callable[..., Process]]:
    """Yield a function that starts `python ARGUMENTS...` with settings.

    All processes are killed at the end of the block.

    Without arguments, the function starts the server. All processes share a database and the key `test-key`.
    """
    started: list[Process] = []

    def start(*arguments: str, cwd: Path = ROOT, **settings: str | None) -> Process:
        given = {"DATABASE": str(folder / "phonify.db"), "PORT": "0", "API_KEY": KEY, **settings}
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        environ |= {f"PHONIFY_{name}": value for name, value in given.items() if value is not None}
        log = folder / f"output-{len(started)}"
        command = [sys.executable, *(arguments or ("app.py",))]
        started.append(Process(command, log=log, cwd=cwd, environ=environ))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill_all()
