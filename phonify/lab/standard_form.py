"""Requests in the format Standard Webhooks. Phonify uses this format for all events to the account's own webhook."""

import base64
import hashlib
import json
from datetime import datetime

from ..clock import format_time
from ..domain.standard_webhooks import SECRET_PREFIX, StandardWebhooks, write_payload
from ..domain.webhook_kinds import Target
from ..outgoing.http_client import TIMEOUT, Request
from ..schemas.objects import dump_message
from ..storage.records import NewDelivery
from .forms import TEST_EVENT, AppUnderTest, LabEvent, ProviderForm, make_message


class StandardForm(ProviderForm):
    """Builds the lab's requests with `StandardWebhooks`. This class also builds the requests for real events."""

    name = "standard"
    title = "Standard Webhooks"
    limit = TIMEOUT
    signature = "webhook-signature"
    has_time = True
    repeats_refused = True
    statuses = ("error", "undelivered", "test")

    def check_secret(self, secret: str) -> bool:
        """Return whether a string is base64, with or without the prefix `whsec_`."""
        try:
            return bool(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
        except ValueError:
            return False

    def make_wrong_secret(self, secret: str) -> str:
        """Return a valid secret that is different from `secret`."""
        return SECRET_PREFIX + base64.b64encode(hashlib.sha256(secret.encode()).digest()[:24]).decode()

    def build_request(self, event: LabEvent, app: AppUnderTest, at: datetime) -> Request:
        """Return a signed POST."""
        url = app.url or app.status_url or ""
        delivery = NewDelivery(event.id, app.account_id, event.message_id, event.kind, _write(event, app))
        target = Target(url, app.secret, app.former_secret, app.former_until)
        return StandardWebhooks().build_request(delivery, target, at)

    def add_signature(self, request: Request, other: Request) -> Request:
        """Return `request` with two signatures: first the signature of `other`, then the signature of `request`."""
        both = f"{other.headers[self.signature]} {request.headers[self.signature]}"
        return request._replace(headers={**request.headers, self.signature: both})


def _write(event: LabEvent, app: AppUnderTest) -> str:
    at = format_time(event.at)
    if event.kind == "test":
        return write_payload(TEST_EVENT, at, {})
    message = dump_message(make_message(event, app.account_id))
    shown = json.loads(write_payload(f"message.{event.kind}", at, {"message": message}))
    if event.extra:
        shown["lab"] = shown["data"]["lab"] = shown["data"]["message"]["lab"] = {"new": ["x" * (event.extra // 3)]}
    if event.respelled:
        shown = {name: shown[name] for name in reversed(shown)}
        return json.dumps(shown, indent=1).replace("Hello", "\\u0048ello")
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
