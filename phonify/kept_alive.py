"""Kept-alive connections, of which a worker hears when the next request comes."""

import select
from collections.abc import Iterator

from gunicorn.workers.gthread import TConn


class KeptAlive:
    """Connections that are waited for together with a selector's sockets, each until it is heard of once.

    The selector itself would have to be told twice for each request, to watch a connection and not to:
    two system calls more. Only where the system has epoll (Linux).
    """

    def __init__(self, selector: int) -> None:
        """Begin with a selector, by its descriptor."""
        self._selector = selector
        # By descriptor. One that was closed stays until its descriptor is used again.
        self._connections: dict[int, TConn] = {}
        self._epoll = select.epoll()
        self._epoll.register(selector, select.EPOLLIN)

    def add(self, conn: TConn) -> None:
        """Wait for a connection, too; from any thread."""
        descriptor = conn.sock.fileno()
        self._connections[descriptor] = conn
        events = select.EPOLLIN | select.EPOLLONESHOT
        try:
            self._epoll.modify(descriptor, events)
        except FileNotFoundError:  # it is added for the first time
            self._epoll.register(descriptor, events)

    def wait(self, timeout: float) -> Iterator[TConn | None]:
        """Yield the connections that can be read, and None where one of the selector's sockets can."""
        for descriptor, _ in self._epoll.poll(timeout):
            yield None if descriptor == self._selector else self._connections.pop(descriptor)

    def close(self) -> None:
        """Wait no more."""
        self._epoll.close()
