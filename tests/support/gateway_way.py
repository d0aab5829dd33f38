"""The way from a gateway to its peer, on which a test holds answers back or refuses requests."""

import http.client
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Refusal(NamedTuple):
    """An answer of a peer that takes no message for a time."""

    status: int
    headers: Mapping[str, str] = {}
    body: str = ""


class Way(ThreadingHTTPServer):
    """A proxy on a free port. A test may replace `refuse` and `hold` at any time. They concern requests that send."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.peer = port
        self.refuse: Callable[[], Refusal | None] = lambda: None  # an answer in place of the peer's, which gets nothing
        self.hold: Callable[[], object] = lambda: None  # called between the peer's answer and its way back
        self.held = 0  # answers that `hold` holds back
        self.refused = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Print nothing: one side was killed, which is what the test does."""


class Handler(BaseHTTPRequestHandler):
    server: Way

    def pass_on(self) -> None:
        way, data = self.server, self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sends = self.command == "POST" or "sendsms" in self.path
        if sends and (refusal := way.refuse()):
            with way.lock:
                way.refused += 1
            self._answer(refusal.status, refusal.headers, refusal.body.encode())
            return
        connection = http.client.HTTPConnection("127.0.0.1", way.peer, timeout=60)
        connection.request(self.command, self.path, data or None, dict(self.headers))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if sends:
            with way.lock:
                way.held += 1
            way.hold()
            with way.lock:
                way.held -= 1
        self._answer(response.status, {"Content-Type": response.getheader("Content-Type", "text/plain")}, body)

    do_GET = do_POST = pass_on  # noqa: N815 - the names in http.server

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        with suppress(OSError):  # the gateway has gone
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
