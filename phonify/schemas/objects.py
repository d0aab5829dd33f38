"""The schemas of messages, phones and other objects. The API, the webhooks and the commands use these schemas.

The API's description shows the metadata of the fields.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, get_args

from marshmallow import Schema, fields, post_dump, validate

from ..errors import ERROR_TYPES, Fault
from ..sms.numbers import NUMBER_TYPES, classify_number, parse_originator
from ..sms.segments import count_segments
from ..storage.records import Message, Reason, SubscriptionRow, Webhook

Shown = dict[str, Any]

_NUMBER = {"examples": ["+14560000000"]}
MOMENT = {"format": "date-time", "examples": ["2026-01-31T09:30:00.000Z"]}
ENCODING = {"description": "`gsm7` if all characters are in GSM-7 (GSM 03.38), else `ucs2`."}
is_encoding = validate.OneOf(["gsm7", "ucs2"])


class RecordSchema(Schema):
    """The base class for schemas that convert records to the format of the API."""

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Return an attribute.

        By default, marshmallow first tries `obj[attr]`. If `obj` is a record, this raises an exception. After the
        exception, marshmallow reads the attribute. In this way, marshmallow needs 1.7 ms to convert 50 messages. The
        handling of the exceptions takes 0.75 ms of the 1.7 ms. This method reads the attribute directly, and raises no
        exception.
        """
        return getattr(obj, attr, default)

    @post_dump
    def leave_out_empty_fields(self, shown: Shown, **_: Any) -> Shown:
        """Remove each optional field that has no value."""
        optional = {name for name, field in self.fields.items() if not field.required}
        return {name: value for name, value in shown.items() if value is not None or name not in optional}


class ErrorSchema(Schema):
    """The fields that describe an error."""

    type = fields.String(
        required=True,
        validate=validate.OneOf(list(ERROR_TYPES)),
        metadata={"description": "The kind of error. The types never change."},
    )
    title = fields.String(required=True, metadata={"description": "A description of the error, in English."})
    param = fields.String(
        metadata={
            "description": "The name of the wrong argument, such as `to`. In a list, `to[3]` is the fourth recipient."
        }
    )


class NumberSchema(RecordSchema):
    """The fields that describe the sender or the recipient of a message."""

    number = fields.String(
        required=True,
        metadata={
            **_NUMBER,
            "description": "A number, a short code or an alphanumeric sender. Numbers are in E.164, with `+`.",
        },
    )
    country = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "pattern": "^[A-Z]{2}$",
            "description": "The country in ISO 3166-1 alpha-2. Null if the number has no country.",
            "examples": ["US"],
        },
    )
    carrier = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The carrier. Null if Phonify does not know the carrier.", "examples": ["O2"]},
    )


class ReceiptSchema(RecordSchema):
    """The fields that describe a delivery receipt."""

    status = fields.String(
        required=True,
        validate=validate.OneOf(["delivered", "undelivered"]),
        metadata={"description": "Whether the phone has received the message."},
    )
    at = fields.String(required=True, metadata={**MOMENT, "description": "The time of the report in UTC."})
    code = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The provider's own code. Null if the provider sends no code."},
    )


def _list_errors(message: Message) -> list[Shown] | None:
    return [Fault(message.error_type).to_dict()] if message.error_type is not None else None


class MessageSchema(RecordSchema):
    """The fields that describe a message."""

    id = fields.String(
        required=True,
        metadata={
            "description": "The id. A later message has a greater id. Nobody can guess an id.",
            "examples": ["019c1353-98c0-7000-8000-5c0ffee00001"],
        },
    )
    body = fields.String(
        required=True,
        metadata={
            "description": "The text. It can be longer than the limit for a new message. A redacted text is empty."
        },
    )
    to = fields.String(required=True, attribute="to_number", metadata={**_NUMBER, "description": "The recipient."})
    origin = fields.Nested(NumberSchema, required=True, metadata={"description": "The sender."})
    phone = fields.Nested(
        NumberSchema,
        required=True,
        metadata={"description": "Facts about `to`. In an inbound message, this is the app's number."},
    )
    state = fields.String(
        required=True,
        validate=validate.OneOf(["unconfirmed", "sent", "error"]),
        metadata={"description": "`unconfirmed` until the outcome is known. `sent` and `error` are final."},
    )
    created_at = fields.String(required=True, metadata={**MOMENT, "description": "The time of creation in UTC."})
    direction = fields.String(required=True, validate=validate.OneOf(["outbound", "inbound"]))
    segments = fields.Function(
        lambda message: count_segments(message.body)[0],
        required=True,
        metadata={"type": "integer", "minimum": 1, "description": "The number of SMS that the text needs."},
    )
    encoding = fields.Function(
        lambda message: count_segments(message.body)[1],
        required=True,
        validate=is_encoding,
        metadata={"type": "string", **ENCODING},
    )
    send_at = fields.String(
        metadata={**MOMENT, "description": "The time of sending in UTC. Only scheduled messages have this field."}
    )
    receipt = fields.Nested(
        ReceiptSchema,
        metadata={"description": "The provider's final report. Only messages with a delivery receipt have this field."},
    )
    errors = fields.Function(
        _list_errors,
        metadata={
            "type": "array",
            "items": {"$ref": "#/components/schemas/Error"},
            "description": "The reason for the failure. Only messages in state `error` have this field.",
        },
    )


