"""The benchmark: `.venv/bin/python tests/benchmarks/run.py` prints one table of ratios.

Needs wrk (Debian: apt-get install wrk). Starts Phonify, with its dispatcher running, and a bare
Flask view under the same server settings (`bare.py`), loads them in turns on loopback, and compares
within each round; the figure is the median of the rounds. What has no counterpart in HTTP is
compared with plain sqlite3 doing the same to the same table. `--quick` makes a table in two
minutes; `--sizes 10000,1000000,10000000` says how many messages are there beforehand, which shows
what grows with them (ten million take several GB and a quarter of an hour).
"""

import argparse
import base64
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from phonify import store  # noqa: E402
from phonify.clock import format_time  # noqa: E402
from phonify.db import Database  # noqa: E402
from phonify.dispatcher import BATCH  # noqa: E402
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


class Serving(NamedTuple):
    """A running server."""

    pid: int
    first_answer: float  # seconds from its start

    def memory(self) -> float:
        """Return the megabytes of all its processes; what they share counts once."""
        pids, total = [self.pid], 0
        for pid in pids:
            pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1])
        return total / 1024


@contextmanager
def serving(command: list[str], url: str, environ: dict[str, str], log: Path) -> Iterator[Serving]:
    """Run a server until the block ends; its output goes to a file, as it would in earnest."""
    with log.open("ab") as output:
        start = time.monotonic()
        server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=output)
        try:
            while True:
                try:
                    urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": AUTHORIZATION}))
                    break
                except OSError as error:
                    if time.monotonic() > start + 30:
                        raise SystemExit(f"{command} did not start; see {log}") from error
                    time.sleep(0.01)
            yield Serving(server.pid, time.monotonic() - start)
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


def phone(number: int) -> str:
    """Return one of ten million phones, such that those of consecutive numbers are far apart."""
    return f"+1456{number * 7_368_787 % 10_000_000:07}"


def compose(ids: Iterator[str], numbers: Iterable[int], *, waiting: bool = False) -> list[store.Message]:
    """Return messages that were sent, or that are due."""
    now = datetime.now(UTC)
    text, end = format_time(now), format_time(now + timedelta(days=1))
    return [
        store.Message(
            id=next(ids),
            account_id=1,
            direction="outbound",
            body=f"Message {number} of many, as long as most are",
            origin_number="+15005550006",
            origin_country="US",
            origin_carrier=None,
            to_number=phone(number),
            to_country="US",
            to_carrier=None,
            state="unconfirmed" if waiting else "sent",
            created_at=text,
            due_at=text if waiting else None,
            expires_at=end,
            attempts=0 if waiting else 1,
            finished_at=None if waiting else text,
        )
        for number in numbers
    ]


def fill(path: Path, rows: int, *, waiting: bool = False) -> None:
    """Write messages straight into the store, where no server runs."""
    database = Database(path)
    with database.reading() as connection:
        ids = generate_ids(datetime.now(UTC), store.get_last_message_id(connection))
    for start in range(0, rows, 10_000):
        messages = compose(ids, range(start, min(start + 10_000, rows)), waiting=waiting)
        if not database.write(
            lambda connection, messages=messages: store.insert_messages(connection, messages=messages)
        ):
            raise SystemExit("the messages were not stored: someone else is sending")
    database.close()


def plain_sqlite(path: Path) -> sqlite3.Connection:
    """Return a connection to a new file with the same tables, as durable."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    connection.executescript((ROOT / "schema.sql").read_text())
    connection.execute("INSERT INTO accounts (id, name, created_at) VALUES (1, 'default', '')")
    return connection


def plain_insert(connection: sqlite3.Connection, messages: list[store.Message]) -> float:
    """Insert messages in one transaction, with nothing around it; return how many a second."""
    columns = ", ".join(store.Message._fields)
    marks = ", ".join("?" * len(store.Message._fields))
    start = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO messages ({columns}) VALUES ({marks})", messages)
    connection.execute("COMMIT")
    return len(messages) / (time.perf_counter() - start)


def plain_drain(connection: sqlite3.Connection) -> float:
    """Lease what waits and mark it as sent, in transactions as large as the dispatcher's; return how many a second."""
    start, done = time.perf_counter(), 0
    while True:
        connection.execute("BEGIN IMMEDIATE")
        due = connection.execute(
            "SELECT seq FROM messages WHERE due_at <= '9' ORDER BY due_at LIMIT ?", [BATCH]
        ).fetchall()
        connection.executemany("UPDATE messages SET due_at = '8', attempts = 1, submitted_at = '' WHERE seq = ?", due)
        connection.execute("COMMIT")
        if not due:
            return done / (time.perf_counter() - start)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE messages SET state = 'sent', finished_at = '', due_at = NULL, submitted_at = NULL WHERE seq = ?",
            due,
        )
        connection.execute("COMMIT")
        done += len(due)


