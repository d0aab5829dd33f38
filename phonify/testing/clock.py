"""Reads and changes the clock of a Phonify server.

`client.py` needs this file. The server sends both as one file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Advance:
    """The result of `Clock.advance`.

    For example, `sent` is the number of messages that Phonify sent while it advanced the clock.
    """

    sent: int = 0
    expired: int = 0  # messages in state `error`, because their validity period ended
    failed: int = 0  # other messages in state `error`
    received: int = 0
    receipts: int = 0  # delivery receipts
    webhooks: int = 0  # events that Phonify has delivered to a webhook
    failed_webhooks: int = 0  # events that Phonify does not post again
    removed: int = 0  # old messages that were removed


class Clock:
    """The clock of a server. It is the same for all accounts. Only a key of the account `default` can change it.

    If the account is not `default`, the methods that change the clock raise PhonifyError. These methods also raise
    PhonifyError while another request is advancing the clock.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.moved = 0.0  # seconds that this object has advanced the clock
        self.changed = False  # whether this object has changed the clock since its last reset

    def now(self) -> datetime:
        """Return the time of the clock."""
        return _read_time(self._call("GET", "/sandbox/clock", {})["clock"]["now"])

    def freeze(self) -> None:
        """Stop the clock."""
        self._call("POST", "/sandbox/clock/freeze", {})
        self.changed = True

    def run_on(self) -> None:
        """Let the frozen clock continue from the time that it shows."""
        self._call("POST", "/sandbox/clock/run", {})
        self.changed = True

    def reset(self) -> None:
        """Set the clock to the real time."""
        self._call("DELETE", "/sandbox/clock", {})
        self.changed = False

    def advance(self, by: str | timedelta | None = None, *, to: str | datetime | None = None) -> Advance:
        """Advance the clock by a duration such as `24h`, or to a time.

        Phonify does all work that is due at or before the new time.
        """
        given = {
            "by": f"{by // timedelta(seconds=1)}s" if isinstance(by, timedelta) else by,
            "to": to.isoformat() if isinstance(to, datetime) else to,
        }
        counts: dict[str, int] = {}
        while True:
            done = self._call("POST", "/sandbox/clock/advance", given, wait=30)["advance"]
            self.changed = True
            self.moved += (_read_time(done["ended_at"]) - _read_time(done["begun_at"])).total_seconds()
            counts = {name: counts.get(name, 0) + done["ended"][name] for name in Advance.__dataclass_fields__}
            if done["finished"]:
                return Advance(**counts)
            given = {"to": done["target"]}


def _read_time(shown: str) -> datetime:
    return datetime.fromisoformat(shown.replace("Z", "+00:00"))
