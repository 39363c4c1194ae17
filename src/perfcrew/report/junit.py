"""The verdict as JUnit XML, as continuous integration reads it: a case for each check, target and finding."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from perfcrew.core.findings import LEVELS, Level
from perfcrew.core.report import CheckResult, FindingSection, JudgedTarget, Report

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report, level: Level = "low") -> str:
    """Three suites. A check that failed, a target that was missed, an open finding at or over `level` is a failure.

    A target that was not measured, or is met from too few samples for a bound, is skipped: neither is a pass.
    """
    suites = Xml.Element("testsuites", name="perfcrew")
    _suite(suites, "gate", [_check(c) for c in (report.verdict.checks if report.verdict else ())])
    _suite(suites, "targets", [_target(t) for t in report.targets])
    _suite(suites, "findings", [_finding(s, level) for s in report.findings])
    for name in ("tests", "failures", "skipped"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    Xml.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(suites, encoding="unicode") + "\n"


def _suite(parent: Xml.Element, name: str, cases: list[Xml.Element]) -> None:
    suite = Xml.SubElement(parent, "testsuite", name=f"perfcrew.{name}", errors="0", tests=str(len(cases)))
    suite.extend(cases)
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))


def _case(of: str, name: str, outcome: str = "", message: str = "", detail: str = "") -> Xml.Element:
    case = Xml.Element("testcase", classname=f"perfcrew.{of}", name=_printable(name), time="0")
    if outcome:
        Xml.SubElement(case, outcome, message=_printable(message)).text = _printable(detail) or None
    return case


def _check(check: CheckResult) -> Xml.Element:
    if check.passed:
        return _case("gate", check.name)
    return _case("gate", check.name, "failure", f"{len(check.reasons)} reasons", "\n".join(check.reasons))


def _target(judged: JudgedTarget) -> Xml.Element:
    name = f"{judged.target.name} [{judged.subject}]"
    said = f"{judged.shown.text}, wanted {judged.target.operator} {judged.bound.text}"
    outcome = {"met": "", "missed": "failure"}.get(judged.outcome, "skipped")
    return _case("targets", name, outcome, said, judged.target.measured_by)


def _finding(section: FindingSection, level: Level) -> Xml.Element:
    finding = section.finding
    name = f"{finding.id} {finding.title} [{finding.place.file}:{finding.place.line}]"
    if finding.status != "open":
        return _case("findings", name, "skipped", f"{finding.status}: {finding.status_reason}")
    if LEVELS.index(finding.level) < LEVELS.index(level):
        return _case("findings", name)
    return _case("findings", name, "failure", f"{finding.level}: {finding.title}", section.problem.text)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)
