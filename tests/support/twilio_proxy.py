"""A proxy between an SDK and a server, which holds each answer against Twilio's published description."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.twilio_spec import Spec


class Proxy(ThreadingHTTPServer):
    """A proxy on a free port of 127.0.0.1."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.server = port  # of the server
        self.spec = Spec()
        self.faults: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Passes a request on and its answer back."""

    server: Proxy
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server, timeout=30)
        connection.request(self.command, self.path, data, dict(self.headers))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        try:
            self.server.spec.check(self.command, self.path.partition("?")[0], response.status, body)
            if response.status >= 400:
                assert set(json.loads(body)) == {"code", "message", "more_info", "status"}
        except Exception as error:
            self.server.faults.append(f"{self.command} {self.path}: {error}")
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = pass_on  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@contextmanager
def proxying(port: int) -> Iterator[Proxy]:
    """Give a proxy of a server. At the end, no answer may have had a fault."""
    with Proxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
        assert proxy.faults == []
