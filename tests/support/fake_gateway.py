"""Gateways whose behaviour a test chooses."""

from collections.abc import Callable, Iterator, Sequence

from phonify.gateways.base import Gateway, Limits, OutboundMessage, Outcome, Taken


class FakeGateway(Gateway):
    """Records its messages in `handed`. The function `act` returns the outcome of each message: None means Taken."""

    repeatable = True

    def __init__(self, act: Callable[[OutboundMessage], object] | None = None, *, batch: int = 1) -> None:
        if batch > 1:
            self.limits = Limits(batch=batch)
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
    """A gateway that is not repeatable: it would send the same message twice."""

    repeatable = False


class PowerCut(BaseException):
    """The process ends here. No code handles this exception."""


def act_as(result: Outcome | BaseException | None) -> Callable[[OutboundMessage], object]:
    """Return a function that gives each message an outcome, or raises an error."""

    def act(_: OutboundMessage) -> object:
        if isinstance(result, BaseException):
            raise result
        return result

    return act
