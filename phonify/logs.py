"""Logs: the masking of keys, and the format, text or JSON."""

import json
import logging
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

# Each character of the argument's name also in its percent-encoded form, and whatever else is taken for the name:
# `api_key[]`, `api-key`, `key`.
_KEY = "".join(f"(?:{character}|%{ord(character):02x})" for character in "key")
_ARGUMENT = re.compile(rf"({_KEY}[^=&?/\s]{{0,20}}?(?:=|%3d))(?:[^&\s]*[^&\s\"])?", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(basic(?:\s|\+|%20)+)[A-Za-z0-9+/=_~.%-]+", re.IGNORECASE)
_USERINFO = re.compile(r"(//)[^/@\s]*@")
_OURS = re.compile(r"phk_[A-Za-z0-9_-]+")  # a key that `accounts` has made, wherever it may stand
_SUSPECT = re.compile(r"[=@%\s]|phk_")  # one of these is in all that is masked
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# The loggers of servers that this app may run on and that log addresses or headers.
_SERVERS = ("werkzeug", "gunicorn.access", "gunicorn.error", "granian.access")
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({})))  # what every record has; the rest was given as `extra`

_PARSING = "gunicorn.error"
_REFUSED = "Invalid request from"


def mask_keys(text: str) -> str:
    """Return a text without the API keys in addresses and Authorization headers."""
    if not _SUSPECT.search(text):
        return text
    text = _ARGUMENT.sub(r"\1***", text)
    text = _CREDENTIALS.sub(r"\1***", text)
    text = _OURS.sub("***", text)
    return _USERINFO.sub(r"\1***@", text)


def mask_request(method: str, address: str) -> tuple[str, str]:
    """Return the method and the address of a request without keys, also where they are an Authorization header."""
    return method, mask_keys(address) if method.upper() != "BASIC" else "***"


def escape_controls(text: str) -> str:
    """Return a text that stays on its line, whatever a client has put into it."""
    return text if text.isprintable() else _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class KeyFilter(logging.Filter):
    """Masks keys in what a server logs of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place."""
        if isinstance(record.args, MutableMapping):  # gunicorn's atoms; `u` is the username: the key
            record.args.update({"u": "-", "{authorization}i": "-"})
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return True  # logging itself reports arguments that don't fit
        if record.name == _PARSING and message.startswith(_REFUSED):
            # What follows is a piece of the request, whatever it was: a key sent in the wrong place, too.
            message = f"{_REFUSED} {message.removeprefix(_REFUSED).split(':')[0].strip()}"
        message = mask_keys(message)
        # Werkzeug escapes what clients send itself, and colours its own lines.
        record.msg, record.args = message if record.name == "werkzeug" else escape_controls(message), ()
        return True


def install_key_filter() -> None:
    """Mask keys in the logs of all servers that this app may run on."""
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, KeyFilter) for present in logger.filters):
            logger.addFilter(KeyFilter())


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger, message, whatever was given as `extra`, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES and name != "message"
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logs(log_format: str) -> None:
    """Let the root logger write to standard error, as text or as JSON."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    logging.basicConfig(handlers=[handler])
