"""A gunicorn worker in which slow clients cost no thread: a request is handed to one once it is there.

The bytes that have arrived are only looked at; they stay with the kernel, which tells when there
are more than so many (SO_RCVLOWAT). A request that is not complete in time is answered with 408.

gunicorn's worker does this and that in between which one thread can do as well as two, and once as
well as three times; here it is left out.
"""

import errno
import json
import math
import re
import select
import selectors
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from gunicorn.workers.gthread import TConn, ThreadWorker

from .client_socket import ClientSocket
from .errors import Fault
from .kept_alive import KeptAlive

REQUEST_TIME = 10.0  # seconds that a client has for sending a request, from its first byte
# A request that is longer than this is begun with: the kernel does not hold any number of bytes.
MOST_HELD = 96 * 1024
MOST_HASTY = 64  # requests of a worker that are read by threads of their own
STOP_TIME = 2.0  # seconds that it still has when the server stops
CLOSING_TIME = 2.0  # seconds that a client has for closing its end, once it has got its last answer
EMFILE_PAUSE = 0.05  # seconds
MOST_DISCARDED = 64 * 1024  # bytes that it may send meanwhile
_HEAD_END = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*(?=\r\n|$)")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked")
# How the last chunk begins. In the midst of another one it may look the same: what is chunked may have more to come.
_LAST_CHUNK = re.compile(rb"(?<=\r\n)0+(?:;[^\r\n]*)?(?=\r\n)")

_BODY = json.dumps({"errors": [Fault("request_timeout").to_dict()]}).encode()
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Arrived(NamedTuple):
    """What is known of a request of which some bytes have arrived."""

    missing: int  # how many bytes it lacks at least; 0 where it can be begun with
    open_ended: bool  # whether, where it is begun with, there may be more to come


def judge(data: bytes) -> Arrived:
    """Tell from the bytes of a request that have arrived what it lacks.

    Only what decides about the length is looked at: whether it is HTTP, gunicorn says.
    """
    if len(data) >= MOST_HELD:
        return Arrived(0, open_ended=True)
    end = data.find(_HEAD_END)
    if end < 0:
        return Arrived(1, open_ended=False)
    head, body = data[:end].lower(), end + len(_HEAD_END)
    if b"\r\nexpect:" in head:  # the client waits to be told to go on
        return Arrived(0, open_ended=True)
    if b"\r\ntransfer-encoding:" in head and _CHUNKED.search(head):
        # Trailers and an empty line follow it, found in one go: a pattern of both would take the square of the length.
        last = _LAST_CHUNK.search(data, body)
        return Arrived(0 if last and data.find(_HEAD_END, last.end()) >= 0 else 1, open_ended=True)
    found = _CONTENT_LENGTH.search(head)
    if found is None:
        return Arrived(0, open_ended=False)
    digits = found[1].lstrip(b"0")
    length = int(digits or b"0") if len(digits) <= len(str(MOST_HELD)) else MOST_HELD
    return Arrived(max(0, min(length, MOST_HELD - body) - (len(data) - body)), open_ended=False)


def has_arrived(sock: socket.socket) -> bool:
    """Tell whether there is anything to read."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


class _Arriving:
    """A request that is on its way."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.arrived = 0  # bytes


