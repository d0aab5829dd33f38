"""Gateways that do what a test says."""

from collections.abc import Callable, Iterator, Sequence

from phonify.gateways.base import Gateway, OutboundMessage, Outcome, Taken


class FakeGateway(Gateway):
    """Notes what it gets, in `handed`, and gives each message the outcome of `act`: Taken if it returns None."""

    repeatable = True

    def __init__(self, act: Callable[[OutboundMessage], object] | None = None) -> None:
        self.handed: list[OutboundMessage] = []
        if act is not None:
            self.act = act

    def act(self, message: OutboundMessage) -> object:
        """Take everything."""

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        for message in batch:
            self.handed.append(message)
            outcome = self.act(message)
            yield message.id, outcome if isinstance(outcome, Outcome) else Taken()


class OnceGateway(FakeGateway):
    """A gateway that would send a message twice if it gets it twice."""

    repeatable = False


class PowerCut(BaseException):
    """The process ends here: nothing handles it."""


def act_as(result: Outcome | BaseException | None) -> Callable[[OutboundMessage], object]:
    """Return a function that gives each message an outcome, or raises an error."""

    def act(_: OutboundMessage) -> object:
        if isinstance(result, BaseException):
            raise result
        return result

    return act
