"""The app on HTTP: in this process, or in Node."""

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .app import App, Reply

NODE = shutil.which("node")


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes requests to the app."""

    app: App

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read1(length) if self.app.fault == "first_piece" else self.rfile.read(length)
        target = urlsplit(self.path)
        url = f"http://{self.headers['Host']}{target.path}"
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.app.receive(self.command, url, target.query, headers, body)
        self.close_connection = True
        if not reply.status:
            self.server.socket.close()
            return
        self._write(reply)

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body.encode())))
        self.end_headers()
        self.wfile.write(reply.body.encode())

    def log_message(self, *_: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A server that does not print the errors of connections that the lab has cut."""

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def serving_python(form: str, fault: str = "", *, late: float = 0.0) -> Iterator[str]:
    """Yield the address of the app, served by Python."""
    handler = type("AppHandler", (Handler,), {"app": App(form, fault, late=late)})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving_node(form: str, fault: str = "", *, late: float = 0.0) -> Iterator[str]:
    """Yield the address of the app, served by Node."""
    assert NODE is not None
    script = Path(__file__).with_name("receiver.mjs")
    with subprocess.Popen(
        [NODE, script, form, fault, str(late)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
