"""The stub gateway. It sends nothing. You use it to test an app.

`BEHAVIOURS` has the built-in rules for messages to the special numbers. The rules of an account come first
(`domain/rules.py`). For a message, the result of each rule is a `Behaviour`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..errors import StoreUnavailable
from .base import Doubt, Gateway, Later, Limits, OutboundMessage, Outcome, Refused, Taken
from .events import Receipt


class Behaviour(NamedTuple):
    """What happens to a message. `docs/rules.md` explains the outcomes."""

    outcome: str = "sent"
    error_type: str | None = None
    seconds: float = 0.0
    times: int = 1
    since: int = 0  # the number of attempts before this behaviour began; `times` does not count them


_SPECIAL = {
    "+15005550001": (
        Behaviour("refused", "invalid_number"),
        "The message is refused immediately: the number is not valid",
    ),
    "+15005550002": (
        Behaviour("refused", "unroutable_number"),
        "The message is refused immediately: there is no route to the number",
    ),
    "+15005550003": (
        Behaviour("refused", "country_not_permitted"),
        "The message is refused immediately: the country is not permitted",
    ),
    "+15005550004": (
        Behaviour("failed", "blocked_by_recipient"),
        "The message is accepted, and then fails: the recipient has blocked the sender",
    ),
    "+15005550009": (
        Behaviour("failed", "cannot_receive_sms"),
        "The message is accepted, and then fails: the phone can't receive SMS",
    ),
    "+15005550010": (
        Behaviour("unavailable", times=2),
        "The first two attempts fail temporarily, and the third attempt succeeds",
    ),
    "+15005550011": (Behaviour("delayed", seconds=5.0), "The message is sent after 5 seconds"),
    "+15005550012": (
        Behaviour("unconfirmed"),
        "The outcome stays unknown, so the message fails at the end of the validity period",
    ),
    "+15005550013": (
        Behaviour("undelivered", "unreachable_handset"),
        "The message is sent, and then a receipt has the status undelivered: the phone can't be reached",
    ),
    "+15005550021": (
        Behaviour("failed", "queue_overflow"),
        "The message is accepted, and then fails: the queue is full",
    ),
    "+15005550022": (
        Behaviour("failed", "account_suspended"),
        "The message is accepted, and then fails: the account is suspended",
    ),
    "+15005550023": (
        Behaviour("failed", "unreachable_handset"),
        "The message is accepted, and then fails: the phone can't be reached",
    ),
    "+15005550024": (
        Behaviour("failed", "blocked_by_recipient"),
        "The message is accepted, and then fails: the recipient has blocked the sender",
    ),
    "+15005550025": (
        Behaviour("failed", "unknown_handset"),
        "The message is accepted, and then fails: the phone is unknown",
    ),
    "+15005550026": (
        Behaviour("failed", "cannot_receive_sms"),
        "The message is accepted, and then fails: the phone can't receive SMS",
    ),
    "+15005550027": (
        Behaviour("failed", "filtered_by_carrier"),
        "The message is accepted, and then fails: a carrier has filtered the message",
    ),
    "+15005550028": (
        Behaviour("failed", "delivery_failed"),
        "The message is accepted, and then fails for an unknown reason",
    ),
}
BEHAVIOURS = {number: behaviour for number, (behaviour, _) in _SPECIAL.items()}
SPECIAL_NUMBERS = {number: description for number, (_, description) in _SPECIAL.items()}
# The codes in receipts. They are Twilio's codes for these error types.
_CODES = {
    "queue_overflow": "30001",
    "account_suspended": "30002",
    "unreachable_handset": "30003",
    "blocked_by_recipient": "30004",
    "unknown_handset": "30005",
    "cannot_receive_sms": "30006",
    "filtered_by_carrier": "30007",
    "delivery_failed": "30008",
}

Choose = Callable[[OutboundMessage], Behaviour | None]  # None: no rule says what happens


class StubGateway(Gateway):
    """Accepts each message immediately, unless a rule chooses another outcome."""

    name = "stub"
    repeatable = True
    sandbox = True
    limits = Limits(batch=300)
    special_numbers = SPECIAL_NUMBERS

    def __init__(self) -> None:
        self._choose: Choose | None = None

    def follow(self, choose: Choose) -> None:
        """Set the function that chooses a `Behaviour` for each message.

        After this call, the method `check` always returns None. The rules in `domain/rules.py` decide which messages
        are refused.
        """
        self._choose = choose

    def check(self, to: str, origin: str, body: str) -> Refused | None:  # noqa: ARG002 - the number decides
        """Return Refused for the special numbers that are refused immediately."""
        behaviour = BEHAVIOURS.get(to)
        if self._choose is not None or behaviour is None or behaviour.outcome != "refused":
            return None
        return Refused(behaviour.error_type or "")

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:  # noqa: ARG002 - it never takes long
        """Yield the outcome of each message."""
        for message in batch:
            try:
                behaviour = self._choose(message) if self._choose is not None else None
            except StoreUnavailable:
                yield message.id, Later()
            else:
                yield message.id, simulate(behaviour or BEHAVIOURS.get(message.to, Behaviour()), message.attempt)


def simulate(behaviour: Behaviour, attempt: int) -> Outcome:
    """Return the outcome of an attempt to send a message.

    If the outcome is `refused`, Phonify makes no attempt. So this function does not handle this outcome.
    """
    attempt -= behaviour.since
    match behaviour.outcome:
        case "failed":
            return Refused(behaviour.error_type or "delivery_failed")
        case "unavailable" if attempt <= behaviour.times:
            return Later()
        case "delayed" if attempt == 1:
            return Later(retry_after=behaviour.seconds)
        case "unconfirmed":
            return Doubt()
        case "delivered" | "undelivered" if not behaviour.seconds:
            return Taken(receipts=(write_receipt(behaviour),))
    return Taken()


def write_receipt(behaviour: Behaviour) -> Receipt:
    """Return the receipt for the outcome `delivered` or `undelivered`."""
    if behaviour.outcome == "delivered":
        return Receipt("delivered")
    error_type = behaviour.error_type or "unreachable_handset"
    return Receipt("undelivered", error_type=error_type, code=_CODES.get(error_type, ""))
