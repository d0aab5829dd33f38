"""Slow clients cost no thread: requests are handed over once they are there, and given up when they are late."""

import json
import socket
import time
from contextlib import closing, suppress

import pytest

from phonify.gathering import MOST_HELD, judge

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"to": "+14560000000", "body": "Hello"}'
REQUEST = HEAD + (
    b"Authorization: Basic dGVzdC1rZXk6\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    + BODY
)


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", 1),
        (b"GET / HTTP/1.1\r\n", 1),
        (b"GET / HTTP/1.1\r\n\r\n", 0),
        (HEAD + b"Content-Length: 10\r\n\r\n", 10),
        (HEAD + b"Content-Length: 10\r\n\r\n12345", 5),
        (HEAD + b"CONTENT-LENGTH:   10  \r\n\r\n1234567890", 0),
        (HEAD + b"content-length: 3\r\n\r\n1234567", 0),  # the next request begins
        (HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 1),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 1),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00;x=y\r\nTrailer: a\r\n", 1),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00;x=y\r\nTrailer: a\r\n\r\n", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n\r\n", 1),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0\r\n" * 30_000, 1),
        (HEAD + b"X-Content-Length: 10\r\n\r\n", 0),
        (HEAD + b"Content-Length: ten\r\n\r\n", 0),  # gunicorn says what is wrong with it
        (HEAD + b"Content-Length: 0000000000000010\r\n\r\n12345", 5),
        (HEAD + b"Content-Length: 0\r\n\r\n", 0),
        (b"x" * MOST_HELD, 0),
    ],
)
def test_what_a_request_lacks_is_told_from_what_has_arrived(data: bytes, missing: int) -> None:
    assert judge(data).missing == missing


def test_of_a_request_that_is_too_long_to_be_held_a_beginning_is_waited_for() -> None:
    for length in (b"999999999", b"9" * 13, b"0" * 20 + b"9" * 20, b"9" * 5_000):
        head = HEAD + b"Content-Length: " + length + b"\r\n\r\n"
        assert judge(head).missing == MOST_HELD - len(head)


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_answer(client: socket.socket) -> tuple[int, dict]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(
        next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")).split(b":")[1]
    )
    while len(body) < length:
        body += client.recv(65_536)
    return int(head.split()[1]), json.loads(body)


def test_two_hundred_slow_clients_keep_nobody_waiting(start) -> None:
    server = start(WORKERS="2", THREADS="2")
    slow = [connect(server.port) for _ in range(200)]
    try:
        for client in slow:
            client.sendall(REQUEST[:40])
        assert [server.call("GET", "/v1/messages?limit=1")[0] for _ in range(50)] == [200] * 50
        for client in slow:
            client.sendall(REQUEST[40:])
        assert [read_answer(client)[0] for client in slow] == [201] * 200
    finally:
        for client in slow:
            client.close()


def test_clients_that_do_not_close_their_end_keep_nobody_waiting(start) -> None:
    server = start(WORKERS="1", THREADS="2")
    clients = [connect(server.port) for _ in range(5)]
    for client in clients:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_answer(client)[0] == 200
    begun = time.monotonic()
    for _ in range(20):
        assert server.call("GET", "/v1/messages")[0] == 200
    assert time.monotonic() - begun < 1.9  # in one after the other it would be five times two seconds
    for client in clients:
        assert client.recv(1) == b""
        with suppress(OSError):  # as much as is discarded, and more
            for _ in range(100):
                client.sendall(b"x" * 10_000)
                time.sleep(0.001)
            pytest.fail("the server never closed its end")
        client.close()


def test_a_request_that_is_late_is_answered_with_408(start) -> None:
    server = start(WORKERS="1")
    with closing(connect(server.port)) as client:
        client.sendall(REQUEST[:40])
        status, answer = read_answer(client)
    assert status == 408
    assert answer["errors"][0]["type"] == "request_timeout"


OPEN_ENDED = {
    "expects to be told to go on": HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    "a chunk that looks like the end": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n0\r\n\r\n",
    "more than is held": HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * (97 * 1024),
    "half of a second request": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST[:60],
}


@pytest.mark.parametrize("begun", OPEN_ENDED.values(), ids=OPEN_ENDED)
def test_requests_that_are_begun_and_not_ended_keep_nobody_waiting(start, begun: bytes) -> None:
    server = start(WORKERS="1", THREADS="2")
    assert server.call("GET", "/v1/messages")[0] == 200
    clients = [connect(server.port) for _ in range(20)]
    try:
        for client in clients:
            client.sendall(begun)
        assert [server.call("GET", "/v1/messages?limit=1")[0] for _ in range(20)] == [200] * 20
        for client in clients:  # and each is rid of within the time that a request has
            while client.recv(65_536):
                pass
    finally:
        for client in clients:
            client.close()
    assert server.call("GET", "/v1/messages")[0] == 200


def test_where_the_system_has_no_epoll_kept_alive_connections_are_served_too(start) -> None:
    server = start("-c", "import select; del select.epoll; import runpy; runpy.run_path('app.py', run_name='__main__')")
    clients = [connect(server.port) for _ in range(5)]
    for _ in range(20):
        for client in clients:
            client.sendall(REQUEST)
        for client in clients:
            assert client.recv(65_536).startswith(b"HTTP/1.1 201")
    for client in clients:
        client.close()
    assert server.terminate() == 0
