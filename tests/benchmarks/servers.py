"""Starts the servers of a measurement: Phonify and the bare view on stock servers, `python app.py`, delivery alone.

gunicorn and granian get the same number of workers and threads for whatever they serve. gunicorn
gets `--reuse-port` for both sides: with one listening socket, kept-alive connections often all
belong to one worker, and a run is then half as fast, at random. No server writes an access log.
"""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from load import AUTHORIZATION, KEY

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORKERS, THREADS = 2, 8

Stock = Literal["gunicorn", "granian"]


class Serving(NamedTuple):
    """A running server."""

    pid: int
    port: int
    first_answer: float  # seconds from the start of the process

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def measure_memory(self) -> float:
        """Return the memory of all processes in megabytes. Shared memory counts once (PSS)."""
        pids, total = [self.pid], 0
        for pid in pids:
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1])
        return total / 1024


class Installation(NamedTuple):
    """A checkout of Phonify and its database."""

    checkout: Path
    database: Path

    @property
    def environ(self) -> dict[str, str]:
        """Its settings."""
        return {
            "PHONIFY_DATABASE": str(self.database),
            "PHONIFY_API_KEY": KEY,
            "PHONIFY_ACCESS_LOG": "off",
            "PHONIFY_WORKERS": str(WORKERS),
            "PHONIFY_THREADS": str(THREADS),
        }


def make_database(installation: Installation) -> None:
    """Create the database with the checkout's own command."""
    command = [sys.executable, "-m", "flask", "--app", "app", "init-db"]
    environ = clean_environ(installation.environ)
    subprocess.run(command, cwd=installation.checkout, env=environ, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def serve_own(installation: Installation) -> Iterator[Serving]:
    """Run the checkout's `python app.py`."""
    port = find_free_port()
    environ = {**installation.environ, "PHONIFY_PORT": str(port)}
    command = [sys.executable, "app.py"]
    with run(command, installation.checkout, environ, log_of(installation)) as process:
        yield wait_for_answer(process, port, "/v1/messages?limit=1")


@contextmanager
def serve_phonify(stock: Stock, installation: Installation) -> Iterator[Serving]:
    """Run Phonify's application on a stock server, and delivery in a separate process."""
    port = find_free_port()
    with ExitStack() as processes:
        processes.enter_context(deliver(installation))
        command = [*compose_command(stock, port), "app:app"]
        process = run(command, installation.checkout, installation.environ, log_of(installation))
        yield wait_for_answer(processes.enter_context(process), port, "/v1/messages?limit=1")


@contextmanager
def serve_bare(stock: Stock, log: Path) -> Iterator[Serving]:
    """Run the bare view on a stock server."""
    port = find_free_port()
    with run([*compose_command(stock, port), "bare:app"], HERE, {}, log) as process:
        yield wait_for_answer(process, port, "/hello")


@contextmanager
def deliver(installation: Installation) -> Iterator[None]:
    """Run delivery alone."""
    command = [sys.executable, "-m", "flask", "--app", "app", "worker"]
    with run(command, installation.checkout, installation.environ, log_of(installation)):
        yield


def compose_command(stock: Stock, port: int) -> list[str]:
    """Return the command line of a stock server, without the application."""
    if stock == "gunicorn":
        flags = ["--workers", str(WORKERS), "--threads", str(THREADS), "--reuse-port", "--bind", f"127.0.0.1:{port}"]
    else:
        flags = ["--interface", "wsgi", "--workers", str(WORKERS), "--blocking-threads", str(THREADS)]
        flags += ["--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", stock, *flags]


def log_of(installation: Installation) -> Path:
    """Return the file with the output of a server."""
    return installation.database.with_suffix(".log")


@contextmanager
def run(
    command: list[str], folder: Path, environ: Mapping[str, str], log: Path
) -> Iterator[tuple[subprocess.Popen, float]]:
    """Run a process until the block ends. Yields the process and the time of its start."""
    with log.open("ab") as output:
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=clean_environ(environ), stdout=output, stderr=output)
        try:
            yield process, start
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_for_answer(started: tuple[subprocess.Popen, float], port: int, path: str) -> Serving:
    """Return the time of a server's first answer. Stops the benchmark if there is no answer."""
    process, start = started
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": AUTHORIZATION})
    while True:
        try:
            urllib.request.urlopen(request)
            return Serving(process.pid, port, time.monotonic() - start)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{process.args}: {path} was answered with {error.code}") from error
        except OSError as error:
            if process.poll() is not None or time.monotonic() > start + 60:
                raise SystemExit(f"{process.args} did not start: {error}") from error
            time.sleep(0.005)


def clean_environ(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with only the given settings of Phonify."""
    foreign = ("PHONIFY_", "GUNICORN_", "GRANIAN_", "FLASK_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)}, **settings}


def find_free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_out(commit_or_path: str, folder: Path) -> Path:
    """Return the path of a former checkout. The files of a commit are unpacked into the folder."""
    if Path(commit_or_path, "app.py").exists():
        return Path(commit_or_path).resolve()
    command = ["git", "archive", commit_or_path]
    archived = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    checkout = folder / "former"
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        archive.extractall(checkout, filter="data")
    return checkout
