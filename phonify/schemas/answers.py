"""The schemas of answers. The API's description contains them. Answers contain the objects of `objects.py`."""

from collections.abc import Sequence

from marshmallow import Schema, fields

from ..errors import Fault
from ..storage.records import Message
from .objects import (
    DeliverySchema,
    ErrorSchema,
    MessageSchema,
    PhoneSchema,
    Shown,
    SubscriptionSchema,
    WebhookSchema,
    dump_messages,
)
from .text_check import TextCheckSchema


class MessageAnswer(Schema):
    """One message."""

    message = fields.Nested(MessageSchema, required=True)


class MessagesAnswer(Schema):
    """Several messages."""

    messages = fields.List(fields.Nested(MessageSchema), required=True)


class SentAnswer(MessagesAnswer):
    """The messages that a request has sent."""

    message = fields.Nested(
        MessageSchema, metadata={"description": "The message, if the request has only one recipient."}
    )


class RefusedAnswer(SentAnswer):
    """Contains all messages and all errors. Phonify returns this answer if it has refused at least one recipient."""

    errors = fields.List(fields.Nested(ErrorSchema), required=True)


class PhoneAnswer(Schema):
    """One phone."""

    phone = fields.Nested(PhoneSchema, required=True)


class PhonesAnswer(Schema):
    """Several phones."""

    phones = fields.List(fields.Nested(PhoneSchema), required=True)


class SubscriptionAnswer(Schema):
    """One subscription."""

    subscription = fields.Nested(SubscriptionSchema, required=True)


class SubscriptionsAnswer(Schema):
    """Several subscriptions."""

    subscriptions = fields.List(fields.Nested(SubscriptionSchema), required=True)


class WebhookAnswer(Schema):
    """The webhook of an account."""

    webhook = fields.Nested(WebhookSchema, required=True)


class DeliveryAnswer(Schema):
    """The delivery of a new event."""

    delivery = fields.Nested(DeliverySchema, required=True)


class ResultAnswer(Schema):
    """An answer without data. It confirms that the request was successful."""

    result = fields.String(required=True, metadata={"enum": ["OK"]})


class CheckAnswer(Schema):
    """The result of checking a text."""

    check = fields.Nested(TextCheckSchema, required=True)


class DocumentAnswer(Schema):
    """The API's description."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)


def dump_sent(messages: Sequence[Message], faults: Sequence[Fault]) -> Shown:
    """Return a SentAnswer. If there are faults, return a RefusedAnswer, which also contains the faults."""
    shown: Shown = {"messages": dump_messages(messages)}
    if len(messages) == 1:
        shown["message"] = shown["messages"][0]
    if faults:
        shown["errors"] = [fault.to_dict() for fault in faults]
    return shown


def choose_status(sent: Shown) -> int:
    """Return the HTTP status for the result of `dump_sent`."""
    return 402 if "errors" in sent else 201
