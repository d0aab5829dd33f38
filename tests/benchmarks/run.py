"""The benchmark: `.venv/bin/python tests/benchmarks/run.py` prints one table of ratios.

Needs wrk (Debian: apt-get install wrk). Starts Phonify, with its dispatcher running, and a bare
Flask view under the same server settings, loads them in turns on loopback, and compares within
each round; the figure is the median of the rounds. `--quick` makes a table in under a minute,
`--rows` sets the size of the table for the deep list.
"""

import argparse
import base64
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from phonify import store  # noqa: E402
from phonify.clock import format_time  # noqa: E402
from phonify.db import Database  # noqa: E402
from phonify.ids import generate_ids  # noqa: E402

KEY = "benchmark-key-0123456789"
AUTHORIZATION = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()


class Load(NamedTuple):
    """What one run of wrk saw."""

    per_second: float
    p99: float  # milliseconds
    p50: float


def free_port() -> int:
    """Return a port that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(command: list[str], url: str, environ: dict[str, str], log: Path) -> Iterator[None]:
    """Run a server until the block ends; its output goes to a file, as it would in earnest."""
    with log.open("ab") as output:
        server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=output)
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": AUTHORIZATION}))
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                raise SystemExit(f"{command} did not start; see {log}")
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def load(url: str, connections: int, seconds: float, *, body: str | None = None) -> Load:
    """Load an address with wrk; stop the benchmark where an answer is no success."""
    script = [f'wrk.headers["Authorization"] = "{AUTHORIZATION}"']
    if body is not None:
        script += ['wrk.method = "POST"', f"wrk.body = [[{body}]]", 'wrk.headers["Content-Type"] = "application/json"']
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write("\n".join(script))
        file.flush()
        threads = str(min(connections, 2))
        arguments = ["-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--latency", "-s", file.name, url]
        printed = subprocess.run(["wrk", *arguments], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise SystemExit(f"{url}: {printed}")
    per_second = float(re.search(r"Requests/sec:\s+([0-9.]+)", printed)[1])
    p99, p50 = (
        float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
        for value, unit in (re.search(rf"{share}%\s+([0-9.]+)(us|ms|s)", printed).groups() for share in (99, 50))
    )
    return Load(per_second, p99, p50)


def call(url: str, body: dict[str, object] | None = None) -> dict:
    """Make one request to Phonify."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
        return json.load(response)


def fill(path: Path, rows: int) -> None:
    """Write messages that were sent long ago straight into the store."""
    database = Database(path)
    now = datetime.now(UTC) - timedelta(days=1)
    text = format_time(now)
    with database.reading() as connection:
        account = store.get_account(connection, name="default")
        ids = generate_ids(now, store.get_last_message_id(connection))
    for start in range(0, rows, 10_000):
        messages = [
            store.Message(
                id=next(ids),
                account_id=account.id,
                direction="outbound",
                body=f"Message {number} of many, as long as most are",
                origin_number="+15005550006",
                origin_country="US",
                origin_carrier=None,
                to_number=f"+1456{number % 10_000_000:07}",
                to_country="US",
                to_carrier=None,
                state="sent",
                created_at=text,
                expires_at=text,
                attempts=1,
                finished_at=text,
            )
            for number in range(start, min(start + 10_000, rows))
        ]
        if not database.write(
            lambda connection, messages=messages: store.insert_messages(connection, messages=messages)
        ):
            raise SystemExit("the messages were not stored: someone else is sending")
    database.close()


def median_ratio(rounds: int, subject: Callable[[], Load], reference: Callable[[], Load]) -> tuple[Load, Load, float]:
    """Load both in turns; return the median of each and of the ratio within a round."""
    subjects, references = [], []
    for _ in range(rounds):
        references.append(reference())
        subjects.append(subject())
    ratio = statistics.median(a.per_second / b.per_second for a, b in zip(subjects, references, strict=True))

    def middle(loads: list[Load]) -> Load:
        return Load(*(statistics.median(column) for column in zip(*loads, strict=True)))

    return middle(subjects), middle(references), ratio


