"""Connections that are kept alive: each is heard of once, beside what a selector watches."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest

from phonify.kept_alive import KeptAlive


class Connection(SimpleNamespace):
    """A connection as gunicorn has it, and the client's end."""

    def __init__(self) -> None:
        client, sock = socket.socketpair()
        super().__init__(client=client, sock=sock)

    def close(self) -> None:
        self.client.close()
        self.sock.close()


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        yield selector


@pytest.fixture
def kept(selector) -> Iterator[KeptAlive]:
    with closing(KeptAlive(selector.fileno())) as kept:
        yield kept


def test_a_connection_is_heard_of_once_each_time_that_it_is_added(kept):
    with closing(Connection()) as connection:
        kept.add(connection)
        assert list(kept.wait(0)) == []
        for _ in range(3):
            connection.client.sendall(b"x")
            assert list(kept.wait(5)) == [connection]
            connection.client.sendall(b"x")
            assert list(kept.wait(0.01)) == []  # all that time it can be read
            connection.sock.recv(10)
            kept.add(connection)
            assert list(kept.wait(0)) == []


def test_what_came_before_it_was_added_is_heard_of_too(kept):
    with closing(Connection()) as one, closing(Connection()) as other:
        for connection in (one, other):
            connection.client.sendall(b"x")
            kept.add(connection)
        assert {id(found) for found in kept.wait(5)} == {id(one), id(other)}
        one.client.close()
        kept.add(one)
        assert list(kept.wait(5)) == [one]


def test_one_of_a_selectors_sockets_is_told_of_as_long_as_it_can_be_read(kept, selector):
    with closing(Connection()) as connection:
        selector.register(connection.sock, selectors.EVENT_READ)
        assert list(kept.wait(0)) == []
        connection.client.sendall(b"x")
        for _ in range(2):
            assert list(kept.wait(5)) == [None]
            assert len(selector.select(0)) == 1
        selector.unregister(connection.sock)
        assert list(kept.wait(0)) == []


def test_a_descriptor_that_is_used_again_stands_for_its_new_connection(kept):
    with closing(Connection()) as old:
        kept.add(old)
        descriptor = old.sock.fileno()
    with closing(Connection()) as one, closing(Connection()) as other:
        new = one if one.sock.fileno() == descriptor else other
        assert new.sock.fileno() == descriptor
        assert list(kept.wait(0)) == []
        kept.add(new)
        new.client.sendall(b"x")
        assert list(kept.wait(5)) == [new]


def test_a_connection_that_goes_on_elsewhere_is_not_heard_of_again(kept):
    with closing(Connection()) as given:
        given.client.sendall(b"x")
        kept.add(given)
        assert list(kept.wait(5)) == [given]
        elsewhere = given.sock.dup()  # as in another process
        descriptor = given.sock.fileno()
        given.sock.close()
        with elsewhere, closing(Connection()) as one, closing(Connection()) as other:
            new = one if one.sock.fileno() == descriptor else other
            kept.add(new)
            given.client.sendall(b"y")
            assert list(kept.wait(0.05)) == []
            new.client.sendall(b"x")
            assert list(kept.wait(5)) == [new]


def test_one_that_was_removed_is_not_heard_of_though_it_is_open_elsewhere(kept):
    with closing(Connection()) as connection, connection.sock.dup():
        kept.add(connection)
        kept.remove(connection)
        connection.sock.close()
        connection.client.sendall(b"x")
        assert list(kept.wait(0.05)) == []


def test_one_that_is_not_watched_can_be_removed(kept):
    with closing(Connection()) as connection:
        kept.remove(connection)
        kept.add(connection)
        connection.client.sendall(b"x")
        assert list(kept.wait(5)) == [connection]
        kept.remove(connection)
        kept.add(connection)
        assert list(kept.wait(5)) == [connection]
