"""Processes on a terminal of their own."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.app import ROOT


class Terminal:
    """A process whose output goes to a terminal."""

    def __init__(self, arguments: tuple[str, ...], environ: dict[str, str], cwd: Path) -> None:
        self._descriptor, other = pty.openpty()
        os.set_blocking(self._descriptor, False)
        self._text = b""
        self.popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environ,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)

    @property
    def output(self) -> str:
        """All that the terminal has shown so far."""
        with suppress(BlockingIOError, OSError):
            while chunk := os.read(self._descriptor, 65_536):
                self._text += chunk
        return self._text.decode().replace("\r\n", "\n")

    def wait_for(self, pattern: str, timeout: float = 30) -> re.Match[str]:
        """Wait until the terminal has shown something that matches; return the match."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.output)):
            assert time.monotonic() < end, f"no {pattern!r} in what it shows:\n{self.output}"
            time.sleep(0.01)
        return found

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        os.close(self._descriptor)


@contextmanager
def on_terminal(folder: Path, *arguments: str, **settings: str) -> Iterator[Terminal]:
    """Start `python ARGUMENTS...` with settings on a terminal; at the end of the block all is killed."""
    given = {"DATABASE": str(folder / "phonify.db"), "PORT": "0", **settings}
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    environ |= {f"PHONIFY_{name}": value for name, value in given.items()}
    terminal = Terminal(arguments or ("app.py",), environ, ROOT)
    try:
        yield terminal
    finally:
        terminal.close()
