"""The command `worker`, which delivers."""

import signal

import click

from ..logs import configure_logs
from .output import Command, get_services


@click.command(cls=Command)
def worker() -> None:
    """Deliver messages until SIGTERM or Ctrl-C; the message in hand is finished."""
    services = get_services()
    configure_logs(services.settings.log_format)

    def stop(*_: object) -> None:
        services.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    click.echo(f"Delivering messages of {services.settings.database} (gateway: {services.settings.gateway})", err=True)
    # Those who store messages are other processes: nobody rings.
    for loop in services.start_delivery(longest_nap=0.02):
        loop.join()
    services.close()
