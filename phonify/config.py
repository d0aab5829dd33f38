"""Settings: read from PHONIFY_* variables once, at the start. All faults are reported together."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from .errors import HIGHEST_MAX_BODY, MAX_BODY
from .gateways import GATEWAYS
from .gateways.base import Gateway
from .ids import is_auth_token
from .outgoing.url_guard import BadUrl, parse_url
from .sms.numbers import parse_msisdn, parse_originator

PREFIX = "PHONIFY_"
_KEY = re.compile(r"[A-Za-z0-9_.~-]+")
_SECRETS = ("api_key", "twilio_auth_token")  # never shown
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class ConfigError(click.ClickException):
    """The settings or the database can't be used. The command prints the message and exits with status 2."""

    exit_code = 2


@dataclass(frozen=True)
class Settings:
    """All settings. Each one is set by the variable PHONIFY_<NAME>."""

    database: Path = Path("phonify.db")
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None
    origin: str = "+15005550006"
    max_body: int = MAX_BODY
    gateway: str = "stub"
    gateway_window: int | None = None  # None: the gateway's own
    gateway_per_second: int | None = None  # segments, like the following two
    gateway_per_minute: int | None = None
    gateway_per_hour: int | None = None
    only_to: tuple[str, ...] = ()  # if there are any, only these numbers get messages
    release_gateway: str | None = None
    public_url: str | None = None
    workers: int = 2
    threads: int = 8
    waiting: int = 64
    validity: timedelta = timedelta(hours=24)
    lease: timedelta = timedelta(seconds=30)
    grace: int = 30
    keepalive: int = 75
    cors: tuple[str, ...] = ()  # origins of other pages that may call the API
    webhook_private: bool | None = None  # None: on if the gateway is a sandbox, else off
    retain_messages: int | None = None
    retain_days: int | None = None
    access_log: bool = True
    log_level: str = "INFO"
    log_format: str = "text"
    metrics: bool = False
    twilio: bool | None = None  # None: with a sandbox gateway only
    twilio_auth_token: str | None = None  # of the account `default`


