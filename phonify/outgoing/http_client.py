"""Posts to addresses that accounts choose: checks the URL and the address, and never takes longer than told.

A name is resolved once, each address is judged, and the connection goes to exactly that address: a
name that resolves to something else a moment later gains nothing. Redirects are not followed.
"""

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from io import BufferedReader, RawIOBase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

TIMEOUT = 10.0  # seconds for all of it
MOST_ANSWER = 2_048  # bytes of an answer that are read
MAX_URL = 2_000  # characters
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_BRACKETED = re.compile(r"\[[^\[\]]*\](:[0-9]*)?")
_WORDS: dict[type[Exception], str] = {  # the first that fits
    ConnectionRefusedError: "the connection was refused",
    ConnectionError: "the connection was closed without an answer",
    ssl.SSLError: "no TLS connection could be made",
    http.client.HTTPException: "the answer is not HTTP",
    ValueError: "the answer is not HTTP",
}

# Where clouds tell a machine its own credentials, outside of the link-local range.
_METADATA = {
    ip_address(address)
    for address in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
}
_NAT64 = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")  # RFC 6052, RFC 8215: IPv4 in the last 32 bits

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]


class BadUrl(ValueError):
    """What was given is no URL to post to; the message says why."""


class NotPosted(Exception):
    """No answer came; the message says why, in plain words."""


class Target(NamedTuple):
    """A URL, taken apart."""

    tls: bool
    host: str  # ASCII; an IPv6 address without brackets
    port: int
    path: str  # with the query


class Answer(NamedTuple):
    """What the other side answered."""

    status: int
    text: str  # the beginning


# Judging


def parse_url(url: str) -> Target:
    """Take a URL apart; raise BadUrl where it can't be posted to."""
    if len(url) > MAX_URL:
        raise BadUrl(f"it is longer than {MAX_URL:,} characters")
    if not url.isprintable() or re.search(r"[\s\\]", url):
        raise BadUrl("it has spaces, backslashes or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrl("its host or port can't be read") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise BadUrl("it must begin with https:// or http://")
    if "@" in parts.netloc:
        raise BadUrl("it must not have a user name or password")
    if "[" in parts.netloc and not _BRACKETED.fullmatch(parts.netloc):
        raise BadUrl("its host or port can't be read")
    if port == 0:
        raise BadUrl("its port must be from 1 to 65535")
    path = quote(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", safe="/%:?[]@!$&'()*+,;=~")
    return Target(
        parts.scheme == "https",
        _read_host(parts.hostname or "", bracketed="[" in parts.netloc),
        port or _DEFAULT_PORTS[parts.scheme],
        path,
    )


def _read_host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(IPv6Address(host if "%" not in host else ""))  # no zone: those are link-local
        except ValueError as error:
            raise BadUrl("its host is no IPv6 address") from error
    try:
        encoded = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise BadUrl("its host is no name") from error
    if not _HOST.fullmatch(encoded):
        raise BadUrl("its host is missing" if not host else "its host is no name")
    return encoded


def check_url(url: str, *, private_allowed: bool) -> None:
    """Raise BadUrl where a URL can't be posted to or names an address that is not allowed.

    A name is judged when it is posted to: what it resolves to may change.
    """
    host = parse_url(url).host
    literal: str | None = host if ":" in host else None
    with suppress(OSError):
        literal = socket.inet_ntoa(socket.inet_aton(host))  # in any notation: 127.1, 0x7f000001, 2130706433
    if literal is not None and not is_allowed(literal, private_allowed=private_allowed):
        raise BadUrl(f"addresses like {literal} are not allowed")


def is_allowed(address: str, *, private_allowed: bool) -> bool:
    """Tell whether an address may be posted to; what leads to an IPv4 address is judged as that."""
    return _judge(ip_address(address), private_allowed=private_allowed)


def _judge(address: Address, *, private_allowed: bool) -> bool:
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # without a zone
        inner = _unwrap(address)
        if inner:
            return all(_judge(one, private_allowed=private_allowed) for one in inner)
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return private_allowed
    if address.is_reserved or (isinstance(address, IPv4Address) and int(address) >> 24 == 0):
        return False
    return private_allowed or (address.is_global and not getattr(address, "is_site_local", False))


def _unwrap(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address leads to, if it does."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if any(address in network for network in _NAT64):
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return []


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, the preferred first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


# Posting


class _Deadline:
    """A time by which all must be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left; raise TimeoutError where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _TimedReader(RawIOBase):
    """Reads from a socket within what is left of the time."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """Tell that it can be read from."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive what there is."""
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv_into(buffer)


class _TimedSocket:
    """What http.client takes for a socket: each call may take only what is left of the time."""

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
        """Return a file to read from."""
        return BufferedReader(_TimedReader(self._sock, self._deadline))

    def close(self) -> None:
        """Leave closing to whoever connected."""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private_allowed: bool,
    resolve: Resolve = resolve,
    timeout: float = TIMEOUT,
) -> Answer:
    """Post to a URL and return the answer, whatever its status; raise NotPosted where none came in time.

    The time includes connecting, TLS, sending and receiving. Once the status is there, what the body
    lacks of time, form or length is left out.
    """
    deadline = _Deadline(timeout)
    try:
        target = parse_url(url)
        with _connect(target, deadline, private_allowed=private_allowed, resolve=resolve) as sock:
            if not target.tls:
                return _exchange(sock, target, body, headers, deadline)
            sock.settimeout(deadline.remaining())
            with _tls_context().wrap_socket(sock, server_hostname=target.host.rstrip(".")) as secured:
                return _exchange(secured, target, body, headers, deadline)
    except BadUrl as error:
        raise NotPosted(f"the URL can't be used: {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotPosted(_explain(error, url, timeout)) from error


@cache
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(target: Target, deadline: _Deadline, *, private_allowed: bool, resolve: Resolve) -> socket.socket:
    """Connect to the first address that is allowed and answers."""
    try:
        addresses = resolve(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise NotPosted("the name could not be resolved") from error
    allowed = [address for address in addresses if is_allowed(address, private_allowed=private_allowed)]
    if not allowed:
        raise NotPosted(f"addresses like {addresses[0]} are not allowed" if addresses else "the name has no address")
    for left, address in zip(range(len(allowed), 0, -1), allowed, strict=True):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            # One that does not answer leaves time to the others.
            sock.settimeout(deadline.remaining() / left)
            sock.connect((address, target.port))
        except OSError:
            sock.close()
            if left == 1:
                raise
        else:
            return sock
    raise AssertionError("unreachable")


def _exchange(
    sock: socket.socket, target: Target, body: bytes, headers: Mapping[str, str], deadline: _Deadline
) -> Answer:
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != _DEFAULT_PORTS["https" if target.tls else "http"]:
        host += f":{target.port}"
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.auto_open = 0  # never to an address that was not judged
    connection.sock = _TimedSocket(sock, deadline)
    connection.request("POST", target.path, body, {"Host": host, "Connection": "close", **headers})
    response = connection.getresponse()
    text = b""
    with suppress(OSError, http.client.HTTPException, ValueError):
        while len(text) < MOST_ANSWER and (piece := response.read1(MOST_ANSWER - len(text))):
            text += piece
    return Answer(response.status, text.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _explain(error: Exception, url: str, timeout: float) -> str:
    """Say in plain words why no answer came."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid for {parse_url(url).host}: {error.verify_message.rstrip('.')}"
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return f"no connection: {getattr(error, 'strerror', None) or error}"
