"""Connections that one process of a server hands to another."""

import errno
import socket
from typing import Any


class Handover:
    """A queue of connections, for any number of processes that were forked after it was made.

    Whoever takes from it uses it as the listening socket that the connections came from.
    """

    def __init__(self, address: Any) -> None:
        """Make a queue; `address` is where the server listens."""
        self._address = address
        self._giving, self._taking = socket.socketpair()
        for end in (self._giving, self._taking):
            end.setblocking(False)  # noqa: FBT003 - of sockets

    def give(self, connection: socket.socket) -> bool:
        """Pass on a connection, of which the caller closes its own end; False where the queue is full."""
        try:
            # A byte for each, so that whoever reads one gets one.
            socket.send_fds(self._giving, [b"\0"], [connection.fileno()])
        except OSError:
            return False
        return True

    def accept(self) -> tuple[socket.socket, Any]:
        """Return a connection and the client's address; raise BlockingIOError where there is none."""
        _, descriptors, _, _ = socket.recv_fds(self._taking, 1, 1)
        if not descriptors:  # this process has as many open as it may
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection could not be taken over")
        connection = socket.socket(fileno=descriptors[0])
        try:
            return connection, connection.getpeername()
        except OSError as error:
            connection.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, "the client has gone") from error

    def fileno(self) -> int:
        """Return what to watch for connections."""
        return self._taking.fileno()

    def getsockname(self) -> Any:
        """Return the address that the connections were made to."""
        return self._address

    def setblocking(self, _: bool) -> None:
        """Leave it as it is: nobody waits for it."""

    def close(self) -> None:
        """Have no more to do with it in this process."""
        self._giving.close()
        self._taking.close()
