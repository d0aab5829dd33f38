"""The command `worker`. It delivers messages and webhook events without a web server."""

import logging
import os
import signal
import sys
import threading
from contextlib import suppress

import click

from ..config import ConfigError
from ..logs import configure_logs
from .output import Command, get_services

logger = logging.getLogger(__name__)


@click.command(cls=Command)
def worker() -> None:
    """Deliver messages and webhook events until SIGTERM or Ctrl-C.

    After the signal, the worker finishes the current attempts. Then it exits.
    """
    log_format = os.environ.get("PHONIFY_LOG_FORMAT", "text")
    configure_logs(log_format)
    try:
        services = get_services(may_create=True, quiet=log_format == "json")
    except ConfigError as error:
        if log_format != "json":
            raise
        logger.error("%s", error.message)  # noqa: TRY400 - the message says it all
        sys.exit(error.exit_code)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: services.stop())
    settings = services.settings
    if log_format == "json":
        logger.info("Delivering messages of %s (gateway: %s)", settings.database, settings.gateway)
    else:
        with suppress(OSError):  # the worker runs even if this line can't be printed
            click.echo(f"Delivering messages of {settings.database} (gateway: {settings.gateway})", err=True)
    change = services.clock.describe_change()
    if change is not None:
        logger.warning("%s", change)
    live_list = services.make_live_list(sys.stdout)
    if live_list is not None:
        threading.Thread(target=live_list.run, name="live list", daemon=True).start()
    # Other processes store the messages, and can't wake this process. So this process frequently looks for messages.
    for loop in services.start_delivery(longest_nap=0.02):
        loop.join()
    services.close()
