"""Connections that one process hands to another: in order, shared evenly, none lost."""

import errno
import os
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import KEY, basic

from phonify.handover import Handover

AUTHORIZATION = f"Authorization: {basic(KEY)}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def handover(listener) -> Iterator[Handover]:
    queue = Handover(listener.getsockname())
    yield queue
    queue.close()


@contextmanager
def connecting(listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a client's end of a connection and the server's."""
    with socket.create_connection(listener.getsockname(), timeout=5) as client:
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


def test_a_connection_goes_on_with_who_took_it(listener, handover):
    with connecting(listener) as (client, accepted):
        assert handover.give(accepted)
        accepted.close()
        taken, address = handover.accept()
        with taken:
            assert address == client.getsockname()
            client.sendall(b"question")
            assert taken.recv(100) == b"question"
            taken.sendall(b"answer")
            assert client.recv(100) == b"answer"
        assert client.recv(100) == b""  # nobody else has it
    assert handover.getsockname() == listener.getsockname()


def test_connections_come_in_order_and_one_at_a_time(listener, handover):
    with connecting(listener) as first, connecting(listener) as second:
        for client, accepted in (first, second):
            client.sendall(b"x")
            assert handover.give(accepted)
        taken = [handover.accept() for _ in range(2)]
        assert [address for _, address in taken] == [first[0].getsockname(), second[0].getsockname()]
        for connection, _ in taken:
            connection.close()
        with pytest.raises(BlockingIOError):
            handover.accept()


def test_a_queue_that_is_full_takes_no_more_and_keeps_what_it_has(listener, handover):
    with connecting(listener) as (_, accepted):
        given = 0
        while handover.give(accepted):
            given += 1
            assert given < 100_000
        assert given >= 100
        for _ in range(given):
            handover.accept()[0].close()
        assert handover.give(accepted)
        handover.accept()[0].close()


def test_a_client_that_has_gone_meanwhile_is_no_connection(listener, handover):
    with connecting(listener) as (client, accepted):
        handover.give(accepted)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()  # with a reset
        with pytest.raises(ConnectionAbortedError):
            handover.accept()


def test_with_all_descriptors_in_use_a_connection_waits(listener, handover):
    with connecting(listener) as (client, accepted):
        handover.give(accepted)
        accepted.close()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = os.dup(client.fileno())
        os.close(highest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files") as raised:
                handover.accept()
            assert raised.value.errno == errno.EMFILE
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert handover.waiting() == 1
        taken, _ = handover.accept()
        with taken:
            client.sendall(b"question")
            assert taken.recv(100) == b"question"


def test_who_gives_can_tell_how_many_connections_the_other_has(listener, handover):
    handover.hold(300)
    with connecting(listener) as (_, accepted):
        for given in range(3):
            assert handover.count() == 300 + given
            handover.give(accepted)
        handover.accept()[0].close()
    assert (handover.count(), handover.waiting()) == (302, 2)
    if os.fork() == 0:
        handover.hold(70_000)
        os._exit(0)
    os.wait()
    assert handover.count() == 70_002
    handover.hold(-1)  # a mistake in counting is no reason to end
    assert handover.count() == 2


# In the server


def find_page_worker(server) -> int:
    """Return the process that serves pages, once it is there: the one with a lower priority."""
    end = time.monotonic() + 20
    while True:
        children = Path(f"/proc/{server.popen.pid}/task/{server.popen.pid}/children").read_text().split()
        found = [
            int(pid)
            for pid in children
            if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]) > os.nice(0)
        ]
        if found:
            (pid,) = found
            return pid
        assert time.monotonic() < end
        time.sleep(0.01)


def locate_connections(server) -> dict[int, int]:
    """Return which process of a server has each connection, by the port of its client."""
    ports = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if state == "01" and local.endswith(f":{server.port:04X}"):
            ports[f"socket:[{rest[5]}]"] = int(remote.partition(":")[2], 16)
    found = {}
    for pid in Path(f"/proc/{server.popen.pid}/task/{server.popen.pid}/children").read_text().split():
        opened = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
        found |= {ports[name]: int(pid) for name in opened & ports.keys()}
    return found


def ask(connection: "Client", path: str, *, method: str = "GET", body: str = "") -> tuple[int, bytes]:
    """Make a request over a connection that is kept open; return status and body."""
    head = f"{method} {path} HTTP/1.1\r\n{connection.head}{AUTHORIZATION}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    connection.sock.sendall(f"{head}\r\n{body}".encode())
    with connection.sock.makefile("rb") as file:
        status = int(file.readline().split()[1])
        length = 0
        while line := file.readline().strip():
            name, _, value = line.lower().partition(b": ")
            length = int(value) if name == b"content-length" else length
        return status, file.read(length)


class Client:
    """A connection that is kept open, signed in."""

    def __init__(self, server) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.head = f"Host: 127.0.0.1:{server.port}\r\nCookie: phonify_key_{server.port}={KEY}\r\n"


def test_new_connections_are_shared_evenly_among_the_processes_of_the_api(start):
    server = start(WORKERS="3")
    clients = []
    for number in range(1, 41):
        clients.append(Client(server))
        assert ask(clients[-1], "/v1/messages")[0] == 200
        shares = Counter(locate_connections(server).values()).most_common()
        assert len(shares) == min(number, 3)
        assert shares[0][1] - shares[-1][1] <= 1, shares
    for client in clients:
        client.sock.close()


def test_a_connection_that_has_been_there_stays_where_others_have_fewer_and_new_ones_go_to_those(start):
    server = start()
    clients = [Client(server) for _ in range(20)]
    for client in clients:
        assert ask(client, "/v1/messages")[0] == 200
    places = locate_connections(server)
    mine = {client: places[client.sock.getsockname()[1]] for client in clients}
    left = mine[clients[0]]
    staying = [client for client in clients if mine[client] != left]
    for client in clients:
        if mine[client] == left:
            client.sock.close()
    end = time.monotonic() + 20
    while len(locate_connections(server)) > 10 and time.monotonic() < end:
        time.sleep(0.01)
    for client in staying:
        assert ask(client, "/v1/messages")[0] == 200
    assert {*locate_connections(server).values()} == {mine[staying[0]]}
    late = [Client(server) for _ in range(10)]
    for client in late:
        assert ask(client, "/v1/messages")[0] == 200
    places = locate_connections(server)
    assert [places[client.sock.getsockname()[1]] for client in late] == [left] * 10
    for client in [*staying, *late]:
        client.sock.close()


def wait_for_answers(clients: list["Client"], seconds: float) -> list["Client"]:
    """Return those that get an answer in time."""
    end = time.monotonic() + seconds
    answered = []
    for client in clients:
        client.sock.settimeout(max(end - time.monotonic(), 0.01))
        with suppress(OSError):
            if client.sock.recv(12) == b"HTTP/1.1 200":
                answered.append(client)
    return answered


def list_workers(server) -> list[int]:
    """Return the processes of a server with two workers for the API, these first, once all are there."""
    end = time.monotonic() + 20
    while True:
        children = Path(f"/proc/{server.popen.pid}/task/{server.popen.pid}/children").read_text().split()
        if len(children) == 4:
            return [int(pid) for pid in children]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_that_stands_still_gets_hardly_more_than_the_kernel_gives_it(start):
    server = start()
    first, *_ = list_workers(server)
    held = [Client(server) for _ in range(20)]
    for client in held:
        assert ask(client, "/v1/messages")[0] == 200
    for client in held:
        if locate_connections(server)[client.sock.getsockname()[1]] == first:
            client.sock.close()  # so that it has fewer
    os.kill(first, signal.SIGSTOP)
    try:
        late = [Client(server) for _ in range(80)]
        for client in late:
            client.sock.sendall(f"GET /v1/messages HTTP/1.1\r\n{client.head}{AUTHORIZATION}\r\n\r\n".encode())
        # The kernel gives either half of them, most likely at least a third.
        assert len(wait_for_answers(late, 3.0)) >= 80 / 3 - 4
    finally:
        os.kill(first, signal.SIGCONT)
    for client in [*held, *late]:
        client.sock.close()


def test_what_waits_for_a_process_that_stands_still_is_answered_by_another_when_the_server_ends(start):
    server = start(GRACE="3")
    first, *_ = list_workers(server)
    os.kill(first, signal.SIGSTOP)
    try:
        waiting = [Client(server) for _ in range(60)]
        for client in waiting:
            client.sock.sendall(f"GET /v1/messages HTTP/1.1\r\n{client.head}{AUTHORIZATION}\r\n\r\n".encode())
        answered = wait_for_answers(waiting, 2.0)
        os.kill(server.popen.pid, signal.SIGTERM)
        later = wait_for_answers([client for client in waiting if client not in answered], 2.0)
        assert 1 <= len(later) <= 8  # the others the kernel has given to the first
    finally:
        os.kill(first, signal.SIGCONT)
    for client in waiting:
        client.sock.close()


def test_one_that_takes_the_place_of_another_begins_with_none(start):
    server = start()
    first, *_ = list_workers(server)
    clients = [Client(server) for _ in range(20)]
    for client in clients:
        assert ask(client, "/v1/messages")[0] == 200
    os.kill(first, signal.SIGKILL)
    end = time.monotonic() + 20
    while first in list_workers(server) and time.monotonic() < end:
        time.sleep(0.01)
    late = [Client(server) for _ in range(10)]
    for client in late:
        assert ask(client, "/v1/messages")[0] == 200
    assert sorted(Counter(locate_connections(server).values()).values()) == [10, 10]
    for client in [*clients, *late]:
        client.sock.close()


def test_a_request_that_came_while_the_process_stood_still_is_answered_though_its_time_was_over(start):
    server = start(WORKERS="1")
    clients = [Client(server) for _ in range(5)]
    for client in clients:
        assert ask(client, "/v1/messages")[0] == 200
    (worker,) = {*locate_connections(server).values()}
    os.kill(worker, signal.SIGSTOP)
    for client in clients[1:]:
        client.sock.sendall(f"GET /v1/messages HTTP/1.1\r\n{client.head}{AUTHORIZATION}\r\n\r\n".encode())
    time.sleep(15.5)  # longer than a connection is kept alive
    os.kill(worker, signal.SIGCONT)
    assert clients[0].sock.recv(100) == b""
    clients[0].sock.close()
    for client in clients[1:]:
        assert client.sock.recv(12) == b"HTTP/1.1 200"
        client.sock.close()


def test_the_api_goes_on_where_the_process_for_pages_dies_and_pages_come_back(start):
    server = start()
    page, app = Client(server), Client(server)
    assert ask(page, "/")[0] == 200
    assert ask(app, "/v1/messages")[0] == 200
    pages = find_page_worker(server)
    os.kill(pages, signal.SIGSTOP)  # first it hangs
    assert ask(app, "/v1/messages")[0] == 200
    later = Client(server)
    later.sock.sendall(b"GET /inbox/sign-in HTTP/1.1\r\nHost: x\r\n\r\n")
    assert ask(app, "/v1/messages")[0] == 200
    time.sleep(0.2)
    os.kill(pages, signal.SIGKILL)
    assert ask(app, "/v1/messages")[0] == 200
    assert later.sock.recv(100).startswith(b"HTTP/1.1 200")  # from the one that took its place
    assert find_page_worker(server) != pages
    for client in (page, app, later):
        client.sock.close()


def test_pages_take_no_process_of_the_api(start):
    server = start()
    pages = find_page_worker(server)
    os.kill(pages, signal.SIGSTOP)
    try:
        waiting = [Client(server) for _ in range(30)]
        for client in waiting:
            client.sock.sendall(b"GET /inbox/sign-in HTTP/1.1\r\nHost: x\r\n\r\n")
        app = Client(server)
        for _ in range(50):
            assert ask(app, "/v1/messages")[0] == 200
    finally:
        os.kill(pages, signal.SIGCONT)
    for client in [*waiting, app]:
        client.sock.close()
