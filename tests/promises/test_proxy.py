"""The guide's configurations of nginx and Caddy, with the real programs: slow clients keep nobody waiting."""

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
from tests.support.guides import read_block
from tests.support.load import HEADERS, TO, Load, count_and_tell, wait_until
from tests.support.servers import Process, find_free_port

pytestmark = pytest.mark.slow

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx on this machine")
needs_caddy = pytest.mark.skipif(shutil.which("caddy") is None, reason="there is no Caddy on this machine")

CERTIFICATE = ROOT / "tests" / "localhost.pem"
AROUND_NGINX = """
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
AROUND_CADDY = """
{{
    admin off
    auto_https disable_redirects
}}
{site}
"""


def configure_nginx(port: int, upstream: int) -> str:
    """Return what the guide has, with other ports and the tests' certificate."""
    server = read_block("operations", "nginx")
    server = server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    server = server.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    server = re.sub(r"(ssl_certificate(?:_key)?) /[^;]+;", rf"\1 {CERTIFICATE};", server)
    return AROUND_NGINX.format(user="user root;" if os.geteuid() == 0 else "", server=server)


def configure_caddy(port: int, upstream: int) -> str:
    """Return what the guide has for the version of Caddy that is here, with other ports and the tests' certificate."""
    site = read_block("operations", "caddy")
    version = subprocess.run(["caddy", "version"], capture_output=True, text=True, check=True, timeout=20).stdout
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (2, 7):
        site, replaced = re.subn(r"(?:^ *\w+_buffers .*\n){2}", read_block("operations", "caddy 2.6"), site, flags=re.M)
        assert replaced == 1
    address = f"https://localhost:{port} {{\nbind 127.0.0.1\ntls {CERTIFICATE} {CERTIFICATE}\n"
    site = site.replace("sms.example.com {\n", address).replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    return AROUND_CADDY.format(site=site)


@pytest.fixture
def start_proxy(tmp_path: Path) -> Iterator[Callable[[str, int], int]]:
    """Return a function that starts nginx or Caddy in front of a port and returns the port that it listens on."""
    started = []

    def start_proxy(name: str, upstream: int) -> int:
        port = find_free_port()
        configuration = tmp_path / f"{name}.conf"
        if name == "nginx":
            configuration.write_text(configure_nginx(port, upstream))
            command = ["nginx", "-p", str(tmp_path), "-c", str(configuration), "-e", "stderr"]
        else:
            configuration.write_text(configure_caddy(port, upstream))
            command = ["caddy", "run", "--config", str(configuration), "--adapter", "caddyfile"]
        with (tmp_path / f"{name}.log").open("wb") as log:
            environ = {**os.environ, "HOME": str(tmp_path)}
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environ))
        wait_until(lambda: can_connect(port))
        return port

    yield start_proxy
    for proxy in started:
        proxy.terminate()
        proxy.wait(20)


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


@needs_nginx
def test_two_hundred_slow_clients_keep_nobody_waiting(start, start_proxy, tls, tmp_path):
    begun = time.monotonic()
    server: Process = start(ACCESS_LOG="off")
    port = start_proxy("nginx", server.port)
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


BOTH = pytest.mark.parametrize(
    "proxy", [pytest.param("nginx", marks=needs_nginx), pytest.param("caddy", marks=needs_caddy)]
)


@BOTH
def test_the_proxy_keeps_to_itself_what_is_for_the_operator_and_passes_on_all_else(start, start_proxy, tls, proxy):
    server: Process = start()
    port = start_proxy(proxy, server.port)
    connection = http.client.HTTPSConnection("localhost", port, context=tls, timeout=20)

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


@BOTH
def test_the_proxy_does_not_connect_before_it_has_the_whole_request(start_proxy, tls, proxy):
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        port = start_proxy(proxy, upstream.getsockname()[1])
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as client:
            client.sendall(
                f"POST /v1/messages HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 8\r\n\r\n".encode()
            )
            client.sendall(b"to=+1")
            upstream.settimeout(0.5)
            with pytest.raises(TimeoutError):
                upstream.accept()
            client.sendall(b"456")
            upstream.settimeout(20)
            connection, _ = upstream.accept()
            with connection:
                connection.settimeout(20)
                received = b""
                while not received.endswith(b"\r\n\r\nto=+1456"):
                    received += connection.recv(65_536)
            assert b"\r\nx-forwarded-proto: https\r\n" in received.lower()
            assert f"\r\nHost: localhost:{port}\r\n".encode() in received
            assert b"\r\nconnection: close\r\n" in received.lower()
