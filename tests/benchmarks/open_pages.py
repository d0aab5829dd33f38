"""Measures how much open pages slow the API down.

Run `.venv/bin/python tests/benchmarks/open_pages.py`. It prints one table.

The benchmark starts `python app.py`. An app uses the API at a steady rate: half of its requests send a message, half
read a message. Rounds with no open page and rounds with many open pages take turns. The benchmark simulates the pages
in a separate process. A page sends the same repeated requests as inbox.js, with a session cookie and the ETags of the
last answers. Half of the pages show the list of conversations. The other half show a thread. The app sends all the
time, so every answer to a page has something new. The latencies of the app's requests are in milliseconds. Each
figure is the median of the rounds.

The app, the pages and the server use the same cores, so the pages also slow the app down directly. The rounds
`elsewhere` show this effect alone: their pages are open at another Phonify server on the same machine.
"""

import argparse
import asyncio
import itertools
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from asyncio import Semaphore
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from load import AUTHORIZATION, call, sign_in
from servers import ROOT, Installation, make_database, serve_own

EVERY = 1.0  # seconds between two requests of a page, as in inbox.js
PHONES = 60


class Connection:
    """A kept-alive connection to the server, as browsers use it."""

    def __init__(self, port: int, header: str) -> None:
        self._port = port
        self._header = header
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: bytes = b"", *, header: str = "") -> tuple[int, str, bytes]:
        """Return status, head and body of the answer. Retries once if the server has closed the connection."""
        try:
            return await self._request(method, path, body, header)
        except (OSError, EOFError):
            self.close()
            return await self._request(method, path, body, header)

    async def _request(self, method: str, path: str, body: bytes, header: str) -> tuple[int, str, bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{self._header}\r\n{header}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status = int(answer.split(None, 2)[1])
        length = re.search(r"(?i)\r\ncontent-length: (\d+)", answer)
        content = await self._reader.readexactly(int(length[1])) if length and status != 304 else b""
        if "\r\nconnection: close" in answer.lower():
            self.close()
        return status, answer, content

    def close(self) -> None:
        """Close the connection. The next request opens a new connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def keep_page_open(
    port: int, cookie: str, number: int, taken: list[float], opened: Semaphore, *, forgetful: bool
) -> None:
    """Act as an open page for ever. A `forgetful` page sends no ETag, so each answer is complete."""
    connection = Connection(port, f"Cookie: {cookie}\r\nHX-Request: true")
    parts = ["/inbox/conversations?shown=40"]
    if number % 2:
        phone = f"%2B1456{number % PHONES:07}"
        status, _, page = await connection.request("GET", f"/inbox/phones/{phone}")
        if status != 200:
            raise SystemExit(f"the page of {phone} was answered with {status}: {page[:500]!r}")
        since = re.search(rb'data-seq="(\d+)"', page)[1].decode()
        parts = [f"/inbox/conversations?shown=40&phone={phone}", f"/inbox/phones/{phone}/messages?since={since}"]
    etags: dict[str, str] = {}
    await asyncio.sleep(random.uniform(0, EVERY))
    opened.release()
    while True:
        begun = time.perf_counter()
        for path in parts:
            asked = time.perf_counter()
            header = f"If-None-Match: {etags[path]}\r\n" if path in etags and not forgetful else ""
            status, head, piece = await connection.request("GET", path, header=header)
            taken.append((time.perf_counter() - asked) * 1000)
            if status not in (200, 304):
                raise SystemExit(f"a page got {status}: {piece[:500]!r}")
            etag = re.search(r"(?im)^etag: (.+?)\r$", head)
            etags[path] = etag[1] if etag else ""
        await asyncio.sleep(max(EVERY - (time.perf_counter() - begun), 0))


async def keep_pages_open(port: int, pages: int, seconds: float, *, forgetful: bool) -> None:
    """Keep pages open for some seconds. Prints the rate of their requests and the latencies."""
    taken: list[float] = []
    opened, cookie = Semaphore(0), sign_in(port)
    tasks = [
        asyncio.create_task(keep_page_open(port, cookie, number, taken, opened, forgetful=forgetful))
        for number in range(pages)
    ]
    for _ in tasks:
        await opened.acquire()
    await asyncio.sleep(2 * EVERY)
    taken.clear()
    print("open", flush=True)
    done, _ = await asyncio.wait(tasks, timeout=seconds)
    for task in done:
        task.result()
    for task in tasks:
        task.cancel()
    print(json.dumps([len(taken) / seconds, *quantiles(taken)]), flush=True)


async def use_api(port: int, ids: list[str], rate: float, seconds: float) -> dict[str, list[float]]:
    """Send and read messages at a steady rate. Returns the latencies of both.

    A request starts at its planned time, even if earlier requests are not answered yet.
    """
    taken: dict[str, list[float]] = {"POST": [], "GET": []}
    idle = [Connection(port, f"Authorization: {AUTHORIZATION}") for _ in range(8)]
    waiting: set[asyncio.Task[None]] = set()

    async def make_request(method: str, turn: float, number: int) -> None:
        connection = idle.pop() if idle else Connection(port, f"Authorization: {AUTHORIZATION}")
        if method == "POST":
            body = json.dumps({"to": f"+1456{number % PHONES:07}", "body": f"Message {number}"}).encode()
            status, _, answer = await connection.request("POST", "/v1/messages", body)
        else:
            status, _, answer = await connection.request("GET", f"/v1/messages/{random.choice(ids)}")
        assert status in (200, 201), answer
        taken[method].append((time.perf_counter() - turn) * 1000)
        idle.append(connection)

    begun = time.perf_counter()
    for number in itertools.count():
        turn = begun + number / rate
        if turn > begun + seconds:
            break
        await asyncio.sleep(max(turn - time.perf_counter(), 0))
        task = asyncio.create_task(make_request(("POST", "GET")[number % 2], turn, number // 2))
        waiting.add(task)
    await asyncio.gather(*waiting)
    for connection in idle:
        connection.close()
    return taken


def quantiles(taken: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49], cuts[98]


def measure(
    port: int, ids: list[str], pages: int, rate: float, seconds: float, *, elsewhere: int | None = None
) -> dict[str, float]:
    """Return the result of one round. `elsewhere` is the port of another server, whose pages are open."""
    child = None
    if pages:
        command = [sys.executable, __file__, "--port", str(elsewhere or port)]
        command += ["--pages", str(pages), "--seconds", str(seconds + 2), *["--forgetful"][: elsewhere is not None]]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
    taken = asyncio.run(use_api(port, ids, rate, seconds))
    (post, post99), (get, get99) = quantiles(taken["POST"]), quantiles(taken["GET"])
    seen = {"POST p50": post, "POST p99": post99, "by id p50": get, "by id p99": get99}
    if child is not None:
        printed, _ = child.communicate()
        if child.returncode:
            raise SystemExit("the pages failed")
        asked, page, page99 = json.loads(printed)
        seen |= {"asked by pages, per second": asked, "page p50": page, "page p99": page99}
    return seen


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--rate", type=float, default=100, help="requests a second that the app makes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)  # act as the pages
    parser.add_argument("--forgetful", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.port:
        asyncio.run(keep_pages_open(options.port, options.pages, options.seconds, forgetful=options.forgetful))
        return

    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        ports, ids = [], []
        for name in ("here", "elsewhere"):
            installation = Installation(ROOT, Path(folder, f"{name}.db"))
            make_database(installation)
            server = servers.enter_context(serve_own(installation))
            ports.append(server.port)
            phones = [f"+1456{number:07}" for number in range(PHONES)]
            for _ in range(10):
                answer = call(f"{server.url}/v1/messages", {"to": phones, "body": "A text of the usual length, or so"})
            ids = ids or [message["id"] for message in answer["messages"]]
        run = partial(measure, ports[0], ids, rate=options.rate)
        run(pages=options.pages, seconds=2)  # warm-up
        arms = {
            "no page": {"pages": 0},
            "elsewhere": {"pages": options.pages, "elsewhere": ports[1]},
            "here": {"pages": options.pages},
        }
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
        for _ in range(options.rounds):
            for name, arm in arms.items():
                rounds[name].append(run(seconds=options.seconds, **arm))
    print(
        f"{options.rate:g} requests a second, {options.pages} pages, {options.rounds} rounds of {options.seconds:g} s"
    )
    print(f"{'milliseconds':<28}", *(f"{name:>10}" for name in arms), f"{'here to no page':>17}{'to elsewhere':>15}")
    for name in rounds["here"][0]:
        seen = [statistics.median(one[name] for one in rounds[arm]) if name in rounds[arm][0] else None for arm in arms]
        line = " ".join(f"{value:>10.2f}" if value is not None else " " * 10 for value in seen)
        for arm, width in (("no page", 17), ("elsewhere", 15)):
            if name in rounds[arm][0] and not name.startswith(("asked", "page")):
                pairs = zip(rounds[arm], rounds["here"], strict=True)
                line += f"{statistics.median(b[name] / a[name] for a, b in pairs):>{width}.2f}"
        print(f"{name:<28} {line}")


if __name__ == "__main__":
    main()
