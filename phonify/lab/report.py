"""The report of a lab, as text for people, as JSON and as JUnit XML."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from ..logs import escape_controls
from .bench import Finding
from .verdicts import VERDICTS

NO_PROBE = "no probe was given"
ANSWERS_ONLY = "Only the answers were judged. With a probe URL, the lab also checks what the app did."
Outcome = Literal["passed", "warning", "failed", "skipped"]
_WORDS: dict[Outcome, str] = {"passed": "ok", "warning": "warning", "failed": "FAILED", "skipped": "not run"}


class Result(NamedTuple):
    """The result of a trial."""

    name: str
    title: str
    findings: tuple[Finding, ...]
    seconds: float
    skipped: str | None = None  # why it was not run

    @property
    def outcome(self) -> Outcome:
        """The worst of the findings."""
        severities = {VERDICTS[finding.verdict].severity for finding in self.findings}
        if "failure" in severities:
            return "failed"
        if severities:
            return "warning"
        return "passed" if self.skipped is None else "skipped"


class Report(NamedTuple):
    """The results of a lab."""

    form: str
    url: str
    started_at: str
    seconds: float
    probed: bool  # whether the probe was used
    results: tuple[Result, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many trials have an outcome."""
        return sum(result.outcome == outcome for result in self.results)

    def summarize(self) -> str:
        """Return one line for people."""
        counts = {
            "passed": self.count("passed"),
            "failed": self.count("failed"),
            "with a warning": self.count("warning"),
            "not run": self.count("skipped"),
        }
        parts = [f"{count} {word}" for word, count in counts.items() if count or word == "passed"]
        return f"{', '.join(parts)}, in {self.seconds:.1f} s"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as an object of JSON."""
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


def _dump(result: Result) -> dict[str, Any]:
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
    """Yield the report as lines for people."""
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
    """Return the report as JUnit XML. A warning is in the output of a test that has passed."""
    counts = {
        "tests": str(len(report.results)),
        "failures": str(report.count("failed")),
        "errors": "0",
        "skipped": str(report.count("skipped")),
        "time": f"{report.seconds:.3f}",
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        suites, "testsuite", {"name": f"phonify lab {report.form}", "timestamp": report.started_at, **counts}
    )
    for result in report.results:
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": f"phonify.lab.{report.form}", "name": result.name, "time": f"{result.seconds:.3f}"},
        )
        if result.outcome == "skipped":
            ET.SubElement(case, "skipped", {"message": result.skipped or ""})
        warnings = []
        for finding in result.findings:
            verdict, detail = VERDICTS[finding.verdict], escape_controls(finding.detail)
            text = f"{verdict.title}: {detail}\n{verdict.why}\nWhat to do: {verdict.fix}"
            if verdict.severity == "failure":
                failure = ET.SubElement(
                    case, "failure", {"type": verdict.name, "message": f"{verdict.title}: {detail}"}
                )
                failure.text = text
            else:
                warnings.append(text)
        if warnings:
            ET.SubElement(case, "system-out").text = "\n\n".join(warnings)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
