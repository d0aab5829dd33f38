"""The form of Standard Webhooks, in which Phonify posts to the account's own webhook."""

import base64
import binascii
import hashlib
import json
from datetime import datetime

from ..clock import format_time
from ..domain.standard_webhooks import SECRET_PREFIX, StandardWebhooks, write_payload
from ..domain.webhook_kinds import Target as SignedTarget
from ..outgoing.http_client import TIMEOUT, Request
from ..schemas.objects import dump_message
from ..storage.records import Delivery
from .forms import TEST_EVENT, Form, LabEvent, Target, make_message


class StandardForm(Form):
    """Builds requests with the code that posts the real events."""

    name = "standard"
    title = "Standard Webhooks"
    limit = TIMEOUT
    signature = "webhook-signature"
    has_time = True
    repeats_refused = True
    statuses = ("error", "undelivered", "test")

    def __init__(self) -> None:
        self._kind = StandardWebhooks()

    def check_secret(self, secret: str) -> bool:
        """Return whether a text is `whsec_` and base64. The prefix may be missing."""
        try:
            return bool(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
        except (binascii.Error, ValueError):
            return False

    def make_wrong_secret(self, secret: str) -> str:
        """Return another secret of the same form."""
        return SECRET_PREFIX + base64.b64encode(hashlib.sha256(secret.encode()).digest()[:24]).decode()

    def build_request(self, event: LabEvent, target: Target, at: datetime) -> Request:
        """Return a signed POST."""
        url = target.url or target.status_url or ""
        delivery = Delivery(
            0,
            event.id,
            target.account_id,
            event.message_id,
            "",
            _write(event, target),
            "pending",
            "",
            None,
            1,
            0,
            None,
            self.name,
            url,
            None,
        )
        signed = SignedTarget(url, target.secret, target.former_secret, target.former_until)
        return self._kind.build_request(delivery, signed, at)

    def add_signature(self, request: Request, other: Request) -> Request:
        """Return a request with two signatures. Its own signature is the second one."""
        both = f"{other.headers[self.signature]} {request.headers[self.signature]}"
        return request._replace(headers={**request.headers, self.signature: both})


def _write(event: LabEvent, target: Target) -> str:
    at = format_time(event.at)
    if event.what == "test":
        return write_payload(TEST_EVENT, at, {})
    payload = write_payload(
        f"message.{event.what}", at, {"message": dump_message(make_message(event, target.account_id))}
    )
    if not event.extra and not event.respelled:
        return payload
    shown = json.loads(payload)
    if event.extra:
        shown["lab"] = shown["data"]["lab"] = shown["data"]["message"]["lab"] = {"new": ["x" * (event.extra // 3)]}
    if event.respelled:
        shown = {name: shown[name] for name in reversed(shown)}
        return json.dumps(shown, indent=1).replace("Hello", "\\u0048ello")
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
