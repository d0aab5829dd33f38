"""Sends requests to URLs that accounts choose.

Before the client connects, it checks the URL, resolves the host name, and checks the IP address. Then it connects to
the same address. If the client resolved the name a second time, it could get a different address, for example a private
address. Redirects are not followed, and no proxy is used.
"""

import http.client
import logging
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import cache
from typing import NamedTuple

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from ..clock import monotonic
from .url_guard import DEFAULT_PORTS, BadUrl, Resolve, Target, explain_refusal, is_allowed, parse_url, resolve

# urllib3 logs a warning if an answer has malformed headers. The warning shows the URL, which may contain a password.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

TIMEOUT = 10.0  # seconds for one post
MOST_ANSWER = 2_048  # bytes; the rest of an answer is not read
REFUSED = "the connection was refused"
_WORDS: dict[type[BaseException], str] = {  # the first matching class is used
    ConnectionRefusedError: REFUSED,
    ConnectionError: "the connection was closed without an answer",
    ssl.SSLError: "no TLS connection could be made",
    http.client.HTTPException: "the answer is not HTTP",
    HTTPError: "the answer is not HTTP",
    ValueError: "the answer is not HTTP",
}


class NotAnswered(Exception):
    """A request got no answer. The text of the exception describes the reason in plain words."""

    def __init__(self, reason: str, *, connected: bool = False) -> None:
        super().__init__(reason)
        self.connected = connected  # False if nothing was sent; True if the receiver may have the request


class Request(NamedTuple):
    """A request and its limits. The time limits are in seconds."""

    method: str
    url: str
    body: bytes | Iterable[bytes] | None  # for an iterable, `headers` must contain Content-Length
    headers: Mapping[str, str]
    timeout: float = TIMEOUT  # for everything
    connect_timeout: float = TIMEOUT  # in total, for all attempts to connect and for TLS
    read_timeout: float = TIMEOUT  # the longest time in which no byte of the answer arrives
    most_answer: int = MOST_ANSWER  # the highest number of bytes of the answer that are read
    query: str = ""  # encoded parameters that are added to the URL; MAX_URL does not limit them


class Answer(NamedTuple):
    """The answer of the receiver."""

    status: int
    text: str  # the first `most_answer` bytes
    content_type: str = ""
    complete: bool = True  # False if Phonify knows that a part of the body is missing in `text`
    retry_after: float | None = None  # seconds; None if the answer has no valid header Retry-After


def send(request: Request, *, private_allowed: bool, resolve: Resolve = resolve) -> Answer:
    """Send a request and return the answer, even if its status is 4xx or 5xx.

    Raises NotAnswered if there is no answer in time.

    The timeout of the request covers connecting, TLS, sending and receiving. In three cases, the returned
    body is not complete: a part of the body is late, the body is malformed, or the body is too long.
    """
    end = monotonic() + request.timeout
    connected = False
    try:
        target = parse_url(request.url)
        addresses = _find_addresses(target, private_allowed=private_allowed, resolve=resolve)
        until = min(end, monotonic() + request.connect_timeout)
        with closing(_connect(target, addresses, until)) as connection:
            if target.tls:
                _secure(connection, target, until)
            with _cutting_off(connection.sock, end):
                connected = True
                return _exchange(connection, target, request, end)
    except BadUrl as error:
        raise NotAnswered(f"the URL can't be used: {error}") from error
    except (OSError, http.client.HTTPException, HTTPError, ValueError, RuntimeError) as error:
        cause, seconds = error.__cause__ or error, request.read_timeout if connected else request.connect_timeout
        if monotonic() >= end:
            cause, seconds = TimeoutError(), request.timeout
        raise NotAnswered(_explain(cause, request.url, seconds), connected=connected) from error


