"""The Markdown document: its sections, its bound, and that the target's text can't become markup."""

from __future__ import annotations

import pytest

from perfcrew.core.prose import Prose
from perfcrew.core.report import CheckResult, GateResult, Quote, Report
from perfcrew.report import markdown
from perfcrew.report.marking import bounded, escape, fenced, table

CRITICISM = CheckResult(name="figures", passed=False, reasons=("no",) * 500)
SECTIONS = (
    "## Summary", "## Findings", "## State of the System", "## Targets", "## Workload and load",
    "## The request's life", "## Each finding in full", "## Not measured", "## Data", "## Assumptions",
    "## Trade-offs", "## Next steps", "## Method",
    "## Specialists", "## Evidence",
)  # fmt: skip
PARTS = (
    "Problem identified", "Profiling results", "Optimization strategy", "Code changes", "Benchmark results",
    "Validation", "Monitoring", "Deployment notes", "Trade-offs", "Next steps",
)  # fmt: skip


def test_every_section_is_there_in_its_order(report: Report) -> None:
    text = markdown.render(report)
    places = [text.index(f"\n{section}\n") for section in SECTIONS]
    assert places == sorted(places)
    for part in PARTS:
        assert text.count(f"**{part}.**") == len(report.findings)


def test_the_document_keeps_to_its_length_however_much_was_found(report: Report) -> None:
    crowd = report.model_copy(
        update={
            "findings": report.findings * 40, "state": report.state * 60, "life": report.life * 60,
            "targets": report.targets * 50, "load": report.load * 9, "failures": report.failures * 90,
            "not_measured": report.not_measured * 99, "assumptions": report.assumptions * 80,
            "verdict": GateResult(passed=False, checks=(CRITICISM,)),
        }
    )  # fmt: skip
    lines = markdown.lines(crowd)
    assert len(lines) <= markdown.LINES
    text = "\n".join(lines)
    assert "more findings stand in full in the JSON and HTML reports" in text
    assert "and 482 more" in text


def test_a_failed_report_says_so_at_its_head(report: Report) -> None:
    verdict = GateResult(
        passed=False, checks=(CheckResult(name="figures", passed=False, reasons=("state[0]: wrong",)),)
    )
    head = markdown.render(report.model_copy(update={"verdict": verdict})).splitlines()[:8]
    assert "**Gate: FAILED**" in head and "- figures: state[0]: wrong" in head


def test_the_lines_told_are_the_lines_written(report: Report) -> None:
    assert report.document_lines == len(markdown.render(report).splitlines())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("a | b", "a \\| b"),
        ("`a | b <c>`", "`a \\| b <c>`"),
        ("[click](http://evil)", "[click]\\(http://evil)"),
        ("two\nlines", "two lines"),
        ("# no heading", "\\# no heading"),
        ("plain words, `code`", "plain words, `code`"),
    ],
)
def test_what_a_target_says_is_no_markup(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_quotes_of_the_target_are_escaped_where_they_stand(report: Report) -> None:
    evil = Quote(text="<img src=x>|", ref=report.assumptions[0].ref)
    text = markdown.render(report.model_copy(update={"assumptions": (evil,), "summary": Prose(text="a <b> c")}))
    assert "<img" not in text and "a &lt;b> c" in text


def test_a_cut_list_says_how_many_are_left() -> None:
    assert bounded(["a", "b", "c"], 2) == ["a", "b", "- and 1 more"]
    assert bounded(["a", "b"], 2) == ["a", "b"]
    assert table(["h"], [["1"], ["2"], ["3"]], 1)[-2] == "*2 more rows stand in the JSON report.*"


def test_a_fence_is_not_ended_by_what_it_holds() -> None:
    assert fenced("a\n```\nb")[0] == "````" and fenced("a\n```\nb")[-1] == "````"


def test_what_is_refused_for_one_reason_is_told_once(report: Report) -> None:
    why = Quote(text="21 samples do not carry it", ref=report.assumptions[0].ref)
    row = report.state[0]
    refusing = row.readings[0].model_copy(update={"column": "p99", "refused": why})
    rows = [row.model_copy(update={"endpoint": f"GET /{name}", "readings": (refusing,)}) for name in "abcd"]
    text = markdown.render(report.model_copy(update={"state": tuple(rows)}))
    assert "- p99 of `GET /a`, `GET /b` and 2 more endpoints: “21 samples do not carry it”\n" in text
    assert text.count("21 samples") == 1
