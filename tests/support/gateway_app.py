"""An app for tests with a gateway that notes what it is handed, and fails as `GATEWAY` in the environment says.

`once`: takes everything, and must not be handed anything twice. `repeatable`: may be. `hanging`: each call takes
two seconds. `failing`: three of ten calls fail temporarily. `down`: all do.
"""

import os
import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from phonify import create_app
from phonify.clock import SystemClock
from phonify.gateways.base import Gateway, Later, OutboundMessage, Outcome, Taken
from phonify.server import serve

HOW = os.environ.get("GATEWAY", "once")
SECONDS = float(os.environ.get("GATEWAY_SECONDS", "0"))  # that each call takes
FOLDER = Path(os.environ["PHONIFY_DATABASE"]).parent


def note(message: OutboundMessage) -> None:
    descriptor = os.open(FOLDER / f"handed-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{message.id}\n".encode())
    os.close(descriptor)


class RecordingGateway(Gateway):
    """Notes what it has taken in `handed-PID`; if there is a file `pause`, it does not return after that."""

    repeatable = HOW == "repeatable"
    sandbox = True

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        for message in batch:
            if HOW == "down" or (HOW == "failing" and random.random() < 0.3):
                yield message.id, Later(retry_after=0.5)
                continue
            if HOW == "hanging":
                time.sleep(2)
            time.sleep(SECONDS)
            note(message)
            if (FOLDER / "pause").exists():  # between submitting and recording
                time.sleep(30)
            yield message.id, Taken()


class ShiftedClock(SystemClock):
    """A clock that is set back or forward for all processes by the seconds in the file `shift`, if there is one."""

    def now(self) -> datetime:
        file = FOLDER / "shift"
        return super().now() + timedelta(seconds=float(file.read_text()) if file.exists() else 0)


def build():
    return create_app(gateway=RecordingGateway(), clock=ShiftedClock())


if __name__ == "__main__":
    serve(build)
else:
    app = build()
