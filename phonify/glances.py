"""What many open pages ask for is looked up once in a quarter of a second, not once for each."""

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

LASTS = 0.25  # seconds
MOST = 50


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
        known, now = self._known.get(key), time.monotonic()
        if known is not None and now - known[0] < LASTS:
            return known[1]
        seen = look()
        glance = Glance(seen, make_token(seen))
        with self._lock:
            fresh = {other: known for other, known in self._known.items() if now - known[0] < LASTS}
            self._known = fresh if len(fresh) < MOST else {}
            self._known.setdefault(key, (now, glance))  # a later look may have been quicker
        return glance
