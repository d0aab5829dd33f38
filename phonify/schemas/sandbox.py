"""What only a sandbox shows: messages with what a test looks for in them. For the API's description and the answers."""

from collections.abc import Iterable

from marshmallow import Schema, fields

from ..sms.links import find_links
from ..sms.one_time_codes import find_code
from ..storage.records import Message
from .objects import MessageSchema, Shown


def _show_code(message: Message) -> str | None:
    code = find_code(message.body)
    return code.code if code is not None else None


class SandboxMessageSchema(MessageSchema):
    """A message as a test reads it: that of the API with its one-time code and its links."""

    code = fields.Function(
        _show_code,
        required=True,
        metadata={
            "type": ["string", "null"],
            "description": "The one-time code in the text, without spaces and hyphens; null if there is none.",
            "examples": ["482193"],
        },
    )
    links = fields.Function(
        lambda message: [link.url for link in find_links(message.body)],
        required=True,
        metadata={
            "type": "array",
            "items": {"type": "string"},
            "description": "The addresses in the text that begin with `http://` or `https://`, in their order.",
        },
    )


class SandboxMessagesAnswer(Schema):
    """Several messages as a test reads them."""

    messages = fields.List(fields.Nested(SandboxMessageSchema), required=True)


class RemovedAnswer(Schema):
    """The number of messages that were removed."""

    removed = fields.Integer(required=True, strict=True, metadata={"minimum": 0})


_MESSAGE = SandboxMessageSchema()


def dump_sandbox_messages(messages: Iterable[Message]) -> list[Shown]:
    """Return messages with their one-time codes and their links."""
    shown: list[Shown] = _MESSAGE.dump(messages, many=True)
    return shown
