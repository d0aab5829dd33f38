"""Some thousands of forged and broken callbacks on several connections to a started server, which stays whole."""

import os
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.callback_noise import make_noise
from tests.support.callback_sites import SITES
from tests.support.callbacks import OWN, Call, Site, spoil
from tests.support.load import wait_until
from tests.support.processes import find_processes
from tests.support.receivers import Received, Receiver, status
from tests.support.servers import Process
from tests.support.twilio_service import PUBLIC_URL

pytestmark = pytest.mark.slow

CONNECTIONS, CALLS = 8, 250  # calls on each connection
THREADS = 8
LARGE = 50_000  # bytes; a server may close the connection before it has read such a request

BROKEN = (
    *(
        b"",
        b"\0" * 50,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"\r\n" * 20,
        b"PRI * HTTP/2.0\r\n\r\n",
    ),
    *(b"GET /gateways/http/x HTTP/9.9\r\n\r\n", b"POST /gateways/http/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
    b"GET /gateways/http/x HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET /gateways/http/x HTTP/1.1\r\n" + b"X: a\r\n" * 500 + b"\r\n",
    b"GET /gateways/http/" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /gateways/http/x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST /gateways/http/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /gateways/http/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"POST /gateways/http/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab",
)


def write(call: Call) -> bytes:
    """Return the bytes of a request."""
    target = quote(call.path.encode("latin-1", "replace"), safe="/") + (f"?{call.query}" if call.query else "")
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(call.body)), **call.headers}
    lines = [f"{call.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + call.body


class Connection:
    """A connection that is opened again if the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, data: bytes, *, method: str = "", end: bool = False) -> int:
        """Send bytes. Returns the status of the answer, or 0 if there is none. With `end`, nothing follows."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        response = HTTPResponse(self._socket, method=method)
        try:
            self._socket.sendall(data)
            if end:
                self._socket.shutdown(socket.SHUT_WR)
            response.begin()
            response.read()
        except (HTTPException, ConnectionError):
            self.close()
            return 0
        if end or response.will_close:
            self.close()
        return response.status

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Attack:
    """One thread of calls. All of them are forged, broken or without a proof."""

    def __init__(self, site: Site, port: int, calls: list[Call], number: int) -> None:
        self.statuses: Counter[int] = Counter()
        self._site = site
        self._connection = Connection(port)
        self._calls = calls
        self._random = Random(f"{site.name} {number}")

    def run(self) -> "Attack":
        with closing(self._connection):
            for number in range(CALLS):
                (self._forge, self._forge, self._make_noise, self._break)[number % 4]()
        return self

    def _send(self, call: Call) -> None:
        data = write(call)
        found = self._connection.send(data, method=call.method)
        self.statuses[found] += 1
        assert 400 <= found < 500 or found == 501 or call.method == "OPTIONS" or len(data) > LARGE, (found, data[:500])

    def _choose_forged(self) -> Call:
        forge = self._random.choice(list(self._site.forgeries.values()))
        return forge(self._random, self._random.choice(self._calls), datetime.now(UTC))

    def _forge(self) -> None:
        self._send(self._choose_forged())

    def _make_noise(self) -> None:
        self._send(make_noise(self._random, self._site))

    def _break(self) -> None:
        valid = write(self._random.choice(self._calls))
        broken = [*BROKEN, self._random.randbytes(200), spoil(self._random, write(self._choose_forged()))]
        cut_off = valid[: self._random.randrange(len(valid))]
        found = self._connection.send(self._random.choice([*broken, *[cut_off] * 10]), end=True)
        self.statuses[found] += 1
        assert found < 500 or found in (501, 505), found


def list_threads(server: Process) -> set[int]:
    """Return the ids of all threads of a server."""
    pids = find_processes(server, workers=1).all()
    return {int(thread) for pid in pids for thread in os.listdir(f"/proc/{pid}/task")}


def dump(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables."""
    connection = sqlite3.connect(database)
    try:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}
    finally:
        connection.close()


@pytest.mark.parametrize("name", SITES)
def test_a_server_is_healthy_with_the_same_threads_after_thousands_of_forged_and_broken_callbacks(
    start: Callable[..., Process], receiver: Receiver, tmp_path: Path, name: str
) -> None:
    site = SITES[name]()

    def answer(client: Any, received: Received) -> None:
        code, body = site.answer(received.line, received.body)
        status(code, body=body)(client, received)

    receiver.act = answer
    url = f"http://127.0.0.1:{receiver.port}"
    settings = {**site.settings, site.url_setting: url, "GATEWAY": site.name, "ORIGIN": OWN, "PUBLIC_URL": PUBLIC_URL}
    server = start(WORKERS="1", THREADS=str(THREADS), **settings)
    to = [f"+1456000000{number}" for number in range(4)]
    ids = [one["id"] for one in server.call("POST", "/v1/messages", to=to, body="Hello")[1]["messages"]]
    wait_until(lambda: server.call("GET", "/v1/messages?state=unconfirmed")[1]["messages"] == [])
    with ThreadPoolExecutor(THREADS) as pool:  # until each thread of the server was used
        list(pool.map(lambda _: server.call("GET", "/v1/messages?state=error&wait=1"), range(THREADS)))
    wait_until(lambda: len(receiver.received) >= len(to))
    before, threads = dump(tmp_path / "phonify.db"), list_threads(server)

    calls = site.write_all(ids, "Hello", datetime.now(UTC))
    attacks = [Attack(site, server.port, calls, number) for number in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        statuses = sum((attack.statuses for attack in pool.map(Attack.run, attacks)), Counter[int]())
    print(f"\n{name}: {statuses.total()} calls, statuses {dict(sorted(statuses.items()))}")

    assert dump(tmp_path / "phonify.db") == before
    assert list_threads(server) >= threads  # more may have been started
    assert "Traceback" not in server.output
    assert server.call("GET", "/readyz")[0] == 200
    with closing(Connection(server.port)) as connection:
        for call in site.write_all(ids, "Hello", datetime.now(UTC)):
            assert connection.send(write(call), method=call.method) < 300
    messages = server.call("GET", "/v1/messages?direction=outbound")[1]["messages"]
    assert [message["receipt"]["status"] for message in messages] == ["delivered"] * len(to)
    assert [one["body"] for one in server.call("GET", "/v1/messages?direction=inbound")[1]["messages"]] == ["Hello"]
    assert server.terminate() == 0
