"""How a message is shown: by the API, in a webhook, on the command line."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from marshmallow import Schema, fields, missing

from .errors import Fault
from .numbers import Number, classify_number, parse_originator
from .segments import count_segments
from .store import Message
from .subscription_store import SubscriptionRow


class Shown(fields.Field[Any]):
    """A value, shown as `read` returns it; None is left out.

    Read without marshmallow's search for a key or an attribute, which takes half of the time of a dump.
    """

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__(dump_only=True)
        self.read = read

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **_: Any) -> Any:  # noqa: ARG002 - of marshmallow
        """Return the value."""
        value = self.read(obj)
        return missing if value is None else value


class OrNull(Shown):
    """A value that is shown also where it is None."""

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **_: Any) -> Any:  # noqa: ARG002 - of marshmallow
        """Return the value."""
        return self.read(obj)


def _list_errors(message: Message) -> list[dict[str, Any]] | None:
    return [Fault(message.error_type).to_dict()] if message.error_type else None


class MessageSchema(Schema):
    """A message as the API shows it; `send_at` and `errors` only where it has some."""

    id = Shown(attrgetter("id"))
    body = Shown(attrgetter("body"))
    to = Shown(attrgetter("to_number"))
    origin = Shown(lambda message: message.origin._asdict())
    phone = Shown(lambda message: message.phone._asdict())
    state = Shown(attrgetter("state"))
    created_at = Shown(attrgetter("created_at"))
    direction = Shown(attrgetter("direction"))
    segments = Shown(lambda message: count_segments(message.body)[0])
    encoding = Shown(lambda message: count_segments(message.body)[1])
    send_at = Shown(attrgetter("send_at"))
    errors = Shown(_list_errors)


_MESSAGE = MessageSchema()


def dump_message(message: Message) -> dict[str, Any]:
    """Return a message as the API shows it."""
    shown: dict[str, Any] = _MESSAGE.dump(message)
    return shown


class Phone(NamedTuple):
    """A phone as an account sees it."""

    number: Number
    subscribed: bool


class PhoneSchema(Schema):
    """A phone as the API shows it."""

    number = Shown(lambda phone: phone.number.number)
    country = OrNull(lambda phone: phone.number.country)
    carrier = OrNull(lambda phone: phone.number.carrier)
    type = Shown(lambda phone: classify_number(phone.number.number).type)
    valid = Shown(lambda phone: classify_number(phone.number.number).valid)
    subscribed = Shown(attrgetter("subscribed"))


class SubscriptionSchema(Schema):
    """A subscription as the API shows it: whether the account may write to a phone, and since when not."""

    number = Shown(attrgetter("phone"))
    country = OrNull(lambda subscription: parse_originator(subscription.phone).country)
    carrier = OrNull(lambda subscription: parse_originator(subscription.phone).carrier)
    subscribed = Shown(attrgetter("subscribed"))
    changed_at = OrNull(attrgetter("changed_at"))
    reason = OrNull(attrgetter("reason"))


_PHONE = PhoneSchema()
_SUBSCRIPTION = SubscriptionSchema()


def dump_phone(number: Number, *, subscribed: bool) -> dict[str, Any]:
    """Return a phone as the API shows it."""
    shown: dict[str, Any] = _PHONE.dump(Phone(number, subscribed))
    return shown


def dump_subscription(subscription: SubscriptionRow) -> dict[str, Any]:
    """Return a subscription as the API shows it."""
    shown: dict[str, Any] = _SUBSCRIPTION.dump(subscription)
    return shown
