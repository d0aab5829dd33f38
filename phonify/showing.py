"""How a message is shown: by the API, in a webhook, on the command line."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from marshmallow import Schema, fields, missing

from .errors import Fault
from .segments import count_segments
from .store import Message


class Shown(fields.Field[Any]):
    """A value of a message, shown as `read` returns it; None is left out.

    Read without marshmallow's search for a key or an attribute, which takes half of the time of a dump.
    """

    def __init__(self, read: Callable[[Message], Any]) -> None:
        super().__init__(dump_only=True)
        self.read = read

    def serialize(self, attr: str, obj: Message, accessor: Any = None, **_: Any) -> Any:  # noqa: ARG002 - of marshmallow
        """Return the value."""
        value = self.read(obj)
        return missing if value is None else value


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