def plain_delivery(connection: sqlite3.Connection) -> float:
    """Insert one message, lease it and mark it as sent, in a transaction each; return the milliseconds."""
    (last,) = connection.execute("SELECT max(id) FROM messages").fetchone()
    [message] = compose(generate_ids(datetime.now(UTC), last), [0], waiting=True)
    start = time.perf_counter()
    plain_insert(connection, [message])
    plain_drain(connection)
    return (time.perf_counter() - start) * 1000


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
        time.sleep(0.05)


class Figure(NamedTuple):
    """One line of the table at one size."""

    value: float  # what the target is about
    shown: str  # with what it was made of
    relative: float | None = None  # to what was measured beside it, where `value` is not that


class Target(NamedTuple):
    """What a figure is to be."""

    text: str
    is_met: Callable[[float], bool]
    better: Literal["more", "less"]


def at_least(value: float, unit: str = "") -> Target:
    """Return the target of so much or more."""
    return Target(f">= {value:,}{unit}", lambda seen: seen >= value, "more")


def at_most(value: float, unit: str = "") -> Target:
    """Return the target of so much or less."""
    return Target(f"<= {value:,}{unit}", lambda seen: seen <= value, "less")


TARGETS = {
    "first answer": at_most(0.6, " s"),
    "memory, idle": at_most(90, " MB"),
    "accepted to sent, idle": at_most(20, " ms"),
    "POST of one, 1 connection": None,
    "POST of one, 16 connections": at_least(0.45),
    "p99 of it": at_most(4),
    "POST of one, 64 connections": None,
    "one by id, 16 connections": at_least(0.8),
    "list of 50, 16 connections": at_least(0.5),
    "list of 50 at 90 %, to that at the front": at_most(1.5),
    "1,000 recipients in one POST": at_least(15_000, "/s"),
    "memory, after that": None,
    "drain of 100,000 waiting": at_least(5_000, "/s"),
}
WAITING = 100_000  # messages at the start of a drain
GROWTH = 1.3  # times that what answers or delivers may be slower with many messages than with few


