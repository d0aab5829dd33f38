"""How messages, phones and what else there is are shown: by the API, in a webhook, on the command line.

What a field's metadata says of it goes into the API's description.
"""

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, get_args

from marshmallow import Schema, fields

from .errors import ERROR_TYPES, Fault
from .numbers import NUMBER_TYPES, Number, classify_number, parse_originator
from .segments import TextCheck, count_segments, count_units
from .store import ListedMessage, Message
from .subscription_store import Reason, SubscriptionRow


class Shown(fields.Field[Any]):
    """A value, shown as `read` returns it; None is left out, which happens to an `optional` one alone.

    `described` is JSON Schema; of an object, `form` is the schema, and `many` says that it is a list of them.
    """

    nullable = False

    def __init__(
        self,
        read: Callable[[Any], Any],
        *,
        optional: bool = False,
        form: type[Schema] | None = None,
        many: bool = False,
        **described: Any,
    ) -> None:
        super().__init__(dump_only=True, required=not optional, metadata=described)
        self.read = read
        self.form = form
        self.many = many


class OrNull(Shown):
    """A value that is shown also where it is None."""

    nullable = True


class ShownSchema(Schema):
    """Base of what is shown: all its fields are Shown.

    They are read without marshmallow's search for keys and attributes, and without its hooks, of
    which there are none: that takes a third of the time, and a list has up to 1,000 messages.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._readers = []
        for name, field in self.dump_fields.items():
            if not isinstance(field, Shown):
                raise TypeError(f"{type(self).__name__}.{name} is not a Shown")
            self._readers.append((name, field.read, field.nullable))

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return an object, or several, in plain types."""
        if self.many if many is None else many:
            return [self.dump(one, many=False) for one in obj]
        shown = {}
        for name, read, nullable in self._readers:
            value = read(obj)
            if value is not None or nullable:
                shown[name] = value
        return shown


def _show_origin(message: Message) -> dict[str, Any]:
    return {
        "number": message.origin_number,
        "country": message.origin_country,
        "carrier": message.origin_carrier,
    }


def _show_phone(message: Message) -> dict[str, Any]:
    return {"number": message.to_number, "country": message.to_country, "carrier": message.to_carrier}


def _list_errors(message: Message) -> list[dict[str, Any]] | None:
    return [Fault(message.error_type).to_dict()] if message.error_type else None


_NULLABLE = ["string", "null"]
_NUMBER: dict[str, Any] = {"type": "string", "examples": ["+14560000000"]}
_COUNTRY: dict[str, Any] = {
    "type": _NULLABLE,
    "pattern": "^[A-Z]{2}$",
    "description": "ISO 3166-1 alpha-2; null where the number has none.",
    "examples": ["US"],
}
_CARRIER: dict[str, Any] = {"type": _NULLABLE, "description": "Null where it is not known.", "examples": ["O2"]}
_MOMENT: dict[str, Any] = {"format": "date-time", "examples": ["2026-01-31T09:30:00.000Z"]}
_ENCODING: dict[str, Any] = {
    "type": "string",
    "enum": ["gsm7", "ucs2"],
    "description": "`gsm7` where GSM 03.38 has every character, else `ucs2`.",
}


class ErrorSchema(ShownSchema):
    """One thing that is wrong, as the API shows it."""

    type = Shown(
        itemgetter("type"),
        type="string",
        enum=list(ERROR_TYPES),
        description="What it is, precisely; a type never changes.",
    )
    title = Shown(itemgetter("title"), type="string", description="The same in plain English.")
    param = Shown(
        itemgetter("param"),
        optional=True,
        type="string",
        description="The argument that it is about, such as `to`, or `to[3]` for the fourth of several.",
    )


class NumberSchema(ShownSchema):
    """One side of a message, as the API shows it."""

    number = Shown(
        attrgetter("number"),
        **_NUMBER,
        description="In E.164 with the plus sign, a short code, or an alphanumeric sender.",
    )
    country = OrNull(attrgetter("country"), **_COUNTRY)
    carrier = OrNull(attrgetter("carrier"), **_CARRIER)


class MessageSchema(ShownSchema):
    """A message as the API shows it; `send_at` and `errors` only where it has some."""

    id = Shown(
        attrgetter("id"),
        type="string",
        description="Sorts by creation; can't be guessed.",
        examples=["019c1353-98c0-7000-8000-5c0ffee00001"],
    )
    body = Shown(attrgetter("body"), type="string", minLength=1, maxLength=160, description="The text.")
    to = Shown(attrgetter("to_number"), **_NUMBER, description="Whom it goes to.")
    origin = Shown(_show_origin, form=NumberSchema, description="Who sent it.")
    phone = Shown(_show_phone, form=NumberSchema, description="What is known of `to`.")
    state = Shown(
        attrgetter("state"),
        type="string",
        enum=["unconfirmed", "sent", "error"],
        description="`unconfirmed` until the gateway has taken it or given it up; `sent` and `error` are final.",
    )
    created_at = Shown(attrgetter("created_at"), type="string", **_MOMENT, description="In UTC.")
    direction = Shown(attrgetter("direction"), type="string", enum=["outbound", "inbound"])
    segments = Shown(
        lambda message: count_segments(message.body)[0],
        type="integer",
        minimum=1,
        description="How many SMS the text takes.",
    )
    encoding = Shown(lambda message: count_segments(message.body)[1], **_ENCODING)
    send_at = Shown(
        attrgetter("send_at"), optional=True, type="string", **_MOMENT, description="Only of a scheduled one."
    )
    errors = Shown(
        _list_errors, optional=True, form=ErrorSchema, many=True, description="Only in state `error`: why it failed."
    )


_MESSAGE = MessageSchema()


