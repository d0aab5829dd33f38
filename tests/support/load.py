"""Load on a server during a fault, and a count of the outcomes."""

import http.client
import json
import sqlite3
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.app import KEY, basic

HEADERS = {"Authorization": basic(KEY), "Content-Type": "application/json"}
TO = "+14560000000"


class Load:
    """Threads that send one request after another, within a `with` block.

    If a connection ends without an answer, a thread opens a new connection, or stops if `until_gone` is set. `choose`
    returns the recipients of the request with a number.
    """

    def __init__(
        self,
        port: int,
        threads: int = 4,
        *,
        kept_alive: bool = True,
        pause: float = 0.0,
        tls: ssl.SSLContext | None = None,
        until_gone: bool = False,
        choose: Callable[[int], str | list[str]] = lambda _: TO,
    ) -> None:
        self.port = port
        self._tls = tls
        self.acknowledged: list[str] = []
        self.seconds: list[float] = []  # the durations of the answers
        self.statuses: Counter[int] = Counter()
        self.refused = 0  # failed attempts to connect
        self.cut_off: list[str] = []  # the times of connections that ended without an answer
        self.unanswered: list[str] = []  # the connections that ended without an answer to their first request
        self._kept_alive = kept_alive
        self._pause = pause
        self._until_gone = until_gone
        self._choose = choose
        self._stopping = threading.Event()
        self._begun = time.monotonic()
        self._threads = [threading.Thread(target=self._send_on, args=(number,)) for number in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int, timeout: float = 20) -> None:
        """Wait until the given number of additional messages was acknowledged."""
        wait_until(lambda goal=len(self.acknowledged) + more: len(self.acknowledged) >= goal, timeout, self._describe)

    def wait_for_status(self, status: int, more: int, timeout: float = 20) -> None:
        """Wait until the given number of additional answers had a status."""
        wait_until(lambda goal=self.statuses[status] + more: self.statuses[status] >= goal, timeout, self._describe)

    def _describe(self) -> str:
        last = max(self.seconds[-20:], default=0)
        return f"{self.statuses}, {last:.1f} s for one of the last answers, cut off: {self.cut_off[-3:]}"

    def _send_on(self, thread: int) -> None:
        if self._tls is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self._tls)
        headers = HEADERS if self._kept_alive else {**HEADERS, "Connection": "close"}
        turn = 0
        while not self._stopping.wait(self._pause):
            turn += 1
            begun, is_new = time.monotonic(), connection.sock is None
            try:
                if is_new:
                    connection.connect()
            except OSError as error:
                self.refused += 1
                if self._until_gone:
                    self.cut_off.append(repr(error))
                    return
                time.sleep(0.02)
                continue
            try:
                body = json.dumps({"to": self._choose(turn), "body": f"{thread}/{turn}"})
                connection.request("POST", "/v1/messages", body, headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException) as error:
                ended = f"{begun - self._begun:.3f} {error!r}"
                self.cut_off.append(ended)
                if is_new:
                    self.unanswered.append(ended)
                connection.close()
                if self._until_gone:
                    return
                continue
            self.seconds.append(time.monotonic() - begun)
            self.statuses[response.status] += 1
            if response.status == 201:
                self.acknowledged += [message["id"] for message in answer["messages"]]
        connection.close()


def wait_until(condition: Callable[[], object], timeout: float = 20, describe: Callable[[], str] = str) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"it did not come to that. {describe()}"
        time.sleep(0.02)


def query(path: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def read_handed(folder: Path) -> Counter[str]:
    """Return how many times the gateway of `gateway_app.py` got each message."""
    return Counter(line for file in folder.glob("handed-*") for line in file.read_text().split())


def count_and_tell(fault: str, database: Path, acknowledged: list[str], begun: float, *, timeout: float = 30) -> None:
    """Wait until all messages are delivered, and print the outcomes. No message may be lost, doubled or stuck."""
    lost, doubled, stuck = count(fault, database, acknowledged, begun, timeout=timeout)
    assert (lost, doubled, stuck) == (0, 0, 0)


def count(
    fault: str, database: Path, acknowledged: list[str], begun: float, *, timeout: float = 30
) -> tuple[int, int, int]:
    """Wait until all messages are delivered, and print the outcomes. Returns the lost, doubled and stuck messages."""
    end = time.monotonic() + timeout
    while (states := dict(query(database, "SELECT id, state FROM messages"))) and time.monotonic() < end:
        if "unconfirmed" not in states.values():
            break
        time.sleep(0.05)
    handed = read_handed(database.parent)
    lost = sum(1 for message_id in acknowledged if message_id not in states)
    lost += sum(1 for message_id, state in states.items() if state == "sent" and handed and not handed[message_id])
    doubled = sum(times - 1 for times in handed.values()) + len(acknowledged) - len(set(acknowledged))
    stuck = sum(1 for state in states.values() if state == "unconfirmed")
    tell(fault, len(acknowledged), lost, doubled, stuck, time.monotonic() - begun)
    return lost, doubled, stuck


def tell(fault: str, acknowledged: int, lost: int, doubled: int, stuck: int, seconds: float) -> None:
    print(
        f"\n{fault:<62} {acknowledged:>7} acknowledged {lost:>2} lost {doubled:>2} doubled {stuck:>2} stuck"
        f" {seconds:6.1f} s"
    )
