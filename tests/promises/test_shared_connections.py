"""Tests of connections that request pages and the API in turns, and that stay open at the end."""

import http.client
import socket

import pytest

from tests.support.app import KEY, basic

pytestmark = pytest.mark.slow


AUTHORIZATION = f"Authorization: {basic(KEY)}"


# In the server


def ask(connection: "Client", path: str, *, method: str = "GET", body: str = "") -> tuple[int, bytes]:
    """Send a request over a kept-alive connection. Returns the status and the body."""
    head = f"{method} {path} HTTP/1.1\r\n{connection.head}{AUTHORIZATION}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    connection.sock.sendall(f"{head}\r\n{body}".encode())
    response = http.client.HTTPResponse(connection.sock, method=method)
    response.begin()
    return response.status, response.read()


class Client:
    """A kept-alive connection that is signed in."""

    def __init__(self, server) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.head = f"Host: 127.0.0.1:{server.port}\r\n"
        self.sock.sendall(f"GET /?api_key={KEY} HTTP/1.1\r\n{self.head}\r\n".encode())
        response = http.client.HTTPResponse(self.sock)
        response.begin()
        cookie = response.getheader("Set-Cookie", "").partition(";")[0]
        response.read()
        self.head += f"Cookie: {cookie}\r\n"


def test_one_connection_may_ask_for_pages_and_use_the_api(start):
    server = start()
    client = Client(server)
    for number in range(20):
        status, answer = ask(
            client, "/v1/messages", method="POST", body=f'{{"to": "+14560000000", "body": "{number}"}}'
        )
        assert status == 201, answer
        assert ask(client, "/healthz")[0] == 200
        for path, status in (
            ("/inbox/conversations", 200),
            ("/", 200),
            ("/inbox/static/inbox.js", 200),
            ("/inbox", 303),
        ):
            assert ask(client, path)[0] == status
        assert f">{number}<".encode() in ask(client, "/inbox/phones/+14560000000")[1]
        assert ask(client, f"/v1/messages?limit={number + 1}")[1].count(b'"body"') == number + 1
    client.sock.close()


def test_many_connections_to_and_fro_at_once_lose_no_request(start):
    server = start()
    clients = [Client(server) for _ in range(60)]
    for _ in range(5):
        for path in ("/inbox/sign-in", "/v1/messages?limit=1"):
            for client in clients:
                client.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{AUTHORIZATION}\r\n\r\n".encode())
            for client in clients:
                received = b""
                while b"\r\n\r\n" not in received:
                    chunk = client.sock.recv(65_536)
                    assert chunk
                    received += chunk
                head, _, rest = received.partition(b"\r\n\r\n")
                assert head.split()[1] == b"200", head
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                while len(rest) < length:
                    rest += client.sock.recv(65_536)
    for client in clients:
        client.sock.close()


def test_a_server_with_open_pages_ends_when_told_to(start):
    server = start()
    clients = [Client(server) for _ in range(5)]
    for client in clients:
        assert ask(client, "/")[0] == 200
    assert server.terminate() == 0
    for client in clients:
        assert client.sock.recv(100) == b""
        client.sock.close()
    assert "Traceback" not in server.output
