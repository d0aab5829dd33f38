"""Clients of a server under test: wrk for load, and single requests."""

import base64
import json
import random
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from typing import NamedTuple, TypeVar

KEY = "benchmark-key-0123456789"
AUTHORIZATION = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
SPREAD = 7_368_787  # a factor; multiples of it, modulo ten million, are far apart

Name = TypeVar("Name")


class Load(NamedTuple):
    """The result of one run of wrk. Latencies are in milliseconds."""

    per_second: float
    p50: float
    p99: float


class Request(NamedTuple):
    """The requests of wrk, and the number of its connections."""

    script: str = ""  # Lua code that makes the requests, without the headers
    path: str = "/"
    connections: int = 16


def phone(number: int) -> str:
    """Return one of ten million phones. The phones of consecutive numbers are far apart."""
    return f"+1456{number * SPREAD % 10_000_000:07}"


def send_to(recipients: int, *, connections: int = 16) -> Request:
    """Return a request that sends a message to the given number of phones. Each request uses other phones."""
    script = f"""
        wrk.method = "POST"
        wrk.headers["Content-Type"] = "application/json"
        local threads = 0
        function setup(thread)
            threads = threads + 1
            thread:set("number", {random.randrange(1_000_000)} + threads * 5000000)
        end
        function request()
            local phones = {{}}
            for at = 1, {recipients} do
                number = number + 1
                phones[at] = string.format('"+1456%07d"', number * {SPREAD} % 10000000)
            end
            local to = table.concat(phones, ",")
            return wrk.format(nil, nil, nil, '{{"to":[' .. to .. '],"body":"Your code is 123456"}}')
        end
    """
    return Request(script, "/v1/messages", connections)


def get_one_of(paths: Sequence[str], *, connections: int = 16) -> Request:
    """Return a request for the paths in turns."""
    listed = ",".join(f'"{path}"' for path in paths)
    script = f"""
        local paths = {{{listed}}}
        function request() return wrk.format(nil, paths[math.random(#paths)]) end
    """
    return Request(script, paths[0], connections)


def load(url: str, request: Request, *, seconds: int = 1, cookie: str | None = None) -> Load:
    """Load a server with wrk. Stops the benchmark if a request fails."""
    name, value = ("Cookie", cookie) if cookie else ("Authorization", AUTHORIZATION)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(f'wrk.headers["{name}"] = "{value}"\n{request.script}')
        file.flush()
        threads = str(min(request.connections, 2))
        arguments = ["-t", threads, "-c", str(request.connections), "-d", f"{seconds}s", "--latency", "-s", file.name]
        command = ["wrk", *arguments, f"{url}{request.path}"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed or "Requests/sec" not in printed:
        raise SystemExit(f"{url}{request.path}: {printed}")
    per_second = float(re.search(r"Requests/sec:\s+([0-9.]+)", printed)[1])
    p50, p99 = (
        float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
        for value, unit in (re.search(rf"{share}%\s+([0-9.]+)(us|ms|s)", printed).groups() for share in (50, 99))
    )
    return Load(per_second, p50, p99)


def load_and_deliver(url: str, request: Request, *, seconds: int = 1) -> Load:
    """Load Phonify, and wait until all messages are delivered."""
    seen = load(url, request, seconds=seconds)
    wait_until_delivered(url)
    return seen


def alternate(rounds: int, arms: Mapping[Name, Callable[[], Load]]) -> dict[Name, list[Load]]:
    """Run each arm once in each round. Every second round has the opposite order. Returns the runs of each arm."""
    seen: dict[Name, list[Load]] = {name: [] for name in arms}
    for number in range(rounds):
        names = list(arms)
        for name in reversed(names) if number % 2 else names:
            seen[name].append(arms[name]())
    return seen


def middle(loads: Sequence[Load]) -> Load:
    """Return the median of each figure."""
    return Load(*(statistics.median(column) for column in zip(*loads, strict=True)))


def compare_rates(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """Return the ratio of the two rates. Each round gives one ratio, and the result is the median of all rounds."""
    return statistics.median(a.per_second / b.per_second for a, b in zip(loads, others, strict=True))


def compare_latencies(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """Return the ratio of the two median latencies.

    Each round gives one ratio, and the result is the median of all rounds.
    """
    return statistics.median(a.p50 / b.p50 for a, b in zip(loads, others, strict=True))


def call(url: str, body: Mapping[str, object] | None = None) -> dict:
    """Send one request to the API and return the answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
        return json.load(response)


def sign_in(port: int) -> str:
    """Open the inbox with a link like that of the start. Returns the session cookie."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/?api_key={KEY}")
    cookie = connection.getresponse().getheader("Set-Cookie", "")
    connection.close()
    return cookie.partition(";")[0]


def wait_until_delivered(url: str) -> None:
    """Wait until no message waits for delivery. Stops the benchmark after two minutes."""
    end = time.monotonic() + 120
    while call(f"{url}/v1/messages?state=unconfirmed&limit=1")["messages"]:
        if time.monotonic() > end:
            raise SystemExit(f"{url}: messages are not delivered")
        time.sleep(0.02)
