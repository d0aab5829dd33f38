"""The command `worker`. It delivers messages and webhook events without a web server."""

import signal

import click

from ..logs import configure_logs
from .output import Command, get_services


@click.command(cls=Command)
def worker() -> None:
    """Deliver messages and webhook events until SIGTERM or Ctrl-C. Current attempts are finished first."""
    services = get_services(may_create=True)
    configure_logs(services.settings.log_format)

    def stop(*_: object) -> None:
        services.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    click.echo(f"Delivering messages of {services.settings.database} (gateway: {services.settings.gateway})", err=True)
    # Other processes store the messages, and they can't wake this process. So it looks for work often.
    for loop in services.start_delivery(longest_nap=0.02):
        loop.join()
    services.close()
