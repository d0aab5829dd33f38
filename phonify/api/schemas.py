"""What requests must look like, as marshmallow schemas; how messages are shown is in `showing.py`.

The messages of a ValidationError are error types of `errors.py`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from ..clock import parse_time
from ..errors import Fault, InvalidRequest
from ..ids import is_message_id
from ..messaging import Recipient
from ..numbers import Number, parse_msisdn, parse_originator

MAX_BODY = 160  # characters (Unicode code points)
MAX_RECIPIENTS = 1_000
MAX_LIMIT = 1_000
MAX_OFFSET = 2**31 - 1
MAX_WAIT = 30  # seconds


def load(schema: Schema, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check arguments; raise InvalidRequest with every fault there is."""
    try:
        loaded: dict[str, Any] = schema.load(arguments)
    except ValidationError as error:
        raise InvalidRequest(_list_faults(error.messages_dict)) from error
    return loaded


def _list_faults(messages: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for argument, found in messages.items():
        param = None if argument == "_schema" else argument
        if isinstance(found, Mapping):  # one of several: by its index
            faults += [Fault(types[0], f"{param}[{index}]") for index, types in found.items()]
        else:
            faults += [Fault(type_, param) for type_ in found]
    return faults


def read_text(text: str) -> str:
    """Check the text of a message."""
    if not text:
        raise ValidationError("empty_text")
    if "\0" in text:
        raise ValidationError("invalid_text")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:  # an unpaired surrogate
            raise ValidationError("invalid_text") from error
    if len(text) > MAX_BODY:
        raise ValidationError("text_too_long")
    return text


def _read_whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not lowest <= int(text) <= highest:
            raise ValueError
        return int(text)

    return read


def _read_wait(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,9})?", text) or float(text) > MAX_WAIT:
        raise ValueError
    return float(text)


def _read_choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return read


def _read_message_id(text: str) -> str:
    if not is_message_id(text):
        raise ValueError
    return text


def _read_idempotency_key(text: str) -> str:
    if not re.fullmatch(r"[ -~]{1,255}", text):
        raise ValueError
    return text


class Argument(fields.Field[Any]):
    """One argument: a string that `read` turns into its value or raises ValueError."""

    default_error_messages = {"required": "missing_argument"}  # noqa: RUF012 - marshmallow's own interface

    def __init__(self, read: Callable[[str], Any], *, invalid: str, **options: Any) -> None:
        super().__init__(**options)
        self.read = read
        self.invalid = invalid

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        if isinstance(value, list):
            raise ValidationError("repeated_argument")
        return self.read_one(value)

    def read_one(self, value: Any) -> Any:
        """Return what a single value means."""
        if not isinstance(value, str):
            raise ValidationError(self.invalid)
        try:
            return self.read(value)
        except ValueError as error:
            if isinstance(error, ValidationError):
                raise
            raise ValidationError(self.invalid) from error


class NumericArgument(Argument):
    """An argument that JSON may give as a number as well."""

    def read_one(self, value: Any) -> Any:
        """Return what a single value means."""
        if isinstance(value, float):
            value = f"{value:.9f}"
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super().read_one(value)


class RecipientsArgument(Argument):
    """One MSISDN or a list of them; loaded as a list of Recipient."""

    def __init__(self, *, most: int, **options: Any) -> None:
        super().__init__(parse_msisdn, invalid="invalid_msisdn", **options)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> list[Recipient]:
        if not isinstance(value, list):
            return [Recipient(self.read_one(value), "to")]
        if not value:
            raise ValidationError("missing_argument")
        if len(value) > self.most:
            raise ValidationError("too_many_recipients" if self.most > 1 else "repeated_argument")
        recipients, faults = [], {}
        for index, one in enumerate(value):
            try:
                recipients.append(Recipient(self.read_one(one), f"to[{index}]"))
            except ValidationError as error:
                faults[index] = error.messages
        if faults:
            raise ValidationError(faults)
        return recipients


def _text(**options: Any) -> Argument:
    return Argument(read_text, invalid="invalid_text", **options)


def _originator(**options: Any) -> Argument:
    return Argument(parse_originator, invalid="invalid_originator", **options)


def _own_number(text: str) -> Number:
    """Read a number that a phone can send to: a short code has no letters."""
    number = parse_originator(text)
    if not text.lstrip("+").isdigit():
        raise ValueError
    return number


def _number(read: Callable[[str], Number] = parse_originator, **options: Any) -> Argument:
    return Argument(read, invalid="invalid_msisdn", **options)


def _time(**options: Any) -> Argument:
    return Argument(parse_time, invalid="invalid_time", **options)


def _message_id(**options: Any) -> Argument:
    return Argument(_read_message_id, invalid="invalid_message_id", **options)


class ArgumentsSchema(Schema):
    """Base of what requests are checked against: unknown arguments are ignored."""

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE


class SendSchema(ArgumentsSchema):
    """Arguments of sending a message."""

    recipients = RecipientsArgument(most=MAX_RECIPIENTS, required=True, data_key="to")
    body = _text(required=True)
    origin = _originator()
    send_at = _time()
    idempotency_key = Argument(
        _read_idempotency_key, invalid="invalid_idempotency_key", data_key="Idempotency-Key", allow_none=True
    )


class ChangeSchema(ArgumentsSchema):
    """Arguments of changing a message that waits for its time."""

    to = RecipientsArgument(most=1)
    body = _text()
    send_at = _time()


class PagingSchema(ArgumentsSchema):
    """Arguments of a list that has no criteria."""

    offset = NumericArgument(_read_whole(0, MAX_OFFSET), invalid="invalid_offset", load_default=0)
    limit = NumericArgument(_read_whole(1, MAX_LIMIT), invalid="invalid_limit", load_default=50)


class ListSchema(PagingSchema):
    """Arguments of listing messages."""

    to = _number()
    origin = _originator()
    phone = _number()
    state = Argument(_read_choice("unconfirmed", "sent", "error"), invalid="invalid_state")
    direction = Argument(_read_choice("outbound", "inbound"), invalid="invalid_direction")
    q = _text()
    after = _message_id()
    before = _message_id()
    wait = NumericArgument(_read_wait, invalid="invalid_wait", load_default=0.0)


class InboundSchema(ArgumentsSchema):
    """Arguments of simulating a received message."""

    sender = _originator(required=True, data_key="from")
    to = _number(_own_number, required=True)
    body = _text(required=True)


def read_msisdn(text: str) -> Number:
    """Read the MSISDN in an address; raise InvalidRequest where it is none."""
    try:
        # A plus sign that was escaped the way a query has it, or not at all, is a space.
        return parse_msisdn(f"+{text[1:]}" if text.startswith(" ") else text)
    except ValueError as error:
        raise InvalidRequest([Fault("invalid_msisdn", "msisdn")]) from error


def describe_request(loaded: Mapping[str, Any]) -> list[Any]:
    """Return checked arguments in a form that is equal for equal requests, and only for those."""
    return [[name, _describe(value)] for name, value in sorted(loaded.items())]


def _describe(value: Any) -> Any:
    if isinstance(value, list):
        return [recipient.number.number for recipient in value]
    if isinstance(value, Number):
        return value.number
    return value.isoformat() if isinstance(value, datetime) else value
