"""The server. It consists of gunicorn and the delivery process.

The commands `python app.py` and `phonify serve` start the server.
"""

import logging
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..config import ConfigError, write_address
from ..errors import StoreUnavailable
from ..logs import configure_logs
from ..services import Services
from . import processes
from .browser import open_browser
from .delivery import deliver, show_messages
from .gunicorn import WebServer
from .start import log_start, open_listener, print_start

__all__ = ["serve"]

logger = logging.getLogger(__name__)


def serve(
    create_app: Callable[[], Any],
    *,
    command: str | None = None,
    open_inbox: bool = False,
) -> None:
    """Serve a Flask app until SIGTERM or SIGINT. `create_app` returns the app.

    If the server can't start, it prints the reason and exits with status 2. When the server starts, it prints examples
    of commands. `command` is the first part of each example. The default is `flask --app SCRIPT`. `SCRIPT` is the path
    of the running Python script. The suffix `.py` is removed from this path. On a terminal, the server also prints a
    sign-in link. If `open_inbox` is true, a browser opens a sign-in link.
    """
    command = command or f"flask --app {shlex.quote(str(Path(sys.argv[0]).with_suffix('')))}"
    log_format = os.environ.get("PHONIFY_LOG_FORMAT", "text")
    configure_logs(log_format)
    try:
        app = create_app()
        services: Services = app.extensions["phonify"]
        services.prepare()
        settings = services.settings
        listener = open_listener(settings.host, settings.port)
        port = listener.getsockname()[1]
        address = write_address(settings.host, port)
        on_terminal = sys.stdout is not None and sys.stdout.isatty() and log_format != "json"
        if open_inbox:
            open_browser(services.create_link(address))
        processes.hold_signals()  # a signal may arrive as soon as the text is printed
        if log_format == "json":
            log_start(services, port, command)
        else:
            link = services.create_link(address) if on_terminal else None
            print_start(services, port, command, link=link)
    except ConfigError as error:
        _refuse(error, log_format)
    except StoreUnavailable as error:
        _refuse(ConfigError(f"the database can't be used: {error.__cause__}"), log_format)
    live_list = services.make_live_list(sys.stdout)
    services.database.close()  # a SQLite connection must not be used after a fork
    services.share_wakeups()

    descriptor, parent = listener.detach(), os.getpid()
    web_server = processes.start(WebServer(app, services, descriptor, parent=parent).run)
    os.close(descriptor)  # otherwise, the delivery process would keep the port open
    if live_list is not None:
        processes.start(show_messages, services, live_list.run, parent, daemon=True)
    start_delivery = partial(processes.start, deliver, services, parent)
    sys.exit(processes.supervise(web_server, start_delivery, grace=settings.grace))


def _refuse(error: ConfigError, log_format: str) -> NoReturn:
    if log_format == "json":
        logger.error("%s", error.message)
    else:
        error.show()
    sys.exit(error.exit_code)
