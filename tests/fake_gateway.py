"""Gateways that do what a test says."""

from collections.abc import Callable

from phonify.gateways.base import Gateway, OutboundMessage


class FakeGateway(Gateway):
    """Notes what it is handed and does what the test says."""

    repeatable = True

    def __init__(self, act: Callable[[OutboundMessage], object] = lambda _: None) -> None:
        self.act = act
        self.handed: list[OutboundMessage] = []

    def send(self, message: OutboundMessage) -> None:
        self.handed.append(message)
        self.act(message)


class OnceGateway(FakeGateway):
    """One that would send twice what it is handed twice."""

    repeatable = False


class PowerCut(BaseException):
    """The process ends here: nothing handles it."""


def fail_with(error: BaseException) -> Callable[[OutboundMessage], None]:
    def act(_: OutboundMessage) -> None:
        raise error

    return act
