"""Each check of the gate: what it refuses, where it says so, and that an honest report passes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perfcrew.core.errors import LedgerError, UsageError
from perfcrew.core.evidence import Estimate, Measurement, Method, NotMeasured
from perfcrew.core.findings import Finding
from perfcrew.core.prose import Figure, Prose, Ref
from perfcrew.core.report import GateResult, JudgedTarget, Quote, Report, digest
from perfcrew.gate import check, seal
from perfcrew.gate.held import Held
from perfcrew.gate.judge import CHECKS, decide, limits_of
from perfcrew.ledger import Ledger
from perfcrew.report import json as as_json
from perfcrew.report import markdown
from perfcrew.report.compose import compose
from tests.report.make_ledger import RUN, make

LIMITS = limits_of()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with make(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture(scope="module")
def report(ledger: Ledger) -> Report:
    return compose(ledger, RUN)


@pytest.fixture(scope="module")
def held(ledger: Ledger) -> Held:
    return Held.read(ledger, RUN)


def failed(verdict: GateResult) -> dict[str, tuple[str, ...]]:
    return {c.name: c.reasons for c in verdict.failed}


def section(report: Report, n: int = 0, **changes: object) -> Report:
    """The report with one finding's section changed."""
    changed = report.findings[n].model_copy(update=changes)
    return report.model_copy(update={"findings": (*report.findings[:n], changed, *report.findings[n + 1 :])})


def finding(report: Report, **changes: object) -> Report:
    return section(report, finding=report.findings[0].finding.model_copy(update=changes))


def said(text: str, *figures: Figure) -> Prose:
    return Prose(text=text, figures=figures)


def target(report: Report, n: int, **changes: object) -> Report:
    changed = report.targets[n].model_copy(update=changes)
    return report.model_copy(update={"targets": (*report.targets[:n], changed, *report.targets[n + 1 :])})


def _swap_columns(report: Report) -> Report:
    """The p95 of an endpoint under its p50."""
    row = report.state[2]
    p50, p95 = row.reading("p50"), row.reading("p95")
    moved = p50.model_copy(update={"value": p95.value, "interval": p95.interval})
    readings = tuple(moved if r.column == "p50" else r for r in row.readings)
    return report.model_copy(
        update={"state": (*report.state[:2], row.model_copy(update={"readings": readings}), *report.state[3:])}
    )


def _hide_a_number(report: Report) -> Report:
    row = report.state[0]
    readings = tuple(
        r.model_copy(update={"value": said("not measured"), "interval": said("")}) if r.column == "cpu" else r
        for r in row.readings
    )
    return report.model_copy(update={"state": (row.model_copy(update={"readings": readings}), *report.state[1:])})


def _unmeasured_met(report: Report) -> Report:
    n = next(n for n, t in enumerate(report.targets) if t.outcome == "not measured")
    return target(report, n, outcome="met")


def _missed_met(report: Report) -> Report:
    stricter = report.targets[1].target.model_copy(update={"bound": 1.0})
    return target(report, 1, target=stricter)


def _other_subject(report: Report) -> Report:
    """A figure of one endpoint in a sentence on another."""
    text = report.summary.text.replace("`GET /search` is", "`GET /books` is  ", 1)
    moved = len(text) - len(report.summary.text)
    figures = tuple(
        f.model_copy(update={"start": f.start + moved, "end": f.end + moved}) for f in report.summary.figures
    )
    return report.model_copy(update={"summary": Prose(text=text, figures=figures)})


