"""Fields for the schemas of requests.

Each field is for one argument of a request. It contains the error types and the JSON Schema of this argument.

A ValidationError contains error types, such as `invalid_time`. It contains no sentences. `errors/table.py` has a
sentence for each error type.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields, validate

from ..clock import parse_time
from ..errors import ERROR_TYPES, HIGHEST_MAX_BODY, MAX_BODY
from ..ids import is_message_id
from ..sms.numbers import MAX_SEPTETS, SENDER_CHARACTERS, Number, parse_msisdn, parse_originator

MAX_RECIPIENTS = 1_000
MAX_LIMIT = 1_000
MAX_OFFSET = 2**31 - 1
MAX_WAIT = 30  # seconds
MAX_NAME = 100  # characters

# JSON Schemas. Most of the formats, such as `msisdn`, are Phonify's own. A pattern can't describe which
# numbers exist.
_TEXT = {"type": "string", "pattern": "^[^\\u0000]*$"}
MSISDN = {"type": "string", "format": "msisdn", "pattern": r"^\+[1-9][0-9]{1,14}$", "examples": ["+14560000000"]}
# The characters of an alphanumeric sender. Some take two septets, but the pattern counts each character as one.
_SENDER = "".join(f"\\{character}" if character in r"\]^-[" else character for character in sorted(SENDER_CHARACTERS))
_LETTERS = "".join(sorted(filter(str.isalpha, SENDER_CHARACTERS)))
_ORIGINATOR = {
    "type": "string",
    "format": "originator",
    "pattern": rf"^(\+[1-9][0-9]{{1,14}}|[0-9]{{3,8}}|(?=.*[{_LETTERS}])(?![ +])[{_SENDER}]{{1,{MAX_SEPTETS}}})$",
    "examples": ["+15005550006"],
}
OWN_NUMBER = {
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
RUN_ID = {name: part for name, part in MESSAGE_ID.items() if name != "format"}
_TIME = {"type": "string", "format": "date-time", "examples": ["2026-01-31T18:00:00Z"]}


class Recipient(NamedTuple):
    """The recipient of a message. `param` is the name of the argument, such as `to[3]`, or None."""

    number: Number
    param: str | None


_CLEAN = r"[^\0\ud800-\udfff]*\Z"  # no NUL and no unpaired surrogate


def _make_text_rules(longest: int) -> list[Callable[[Any], Any]]:
    return [
        validate.Length(min=1, error="empty_text"),
        validate.Length(max=longest, error="text_too_long"),
        validate.Regexp(_CLEAN, error="invalid_text"),
    ]


def read_text(text: str, *, max_body: int) -> str:
    """Check the text of a message, and return it. Raises ValidationError if the text is not allowed."""
    validate.And(*_make_text_rules(max_body))(text)
    return text


def _read_digits(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ValueError("not a whole number")
    return int(text)


def read_decimal(text: str) -> float:
    """Read a decimal number without a sign. Raises ValueError for any other text."""
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,9})?", text):
        raise ValueError("not a decimal number")
    return float(text)


def _read_message_id(text: str) -> str:
    if not is_message_id(text):
        raise ValueError("not a message id")
    return text


def read_own_number(text: str) -> Number:
    """Read an E.164 number or a short code. Phones can send messages to such a number."""
    number = parse_originator(text)
    if not text.lstrip("+").isdigit():
        raise ValueError("an alphanumeric sender")
    return number


class Argument(fields.Field[Any]):
    """One argument. The function `read` converts the string to a value, or raises ValueError.

    `invalid` is the error type of a value that can't be read. `form` is the JSON Schema of the argument.
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
        """Read one string or number, and return the value."""
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return self.read(value)
        except ValueError as error:
            raise self.make_error("invalid") from error


class BodyArgument(Argument):
    """The body of a message. It has at most MAX_BODY characters. The method `limit` can change this maximum."""

    def __init__(self, **options: Any) -> None:
        super().__init__(str, invalid="invalid_text", form=_TEXT, **options)
        self.limit(MAX_BODY)

    def limit(self, max_body: int) -> None:
        """Set the maximum number of characters (Unicode code points)."""
        # marshmallow makes copies of a field. All copies share the old objects, so this method assigns new objects.
        self.validators = _make_text_rules(max_body)
        description = f"The text: 1 to {max_body:,} characters (Unicode code points), no NUL."
        self.metadata = {**self.metadata, "description": description}


class NumericArgument(Argument):
    """A number in decimal digits. In JSON, it can be a number or a string."""

    def read_one(self, value: Any) -> Any:
        """Read one string or number, and return the value."""
        if isinstance(value, float):
            value = f"{value:.9f}"
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super().read_one(value)


