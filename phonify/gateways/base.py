"""The interface of a gateway.

A gateway is Phonify's adapter to a provider. The provider sends the messages to phones.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol, Self

from ..errors import ERROR_TYPES
from .events import CallbackRequest, GatewayEvent, Heard, Receipt


class OutboundMessage(NamedTuple):
    """A message that a gateway sends."""

    id: str  # Phonify's id; all attempts have the same id, so the provider can recognise a repeated message
    origin: str
    to: str  # E.164 with the plus sign
    body: str
    attempt: int  # 1 for the first
    validity: float = 86_400.0  # seconds until the end of the validity period


@dataclass(frozen=True)
class Taken:
    """The provider has taken the message."""

    references: tuple[str, ...] = ()  # the provider's ids of the message, or of its parts
    receipts: tuple[Receipt, ...] = ()  # if the answer already says what happened to the message


@dataclass(frozen=True)
class Refused:
    """The message was not sent and will never be sent."""

    error_type: str  # of `errors/table.py`
    code: str = ""  # the provider's own code

    def __post_init__(self) -> None:
        if self.error_type not in ERROR_TYPES:
            raise ValueError(f"{self.error_type!r} is not an error type of errors/table.py")


@dataclass(frozen=True)
class Later:
    """The provider did not take the message. The reason is temporary, so Phonify sends the message again later.

    `pause` is True if the reason concerns all messages. For example, the credentials are wrong, or the provider gets
    too many requests. The gateway then sends nothing for some time. `unsure` means that the provider has possibly taken
    the message. Set `unsure` only for a gateway whose attribute `repeatable` is True.
    """

    retry_after: float | None = None  # seconds; None: the provider does not say how long Phonify should wait
    pause: bool = False
    reason: str = ""  # for the operator; it contains no secret, no phone number and no text of a message
    unsure: bool = False


@dataclass(frozen=True)
class Doubt:
    """It is unknown whether the provider has taken the message. The message is not sent again.

    `pause` is True if the same problem affects all messages. For example, the provider does not answer. The gateway
    then sends nothing for some time. Without this pause, all waiting messages would soon be in doubt.
    """

    reason: str = ""  # for the operator
    pause: bool = False


Outcome = Taken | Refused | Later | Doubt


class Limits(NamedTuple):
    """The limits of a gateway."""

    batch: int = 1  # the highest number of messages in one call of `send`
    calls: int = 1  # the highest number of calls at the same time, each in its own thread

    @property
    def window(self) -> int:
        """The maximum number of messages that a gateway sends at the same time.

        After a crash, these messages can be in doubt.
        """
        return self.batch * self.calls


class Sink(Protocol):
    """Stores events that do not come as a callback, for example events on an open connection to the provider."""

    def take(self, events: Sequence[GatewayEvent]) -> None:
        """Store events. When this method returns, the events are on disk.

        The gateway acknowledges the events after this call, not before.
        """


class GatewayFault(Exception):
    """The provider can't be used now. Its text tells the operator the reason, and contains no secret."""


class Gateway(ABC):
    """The base class of gateways. All threads of a process use the same gateway object."""

    # The name in PHONIFY_GATEWAY and in the path of callbacks.
    name = "gateway"

    # True if it does no harm to send a message twice. If a crash interrupts an attempt, the message is then sent again.
    # If this attribute is False and a crash interrupts an attempt, the message is in doubt.
    repeatable = False

    # True if the gateway only simulates sending. `/sandbox` exists only with such a gateway. Outside the tests,
    # only the stub sets this attribute to True. `factory.py` connects the rules of the sandbox to the stub, and to no
    # other gateway.
    sandbox = False

    # True if `look_up` can find out what happened to a message.
    can_look_up = False

    limits = Limits()

    # Numbers with a special behaviour, each with its description. The inbox shows them.
    special_numbers: Mapping[str, str] = MappingProxyType({})

    # The gateway's own variables in the environment, such as PHONIFY_EXAMPLE_URL.
    variables: tuple[str, ...] = ()

    # The provider's address for the log: host and port, without a path or a secret. Empty: there is none.
    peer = ""

    # The gateway's own number, if the gateway has exactly one number. If the provider does not say to which number a
    # text was sent, Phonify uses this number.
    number: str | None = None

    @property
    def place(self) -> str:
        """The name of the system that recognises repeated messages. This system can be an Android phone, for example.

        A gateway needs this property only if `repeatable` is True. An attempt can have an unknown outcome. If the name
        has changed since such an attempt, Phonify does not send the message again.
        """
        return self.name

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:  # noqa: ARG003 - for gateways that have variables
        """Read the settings from `environ`, and create the gateway.

        Raises ValueError with one line for each error. When the server starts, it calls this method twice: first to
        check all settings, and then to make the gateway. So the method must have no side effects. If the gateway needs
        a connection, open it in `start`.
        """
        return cls()

    def check(self, to: str, origin: str, body: str) -> Refused | None:  # noqa: ARG002 - for gateways that have something to check
        """Return a `Refused` object if the gateway can't send a message with these arguments.

        This method must be quick and must not use the network, because an app waits for the result. Nothing is stored
        yet.
        """
        return None

    @abstractmethod
    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        """Send at most `limits.batch` messages. Yields one pair for each message: the id and the outcome.

        Yield an outcome as soon as it is known. `deadline` is a value of `clock.monotonic()`. This method must end
        before this time.

        If this method yields no outcome for a message, Phonify uses the outcome `Doubt`. The same applies if this
        method raises an exception. If a message was not sent, yield a `Later` object for it.
        """

    def hear(self, request: CallbackRequest) -> Heard:
        """Read a request to `/gateways/<name>/...`. Returns the events and the answer.

        The answer is sent after the commit. Raises Forged if Phonify can't verify that the provider has sent the
        request. Raises Unreadable if the content is not valid.
        """
        raise NotImplementedError

    def look_up(self, message: OutboundMessage, references: Sequence[str]) -> Sequence[Receipt]:  # noqa: ARG002 - for gateways that can
        """Ask the provider what happened to a message. Returns no receipts if the outcome is unknown.

        Phonify calls this method only if `can_look_up` is true. Raises GatewayFault if the provider does not answer.
        """
        return ()

    def probe(self) -> str:
        """Check whether the provider is ready to accept messages. Returns one line for the operator.

        This method must not send a message. Raises GatewayFault if the provider is not ready.
        """
        return "nothing to check"

    def register(self) -> Sequence[str]:
        """Tell the provider the address of Phonify. Returns lines for the operator. A second call does no harm.

        Raises GatewayFault if the registration fails. If a gateway needs no registration, this method always raises
        GatewayFault.
        """
        raise GatewayFault("this gateway needs no registration")

    def start(self, sink: Sink) -> None:  # noqa: B027 - only for gateways that keep a connection
        """Open a connection, or another resource that the gateway needs. Returns at once.

        The delivery process calls this method.
        """

    def stop(self, deadline: float) -> None:  # noqa: B027 - only for gateways that keep a connection
        """Close the resources that the method `start` opened.

        `deadline` is a value of `clock.monotonic()`. This method must end before this time.
        """
