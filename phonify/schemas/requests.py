"""What requests must look like, as marshmallow schemas; how objects are shown is in `objects.py`.

The messages of a ValidationError are error types of `errors.py`. What an argument's `form` says of it
goes into the API's description.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate, validates_schema
from marshmallow.exceptions import SCHEMA

from ..clock import parse_time
from ..errors import ERROR_TYPES, Fault, InvalidRequest
from ..ids import is_message_id
from ..sms.numbers import Number, parse_msisdn, parse_originator
from ..storage.records import Criteria

MAX_BODY = 160  # characters (Unicode code points)
MAX_RECIPIENTS = 1_000
MAX_LIMIT = 1_000
MAX_OFFSET = 2**31 - 1
MAX_WAIT = 30  # seconds

# JSON Schema. The formats are our own: which of the numbers of a pattern there are, no pattern can say.
_TEXT = {"type": "string", "pattern": "^[^\\u0000]*$"}
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


class Recipient(NamedTuple):
    """Whom a message goes to, and which argument of the request named them."""

    number: Number
    param: str


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
            faults += [Fault(type_, param if param != SCHEMA else None) for type_ in found]
    return faults


_TEXT_RULES = (
    validate.Length(min=1, error="empty_text"),
    validate.Length(max=MAX_BODY, error="text_too_long"),
    validate.Regexp(r"[^\0\ud800-\udfff]*\Z", error="invalid_text"),  # no NUL and no unpaired surrogate
)


def read_text(text: str) -> str:
    """Return the text of a message; raise ValidationError if no message can have it."""
    validate.And(*_TEXT_RULES)(text)
    return text


def _read_digits(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ValueError("not a whole number")
    return int(text)


def _read_seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,9})?", text):
        raise ValueError("not a number of seconds")
    return float(text)


def _read_message_id(text: str) -> str:
    if not is_message_id(text):
        raise ValueError("not a message id")
    return text


def _read_idempotency_key(text: str) -> str:
    if not re.fullmatch(r"[ -~]{1,255}", text):
        raise ValueError("not an idempotency key")
    return text


def _read_own_number(text: str) -> Number:
    """Read a number that a phone can send to: a short code has no letters."""
    number = parse_originator(text)
    if not text.lstrip("+").isdigit():
        raise ValueError("an alphanumeric sender")
    return number


class Argument(fields.Field[Any]):
    """One argument: a string that `read` turns into its value, or raises ValueError.

    `invalid` is the error type if it does, `form` is JSON Schema.
    """

    default_error_messages = {  # noqa: RUF012 - marshmallow's own interface
        "required": "missing_argument",
        "repeated": "repeated_argument",
    }

    def __init__(self, read: Callable[[str], Any], *, invalid: str, form: Mapping[str, Any], **options: Any) -> None:
        super().__init__(metadata=form, **options)
        self.error_messages["invalid"] = invalid
        self.read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, list):
            raise self.make_error("repeated")
        return self.read_one(value)

    def read_one(self, value: Any) -> Any:
        """Return what a single value means."""
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return self.read(value)
        except ValueError as error:
            raise self.make_error("invalid") from error


class NumericArgument(Argument):
    """A number in digits; JSON may give it as a number as well."""

    def read_one(self, value: Any) -> Any:
        """Return what a single value means."""
        if isinstance(value, float):
            value = f"{value:.9f}"
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super().read_one(value)


class WholeArgument(NumericArgument):
    """A whole number."""


class RecipientsArgument(Argument):
    """One MSISDN or a list of them; loaded as a list of Recipient."""

    default_error_messages = {"empty": "missing_argument"}  # noqa: RUF012 - marshmallow's own interface

    def __init__(self, *, most: int, description: str, **options: Any) -> None:
        several = {"type": "array", "items": MSISDN, "minItems": 1, "maxItems": most}
        form = {"anyOf": [MSISDN, several], "description": description}
        super().__init__(parse_msisdn, invalid="invalid_msisdn", form=form, **options)
        self.most = most
        if most > 1:
            self.error_messages["repeated"] = "too_many_recipients"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Recipient]:
        if not isinstance(value, list):
            return [Recipient(self.read_one(value), "to")]
        if not value:
            raise self.make_error("empty")
        if len(value) > self.most:
            raise self.make_error("repeated")
        recipients, faults = [], {}
        for index, one in enumerate(value):
            try:
                recipients.append(Recipient(self.read_one(one), f"to[{index}]"))
            except ValidationError as error:
                faults[index] = error.messages
        if faults:
            raise ValidationError(faults)
        return recipients


def list_error_types(field: fields.Field[Any]) -> set[str]:
    """Return the error types of an argument."""
    messages: list[Any] = [text for name, text in field.error_messages.items() if name != "required" or field.required]
    messages += [getattr(validator, "error", None) for validator in field.validators]
    return {message for message in messages if message in ERROR_TYPES}


def _text(description: str, **options: Any) -> Argument:
    form = {**_TEXT, "description": description}
    return Argument(str, invalid="invalid_text", form=form, validate=_TEXT_RULES, **options)


def _originator(description: str, *, invalid: str = "invalid_originator", **options: Any) -> Argument:
    form = {**_ORIGINATOR, "description": description}
    return Argument(parse_originator, invalid=invalid, form=form, **options)


def _time(description: str) -> Argument:
    return Argument(parse_time, invalid="invalid_time", form={**_TIME, "description": description})


def _message_id(description: str) -> Argument:
    form = {**MESSAGE_ID, "description": description}
    return Argument(_read_message_id, invalid="invalid_message_id", form=form)


def _choice(*choices: str, invalid: str, description: str) -> Argument:
    form = {"type": "string", "description": description}
    return Argument(str, invalid=invalid, form=form, validate=validate.OneOf(choices, error=invalid))


def _whole(lowest: int, highest: int, *, invalid: str, description: str, **options: Any) -> WholeArgument:
    in_range = validate.Range(lowest, highest, error=invalid)
    form = {"description": description}
    return WholeArgument(_read_digits, invalid=invalid, form=form, validate=in_range, **options)


class ArgumentsSchema(Schema):
    """Base of what requests are checked against: unknown arguments are ignored."""

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE


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
        allow_none=True,
    )


class ChangeSchema(ArgumentsSchema):
    """Arguments of changing a message that waits for its time."""

    to = RecipientsArgument(most=1, description="Another number.")
    body = _text("Another text: 1 to 160 characters.")
    send_at = _time("Another time. One that has passed means now.")

    @validates_schema
    def require_a_change(self, loaded: dict[str, Any], **_: Any) -> None:
        """Refuse a request that gives nothing to change."""
        if not loaded:
            raise ValidationError("nothing_to_change")

    @post_load
    def take_one_recipient(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return `to` as the only recipient."""
        if "to" in loaded:
            (loaded["to"],) = loaded["to"]
        return loaded