REFUSED: dict[str, tuple[str, str, Callable[[Report], Report]]] = {
    "a number nobody measured": ("numerals", "'42'", lambda r: section(r, strategy=said("It gets 42 times faster."))),
    "a quantity in words": ("numerals", "twice as", lambda r: section(r, strategy=said("It gets twice as fast."))),
    "a quantity dressed as code": ("numerals", "`12 ms`", lambda r: section(r, strategy=said("It takes `12 ms`."))),
    "an altered number": (
        "figures",
        "614 ms",
        lambda r: r.model_copy(
            update={"summary": Prose(text=r.summary.text.replace("641", "614"), figures=r.summary.figures)}
        ),
    ),
    "another endpoint's number": ("subjects", "about GET /search", _other_subject),
    "two columns swapped": ("cells", "does not cite p50", _swap_columns),
    "a number kept back": ("cells", "though the ledger holds it", _hide_a_number),
    "words that the ledger does not say": (
        "quotes",
        "is not what the ledger says",
        lambda r: r.model_copy(
            update={"assumptions": (Quote(text="All is well.", ref=r.assumptions[0].ref), *r.assumptions[1:])}
        ),
    ),
    "a finding more severe than concluded": ("findings", "is not the finding", lambda r: finding(r, level="info")),
    "a finding surer than concluded": ("findings", "is not the finding", lambda r: finding(r, confidence=1.0)),
    "a finding left out": ("findings", "was left out", lambda r: r.model_copy(update={"findings": r.findings[1:]})),
    "a finding told twice": (
        "findings",
        "stands there twice",
        lambda r: r.model_copy(update={"findings": (*r.findings, r.findings[0])}),
    ),
    "a finding that looks at one metric": (
        "findings",
        "looks at 1 metric",
        lambda r: section(r, benchmark=r.findings[0].benchmark[:1]),
    ),
    "not measured called met": ("targets", "without a measurement", _unmeasured_met),
    "another bound than the profile's": ("targets", "is not in the profile", _missed_met),
    "a target left out": ("targets", "is not judged", lambda r: r.model_copy(update={"targets": r.targets[1:]})),
    "met called missed": ("targets", "and is met", lambda r: target(r, 1, outcome="missed")),
    "an endpoint left out": ("complete", "is not in the table", lambda r: r.model_copy(update={"state": r.state[1:]})),
    "an unmeasured endpoint left out": (
        "complete",
        "is not listed",
        lambda r: r.model_copy(update={"not_measured": ()}),
    ),
    "another status": (
        "complete",
        "did not answer 200",
        lambda r: r.model_copy(
            update={"not_measured": (r.not_measured[0].model_copy(update={"status": 200}), *r.not_measured[1:])}
        ),
    ),
    "a failure not told": ("complete", "is not told", lambda r: r.model_copy(update={"failures": ()})),
    "an empty section": ("sections", "validation is empty", lambda r: section(r, validation=said("  "))),
    "a placeholder": ("sections", "is a placeholder", lambda r: section(r, deployment=said("TODO: write this down."))),
    "a template's slot": (
        "sections",
        "is a placeholder",
        lambda r: section(r, deployment=said("Roll out {{service}} first.")),
    ),
    "too long a document": ("sections", "more than 700", lambda r: r.model_copy(update={"document_lines": 701})),
    "no trade-offs": ("trade-offs", "what its change would cost", lambda r: section(r, trade_offs=said("None."))),
    "no environment": ("method", "environment is missing", lambda r: r.model_copy(update={"environments": ()})),
    "another machine": (
        "method",
        "is not the ledger's",
        lambda r: r.model_copy(
            update={
                "environments": (
                    r.environments[0].model_copy(
                        update={"environment": r.environments[0].environment.model_copy(update={"cores": 64})}
                    ),
                )
            }
        ),
    ),
    "another tool": (
        "method",
        "is not the one",
        lambda r: r.model_copy(update={"method": (r.method[3].model_copy(update={"tool": "stopwatch"}),)}),
    ),
    "another distribution": (
        "drawings",
        "is not the distribution",
        lambda r: r.model_copy(
            update={
                "charts": r.charts.model_copy(
                    update={
                        "distributions": (
                            r.charts.distributions[0].model_copy(update={"values_ms": (1.0,), "counts": (2,)}),
                        )
                    }
                )
            }
        ),
    ),
    "another growth": (
        "drawings",
        "is not the growth",
        lambda r: r.model_copy(
            update={
                "charts": r.charts.model_copy(
                    update={"scaling": (r.charts.scaling[0].model_copy(update={"growth": "constant"}),)}
                )
            }
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, report: Report, held: Held) -> None:
    by, reason, change = REFUSED[name]
    reasons = failed(decide(change(report), held, LIMITS))
    assert any(reason in r for r in reasons.get(by, ())), reasons


def test_an_honest_report_passes_every_check(report: Report, ledger: Ledger) -> None:
    verdict = check(report, ledger, document=markdown.render(report))
    assert failed(verdict) == {} and verdict.passed
    assert len({c.name for c in verdict.checks}) == len(CHECKS) + 3


def test_what_there_was_nothing_to_check_is_said(report: Report, held: Held) -> None:
    notes = {c.name: c.note for c in decide(report, held, LIMITS).checks}
    for name in ("significance", "tests", "regressions"):
        assert "no change was made" in notes[name]


def test_a_document_is_counted_and_not_believed(report: Report, held: Held) -> None:
    assert "length" in failed(decide(report, held, LIMITS, document="line\n" * 701))


def test_too_few_runs(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        body = Measurement(
            metric="latency", unit="ms", direction="lower", runs=1, count=50, statistics={"p50": Estimate(value=3)}
        )
        ledger.put(RUN, "once", body, Method(tool="load", version="1"), "GET /once")
        reasons = failed(check(compose(ledger, RUN), ledger))
    assert list(reasons) == ["runs"] and "1 runs, fewer than 3" in reasons["runs"][0]


def test_a_measurement_without_a_tool(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        body = Measurement(
            metric="latency", unit="ms", direction="lower", runs=3, count=50, statistics={"p50": Estimate(value=3)}
        )
        ledger.put(RUN, "bare", body, Method(tool="", version=""), "GET /bare")
        assert "names no tool and version" in failed(check(compose(ledger, RUN), ledger))["method"][0]


def test_a_finding_that_rests_on_no_profile(report: Report, held: Held) -> None:
    clock = next(e.id for e in held.of("measurement", "GET /search"))
    item = held.items[report.findings[0].source.evidence]
    bare: Finding = report.findings[0].finding.model_copy(update={"evidence": (clock,)})
    body = item.body.model_copy(update={"findings": (bare, *item.body.findings[1:])})  # type: ignore[union-attr]
    claims = Held({**held.items, item.id: item.model_copy(update={"body": body})}, held.kinds)
    reasons = failed(decide(section(report, finding=bare), claims, LIMITS))
    assert any("rests on no profile, trace or plan" in r for r in reasons["findings"])


def test_a_sealed_report_carries_its_verdict_and_passes_again(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        sealed = seal(compose(ledger, RUN), ledger)
        assert sealed.verdict is not None and sealed.verdict.passed
        assert check(as_json.parse(as_json.render(sealed)), ledger).passed
        assert check(compose(ledger, RUN), ledger).passed
        assert [e.body.digest for e in ledger.find(RUN, "published")] == [digest(sealed)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "edit", "by"),
    [
        ("a title", lambda d: d.update(title="All is well"), "published"),
        ("a sample of a chart", lambda d: d["charts"]["flames"][0]["root"].update(samples=1), "published"),
        (
            "a bar of a waterfall",
            lambda d: d["charts"]["waterfalls"][0]["bars"][0].update(duration_ms=0.1),
            "published",
        ),
        ("a next step", lambda d: d["next_steps"].pop(), "published"),
        ("a check", lambda d: d["verdict"]["checks"][0].update(note="fine"), "verdict"),
        ("a check left out", lambda d: d["verdict"]["checks"].pop(), "verdict"),
        ("the verdict", lambda d: d["verdict"].update(passed=False), "verdict"),
    ],
)
def test_a_report_edited_by_hand_fails(name: str, edit: Callable[[dict], object], by: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    with make(tmp_path) as ledger:
        content = json.loads(as_json.render(seal(compose(ledger, RUN), ledger)))
        edit(content)
        assert by in failed(check(as_json.parse(json.dumps(content)), ledger))


def test_taking_the_verdict_off_does_not_hide_an_edit(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        sealed = seal(compose(ledger, RUN), ledger)
        assert "published" in failed(check(sealed.model_copy(update={"verdict": None, "title": "Other"}), ledger))


def test_a_failed_report_is_sealed_too_and_stays_failed(report: Report, tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        wrong = compose(ledger, RUN).model_copy(update={"next_steps": (), "assumptions": (), "failures": ()})
        sealed = seal(wrong, ledger)
        assert sealed.verdict is not None and not sealed.verdict.passed
        again = check(sealed, ledger)
        assert not again.passed and set(failed(again)) == {"complete"}
        turned = sealed.model_copy(update={"verdict": GateResult(passed=True, checks=sealed.verdict.checks)})
        assert {"published", "verdict"} <= set(failed(check(turned, ledger)))


def test_altered_evidence_is_an_error(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        report = compose(ledger, RUN)
        ledger._db.executescript(
            "DROP TRIGGER evidence_stays; UPDATE evidence SET content = replace(content, '618', '81')"
        )
        with pytest.raises(LedgerError, match="was altered"):
            check(report, ledger)


def test_figures_that_lie_outside_their_text(report: Report, held: Held) -> None:
    ref = Ref(evidence=report.evidence[5].id, field="count")
    for start, end in ((0, 99), (3, 3), (-1, 2)):
        prose = said("51 of them were seen", Figure(start=start, end=end, refs=(ref,), unit="count"))
        assert "figures" in failed(decide(section(report, strategy=prose), held, LIMITS))


def test_limits_are_read_from_the_room_and_a_projects_own(tmp_path: Path) -> None:
    own = tmp_path / ".perfcrew/config/gate.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("runs: 5\nlines: 700\ntraced_requests: 2\nmetrics: 2\n")
    assert LIMITS["runs"] == 3 and limits_of(tmp_path)["runs"] == 5
    own.write_text("runs: many\nlines: 700\n")
    with pytest.raises(UsageError, match="no number for runs, traced_requests, metrics"):
        limits_of(tmp_path)


def test_a_target_is_never_met_by_another_endpoints_number(report: Report, held: Held) -> None:
    unmeasured = next(n for n, t in enumerate(report.targets) if t.subject == "GET /search")
    other: JudgedTarget = next(t for t in report.targets if t.subject == "GET /books")
    stolen = target(report, unmeasured, outcome="met", ref=other.ref, shown=other.shown)
    assert any("is no measurement of it" in r for r in failed(decide(stolen, held, LIMITS))["targets"])


def test_an_endpoint_that_answered_errors_is_never_fast(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        ledger.put(
            RUN, "err", NotMeasured(reason="answered 500", status=500), Method(tool="x", version="1"), "GET /err"
        )
        report = compose(ledger, RUN)
    assert "GET /err" in {u.endpoint for u in report.not_measured} - {r.endpoint for r in report.state}