class Bench:
    """The servers and files of a run."""

    def __init__(self, folder: Path, rounds: int, seconds: int) -> None:
        self.rounds, self.seconds = rounds, seconds
        self.log, self.database = folder / "server.log", folder / "phonify.db"
        self.python = [sys.executable, "-W", "ignore"]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1/messages"
        self.bare_port = free_port()
        self.bare = f"http://127.0.0.1:{self.bare_port}/hello"
        self.folder = folder
        self.rows = 0

    def serve(self) -> AbstractContextManager[Serving]:
        """Run Phonify."""
        environ = {"PHONIFY_DATABASE": str(self.database), "PHONIFY_PORT": str(self.port), "PHONIFY_API_KEY": KEY}
        return serving([*self.python, "app.py"], self.url, environ, self.log)

    def serve_bare(self) -> AbstractContextManager[Serving]:
        """Run the reference."""
        command = [*self.python, "tests/benchmarks/bare.py", str(self.bare_port)]
        return serving(command, self.bare, {"PYTHONPATH": str(ROOT)}, self.log)

    def compare(self, url: str, connections: int, body: str | None = None) -> tuple[Load, Load, float]:
        """Load Phonify and the reference in turns."""
        return median_ratio(
            self.rounds,
            lambda: load(url, connections, self.seconds, body=body),
            lambda: load(self.bare, connections, self.seconds),
        )

    def measure(self, rows: int) -> dict[str, Figure]:
        """Return the figures with so many messages in the database."""
        if not self.rows:
            with self.serve():
                pass  # makes the file
        if rows < self.rows:
            raise SystemExit(f"{self.rows:,} messages are there by now: leave larger steps between the sizes")
        fill(self.database, rows - self.rows)
        self.plain = plain_sqlite(self.folder / f"plain-{rows}.db")  # with few messages at each size
        os.sync()  # what was filled in is not to be written back meanwhile
        figures: dict[str, Figure] = {}
        starts, bare_starts = [], []
        for _ in range(self.rounds):
            with self.serve() as server:
                starts.append(server.first_answer)
            with self.serve_bare() as bare:
                bare_starts.append(bare.first_answer)
        start, ratio = statistics.median(starts), statistics.median(starts) / statistics.median(bare_starts)
        figures["first answer"] = Figure(start, f"{ratio:.1f} ({start:.2f} s, at most {max(starts):.2f})")
        with self.serve_bare() as bare, self.serve() as server:
            time.sleep(1)
            memory, bare_memory = server.memory(), bare.memory()
            figures["memory, idle"] = Figure(
                memory, f"{memory / bare_memory:.1f} ({memory:.0f} of {bare_memory:.0f} MB)"
            )
            latency = measure_latency(self.url.removesuffix("/v1/messages"), 10 * self.rounds)
            plain = statistics.median(plain_delivery(self.plain) for _ in range(10 * self.rounds))
            shown = f"{latency:.1f} ms ({latency / plain:.1f} of plain sqlite3)"
            figures["accepted to sent, idle"] = Figure(latency, shown, latency / plain)
            self._measure_lists(figures, rows)
            self._measure_requests(figures)
            self._measure_many(figures)
            time.sleep(1)
            memory, bare_memory = server.memory(), bare.memory()
            shown = f"{memory / bare_memory:.1f} ({memory:.0f} of {bare_memory:.0f} MB)"
            figures["memory, after that"] = Figure(memory, shown)
        figures["drain of 100,000 waiting"] = self._measure_drain()
        with closing(sqlite3.connect(self.database)) as connection:
            (self.rows,) = connection.execute("SELECT max(seq) FROM messages").fetchone()
        self.plain.close()
        return figures

    def _measure_requests(self, figures: dict[str, Figure]) -> None:
        one = json.dumps({"to": "+14560000000", "body": "Your code is 123456"})
        for connections in (1, 16, 64):
            subject, reference, ratio = self.compare(self.url, connections, one)
            shown = f"{ratio:.2f} ({subject.per_second:.0f} of {reference.per_second:.0f}/s)"
            plural = "s" if connections > 1 else ""
            figures[f"POST of one, {connections} connection{plural}"] = Figure(ratio, shown)
            if connections == 16:
                slower = subject.p99 / reference.p99
                figures["p99 of it"] = Figure(slower, f"{slower:.1f} ({subject.p99:.0f} of {reference.p99:.0f} ms)")
            self._settle()
        message_id = call(f"{self.url}?limit=1")["messages"][0]["id"]
        subject, reference, ratio = self.compare(f"{self.url}/{message_id}", 16)
        shown = f"{ratio:.2f} ({subject.per_second:.0f} of {reference.per_second:.0f}/s)"
        figures["one by id, 16 connections"] = Figure(ratio, shown)

    def _measure_lists(self, figures: dict[str, Figure], rows: int) -> None:
        subject, reference, ratio = self.compare(f"{self.url}?limit=50", 16)
        shown = f"{ratio:.2f} ({subject.per_second:.0f} of {reference.per_second:.0f}/s)"
        figures["list of 50, 16 connections"] = Figure(ratio, shown)
        front, far, ratio = median_ratio(
            self.rounds,
            lambda: load(f"{self.url}?limit=50", 1, self.seconds),
            lambda: load(f"{self.url}?limit=50&offset={rows // 10 * 9}", 1, self.seconds),
        )
        shown = f"{ratio:.2f} ({1000 / far.per_second:.1f} of {1000 / front.per_second:.1f} ms)"
        figures["list of 50 at 90 %, to that at the front"] = Figure(ratio, shown)

    def _measure_many(self, figures: dict[str, Figure]) -> None:
        seen, plain = [], []
        for first in range(0, 1000 * self.rounds, 1000):
            numbers = range(first, first + 1000)
            many = json.dumps({"to": [phone(number) for number in numbers], "body": "Hello"})
            seen.append(load(self.url, 1, self.seconds, body=many).per_second * 1000)
            self._settle()
            (last,) = self.plain.execute("SELECT max(id) FROM messages").fetchone()
            ids = generate_ids(datetime.now(UTC), last)
            plain += [plain_insert(self.plain, compose(ids, numbers, waiting=True)) for _ in range(5)]
        rate, other = statistics.median(seen), statistics.median(plain)
        shown = f"{rate:,.0f}/s ({rate / other:.2f} of plain sqlite3)"
        figures["1,000 recipients in one POST"] = Figure(rate, shown, rate / other)

    def _measure_drain(self) -> Figure:
        seen, plain = [], []
        for _ in range(min(self.rounds, 5)):
            fill(self.database, WAITING, waiting=True)
            with self.serve() as server:
                start = time.monotonic() - server.first_answer
                self._settle()
                seen.append(WAITING / (time.monotonic() - start))
            (last,) = self.plain.execute("SELECT max(id) FROM messages").fetchone()
            (present,) = self.plain.execute("SELECT count(*) FROM messages WHERE due_at IS NOT NULL").fetchone()
            ids = generate_ids(datetime.now(UTC), last)
            plain_insert(self.plain, compose(ids, range(max(0, WAITING - present)), waiting=True))
            plain.append(plain_drain(self.plain))
        rate, other = statistics.median(seen), statistics.median(plain)
        return Figure(rate, f"{rate:,.0f}/s ({rate / other:.2f} of plain sqlite3)", rate / other)

    def _settle(self) -> None:
        wait_until_delivered(self.url.removesuffix("/v1/messages"))


