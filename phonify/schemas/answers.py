"""What answers look like around the objects of `objects.py`, as marshmallow schemas: for the API's description."""

from marshmallow import Schema, fields

from .objects import ErrorSchema, MessageSchema, PhoneSchema, SubscriptionSchema
from .text_check import TextCheckSchema


class MessageAnswer(Schema):
    """One message."""

    message = fields.Nested(MessageSchema, required=True)


class MessagesAnswer(Schema):
    """Several messages."""

    messages = fields.List(fields.Nested(MessageSchema), required=True)


class SentAnswer(MessagesAnswer):
    """What was sent."""

    message = fields.Nested(MessageSchema, metadata={"description": "The same, where there is only one recipient."})


class RefusedAnswer(SentAnswer):
    """What was sent where some recipients were refused."""

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


class ResultAnswer(Schema):
    """That it is done."""

    result = fields.String(required=True, metadata={"enum": ["OK"]})


class CheckAnswer(Schema):
    """What a text becomes as SMS."""

    check = fields.Nested(TextCheckSchema, required=True)


class DocumentAnswer(Schema):
    """The API's description."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)
