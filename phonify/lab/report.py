"""Writes the report of a lab in three formats: plain text, JSON and JUnit XML."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..logs import escape_controls
from .probe import NO_PROBE
from .results import Finding, Outcome, TrialResult
from .verdicts import VERDICTS

ANSWERS_ONLY = "The lab has checked the answers, and nothing else. With a probe URL, it also checks what the app did."
_WORDS: dict[Outcome, str] = {"passed": "ok", "warning": "warning", "failed": "FAILED", "skipped": "not run"}


class Report(NamedTuple):
    """The results of all trials against one app."""

    form: str
    url: str
    started_at: str
    seconds: float
    probed: bool  # whether the probe was used
    results: tuple[TrialResult, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many trials have this outcome."""
        return sum(result.outcome == outcome for result in self.results)

    def summarize(self) -> str:
        """Return one line that summarizes the report."""
        words: dict[Outcome, str] = {"failed": "failed", "warning": "with a warning", "skipped": "not run"}
        others = [f"{self.count(outcome)} {word}" for outcome, word in words.items() if self.count(outcome)]
        return ", ".join([f"{self.count('passed')} passed", *others, f"in {self.seconds:.1f} s"])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "form": self.form,
            "url": self.url,
            "started_at": self.started_at,
            "seconds": round(self.seconds, 3),
            "probed": self.probed,
            "passed": self.count("passed"),
            "warnings": self.count("warning"),
            "failed": self.count("failed"),
            "skipped": self.count("skipped"),
            "trials": [_dump(result) for result in self.results],
        }


def _dump(result: TrialResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "title": result.title,
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "reason": result.skipped,
        "findings": [_dump_finding(finding) for finding in result.findings],
    }


def _dump_finding(finding: Finding) -> dict[str, str]:
    verdict = VERDICTS[finding.verdict]
    return {
        "verdict": verdict.name,
        "severity": verdict.severity,
        "title": verdict.title,
        "detail": finding.detail,
        "why": verdict.why,
        "fix": verdict.fix,
    }


def list_lines(report: Report) -> Iterator[str]:
    """Yield the lines of the report as text."""
    width = max(len(result.name) for result in report.results)
    for result in report.results:
        reason = f" ({result.skipped})" if result.outcome == "skipped" else ""
        yield f"{_WORDS[result.outcome]:<8} {result.name:<{width}}  {result.title}{reason}"
        for finding in result.findings:
            yield f"         {VERDICTS[finding.verdict].title}: {escape_controls(finding.detail)}"
    found = dict.fromkeys(finding.verdict for result in report.results for finding in result.findings)
    for name in found:
        verdict = VERDICTS[name]
        yield ""
        yield f"{verdict.title} ({verdict.severity}, {name})"
        yield f"  {verdict.why}"
        yield f"  What to do: {verdict.fix}"
    yield ""
    yield report.summarize()
    if report.results[-1].skipped == NO_PROBE:
        yield ANSWERS_ONLY


def write_junit(report: Report) -> str:
    """Return the report as JUnit XML.

    If a trial has only warnings, its test case passes. The output of the test case shows the warnings.
    """
    counts = {
        "tests": str(len(report.results)),
        "failures": str(report.count("failed")),
        "errors": "0",
        "skipped": str(report.count("skipped")),
        "time": f"{report.seconds:.3f}",
    }
    name, classname = f"phonify lab {report.form}", f"phonify.lab.{report.form}"
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": name, "timestamp": report.started_at, **counts})
    for result in report.results:
        attributes = {"classname": classname, "name": result.name, "time": f"{result.seconds:.3f}"}
        case = ET.SubElement(suite, "testcase", attributes)
        if result.outcome == "skipped":
            ET.SubElement(case, "skipped", {"message": result.skipped or ""})
        warnings = []
        for finding in result.findings:
            verdict = VERDICTS[finding.verdict]
            summary = f"{verdict.title}: {escape_controls(finding.detail)}"
            text = f"{summary}\n{verdict.why}\nWhat to do: {verdict.fix}"
            if verdict.severity == "failure":
                ET.SubElement(case, "failure", {"type": verdict.name, "message": summary}).text = text
            else:
                warnings.append(text)
        if warnings:
            ET.SubElement(case, "system-out").text = "\n\n".join(warnings)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
