"""The start of a server. These functions open the port and print how to use the server."""

import errno
import logging
import os
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ..config import PREFIX, ConfigError, Settings, write_address
from ..services import Services

logger = logging.getLogger(__name__)

SAFE_KEY_LENGTH = 22  # characters of 6 bits
# If a server was killed, its processes keep the port open for a short time. So the next server waits for the port.
PORT_WAIT = 5.0  # the maximum, in seconds
BACKLOG = 2048  # the maximum number of connections that wait for a worker


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on a port. The port 0 means any free port. Raises ConfigError if the port can't be used.

    If the port is in use, the function waits up to 5 seconds.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Without this option, each answer takes 40 ms longer. gunicorn sets it too late for the first connections.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _bind(listener, address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"can't listen on {host} port {port}: {error.strerror}. Set PHONIFY_HOST or PHONIFY_PORT to another value."
        ) from error
    return listener


def _bind(listener: socket.socket, address: Any) -> None:
    end = time.monotonic() + PORT_WAIT
    while True:
        try:
            return listener.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
        time.sleep(0.1)


def log_start(services: Services, port: int, command: str) -> None:
    """Log the address of the server as JSON. The log does not contain an API key."""
    settings = services.settings
    _warn_of_short_key(services)
    address = write_address(settings.host, port)
    text = "Phonify serves %s from %s (gateway: %s)"
    logger.info(text, address, settings.database, settings.gateway, extra={"address": address})
    change = services.clock.describe_change()
    if change is not None:
        logger.warning("%s. To set it to the real time: %s clock reset", change, write_program(settings, command))
    if not services.has_key():
        logger.warning("there is no API key yet; make one with: %s keys create", write_program(settings, command))


def _warn_of_short_key(services: Services) -> None:
    key = services.settings.api_key
    if key is not None and len(key) < SAFE_KEY_LENGTH:
        logger.warning("PHONIFY_API_KEY is too short to be secure. Use it only for tests.")


def write_program(settings: Settings, command: str) -> str:
    """Return the first words of a command, such as `PHONIFY_DATABASE=sms.db flask --app app`.

    A command that begins with these words uses this server's database. The command works in the current folder.
    `command` is the program with its options, such as `flask --app app`.
    """
    program, _, options = command.partition(" ")
    installed = Path(sys.executable).with_name(program)
    program = shlex.quote(os.path.relpath(installed)) if installed.exists() else program
    is_default = settings.database.absolute() == Settings().database.absolute()
    setting = "" if is_default else f"{PREFIX}DATABASE={shlex.quote(str(settings.database))}"
    return " ".join(filter(None, (setting, program, options)))


def print_start(services: Services, port: int, command: str, *, link: str | None = None) -> None:
    """Print the address of the server, a command that sends a message, and a command that makes a key.

    At the first start, also print a new key. `command` is the program with its options, such as `flask --app app`.
    `link` is a sign-in link.
    """
    settings = services.settings
    _warn_of_short_key(services)
    address = write_address(settings.host, port)
    lines = [f"Phonify serves {address} from {settings.database} (gateway: {settings.gateway})"]
    key = services.create_first_key()
    if key is not None:
        lines += ["This is the API key of the account 'default'. It is shown only once:", "", f"    {key}", ""]
        lines += services.describe_fronts()
    if link is not None:
        lines += [
            "This link opens the inbox and signs you in. It works only once, and only for ten minutes:",
            "",
            f"    {link}",
            "",
        ]
    elif key is not None:
        lines += ["This link opens the inbox and signs you in:", "", f"    {address}/?api_key={key}", ""]
    else:
        known = "the" if settings.api_key is not None else "a"
        lines.append(f"The inbox is at {address}/. Sign in with {known} key.")
    if key is not None or settings.api_key is not None:
        shown = key or "$PHONIFY_API_KEY"
        example = f"curl {address}/v1/messages -u {shown}: -d to=+14560000000 -d body='Hello from Phonify'"
        lines += ["Send a message:", "", f"    {example}", ""]
    program = write_program(settings, command)
    change = services.clock.describe_change()
    if change is not None:
        lines += [f"{change[0].upper()}{change[1:]}. Set it to the real time with: {program} clock reset"]
    lines.append(f"Make another key with: {program} keys create")
    say_at_start("\n".join(lines))


def say_at_start(text: str) -> None:
    """Print a text for the person who starts a server. If it can't be printed, the server starts anyway."""
    try:
        print(text, flush=True)
    except OSError as error:
        logger.warning("can't print the start-up text: %s", error.strerror)
        # The old stream still contains the text. When a process ends, Python would try to print this text again.
        sys.stdout = open(sys.stdout.fileno(), "w", closefd=False)  # noqa: SIM115 - stays open
