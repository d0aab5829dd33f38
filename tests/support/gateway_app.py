"""An app for tests. Its gateway records its messages, and fails as `GATEWAY` in the environment says.

`once`: takes all messages, and must not get a message twice. `repeatable`: may get a message twice. `hanging`: each
call takes two seconds. `failing`: three of ten calls fail temporarily. `down`: all calls fail temporarily.
"""

import os
import random
import time
from collections.abc import Iterator, Sequence

from phonify import create_app
from phonify.gateways.base import Gateway, Later, OutboundMessage, Outcome, Taken
from phonify.server import serve
from tests.support.clock_app import FOLDER, ShiftedClock

HOW = os.environ.get("GATEWAY", "once")
SECONDS = float(os.environ.get("GATEWAY_SECONDS", "0"))  # seconds of each call


def note(message: OutboundMessage) -> None:
    descriptor = os.open(FOLDER / f"handed-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{message.id}\n".encode())
    os.close(descriptor)


class RecordingGateway(Gateway):
    """The gateway records its messages in the file `handed-PID`.

    If there is a file `pause`, the call does not return.
    """

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
            if (FOLDER / "pause").exists():  # between sending and recording
                time.sleep(30)
            yield message.id, Taken()


def build():
    return create_app(gateway=RecordingGateway(), clock=ShiftedClock())


if __name__ == "__main__":
    serve(build)
else:
    app = build()
