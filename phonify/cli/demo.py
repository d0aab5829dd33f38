"""The demo of `phonify serve --demo`: a temporary database with invented conversations."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

from ..clock import SystemClock
from ..config import PREFIX
from ..domain import accounts
from ..schemas.keywords import read_keyword_settings
from ..schemas.requests import InboundSchema, SendSchema, load
from ..server import serve
from ..server.start import say_at_start
from ..services import Services
from ..storage.records import Account
from .demo_texts import APP, CONVERSATIONS, READ_UNTIL, REPLIES, Text

logger = logging.getLogger(__name__)

# After each text message, the delivery loop runs three times. These are the delays in seconds. The second run and the
# third run repeat failed attempts.
_AFTER = (0.3, 3, 6)


class DemoClock(SystemClock):
    """The clock of the demo. While the demo creates its conversations, the clock shows past times."""

    def __init__(self) -> None:
        self.behind = timedelta(0)

    def now(self) -> datetime:
        """Return the current date and time in UTC, minus `behind`."""
        return super().now() - self.behind

    def set_to(self, moment: datetime) -> None:
        """Set the clock to a time. The clock continues to run from this time."""
        self.behind = super().now() - moment


def serve_demo(create_app: Callable[..., Any], given: Mapping[str, Any], *, command: str, open_inbox: bool) -> None:
    """Serve a temporary database until SIGTERM or Ctrl-C. Then remove the database.

    `create_app` is the application factory. The argument `given` has settings for the app. `serve` gets the other
    arguments.
    """
    # If a signal comes before the server runs, Python exits normally and removes the folder. Later, the server handles
    # the signals.
    for ending in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ending, lambda signum, _: sys.exit(128 + signum))
    with tempfile.TemporaryDirectory(prefix="phonify-demo-") as folder:
        path = Path(folder) / "phonify.db"
        serve(lambda: create_demo(create_app, path, given), command=command, open_inbox=open_inbox)


def create_demo(create_app: Callable[..., Any], path: Path, given: Mapping[str, Any] | None = None) -> Any:
    """Create the demo's app. Store invented conversations in its database.

    The app uses the stub gateway.
    """
    clock = DemoClock()
    app = create_app({**(given or {}), "DATABASE": path, "GATEWAY": "stub"}, clock=clock)
    services: Services = app.extensions["phonify"]
    services.prepare()
    own = os.environ.get(f"{PREFIX}DATABASE")
    say = logger.info if services.settings.log_format == "json" else say_at_start
    if own is not None:
        say(f"{PREFIX}DATABASE is ignored, and {own} is not changed.")
    say("This is a demo with invented conversations. Its database is removed when the server stops.")
    fill(services, clock)
    return app


def fill(services: Services, clock: DemoClock) -> None:
    """Create the conversations of the demo, with times in the past. Afterwards, the clock shows the current time."""
    account = accounts.ensure_default_account(services.database, services.clock)
    services.subscriptions.set_replies(account, read_keyword_settings((), REPLIES))
    start, loop = clock.now(), services.make_message_loop()
    texts = [(text.find_moment(start), phone, text) for phone, found in CONVERSATIONS.items() for text in found]
    logging.disable(logging.INFO)  # these messages must not be in the log
    try:
        for moment, phone, text in sorted(texts, key=itemgetter(0)):
            clock.set_to(moment)
            loop.deliver_due()  # messages fail if their validity period has ended
            _exchange(services, account, phone, text, start)
            if text.sent or moment < start - READ_UNTIL:
                thread = services.conversations.find_thread(account, phone, limit=1)
                services.conversations.mark_read(account, phone, thread)
            for seconds in _AFTER:
                clock.set_to(moment + timedelta(seconds=seconds))
                loop.deliver_due()
    finally:
        logging.disable(logging.NOTSET)
        clock.behind = timedelta(0)


def _exchange(services: Services, account: Account, phone: str, text: Text, start: datetime) -> None:
    """Store one text of a conversation.

    If `text.sent` is true, the app sends the text to the phone. Otherwise, the app receives the text from the phone.
    """
    if text.sent:
        given = {"to": phone, "body": text.body, "origin": APP}
        if text.days_ahead is not None:
            send_at = (start + timedelta(days=text.days_ahead)).replace(hour=9, minute=0, second=0, microsecond=0)
            given["send_at"] = send_at.isoformat()
        services.sending.send(account, load(SendSchema(), given))
    else:
        given = {"from": phone, "to": APP, "body": text.body}
        services.receiving.receive(account, **load(InboundSchema(), given))
