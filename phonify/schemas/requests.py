"""The marshmallow schemas of requests, made of the fields of `fields.py`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate, validates_schema
from marshmallow.exceptions import SCHEMA

from ..errors import MAX_BODY, Fault, InvalidRequest
from ..sms.numbers import Number, parse_msisdn
from ..storage.records import Criteria, FrontMessage
from .fields import (
    IDEMPOTENCY_KEY,
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
    message_id_field,
    originator_field,
    read_idempotency_key,
    read_own_number,
    read_seconds,
    search_field,
    time_field,
    whole_field,
)


def load(schema: Schema, arguments: Mapping[str, Any]) -> Any:
    """Check arguments and return what the schema makes of them; raise InvalidRequest with all faults."""
    try:
        return schema.load(arguments)
    except ValidationError as error:
        raise InvalidRequest(_list_faults(error.messages_dict)) from error


def _list_faults(messages: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for param, found in messages.items():
        if isinstance(found, Mapping):  # faults of a list, by index
            faults += [Fault(types[0], f"{param}[{index}]") for index, types in found.items()]
        else:
            faults += [Fault(type_, param if param != SCHEMA else None) for type_ in found]
    return faults


class Draft(NamedTuple):
    """A checked request to send."""

    to: Sequence[Recipient]
    body: str
    origin: Number | None = None
    send_at: datetime | None = None
    idempotency_key: str | None = None
    validity: timedelta | None = None  # None: the server's
    front: FrontMessage | None = None  # what the front that sends it keeps about it
    front_name: str | None = None

    def hash(self) -> str:
        """Return a hash that is the same for equal requests, whatever their idempotency key."""
        # The form must not change: the hashes of earlier versions are in the database.
        given: list[list[Any]] = [["body", self.body]]
        if self.origin is not None:
            given.append(["origin", self.origin.number])
        given.append(["recipients", [recipient.number.number for recipient in self.to]])
        if self.send_at is not None:
            given.append(["send_at", self.send_at.isoformat()])
        return hashlib.sha256(json.dumps(given).encode()).hexdigest()


class ArgumentsSchema(Schema):
    """Base of the schemas of requests: unknown arguments are ignored."""

    class Meta:
        """Options of marshmallow."""

        unknown = EXCLUDE


class BodySchema(ArgumentsSchema):
    """Base of the schemas of requests with a body, which has at most `max_body` characters."""

    def __init__(self, *, max_body: int = MAX_BODY, **options: Any) -> None:
        self.max_body = max_body
        super().__init__(**options)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Limit the body."""
        if isinstance(field_obj, BodyArgument):
            field_obj.limit(self.max_body)


class SendSchema(BodySchema):
    """Arguments of sending a message; loaded as a `Draft`."""

    to = RecipientsArgument(
        most=MAX_RECIPIENTS,
        required=True,
        description="One number in E.164 with the plus sign, or up to 1,000: an array, repeated fields or `to[]`.",
    )
    body = BodyArgument(required=True)
    origin = originator_field(
        "The sender: a number in E.164, a short code of 3 to 8 digits, or up to 11 printable characters of the GSM"
        " 7-bit alphabet with at least one letter. Default: the account's."
    )
    send_at = time_field("When to send it: ISO 8601 with a time zone. A time that has passed means now.")
    idempotency_key = Argument(
        read_idempotency_key,
        invalid="invalid_idempotency_key",
        form=IDEMPOTENCY_KEY,
        data_key="Idempotency-Key",
        allow_none=True,
    )

    @post_load
    def make_draft(self, loaded: dict[str, Any], **_: Any) -> Draft:
        """Return the arguments as one object."""
        return Draft(**loaded)


class ChangeSchema(BodySchema):
    """Arguments of changing a scheduled message."""

    to = RecipientsArgument(most=1, description="The new number.")
    body = BodyArgument()
    send_at = time_field("The new time. A time that has passed means now.")

    @validates_schema
    def require_a_change(self, loaded: dict[str, Any], **_: Any) -> None:
        """Refuse a request without changes."""
        if not loaded:
            raise ValidationError("nothing_to_change")

    @post_load
    def take_one_recipient(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the list `to` with its only recipient."""
        if "to" in loaded:
            (loaded["to"],) = loaded["to"]
        return loaded


class PagingSchema(ArgumentsSchema):
    """Arguments of a list without criteria."""

    offset = whole_field(
        0, MAX_OFFSET, invalid="invalid_offset", description="The number of items to skip.", load_default=0
    )
    limit = whole_field(
        1, MAX_LIMIT, invalid="invalid_limit", description="The maximum number of items.", load_default=50
    )


class CriteriaSchema(ArgumentsSchema):
    """Criteria of messages; loaded as `criteria`, beside the other arguments of a subclass."""

    to = originator_field("Only those to this number.", invalid="invalid_msisdn")
    origin = originator_field("Only those from this sender.")
    phone = originator_field("Only those to or from this number.", invalid="invalid_msisdn")
    state = choice_field(
        "unconfirmed", "sent", "error", invalid="invalid_state", description="Only those in this state."
    )
    direction = choice_field(
        "outbound", "inbound", invalid="invalid_direction", description="Only messages in this direction."
    )
    q = search_field("Only those with this text anywhere in the body; ASCII letters match in either case.")
    after = message_id_field("Only those created after the message with this id, which may have been removed.")
    before = message_id_field("Only those created before it.")

    @post_load
    def make_criteria(self, loaded: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the criteria as one object."""
        for side in {"to", "origin", "phone"} & loaded.keys():
            loaded[side] = loaded[side].number
        criteria = {name: loaded.pop(name) for name in Criteria._fields if name in loaded}
        return {"criteria": Criteria(**criteria), **loaded}


class ListSchema(PagingSchema, CriteriaSchema):
    """Arguments of listing messages; loaded as `criteria` and paging."""

    wait = NumericArgument(
        read_seconds,
        invalid="invalid_wait",
        form={"description": "If nothing matches, wait up to this number of seconds until something does."},
        validate=validate.Range(0, MAX_WAIT, error="invalid_wait"),
        load_default=0.0,
    )


class InboundSchema(BodySchema):
    """Arguments of simulating a received message."""

    sender = originator_field("The phone that writes.", required=True, data_key="from")
    to = Argument(
        read_own_number,
        invalid="invalid_msisdn",
        form={
            **OWN_NUMBER,
            "description": "The app's number or short code. Default: the sender of the last message that the phone got,"
            " or else the account's own number.",
        },
    )
    body = BodyArgument(required=True)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def require_a_number(self, _loaded: dict[str, Any], given: Mapping[str, Any], **_: Any) -> None:
        """Refuse a request without numbers: the default of `to` depends on `from`."""
        if not {"from", "to"} & given.keys():
            raise ValidationError("missing_argument", "to")


class CheckSchema(BodySchema):
    """Arguments of checking a text."""

    body = BodyArgument(required=True)


def read_msisdn(text: str) -> Number:
    """Read an MSISDN in a path; raise InvalidRequest if it is not valid."""
    try:
        # A plus sign in a path may arrive as a space.
        return parse_msisdn(f"+{text[1:]}" if text.startswith(" ") else text)
    except ValueError as error:
        raise InvalidRequest([Fault("invalid_msisdn", "msisdn")]) from error
