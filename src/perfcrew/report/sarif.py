"""The findings as SARIF 2.1.0, as code scanning services read it. Paths are relative to the target's root."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from perfcrew.core.findings import Finding, is_proposed
from perfcrew.core.report import FindingSection, Report
from perfcrew.core.web import Place

_LEVELS = {"high": "error", "medium": "warning", "low": "note", "info": "note"}
_HOME = "https://github.com/perfcrew/perfcrew"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report) -> str:
    """One run with a result for each finding that lies in the project; suppressed ones say why."""
    rules = sorted({s.finding.rule for s in report.findings})
    results = [_result(s, rules) for s in report.findings]
    run = {
        "tool": {
            "driver": {
                "name": "perfcrew",
                "semanticVersion": report.versions.perfcrew,
                "informationUri": _HOME,
                "rules": [_rule(rule, report) for rule in rules],
            }
        },
        "automationDetails": {"id": "perfcrew/"},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the project that was reviewed."}}},
        "invocations": [{"executionSuccessful": True, "commandLine": " ".join(report.reproduce)}],
        "results": results,
        "properties": {"report": report.id, "gate": bool(report.verdict and report.verdict.passed)},
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2) + "\n"


def _rule(rule: str, report: Report) -> dict[str, Any]:
    first = next(s.finding for s in report.findings if s.finding.rule == rule)
    page, explained = f"rules/{rule}", f"`perfcrew rules {rule}` explains it."
    if is_proposed(first):
        page, explained = "crew", f"A language model brought it up; no rule recognises it. {explained}"
    return {
        "id": rule,
        "name": rule,
        "shortDescription": {"text": first.title},
        "helpUri": f"{_HOME}/blob/main/docs/{page}.md",
        "help": {"text": explained},
        "defaultConfiguration": {"level": _LEVELS[first.level]},
        "properties": {"tags": ["performance"]},
    }


def _result(section: FindingSection, rules: list[str]) -> dict[str, Any]:
    finding = section.finding
    result = {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _LEVELS[finding.level],
        "message": {"text": f"{finding.title}. {section.problem.text}"},
        "locations": [_location(finding.place)],
        "partialFingerprints": {"perfcrewFinding/v1": finding.id},
        "properties": {
            "endpoint": section.endpoint,
            "confidence": finding.confidence,
            "evidence": list(finding.evidence),
        },
    }
    if finding.trigger is not None:
        result["relatedLocations"] = [{**_location(finding.trigger), "message": {"text": "leads there"}}]
    if finding.status != "open":
        result["suppressions"] = [_suppression(finding)]
    return result


def _suppression(finding: Finding) -> dict[str, str]:
    kind = "inSource" if finding.status == "ignored" else "external"
    return {"kind": kind, "status": "accepted", "justification": finding.status_reason}


def _location(place: Place) -> dict[str, Any]:
    physical = {"artifactLocation": _artifact(place.file), "region": {"startLine": max(1, place.line)}}
    logical = {"logicalLocations": [{"name": place.function, "kind": "function"}]} if place.function else {}
    return {"physicalLocation": physical, **logical}


def _artifact(file: str) -> dict[str, str]:
    path = PurePosixPath(file.replace("\\", "/"))
    if path.is_absolute():
        return {"uri": f"file://{quote(str(path))}"}
    return {"uri": quote(str(path)), "uriBaseId": "SRCROOT"}
