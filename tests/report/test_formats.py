"""JSON, SARIF and JUnit: what other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import pytest

from perfcrew.core.errors import UsageError
from perfcrew.core.report import CheckResult, GateResult, Report
from perfcrew.core.web import Place
from perfcrew.report import FORMATS, junit, render, sarif
from perfcrew.report import json as as_json
from perfcrew.report.schema import PUBLISHED, schema

HERE = Path(__file__).parent


def test_json_gives_the_same_report_back(report: Report) -> None:
    text = as_json.render(report)
    assert as_json.parse(text) == report and as_json.render(as_json.parse(text)) == text


@pytest.mark.parametrize("text", ["{}", "not json", "[]", '{"schema_version": 1}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a report"):
        as_json.parse(text, "report.json")


def test_the_published_schema_is_the_models(report: Report) -> None:
    published = json.loads((HERE.parents[1] / PUBLISHED).read_text(encoding="utf-8"))
    assert published == schema(), "write it again: python -m perfcrew.report.schema"
    jsonschema.Draft202012Validator(published).validate(json.loads(as_json.render(report)))


def test_sarif_is_valid_by_the_official_schema(report: Report) -> None:
    official = json.loads((HERE / "sarif-2.1.0.json").read_text(encoding="utf-8-sig"))
    validator = jsonschema.Draft202012Validator(official)
    validator.validate(json.loads(sarif.render(report)))
    assert not validator.is_valid({"version": "2.1.0", "runs": [{"tool": {}}]})


def test_sarif_has_what_code_scanning_asks_for(report: Report) -> None:
    (run,) = json.loads(sarif.render(report))["runs"]
    assert [r["ruleId"] for r in run["results"]] == [s.finding.rule for s in report.findings]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert result["message"]["text"] and result["level"] in ("error", "warning", "note")
        assert not place["artifactLocation"]["uri"].startswith(("/", "file:")) and place["region"]["startLine"] >= 1
        assert result["partialFingerprints"] and rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert [r["ruleId"] for r in run["results"] if "suppressions" in r] == ["HT403"]


@pytest.mark.parametrize(
    ("file", "artifact"),
    [
        ("src/a b.py", {"uri": "src/a%20b.py", "uriBaseId": "SRCROOT"}),
        ("/venv/lib/x.py", {"uri": "file:///venv/lib/x.py"}),
        ("src\\a.py", {"uri": "src/a.py", "uriBaseId": "SRCROOT"}),
    ],
)
def test_sarif_paths(report: Report, file: str, artifact: dict[str, str]) -> None:
    section = report.findings[0]
    finding = section.finding.model_copy(update={"place": Place(file=file, line=0)})
    changed = report.model_copy(update={"findings": (section.model_copy(update={"finding": finding}),)})
    (run,) = json.loads(sarif.render(changed))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == artifact and place["region"]["startLine"] == 1


def test_junit_has_a_case_for_each_check_target_and_finding(report: Report) -> None:
    checks = (CheckResult(name="figures", passed=False, reasons=("a\x00b",)), CheckResult(name="runs", passed=True))
    judged = report.model_copy(update={"verdict": GateResult(passed=False, checks=checks)})
    root = Xml.fromstring(junit.render(judged))
    suites = {s.get("name"): s for s in root}
    assert [s.get("tests") for s in root] == ["2", "10", "6"]
    assert [s.get("failures") for s in root] == ["1", "0", "5"]
    assert [s.get("skipped") for s in root] == ["0", "2", "1"]
    assert root.get("tests") == "18" and suites["perfcrew.gate"][0][0].text == "a\ufffdb"


@pytest.mark.parametrize(("level", "failures"), [("info", 5), ("low", 5), ("medium", 4), ("high", 3)])
def test_junit_fails_findings_from_a_level_on(report: Report, level: str, failures: int) -> None:
    root = Xml.fromstring(junit.render(report, level))  # type: ignore[arg-type]
    assert root.find("testsuite[@name='perfcrew.findings']").get("failures") == str(failures)  # type: ignore[union-attr]


def test_all_formats_are_rendered_by_name(report: Report) -> None:
    assert all(render(report, form) for form in FORMATS)
    with pytest.raises(UsageError, match="no format 'pdf'"):
        render(report, "pdf")
