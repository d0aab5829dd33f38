"""The interface of a gateway: our adapter to whatever carries messages to phones."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Self

from ..errors import ERROR_TYPES


class OutboundMessage(NamedTuple):
    """A message as a gateway gets it."""

    id: str  # ours; the same at each attempt, so that a gateway can recognise a repetition
    origin: str
    to: str  # E.164 with the plus sign
    body: str
    attempt: int  # 1 for the first


@dataclass(frozen=True)
class Taken:
    """The provider has taken the message."""


@dataclass(frozen=True)
class Refused:
    """Final: the message was not sent and never will be."""

    error_type: str  # of the table in `errors.py`

    def __post_init__(self) -> None:
        if self.error_type not in ERROR_TYPES:
            raise ValueError(f"{self.error_type!r} is not an error type of errors.py")


@dataclass(frozen=True)
class Later:
    """The message was surely not taken, for a temporary reason: send it again later."""

    retry_after: float | None = None  # seconds, if the provider names them


@dataclass(frozen=True)
class Doubt:
    """It is unknown whether the message was taken: do not send it again."""


Outcome = Taken | Refused | Later | Doubt


class Limits(NamedTuple):
    """What a gateway can take."""

    batch: int = 1  # messages in one call of `send`; a crash leaves at most this number in doubt


class Gateway(ABC):
    """The base class of gateways. One object serves all threads of a process."""

    # Whether it does no harm to hand over a message twice. If it does harm, a message whose attempt was cut off by a
    # crash is in doubt and is not sent again.
    repeatable = False

    # Whether the gateway only pretends. `/sandbox` exists only with such a gateway.
    sandbox = False

    limits = Limits()

    # Numbers that behave in a certain way, and how, for people to choose from.
    special_numbers: Mapping[str, str] = MappingProxyType({})

    # The gateway's own variables in the environment, such as PHONIFY_EXAMPLE_URL.
    variables: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:  # noqa: ARG003 - for gateways that have variables
        """Make the gateway from its variables; raise ValueError with one line for each fault."""
        return cls()

    def check(self, to: str) -> Refused | None:  # noqa: ARG002 - for gateways that have something to check
        """Return Refused if the number shows at once that nothing can be sent to it.

        It must be quick and local: a request waits for it, and nothing is stored yet.
        """
        return None

    @abstractmethod
    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        """Hand over at most `limits.batch` messages; yield the id and the outcome of each as soon as it is known.

        Ends before `deadline`, which is a time of `time.monotonic()`, and should end within a second: until then, the
        process takes over no messages of a process that was killed. A message without an outcome counts as Doubt, also
        if this raises an exception. So yield Later for a message that was surely not handed over.
        """
