"""The interface of a gateway.

A gateway is Phonify's adapter to a provider. The provider sends the messages to phones.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Self

from ..errors import ERROR_TYPES


class OutboundMessage(NamedTuple):
    """A message for a gateway."""

    id: str  # Phonify's id; the same at each attempt, so the provider can recognise a repetition
    origin: str
    to: str  # E.164 with the plus sign
    body: str
    attempt: int  # 1 for the first


@dataclass(frozen=True)
class Taken:
    """The provider has taken the message."""


@dataclass(frozen=True)
class Refused:
    """The message was not sent and will never be sent."""

    error_type: str  # of `errors/table.py`

    def __post_init__(self) -> None:
        if self.error_type not in ERROR_TYPES:
            raise ValueError(f"{self.error_type!r} is not an error type of errors/table.py")


@dataclass(frozen=True)
class Later:
    """The provider could not take the message, but only temporarily. The message is sent again later."""

    retry_after: float | None = None  # seconds, if the provider names them


@dataclass(frozen=True)
class Doubt:
    """It is unknown whether the provider has taken the message. It is not sent again."""


Outcome = Taken | Refused | Later | Doubt


class Limits(NamedTuple):
    """The limits of a gateway."""

    batch: int = 1  # the most messages in one call of `send`; at most this number is in doubt after a crash


class Gateway(ABC):
    """The base class of gateways. All threads of a process use the same object."""

    # True if the gateway may get a message twice without harm. If a crash interrupts an attempt, the message is then
    # sent again. If False, such a message is in doubt.
    repeatable = False

    # True if the gateway only simulates sending. `/sandbox` exists only with such a gateway.
    sandbox = False

    limits = Limits()

    # Numbers with a special behaviour, each with its description. The inbox shows them.
    special_numbers: Mapping[str, str] = MappingProxyType({})

    # The gateway's own variables in the environment, such as PHONIFY_EXAMPLE_URL.
    variables: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:  # noqa: ARG003 - for gateways that have variables
        """Make the gateway from its variables. Raises ValueError with one line for each fault."""
        return cls()

    def check(self, to: str) -> Refused | None:  # noqa: ARG002 - for gateways that have something to check
        """Return Refused if the number alone shows that nothing can be sent to it.

        It must be quick and must not use the network, because a request waits for it. Nothing is stored yet.
        """
        return None

    @abstractmethod
    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        """Send at most `limits.batch` messages. Yields the id and the outcome of each message.

        Yield an outcome as soon as it is known. `send` must end before `deadline`, a time of `clock.monotonic()`. It
        should end within a second. Until `send` ends, this process takes over no messages of killed processes.

        A message without an outcome counts as Doubt, also after an exception. So yield Later if a message was not sent.
        """
