"""Tests that the schemas are plain marshmallow schemas, as its documentation describes them."""

from typing import Any

import pytest
from marshmallow import ValidationError, fields, post_dump, post_load, pre_load, validate, validates

from phonify.schemas.objects import MessageSchema
from phonify.schemas.requests import CheckSchema, InboundSchema
from phonify.storage.messages import Message

ARGUMENTS = {"from": "+14560000000", "to": "+15005550006", "body": "Hi"}
MESSAGE = Message(
    id="019c1353-98c0-7000-8000-5c0ffee00001",
    account_id=1,
    direction="outbound",
    body="Hi",
    origin_number="+15005550006",
    origin_country="US",
    origin_carrier=None,
    to_number="+14560000000",
    to_country="US",
    to_carrier=None,
    state="unconfirmed",
    created_at="2026-01-31T09:30:00.000Z",
)


class HookedInbound(InboundSchema):
    note = fields.String(load_default="none", validate=validate.Length(max=4))

    @pre_load
    def add_body(self, data: Any, **_: Any) -> Any:
        return {"body": "Default", **data}

    @validates("body")
    def refuse_spam(self, body: str, data_key: str) -> None:
        if body == "spam":
            raise ValidationError("invalid_text")

    @post_load
    def wrap(self, loaded: Any, **_: Any) -> Any:
        return ("loaded", loaded)


class HookedMessage(MessageSchema):
    link = fields.Function(lambda message: f"/messages/{message.id}")

    @post_dump(pass_original=True)
    def add_account(self, shown: Any, message: Message, **_: Any) -> Any:
        return {**shown, "account": message.account_id}


def test_the_hooks_validators_and_defaults_of_a_schema_for_requests_are_used() -> None:
    kind, loaded = HookedInbound().load({"from": "+14560000000", "to": "+15005550006"})
    assert (kind, loaded["body"], loaded["note"]) == ("loaded", "Default", "none")
    for wrong in ({"body": "spam"}, {"note": "longer"}):
        with pytest.raises(ValidationError) as raised:
            HookedInbound().load({**ARGUMENTS, **wrong})
        assert set(raised.value.messages_dict) == set(wrong)


def test_the_hooks_and_fields_of_a_schema_for_objects_are_used() -> None:
    shown = HookedMessage().dump(MESSAGE)
    assert (shown["account"], shown["link"]) == (1, f"/messages/{MESSAGE.id}")
    assert "send_at" not in shown
    assert HookedMessage(only=["id"]).dump(MESSAGE) == {"id": MESSAGE.id, "account": 1}


def test_each_instance_of_a_schema_has_its_own_limit_of_the_body() -> None:
    default, long = CheckSchema(), CheckSchema(max_body=1_600, only=["body"])
    assert long.load({"body": "x" * 1_600}) == {"body": "x" * 1_600}
    for schema in (default, CheckSchema(max_body=160)):
        with pytest.raises(ValidationError):
            schema.load({"body": "x" * 161})
