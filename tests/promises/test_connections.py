"""Tests of requests that arrive byte by byte, several over one connection, in chunks, or in halves."""

import json
import resource
import select
import socket
import time
from contextlib import closing, suppress

import pytest

from tests.support.processes import find_processes

pytestmark = pytest.mark.slow


HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"to": "+14560000000", "body": "Hello"}'
REQUEST = HEAD + (
    b"Authorization: Basic dGVzdC1rZXk6\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    + BODY
)


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


def test_a_request_that_comes_byte_by_byte_is_answered(start) -> None:
    server = start(WORKERS="1")
    with closing(connect(server.port)) as client:
        for position in range(len(REQUEST)):
            client.sendall(REQUEST[position : position + 1])
        assert read_answer(client)[0] == 201


def test_a_connection_is_used_for_several_requests_however_they_are_cut(start) -> None:
    server = start(WORKERS="1")
    twice = REQUEST * 2
    with closing(connect(server.port)) as client:
        for cut in (10, len(HEAD) + 5, len(REQUEST) - 1):
            client.sendall(REQUEST[:cut])
            time.sleep(0.02)  # so that the two halves arrive separately
            client.sendall(REQUEST[cut:])
            assert read_answer(client)[0] == 201
        client.sendall(twice)
        answers = b""
        while answers.count(b"HTTP/1.1 201") < 2:
            answers += client.recv(65_536)


def test_a_client_that_sends_half_a_request_and_ends_is_answered_or_left(start) -> None:
    server = start(WORKERS="1")
    with closing(connect(server.port)) as client:
        client.sendall(REQUEST[:-5])
        client.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            assert b"201" not in client.recv(65_536)[:20]
    assert server.call("GET", "/v1/messages") == (200, {"messages": []})


def test_a_request_in_chunks_is_answered_whatever_comes_after_it(start) -> None:
    server = start(WORKERS="1")
    head, body = REQUEST.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked").split(b"\r\n\r\n")
    chunked = head + b"\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(body), body)
    begun = time.monotonic()
    for end in (b"\r\n", b"X-Sum: 1\r\n\r\n", b"\r\n" + REQUEST):
        with closing(connect(server.port)) as client:
            client.sendall(chunked + end)
            answers = b""
            while answers.count(b"HTTP/1.1 201") < 1 + end.count(BODY):
                answers += client.recv(65_536) or pytest.fail(f"closed after {answers!r}")
    assert time.monotonic() - begun < 5


def test_a_worker_outlives_more_connections_than_it_may_open_files(start) -> None:
    server = start(WORKERS="1")
    assert server.call("GET", "/v1/messages")[0] == 200
    processes = find_processes(server, workers=1)
    for pid in processes.all():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1_024, 1_024))  # the limit of most systems
    clients = [connect(server.port) for _ in range(1_100)]
    time.sleep(0.5)
    for client in clients:
        client.close()
    assert server.call("GET", "/v1/messages")[0] == 200
    assert find_processes(server, workers=1) == processes
    assert "Traceback" not in server.output


def test_the_end_of_an_answer_is_not_lost_where_more_was_sent_than_is_read(start) -> None:
    server = start(WORKERS="1")
    for _ in range(20):
        with closing(connect(server.port)) as client:
            with suppress(OSError):
                client.sendall(HEAD + b"Content-Length: 300000\r\n\r\n" + b"x" * 150_000)
            assert read_answer(client)[0] == 413


def ask(client: socket.socket) -> int:
    client.sendall(REQUEST)
    return read_answer(client)[0]


def test_an_idle_connection_is_closed_after_the_time_of_the_setting(start) -> None:
    server = start(KEEPALIVE="1")
    with closing(connect(server.port)) as client:
        assert ask(client) == 201
        assert client.recv(1) == b""  # waits until the server closes the connection


def test_an_idle_connection_is_kept_for_the_time_of_the_setting(start) -> None:
    server = start(KEEPALIVE="30")
    with closing(connect(server.port)) as client:
        assert ask(client) == 201
        readable, _, _ = select.select([client], [], [], 5)  # a closed connection would be readable
        assert readable == []
        assert ask(client) == 201
