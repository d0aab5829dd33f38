"""The server of `python app.py` and `phonify serve`: gunicorn and the delivery process."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..config import ConfigError, write_address
from ..errors import StoreUnavailable
from ..logs import configure_logs
from ..services import Services
from . import processes
from .browser import open_browser
from .delivery import deliver
from .gunicorn import WebServer
from .start import open_listener, print_start

__all__ = ["serve"]


def serve(
    create_app: Callable[[], Any],
    *,
    command: str = "flask --app app",
    database: Path | None = None,
    open_inbox: bool = False,
) -> None:
    """Serve the Flask app that `create_app` returns until SIGTERM or SIGINT.

    If it can't start, it prints why and exits with status 2. `command` and `database` are for the printed text, as in
    `print_start`. On a terminal, the text has a sign-in link. `open_inbox` opens such a link in a browser.
    """
    configure_logs(os.environ.get("PHONIFY_LOG_FORMAT", "text"))
    try:
        app = create_app()
        services: Services = app.extensions["phonify"]
        services.prepare()
        settings = services.settings
        listener = open_listener(settings.host, settings.port)
        port = listener.getsockname()[1]
        address = write_address(settings.host, port)
        link = services.create_link(address) if sys.stdout.isatty() else None
        if open_inbox:
            open_browser(services.create_link(address))
        processes.hold_signals()  # a signal may come as soon as the text is printed
        print_start(services, port, command, database, link=link)
    except ConfigError as error:
        error.show()
        sys.exit(error.exit_code)
    except StoreUnavailable as error:
        ConfigError(f"the database can't be used: {error.__cause__}").show()
        sys.exit(ConfigError.exit_code)
    services.database.close()  # a SQLite connection must not be used after a fork
    services.share_wakeups()

    descriptor, parent = listener.detach(), os.getpid()
    web_server = processes.start(WebServer(app, services, descriptor, parent=parent).run)
    os.close(descriptor)  # otherwise, the delivery process would keep the port open
    start_delivery = partial(processes.start, deliver, services, parent)
    sys.exit(processes.supervise(web_server, start_delivery, grace=settings.grace))
