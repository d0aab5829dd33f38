"""Measures waiting requests under load. Run `.venv/bin/python tests/benchmarks/waiting.py`. It prints one table.

It needs wrk, as run.py does. It loads `python app.py` with no waiting request and with 50 waiting requests, in turns.
Each request waits for its own number. Then it sends messages to these numbers. It measures the time from the 201 to the
answer of the waiting request, on an idle and on a loaded server.
"""

import argparse
import http.client
import json
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from load import AUTHORIZATION, Load, call, compare_rates, load, load_and_deliver, middle, send_to
from servers import ROOT, Installation, Serving, make_database, serve_own


class Waiting:
    """Requests that wait, each for one number. After an answer, a request is sent again."""

    def __init__(self, port: int, count: int) -> None:
        self.numbers = [f"+1456111{number:04}" for number in range(count)]
        self.answered: queue.Queue[tuple[str, float]] = queue.Queue()  # message id, time
        self._port = port
        self._ended = False
        self._threads = [threading.Thread(target=self._wait, args=(number,)) for number in self.numbers]

    def _wait(self, number: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        after = call(f"http://127.0.0.1:{self._port}/v1/messages?limit=1")["messages"][0]["id"]
        while not self._ended:
            path = f"/v1/messages?to=%2B{number[1:]}&wait=30&after={after}"
            connection.request("GET", path, headers={"Authorization": AUTHORIZATION})
            response = connection.getresponse()
            data = response.read()
            now = time.perf_counter()
            if response.status != 200:
                raise SystemExit(f"a waiting request was answered with {response.status}: {data!r}")
            for message in json.loads(data)["messages"]:
                self.answered.put((message["id"], now))
                after = message["id"]
        connection.close()

    @contextmanager
    def all(self) -> Iterator[None]:
        """Let the requests wait until the block ends."""
        for thread in self._threads:
            thread.start()
        time.sleep(1)
        try:
            yield
        finally:
            self._ended = True
            for number in self.numbers:
                call(f"http://127.0.0.1:{self._port}/v1/messages", {"to": number, "body": "The end"})
            for thread in self._threads:
                thread.join()

    def measure(self, times: int) -> list[float]:
        """Send to one number after another. Returns the milliseconds from each 201 to the answer."""
        taken = []
        for count in range(times):
            body = {"to": self.numbers[count % len(self.numbers)], "body": "Hello"}
            sent = call(f"http://127.0.0.1:{self._port}/v1/messages", body)["message"]["id"]
            stored = time.perf_counter()
            message_id, answered = self.answered.get(timeout=60)
            if message_id != sent:
                raise SystemExit(f"{message_id} was answered instead of {sent}")
            taken.append((answered - stored) * 1000)
            time.sleep(0.01)
        return taken


def describe(taken: Sequence[float]) -> str:
    """Return the median and the 99th percentile, in milliseconds."""
    return f"p50 {statistics.median(taken):.1f} ms, p99 {statistics.quantiles(taken, n=100)[98]:.1f} ms"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--waiting", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(ROOT, Path(folder, "phonify.db"))
        make_database(installation)
        with serve_own(installation) as server:
            call(f"{server.url}/v1/messages", {"to": "+14560000000", "body": "The first"})
            for connections in (16, 64):
                compare(server, connections, options)

            waiting = Waiting(server.port, options.waiting)
            with waiting.all():
                print(f"{'201 to answer, idle':<34} {describe(waiting.measure(200))}", flush=True)
                loads = threading.Thread(target=load, args=(server.url, send_to(1)), kwargs={"seconds": 15})
                loads.start()
                time.sleep(1)
                taken = []
                while loads.is_alive():
                    taken += waiting.measure(10)
                print(f"{'201 to answer, beside 16 senders':<34} {describe(taken)} ({len(taken)} of them)", flush=True)


def compare(server: Serving, connections: int, options: argparse.Namespace) -> None:
    """Load the server without and with waiting requests, in turns. Prints both results."""
    seen: dict[int, list[Load]] = {0: [], options.waiting: []}
    sending = send_to(1, connections=connections)
    for _ in range(options.rounds):
        for count, loads in seen.items():
            with Waiting(server.port, count).all():
                loads.append(load_and_deliver(server.url, sending, seconds=options.seconds))
    for count, loads in seen.items():
        per_second, p50, p99 = middle(loads)
        name = f"POST, {connections} connections, {count} wait"
        print(f"{name:<34} {per_second:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)
    figure = compare_rates(seen[options.waiting], seen[0])
    print(f"{'  of the rate, median of rounds':<34} {figure:.2f}", flush=True)


if __name__ == "__main__":
    main()
