"""Describes a provider's requests and their content: delivery receipts and received texts."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

ReceiptStatus = Literal["sent", "delivered", "undelivered"]


class Receipt(NamedTuple):
    """A provider's report about a message. The field `message_id` or `reference` identifies the message."""

    status: ReceiptStatus  # sent: the provider has taken the message
    message_id: str | None = None
    reference: str | None = None  # the provider's id
    error_type: str | None = None  # of `errors/table.py`, only if the status is undelivered
    code: str = ""  # the provider's own code or word
    at: datetime | None = None  # with a time zone; None: now
    event_id: str | None = None  # if the provider repeats this report, the repetition has the same id
    partial: bool = False  # True: this receipt is for one segment; every segment needs its own receipt


class Part(NamedTuple):
    """Describes one part of a long text: its position and the number of parts."""

    reference: str  # the same for all parts of a text
    total: int
    number: int  # from 1


class Received(NamedTuple):
    """A text from a phone, or one part of a long text."""

    sender: str
    body: str
    event_id: str  # if the provider repeats this text, the repetition has the same id
    to: str | None = None  # the recipient; None: Phonify uses `Gateway.number`
    at: datetime | None = None  # with a time zone; None: now
    part: Part | None = None


GatewayEvent = Receipt | Received


class CallbackRequest(NamedTuple):
    """A provider's request to `/gateways/<name>/<path>`."""

    method: str
    path: str  # the part after the gateway's name, without a slash at its beginning
    url: str  # as the provider knows it: PHONIFY_PUBLIC_URL and the path with the query
    query: Sequence[tuple[str, str]]  # decoded
    headers: Mapping[str, str]  # names in upper or lower case
    body: bytes
    at: datetime  # when it arrived


class CallbackAnswer(NamedTuple):
    """The answer that the provider expects."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


class Heard(NamedTuple):
    """The events in a request, and the answer to the request."""

    events: Sequence[GatewayEvent]
    answer: CallbackAnswer = CallbackAnswer()


def clean(text: str) -> str:
    """Replace NUL characters and unpaired surrogates in a text, because they can't be stored. Return the text."""
    return re.sub("[\0\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)


class Forged(Exception):
    """Phonify can't verify that the provider has sent the request."""


class Unreadable(Exception):
    """The content of a request is not valid.

    The exception explains the reason. It contains no secret and no text of a message.
    """


def read_json_object(body: bytes) -> dict[str, Any]:
    """Read the body of a request as a JSON object. Raises Unreadable if the body is not a JSON object."""
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON") from error
    if not isinstance(content, dict):
        raise Unreadable("the body is not a JSON object")
    return content
