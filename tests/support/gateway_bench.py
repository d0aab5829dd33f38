"""A server with a gateway that sends, its peer, load by several clients, and the counts after a fault."""

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.gateway_peers import PEERS, Peer
from tests.support.gateway_way import Way
from tests.support.kannel import INSTALLED
from tests.support.load import Load, query, wait_until
from tests.support.servers import Process, find_free_port

# For the parameters of tests.
GATEWAYS = [
    "android",
    "twilio",
    pytest.param("http", marks=pytest.mark.skipif(not INSTALLED, reason="Kannel is not on this machine")),
]
WINDOW = 10  # calls of each of these gateways at the same time
STATES = (
    "SELECT id, to_number, state, error_type, receipt_status, EXISTS (SELECT 1 FROM message_attempts"
    " WHERE message_id = id AND outcome = 'unconfirmed' AND due_at IS NULL) FROM messages WHERE direction = 'outbound'"
)


class Row(NamedTuple):
    """A message in Phonify's database."""

    id: str
    to: str
    state: str
    error_type: str | None
    receipt: str | None
    was_in_doubt: int  # 1: after an attempt with an unknown outcome, it was not sent again


class Counts(NamedTuple):
    """What became of the messages."""

    acknowledged: int  # with 201
    handed: int  # to the peer, by its own log
    phones: int  # that the peer has sent to
    lost: int  # without a row, or `sent` but unknown to the peer, or in `error` for a reason that no one gave
    doubled: int  # given to a peer that can't recognise it, or sent to the phone twice by a peer that can
    stuck: int  # still `unconfirmed`
    doubts: int  # messages that were in doubt for some time
    settled: int  # of the doubts: by a receipt or a look-up
    expired: int  # messages that the end of their validity has ended, in doubt or unsent

    def tell(self, gateway: str, fault: str, seconds: float) -> None:
        """Print the counts as one line."""
        print(
            f"\n{gateway:<8}{fault:<46}{self.acknowledged:>5} acknowledged {self.handed:>5} handed over"
            f" {self.phones:>5} phones {self.lost:>2} lost {self.doubled:>2} doubled {self.stuck:>2} stuck"
            f" {self.doubts:>3} in doubt ({self.settled} settled), {self.expired} expired {seconds:6.1f} s"
        )


class Bench:
    """Phonify at a fixed port, and the peer of one of its gateways. Each message has its own recipient."""

    def __init__(self, gateway: str, folder: Path, start: Callable[..., Process]) -> None:
        self.port = find_free_port()
        self.peer: Peer = PEERS[gateway](folder / "peer", self.port)
        self.way: Way | None = None
        self.database = folder / "phonify.db"
        self._start = start
        self._numbers = count(1_000)  # some low ones have a special meaning
        self._begun = time.monotonic()
        self.server: Process

    def open_way(self) -> Way:
        """Put a proxy between the gateway and its peer. Call it before the start."""
        self.way = Way(self.peer.port)
        return self.way

    def start(self, *arguments: str, **settings: str | None) -> None:
        """Start Phonify, by default with its command. With this lease, each call of the gateway ends in a second."""
        given: dict[str, str | None] = {
            "GATEWAY": self.peer.name,
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "PORT": str(self.port),
        }
        given |= {"LEASE": "3", "VALIDITY": "12", "ACCESS_LOG": "off", **settings}
        given |= self.peer.list_settings(self.way.port if self.way is not None else self.peer.port)
        self.server = self._start(*(arguments or ("-m", "phonify", "serve")), **given)
        assert self.server.port == self.port

    def load(self, threads: int = 4, pause: float = 0.03) -> Load:
        """Return clients that send until the end of their block. Each message has its own recipient."""
        return Load(self.port, threads, pause=pause, choose=lambda _: f"+1456{next(self._numbers):07}")

    def list_rows(self) -> list[Row]:
        """Return all messages."""
        return [Row._make(row) for row in query(self.database, STATES)]

    def wait_until_settled(self, timeout: float = 45) -> None:
        """Wait until no message waits."""
        wait_until(lambda: all(row.state != "unconfirmed" for row in self.list_rows()), timeout)

    def settle(self, fault: str, acknowledged: list[str], timeout: float = 45) -> Counts:
        """Wait until no message waits and the peer's log has all that was sent. Returns and prints the counts."""
        end = time.monotonic() + timeout
        while any(row.state == "unconfirmed" for row in self.list_rows()) and time.monotonic() < end:
            time.sleep(0.1)
        rows = self.list_rows()
        sent = {row.to for row in rows if row.state == "sent"}
        while sent - self.peer.count_taken().keys() and time.monotonic() < end:
            time.sleep(0.1)
        counts = self._count(rows, acknowledged)
        counts.tell(self.peer.name, fault, time.monotonic() - self._begun)
        return counts

    def _count(self, rows: list[Row], acknowledged: list[str]) -> Counts:
        taken, phones = self.peer.count_taken(), self.peer.count_sent()
        stored = {row.id for row in rows}
        lost = [id_ for id_ in acknowledged if id_ not in stored]
        lost += [row.id for row in rows if row.state == "sent" and row.to not in taken]
        lost += [row.id for row in rows if row.state == "error" and row.error_type != "validity_expired"]
        expired = [row for row in rows if row.error_type == "validity_expired"]
        if not self.peer.repeatable:  # the peer has it, and Phonify says that it was never given away
            lost += [row.id for row in expired if row.to in taken and not row.was_in_doubt]
        doubts = [row for row in rows if row.was_in_doubt]
        doubled = phones if self.peer.repeatable else taken
        return Counts(
            acknowledged=len(acknowledged),
            handed=len(taken),
            phones=len(phones),
            lost=len(lost),
            doubled=sum(times - 1 for times in doubled.values()),
            stuck=sum(row.state == "unconfirmed" for row in rows),
            doubts=len(doubts),
            settled=sum(row.state == "sent" for row in doubts),
            expired=len(expired),
        )

    def close(self) -> None:
        """End the peer and the proxy."""
        self.peer.close()
        if self.way is not None:
            self.way.close()
