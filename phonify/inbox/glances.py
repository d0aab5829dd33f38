"""What many open pages ask for at the same time is looked up once."""

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

LASTS = 0.25  # seconds
MOST = 1_000


class Glance(NamedTuple):
    """What was seen, and a short text that is the same for the same."""

    seen: dict[str, Any]
    token: str


def make_token(*seen: Any) -> str:
    """Return a short text that is the same for the same."""
    return hashlib.sha256(repr(seen).encode("utf-8", "surrogatepass")).hexdigest()[:24]


class Glances:
    """The latest glances of this process, of all its threads."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, Glance]] = {}
        self._lock = threading.Lock()

    def take(self, key: Hashable, look: Callable[[], dict[str, Any]]) -> Glance:
        """Return what `look` returns, or what it returned a moment ago; `key` says whose glance at what it is."""
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < LASTS:
            return known[1]
        seen = look()
        glance = Glance(seen, make_token(seen))
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = (time.monotonic(), glance)
        return glance
