"""The commands for the clock of a sandbox: `flask --app app clock COMMAND`."""

from datetime import datetime, timedelta

import click

from ..clock import parse_time
from ..errors import Fault
from ..schemas.clock import dump_advance, dump_clock, read_duration, write_summary
from ..services import Services
from .output import Group, echo, get_services, json_option, print_json

clock_cli = Group("clock", help="Control the clock of a sandbox.")


@clock_cli.command("show")
@json_option
def show_clock(as_json: bool) -> None:
    """Show the clock of the server."""
    _print_clock(get_services(), as_json=as_json)


@clock_cli.command("freeze")
@json_option
def freeze_clock(as_json: bool) -> None:
    """Stop the clock for all accounts."""
    services = get_services()
    services.clock.freeze()
    _print_clock(services, as_json=as_json)


@clock_cli.command("run")
@json_option
def run_clock(as_json: bool) -> None:
    """Restart the stopped clock. The clock continues from its current time, not from the real time."""
    services = get_services()
    services.clock.run_on()
    _print_clock(services, as_json=as_json)


@clock_cli.command("reset")
@json_option
def reset_clock(as_json: bool) -> None:
    """Set the clock to the real time."""
    services = get_services()
    services.clock.reset()
    _print_clock(services, as_json=as_json)


def _read_duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    try:
        return read_duration(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(Fault("invalid_duration").title) from error


def _read_time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return parse_time(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(Fault("invalid_time").title) from error


@clock_cli.command("advance")
@click.argument("duration", required=False, callback=_read_duration)
@click.option(
    "--to", "target", callback=_read_time, help="Advance the clock to this time, for example 2026-01-31T18:00:00Z."
)
@json_option
def advance_clock(duration: timedelta | None, target: datetime | None, as_json: bool) -> None:
    """Advance the clock by DURATION, such as 24h or 1d12h.

    The command does all work that is due before or at the new time. The command does this work in
    the order of the due times. No running server or worker is necessary.
    """
    services = get_services()
    goal = target if duration is None else duration
    if goal is None or None not in (duration, target):
        raise click.UsageError("Give DURATION or --to, but not both.")
    advance = services.make_advancing().advance(goal, most_seconds=float("inf"))
    if as_json:
        print_json({**dump_clock(services.clock.get_status()), "advance": dump_advance(advance)})
        return
    echo(write_summary(advance))
    _print_clock(services, as_json=False)


def _print_clock(services: Services, *, as_json: bool) -> None:
    status = services.clock.get_status()
    if as_json:
        print_json(dump_clock(status))
    elif not status.changed:
        echo(f"The clock shows the real time, {status.now}.")
    else:
        stands = "stands still at" if status.frozen else "runs, and shows"
        echo(f"The clock {stands} {status.now}. The real time is {status.machine_now}.")