def dump_message(message: Message | ListedMessage) -> dict[str, Any]:
    """Return a message as the API shows it."""
    shown: dict[str, Any] = _MESSAGE.dump(message)
    return shown


_SUBSCRIBED: dict[str, Any] = {
    "type": "boolean",
    "description": "Whether the account may write to it: it has not opted out.",
}


class Phone(NamedTuple):
    """A phone as an account sees it."""

    number: Number
    subscribed: bool


class PhoneSchema(ShownSchema):
    """A phone as the API shows it."""

    number = Shown(lambda phone: phone.number.number, **_NUMBER)
    country = OrNull(lambda phone: phone.number.country, **_COUNTRY)
    carrier = OrNull(lambda phone: phone.number.carrier, **_CARRIER)
    type = Shown(
        lambda phone: classify_number(phone.number.number).type,
        type="string",
        enum=list(NUMBER_TYPES),
        description="What the numbering plan says that it is.",
    )
    valid = Shown(
        lambda phone: classify_number(phone.number.number).valid,
        type="boolean",
        description="Whether it is in a range that is in use.",
    )
    subscribed = Shown(attrgetter("subscribed"), **_SUBSCRIBED)


class SubscriptionSchema(ShownSchema):
    """A subscription as the API shows it: whether the account may write to a phone, and since when not."""

    number = Shown(attrgetter("phone"), **_NUMBER)
    country = OrNull(lambda subscription: parse_originator(subscription.phone).country, **_COUNTRY)
    carrier = OrNull(lambda subscription: parse_originator(subscription.phone).carrier, **_CARRIER)
    subscribed = Shown(attrgetter("subscribed"), **_SUBSCRIBED)
    changed_at = OrNull(
        attrgetter("changed_at"),
        type=_NULLABLE,
        **_MOMENT,
        description="When it opted out or in; null where it never did.",
    )
    reason = OrNull(
        attrgetter("reason"),
        type=_NULLABLE,
        enum=[*get_args(Reason), None],
        description="What changed it; null where nothing did.",
    )


def _list_segments(check: TextCheck) -> list[dict[str, Any]]:
    segments, start = [], 0
    for text in check.segments:
        end = start + len(text)
        segments.append({"start": start, "end": end, "units": count_units(text, check.encoding), "text": text})
        start = end
    return segments


class SegmentSchema(ShownSchema):
    """One SMS of a text: `text[start:end]`."""

    start = Shown(itemgetter("start"), type="integer", minimum=0, description="In characters, from 0.")
    end = Shown(itemgetter("end"), type="integer", minimum=0, description="Where the next one starts.")
    units = Shown(itemgetter("units"), type="integer", minimum=0, description="Septets, or units of UTF-16.")
    text = Shown(itemgetter("text"), type="string")


class WideCharacterSchema(ShownSchema):
    """A character that GSM-7 does not have."""

    position = Shown(attrgetter("position"), type="integer", minimum=0, description="In characters, from 0.")
    character = Shown(attrgetter("character"), type="string", minLength=1, maxLength=1)
    name = Shown(attrgetter("name"), type="string", description="Its name in Unicode.")
    substitute = OrNull(
        attrgetter("substitute"),
        type=_NULLABLE,
        description="What reads the same in GSM-7: null where nothing does, empty where it can be left out.",
    )


class WebOtpSchema(ShownSchema):
    """The last line of a text, as one that binds a one-time code to a web site."""

    valid = Shown(lambda check: check.bound_code is not None, type="boolean")
    line = OrNull(attrgetter("bound_line"), type=_NULLABLE, description="The last line, where it begins with `@`.")
    host = OrNull(lambda check: check.bound_code and check.bound_code.host, type=_NULLABLE)
    code = OrNull(lambda check: check.bound_code and check.bound_code.code, type=_NULLABLE)


_WIDE = WideCharacterSchema(many=True)
_WEB_OTP = WebOtpSchema()


class TextCheckSchema(ShownSchema):
    """What a text becomes as SMS, as the API and the command line show it."""

    encoding = Shown(attrgetter("encoding"), **_ENCODING)
    characters = Shown(
        lambda check: sum(map(len, check.segments)), type="integer", minimum=1, description="A message may have 160."
    )
    units = Shown(
        attrgetter("units"), type="integer", minimum=1, description="Septets in GSM-7, units of UTF-16 in UCS-2."
    )
    single = Shown(attrgetter("single"), type="integer", description="How many units a text of one SMS may have.")
    segments = Shown(_list_segments, form=SegmentSchema, many=True, description="Each SMS, and where it is cut.")
    wide = Shown(
        lambda check: _WIDE.dump(check.wide),
        form=WideCharacterSchema,
        many=True,
        description="Each character that makes it UCS-2.",
    )
    webotp = Shown(
        _WEB_OTP.dump,
        form=WebOtpSchema,
        description="Whether the last line is `@host #code`: what browsers read a code from.",
    )


_PHONE = PhoneSchema()
_TEXT_CHECK = TextCheckSchema()
_SUBSCRIPTION = SubscriptionSchema()


def dump_phone(number: Number, *, subscribed: bool) -> dict[str, Any]:
    """Return a phone as the API shows it."""
    shown: dict[str, Any] = _PHONE.dump(Phone(number, subscribed))
    return shown


def dump_subscription(subscription: SubscriptionRow) -> dict[str, Any]:
    """Return a subscription as the API shows it."""
    shown: dict[str, Any] = _SUBSCRIPTION.dump(subscription)
    return shown


def dump_check(check: TextCheck) -> dict[str, Any]:
    """Return what a text becomes as SMS, as the API shows it."""
    shown: dict[str, Any] = _TEXT_CHECK.dump(check)
    return shown
