"""Sends requests to URLs that accounts choose. The URL and the address of its host are checked first.

A host name is resolved only once for each post. The address that was checked is also the address of the connection.
Otherwise, a name could resolve to an allowed address for the check and to a private address for the connection.
Redirects are not followed.
"""

import http.client
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from io import BufferedReader, RawIOBase
from typing import Any, NamedTuple

from ..clock import monotonic
from .url_guard import DEFAULT_PORTS, BadUrl, Resolve, Target, is_allowed, parse_url, resolve

TIMEOUT = 10.0  # seconds for one post
MOST_ANSWER = 2_048  # bytes; the rest of an answer is not read
_WORDS: dict[type[Exception], str] = {  # the first matching class is used
    ConnectionRefusedError: "the connection was refused",
    ConnectionError: "the connection was closed without an answer",
    ssl.SSLError: "no TLS connection could be made",
    http.client.HTTPException: "the answer is not HTTP",
    ValueError: "the answer is not HTTP",
}


class NotAnswered(Exception):
    """There is no answer. The text of the exception tells people the reason."""

    def __init__(self, reason: str, *, connected: bool = False) -> None:
        super().__init__(reason)
        self.connected = connected  # whether a connection was made before


class Request(NamedTuple):
    """A request, its time limits in seconds, and how many bytes of the answer are read."""

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    timeout: float = TIMEOUT  # in all
    connect_timeout: float = TIMEOUT
    read_timeout: float = TIMEOUT  # from the sent request to the end of the answer
    most_answer: int = MOST_ANSWER
    query: str = ""  # encoded parameters that are added to the URL, which may become longer than MAX_URL


class Answer(NamedTuple):
    """The answer of the receiver."""

    status: int
    text: str  # the first `most_answer` bytes
    content_type: str = ""
    complete: bool = True  # whether `text` is all that the receiver has announced
    retry_after: float | None = None  # seconds, if the answer names them


class _Deadline:
    """The time at which a post must end."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self.seconds = seconds  # the limit that ends the post

    def remaining(self) -> float:
        """Return the remaining seconds. Raises TimeoutError if there are none."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def shorten(self, seconds: float) -> None:
        """Move the end, if the given seconds from now are earlier."""
        if (end := monotonic() + seconds) < self._end:
            self._end, self.seconds = end, seconds


class _TimedReader(RawIOBase):
    """Reads from a socket until the deadline."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive bytes. Waits if none are available."""
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv_into(buffer)


class _TimedSocket:
    """A socket for http.client. Its calls raise TimeoutError at the deadline."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send bytes."""
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.remaining())
            view = view[self._sock.send(view) :]

    def makefile(self, _mode: str) -> BufferedReader:
        """Return a file object for reading."""
        return BufferedReader(_TimedReader(self._sock, self._deadline))

    def close(self) -> None:
        """Do nothing. `send` closes the socket."""


def send(request: Request, *, private_allowed: bool, resolve: Resolve = resolve) -> Answer:
    """Send a request and return the answer, with any HTTP status. Raises NotAnswered if there is no answer in time.

    The timeout, in seconds, is for everything: connecting, TLS, sending and receiving. If the body of the answer is
    late, malformed or too long, only its first part is returned.
    """
    deadline = _Deadline(request.timeout)
    connected = False
    try:
        target = parse_url(request.url)
        with _connect(target, request, deadline, private_allowed=private_allowed, resolve=resolve) as sock:
            connected = True
            if not target.tls:
                return _exchange(sock, target, request, deadline)
            sock.settimeout(deadline.remaining())
            with _tls_context().wrap_socket(sock, server_hostname=target.host.rstrip(".")) as secured:
                return _exchange(secured, target, request, deadline)
    except BadUrl as error:
        raise NotAnswered(f"the URL can't be used: {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        seconds = deadline.seconds if connected else min(request.connect_timeout, request.timeout)
        raise NotAnswered(_explain(error, request.url, seconds), connected=connected) from error


@cache
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(
    target: Target, request: Request, deadline: _Deadline, *, private_allowed: bool, resolve: Resolve
) -> socket.socket:
    """Connect to the first allowed address that answers."""
    try:
        addresses = resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise NotAnswered("the name could not be resolved") from error
    allowed = [address for address in addresses if is_allowed(address, private_allowed=private_allowed)]
    if not allowed:
        raise NotAnswered(f"addresses like {addresses[0]} are not allowed" if addresses else "the name has no address")
    until = _Deadline(min(request.connect_timeout, deadline.remaining()))
    for left, address in zip(range(len(allowed), 0, -1), allowed, strict=True):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            # An address that does not answer must not use up the time of the other addresses.
            sock.settimeout(until.remaining() / left)
            sock.connect((address, target.port))
        except OSError:
            sock.close()
            if left == 1:
                raise
        else:
            return sock
    raise AssertionError("unreachable")


def _exchange(sock: socket.socket, target: Target, request: Request, deadline: _Deadline) -> Answer:
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != DEFAULT_PORTS["https" if target.tls else "http"]:
        host += f":{target.port}"
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.auto_open = 0  # it must not connect to an address that was not checked
    connection.sock = _TimedSocket(sock, deadline)
    headers = {"Host": host, "Connection": "close", **request.headers}
    connection.request(request.method, add_query(target.path, request.query), request.body, headers)
    deadline.shorten(request.read_timeout)
    response = connection.getresponse()
    text, complete = b"", False
    with suppress(OSError, http.client.HTTPException, ValueError):
        while len(text) < request.most_answer and (piece := response.read1(request.most_answer - len(text))):
            text += piece
        complete = not response.length  # the bytes that are still to come; None if their number is not known
    shown = text.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    retry_after = _read_retry_after(response.headers.get("Retry-After", ""))
    return Answer(response.status, shown, response.headers.get("Content-Type", ""), complete, retry_after)


def _read_retry_after(text: str) -> float | None:
    """Read the header Retry-After: seconds, or a time in HTTP's form. Return None if it is missing or not valid."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def add_query(url: str, query: str) -> str:
    """Return a URL with more parameters in its query."""
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _explain(error: Exception, url: str, seconds: float) -> str:
    """Return the reason why there is no answer, as a text for people. `seconds` is the time limit that applied."""
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid for {parse_url(url).host}: {error.verify_message.rstrip('.')}"
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return f"no connection: {getattr(error, 'strerror', None) or error}"
