"""A client's socket with few system calls: each one lets go of the interpreter lock, and has to get it back."""

import errno
import socket


class ClientSocket(socket.socket):
    """A connection that was accepted, in place of the socket that it came as, which is of no use any more.

    What would change nothing is not asked of the kernel, and an answer goes out in one piece.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().setblocking(True)  # noqa: FBT003 - of sockets
        self._held = b""

    def setblocking(self, _: bool) -> None:
        """Leave it as it is, one that waits: whoever is not to wait says so with the call (MSG_DONTWAIT)."""

    def settimeout(self, value: float | None) -> None:
        """Set how long a call may take, in seconds."""
        if value != self.gettimeout():
            super().settimeout(value)

    # Bytes alone, where a socket takes any buffer: gunicorn has no others.
    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]  # noqa: ARG002 - of sockets
        """Send bytes; what ends in an empty line, as a head does, waits for what follows or for `flush`.

        Raises ConnectionResetError where the client takes nothing for as long as the socket's SO_SNDTIMEO says.
        """
        data, self._held = self._held + data, b""
        if data.endswith(b"\r\n\r\n"):
            self._held = data
        else:
            self._send(data)

    def flush(self) -> None:
        """Send what waits."""
        if self._held:
            data, self._held = self._held, b""
            self._send(data)

    def _send(self, data: bytes) -> None:
        try:
            super().sendall(data)
        except BlockingIOError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client takes nothing of its answer") from error
