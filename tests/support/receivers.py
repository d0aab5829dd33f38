"""Receivers of webhooks: real servers on free ports of 127.0.0.1. A test chooses their answers."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Received(NamedTuple):
    """A received request."""

    line: str
    headers: dict[str, str]  # the names are in lower case
    body: bytes


def answer(data: bytes) -> "Act":
    """Return a function that answers every request with the same bytes and closes the connection."""

    def act(client: socket.socket, received: Received) -> None:
        client.sendall(data)

    return act


def status(code: int, *headers: str, body: str = "") -> "Act":
    """Return a function that answers every request with a status."""
    lines = [f"HTTP/1.1 {code} Status", f"Content-Length: {len(body.encode())}", *headers]
    return answer("\r\n".join([*lines, "", body]).encode())


Act = Callable[[socket.socket, Received], object]


class Receiver:
    """A server that records its requests. `act` answers them. A test may replace `act` at any time."""

    def __init__(self, act: Act = answer(NO_CONTENT), *, tls: ssl.SSLContext | None = None) -> None:
        self.act = act
        self.received: list[Received] = []
        self.stopping = threading.Event()  # an answer that hangs waits for this event
        self._changed = threading.Condition()
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def hang(self, client: socket.socket, received: Received) -> None:
        """Never answer."""
        self.stopping.wait()

    def wait_for(self, count: int, timeout: float = 20) -> list[Received]:
        """Wait until the given number of requests have arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, timeout), self.received
            return list(self.received)

    def close(self) -> None:
        self.stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:  # closed
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            with client, client.makefile("rb") as stream:
                lines = list(iter(lambda: stream.readline().decode().rstrip("\r\n"), ""))
                headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines[1:])}
                length = int(headers.get("content-length", 0))
                body = stream.read(length)
                if not lines or len(body) < length:
                    return  # the sender was killed
                received = Received(lines[0], headers, body)
                with self._changed:
                    self.received.append(received)
                    self._changed.notify_all()
                self.act(client, received)
        client.close()
