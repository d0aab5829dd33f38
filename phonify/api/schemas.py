"""What requests must look like, as marshmallow schemas; how messages are shown is in `showing.py`.

The messages of a ValidationError are error types of `errors.py`. What an argument's `form` says of it
goes into the API's description.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing

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

# JSON Schema. The formats are our own: which of the numbers of a pattern there are, no pattern can say.
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_BODY, "pattern": "^[^\\u0000]*$"}
MSISDN = {"type": "string", "format": "msisdn", "pattern": r"^\+[1-9][0-9]{1,14}$", "examples": ["+14560000000"]}
_ORIGINATOR = {
    "type": "string",
    "format": "originator",
    "pattern": r"^(\+[1-9][0-9]{1,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9 ]{0,9}[A-Za-z0-9])?)$",
    "examples": ["+15005550006"],
}
_OWN_NUMBER = {
    "type": "string",
    "format": "own-number",
    "pattern": r"^(\+[1-9][0-9]{1,14}|[0-9]{3,8})$",
    "examples": ["+15005550006"],
}
MESSAGE_ID = {
    "type": "string",
    "format": "message-id",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    "examples": ["019c1353-98c0-7000-8000-5c0ffee00001"],
}
_TIME = {"type": "string", "format": "date-time", "examples": ["2026-01-31T18:00:00Z"]}
_IDEMPOTENCY_KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[ -~]*$",
    "description": "Makes it safe to send the request again: within 24 hours it gives the first answer again.",
    "examples": ["order-1042"],
}


def load(schema: Schema, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check arguments; raise InvalidRequest with every fault there is."""
    try:
        loaded: dict[str, Any] = schema.load(arguments)
    except ValidationError as error:
        raise InvalidRequest(_list_faults(error.messages_dict)) from error
    return loaded


def _list_faults(messages: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for param, found in messages.items():
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
    """One argument: a string that `read` turns into its value or raises ValueError.

    `form` is JSON Schema; `further` are the error types that `read` raises beside `invalid`.
    """

    default_error_messages = {"required": "missing_argument"}  # noqa: RUF012 - marshmallow's own interface

    def __init__(
        self,
        read: Callable[[str], Any],
        *,
        invalid: str,
        form: Mapping[str, Any],
        further: Sequence[str] = (),
        **options: Any,
    ) -> None:
        if "validate" in options:
            raise TypeError("it is `read` that validates")
        super().__init__(metadata=form, **options)
        self.read = read
        self.invalid = invalid
        self.further = further

    def list_error_types(self) -> list[str]:
        """Return what may be wrong with it."""
        absent = ["missing_argument"] if self.required else []
        return [*absent, "repeated_argument", self.invalid, *self.further]

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **_: Any) -> Any:
        """Return what an argument means; there are no validators and no defaults that are called."""
        if value is missing or value is None:
            if self.required:
                raise self.make_error("required")
            return self.load_default
        return self.read_all(value)

    def read_all(self, value: Any) -> Any:
        """Return what the value or values of an argument mean."""
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

    def __init__(self, *, most: int, description: str, **options: Any) -> None:
        several = {"type": "array", "items": MSISDN, "minItems": 1, "maxItems": most}
        form = {"anyOf": [MSISDN, several], "description": description}
        super().__init__(parse_msisdn, invalid="invalid_msisdn", form=form, **options)
        self.most = most

    def list_error_types(self) -> list[str]:
        """Return what may be wrong with it."""
        return ["missing_argument", self._too_many, self.invalid]

    @property
    def _too_many(self) -> str:
        return "too_many_recipients" if self.most > 1 else "repeated_argument"

    def read_all(self, value: Any) -> list[Recipient]:
        """Return the recipients."""
        if not isinstance(value, list):
            return [Recipient(self.read_one(value), "to")]
        if not value:
            raise ValidationError("missing_argument")
        if len(value) > self.most:
            raise ValidationError(self._too_many)
        recipients, faults = [], {}
        for index, one in enumerate(value):
            try:
                recipients.append(Recipient(self.read_one(one), f"to[{index}]"))
            except ValidationError as error:
                faults[index] = error.messages
        if faults:
            raise ValidationError(faults)
        return recipients


def _text(description: str, **options: Any) -> Argument:
    form = {**_TEXT, "description": description}
    return Argument(read_text, invalid="invalid_text", form=form, further=("empty_text", "text_too_long"), **options)


def _originator(description: str, **options: Any) -> Argument:
    form = {**_ORIGINATOR, "description": description}
    return Argument(parse_originator, invalid="invalid_originator", form=form, **options)


def _own_number(text: str) -> Number:
    """Read a number that a phone can send to: a short code has no letters."""
    number = parse_originator(text)
    if not text.lstrip("+").isdigit():
        raise ValueError
    return number


