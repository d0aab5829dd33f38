"""Checks the URLs and the addresses to which Phonify posts.

When a user sets a URL, Phonify checks this URL. Before each post, Phonify checks the addresses of the host.
"""

import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import quote, urlsplit

MAX_URL = 2_000  # characters
DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_BRACKETED = re.compile(r"\[[^\[\]]*\](:[0-9]*)?")

# Addresses of cloud metadata services. A machine in a cloud gets its credentials from such a service. Other services of
# this kind have link-local addresses. Link-local addresses are never allowed.
_METADATA = {
    ip_address(address)
    for address in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
}
_NAT64 = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")  # RFC 6052, RFC 8215: the last 32 bits are IPv4

Resolve = Callable[[str, int], Sequence[str]]


class BadUrl(ValueError):
    """Phonify can't post to the URL. The exception explains the reason."""


class Target(NamedTuple):
    """The parts of a URL."""

    tls: bool
    host: str  # ASCII; an IPv6 address without brackets
    port: int
    path: str  # with the query


def parse_url(url: str) -> Target:
    """Split a URL into its parts. Raises BadUrl if Phonify can't post to the URL."""
    if len(url) > MAX_URL:
        raise BadUrl(f"it is longer than {MAX_URL:,} characters")
    if not url.isprintable() or re.search(r"[\s\\]", url):
        raise BadUrl("it has spaces, backslashes or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrl("its host or port can't be read") from error
    if parts.scheme not in DEFAULT_PORTS:
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
        port or DEFAULT_PORTS[parts.scheme],
        path,
    )


def _read_host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(IPv6Address(host if "%" not in host else ""))  # only link-local addresses have a zone (%eth0)
        except ValueError as error:
            raise BadUrl("its host is not a valid IPv6 address") from error
    try:
        encoded = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError as error:
        raise BadUrl("its host is not a valid name") from error
    if not _HOST.fullmatch(encoded):
        raise BadUrl("its host is missing" if not host else "its host is not a valid name")
    return encoded


def check_url(url: str, *, private_allowed: bool) -> None:
    """Raise BadUrl if a URL is not valid, or if its host is a forbidden IP address.

    This function does not resolve host names. The addresses of a host can change, so Phonify checks the addresses
    before each request.
    """
    literal = _find_literal(parse_url(url).host)
    if literal is not None and not is_allowed(literal, private_allowed=private_allowed):
        raise BadUrl(explain_refusal(literal))


def _find_literal(host: str) -> str | None:
    """Return the host as an IP address, or None if the host is a name."""
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host))  # IPv4 in any notation: 127.1, 0x7f000001, 2130706433
    return host if ":" in host else None


def names_private_host(url: str) -> bool:
    """Return whether the host of a URL is `localhost` or a private address. Both need `private_allowed`."""
    try:
        host = parse_url(url).host
    except BadUrl:
        return False
    literal = _find_literal(host)
    return host.rstrip(".") == "localhost" if literal is None else _needs_private_allowed(literal)


def explain_refusal(address: str) -> str:
    """Explain to a person why an address is not allowed."""
    text = f"addresses like {address} are not allowed"
    return f"{text} without PHONIFY_WEBHOOK_PRIVATE=on" if _needs_private_allowed(address) else text


def _needs_private_allowed(address: str) -> bool:
    return is_allowed(address, private_allowed=True) and not is_allowed(address, private_allowed=False)


def is_allowed(address: str, *, private_allowed: bool) -> bool:
    """Return whether Phonify is allowed to post to an address.

    If an IPv6 address contains an IPv4 address, the IPv4 address is checked instead.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        ip = IPv6Address(int(ip))  # without a zone
        if inner := _unwrap(ip):
            return all(is_allowed(str(one), private_allowed=private_allowed) for one in inner)
    if ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    if ip.is_loopback:
        return private_allowed
    if ip.is_reserved or (isinstance(ip, IPv4Address) and int(ip) >> 24 == 0):
        return False
    return private_allowed or (ip.is_global and not getattr(ip, "is_site_local", False))


def _unwrap(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address contains."""
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
    """Return the addresses of a host. The preferred address comes first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