_SUBSCRIBED = {"description": "Whether the account is allowed to write to the phone. False if the phone has opted out."}


class PhoneSchema(NumberSchema):
    """The fields that describe a phone."""

    type = fields.String(
        required=True,
        validate=validate.OneOf(NUMBER_TYPES),
        metadata={"description": "The type of the number, according to the numbering plan."},
    )
    valid = fields.Boolean(
        required=True, metadata={"description": "True if the number is in an assigned range of the numbering plan."}
    )
    subscribed = fields.Boolean(required=True, metadata=_SUBSCRIBED)


class SubscriptionSchema(NumberSchema):
    """The fields that describe a subscription."""

    subscribed = fields.Boolean(required=True, metadata=_SUBSCRIBED)
    changed_at = fields.String(
        required=True,
        allow_none=True,
        metadata={
            **MOMENT,
            "description": "The time of the last opt-out or opt-in. Null if the subscription was never changed.",
        },
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(get_args(Reason)),
        metadata={
            "description": "The reason for the last opt-out or opt-in. Null if the subscription was never changed."
        },
    )


class WebhookSchema(RecordSchema):
    """The fields that describe the webhook of an account."""

    url = fields.String(
        required=True, metadata={"description": "Phonify posts the account's events to this URL.", "format": "uri"}
    )
    secret = fields.String(
        required=True,
        metadata={
            "description": "The secret that signs the events. It is `whsec_`, followed by 24 random bytes in Base64."
        },
    )
    enabled = fields.Boolean(
        required=True,
        metadata={
            "description": "False if the receiver has answered with 410. Set the URL again to enable the webhook."
        },
    )
    created_at = fields.String(required=True, metadata={**MOMENT, "description": "The time of creation in UTC."})


class DeliverySchema(Schema):
    """The delivery of an event."""

    id = fields.String(
        required=True, metadata={"description": "The id. The header `webhook-id` of the event has the same id."}
    )


_MESSAGE = MessageSchema()
_PHONE = PhoneSchema()
_SUBSCRIPTION = SubscriptionSchema()
_WEBHOOK = WebhookSchema()


def dump_message(message: Message) -> Shown:
    """Convert a message to the format of the API."""
    shown: Shown = _MESSAGE.dump(message)
    return shown


def dump_messages(messages: Iterable[Message]) -> list[Shown]:
    """Convert messages to the format of the API."""
    shown: list[Shown] = _MESSAGE.dump(messages, many=True)
    return shown


def dump_phone(subscription: SubscriptionRow) -> Shown:
    """Convert the data of a phone to the format of the API. The data comes from the phone's subscription."""
    number, kind = parse_originator(subscription.phone), classify_number(subscription.phone)
    shown: Shown = _PHONE.dump(SimpleNamespace(**subscription._asdict(), **number._asdict(), **kind._asdict()))
    return shown


def dump_subscription(subscription: SubscriptionRow) -> Shown:
    """Convert a subscription to the format of the API."""
    number = parse_originator(subscription.phone)
    shown: Shown = _SUBSCRIPTION.dump(SimpleNamespace(**subscription._asdict(), **number._asdict()))
    return shown


def dump_webhook(webhook: Webhook) -> Shown:
    """Convert a webhook to the format of the API. The result contains the secret of the webhook."""
    shown: Shown = _WEBHOOK.dump(webhook)
    return shown
