"""A client's socket: what is sent arrives whole and in order, in few pieces."""

import select
import socket
from collections.abc import Iterator

import pytest

from phonify.client_socket import ClientSocket

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[ClientSocket, socket.socket]]:
    """Return the server's end of a connection and the client's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # which tells the pieces apart
    with ClientSocket(ours) as client_socket, theirs:
        theirs.settimeout(5)
        yield client_socket, theirs


def has_come(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def test_head_and_body_arrive_in_one_piece(pair):
    ours, theirs = pair
    ours.sendall(HEAD)
    ours.sendall(b"hello")
    assert theirs.recv(1_000) == HEAD + b"hello"
    ours.flush()
    assert not has_come(theirs)


def test_a_head_alone_goes_out_at_the_end(pair):
    ours, theirs = pair
    ours.sendall(HEAD)
    assert not has_come(theirs)
    ours.flush()
    assert theirs.recv(1_000) == HEAD


def test_answers_do_not_mix(pair):
    ours, theirs = pair
    for text in (b"first", b"secnd"):
        ours.sendall(HEAD)
        ours.sendall(text)
        ours.flush()
    assert [theirs.recv(1_000), theirs.recv(1_000)] == [HEAD + b"first", HEAD + b"secnd"]


def test_a_body_that_ends_like_a_head_arrives(pair):
    ours, theirs = pair
    ours.sendall(HEAD)
    ours.sendall(b"5\r\n\r\n")
    ours.flush()
    assert theirs.recv(1_000) == HEAD + b"5\r\n\r\n"


def test_it_waits_unless_told_otherwise(pair):
    ours, theirs = pair
    ours.setblocking(False)  # noqa: FBT003 - of sockets
    assert ours.gettimeout() is None
    ours.settimeout(0.01)
    with pytest.raises(TimeoutError):
        ours.recv(1)
    ours.settimeout(None)
    theirs.sendall(b"x")
    assert ours.recv(1) == b"x"


def test_a_socket_that_did_not_wait_does_so_from_now_on():
    accepted, theirs = socket.socketpair()
    accepted.setblocking(False)  # noqa: FBT003 - of sockets
    with ClientSocket(accepted) as ours, theirs:
        assert ours.getblocking()
        assert accepted.fileno() == -1
