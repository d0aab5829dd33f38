"""Measures gateways. Run `.venv/bin/python tests/benchmarks/gateways.py`. It prints one table.

A provider in this process answers each request after a fixed time. For each gateway, a server with window 1 and a
server with window 10 take turns. In each round, a server gets messages in one request. The rate is their number,
divided by the time from the answer to this request until all of them are sent. If Kannel is installed, the gateway
`http` also sends to Kannel and its fake SMSC.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

from load import call, wait_until_delivered
from servers import ROOT, Installation, Serving, find_free_port, log_of, make_database, run, wait_for_answer
from table import Floor, Line, format_lines

WINDOWS = (1, 10)
SECRET = "0123456789abcdef0123"

Settings = Mapping[str, str]  # without the prefix


def write_settings(url: str) -> dict[str, Settings]:
    """Return the settings of each gateway that sends to the provider in this process."""
    return {
        "android": {
            "GATEWAY": "android",
            "ANDROID_URL": f"{url}/android",
            "ANDROID_USERNAME": "phonify",
            "ANDROID_PASSWORD": "password",
            "ANDROID_DEVICE": "device",
        },
        "http": {
            "GATEWAY": "http",
            "HTTP_URL": f"{url}/http",
            "HTTP_BODY": '{"to": "{to}", "text": "{text}", "id": "{id}"}',
            "HTTP_TAKEN": "2xx",
        },
        "twilio": {
            "GATEWAY": "twilio",
            "TWILIO_GATEWAY_URL": f"{url}/twilio",
            "TWILIO_GATEWAY_ACCOUNT_SID": f"AC{'a' * 32}",
            "TWILIO_GATEWAY_AUTH_TOKEN": "0" * 32,
        },
    }


def compose_answer(path: str, body: str) -> tuple[int, dict[str, str]]:
    """Return the answer of the provider: the message is taken."""
    if path.startswith("/android"):
        return 202, {"id": json.loads(body)["id"]}
    if path.startswith("/twilio"):
        (to,) = parse_qs(body)["To"]
        return 201, {"sid": f"SM{to.lstrip('+'):0>32}", "status": "queued"}
    return 200, {}


class Provider(ThreadingHTTPServer):
    """Answers each request after the given seconds."""

    request_queue_size = 128

    def __init__(self, seconds: float) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, content = compose_answer(self.path, body)
                data = json.dumps(content).encode()
                time.sleep(seconds)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, daemon=True).start()


@contextmanager
def serve(folder: Path, name: str, settings: Settings) -> Iterator[Serving]:
    """Run `python app.py` with a new database."""
    installation, port = Installation(ROOT, folder / f"{name}.db"), find_free_port()
    make_database(installation)
    environ = installation.environ | {f"PHONIFY_{key}": value for key, value in settings.items()}
    environ |= {"PHONIFY_PORT": str(port), "PHONIFY_WORKERS": "1"}
    with run([sys.executable, "app.py"], ROOT, environ, log_of(installation)) as process:
        yield wait_for_answer(process, port, "/v1/messages?limit=1")


def measure_rate(server: Serving, count: int) -> float:
    """Send messages in one request. Returns how many are sent in a second."""
    to = [f"+1456{number:07}" for number in range(count)]
    call(f"{server.url}/v1/messages", {"to": to, "body": "Your code is 123456"})
    begun = time.perf_counter()
    wait_until_delivered(server.url)
    return count / (time.perf_counter() - begun)


def compare_windows(folder: Path, name: str, settings: Settings, options: argparse.Namespace) -> dict[int, list[float]]:
    """Measure a gateway with each window, in turns."""
    rates: dict[int, list[float]] = {window: [] for window in WINDOWS}
    with ExitStack() as servers:
        started = {
            window: servers.enter_context(
                serve(folder, f"{name}-{window}", {**settings, "GATEWAY_WINDOW": str(window)})
            )
            for window in WINDOWS
        }
        for server in started.values():
            measure_rate(server, 5)  # warm-up
        for _ in range(options.rounds):
            for window, server in started.items():
                rates[window].append(measure_rate(server, options.messages * window))
    return rates


def describe(name: str, rates: Mapping[int, list[float]], answer_time: float | None) -> list[Line]:
    """Return the lines of a gateway: the rate of each window, and how much the large window brings."""
    lines = []
    for window, seen in rates.items():
        rate = statistics.median(seen)
        share = f"{rate / window * answer_time:.2f} of what the answers allow" if answer_time else ""
        lines.append(Line(name, f"window {window}", rate, "/s", note=share))
    small, large = WINDOWS
    gain = statistics.median(more / less for more, less in zip(rates[large], rates[small], strict=True))
    floor = Floor(">=", 5) if answer_time else None
    return [*lines, Line(name, f"window {large} to window {small}", gain, floor=floor)]


@contextmanager
def running_kannel(folder: Path) -> Iterator[Settings | None]:
    """Yield the settings for Kannel with its fake SMSC, or None if it is not installed."""
    sys.path.append(str(ROOT))
    from tests.support import kannel as support

    if not support.INSTALLED:
        yield None
        return
    with support.running_kannel(folder, callbacks=find_free_port(), password="password", secret=SECRET) as kannel:
        kannel.start_smsc()
        yield {
            "GATEWAY": "http",
            "HTTP_PRESET": "kannel",
            "HTTP_URL": kannel.url,
            "HTTP_USERNAME": "phonify",
            "HTTP_PASSWORD": "password",
        }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=60, help="in each round, for each place in the window")
    parser.add_argument("--answer-time", type=float, default=0.05, metavar="SECONDS")
    options = parser.parse_args()
    provider, lines = Provider(options.answer_time), []
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in write_settings(f"http://127.0.0.1:{provider.server_port}").items():
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            rates = compare_windows(Path(folder), name, settings, options)
            section = f"{name}, the provider answers after {options.answer_time * 1_000:.0f} ms"
            lines += describe(section, rates, options.answer_time)
        with running_kannel(Path(folder)) as kannel:
            if kannel is not None:
                print("measuring Kannel ...", file=sys.stderr, flush=True)
                rates = compare_windows(Path(folder), "kannel", kannel, options)
                lines += describe("http, Kannel with its fake SMSC", rates, None)
    provider.shutdown()
    print(format_lines(lines))


if __name__ == "__main__":
    main()
