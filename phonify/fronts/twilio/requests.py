"""Makes requests to apps. Each request has a signature in Twilio's format.

This module also reads the options in the fragment of a URL.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs, urldefrag, urlencode, urlsplit

from ...outgoing.http_client import Request, add_query
from ...outgoing.twilio_signature import sign
from ...outgoing.url_guard import parse_url

TIMEOUT = 15.0  # seconds
CONNECT_TIMEOUT = 5.0
USER_AGENT = "TwilioProxy/1.1"


class Options(NamedTuple):
    """The options of a request: the number of retries, the reasons for a retry, and the time limits in seconds."""

    retries: int = 1
    reasons: frozenset[str] = frozenset({"ct"})  # ct, rt, 4xx, 5xx
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = TIMEOUT
    timeout: float = TIMEOUT


def read_options(url: str) -> Options:
    """Return the options in a URL's fragment, such as `#rc=2&rp=5xx,rt&tt=3000`. Invalid values have no effect."""
    given = {name: values[-1] for name, values in parse_qs(urldefrag(url).fragment).items()}
    reasons = frozenset(given.get("rp", "ct").split(","))
    return Options(
        _read_number(given.get("rc"), 0, 5, 1),
        reasons | ({"ct", "rt", "4xx", "5xx"} if "all" in reasons else frozenset()),
        _read_number(given.get("ct"), 100, 10_000, 5_000) / 1_000,
        _read_number(given.get("rt"), 100, 15_000, 15_000) / 1_000,
        _read_number(given.get("tt"), 100, 15_000, 15_000) / 1_000,
    )


def _read_number(text: str | None, lowest: int, highest: int, default: int) -> int:
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 9:
        return default
    return min(max(int(text), lowest), highest)


def build_request(
    method: str, url: str, parameters: Mapping[str, str], *, auth_token: str, token: str, most_answer: int
) -> Request:
    """Return a signed request. The fragment of the URL is neither sent nor signed.

    All attempts of one delivery have the same `token`. So an app can recognise a repeated request.
    """
    options, url = read_options(url), write_sent_url(url)
    headers = {"User-Agent": USER_AGENT, "I-Twilio-Idempotency-Token": token, "Accept": "*/*"}
    body, query = None, ""
    if method == "GET":
        query = urlencode(parameters)
        headers["X-Twilio-Signature"] = sign(auth_token, add_query(url, query))
    else:
        body = urlencode(parameters).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        headers["X-Twilio-Signature"] = sign(auth_token, url, parameters.items())
    return Request(
        method, url, body, headers, options.timeout, options.connect_timeout, options.read_timeout, most_answer, query
    )


def write_sent_url(url: str) -> str:
    """Return `url` as Phonify writes it in a request to the app.

    The host is in lower case, and the path is not empty. The URL is percent-encoded. If nothing follows the `?`, the
    `?` is removed.
    """
    target = parse_url(url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = f":{target.port}" if urlsplit(url).port is not None else ""
    return f"{'https' if target.tls else 'http'}://{host}{port}{target.path}"
