"""The settings. They are read once, at the start, from PHONIFY_* variables. All errors are reported together.

Each function `_read_...` reads one kind of value. For each setting, the class `Settings`
defines the default value and the function that reads the value.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from .errors import HIGHEST_MAX_BODY, MAX_BODY
from .gateways import GATEWAYS
from .ids import AUTH_TOKEN
from .outgoing.url_guard import BadUrl, parse_url
from .sms.numbers import parse_msisdn, parse_originator

PREFIX = "PHONIFY_"
_SECRETS = (f"{PREFIX}API_KEY", f"{PREFIX}TWILIO_AUTH_TOKEN")  # never shown


class ConfigError(click.ClickException):
    """The settings or the database can't be used. The command prints the reason and exits with status 2."""

    exit_code = 2


def _setting(default: Any, read: Callable[[str], Any]) -> Any:
    """Return the dataclass field of a setting. `read` turns a text into the value, or raises ValueError."""
    return field(default=default, metadata={"read": read})


def _read_whole(lowest: int, highest: int, unit: str = "") -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}{unit}")
        return int(text)

    return read


def _read_seconds(lowest: int, highest: int) -> Callable[[str], timedelta]:
    read = _read_whole(lowest, highest, " (seconds)")
    return lambda text: timedelta(seconds=read(text))


