"""Tests of the guide's configuration with a real nginx: slow clients do not block other clients."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.app import KEY, ROOT, basic
from tests.support.load import HEADERS, TO, Load, count_and_tell, wait_until
from tests.support.servers import Process, find_free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx on this machine"),
]

CERTIFICATE = ROOT / "tests" / "localhost.pem"
AROUND = """
{user}
daemon off;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {server}
}}
"""


def read_configuration(port: int, upstream: int) -> str:
    """Return the configuration of the guide with other ports and the certificate of the tests."""
    guide = ROOT.joinpath("phonify/docs/operations.md").read_text(encoding="utf-8")
    (server,) = re.findall(r"<!-- nginx -->\n```nginx\n(.*?)```", guide, re.DOTALL)
    server = server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    server = server.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    server = re.sub(r"(ssl_certificate(?:_key)?) /[^;]+;", rf"\1 {CERTIFICATE};", server)
    return AROUND.format(user="user root;" if os.geteuid() == 0 else "", server=server)


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """Return a function that starts nginx in front of a port. It returns the port of nginx."""
    started = []

    def start_nginx(upstream: int) -> int:
        port = find_free_port()
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(read_configuration(port, upstream))
        with (tmp_path / "nginx.log").open("wb") as log:
            command = ["nginx", "-p", str(tmp_path), "-c", str(configuration), "-e", "stderr"]
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        wait_until(lambda: can_connect(port))
        return port

    yield start_nginx
    for nginx in started:
        nginx.terminate()
        nginx.wait(20)


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def tls() -> ssl.SSLContext:
    """A TLS context that trusts the certificate of the tests."""
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.check_hostname = False
    return context


def test_two_hundred_slow_clients_keep_nobody_waiting(start, start_nginx, tls, tmp_path):
    begun = time.monotonic()
    server: Process = start(ACCESS_LOG="off")
    port = start_nginx(server.port)
    body = json.dumps({"to": TO, "body": "slow"}).encode()
    head = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + f"Content-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()) + "\r\n"
    with Load(port, 2, pause=0.02, tls=tls) as before:
        before.wait_for(100)
    clients = [tls.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(200)]
    try:
        for client in clients:
            client.sendall(head.encode())
        with Load(port, 2, pause=0.02, tls=tls) as load:
            for byte in range(5):
                second = time.monotonic()
                for client in clients:
                    client.sendall(body[byte : byte + 1])
                time.sleep(max(second + 1 - time.monotonic(), 0))
        for client in clients:
            client.sendall(body[5:])
        statuses = {client.recv(65_536).split()[1] for client in clients}
    finally:
        for client in clients:
            client.close()
    assert statuses == {b"201"}
    assert (set(load.statuses), load.cut_off) == ({201}, [])
    assert len(load.acknowledged) > 50
    usual, beside = (percentile(one.seconds, 0.99) * 1000 for one in (before, load))
    assert beside < usual + 500
    fault = f"200 clients at a byte a second behind nginx; p99 {beside:.0f} ms, before {usual:.0f} ms"
    count_and_tell(fault, tmp_path / "phonify.db", before.acknowledged + load.acknowledged, begun)


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)]


def test_the_proxy_keeps_to_itself_what_is_for_the_operator_and_passes_on_all_else(start, start_nginx, tls):
    server: Process = start()
    connection = http.client.HTTPSConnection("127.0.0.1", start_nginx(server.port), context=tls, timeout=20)

    def get(path: str) -> http.client.HTTPResponse:
        connection.request("GET", path, headers={"Authorization": basic(KEY)})
        response = connection.getresponse()
        response.read()
        return response

    assert [get(path).status for path in ("/metrics", "/readyz", "/sandbox/inbound")] == [403, 403, 403]
    assert [get(path).status for path in ("/healthz", "/v1/messages", "/v1/nothing")] == [200, 200, 404]
    page = get(f"/inbox?api_key={KEY}")
    assert page.status == 303
    assert "Secure" in page.headers["Set-Cookie"]
    connection.close()
