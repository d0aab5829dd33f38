"""Connections that one process of a server hands to another."""

import errno
import fcntl
import mmap
import os
import socket
import struct
import termios
from typing import Any

_COUNT = struct.Struct("=I")


class Handover:
    """A queue of connections to one process, from any number of them that were forked after it was made.

    Whoever takes from it uses it as the listening socket that the connections came from, and says how
    many it has, so that those who give may choose.
    """

    def __init__(self, address: Any) -> None:
        """Make a queue; `address` is where the server listens."""
        self._address = address
        self._giving, self._taking = socket.socketpair()
        for end in (self._giving, self._taking):
            end.setblocking(False)  # noqa: FBT003 - of sockets
        self._shared = mmap.mmap(-1, _COUNT.size)

    def count(self) -> int:
        """Return how many connections the process has that takes from here, with those that wait for it."""
        (held,) = _COUNT.unpack(self._shared[: _COUNT.size])
        return int(held) + self.waiting()

    def waiting(self) -> int:
        """Return how many connections wait to be taken; many do where the process does not come to it."""
        (waiting,) = _COUNT.unpack(fcntl.ioctl(self._taking, termios.FIONREAD, bytes(_COUNT.size)))  # a byte for each
        return int(waiting)

    def hold(self, held: int) -> None:
        """Say how many connections the process has that takes from here."""
        self._shared[: _COUNT.size] = _COUNT.pack(max(held, 0))

    def give(self, connection: socket.socket) -> bool:
        """Pass on a connection, of which the caller closes its own end; False where the queue is full."""
        try:
            # A byte for each, so that whoever reads one gets one.
            socket.send_fds(self._giving, [b"\0"], [connection.fileno()])
        except OSError:
            return False
        return True

    def accept(self) -> tuple[socket.socket, Any]:
        """Return a connection and the client's address.

        Raises BlockingIOError where there is none, and OSError (EMFILE) where this process may open no more: it waits
        then.
        """
        os.close(os.dup(self._taking.fileno()))  # the kernel would take it from the queue all the same
        _, descriptors, _, _ = socket.recv_fds(self._taking, 1, 1)
        if not descriptors:  # another thread has got the last descriptor
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
        """Give and take no more in this process; what it has is counted on."""
        self._giving.close()
        self._taking.close()
