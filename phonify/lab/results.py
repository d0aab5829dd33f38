"""The results of trials."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .verdicts import VERDICTS

Outcome = Literal["passed", "warning", "failed", "skipped"]
MOST_DETAIL = 300  # characters


class Finding(NamedTuple):
    """A verdict and its details."""

    verdict: str
    detail: str


@dataclass
class Watch:
    """Describes what the app must do with one message. At the end, the lab asks the probe what the app has done."""

    message_id: str
    minimum: int = 0  # how many events about the message the app must have handled
    maximum: int = 1  # how many it is allowed to handle
    too_often: str = "handled_twice"  # the verdict if the app has handled more events than `maximum`
    harmless: str | None = None  # if the app has handled nothing, this verdict replaces `too_often`
    role: str = ""  # the known state, "sent" or "delivered"; the lab then learns the app's word for this state
    wrong_state: str = ""  # the verdict if the app does not show its word for "delivered"


@dataclass
class TrialResult:
    """The result of a trial."""

    name: str
    title: str
    skipped: str | None = None  # why it was not run
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)

    def find(self, verdict: str, detail: str) -> None:
        """Add a finding. The finding contains at most `MOST_DETAIL` characters of `detail`.

        This limit is necessary because `detail` can contain a long text from the app.
        """
        self.findings.append(Finding(verdict, detail[:MOST_DETAIL]))

    @property
    def outcome(self) -> Outcome:
        """The result in one word. The worst finding determines the result."""
        severities = {VERDICTS[finding.verdict].severity for finding in self.findings}
        if "failure" in severities:
            return "failed"
        if severities:
            return "warning"
        return "passed" if self.skipped is None else "skipped"