def measure_latency(phonify: str, times: int) -> float:
    """Return the median of milliseconds from sending a request to seeing the message `sent`, on an idle server."""
    taken = []
    for _ in range(times):
        time.sleep(0.05)
        start = time.perf_counter()
        message_id = call(f"{phonify}/v1/messages", {"to": "+14560000000", "body": "Hello"})["message"]["id"]
        while call(f"{phonify}/v1/messages/{message_id}")["message"]["state"] != "sent":
            time.sleep(0.0005)
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def wait_until_delivered(phonify: str) -> None:
    """Return when nothing waits for delivery any more."""
    while call(f"{phonify}/v1/messages?state=unconfirmed&limit=1")["messages"]:
        time.sleep(0.2)


def report(name: str, figure: str, target: str, met: bool) -> None:
    """Print one line of the table."""
    print(f"{name:<46} {figure:<52} {target:<18} {'met' if met else 'NOT MET'}", flush=True)


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where the database goes; the system's temporary folder otherwise")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing; Debian has it: apt-get install wrk")
    rounds, seconds = (3, 2) if options.quick else (7, 5)
    rows = min(options.rows, 100_000) if options.quick else options.rows
    deep = rows // 10 * 9

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        log, database = Path(folder, "server.log"), Path(folder, "phonify.db")
        ports = free_port(), free_port()
        bare, phonify = (f"http://127.0.0.1:{port}" for port in ports)
        environ = {"PHONIFY_DATABASE": str(database), "PHONIFY_PORT": str(ports[1]), "PHONIFY_API_KEY": KEY}
        python = [sys.executable, "-W", "ignore"]
        with (
            serving([*python, "tests/benchmarks/bare.py", str(ports[0])], bare, {"PYTHONPATH": str(ROOT)}, log),
            serving([*python, "app.py"], f"{phonify}/v1/messages", environ, log),
        ):
            print(f"{'what':<46} {'seen':<52} {'target':<18}")
            latency = measure_latency(phonify, 20 if options.quick else 100)
            report("accepted to sent, idle, median", f"{latency:.1f} ms", "<= 20 ms", latency <= 20)

            one = json.dumps({"to": "+14560000000", "body": "Your code is 123456"})
            for connections in (1, 16, 64):
                subject, reference, ratio = median_ratio(
                    rounds,
                    lambda c=connections: load(f"{phonify}/v1/messages", c, seconds, body=one),
                    lambda c=connections: load(f"{bare}/", c, seconds),
                )
                slower = subject.p99 / reference.p99
                figure = (
                    f"{subject.per_second:.0f} of {reference.per_second:.0f}/s = {ratio:.2f}; "
                    f"p99 {subject.p99:.1f} of {reference.p99:.1f} ms = {slower:.1f}"
                )
                aim = ">= 0.36, p99 <= 5" if connections == 16 else ""
                report(f"POST of one, {connections} connections", figure, aim,
                       connections != 16 or (ratio >= 0.36 and slower <= 5))  # fmt: skip
                wait_until_delivered(phonify)

            message_id = call(f"{phonify}/v1/messages?limit=1")["messages"][0]["id"]
            subject, reference, ratio = median_ratio(
                rounds,
                lambda: load(f"{phonify}/v1/messages/{message_id}", 16, seconds),
                lambda: load(f"{bare}/", 16, seconds),
            )
            figure = f"{subject.per_second:.0f} of {reference.per_second:.0f}/s = {ratio:.2f}"
            report("one by id, 16 connections", figure, ">= 0.70", ratio >= 0.70)

            many = json.dumps({"to": [f"+1456{number:07}" for number in range(1000)], "body": "Hello"})
            seen = [load(f"{phonify}/v1/messages", 1, seconds, body=many) for _ in range(rounds)]
            rate = statistics.median(run.per_second for run in seen) * 1000
            report("1,000 recipients in one request", f"{rate:.0f} messages/s", ">= 8000 /s", rate >= 8000)
            wait_until_delivered(phonify)

            fill(database, rows)
            front, far, ratio = median_ratio(
                rounds,
                lambda: load(f"{phonify}/v1/messages?limit=50", 1, seconds),
                lambda: load(f"{phonify}/v1/messages?limit=50&offset={deep}", 1, seconds),
            )
            figure = f"{1000 / far.per_second:.2f} of {1000 / front.per_second:.2f} ms = {ratio:.2f}"
            report(f"list of 50 at offset {deep:,} of {rows:,}", figure, "<= 3", ratio <= 3)


if __name__ == "__main__":
    main()
