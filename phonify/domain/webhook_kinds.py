"""An interface for webhook formats. Such a format is called a kind.

Each kind has its own class. This class builds the requests, signs the requests, and reads the answers. The account's
own webhook has the kind `standard` (`standard_webhooks.py`). The callbacks of the Twilio-compatible API use a different
kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from ..outgoing.http_client import Answer, NotAnswered, Request
from ..storage.database import Connection
from ..storage.records import Delivery, Message, NewDelivery

# What can happen to a message. The account's own webhook never gets `message.accepted`, `message.in_doubt` and
# `message.simulated`. Only the callbacks of a front, such as the Twilio-compatible API, can report these events.
# `message.simulated`: a sandbox has taken a message and will give no receipt. So the message counts as delivered.
Event = Literal[
    "message.accepted",
    "message.in_doubt",
    "message.simulated",
    "message.received",
    "message.sent",
    "message.error",
    "message.delivered",
    "message.undelivered",
]


class Target(NamedTuple):
    """The URL to which Phonify posts an event, and the secret for the signature."""

    url: str
    secret: str
    former_secret: str | None = None  # it also signs until `former_until`
    former_until: str | None = None


class Verdict(NamedTuple):
    """The meaning of an answer."""

    accepted: bool
    error: str | None = None  # the errors in the content of the answer, or why there is no answer
    content: Any = None  # the data that `judge` has read in the answer


class Result(NamedTuple):
    """The result of an attempt."""

    delivery: Delivery
    target: Target | None  # None: the target was removed
    answer: Answer | None  # None: there was no answer
    failure: NotAnswered | None  # the reason, if there was no answer
    verdict: Verdict


class WebhookKind(ABC):
    """The base class of all webhook formats (kinds). One object serves all threads of a process."""

    name: str  # the value in the column `kind`

    @abstractmethod
    def compose(
        self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime
    ) -> list[NewDelivery]:
        """Return the deliveries for an event. The caller changes the messages in the same transaction."""

    @abstractmethod
    def find_target(self, connection: Connection, delivery: Delivery) -> Target | None:
        """Return the target of a delivery, or None if the target was removed."""

    @abstractmethod
    def build_request(self, delivery: Delivery, target: Target, at: datetime) -> Request:
        """Return the signed request for an attempt.

        The argument `at` comes from the machine's clock, even in a sandbox.
        """

    @abstractmethod
    def choose_delay(self, result: Result) -> float | None:
        """Return the seconds from a failed attempt to the next attempt, or None if there is no next attempt."""

    def judge(self, delivery: Delivery, answer: Answer) -> Verdict:  # noqa: ARG002 - for kinds that read answers
        """Return whether the receiver has accepted an event. By default, each status 2xx means acceptance."""
        return Verdict(accepted=200 <= answer.status < 300)

    def conclude(self, connection: Connection, result: Result, now: datetime) -> None:  # noqa: B027 - may do nothing
        """Handle the result of the last attempt. The caller stores the result in the same transaction."""