def _read_choice(choices: Collection[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return text

    return read


def _read_form(pattern: str, description: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(description)
        return text

    return read


def _read_switch(text: str) -> bool:
    return _read_choice(("on", "off"))(text) == "on"


def _read_path(text: str) -> Path:
    if not text or "\0" in text or text.startswith((":memory:", "file:")):
        raise ValueError("must be the path of a file")
    return Path(text)


def _read_origin(text: str) -> str:
    try:
        return parse_originator(text).number
    except ValueError as error:
        raise ValueError(
            "must be a short code of 3 to 8 digits, a name, or an E.164 number with the plus sign."
            " A name has up to 11 printable characters of the GSM 7-bit alphabet. At least one character is a letter"
        ) from error


def _read_origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.replace(",", " ").split())
    if not all(re.fullmatch(r"\*|https?://[A-Za-z0-9.:\[\]_-]+", origin) for origin in origins):
        raise ValueError(
            "must be an asterisk (*), or origins with commas between them, for example http://localhost:5173"
        )
    return tuple(origin.lower() for origin in origins)


def _read_numbers(text: str) -> tuple[str, ...]:
    try:
        # An empty text is an error too, because it would allow all numbers.
        return tuple(parse_msisdn(number).number for number in text.replace(",", " ").split() or [""])
    except ValueError as error:
        raise ValueError("must be E.164 numbers with the plus sign, with commas between them") from error


def _read_url(text: str) -> str:
    try:
        parse_url(text)
    except BadUrl as error:
        raise ValueError(f"must be an address such as https://sms.example.org: {error}") from error
    return text.rstrip("/")


@dataclass(frozen=True)
class Settings:
    """All settings. Each setting has a variable PHONIFY_<NAME>."""

    database: Path = _setting(Path("phonify.db"), _read_path)
    host: str = _setting(
        "127.0.0.1",
        _read_form(r"[A-Za-z0-9.:_-]+", "must be a host name or an address, such as 127.0.0.1, 0.0.0.0 or ::1"),
    )
    port: int = _setting(8000, _read_whole(0, 65_535))
    api_key: str | None = _setting(
        None,
        _read_form(
            r"[A-Za-z0-9_.~-]+", "must consist of A-Z a-z 0-9 _ . ~ - (recommended: at least 22 random characters)"
        ),
    )
    origin: str = _setting("+15005550006", _read_origin)
    max_body: int = _setting(MAX_BODY, _read_whole(MAX_BODY, HIGHEST_MAX_BODY))
    gateway: str = _setting("stub", _read_choice(GATEWAYS))
    gateway_window: int | None = _setting(None, _read_whole(1, 1_000))  # None means the gateway's own window
    gateway_per_second: int | None = _setting(None, _read_whole(1, 100_000))  # these three limits count segments
    gateway_per_minute: int | None = _setting(None, _read_whole(1, 1_000_000))
    gateway_per_hour: int | None = _setting(None, _read_whole(1, 100_000_000))
    only_to: tuple[str, ...] = _setting((), _read_numbers)  # if it is not empty, only these numbers get messages
    release_gateway: str | None = _setting(None, _read_choice(GATEWAYS))
    public_url: str | None = _setting(None, _read_url)
    workers: int = _setting(2, _read_whole(1, 64))
    threads: int = _setting(8, _read_whole(1, 256))
    waiting: int = _setting(64, _read_whole(1, 1_000))
    validity: timedelta = _setting(timedelta(hours=24), _read_seconds(1, 30 * 86_400))
    lease: timedelta = _setting(timedelta(seconds=30), _read_seconds(1, 3_600))
    grace: int = _setting(30, _read_whole(1, 600))
    keepalive: int = _setting(75, _read_whole(1, 3_600))
    cors: tuple[str, ...] = _setting((), _read_origins)  # origins of other pages that may call the API
    webhook_private: bool | None = _setting(None, _read_switch)  # None means `on` in a sandbox, otherwise `off`
    retain_messages: int | None = _setting(None, _read_whole(1, 999_999_999))
    retain_days: int | None = _setting(None, _read_whole(1, 36_500))
    access_log: bool = _setting(True, _read_switch)
    log_level: str = _setting("INFO", _read_choice(("DEBUG", "INFO", "WARNING", "ERROR")))
    log_format: str = _setting("text", _read_choice(("text", "json")))
    metrics: bool = _setting(False, _read_switch)
    twilio: bool | None = _setting(None, _read_switch)  # None means `on` in a sandbox, otherwise `off`
    twilio_auth_token: str | None = _setting(  # of the account `default`
        None, _read_form(AUTH_TOKEN, "must be 1 to 64 printable ASCII characters without spaces")
    )


_FIELDS = {f"{PREFIX}{field.name.upper()}": field for field in fields(Settings)}  # by the variable


def read_settings(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from an environment. Raises one ConfigError with all errors.

    `overrides` replaces values of the environment. Its keys are names of settings without the prefix `PHONIFY_`, for
    example `DATABASE`. Each value is a string, or has the type of the setting. An unknown name is an error.
    """
    given, known = merge(environ, overrides), _list_variables()
    values, faults = {}, []
    for variable, setting in _FIELDS.items():
        if variable in given:
            try:
                values[setting.name] = setting.metadata["read"](given[variable])
            except ValueError as error:
                shown = "" if variable in _SECRETS else f"{given[variable]!r} "
                faults.append(f"{variable}: {shown}{error}")
    faults += [f"{name}: is not a setting" for name in overrides or {} if f"{PREFIX}{name}" not in known]
    settings = Settings(**values)
    faults += _find_gateway_faults(settings, given)
    if faults:
        faults += [f"{name}: is not a setting, and is ignored" for name in unknown_settings(environ)]
        raise ConfigError("\n".join(["these settings can't be used:", *(f"  {fault}" for fault in faults)]))
    return settings


def merge(environ: Mapping[str, str], overrides: Mapping[str, Any] | None) -> dict[str, str]:
    """Apply `overrides` to an environment, and return all PHONIFY_* variables.

    If the value of an override is None, remove the override's variable from the result. The setting then has its
    default.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    for name, value in (overrides or {}).items():
        if value in (None, ()):
            given.pop(f"{PREFIX}{name}", None)
        else:
            given[f"{PREFIX}{name}"] = _write(value)
    return given


def _find_gateway_faults(settings: Settings, given: Mapping[str, str]) -> list[str]:
    """Check the variables of the gateways, and check for settings that exclude each other. Return the errors."""
    faults = []
    for name in dict.fromkeys(filter(None, (settings.gateway, settings.release_gateway))):
        try:
            GATEWAYS[name].from_environ(given)
        except ValueError as error:
            faults += [line.strip() for line in str(error).split("\n")]
    sandbox, release = GATEWAYS[settings.gateway].sandbox, settings.release_gateway
    if release is None:
        if sandbox and settings.only_to:
            faults.append(f"{PREFIX}ONLY_TO: needs {PREFIX}RELEASE_GATEWAY, because the gateway stub sends nothing")
        return faults
    if GATEWAYS[release].sandbox:
        faults.append(f"{PREFIX}RELEASE_GATEWAY: {release!r} sends nothing")
    if not sandbox:
        faults.append(f"{PREFIX}RELEASE_GATEWAY: needs the gateway stub, because {settings.gateway} sends everything")
    if not settings.only_to:
        faults.append(
            f"{PREFIX}RELEASE_GATEWAY: needs {PREFIX}ONLY_TO with the numbers that are allowed to get messages"
        )
    return faults


def _list_variables() -> set[str]:
    """Return the names of all known environment variables.

    Each variable is a setting of Phonify or a setting of a gateway.
    """
    return {*_FIELDS, *(name for gateway in GATEWAYS.values() for name in gateway.variables)}


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Return the PHONIFY_* variables that are not settings. Their names are probably spelled wrong."""
    # The pytest plugin uses the first one, and the commands in the guides use the second one.
    known = _list_variables() | {f"{PREFIX}URL", f"{PREFIX}KEY"}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def check_setting(name: str, text: str) -> None:
    """Raise ValueError if `text` is not a valid value of the setting `name`."""
    _FIELDS[f"{PREFIX}{name.upper()}"].metadata["read"](text)


def list_defaults() -> list[tuple[str, str]]:
    """Return two strings for each setting: the name of the variable, and the default value.

    If a setting has no default value, the second string is empty.
    """
    return [(name, "" if field.default is None else _write(field.default)) for name, field in _FIELDS.items()]


def write_address(host: str, port: int) -> str:
    """Return the URL at which a browser on the same machine can reach the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing listens on it
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _write(value: Any) -> str:
    """Convert a value to a string for an environment variable."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(int(value.total_seconds())) if isinstance(value, timedelta) else str(value)
