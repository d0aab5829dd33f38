"""Masks keys in log lines, and writes the lines as text or JSON. All log lines of a server have the same format."""

import json
import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from .clock import format_time

logger = logging.getLogger(__name__)

# These names match the argument `api_key`, even if its name is percent-encoded. They also match similar names that a
# client may use by mistake: `api_key[]`, `api-key`, `key`. Auth tokens and secrets are masked too.
_NAMES = "|".join(
    "".join(f"(?:{character}|%{ord(character):02x})" for character in name)
    for name in ("key", "auth_token", "authtoken", "secret")
)
_ARGUMENT = re.compile(rf"((?:{_NAMES})[^=&?/\s]{{0,20}}?(?:=|%3d))(?:[^&\s]*[^&\s\"])?", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(basic(?:\s|\+|%20)+)[A-Za-z0-9+/=_~.%-]+", re.IGNORECASE)
_USERINFO = re.compile(r"(//)[^/@\s]*@")
_OURS = re.compile(r"ph[kls]_[A-Za-z0-9_-]+")  # a key or a token that Phonify has made, anywhere in a text
# The URL of a callback can contain secrets, numbers and message bodies. These parts follow the gateway's name.
# The path of a Python file in a traceback is not masked.
_CALLBACK = re.compile(r"(/gateways/[^/?\s\"]+[/?])(?![\w/]+\.py\")[^\s\"]+")
_SUSPECT = re.compile(r"[=@%\s]|ph[kls]_|/gateways/")  # only a string that matches can contain a key
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Each of these loggers belongs to a WSGI server, and writes URLs or request headers.
_SERVERS = ("werkzeug", "gunicorn.access", "gunicorn.error", "granian.access")
# Every record has these attributes. All other attributes come from the argument `extra` of the log call.
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({})))

_PARSING = "gunicorn.error"
_REFUSED = "Invalid request from"


def mask_keys(text: str) -> str:
    """Replace each API key in `text` with `***`, and return the result.

    This function finds keys in URLs and in Authorization headers. In the URL of a callback, `***` also replaces
    everything after the name of the gateway.
    """
    if not _SUSPECT.search(text):
        return text
    text = _ARGUMENT.sub(r"\1***", text)
    text = _CREDENTIALS.sub(r"\1***", text)
    text = _OURS.sub("***", text)
    text = _CALLBACK.sub(r"\1***", text)
    return _USERINFO.sub(r"\1***@", text)


def mask_request(method: str, address: str) -> tuple[str, str]:
    """Mask the keys in the URL of a request. Return the method and the masked URL.

    A faulty client may send an Authorization header instead of a request line. Then the method is `BASIC`, and
    `address` contains a key instead of a URL. In this case, mask all of `address`.
    """
    return method, mask_keys(address) if method.upper() != "BASIC" else "***"


def escape_controls(text: str) -> str:
    """Escape the control characters in a text. Return the new text, which has only one line."""
    return text if text.isprintable() else _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class KeyFilter(logging.Filter):
    """Masks keys in log lines about requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record: mask all API keys in it. Return True, because every record is logged."""
        if isinstance(record.args, MutableMapping):  # gunicorn's values; `u` is the username, which is the key
            record.args.update({"u": "-", "{authorization}i": "-"})
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return True  # later, the logging module reports these wrong arguments
        if record.name == _PARSING and message.startswith(_REFUSED):
            # After the address of the client, gunicorn shows a part of the request. This part may contain a key.
            message = f"{_REFUSED} {message.removeprefix(_REFUSED).split(':')[0].strip()}"
        message = mask_keys(message)
        # Werkzeug escapes control characters itself. It also uses them for colours.
        record.msg, record.args = message if record.name == "werkzeug" else escape_controls(message), ()
        return True


def install_key_filter() -> None:
    """Install the filter that masks keys in the logs of WSGI servers."""
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, KeyFilter) for present in logger.filters):
            logger.addFilter(KeyFilter())


class TextFormatter(logging.Formatter):
    """Formats a record as text: time (UTC), level, logger and message, then the traceback."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - of logging
        """Return the time of a log record. The API uses the same time format."""
        return _write_time(record)

    def format(self, record: logging.LogRecord) -> str:
        """Convert a record to text, and mask the API keys in this text."""
        return mask_keys(super().format(record))


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, logger, message, the `extra` fields and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Convert a record to one line of JSON. Mask the API keys in the message and in the traceback."""
        line: dict[str, Any] = {
            "time": _write_time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_keys(record.getMessage()),
        }
        line |= {
            name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES and name != "message"
        }
        if record.exc_info:
            line["traceback"] = mask_keys(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def _write_time(record: logging.LogRecord) -> str:
    return format_time(datetime.fromtimestamp(record.created, UTC))


def make_formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of all log lines. `log_format` is `json` or `text`."""
    return JsonFormatter() if log_format == "json" else TextFormatter()


def configure_logs(log_format: str) -> None:
    """Make the root logger write to standard error, as text or as JSON.

    If `log_format` is `json`, Phonify also writes Python's warnings and all unhandled exceptions as JSON log lines.
    """
    logging.raiseExceptions = False  # a line that can't be written, for example on a full disk, is lost
    handler = logging.StreamHandler()
    handler.setFormatter(make_formatter(log_format))
    logging.basicConfig(handlers=[handler])
    if log_format == "json":
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_exception
        threading.excepthook = lambda failed: _log_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)


def _log_exception(type_: type[BaseException], value: BaseException | None, traceback: TracebackType | None) -> None:
    if not issubclass(type_, SystemExit):
        logger.critical("an unexpected error", exc_info=(type_, value or type_(), traceback))
