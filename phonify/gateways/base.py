"""What a gateway is: our adapter to whatever takes messages to the phones."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..errors import ERROR_TYPES


class OutboundMessage(NamedTuple):
    """What a gateway is given to send."""

    id: str  # ours; the same at each attempt, so that a gateway can tell a repetition
    origin: str
    to: str  # E.164 with the plus sign
    body: str
    attempt: int  # 1 for the first


class Rejected(Exception):
    """Final: the message was not sent and never will be."""

    def __init__(self, error_type: str) -> None:
        super().__init__(error_type)
        self.error_type = ERROR_TYPES[error_type].type


class Unavailable(Exception):
    """Surely not sent, for a reason that passes: try again."""

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after  # seconds, where the gateway says so


class Unconfirmed(Exception):
    """Nobody knows whether it was sent: it must not be sent again blindly."""


class Gateway(ABC):
    """The interface. One object serves all threads of a process."""

    # Whether sending a message twice does no harm. Where it does, a message whose attempt was cut
    # off by a crash is in doubt and is not sent again.
    repeatable = False

    # Whether it only pretends: what lives under /sandbox is there for such a gateway alone.
    sandbox = False

    # Numbers that behave in a certain way, and how, for people to choose from.
    special_numbers: Mapping[str, str] = MappingProxyType({})

    def check(self, to: str) -> None:  # noqa: B027
        """Raise Rejected where it is plain at once that a number can't be sent to.

        Called while a request waits, before anything is queued: quick and local.
        """

    @abstractmethod
    def send(self, message: OutboundMessage) -> None:
        """Hand over a message: returning means that it was taken.

        Raises Rejected, Unavailable or Unconfirmed; anything else counts as Unconfirmed. It must
        end within a third of the lease (PHONIFY_LEASE), and should within a second: while it lasts,
        this process takes over nothing of a process that was killed.
        """
