"""The signature of requests to apps in Twilio's form. The Twilio-compatible API makes it, and the gateway checks it."""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def sign(auth_token: str, url: str, parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Return the header X-Twilio-Signature: an HMAC-SHA1 of the URL and the parameters of a form, sorted by name.

    If a parameter occurs twice with the same value, it counts once. Raises ValueError for unpaired surrogates.
    """
    signed = url + "".join(f"{name}{value}" for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
