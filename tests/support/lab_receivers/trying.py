"""The command `lab` against a real app, and what must come out."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from flask.testing import FlaskCliRunner

from .faults import CORRECT, SECRETS, WRONG

LIMIT = 4.0  # seconds; a busy machine must not make an app look slow
CASES = [(form, fault) for form in WRONG for fault in [*CORRECT[form], "worker", *WRONG[form], "first_piece", "late"]]
Serve = Callable[..., AbstractContextManager[str]]


def run_lab(runner: FlaskCliRunner, address: str, form: str) -> tuple[int, dict[str, Any]]:
    """Run the command, and return its exit status and its report."""
    arguments = ["lab", f"{address}/sms", "--form", form, "--secret", SECRETS[form], "--limit", str(LIMIT)]
    if form == "twilio":
        arguments += ["--status-url", f"{address}/status"]
    result = runner.invoke(args=[*arguments, "--probe", f"{address}/probe", "--patience", "1.5", "--json"])
    return result.exit_code, json.loads(result.stdout)


def try_app(runner: FlaskCliRunner, serve: Serve, form: str, fault: str) -> tuple[int, set[str]]:
    """Return the exit status and the verdicts about an app with a fault."""
    late = LIMIT + 1 if fault == "late" else 0.0
    with serve(form, "" if fault == "late" else fault, late=late) as address:
        status, report = run_lab(runner, address, form)
    return status, {finding["verdict"] for trial in report["trials"] for finding in trial["findings"]}


def expect(form: str, fault: str) -> tuple[int, set[str]]:
    """Return the exit status and the verdicts that must come out."""
    if fault in CORRECT[form] or fault == "worker":
        return 0, CORRECT[form].get(fault, set())
    more = {"first_piece": "refused_slow", "late": "answered_late"}
    return 1, {more.get(fault) or WRONG[form][fault]}
