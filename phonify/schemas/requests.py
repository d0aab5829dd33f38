"""The marshmallow schemas of requests. Their fields are in `fields.py`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, pre_load, validate, validates_schema
from marshmallow.exceptions import SCHEMA

from ..errors import MAX_BODY, Fault, InvalidRequest
from ..sms.numbers import Number, parse_msisdn
from ..storage.front_records import FrontMessage
from ..storage.records import Criteria
from .fields import (
    MAX_LIMIT,
    MAX_OFFSET,
    MAX_RECIPIENTS,
    MAX_WAIT,
    OWN_NUMBER,
    Argument,
    BodyArgument,
    NumericArgument,
    Recipient,
    RecipientsArgument,
    choice_field,
    idempotency_field,
    message_id_field,
    originator_field,
    read_decimal,
    read_own_number,
    search_field,
    time_field,
    whole_field,
)


def load(schema: Schema, arguments: Mapping[str, Any]) -> Any:
    """Load arguments with a schema, and return the result. Raises InvalidRequest, which lists all errors."""
    try:
        return schema.load(arguments)
    except ValidationError as error:
        raise InvalidRequest(_list_faults(error.messages_dict)) from error


def _list_faults(messages: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for param, found in messages.items():
        if isinstance(found, Mapping):  # the faults of a list, by index
            faults += [Fault(types[0], f"{param}[{index}]") for index, types in found.items()]
        else:
            faults += [Fault(type_, param if param != SCHEMA else None) for type_ in found]
    return faults


class Draft(NamedTuple):
    """The arguments of a request to send messages. Phonify has checked these arguments."""

    to: Sequence[Recipient]
    body: str
    origin: Number | None = None
    send_at: datetime | None = None
    idempotency_key: str | None = None
    validity: timedelta | None = None  # None: the default of the server
    front: FrontMessage | None = None  # data that a front, such as the one for Twilio, stores for the message
    front_name: str | None = None
    released_id: str | None = None  # if the request releases a caught message: the id of this message

    def hash(self) -> str:
        """Return a hash of the request. It does not depend on the idempotency key. Equal requests have equal hashes."""
        # Append a new argument only if the request has it. A request without the argument then has the same hash as in
        # earlier versions. The database contains hashes from earlier versions.
        given: list[list[Any]] = [["body", self.body]]
        if self.origin is not None:
            given.append(["origin", self.origin.number])
        given.append(["recipients", [recipient.number.number for recipient in self.to]])
        if self.send_at is not None:
            given.append(["send_at", self.send_at.isoformat()])
        if self.released_id is not None:
            given.append(["released", self.released_id])
        return hashlib.sha256(json.dumps(given).encode()).hexdigest()


class ArgumentsSchema(Schema):
    """The base class of all schemas for requests. It ignores unknown arguments."""

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE


class StrictSchema(ArgumentsSchema):
    """The base class of strict schemas. A strict schema refuses unknown arguments.

    So a user notices a misspelled argument.
    """

    error_messages = {"unknown": "unknown_argument"}  # noqa: RUF012 - of marshmallow
    ignored = frozenset({"api_key"})  # every request may have the key as an argument

    class Meta:
        """Options of marshmallow."""

        unknown = RAISE

    @pre_load
    def leave_out(self, given: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """Leave out the arguments that have no effect."""
        return {name: value for name, value in given.items() if name not in self.ignored}


class BodySchema(ArgumentsSchema):
    """The base class of the schemas that have a `body`. The body has at most `max_body` characters."""

    def __init__(self, *, max_body: int = MAX_BODY, **options: Any) -> None:
        self.max_body = max_body
        super().__init__(**options)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Limit the body."""
        if isinstance(field_obj, BodyArgument):
            field_obj.limit(self.max_body)


class SendSchema(BodySchema):
    """The arguments for sending a message. `load` returns a `Draft`."""

    to = RecipientsArgument(
        limit=MAX_RECIPIENTS,
        required=True,
        description="One number in E.164 with the plus sign, or up to 1,000 such numbers. Write several numbers as an"
        " array, as repeated fields or as `to[]`.",
    )
    body = BodyArgument(required=True)
    origin = originator_field(
        "The sender: a number in E.164, a short code of 3 to 8 digits, or a name. A name has up to 11 printable"
        " characters of the GSM 7-bit alphabet. At least one of them is a letter. The default is the account's sender."
    )
    send_at = time_field("The time of sending, in ISO 8601 with a time zone. A time in the past means now.")
    idempotency_key = idempotency_field()

    @post_load
    def make_draft(self, loaded: dict[str, Any], **_: Any) -> Draft:
        """Return the arguments as a Draft."""
        return Draft(**loaded)