class _Closing:
    """A connection that the client is to close."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.discarded = 0  # bytes


class GatheringWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, which wait for no client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[TConn, _Arriving] = {}
        # Connections with a thread that may have to read more of the request, and until when it may.
        self._reading: dict[TConn, float] = {}
        self._hasty = 0  # how many threads of their own those have
        self._hasty_lock = threading.Lock()
        self._closing: dict[TConn, _Closing] = {}
        self._kept: KeptAlive | None = None
        self._stopping = threading.Lock()
        self._notified = 0.0

    def run(self) -> None:
        """Serve."""
        if hasattr(select, "epoll"):  # elsewhere kept-alive connections are watched as gunicorn does it
            self._kept = KeptAlive(self.poller.fileno())
        super().run()
        if self._kept is not None:
            self._kept.close()

    def notify(self) -> None:
        """Tell the master that this worker is alive: once a second is enough."""
        now = time.monotonic()
        if now >= self._notified + 1.0:
            self._notified = now
            super().notify()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or cease to accept; at the end those too are served that are queued in the kernel."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.list_queues():
            listener.setblocking(False)  # noqa: FBT003 - of sockets
            while select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()

    def accept(self, listener: Any) -> None:
        """Accept a connection; where too many files are open, let it wait in the kernel's queue for a moment."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.log.warning("A connection has to wait: %s", error.strerror)
            time.sleep(EMFILE_PAUSE)

    def list_queues(self) -> list[Any]:
        """Return the sockets in which connections may be left when this worker stops."""
        return [*self.sockets]

    def enqueue_req(self, conn: TConn) -> None:
        """Hand a connection to a thread as soon as its request is there."""
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket(conn.sock)
        if conn.parser is not None and conn.parser.unreader.buf.getvalue():
            # What has arrived has been read already.
            self._reading[conn] = time.monotonic() + REQUEST_TIME
            self._serve(conn)
            return
        arriving = self._arriving.get(conn)
        try:
            data = conn.sock.recv(MOST_HELD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            ended = not data or (arriving is not None and len(data) == arriving.arrived)
        except BlockingIOError:
            data, ended = b"", False
        except OSError:
            data, ended = b"", True
        request = judge(data)
        if request.missing == 0 or (ended and data):
            self._begin(conn, data, more=request.missing > 0 or request.open_ended)
        elif ended:
            self._give_up(conn)
        else:
            self._wait(conn, len(data), request.missing)

    def _wait(self, conn: TConn, arrived: int, missing: int) -> None:
        """Have the kernel tell when so many more bytes have arrived."""
        now = time.monotonic()
        arriving = self._arriving.setdefault(conn, _Arriving(now + self.cfg.keepalive))
        if arrived and not arriving.arrived:
            arriving.deadline = now + REQUEST_TIME
        arriving.arrived = arrived
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, arrived + missing)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._go_on, conn))

    def _go_on(self, conn: TConn, client: socket.socket) -> None:
        self.poller.unregister(client)
        self.enqueue_req(conn)

    def _begin(self, conn: TConn, data: bytes, *, more: bool) -> None:
        """Have a request, of which these bytes are there and more may come, handled by whoever is to."""
        if self._arriving.pop(conn, None) is not None:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if self.pass_on(conn, data):  # one that is not watched here any more, or it would be while it is open there
            self._give_up(conn)
            return
        if more:
            self._reading[conn] = time.monotonic() + REQUEST_TIME
        conn.data_ready = True
        self._serve(conn)

    def pass_on(self, conn: TConn, data: bytes) -> bool:  # noqa: ARG002 - for those that do
        """Let another process have a connection whose next request begins with these bytes; False to keep it."""
        return False

    def _serve(self, conn: TConn) -> None:
        self.tpool.submit(self._handle_and_go_on, conn)

    def _handle_and_go_on(self, conn: TConn) -> None:
        """Handle a request and let the connection wait for its next one; all else is left to the main thread."""
        kept = False
        try:
            kept = self.handle(conn)
            if kept and self._keep(conn):
                return
        except BaseException:
            kept = False
            self.log.exception("Error handling a connection")
        self.method_queue.defer(self._go_on_after, conn, kept)

    def _keep(self, conn: TConn) -> bool:
        """Have the main thread hear of the next request of a connection; False where there is more to it."""
        if self._kept is None or conn in self._reading or conn.parser.unreader.buf.getvalue():
            return False
        with self._stopping:
            if not self.alive:
                return False
            conn.timeout = math.inf  # it is not to be closed while it is being added
            self.keepalived_conns.append(conn)
        try:
            self._kept.add(conn)
        except OSError:
            self.keepalived_conns.remove(conn)
            self._kept.remove(conn)
            raise
        with self._stopping:
            if self.alive:
                conn.set_timeout()
        return True

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait until something happens, and see to it."""
        if self._kept is None:
            super().wait_for_and_dispatch_events(timeout)
            return
        for conn in self._kept.wait(timeout):
            if conn is None:
                super().wait_for_and_dispatch_events(0)
            else:
                self.keepalived_conns.remove(conn)
                self.enqueue_req(conn)

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT002 - of gunicorn
        """Close kept-alive connections whose time is over, but none of which the next request is there."""
        if self._kept is None:
            super().murder_keepalived(force)
            return
        now = time.monotonic()
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout < now):
            conn = self.keepalived_conns.popleft()
            self._kept.remove(conn)
            if not force and has_arrived(conn.sock):  # while this process stood still
                self.enqueue_req(conn)
            else:
                self._give_up(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        with self._stopping:
            super()._cap_keepalive(deadline)

    def stand_in(self) -> bool:
        """Have another thread take the place of the one that calls; False where there is none."""
        return False

    def handle(self, conn: TConn) -> Any:
        """Handle a request; where more of it is to come, in a thread that nobody else waits for."""
        if conn not in self._reading:
            return super().handle(conn)
        with self._hasty_lock:
            hasty = self._hasty < MOST_HASTY and self.stand_in()
            self._hasty += hasty
        try:
            return super().handle(conn)
        finally:
            with self._hasty_lock:
                self._hasty -= hasty

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request."""
        kept: bool = super().handle_request(req, conn)
        conn.sock.flush()
        return kept

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        if conn in self._reading:
            return bool(super()._keepalive_after(conn, keepalive))
        return bool(keepalive and conn.parser.finish_body())  # all of it is there: no deadline is needed

    def _go_on_after(self, conn: TConn, kept: bool) -> None:
        self._reading.pop(conn, None)
        if kept:
            outcome: Future[bool] = Future()
            outcome.set_result(kept)
            self.finish_request(conn, outcome)
        else:
            self._close(conn)

    def _close(self, conn: TConn) -> None:
        """End a connection, which is gone when the client has closed its end, too.

        Closed at once, with something of the client's unread, it would lose the end of the answer.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError):
            self._give_up(conn)
        else:
            self._closing[conn] = _Closing(time.monotonic() + CLOSING_TIME)

    def _discard(self, conn: TConn, client: socket.socket) -> None:
        closing = self._closing[conn]
        try:
            received = len(client.recv(MOST_DISCARDED, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        closing.discarded += received
        if not received or closing.discarded >= MOST_DISCARDED:
            self._end_closing(conn)

    def _end_closing(self, conn: TConn) -> None:
        del self._closing[conn]
        self.poller.unregister(conn.sock)
        self._give_up(conn)

    def _give_up(self, conn: TConn) -> None:
        self._arriving.pop(conn, None)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close connections whose requests have not come in time, with an answer where one has begun."""
        super().murder_pending()
        now = time.monotonic()
        for conn, arriving in list(self._arriving.items()):
            if not self.alive:
                arriving.deadline = min(arriving.deadline, now + STOP_TIME)
            if arriving.deadline < now:
                self.poller.unregister(conn.sock)
                if arriving.arrived:
                    with suppress(OSError):
                        conn.sock.send(_TOO_SLOW, socket.MSG_DONTWAIT)
                self._give_up(conn)
        for conn, closing in list(self._closing.items()):
            if closing.deadline < now:
                self._end_closing(conn)
        for conn, deadline in list(self._reading.items()):
            if deadline < now:
                del self._reading[conn]
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)  # whoever reads there sees the end