class WholeArgument(NumericArgument):
    """A whole number. In JSON, `60.0` is allowed too."""

    def read_one(self, value: Any) -> Any:
        """Read one string or number, and return the value."""
        return super().read_one(int(value) if isinstance(value, float) and value.is_integer() else value)


class RecipientsArgument(Argument):
    """One MSISDN or a list of MSISDNs. The result is a list of Recipient objects."""

    default_error_messages = {"empty": "missing_argument"}  # noqa: RUF012 - marshmallow's own interface

    def __init__(self, *, limit: int, description: str, **options: Any) -> None:
        several = {"type": "array", "items": MSISDN, "minItems": 1, "maxItems": limit}
        form = {"anyOf": [MSISDN, several], "description": description}
        super().__init__(parse_msisdn, invalid="invalid_msisdn", form=form, **options)
        self.limit = limit
        if limit > 1:
            self.error_messages["repeated"] = "too_many_recipients"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Recipient]:
        if not isinstance(value, list):
            return [Recipient(self.read_one(value), "to")]
        if not value:
            raise self.make_error("empty")
        if len(value) > self.limit:
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
    """Return the types of the errors that an argument can cause."""
    messages: list[Any] = [text for name, text in field.error_messages.items() if name != "required" or field.required]
    messages += [getattr(validator, "error", None) for validator in field.validators]
    return {message for message in messages if message in ERROR_TYPES}


def search_field(description: str) -> Argument:
    """Return a field for a text that is compared with stored texts, or for the reply of a simulated phone.

    The text has at most `HIGHEST_MAX_BODY` characters. The setting PHONIFY_MAX_BODY limits the length of new messages.
    It does not limit this text. If the setting was changed, old messages may be longer than the new limit.
    """
    form = {**_TEXT, "description": description}
    return Argument(str, invalid="invalid_text", form=form, validate=_make_text_rules(HIGHEST_MAX_BODY))


def name_field(description: str) -> Argument:
    """Return a field for a name, such as the name of a rule."""
    rules = (
        validate.Length(min=1, max=MAX_NAME, error="invalid_name"),
        validate.Regexp(_CLEAN, error="invalid_name"),
    )
    return Argument(str, invalid="invalid_name", form={**_TEXT, "description": description}, validate=rules)


def originator_field(description: str, *, invalid: str = "invalid_originator", **options: Any) -> Argument:
    """Return a field for an E.164 number, a short code or an alphanumeric sender."""
    form = {**_ORIGINATOR, "description": description}
    return Argument(parse_originator, invalid=invalid, form=form, **options)


def callback_url_field(description: str, *, example: str) -> Argument:
    """Return a field for a callback URL. This URL belongs to the app.

    An empty text becomes None. The code in `domain/` checks all other texts.
    """
    form = {"type": "string", "format": "callback-url", "description": description, "examples": [example]}
    return Argument(lambda text: text or None, invalid="invalid_webhook_url", form=form)


def time_field(description: str) -> Argument:
    """Return a field for a date and time, in ISO 8601 with a time zone."""
    return Argument(parse_time, invalid="invalid_time", form={**_TIME, "description": description})


def message_id_field(description: str) -> Argument:
    """Return a field for a message id."""
    form = {**MESSAGE_ID, "description": description}
    return Argument(_read_message_id, invalid="invalid_message_id", form=form)


def idempotency_field() -> Argument:
    """Return a field for the header Idempotency-Key. The value is None if the header is missing."""
    form = {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[ -~]*$",
        "description": (
            "You can safely repeat a request with the same value. If you repeat the request within 24 hours, Phonify"
            " returns the answer to the first request."
        ),
        "examples": ["order-1042"],
    }
    return Argument(
        str,
        invalid="invalid_idempotency_key",
        form=form,
        validate=validate.Regexp(r"[ -~]{1,255}\Z", error="invalid_idempotency_key"),
        data_key="Idempotency-Key",
        allow_none=True,
    )


def choice_field(*choices: str, invalid: str, description: str, **options: Any) -> Argument:
    """Return a field with a fixed set of values."""
    form = {"type": "string", "description": description}
    return Argument(str, invalid=invalid, form=form, validate=validate.OneOf(choices, error=invalid), **options)


def whole_field(lowest: int, highest: int, *, invalid: str, description: str, **options: Any) -> WholeArgument:
    """Return a field for an argument that contains a whole number from `lowest` to `highest`."""
    in_range = validate.Range(lowest, highest, error=invalid)
    form = {"description": description}
    return WholeArgument(_read_digits, invalid=invalid, form=form, validate=in_range, **options)