class ReleaseSchema(ArgumentsSchema):
    """The argument of a request that releases a message."""

    idempotency_key = idempotency_field()


class ChangeSchema(BodySchema):
    """The arguments for changing a scheduled message."""

    to = RecipientsArgument(limit=1, description="The new number.")
    body = BodyArgument()
    send_at = time_field("The new time. A time in the past means now.")

    @validates_schema
    def require_a_change(self, loaded: dict[str, Any], **_: Any) -> None:
        """Refuse a request that gives no new value."""
        if not loaded:
            raise ValidationError("nothing_to_change")

    @post_load
    def take_one_recipient(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the list in `to` by its only recipient. If `to` is missing, change nothing."""
        if "to" in loaded:
            (loaded["to"],) = loaded["to"]
        return loaded


class PagingSchema(ArgumentsSchema):
    """The arguments that select one page of a list."""

    offset = whole_field(
        0, MAX_OFFSET, invalid="invalid_offset", description="The number of items to skip.", load_default=0
    )
    limit = whole_field(
        1, MAX_LIMIT, invalid="invalid_limit", description="The maximum number of items.", load_default=50
    )


class CriteriaSchema(ArgumentsSchema):
    """The criteria that select messages. The schema puts them into one object. A subclass can add other arguments."""

    to = originator_field("Select messages that have this recipient.", invalid="invalid_msisdn")
    origin = originator_field("Select messages that have this sender.")
    phone = originator_field("Select messages to or from this number.", invalid="invalid_msisdn")
    state = choice_field(
        "unconfirmed", "sent", "error", invalid="invalid_state", description="Select messages in this state."
    )
    direction = choice_field(
        "outbound", "inbound", invalid="invalid_direction", description="Select messages in this direction."
    )
    q = search_field("Select messages with this text in the body. The case of ASCII letters does not matter.")
    reference = search_field("Select the message to which the provider gave this id.")
    after = message_id_field(
        "Select messages newer than the message with this id. You can use the id of a removed message."
    )
    before = message_id_field(
        "Select messages older than the message with this id. You can use the id of a removed message."
    )

    @post_load
    def make_criteria(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Put the criteria into one object."""
        for side in {"to", "origin", "phone"} & loaded.keys():
            loaded[side] = loaded[side].number
        criteria = {name: loaded.pop(name) for name in Criteria._fields if name in loaded}
        return {"criteria": Criteria(**criteria), **loaded}


class RemoveSchema(StrictSchema, CriteriaSchema):
    """The arguments of a request to remove messages. The schema ignores `limit`, `offset` and `wait`."""

    ignored = StrictSchema.ignored | {"limit", "offset", "wait"}


class ListSchema(PagingSchema, CriteriaSchema):
    """The arguments for listing messages: the criteria, the paging and `wait`."""

    wait = NumericArgument(
        read_decimal,
        invalid="invalid_wait",
        form={"description": "If no message matches, the request waits up to this number of seconds."},
        validate=validate.Range(0, MAX_WAIT, error="invalid_wait"),
        load_default=0.0,
    )


class SetWebhookSchema(ArgumentsSchema):
    """The arguments of the request that sets the webhook."""

    url = Argument(
        str,  # the code in `domain/` checks the URL
        invalid="invalid_webhook_url",
        form={
            "type": "string",
            "format": "uri",
            "description": "A URL that begins with `https://` or `http://`. It must have no user name and no password.",
            "examples": ["https://example.com/sms"],
        },
        required=True,
    )


class InboundSchema(BodySchema):
    """The arguments for simulating a received message."""

    sender = originator_field("The number of the phone.", required=True, data_key="from")
    to = Argument(
        read_own_number,
        invalid="invalid_msisdn",
        form={
            **OWN_NUMBER,
            "description": "The app's number or short code. The default is the sender of the latest message to the"
            " phone. If there is no message to the phone yet, Phonify uses the account's default sender.",
        },
    )
    body = BodyArgument(required=True)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def require_a_number(self, _loaded: dict[str, Any], given: Mapping[str, Any], **_: Any) -> None:
        """Require the argument `from` or the argument `to`. If `to` is missing, its value depends on `from`."""
        if not {"from", "to"} & given.keys():
            raise ValidationError("missing_argument", "to")


class CheckSchema(BodySchema):
    """The arguments for checking a text."""

    body = BodyArgument(required=True)


def read_msisdn(text: str) -> str:
    """Read an MSISDN from a path, and return the number in E.164. Raises InvalidRequest if it is not valid."""
    try:
        # A plus sign in a path may arrive as a space.
        return parse_msisdn(f"+{text[1:]}" if text.startswith(" ") else text).number
    except ValueError as error:
        raise InvalidRequest([Fault("invalid_msisdn", "msisdn")]) from error
