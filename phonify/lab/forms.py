"""The base class of forms. A form describes one provider's requests: the format, the signature and the retries.

The class in `standard_form.py` describes Standard Webhooks. A front can add the class for another provider. For
example, the Twilio-compatible API adds the class that describes Twilio's requests.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Literal, NamedTuple

from ..clock import format_time
from ..outgoing.http_client import Answer, Request
from ..storage.records import Message

TEST_EVENT = "webhook.test"
EventKind = Literal["received", "sent", "delivered", "undelivered", "error", "unknown", "test"]
PHONE, APP = "+14155550123", "+15005550006"  # the phone is invented, but apps that check numbers accept it


class AppUnderTest(NamedTuple):
    """The app under test. If the form has one URL for all events, `url` and `status_url` are the same."""

    url: str | None  # for received messages; if it is None, the lab posts no received messages
    status_url: str | None  # for statuses; if it is None, the lab posts no statuses
    secret: str
    method: str = "POST"  # the HTTP method for received messages
    probe_url: str | None = None
    account_id: int = 1
    former_secret: str | None = None  # a second secret for signatures, valid until `former_until`
    former_until: str | None = None


class LabEvent(NamedTuple):
    """An event that the lab posts to the app."""

    id: str  # the same at each attempt
    message_id: str
    kind: EventKind
    at: datetime  # when it happened
    extra: int = 0  # the length of an unknown field; if it is 0, the event has no unknown field
    respelled: bool = False  # if it is True, the request has the same content, but looks unusual


class Reading(NamedTuple):
    """The meaning of the app's answer, according to the rules of the provider."""

    accepted: bool
    error: str | None = None  # the mistake in the content of an answer 2xx
    replies: tuple[str, ...] = ()  # the texts that the provider sends because of the answer


class ProviderForm(ABC):
    """The base class of forms."""

    name: str
    title: str
    limit: float  # seconds that the provider waits for an answer
    signature: str  # the header with the signature
    has_time: bool  # whether the signature covers the time of the attempt
    repeats_refused: bool  # whether the provider posts an event again after an answer such as 404
    statuses: tuple[EventKind, ...]  # more statuses for the trial `statuses`, after `sent` and `delivered`

    @abstractmethod
    def check_secret(self, secret: str) -> bool:
        """Return whether a string is a valid secret for this provider."""

    @abstractmethod
    def build_request(self, event: LabEvent, app: AppUnderTest, at: datetime) -> Request:
        """Return a signed request that contains the event. `at` is the time of the attempt."""

    @abstractmethod
    def make_wrong_secret(self, secret: str) -> str:
        """Return a secret in the format of this provider. The result is different from `secret`."""

    def add_signature(self, request: Request, other: Request) -> Request | None:  # noqa: ARG002 - for other forms
        """Return `request` with two signatures: first the signature of `other`, then the signature of `request`.

        Returns None if this provider allows only one signature.
        """
        return None

    def write_message_id(self, message_id: str) -> str:
        """Return a message id in the format of this provider's requests."""
        return message_id

    def read_answer(self, event: LabEvent, app: AppUnderTest, answer: Answer) -> Reading:  # noqa: ARG002 - for TwiML
        """Return the meaning of the app's answer, according to the rules of the provider."""
        return Reading(accepted=200 <= answer.status < 300)


def make_message(event: LabEvent, account_id: int) -> Message:
    """Return the message of an event. The kind of the event determines the state of the message."""
    from_phone = event.kind == "received"
    at = format_time(event.at)
    return Message(
        id=event.message_id,
        account_id=account_id,
        direction="inbound" if from_phone else "outbound",
        body="Hello from the lab",
        origin_number=PHONE if from_phone else APP,
        origin_country="US",
        origin_carrier=None,
        to_number=APP if from_phone else PHONE,
        to_country="US",
        to_carrier=None,
        state="unconfirmed" if from_phone else "error" if event.kind == "error" else "sent",
        created_at=at,
        error_type="unreachable_handset" if event.kind == "error" else None,
        submitted_at=None if from_phone else at,
        finished_at=None if from_phone else at,
        receipt_status=event.kind if event.kind in ("delivered", "undelivered") else None,
        receipt_at=at if event.kind in ("delivered", "undelivered") else None,
    )
