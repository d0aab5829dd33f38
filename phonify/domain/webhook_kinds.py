"""The interface of a kind of webhook. A kind defines the posts about messages, their signature and their answers.

The account's own webhook is one kind (`standard_webhooks.py`). A front offers the API of another provider. It adds the
callbacks of this API as another kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from ..outgoing.http_client import Answer, NotAnswered, Request
from ..storage.database import Connection
from ..storage.records import Delivery, Message, NewDelivery

# What may happen to a message. `message.accepted` and `message.in_doubt` matter only to fronts.
Event = Literal["message.accepted", "message.in_doubt", "message.received", "message.sent", "message.error"]


class Target(NamedTuple):
    """The URL of a delivery, and the secret that signs the delivery."""

    url: str
    secret: str


class Verdict(NamedTuple):
    """Whether an answer accepts the delivery."""

    accepted: bool
    error: str | None = None  # a text for people, if the content of the answer is wrong


class WebhookKind(ABC):
    """The base class of kinds of webhooks. One object serves all threads of a process."""

    name: str  # in the column `kind`

    @abstractmethod
    def compose(
        self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime
    ) -> list[NewDelivery]:
        """Return the deliveries for an event. Runs in the transaction that changes the messages."""

    @abstractmethod
    def find_target(self, connection: Connection, delivery: Delivery) -> Target | None:
        """Return the target of a delivery, or None if the target was removed."""

    @abstractmethod
    def build_request(self, delivery: Delivery, target: Target, at: datetime) -> Request:
        """Return the signed request for an attempt at the given time."""

    @abstractmethod
    def choose_delay(self, delivery: Delivery, answer: Answer | None, failure: NotAnswered | None) -> float | None:
        """Return the seconds from a failed attempt to the next attempt, or None if there is no next attempt."""

    def judge(self, delivery: Delivery, answer: Answer) -> Verdict:  # noqa: ARG002 - for kinds that read answers
        """Return whether an answer accepts the delivery. By default, every status 2xx accepts it."""
        return Verdict(accepted=200 <= answer.status < 300)

    def conclude(  # noqa: B027 - a kind may have nothing to do
        self,
        connection: Connection,
        delivery: Delivery,
        target: Target | None,
        answer: Answer | None,
        *,
        delivered: bool,
        now: datetime,
    ) -> None:
        """Store the effects of the end of a delivery. Runs in the transaction that records the end."""
