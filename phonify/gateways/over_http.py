"""The base class of gateways that send each message with one HTTP request."""

import base64
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from ..clock import monotonic
from ..outgoing.http_client import Answer, NotAnswered, Request, send
from .base import Doubt, Gateway, GatewayFault, Later, OutboundMessage, Outcome
from .variables import Secret

LONGEST = 30.0  # seconds for a request


class HttpGateway(Gateway):
    """A gateway that sends each message with one HTTP request.

    The operator sets the provider's URL, and Phonify trusts the operator. So a URL with a private address is
    allowed. Redirects are not followed.
    """

    @abstractmethod
    def build_request(self, message: OutboundMessage) -> Request:
        """Return the request that sends a message."""

    @abstractmethod
    def judge(self, message: OutboundMessage, answer: Answer) -> Outcome:
        """Convert an answer to an outcome. The status 200 alone does not prove that the provider took the message."""

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        """Send the messages one after another. If no time is left for a message, yield a `Later` object."""
        end = deadline - min(0.5, (deadline - monotonic()) / 10)  # the rest is for storing the last outcome
        for message in batch:
            seconds = min(end - monotonic(), LONGEST)
            yield message.id, self._send(message, seconds) if seconds > 0 else Later(reason="no time left")

    def _send(self, message: OutboundMessage, seconds: float) -> Outcome:
        return self._exchange(message, self.build_request(message), seconds)

    def _exchange(self, message: OutboundMessage, request: Request, seconds: float) -> Outcome:
        try:
            answer = send(request._replace(timeout=seconds), private_allowed=True)
        except NotAnswered as failure:
            if failure.connected and not self.repeatable:
                return Doubt(str(failure), pause=True)
            # Another attempt is safe. Either there was no connection, or the provider recognises a repeated message.
            return Later(pause=not failure.connected, reason=str(failure), unsure=failure.connected)
        return self.judge(message, answer)

    def ask(self, request: Request) -> Answer:
        """Make a request that sends no message, and return the answer. Raises GatewayFault if there is no answer."""
        try:
            return send(request, private_allowed=True)
        except NotAnswered as failure:
            raise GatewayFault(str(failure)) from failure


def encode_credentials(username: str, password: Secret) -> str:
    """Encode a user name and a password for HTTP Basic."""
    return base64.b64encode(f"{username}:{password.reveal()}".encode()).decode()


def read_object(answer: Answer) -> dict[str, Any]:
    """Return the JSON object in an answer. Returns an empty object if the answer is not a JSON object."""
    try:
        content = json.loads(answer.text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
