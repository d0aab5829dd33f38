"""The tests of every gateway.

The tests of a gateway inherit `GatewayContract` and name the numbers for each outcome.
"""

import re
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from phonify.errors import ERROR_TYPES, Kind
from phonify.gateways import GATEWAYS
from phonify.gateways.base import Gateway, Later, OutboundMessage, Outcome, Refused, Taken
from phonify.gateways.events import GatewayEvent

PATIENCE = 30.0  # seconds until the deadline of a call


def make_message(to: str, number: int = 0, *, body: str = "Hello", attempt: int = 1) -> OutboundMessage:
    """Return a message. Its id contains the given number."""
    return OutboundMessage(f"019c1363-49c0-7000-8000-{number:012d}", "+15005550006", to, body, attempt)


def check(gateway: Gateway, to: str) -> Refused | None:
    """Check a message to a number."""
    return gateway.check(to, "+15005550006", "Hello")


def send(gateway: Gateway, *messages: OutboundMessage) -> list[tuple[str, Outcome]]:
    """Send messages in one call, which must end before its deadline."""
    deadline = time.monotonic() + PATIENCE
    outcomes = list(gateway.send(messages, deadline))
    assert time.monotonic() < deadline
    return outcomes


class GatewayContract(ABC):
    """The tests of one gateway, by its name in `GATEWAYS`.

    For a gateway that sends to a provider, the fixture starts a replacement for the provider. In the replacement, the
    numbers in `outcomes` must lead to their outcomes.
    """

    name: str
    outcomes: Mapping[str, type[Outcome]]  # numbers for each possible outcome; Taken is the first outcome
    refused_at_once: str | None = None  # a number that `check` refuses
    refused_sender: str | None = None  # a sender that `check` refuses

    @pytest.fixture
    @abstractmethod
    def gateway(self) -> Gateway:
        """Return the gateway, ready to send."""

    @property
    def taken(self) -> str:
        return next(iter(self.outcomes))

    def make_batch(self, size: int) -> list[OutboundMessage]:
        """Return messages. They use the numbers in turns."""
        return [make_message(to, number) for number, to in zip(range(size), cycle(self.outcomes), strict=False)]

    # Attributes

    def test_its_name_can_be_a_setting(self, gateway: Gateway) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", self.name)
        assert isinstance(gateway, GATEWAYS[self.name])

    def test_its_variables_begin_with_its_name(self, gateway: Gateway) -> None:
        form = rf"PHONIFY_{self.name.upper()}_[A-Z0-9_]+"
        assert [name for name in gateway.variables if not re.fullmatch(form, name)] == []

    def test_it_says_what_it_is_and_what_it_can_take(self, gateway: Gateway) -> None:
        assert gateway.repeatable in (True, False)
        assert gateway.sandbox in (True, False)
        assert gateway.limits.window >= gateway.limits.batch >= 1

    def test_its_own_number_is_a_number_that_a_phone_can_write_to(self, gateway: Gateway) -> None:
        assert gateway.number is None or re.fullmatch(r"\+?[0-9]{3,15}", gateway.number)

    def test_it_can_be_started_and_stopped(self, gateway: Gateway) -> None:
        class Nowhere:
            def take(self, events: Sequence[GatewayEvent]) -> None:
                raise AssertionError(f"no provider has reported anything: {events}")

        gateway.start(Nowhere())
        gateway.stop(time.monotonic() + PATIENCE)

    # check

    def test_a_number_that_can_be_sent_to_passes_the_check(self, gateway: Gateway) -> None:
        assert check(gateway, self.taken) is None

    def test_a_number_that_is_refused_at_once_is_refused_with_an_error_type_for_that(self, gateway: Gateway) -> None:
        if self.refused_at_once is None:
            assert type(gateway).check is Gateway.check or self.refused_sender is not None
        else:
            refusal = check(gateway, self.refused_at_once)
            assert isinstance(refusal, Refused)
            assert ERROR_TYPES[refusal.error_type].kind is Kind.REFUSED

    def test_a_sender_that_is_refused_at_once_is_refused_with_the_error_type_for_that(self, gateway: Gateway) -> None:
        if self.refused_sender is not None:
            assert gateway.check(self.taken, self.refused_sender, "Hello") == Refused("sender_not_permitted")

    def test_a_check_gives_the_same_answer_each_time(self, gateway: Gateway) -> None:
        for to in [*self.outcomes, self.refused_at_once or self.taken]:
            assert check(gateway, to) == check(gateway, to)

    def test_a_check_opens_no_connection(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a check must not open a connection")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        for to in [*self.outcomes, self.refused_at_once or self.taken]:
            check(gateway, to)

    # send

    def test_a_message_is_taken(self, gateway: Gateway) -> None:
        message = make_message(self.taken)
        assert isinstance(dict(send(gateway, message))[message.id], Taken)

    def test_each_number_has_the_kind_of_outcome_that_it_stands_for(self, gateway: Gateway) -> None:
        for to, kind in self.outcomes.items():
            ((_, outcome),) = send(gateway, make_message(to))
            assert type(outcome) is kind
            if isinstance(outcome, Refused):
                assert ERROR_TYPES[outcome.error_type].kind is Kind.REFUSED
            if isinstance(outcome, Later):
                assert outcome.retry_after is None or outcome.retry_after >= 0

    def test_each_message_of_a_full_batch_gets_its_own_outcome(self, gateway: Gateway) -> None:
        batch = self.make_batch(gateway.limits.batch)
        outcomes = send(gateway, *batch)
        assert sorted(id_ for id_, _ in outcomes) == sorted(message.id for message in batch)
        kinds = {id_: type(outcome) for id_, outcome in outcomes}
        assert kinds == {message.id: self.outcomes[message.to] for message in batch}

    def test_no_messages_have_no_outcomes(self, gateway: Gateway) -> None:
        assert send(gateway) == []

    @pytest.mark.parametrize("body", ["x", "x" * 160, "\N{GRINNING FACE}" * 160, "\n", "\\'\"", "\x7f\x01", "ж" * 160])
    def test_any_text_can_be_sent(self, gateway: Gateway, body: str) -> None:
        ((_, outcome),) = send(gateway, make_message(self.taken, body=body))
        assert isinstance(outcome, Taken)

    @pytest.mark.parametrize("origin", ["+442071838750", "12345", "SHOP", "My Shop 24"])
    def test_any_sender_has_an_outcome(self, gateway: Gateway, origin: str) -> None:
        ((_, outcome),) = send(gateway, make_message(self.taken)._replace(origin=origin))
        assert isinstance(outcome, Taken | Refused)

    def test_a_message_that_is_sent_again_under_its_id_is_taken_if_the_gateway_is_repeatable(
        self, gateway: Gateway
    ) -> None:
        outcomes = [send(gateway, make_message(self.taken, attempt=attempt))[0][1] for attempt in (1, 2)]
        assert isinstance(outcomes[0], Taken)
        if gateway.repeatable:
            assert isinstance(outcomes[1], Taken)

    def test_one_object_serves_several_threads(self, gateway: Gateway) -> None:
        messages = self.make_batch(80)
        with ThreadPoolExecutor(8) as pool:
            together = [outcome for (outcome,) in pool.map(lambda message: send(gateway, message), messages)]
        assert [id_ for id_, _ in together] == [message.id for message in messages]
        assert [type(outcome) for _, outcome in together] == [self.outcomes[message.to] for message in messages]

    def test_logs_have_neither_the_text_nor_the_number(
        self, gateway: Gateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        for to in self.outcomes:
            send(gateway, make_message(to, body="Secret text"))
            assert to not in caplog.text
        assert "Secret text" not in caplog.text
