"""The stub gateway: sends nothing anywhere, deterministic, and good to test against."""

from .base import Gateway, OutboundMessage, Rejected, Unavailable, Unconfirmed

REFUSED_AT_ONCE = {
    "+15005550001": "invalid_number",
    "+15005550002": "unroutable_number",
    "+15005550003": "country_not_permitted",
}
REFUSED_LATER = {
    "+15005550004": "blocked_by_recipient",
    "+15005550009": "cannot_receive_sms",
}
FAILS_TWICE = "+15005550010"
TAKES_FIVE_SECONDS = "+15005550011"
NEVER_CONFIRMED = "+15005550012"
SPECIAL_NUMBERS = {
    "+15005550001": "refused at once: invalid number",
    "+15005550002": "refused at once: no route",
    "+15005550003": "refused at once: country not permitted",
    "+15005550004": "fails later: blocked by the recipient",
    "+15005550009": "fails later: can't receive SMS",
    FAILS_TWICE: "fails twice temporarily, is retried, then sent",
    TAKES_FIVE_SECONDS: "sent after 5 seconds",
    NEVER_CONFIRMED: "never confirmed: error when its validity period ends",
}


class StubGateway(Gateway):
    """Delivers every message at once, except those to the numbers above."""

    repeatable = True
    sandbox = True
    special_numbers = SPECIAL_NUMBERS

    def check(self, to: str) -> None:
        """Refuse the numbers that are refused at once."""
        if to in REFUSED_AT_ONCE:
            raise Rejected(REFUSED_AT_ONCE[to])

    def send(self, message: OutboundMessage) -> None:
        """Take the message, or fail as its number says."""
        if message.to in REFUSED_LATER:
            raise Rejected(REFUSED_LATER[message.to])
        if message.to == FAILS_TWICE and message.attempt <= 2:
            raise Unavailable
        if message.to == TAKES_FIVE_SECONDS and message.attempt == 1:
            raise Unavailable(retry_after=5)
        if message.to == NEVER_CONFIRMED:
            raise Unconfirmed
