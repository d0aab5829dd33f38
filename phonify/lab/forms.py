"""The interface of a form. A form says how a provider writes, signs and repeats its requests to an app.

`standard_form.py` is the form of Standard Webhooks. A front, such as the Twilio-compatible API, can add the form of its
provider.
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

    url: str | None  # gets received messages; None: the lab posts none
    status_url: str | None  # gets the statuses of sent messages; None: the lab posts none
    secret: str
    method: str = "POST"  # the HTTP method for received messages
    probe_url: str | None = None
    account_id: int = 1
    former_secret: str | None = None  # signs too, until `former_until`
    former_until: str | None = None


class LabEvent(NamedTuple):
    """An event that the lab posts to the app."""

    id: str  # the same at each attempt
    message_id: str
    kind: EventKind
    at: datetime  # when it happened
    extra: int = 0  # the length of an additional field that the app does not know; 0: no such field
    respelled: bool = False  # whether it is written another way, with the same meaning


class Reading(NamedTuple):
    """What a provider reads from an answer."""

    accepted: bool
    error: str | None = None  # if the answer is 2xx: what is wrong with its content
    replies: tuple[str, ...] = ()  # the texts that the provider sends because of the answer


class ProviderForm(ABC):
    """The base class of forms."""

    name: str
    title: str
    limit: float  # seconds that the provider waits for an answer
    signature: str  # the header with the signature
    has_time: bool  # whether the signature covers the time of the attempt
    repeats_refused: bool  # whether the provider posts an event again after an answer such as 404
    statuses: tuple[EventKind, ...]  # the statuses that only the trial `statuses` posts

    @abstractmethod
    def check_secret(self, secret: str) -> bool:
        """Return whether a string can be a secret of this form."""

    @abstractmethod
    def build_request(self, event: LabEvent, app: AppUnderTest, at: datetime) -> Request:
        """Return the signed request for an attempt at the given time."""

    @abstractmethod
    def make_wrong_secret(self, secret: str) -> str:
        """Return a wrong secret in the form of this provider."""

    def add_signature(self, request: Request, other: Request) -> Request | None:  # noqa: ARG002 - for other forms
        """Put the signature of `other` before the signature of a request.

        Returns None if the form allows only one signature.
        """
        return None

    def write_message_id(self, message_id: str) -> str:
        """Return the id that the requests use for a message."""
        return message_id

    def read_answer(self, event: LabEvent, app: AppUnderTest, answer: Answer) -> Reading:  # noqa: ARG002 - for TwiML
        """Return what the provider reads from an answer."""
        return Reading(accepted=200 <= answer.status < 300)


def make_message(event: LabEvent, account_id: int) -> Message:
    """Return the message of an event. The message has the state that follows from the event."""
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
