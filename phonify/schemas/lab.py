"""The schemas for the requests and the answers of the webhook lab."""

import json

from marshmallow import Schema, fields, validate

from ..storage.records import LabRun
from .fields import callback_url_field, choice_field
from .objects import MOMENT, Shown
from .requests import StrictSchema

_EXAMPLE = "http://127.0.0.1:3000/probe"


class StartLabSchema(StrictSchema):
    """The arguments for starting a lab."""

    form = choice_field(
        "standard",
        "twilio",
        invalid="invalid_form",
        description="`standard` tests the webhook of the account. `twilio` tests the `inbound_url` of the account.",
    )
    status_url = callback_url_field(
        "If `form` is `twilio`, the lab posts statuses to this URL. Without this URL, the lab posts no statuses.",
        example=_EXAMPLE,
    )
    probe_url = callback_url_field(
        "A URL of the app. With a GET request, the lab asks how many events about a message the app has handled.",
        example=_EXAMPLE,
    )


class FindingSchema(Schema):
    """A problem that the lab has found in the app."""

    verdict = fields.String(required=True, metadata={"description": "The guide of the lab lists all verdicts."})
    severity = fields.String(required=True, validate=validate.OneOf(["failure", "warning"]))
    title = fields.String(required=True)
    detail = fields.String(required=True, metadata={"description": "The facts."})
    why = fields.String(required=True, metadata={"description": "What can go wrong in production."})
    fix = fields.String(required=True, metadata={"description": "What to do."})


class TrialSchema(Schema):
    """The result of a trial."""

    name = fields.String(required=True)
    title = fields.String(required=True)
    outcome = fields.String(required=True, validate=validate.OneOf(["passed", "warning", "failed", "skipped"]))
    seconds = fields.Float(required=True, metadata={"minimum": 0})
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "The reason why the lab has skipped the trial."}
    )
    findings = fields.List(fields.Nested(FindingSchema), required=True)


class ReportSchema(Schema):
    """The report that the lab writes about an app."""

    form = fields.String(required=True)
    url = fields.String(required=True)
    started_at = fields.String(required=True, metadata=MOMENT)
    seconds = fields.Float(required=True, metadata={"minimum": 0})
    probed = fields.Boolean(required=True, metadata={"description": "Whether the lab has used the probe."})
    passed = fields.Integer(required=True, strict=True, metadata={"minimum": 0})
    warnings = fields.Integer(required=True, strict=True, metadata={"minimum": 0})
    failed = fields.Integer(required=True, strict=True, metadata={"minimum": 0})
    skipped = fields.Integer(required=True, strict=True, metadata={"minimum": 0})
    trials = fields.List(fields.Nested(TrialSchema), required=True)


class LabSchema(Schema):
    """A lab."""

    id = fields.String(required=True, metadata={"examples": ["019c1353-98c0-7000-8000-5c0ffee00005"]})
    form = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(["running", "finished", "interrupted"]),
        metadata={"description": "`interrupted` means that the process of the lab ended too early."},
    )
    started_at = fields.String(required=True, metadata={**MOMENT, "description": "In UTC."})
    finished_at = fields.String(required=True, allow_none=True, metadata={**MOMENT, "description": "In UTC."})
    trial = fields.String(
        required=True, allow_none=True, metadata={"description": "The running trial. Null if no trial is running."}
    )
    report = fields.Nested(ReportSchema, required=True, allow_none=True)


class LabAnswer(Schema):
    """One lab."""

    lab = fields.Nested(LabSchema, required=True)


_LAB = LabSchema()


def dump_lab(lab: LabRun, *, is_running: bool) -> Shown:
    """Convert a lab to the format of the API."""
    report = json.loads(lab.report) if lab.report is not None else None
    state = "running" if is_running else "finished" if report is not None else "interrupted"
    trial = lab.trial if is_running else None
    shown: Shown = _LAB.dump({**lab._asdict(), "state": state, "trial": trial, "report": report})
    return shown
