"""Reads the callbacks of a provider: delivery receipts and received texts.

Each provider has its own parameter names. PHONIFY_HTTP_RECEIPT and PHONIFY_HTTP_INBOUND contain these names.
"""

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import get_args

from ...clock import parse_time
from ...ids import is_message_id
from ...logs import escape_controls
from ...sms.numbers import mask_number, parse_msisdn
from ..events import (
    CallbackAnswer,
    CallbackRequest,
    Forged,
    GatewayEvent,
    Heard,
    Part,
    Receipt,
    ReceiptStatus,
    Received,
    Unreadable,
)
from ..variables import Secret
from .answers import REFUSALS, is_identifier
from .parameters import Parameters, decode_text, read_parameters

logger = logging.getLogger(__name__)

IN_RECEIPTS = ("status", "code", "reference", "at")
IN_TEXTS = ("from", "to", "text", "text_hex", "charset", "event", "at", "part_reference", "part_number", "part_total")
_STATUSES = (*get_args(ReceiptStatus), *REFUSALS)

_RECEIPT = re.compile(r"receipt(?:/([^/]+)(?:/([1-9][0-9]{0,2})/([1-9][0-9]{0,2}))?)?")
_BARE_NUMBER = re.compile(r"(?:00)?([1-9][0-9]{8,14})")
_LONGEST_CODE = 64

Names = dict[str, str]  # from Phonify's names, such as status, to the provider's parameters


def parse_names(text: str, allowed: Collection[str], required: Collection[str]) -> Names:
    """Read the names of parameters, such as `status=type code=answer`.

    In this example, the provider sends the status in the parameter `type`. In `required`, the item `text|text_hex`
    means that one of the two names is enough.
    """
    mapping = {}
    for word in text.split():
        name, equals, parameter = word.partition("=")
        if not equals or not parameter or name in mapping or name not in allowed:
            raise ValueError(f"{word!r} can't be read: use NAME=PARAMETER, with one NAME of {', '.join(allowed)}")
        mapping[name] = parameter
    for names in required if mapping else ():
        if not mapping.keys() & set(names.split("|")):
            raise ValueError(f"{names.replace('|', '=PARAMETER or ')}=PARAMETER is missing")
    return mapping


def parse_statuses(text: str) -> list[tuple[str, str]]:
    """Read a string such as `delivered=1 undelivered=2,16`. Returns one pair for each value.

    The pairs have the same order as the values in `text`. A pair, such as `("2", "undelivered")`, contains the
    provider's value and the meaning of this value.
    """
    values = []
    for word in text.split():
        meaning, _, given = word.partition("=")
        if meaning not in _STATUSES or not given:
            raise ValueError(f"{word!r} can't be read: use STATUS=VALUE,VALUE; STATUS is {', '.join(_STATUSES)}")
        values += [(value, meaning) for value in given.split(",")]
    return values