def read_settings(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from an environment. Raises one ConfigError that names all faults.

    `overrides` replace values of the environment. Their names have no prefix: `{"DATABASE": "/tmp/test.db"}`. A value
    may be text or have the type of the setting. An unknown name is a fault.
    """
    given = merge(environ, overrides)
    values, faults = {}, []
    for field in fields(Settings):
        value = given.get(field.name.upper())
        if value in (None, ()):
            continue
        text = _write(value)
        try:
            values[field.name] = _READERS[field.name](text)
        except ValueError as error:
            shown = "" if field.name in _SECRETS else f"{text!r} "
            faults.append(f"{PREFIX}{field.name.upper()}: {shown}{error}")
    known = {field.name.upper() for field in fields(Settings)}
    known.update(name.removeprefix(PREFIX) for gateway in GATEWAYS.values() for name in gateway.variables)
    faults += [f"{name}: is not a setting" for name in overrides or {} if name not in known]
    settings = Settings(**values)
    faults += _find_gateway_faults(settings, given)
    if faults:
        faults += [f"{name}: is not a setting, and is ignored" for name in unknown_settings(environ)]
        raise ConfigError("\n".join(["these settings can't be used:", *(f"  {fault}" for fault in faults)]))
    return settings


def _find_gateway_faults(settings: Settings, given: Mapping[str, Any]) -> list[str]:
    """Return the faults of the gateways' own variables, and of settings that need each other."""
    faults = []
    for name in dict.fromkeys(filter(None, (settings.gateway, settings.release_gateway))):
        try:
            make_gateway(name, given)
        except ValueError as error:
            faults += [line.strip() for line in str(error).split("\n")]
    sandbox = GATEWAYS[settings.gateway].sandbox
    if settings.release_gateway is not None and GATEWAYS[settings.release_gateway].sandbox:
        faults.append(f"{PREFIX}RELEASE_GATEWAY: {settings.release_gateway!r} sends nothing")
    if settings.release_gateway is not None and not sandbox:
        faults.append(f"{PREFIX}RELEASE_GATEWAY: needs the gateway stub, because {settings.gateway} sends everything")
    if settings.release_gateway is not None and not settings.only_to:
        faults.append(f"{PREFIX}RELEASE_GATEWAY: needs {PREFIX}ONLY_TO with the numbers that may get messages")
    if sandbox and settings.only_to and settings.release_gateway is None:
        faults.append(f"{PREFIX}ONLY_TO: needs {PREFIX}RELEASE_GATEWAY, because the gateway stub sends nothing")
    return faults


def make_gateway(name: str, given: Mapping[str, Any]) -> Gateway:
    """Return a new gateway from its variables, which may have no prefix. Raises ValueError with all faults."""
    environ = {
        f"{PREFIX}{key.removeprefix(PREFIX)}": _write(value) for key, value in given.items() if value is not None
    }
    return GATEWAYS[name].from_environ(environ)


def merge(environ: Mapping[str, str], overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all PHONIFY_* variables without their prefix. `overrides` replace them."""
    given: dict[str, Any] = {
        name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)
    }
    return {**given, **(overrides or {})}


def check_setting(name: str, text: str) -> None:
    """Raise ValueError if a text is not a valid value for the setting with this name, such as `port`."""
    _READERS[name](text)


def list_defaults() -> list[tuple[str, str]]:
    """Return the variable of each setting and its default as text. The text is empty if there is no default."""
    defaults = Settings()
    found = [(field.name, getattr(defaults, field.name)) for field in fields(Settings)]
    return [(f"{PREFIX}{name.upper()}", "" if value is None else _write(value)) for name, value in found]


def write_address(host: str, port: int) -> str:
    """Return the address of a server for a browser on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _write(value: Any) -> str:
    """Return a setting's value as text, as it would be in the environment."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(int(value.total_seconds())) if isinstance(value, timedelta) else str(value)


def _read_whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return read


def _read_seconds(lowest: int, highest: int) -> Callable[[str], timedelta]:
    read = _read_whole(lowest, highest)

    def read_seconds(text: str) -> timedelta:
        try:
            return timedelta(seconds=read(text))
        except ValueError as error:
            raise ValueError(f"{error} (seconds)") from error

    return read_seconds


def _read_choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return text

    return read


def _read_gateway(text: str) -> str:
    return _read_choice(*GATEWAYS)(text)


def _read_path(text: str) -> Path:
    if not text or "\0" in text or text.startswith((":memory:", "file:")):
        raise ValueError("must be the path of a file")
    return Path(text)


def _read_host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", text):
        raise ValueError("must be a host name or an address, such as 127.0.0.1, 0.0.0.0 or ::1")
    return text


def _read_key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise ValueError("must consist of A-Z a-z 0-9 _ . ~ - (recommended: at least 22 random characters)")
    return text


def _read_auth_token(text: str) -> str:
    if not is_auth_token(text):
        raise ValueError("must be 1 to 64 printable ASCII characters without spaces")
    return text


def _read_origin(text: str) -> str:
    try:
        return parse_originator(text).number
    except ValueError as error:
        raise ValueError(
            "must be an E.164 number with the plus sign, a short code of 3 to 8 digits,"
            " or up to 11 printable characters of the GSM 7-bit alphabet with at least one letter"
        ) from error


def _read_origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.replace(",", " ").split())
    if not all(re.fullmatch(r"\*|https?://[A-Za-z0-9.:\[\]_-]+", origin) for origin in origins):
        raise ValueError("must be origins such as http://localhost:5173, with commas between them, or *")
    return tuple(origin.lower() for origin in origins)


def _read_numbers(text: str) -> tuple[str, ...]:
    try:
        # An empty text is a fault too, because it would permit all numbers.
        return tuple(parse_msisdn(number).number for number in text.replace(",", " ").split() or [""])
    except ValueError as error:
        raise ValueError("must be E.164 numbers with the plus sign, with commas between them") from error


def _read_url(text: str) -> str:
    try:
        parse_url(text)
    except BadUrl as error:
        raise ValueError(f"must be an address such as https://sms.example.org: {error}") from error
    return text.rstrip("/")


def _read_switch(text: str) -> bool:
    return _read_choice("on", "off")(text) == "on"


_READERS: dict[str, Callable[[str], Any]] = {
    "database": _read_path,
    "host": _read_host,
    "port": _read_whole(0, 65_535),
    "api_key": _read_key,
    "origin": _read_origin,
    "max_body": _read_whole(MAX_BODY, HIGHEST_MAX_BODY),
    "gateway": _read_gateway,
    "gateway_window": _read_whole(1, 1_000),
    "gateway_per_second": _read_whole(1, 100_000),
    "gateway_per_minute": _read_whole(1, 1_000_000),
    "gateway_per_hour": _read_whole(1, 100_000_000),
    "only_to": _read_numbers,
    "release_gateway": _read_gateway,
    "public_url": _read_url,
    "workers": _read_whole(1, 64),
    "threads": _read_whole(1, 256),
    "waiting": _read_whole(1, 1_000),
    "validity": _read_seconds(1, 30 * 86_400),
    "lease": _read_seconds(1, 3_600),
    "grace": _read_whole(1, 600),
    "keepalive": _read_whole(1, 3_600),
    "cors": _read_origins,
    "webhook_private": _read_switch,
    "retain_messages": _read_whole(1, 999_999_999),
    "retain_days": _read_whole(1, 36_500),
    "access_log": _read_switch,
    "log_level": _read_choice(*_LOG_LEVELS),
    "log_format": _read_choice("text", "json"),
    "metrics": _read_switch,
    "twilio": _read_switch,
    "twilio_auth_token": _read_auth_token,
}


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Return the PHONIFY_* variables that are not settings. They are probably spelled wrong."""
    known = {f"{PREFIX}{field.name.upper()}" for field in fields(Settings)}
    known |= {f"{PREFIX}URL", f"{PREFIX}KEY"}  # for the plugin for pytest, and for the commands of the guides
    known.update(name for gateway in GATEWAYS.values() for name in gateway.variables)
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