class PagingSchema(ArgumentsSchema):
    """Arguments of a list that has no criteria."""

    offset = _whole(0, MAX_OFFSET, invalid="invalid_offset", description="How many to leave out first.", load_default=0)
    limit = _whole(1, MAX_LIMIT, invalid="invalid_limit", description="How many to list at most.", load_default=50)


class ListSchema(PagingSchema):
    """Arguments of listing messages; loaded as `criteria` and paging."""

    to = _originator("Only those to this number.", invalid="invalid_msisdn")
    origin = _originator("Only those from this sender.")
    phone = _originator("Only those to or from this number.", invalid="invalid_msisdn")
    state = _choice("unconfirmed", "sent", "error", invalid="invalid_state", description="Only those in this state.")
    direction = _choice(
        "outbound", "inbound", invalid="invalid_direction", description="Only those that went this way."
    )
    q = _text("Only those with this text anywhere in the body; ASCII letters match in either case.")
    after = _message_id("Only those created after the message with this id, which may have been removed.")
    before = _message_id("Only those created before it.")
    wait = NumericArgument(
        _read_seconds,
        invalid="invalid_wait",
        form={"description": "If nothing matches, wait up to this number of seconds until something does."},
        validate=validate.Range(0, MAX_WAIT, error="invalid_wait"),
        load_default=0.0,
    )

    @post_load
    def make_criteria(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the arguments that a message must match as one."""
        paging = {name: loaded.pop(name) for name in ("offset", "limit", "wait")}
        for side in {"to", "origin", "phone"} & loaded.keys():
            loaded[side] = loaded[side].number
        return {"criteria": Criteria(**loaded), **paging}


class InboundSchema(ArgumentsSchema):
    """Arguments of simulating a received message."""

    sender = _originator("Who writes: the phone.", required=True, data_key="from")
    to = Argument(
        _read_own_number,
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


def hash_request(loaded: Mapping[str, Any]) -> str:
    """Return a hash of checked arguments that is the same for equal requests."""
    described = [[name, _describe(value)] for name, value in sorted(loaded.items())]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _describe(value: Any) -> Any:
    if isinstance(value, list):
        return [recipient.number.number for recipient in value]
    if isinstance(value, Number):
        return value.number
    return value.isoformat() if isinstance(value, datetime) else value
