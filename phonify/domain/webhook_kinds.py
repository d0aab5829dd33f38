"""The interface of a kind of webhook: what is posted about messages, how a post is signed, and what an answer means.

The account's own webhook is one kind (`standard_webhooks.py`). A front that imitates another provider's API adds its
callbacks as another kind.
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
    """Where a delivery is posted to, and the secret that signs it."""

    url: str
    secret: str


class Verdict(NamedTuple):
    """What an answer means."""

    accepted: bool
    error: str | None = None  # in plain words, if the content of the answer is faulty


class WebhookKind(ABC):
    """The base class of kinds of webhooks. One object serves all threads of a process."""

    name: str  # in the column `kind`

    @abstractmethod
    def compose(
        self, connection: Connection, event: Event, messages: Sequence[Message], now: datetime
    ) -> list[NewDelivery]:
        """Return the deliveries that an event causes, in the transaction that changes the messages."""

    @abstractmethod
    def find_target(self, connection: Connection, delivery: Delivery) -> Target | None:
        """Return where to post a delivery; None if there is no such place any more."""

    @abstractmethod
    def build_request(self, delivery: Delivery, target: Target, at: datetime) -> Request:
        """Return the request of an attempt at a certain time, with its signature."""

    @abstractmethod
    def choose_delay(self, delivery: Delivery, answer: Answer | None, failure: NotAnswered | None) -> float | None:
        """Return the seconds until the next attempt after a failed one; None to give up."""

    def judge(self, delivery: Delivery, answer: Answer) -> Verdict:  # noqa: ARG002 - for kinds that read answers
        """Tell whether an answer accepts the delivery: a status of 2xx does."""
        return Verdict(accepted=200 <= answer.status < 300)

    def conclude(  # noqa: B027 - a kind may have nothing to do
        self, connection: Connection, delivery: Delivery, answer: Answer | None, *, delivered: bool, now: datetime
    ) -> None:
        """Do what follows when a delivery has arrived or is given up, in the transaction that records it."""
