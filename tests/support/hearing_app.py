"""An app for tests. Its gateway `peer` is no sandbox, and hears callbacks: JSON lists of receipts and texts.

If there is a file `die`, a process ends by SIGKILL between the commit of a callback and its answer.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from flask import Response, request

from phonify import create_app
from phonify.gateways.base import Gateway, OutboundMessage, Outcome, Taken
from phonify.gateways.events import (
    CallbackAnswer,
    CallbackRequest,
    Forged,
    GatewayEvent,
    Heard,
    Receipt,
    Received,
    Unreadable,
)
from phonify.server import serve

SECRET = "a-secret-path"
FOLDER = Path(os.environ["PHONIFY_DATABASE"]).parent


class PeerGateway(Gateway):
    """Takes all messages. The path of a callback must be the secret."""

    name = "peer"
    number = "+15005550006"

    def send(self, batch: Sequence[OutboundMessage], deadline: float) -> Iterator[tuple[str, Outcome]]:
        for message in batch:
            yield message.id, Taken((f"ref-{message.id}",))

    def hear(self, hook: CallbackRequest) -> Heard:
        if hook.path != SECRET:
            raise Forged
        try:
            events = [read_event(**one) for one in json.loads(hook.body)]
        except (ValueError, TypeError) as error:
            raise Unreadable("not a list of events") from error
        return Heard(events, CallbackAnswer(202, "heard"))


def read_event(**given: str) -> GatewayEvent:
    return Receipt(**given) if "status" in given else Received(**given)  # type: ignore[arg-type]


def build():
    app = create_app(gateway=PeerGateway())

    @app.after_request
    def die(response: Response) -> Response:
        if request.path.startswith("/gateways/") and (FOLDER / "die").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return response

    return app


if __name__ == "__main__":
    serve(build)
else:
    app = build()
