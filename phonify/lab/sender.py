"""Sends the requests of a lab, and measures how long the app takes to answer each request."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from ..clock import Clock
from ..outgoing.http_client import Answer, NotAnswered, Request

BUSY = 429  # the answer of an app that gets too many requests
BUSY_TRIES = 3  # the maximum number of retries after such an answer
Send = Callable[[Request], Answer]  # raises NotAnswered


class Exchange(NamedTuple):
    """A request and its result."""

    answer: Answer | None
    failure: str | None  # why there is no answer
    seconds: float

    def __str__(self) -> str:
        return f"{self.answer.status}" if self.answer is not None else f"no answer ({self.failure})"

    @property
    def status(self) -> int:
        """The status of the answer, or 0 if there is no answer."""
        return self.answer.status if self.answer is not None else 0

    @property
    def is_accepted(self) -> bool:
        """True if the status of the answer is 2xx."""
        return 200 <= self.status < 300


@dataclass
class Sender:
    """Sends requests to one app."""

    send: Send
    clock: Clock
    sleep: Callable[[float], object]
    tell: Callable[[str], None]  # gets the name of the trial before each request
    longest_pause: float  # the longest pause before a retry, in seconds
    trial: str = ""  # the name of the trial that is running

    def exchange(self, request: Request, patience: float) -> Exchange:
        """Send a request, and wait up to `patience` seconds for the answer.

        If the app answers 429 (too many requests), wait and send the request again.
        """
        request = request._replace(timeout=patience, connect_timeout=patience, read_timeout=patience)
        exchange = self._try(request)
        for _ in range(BUSY_TRIES):
            if exchange.answer is None or exchange.status != BUSY or not isinstance(request.body, bytes | None):
                break
            self.sleep(min(exchange.answer.retry_after or 1.0, self.longest_pause))
            exchange = self._try(request)
        return exchange

    def exchange_twice(self, request: Request, patience: float) -> tuple[Exchange, Exchange]:
        """Send two copies of a request at the same time. Returns both results."""
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(self.exchange, (request, request), (patience, patience))
        return first, second

    def _try(self, request: Request) -> Exchange:
        self.tell(self.trial)
        begun = self.clock.monotonic()
        try:
            answer, failure = self.send(request), None
        except NotAnswered as error:
            answer, failure = None, str(error)
        return Exchange(answer, failure, self.clock.monotonic() - begun)
