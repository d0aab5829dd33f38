"""Serving with `python app.py` or `phonify serve`: gunicorn, and beside it a process that delivers."""

import os
import sys
from collections.abc import Callable
from functools import partial

from flask import Flask

from ..config import ConfigError
from ..errors import StoreUnavailable
from ..json_log import configure_logs
from ..services import Runtime
from . import processes
from .delivery import deliver
from .gunicorn import WebServer
from .start import open_listener, print_start

__all__ = ["serve"]


def serve(create_app: Callable[[], Flask], *, command: str = "flask --app app") -> None:
    """Serve an app until SIGTERM or SIGINT; if it can't start, say why and exit with status 2.

    `command` is the program that the text at the start names for making a key.
    """
    configure_logs(os.environ.get("PHONIFY_LOG_FORMAT", "text"))
    try:
        app = create_app()
        runtime: Runtime = app.extensions["phonify"]
        settings = runtime.settings
        listener = open_listener(settings.host, settings.port)
        print_start(runtime, listener.getsockname()[1], command)
    except ConfigError as error:
        error.show()
        sys.exit(error.exit_code)
    except StoreUnavailable as error:
        ConfigError(f"the database can't be used: {error.__cause__}").show()
        sys.exit(ConfigError.exit_code)
    runtime.database.close()  # a connection of SQLite must not be used after a fork
    runtime.doorbell.share()
    runtime.webhook_doorbell.share()

    processes.hold_signals()
    descriptor, parent = listener.detach(), os.getpid()
    web_server = processes.start(WebServer(app, settings, descriptor, parent=parent).run)
    os.close(descriptor)  # or the port would be taken for as long as delivery takes to end
    start_delivery = partial(processes.start, deliver, runtime, parent)
    sys.exit(processes.supervise(web_server, start_delivery, grace=settings.grace))
