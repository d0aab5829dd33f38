"""The interface of a kind of webhook. A kind defines the posts about messages, their signature and their answers.

The account's own webhook is one kind (`standard_webhooks.py`). A front offers the API of another provider. It adds the
callbacks of this API as another kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from ..outgoing.http_client import Answer, NotAnswered, Request
from ..storage.database import Connection
from ..storage.records import Delivery, Message, NewDelivery

# What may happen to a message. `message.accepted`, `message.in_doubt` and `message.simulated` matter only to fronts.
# `message.simulated` means that a sandbox has taken a message and gives no receipt, so the message counts as delivered.
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
    """The URL of a delivery, and the secret that signs the delivery."""

    url: str
    secret: str
    former_secret: str | None = None  # signs too, until `former_until`
    former_until: str | None = None


class Verdict(NamedTuple):
    """The meaning of an answer."""

    accepted: bool
    error: str | None = None  # for people, if the content of the answer is faulty
    content: Any = None  # what a kind has read from the answer; only this kind uses it


class Result(NamedTuple):
    """The result of an attempt."""

    delivery: Delivery
    target: Target | None  # None: the target was removed
    answer: Answer | None  # None: there was no answer
    failure: NotAnswered | None  # the reason, if there was no answer
    verdict: Verdict


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
        """Return the signed request for an attempt. `at` is the machine's time, also if a sandbox has another time."""

    @abstractmethod
    def choose_delay(self, result: Result) -> float | None:
        """Return the seconds until the next attempt after a failed attempt. Returns None to stop trying."""

    def judge(self, delivery: Delivery, answer: Answer) -> Verdict:  # noqa: ARG002 - for kinds that read answers
        """Return whether an answer accepts the delivery. By default, every status 2xx accepts it."""
        return Verdict(accepted=200 <= answer.status < 300)

    def conclude(self, connection: Connection, result: Result, now: datetime) -> None:  # noqa: B027 - may do nothing
        """Do what follows after the last attempt, in the transaction that records its result."""
