"""The stub gateway, for testing apps. It sends nothing, and the number alone decides the outcome."""

from collections.abc import Iterator, Sequence

from .base import Doubt, Gateway, Later, Limits, OutboundMessage, Outcome, Refused, Taken
from .events import Receipt

REFUSED_AT_ONCE = {
    "+15005550001": "invalid_number",
    "+15005550002": "unroutable_number",
    "+15005550003": "country_not_permitted",
}
REFUSED_LATER = {
    "+15005550004": "blocked_by_recipient",
    "+15005550009": "cannot_receive_sms",
    "+15005550021": "queue_overflow",
    "+15005550022": "account_suspended",
    "+15005550023": "unreachable_handset",
    "+15005550024": "blocked_by_recipient",
    "+15005550025": "unknown_handset",
    "+15005550026": "cannot_receive_sms",
    "+15005550027": "filtered_by_carrier",
    "+15005550028": "delivery_failed",
}
FAILS_TWICE = "+15005550010"
TAKES_FIVE_SECONDS = "+15005550011"
NEVER_CONFIRMED = "+15005550012"
UNDELIVERED = "+15005550013"
SPECIAL_NUMBERS = {
    "+15005550001": "refused immediately: invalid number",
    "+15005550002": "refused immediately: no route",
    "+15005550003": "refused immediately: country not permitted",
    "+15005550004": "fails later: blocked by the recipient",
    "+15005550009": "fails later: can't receive SMS",
    FAILS_TWICE: "fails twice for a temporary reason, then sent",
    TAKES_FIVE_SECONDS: "sent after 5 seconds",
    NEVER_CONFIRMED: "never confirmed: fails at the end of its validity period",
    UNDELIVERED: "sent, then a receipt: undelivered",
    "+15005550021": "fails later: the queue is full",
    "+15005550022": "fails later: the account is suspended",
    "+15005550023": "fails later: the phone can't be reached",
    "+15005550024": "fails later: blocked by the recipient",
    "+15005550025": "fails later: the phone is unknown",
    "+15005550026": "fails later: can't receive SMS",
    "+15005550027": "fails later: filtered by a carrier",
    "+15005550028": "fails later: unknown reason",
}


class StubGateway(Gateway):
    """Takes every message immediately, except messages to the special numbers."""

    name = "stub"
    repeatable = True
    sandbox = True
    limits = Limits(batch=300)
    special_numbers = SPECIAL_NUMBERS

    def check(self, to: str, origin: str, body: str) -> Refused | None:  # noqa: ARG002 - the number decides
        """Return Refused for the numbers of REFUSED_AT_ONCE."""
        return Refused(REFUSED_AT_ONCE[to]) if to in REFUSED_AT_ONCE else None

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:  # noqa: ARG002 - it never takes long
        """Yield the outcome that belongs to each message's number."""
        for message in batch:
            yield message.id, _choose_outcome(message)


def _choose_outcome(message: OutboundMessage) -> Outcome:
    if message.to in REFUSED_LATER:
        return Refused(REFUSED_LATER[message.to])
    if message.to == FAILS_TWICE and message.attempt <= 2:
        return Later()
    if message.to == TAKES_FIVE_SECONDS and message.attempt == 1:
        return Later(retry_after=5)
    if message.to == NEVER_CONFIRMED:
        return Doubt()
    if message.to == UNDELIVERED:
        return Taken(receipts=(Receipt("undelivered", error_type="unreachable_handset", code="30003"),))
    return Taken()