@dataclass(frozen=True)
class Callbacks:
    """Reads the requests that a provider sends to `<secret>/receipt/<our id>` and `<secret>/inbound`."""

    secret: Secret
    receipt: Names
    statuses: list[tuple[str, str]]
    inbound: Names
    answer: str  # the body of the answer to each request

    def hear(self, request: CallbackRequest) -> Heard:
        """Read a request. Raises Forged if the path does not contain the secret."""
        secret, _, place = request.path.partition("/")
        expected = self.secret.reveal().encode()
        if not expected or not hmac.compare_digest(secret.encode(errors="replace"), expected):
            raise Forged
        found = _RECEIPT.fullmatch(place)
        event: GatewayEvent | None
        if found and self.receipt:
            event = self._read_receipt(read_parameters(request), found)
        elif place == "inbound" and self.inbound:
            event = self._read_text(read_parameters(request), request.at)
        else:
            raise Unreadable("there is no such callback")
        return Heard([event] if event is not None else [], CallbackAnswer(200, self.answer))

    def _read_receipt(self, parameters: Parameters, found: re.Match[str]) -> Receipt | None:
        """Return a receipt, or None if Phonify ignores the status."""
        get = _make_getter(parameters, self.receipt)
        status, reference = get("status"), get("reference")
        message_id, part, parts = found.groups()
        if message_id is not None and not is_message_id(message_id):
            raise Unreadable("the path has no id of a message")
        if not is_identifier(reference):
            reference = ""
        if message_id is None and not reference:
            raise Unreadable("it has no message id")
        meaning = next((word for value, word in self.statuses if fnmatchcase(status, value)), None)
        # The segments of a text are sent one after another. So only the last one shows that all were taken.
        if meaning is None or (meaning == "sent" and part != parts):
            return None
        undelivered = meaning in REFUSALS
        return Receipt(
            "undelivered" if undelivered else meaning,  # type: ignore[arg-type] # parse_statuses has checked it
            message_id=message_id,
            reference=reference or None,
            error_type=meaning if undelivered else None,
            code=_shorten(get("code")) or _shorten(status),
            at=_read_time(get("at")),
            event_id=f"{message_id or reference}/{part or ''}/{status[:_LONGEST_CODE]}",
            partial=parts is not None and parts != "1",
        )

    def _read_text(self, parameters: Parameters, arrival: datetime) -> Received | None:
        """Return a received text, or None if the text can't be decoded."""
        get = _make_getter(parameters, self.inbound)
        sender, to, at, event = get("from").strip(), get("to").strip(), get("at"), get("event")
        if not sender:
            raise Unreadable("it has no sender")
        octets = parameters.get(self.inbound.get("text", ""), b"")
        if hexadecimal := get("text_hex"):
            try:
                octets = bytes.fromhex(hexadecimal)
            except ValueError as error:
                raise Unreadable("its text is not hexadecimal") from error
        body = decode_text(octets, get("charset"))
        if body is None:
            # If Phonify refused the request, the provider would repeat it.
            masked = escape_controls(mask_number(sender))
            logger.warning("a message from %s is ignored: it is binary, or its charset is unknown", masked)
            return None
        part = _read_part(get)
        # A person may send a text such as STOP twice. If the callback has no time, Phonify uses the minute in which
        # the callback arrived. So the same text is a new message in the next minute.
        time = at or f"{arrival:%Y-%m-%dT%H:%M}"
        content = (sender.encode(), to.encode(), time.encode(), octets, get("part_reference").encode())
        return Received(
            _read_number(sender),
            body,
            event if is_identifier(event) else hashlib.sha256(b"\0".join([*content, str(part).encode()])).hexdigest(),
            to=_read_number(to) or None,
            at=_read_time(at),
            part=part,
        )


def _make_getter(parameters: Parameters, mapping: Names) -> Callable[[str], str]:
    """Return a function that reads a parameter.

    The function's argument is a name that Phonify uses, such as `status`. `mapping` contains the provider's name for
    the same parameter.

    If the value is missing, the function returns an empty string.
    """
    return lambda name: parameters.get(mapping.get(name, ""), b"").decode(errors="replace")


def _read_number(text: str) -> str:
    """Convert an international number to E.164. Other texts are returned unchanged."""
    if found := _BARE_NUMBER.fullmatch(text):
        try:
            return parse_msisdn(f"+{found[1]}").number
        except ValueError:
            return text
    return text


def _read_part(get: Callable[[str], str]) -> Part | None:
    number, total = get("part_number"), get("part_total")
    if not re.fullmatch("[0-9]{1,3}", number) or not re.fullmatch("[0-9]{1,3}", total) or int(total) < 2:
        return None
    return Part(get("part_reference"), int(total), int(number))


def _read_time(text: str) -> datetime | None:
    """Convert a string to a time. Returns None if the string has an unknown form.

    The known forms are ISO 8601, a number of seconds since 1970, and a number of milliseconds since 1970.
    """
    try:
        if re.fullmatch("[0-9]{9,10}", text):
            return datetime.fromtimestamp(int(text), UTC)
        if re.fullmatch("[0-9]{12,13}", text):
            return datetime.fromtimestamp(int(text) / 1_000, UTC)
        return parse_time(text)
    except (ValueError, OverflowError):
        return None


def _shorten(code: str) -> str:
    """Return two parts of an SMSC's receipt: the state and the error. Other parts can contain the message's body.

    If `code` contains neither part, return `code`. The result has at most 64 characters.
    """
    state, error = re.search(r"\bstat:(\w+)", code), re.search(r"\berr:(\w+)", code)
    if state or error:
        code = " ".join(found[1] for found in (state, error) if found)
    return "".join(filter(str.isprintable, code)).strip()[:_LONGEST_CODE]