def _find_addresses(target: Target, *, private_allowed: bool, resolve: Resolve) -> Sequence[str]:
    """Return the IP addresses of a host, except forbidden addresses. Raises NotAnswered if no address is allowed."""
    try:
        addresses = resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise NotAnswered("the name could not be resolved") from error
    allowed = [address for address in addresses if is_allowed(address, private_allowed=private_allowed)]
    if not allowed:
        raise NotAnswered(explain_refusal(addresses[0]) if addresses else "the host name has no IP address")
    return allowed


def _connect(target: Target, addresses: Sequence[str], until: float) -> HTTPConnection:
    """Connect to the first address that answers."""
    *others, last = addresses
    for left, address in zip(range(len(addresses), 1, -1), others, strict=True):
        with suppress(HTTPError):
            # Each address gets an equal part of the remaining time. So there is time for the next address.
            return _connect_to(address, target.port, _remaining(until) / left)
    return _connect_to(last, target.port, _remaining(until))


def _connect_to(address: str, port: int, seconds: float) -> HTTPConnection:
    connection = HTTPConnection(address, port, timeout=seconds)
    connection.connect()
    return connection


@cache
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _secure(connection: HTTPConnection, target: Target, until: float) -> None:
    """Begin TLS on a connection. The TLS handshake must end before the time `until`.

    HTTPSConnection uses the same timeout for TCP and for TLS. For TCP, `_connect` needs a short timeout, because there
    may be several addresses to try. TLS needs a long timeout. So HTTPSConnection is not used.
    """
    connection.sock.settimeout(_remaining(until))
    connection.sock = _tls_context().wrap_socket(connection.sock, server_hostname=target.host.rstrip("."))


def _remaining(end: float) -> float:
    """Return the remaining seconds. Raises TimeoutError if no time is left."""
    left = end - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@contextmanager
def _cutting_off(sock: socket.socket, end: float) -> Iterator[None]:
    """Close a connection at the given time, even if bytes of the answer are still arriving.

    Raises RuntimeError if no thread can be started.
    """

    def cut_off() -> None:
        with suppress(OSError):  # the receiver may have ended the connection
            # This option makes TCP send a reset. Otherwise, the other side could try to send for minutes.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # SSLSocket.shutdown would also end TLS, and the other thread would read encrypted bytes as the answer.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(_remaining(end), cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _exchange(connection: HTTPConnection, target: Target, request: Request, end: float) -> Answer:
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != DEFAULT_PORTS["https" if target.tls else "http"]:
        host += f":{target.port}"
    headers = {"Host": host, "Connection": "close", "User-Agent": "Phonify", **request.headers}
    path = add_query(target.path, request.query)
    connection.timeout = _remaining(end)
    with suppress(ConnectionError):  # a receiver may answer and close before it has read everything
        connection.request(request.method, path, request.body, headers, preload_content=False, decode_content=False)
    connection.timeout = min(request.read_timeout, _remaining(end))
    with connection.getresponse() as response:
        _remaining(end)  # raise TimeoutError if the time is over, because some headers may be missing
        text, complete = b"", False
        with suppress(HTTPError):
            while len(text) < request.most_answer and (piece := response.read1(request.most_answer - len(text))):
                text += piece
            # `length_remaining` is None if the length of the body is unknown.
            complete = not response.length_remaining and monotonic() < end
        shown = text.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        retry_after = _read_retry_after(response.headers.get("Retry-After", ""))
        return Answer(response.status, shown, response.headers.get("Content-Type", ""), complete, retry_after)


def _read_retry_after(text: str) -> float | None:
    """Convert the value of Retry-After to seconds. The value is a number or a date. Returns None for any other text."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def add_query(url: str, query: str) -> str:
    """Add parameters to the query of a URL, and return the URL."""
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _explain(error: BaseException, url: str, seconds: float) -> str:
    """Explain to a person why there is no answer. If `error` is a TimeoutError, the time limit was `seconds`."""
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid for {parse_url(url).host}: {error.verify_message.rstrip('.')}"
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return f"no connection: {getattr(error, 'strerror', None) or error}"
