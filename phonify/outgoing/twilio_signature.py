"""Signs requests in the same way as Twilio.

If an app uses the Twilio-compatible API, Phonify signs each request to this app. The gateway `twilio` checks the
signatures of Twilio's requests.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def sign(auth_token: str, url: str, parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Sign a request, and return the value of the header X-Twilio-Signature.

    The signature is an HMAC-SHA1. The signed text is the URL, followed by all form parameters. The parameters are
    sorted by name. If two parameters have the same name and the same value, the signed text contains only one of them.
    Raises ValueError for unpaired surrogates.
    """
    signed = url + "".join(f"{name}{value}" for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
