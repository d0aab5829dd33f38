"""Kept-alive connections, of which a worker hears when the next request comes."""

import select
from collections.abc import Iterator
from contextlib import suppress

from gunicorn.workers.gthread import TConn


class KeptAlive:
    """Connections that are waited for together with a selector's sockets, each until it is heard of once.

    The selector itself would have to be told twice for each request, to watch a connection and not to:
    two system calls more. Only where the system has epoll (Linux).
    """

    def __init__(self, selector: int) -> None:
        """Begin with a selector, by its descriptor."""
        self._selector = selector
        self._connections: dict[int, TConn] = {}  # by descriptor
        self._epoll = select.epoll()
        self._epoll.register(selector, select.EPOLLIN)

    def add(self, conn: TConn) -> None:
        """Wait for a connection, too; from any thread. Raises OSError where the system watches no more."""
        descriptor = conn.sock.fileno()
        self._connections[descriptor] = conn
        events = select.EPOLLIN | select.EPOLLONESHOT
        try:
            self._epoll.modify(descriptor, events)
        except FileNotFoundError:  # it is added for the first time
            self._epoll.register(descriptor, events)

    def remove(self, conn: TConn) -> None:
        """Wait for a connection no more, while it is open still.

        What is closed is heard of as long as another process has it open.
        """
        self._connections.pop(conn.sock.fileno(), None)
        with suppress(OSError):
            self._epoll.unregister(conn.sock.fileno())

    def wait(self, timeout: float) -> Iterator[TConn | None]:
        """Yield the connections that can be read, and None where one of the selector's sockets can."""
        for descriptor, _ in self._epoll.poll(timeout):
            yield None if descriptor == self._selector else self._connections.pop(descriptor, None)

    def close(self) -> None:
        """Wait no more."""
        self._epoll.close()
