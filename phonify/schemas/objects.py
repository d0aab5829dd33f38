"""How messages, phones and other objects are shown by the API, in webhooks and on the command line.

The metadata of a field goes into the API's description.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple, get_args

from marshmallow import Schema, fields, post_dump, pre_dump, validate

from ..errors import ERROR_TYPES, Fault
from ..sms.numbers import NUMBER_TYPES, Number, classify_number, parse_originator
from ..sms.segments import count_segments
from ..storage.records import Message, Reason, SubscriptionRow

Shown = dict[str, Any]

_NUMBER = {"examples": ["+14560000000"]}
MOMENT = {"format": "date-time", "examples": ["2026-01-31T09:30:00.000Z"]}
ENCODING = {"description": "`gsm7` if GSM 03.38 has every character, else `ucs2`."}
is_encoding = validate.OneOf(["gsm7", "ucs2"])


class RecordSchema(Schema):
    """Base of the schemas that show a record."""

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Return an attribute.

        marshmallow looks for an item first. A record then raises an exception each time. For 50 messages, these
        exceptions take 0.75 of 1.7 ms.
        """
        return getattr(obj, attr, default)


class ErrorSchema(RecordSchema):
    """An error as the API shows it."""

    type = fields.String(
        required=True,
        validate=validate.OneOf(list(ERROR_TYPES)),
        metadata={"description": "The kind of error. A type never changes."},
    )
    title = fields.String(required=True, metadata={"description": "The error in plain English."})
    param = fields.String(
        metadata={
            "description": "The argument that the error is about, such as `to`, or `to[3]` for the fourth of several."
        }
    )

    @post_dump
    def drop_param(self, shown: Shown, **_: Any) -> Shown:
        """Leave out `param` if the error is not about an argument."""
        return _drop_none(shown, "param")


class NumberSchema(RecordSchema):
    """The sender or the recipient of a message, as the API shows it."""

    number = fields.String(
        required=True,
        metadata={**_NUMBER, "description": "In E.164 with the plus sign, a short code, or an alphanumeric sender."},
    )
    country = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "pattern": "^[A-Z]{2}$",
            "description": "ISO 3166-1 alpha-2; null if the number has none.",
            "examples": ["US"],
        },
    )
    carrier = fields.String(
        required=True, allow_none=True, metadata={"description": "Null if it is not known.", "examples": ["O2"]}
    )


class _Errors(fields.Nested):
    """The error type of a message, shown as a list of errors."""

    def _serialize(self, value: str | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        faults = [Fault(value)] if value is not None else None
        return super()._serialize(faults, attr, obj, **kwargs)  # type: ignore[no-untyped-call]


class MessageSchema(RecordSchema):
    """A message as the API shows it. Only some messages have `send_at` and `errors`."""

    id = fields.String(
        required=True,
        metadata={
            "description": "Sorts by creation; can't be guessed.",
            "examples": ["019c1353-98c0-7000-8000-5c0ffee00001"],
        },
    )
    body = fields.String(required=True, validate=validate.Length(1, 160), metadata={"description": "The text."})
    to = fields.String(required=True, attribute="to_number", metadata={**_NUMBER, "description": "The recipient."})
    origin = fields.Nested(NumberSchema, required=True, metadata={"description": "The sender."})
    phone = fields.Nested(NumberSchema, required=True, metadata={"description": "Facts about `to`."})
    state = fields.String(
        required=True,
        validate=validate.OneOf(["unconfirmed", "sent", "error"]),
        metadata={"description": "`unconfirmed` until its outcome is known; `sent` and `error` are final."},
    )
    created_at = fields.String(required=True, metadata={**MOMENT, "description": "In UTC."})
    direction = fields.String(required=True, validate=validate.OneOf(["outbound", "inbound"]))
    segments = fields.Function(
        lambda message: count_segments(message.body)[0],
        required=True,
        metadata={"type": "integer", "minimum": 1, "description": "How many SMS the text takes."},
    )
    encoding = fields.Function(
        lambda message: count_segments(message.body)[1],
        required=True,
        validate=is_encoding,
        metadata={"type": "string", **ENCODING},
    )
    send_at = fields.String(metadata={**MOMENT, "description": "Only in a scheduled message."})
    errors = _Errors(
        ErrorSchema,
        many=True,
        attribute="error_type",
        metadata={"description": "Only in state `error`: why the message failed."},
    )

    @post_dump
    def drop_what_it_lacks(self, shown: Shown, **_: Any) -> Shown:
        """Leave out fields that this message does not have."""
        return _drop_none(shown, "send_at", "errors")


_SUBSCRIBED = {"description": "Whether the account may write to the phone: the phone has not opted out."}


class Phone(NamedTuple):
    """A phone as an account sees it."""

    number: Number
    subscribed: bool


class PhoneSchema(NumberSchema):
    """A phone as the API shows it."""

    type = fields.String(
        required=True,
        validate=validate.OneOf(NUMBER_TYPES),
        metadata={"description": "The type of the number in the numbering plan."},
    )
    valid = fields.Boolean(required=True, metadata={"description": "Whether the number is in a range that is in use."})
    subscribed = fields.Boolean(required=True, metadata=_SUBSCRIBED)

    @pre_dump
    def classify(self, phone: Phone, **_: Any) -> SimpleNamespace:
        """Add the facts that the numbering plan has about the number."""
        kind = classify_number(phone.number.number)
        return SimpleNamespace(**phone.number._asdict(), **kind._asdict(), subscribed=phone.subscribed)


class SubscriptionSchema(NumberSchema):
    """A subscription as the API shows it: whether the account may write to a phone, and since when."""

    subscribed = fields.Boolean(required=True, metadata=_SUBSCRIBED)
    changed_at = fields.String(
        required=True,
        allow_none=True,
        metadata={**MOMENT, "description": "When the phone opted out or in; null if it never did."},
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(get_args(Reason)),
        metadata={"description": "What changed the subscription; null if nothing did."},
    )

    @pre_dump
    def look_up(self, subscription: SubscriptionRow, **_: Any) -> SimpleNamespace:
        """Add country and carrier of the number."""
        return SimpleNamespace(**subscription._asdict(), **parse_originator(subscription.phone)._asdict())


def _drop_none(shown: Shown, *optional: str) -> Shown:
    for name in optional:
        if name in shown and shown[name] is None:
            del shown[name]
    return shown


_MESSAGE = MessageSchema()
_PHONE = PhoneSchema()
_SUBSCRIPTION = SubscriptionSchema()


def dump_message(message: Message) -> Shown:
    """Return a message as the API shows it."""
    shown: Shown = _MESSAGE.dump(message)
    return shown


def dump_messages(messages: Iterable[Message]) -> list[Shown]:
    """Return messages as the API shows them."""
    shown: list[Shown] = _MESSAGE.dump(messages, many=True)
    return shown


def dump_phone(number: Number, *, subscribed: bool) -> Shown:
    """Return a phone as the API shows it."""
    shown: Shown = _PHONE.dump(Phone(number, subscribed))
    return shown


def dump_subscription(subscription: SubscriptionRow) -> Shown:
    """Return a subscription as the API shows it."""
    shown: Shown = _SUBSCRIPTION.dump(subscription)
    return shown
