"""Schemas for the sandbox: codes, links, problems, test runs and Twilio settings. Other servers do not use them."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from marshmallow import Schema, fields, validate

from ..sms.links import find_links
from ..sms.one_time_codes import find_code
from ..storage.front_records import FrontAccount
from ..storage.records import Message, Run
from ..storage.rule_records import MetRule
from .fields import RUN_ID
from .objects import MOMENT, MessageSchema, RecordSchema, Shown
from .rules import MetRuleSchema
from .twilio import write_account_sid

_SID = {"type": "string", "pattern": "^AC[0-9a-f]{32}$", "description": "The account SID."}


def _show_code(message: Message) -> str | None:
    code = find_code(message.body)
    return code.code if code is not None else None


class SandboxMessageSchema(MessageSchema):
    """A message with its one-time code and its links."""

    code = fields.Function(
        _show_code,
        required=True,
        metadata={
            "type": ["string", "null"],
            "description": "The one-time code in the text, without spaces and hyphens. Null if the text has no code.",
            "examples": ["482193"],
        },
    )
    links = fields.Function(
        lambda message: [link.url for link in find_links(message.body)],
        required=True,
        metadata={
            "type": "array",
            "items": {"type": "string"},
            "description": "The `http://` and `https://` addresses that the text contains, from first to last.",
        },
    )
    rule = fields.Nested(
        MetRuleSchema,
        metadata={
            "description": "The rule that was applied to the message. If no rule was applied, this field is missing."
        },
    )


class SandboxMessagesAnswer(Schema):
    """Several messages with their one-time codes and links."""

    messages = fields.List(fields.Nested(SandboxMessageSchema), required=True)


class RemovedAnswer(Schema):
    """The number of messages that were removed."""

    removed = fields.Integer(required=True, strict=True, metadata={"minimum": 0})


class ProblemSchema(RecordSchema):
    """A problem, such as a refused request or a failed webhook."""

    at = fields.String(required=True, metadata={**MOMENT, "description": "The time of the problem, in UTC."})
    seconds_ago = fields.Float(
        required=True,
        metadata={
            "minimum": 0,
            "description": "The age of the problem in seconds. It is correct even if the client's clock is wrong.",
        },
    )
    text = fields.String(required=True, metadata={"description": "A description of the problem, in English."})


class ProblemsAnswer(Schema):
    """Several problems."""

    problems = fields.List(fields.Nested(ProblemSchema), required=True)


class RunSchema(RecordSchema):
    """A test run."""

    id = fields.String(
        required=True, metadata={"description": "Later runs have greater ids.", "examples": RUN_ID["examples"]}
    )
    name = fields.String(required=True, allow_none=True, metadata={"description": "Null if the run has no name."})
    created_at = fields.String(required=True, metadata={**MOMENT, "description": "The start of the run, in UTC."})
    expires_at = fields.String(required=True, metadata={**MOMENT, "description": "The end of the run, in UTC."})


class TwilioSettingsSchema(RecordSchema):
    """An account's credentials and URLs. The Twilio-compatible API uses them."""

    account_sid = fields.Function(lambda kept: write_account_sid(kept.account_id), required=True, metadata=_SID)
    auth_token = fields.String(required=True)
    inbound_url = fields.String(
        required=True, allow_none=True, metadata={"description": "Phonify forwards messages from phones to this URL."}
    )
    inbound_method = fields.String(required=True, validate=validate.OneOf(["GET", "POST"]))
    fallback_url = fields.String(
        required=True, allow_none=True, metadata={"description": "Phonify uses this URL if `inbound_url` fails."}
    )
    fallback_method = fields.String(required=True, validate=validate.OneOf(["GET", "POST"]))


class TwilioSettingsAnswer(Schema):
    """An account's settings for the Twilio-compatible API."""

    twilio = fields.Nested(TwilioSettingsSchema, required=True)


class NewRunSchema(RunSchema):
    """A new test run with its key."""

    twilio = fields.Nested(TwilioSettingsSchema, required=True)
    api_key = fields.String(
        required=True, metadata={"description": "The run's own key. Only this answer shows the key."}
    )


class RunAnswer(Schema):
    """One test run."""

    run = fields.Nested(RunSchema, required=True)


class NewRunAnswer(Schema):
    """A new test run with its key."""

    run = fields.Nested(NewRunSchema, required=True)


class RunsAnswer(Schema):
    """Several test runs."""

    runs = fields.List(fields.Nested(RunSchema), required=True)


_MESSAGE = SandboxMessageSchema()
_MET_RULE = MetRuleSchema()
_PROBLEM = ProblemSchema()
_RUN = RunSchema()
_TWILIO = TwilioSettingsSchema()


def dump_sandbox_messages(messages: Iterable[Message], met: Mapping[str, MetRule]) -> list[Shown]:
    """Return messages with their codes, links and rules.

    If a rule was applied to a message, the message's id is a key in `met`. The value of this key is the rule.
    """
    shown: list[Shown] = _MESSAGE.dump(messages, many=True)
    for message in shown:
        if message["id"] in met:
            message["rule"] = _MET_RULE.dump(met[message["id"]])
    return shown


def dump_problems(problems: Iterable[NamedTuple]) -> list[Shown]:
    """Convert each problem to an object for the API's answer."""
    shown: list[Shown] = _PROBLEM.dump(problems, many=True)
    return shown


def dump_run(run: Run) -> Shown:
    """Convert a test run to an object for the API's answer. The object does not contain the run's key."""
    shown: Shown = _RUN.dump(run)
    return shown


def dump_new_run(run: Run, *, api_key: str, front: FrontAccount) -> Shown:
    """Return a new test run with its key and its credentials."""
    return {**dump_run(run), "api_key": api_key, "twilio": dump_twilio_settings(front)}


def dump_twilio_settings(kept: FrontAccount) -> Shown:
    """Convert an account's Twilio settings to an object for the API's answer."""
    shown: Shown = _TWILIO.dump(kept)
    return shown
