"""The command `worker`, which delivers."""

import signal

import click

from ..logs import configure_logs
from .output import Command, get_services


@click.command(cls=Command)
def worker() -> None:
    """Deliver messages and webhook events until SIGTERM or Ctrl-C. What has begun is finished first."""
    services = get_services()
    configure_logs(services.settings.log_format)

    def stop(*_: object) -> None:
        services.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    click.echo(f"Delivering messages of {services.settings.database} (gateway: {services.settings.gateway})", err=True)
    # Messages are stored by processes that this one did not fork, so no process wakes this one.
    for loop in services.start_delivery(longest_nap=0.02):
        loop.join()
    services.close()