def slower_by(target: Target | None, few: Figure, many: Figure) -> float:
    """Return how many times slower (or larger) something is with many messages than with few.

    What was measured minutes apart is compared by its ratio to what was measured beside it, where there is one, with
    few messages each time.
    """
    before, after = (figure.value if figure.relative is None else figure.relative for figure in (few, many))
    return after / before if target is not None and target.better == "less" else before / after


def print_table(tables: dict[int, dict[str, Figure]]) -> None:
    """Print the figures of all sizes, and what became of the targets."""
    sizes = list(tables)
    growth = len(sizes) > 1
    print(
        f"{'messages in the database':<41}",
        *(f"{size:>30,}" for size in sizes),
        "   growth   target" if growth else "   target",
    )
    for name, target in TARGETS.items():
        figures = [tables[size][name] for size in sizes]
        line = f"{name:<41} " + " ".join(f"{figure.shown:>30}" for figure in figures)
        met = target is None or all(target.is_met(figure.value) for figure in figures)
        if growth:
            times = slower_by(target, figures[0], figures[-1])
            grows = not name.startswith(("memory", "first answer", "p99"))
            met = met and (not grows or times <= GROWTH)
            line += f"   {times:>6.2f}" if grows else "         "
        line += f"   {target.text if target else '':<12}"
        print(line + ("" if met else " NOT MET"))


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", default=None, help="10000,1000000 unless told")
    parser.add_argument("--rounds", type=int, help="9 unless told")
    parser.add_argument("--folder", help="where the database goes; the system's temporary folder otherwise")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing; Debian has it: apt-get install wrk")
    rounds, seconds = (3, 1) if options.quick else (9, 2)
    rounds = options.rounds or rounds
    sizes = options.sizes or ("10000" if options.quick else "10000,1000000")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), rounds, seconds)
        tables = {}
        for size in sorted(map(int, sizes.split(","))):
            print(f"measuring with {size:,} messages ...", file=sys.stderr, flush=True)
            tables[size] = bench.measure(size)
        print_table(tables)


if __name__ == "__main__":
    main()