def _phone(description: str) -> Argument:
    form = {**_ORIGINATOR, "description": description}
    return Argument(parse_originator, invalid="invalid_msisdn", form=form)


def _time(description: str) -> Argument:
    return Argument(parse_time, invalid="invalid_time", form={**_TIME, "description": description})


def _message_id(description: str) -> Argument:
    form = {**MESSAGE_ID, "description": description}
    return Argument(_read_message_id, invalid="invalid_message_id", form=form)


def _choice(*choices: str, invalid: str, description: str) -> Argument:
    form = {"type": "string", "enum": list(choices), "description": description}
    return Argument(_read_choice(*choices), invalid=invalid, form=form)


class ArgumentsSchema(Schema):
    """Base of what requests are checked against: all its fields are Arguments, and what is unknown is ignored.

    They are read without marshmallow's hooks and validators, of which there are none.
    """

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._arguments = []
        for name, field in self.load_fields.items():
            if not isinstance(field, Argument):
                raise TypeError(f"{type(self).__name__}.{name} is not an Argument")
            self._arguments.append((name, field.data_key or name, field))

    def load(self, data: Any, **_: Any) -> dict[str, Any]:
        """Return what arguments mean; raise ValidationError with all that is wrong."""
        loaded, wrong = {}, {}
        for name, key, argument in self._arguments:
            try:
                value = argument.deserialize(data.get(key))
            except ValidationError as error:
                wrong[key] = error.messages
            else:
                if value is not missing:
                    loaded[name] = value
        if wrong:
            raise ValidationError(wrong, data=data, valid_data=loaded)
        return loaded


class SendSchema(ArgumentsSchema):
    """Arguments of sending a message."""

    recipients = RecipientsArgument(
        most=MAX_RECIPIENTS,
        required=True,
        data_key="to",
        description="One number in E.164 with the plus sign, or up to 1,000: an array, repeated fields or `to[]`.",
    )
    body = _text("The text: 1 to 160 characters (Unicode code points), no NUL.", required=True)
    origin = _originator(
        "The sender: a number in E.164, a short code of 3 to 8 digits, or up to 11 letters, digits and spaces with"
        " at least one letter. Default: the account's."
    )
    send_at = _time("When to send it: ISO 8601 with a time zone. A time that has passed means now.")
    idempotency_key = Argument(
        _read_idempotency_key,
        invalid="invalid_idempotency_key",
        form=_IDEMPOTENCY_KEY,
        data_key="Idempotency-Key",
    )


class ChangeSchema(ArgumentsSchema):
    """Arguments of changing a message that waits for its time."""

    to = RecipientsArgument(most=1, description="Another number.")
    body = _text("Another text: 1 to 160 characters.")
    send_at = _time("Another time. One that has passed means now.")


class PagingSchema(ArgumentsSchema):
    """Arguments of a list that has no criteria."""

    offset = NumericArgument(
        _read_whole(0, MAX_OFFSET),
        invalid="invalid_offset",
        form={"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "description": "How many to leave out first."},
        load_default=0,
    )
    limit = NumericArgument(
        _read_whole(1, MAX_LIMIT),
        invalid="invalid_limit",
        form={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "description": "How many to list at most."},
        load_default=50,
    )


class ListSchema(PagingSchema):
    """Arguments of listing messages."""

    to = _phone("Only those to this number.")
    origin = _originator("Only those from this sender.")
    phone = _phone("Only those to or from this number.")
    state = _choice("unconfirmed", "sent", "error", invalid="invalid_state", description="Only those in this state.")
    direction = _choice(
        "outbound", "inbound", invalid="invalid_direction", description="Only those that went this way."
    )
    q = _text("Only those with this text anywhere in the body; ASCII letters match in either case.")
    after = _message_id("Only those created after the message with this id, which may have been removed.")
    before = _message_id("Only those created before it.")
    wait = NumericArgument(
        _read_wait,
        invalid="invalid_wait",
        form={
            "type": "number",
            "minimum": 0,
            "maximum": MAX_WAIT,
            "description": "Where nothing matches, wait up to so many seconds until something does.",
        },
        load_default=0.0,
    )


class InboundSchema(ArgumentsSchema):
    """Arguments of simulating a received message."""

    sender = _originator("Who writes: the phone.", required=True, data_key="from")
    to = Argument(
        _own_number,
        invalid="invalid_msisdn",
        form={**_OWN_NUMBER, "description": "The app's number or short code."},
        required=True,
    )
    body = _text("The text: 1 to 160 characters.", required=True)


class CheckSchema(ArgumentsSchema):
    """Arguments of checking a text."""

    body = _text("The text: 1 to 160 characters.", required=True)


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
