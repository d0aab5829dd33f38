"""Makes the installed package `twilio` send its requests to a Phonify server.

`pytest_plugin.py` contains the fixture for this.
"""

import importlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ..ids import is_auth_token
from .client import Phonify

_CLIENTS = {
    "twilio.http.http_client": "TwilioHttpClient",
    "twilio.http.async_http_client": "AsyncTwilioHttpClient",
}


class TwilioAccount:
    """The account of one test. It contains the credentials for the Twilio-compatible API."""

    def __init__(self, phonify: Phonify) -> None:
        self._phonify = phonify
        self.url = phonify.url
        self._change()

    def _change(self, **settings: str) -> None:
        shown = self._phonify._call("PUT", "/sandbox/twilio", settings)["twilio"]  # noqa: SLF001 - our own class
        self.account_sid = str(shown["account_sid"])
        self.auth_token = str(shown["auth_token"])

    def use_auth_token(self, token: str) -> None:
        """Set the token with which Phonify signs webhooks. The app must know this token."""
        self._change(auth_token=token)

    def set_inbound_url(self, url: str, *, method: str = "POST", fallback_url: str = "") -> None:
        """Set the URL to which Phonify sends received messages. If this URL fails, Phonify uses `fallback_url`."""
        self._change(inbound_url=url, inbound_method=method, fallback_url=fallback_url)

    def redirect(self, url: str) -> str:
        """Replace a URL of Twilio's API with a URL of this server. Returns any other URL unchanged."""
        parts = urlsplit(url)
        if not (parts.hostname or "").endswith(".twilio.com"):
            return url
        path = re.sub(r"/Accounts/[^/.]+(?=[/.])", f"/Accounts/{self.account_sid}", parts.path)
        return self.url + path + (f"?{parts.query}" if parts.query else "")


@contextmanager
def redirecting(account: TwilioAccount) -> Iterator[None]:
    """Make the Twilio SDK send all its requests to Phonify.

    The requests use the credentials of `account`, not the credentials that the app gives to the SDK. So the app can
    use invented credentials. If the environment variable TWILIO_AUTH_TOKEN is set, Phonify signs webhooks with this
    token. Raises ImportError if the SDK is not installed.
    """
    own = os.environ.get("TWILIO_AUTH_TOKEN", "")
    if is_auth_token(own):
        account.use_auth_token(own)
    replaced = []
    for module, name in _CLIENTS.items():
        client = getattr(importlib.import_module(module), name)
        replaced.append((client, client.request))
        client.request = _wrap(client.request, account)
    try:
        yield
    finally:
        for client, request in replaced:
            client.request = request


def _wrap(request: Callable[..., Any], account: TwilioAccount) -> Callable[..., Any]:
    def send(
        self: Any,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        *rest: Any,
        **options: Any,
    ) -> Any:
        moved = account.redirect(url)
        if moved != url:
            auth = (account.account_sid, account.auth_token)
            headers = {name: value for name, value in (headers or {}).items() if name.lower() != "authorization"}
        return request(self, method, moved, params, data, headers, auth, *rest, **options)

    return send
