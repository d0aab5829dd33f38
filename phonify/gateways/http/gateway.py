"""The gateway `http`, for providers with an HTTP API. Environment variables define the requests to the provider."""

import itertools
import random
from collections.abc import Mapping
from typing import NamedTuple, Self
from urllib.parse import urljoin, urlsplit

from ...clock import monotonic
from ...outgoing.http_client import Answer, Request
from ...sms.alphabet import encode_gsm7
from ...sms.segments import Encoding, split_segments
from ..base import Doubt, GatewayFault, Later, Limits, OutboundMessage, Outcome, Taken
from ..events import CallbackRequest, Heard
from ..over_http import HttpGateway, encode_credentials
from .answers import MOST_ANSWER, suggest_cause
from .configuration import VARIABLES, Configuration, read_configuration

# The beginning of a user data header: its length, and an element with an 8-bit reference.
_HEADER_OF_PARTS = bytes([5, 0, 3])


class _Piece(NamedTuple):
    """The content of one request: a whole text, or one segment."""

    text: str
    encoding: Encoding
    segments: int  # of the whole text
    number: int = 0  # the number of the segment, from 1; 0 if this piece is the whole text
    header: bytes = b""  # the user data header (3GPP TS 23.040 section 9.2.3.24.1)


class TemplateGateway(HttpGateway):
    """Sends messages with HTTP requests. Environment variables define the requests.

    If a template has a placeholder for a user data header, each segment of a long text is sent in its own request.
    """

    name = "http"
    variables = VARIABLES
    limits = Limits(calls=10)

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        # A phone joins all segments that have the same reference. A counter makes the references, because two random
        # references can be equal.
        self._references = itertools.count(random.randrange(256))  # noqa: S311 - not a secret
        self.number = configuration.number
        self.peer = urlsplit(configuration.url).netloc

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Make the gateway. Raises ValueError with one line for each error."""
        return cls(read_configuration(environ))

    def build_request(self, message: OutboundMessage) -> Request:
        """Return one request that sends the whole message."""
        encoding, segments = split_segments(message.body)
        return self._build_request(message, _Piece(message.body, encoding, len(segments)))

    def judge(self, message: OutboundMessage, answer: Answer) -> Outcome:  # noqa: ARG002 - the answer says all
        """Return the outcome of a message. The configured rules decide what the provider's answer means."""
        return self._configuration.answers.judge(answer)

    def _send(self, message: OutboundMessage, seconds: float) -> Outcome:
        """Send the pieces of a message one after another. If the provider does not accept a piece, send no other piece.

        If the first piece fails, the message gets the outcome of this piece. If a later piece fails, the message is in
        doubt. Phonify does not try again, because the phone would get the earlier pieces twice.
        """
        end = monotonic() + seconds
        references: list[str] = []
        for sent, piece in enumerate(self._cut(message)):
            left = end - monotonic()
            if sent and left <= 0:
                return Doubt(f"{sent} of {piece.segments} segments were taken, and no time was left for the others")
            outcome = self._exchange(message, self._build_request(message, piece), left)
            if not isinstance(outcome, Taken):
                if not sent:
                    return outcome
                reason = getattr(outcome, "reason", "") or "the provider refused the next segment"
                pause = isinstance(outcome, Later | Doubt) and outcome.pause
                return Doubt(f"{sent} of {piece.segments} segments were taken: {reason}", pause=pause)
            references += outcome.references
        return Taken(tuple(references))

    def _cut(self, message: OutboundMessage) -> list[_Piece]:
        encoding, segments = split_segments(message.body)
        total = len(segments)
        if total == 1 or not self._configuration.cuts:
            return [_Piece(message.body, encoding, total)]
        reference = next(self._references) % 256
        return [
            _Piece(segment, encoding, total, number, _HEADER_OF_PARTS + bytes([reference, total, number]))
            for number, segment in enumerate(segments, start=1)
        ]

    def _build_request(self, message: OutboundMessage, piece: _Piece) -> Request:
        configuration, values = self._configuration, self._list_values(message, piece)
        headers = configuration.headers.render(values)
        body = None
        if configuration.body is not None:
            headers = {"Content-Type": configuration.body.content_type, **headers}
            body = configuration.body.render(values).encode()
        return Request(
            configuration.method,
            configuration.url,
            body,
            headers,
            most_answer=MOST_ANSWER,
            query=configuration.query.render(values),
        )

    def _list_values(self, message: OutboundMessage, piece: _Piece) -> dict[str, str | bytes]:
        """Return the values of all placeholders."""
        octets = encode_gsm7(piece.text) if piece.encoding == "gsm7" else piece.text.encode("utf-16-be")
        at = self._configuration.receipts_at
        place = f"/{piece.number}/{piece.segments}" if piece.number else ""
        return {
            **self._list_credentials(),
            "to": message.to,
            "to_digits": message.to.lstrip("+"),
            "from": message.origin,
            "from_digits": message.origin.lstrip("+"),
            "text": piece.text,
            "text_hex": octets.hex(),
            "coding": self._configuration.codings[piece.encoding == "ucs2"],
            "udh": piece.header,
            "udh_hex": piece.header.hex(),
            "id": message.id,
            "receipt_url": f"{at}/{message.id}{place}" if at else "",
            "part": str(piece.number or 1),
            "parts": str(piece.segments),
            "validity_seconds": str(max(1, int(message.validity))),
            "validity_minutes": str(max(1, int(message.validity / 60))),
        }

    def _list_credentials(self) -> dict[str, str | bytes]:
        username, password = self._configuration.username, self._configuration.password
        basic = encode_credentials(username, password)
        return {"username": username, "password": password.reveal(), "basic": basic}

    def hear(self, request: CallbackRequest) -> Heard:
        """Read a receipt or a received text."""
        return self._configuration.callbacks.hear(request)

    def probe(self) -> str:
        """Ask the provider whether it is ready. The request sends no message.

        PHONIFY_HTTP_PROBE contains the URL. The URL can be relative to PHONIFY_HTTP_URL.
        """
        configuration = self._configuration
        if not configuration.probe and not configuration.probe_query.names:
            return "nothing to ask: PHONIFY_HTTP_PROBE is not set"
        values = {"id": "", **self._list_credentials()}
        url = urljoin(configuration.url, configuration.probe)
        headers = configuration.headers.render(values)
        request = Request("GET", url, None, headers, query=configuration.probe_query.render(values))
        answer, host = self.ask(request), urlsplit(url).netloc
        if any(rule.matches(answer) for rule in configuration.ready):
            return f"{host} is ready"
        raise GatewayFault(
            f"{host} answered with status {answer.status}, and PHONIFY_HTTP_READY does not match this answer"
            f"{suggest_cause(answer)}"
        )
