"""The gate on what was tried: kept changes are judged again from their pairs, and none may cost anything elsewhere."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.comparison import Comparison, Effect, Ratio, Side
from perfcrew.core.evidence import Evidence, Findings, Method
from perfcrew.core.experiments import Kept, Outcome, Trial, TrialStep
from perfcrew.core.findings import Finding
from perfcrew.core.prose import Prose
from perfcrew.core.report import JudgedTarget, KeptTarget, Report
from perfcrew.gate import check, seal
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from perfcrew.report.compose import compose
from tests.report.make_ledger import RUN, make

METHOD = Method(tool="perfcrew compare", version="0.1.0")
STEPS = tuple(
    TrialStep(name=name, passed=True, said="as before")
    for name in ("apply", "tests", "answers", "footprint", "measure")
)

UNTESTED = tuple(s.model_copy(update={"passed": None}) if s.name == "tests" else s for s in STEPS)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make(tmp_path) as made:
        yield made


def ranked(ledger: Ledger) -> Finding:
    spoken = [e.body for e in ledger.find(RUN, "findings") if isinstance(e.body, Findings) and e.body.findings]
    return next(f for body in spoken for f in body.findings if f.endpoint and f.hypotheses)


def effect(metric: str, ratio: float, verdict: str, *, pairs: int = 20, a: float = 50.0) -> Effect:
    """An effect whose pairs scatter about a ratio."""
    draw = random.Random(metric)
    logs = tuple(math.log(ratio) + draw.gauss(0, 0.01) for _ in range(pairs))
    return Effect(
        metric=metric,
        unit="ms",
        direction="lower",
        role="deciding",
        verdict=verdict,  # type: ignore[arg-type]
        a=a,
        b=a * ratio,
        ratio=Ratio(value=ratio, low=ratio * 0.98, high=ratio * 1.02, level=0.95),
        pairs_count=pairs,
        log_ratios=logs,
    )


def tried(ledger: Ledger, *effects: Effect, **changes: Any) -> Evidence:
    """A trial, its comparison and its outcome; `changes` are of the outcome, `late` writes the trial afterwards."""
    found = ranked(ledger)
    trial = Trial(
        number=1,
        finding=found.id,
        endpoint=str(found.endpoint),
        variant="x",
        title="Load the lines with the orders",
        hypothesis=found.hypotheses[0],
        metric="latency",
        expected_share=0.5,
        evidence=found.evidence,
        success="latency improves",
        failure="anything becomes worse",
        stopping="when it is certain",
        budget_s=90,
        margin_share=0.02,
        error_share=0.05,
        base_commit="f00",
    )
    trial = trial.model_copy(update=changes.pop("promised", {}))
    late = changes.pop("late", False)
    together = changes.pop("together", True)
    unproven = changes.pop("unproven", ())
    id = "" if late else ledger.put(RUN, "trial/1", trial, METHOD, trial.endpoint, {"diff": b"-a\n+b\n"}).id
    comparison = Comparison(
        subject=trial.endpoint,
        a=Side(label="A", what="before"),
        b=Side(label="B", what="after"),
        verdict="improved",
        rests_on="latency",
        effects=effects,
        design="instances",
        pairs_count=20,
        margin_share=0.02,
        error_share=0.05,
        seed=1,
        spent_s=30,
        budget_s=90,
        unproven=unproven,
    )
    compared = ledger.put(RUN, "comparison/1", comparison, METHOD, trial.endpoint).id
    body = Outcome(
        trial=id, number=1, finding=found.id, decision="keep", why="it holds", steps=STEPS, comparisons=(compared,)
    ).model_copy(update=changes)
    put = ledger.put(RUN, "outcome/1", body, METHOD, trial.endpoint, {"files": json.dumps({}).encode()})
    if together and body.decision == "keep":
        whole = Kept(
            base_commit="f00",
            head_commit="f01",
            branch="perfcrew/x",
            outcomes=(put.id,),
            comparisons=(compared,),
            whole=changes.get("whole", True),
            why="nothing became worse",
        )
        ledger.put(RUN, "kept", whole, METHOD, "application", {"patch": b""})
    return put


def refused(ledger: Ledger) -> dict[str, str]:
    sealed = seal(compose(ledger, RUN), ledger)
    return {c.name: " ".join(c.reasons) for c in check(sealed, ledger).failed}


GOOD = (effect("latency", 0.5, "improved"), effect("cpu", 0.6, "improved"))


@pytest.mark.parametrize("changes", [{}, {"decision": "discard", "why": "a test fails"}, {"decision": "iterate"}])
def test_an_honest_experiment_passes(ledger: Ledger, changes: dict[str, Any]) -> None:
    if changes:
        tried(ledger, effect("latency", 1.3, "regressed"), **changes)
    else:
        tried(ledger, *GOOD)
    assert {k: v for k, v in refused(ledger).items() if k in ("significance", "tests", "regressions", "figures")} == {}


BAD: list[tuple[str, tuple[Effect, ...], dict[str, Any], str, str]] = [
    ("not improved", (effect("latency", 1.0, "equivalent"),), {}, "significance", "did not improve latency"),
    ("said improved", (effect("latency", 1.0, "improved"),), {}, "significance", "did not improve latency"),
    ("two pairs", (effect("latency", 0.5, "improved", pairs=2),), {}, "significance", "2 pairs"),
    ("another metric", (effect("cpu", 0.5, "improved"),), {}, "significance", "no before and after of latency"),
    ("no criteria", GOOD, {"late": True}, "significance", "without criteria"),
    ("a failed step", GOOD, {"steps": (*STEPS[:1], TrialStep(name="tests", passed=False, said="1 failed"), *STEPS[2:])},
     "tests", "tests did not pass"),
    ("no tests", GOOD, {"steps": STEPS[:1]}, "tests", "without tests"),
    ("no test ran", GOOD, {"steps": UNTESTED}, "tests", "though no test ran"),
    ("a regression", (*GOOD, effect("rss.peak", 1.5, "regressed")), {}, "regressions", "rss.peak"),
    ("a doubt", GOOD, {"unproven": ("latency.cold",)}, "regressions", "latency.cold of"),
    ("not as a whole", GOOD, {"together": False}, "regressions", "as a whole"),
]  # fmt: skip


@pytest.mark.parametrize(("effects", "changes", "name", "why"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_was_kept_wrongly_is_refused(
    ledger: Ledger, effects: tuple[Effect, ...], changes: dict[str, Any], name: str, why: str
) -> None:
    tried(ledger, *effects, **changes)
    assert why in refused(ledger).get(name, "")


def test_without_a_test_only_what_said_so_before_passes(ledger: Ledger) -> None:
    tried(ledger, *GOOD, steps=UNTESTED, promised={"untested": True})
    assert "tests" not in refused(ledger)


@pytest.mark.parametrize(
    ("pays", "exact", "refused_for"),
    [(("rss.peak",), True, ""), ((), True, "rss.peak"), (("rss.peak",), False, "rss.peak")],
)  # fmt: skip
def test_a_count_that_the_trial_named_as_its_price_is_no_regression(
    ledger: Ledger, pays: tuple[str, ...], exact: bool, refused_for: str
) -> None:
    price = effect("rss.peak", 2.0, "regressed").model_copy(update={"exact": exact})
    tried(ledger, *GOOD, price, promised={"pays": pays})
    said = refused(ledger).get("regressions", "")
    assert refused_for in said and bool(refused_for) == bool(said)


def test_processor_time_that_is_little_of_what_a_request_takes_is_no_regression(ledger: Ledger) -> None:
    tried(ledger, *GOOD, effect("cpu", 1.2, "regressed", a=0.5))
    assert "regressions" not in refused(ledger)


def test_an_experiment_left_out_of_the_report_or_called_otherwise_is_noticed(ledger: Ledger) -> None:
    tried(ledger, *GOOD)
    report = compose(ledger, RUN)
    hidden = report.model_copy(update={"experiments": ()})
    renamed = report.model_copy(
        update={"experiments": (report.experiments[0].model_copy(update={"decision": "discard"}),)}
    )
    for edited in (hidden, renamed):
        assert "significance" in {c.name for c in check(edited, ledger).failed}


def test_the_documents_tell_what_was_tried(ledger: Ledger) -> None:
    tried(ledger, *GOOD)
    report = compose(ledger, RUN)
    for text in (markdown.render(report), html.render(report)):
        assert "Load the lines with the orders" in text
        assert "perfcrew/x" in text
        assert "Nothing was changed" not in text.split("Experiments")[-1]


TAIL = effect("latency.p95", 0.125, "improved", a=640.0)
AGAIN: dict[str, tuple[tuple[Effect, ...], dict[str, Any], str | None]] = {
    "met with what was kept": ((*GOOD, TAIL), {}, "met"),
    "missed even so": ((*GOOD, effect("latency.p95", 0.9, "improved", a=640.0)), {}, "missed"),
    "too few pairs bound it": ((*GOOD, effect("latency.p95", 0.125, "improved", a=640.0, pairs=5)), {},
                               "met without bound"),
    "the p95 of all requests goes before the instances'": (
        (*GOOD, TAIL, effect("latency.p95.pooled", 0.9, "equivalent", a=640.0)), {}, "missed"),
    "the median says nothing of p95": (GOOD, {}, "not measured"),
    "nothing was kept": ((*GOOD, TAIL), {"decision": "discard", "why": "a test fails"}, None),
}  # fmt: skip


def p95(report: Report, endpoint: str | None) -> JudgedTarget:
    return next(t for t in report.targets if t.target.name == "API p95" and t.subject == endpoint)


@pytest.mark.parametrize(("effects", "changes", "expected"), AGAIN.values(), ids=AGAIN)
def test_targets_are_judged_again_with_what_was_kept(
    ledger: Ledger, effects: tuple[Effect, ...], changes: dict[str, Any], expected: str | None
) -> None:
    tried(ledger, *effects, **changes)
    judged = p95(compose(ledger, RUN), ranked(ledger).endpoint)
    assert (judged.kept.outcome if judged.kept else None) == expected
    assert "targets" not in refused(ledger)


def test_both_sides_are_shown_and_traced(ledger: Ledger) -> None:
    tried(ledger, *GOOD, TAIL)
    report = compose(ledger, RUN)
    kept = p95(report, ranked(ledger).endpoint).kept
    assert kept is not None and kept.shown.text == "80 ms, against 640 ms of the base in the same comparison"
    assert [f.refs[0].field for f in kept.shown.figures] == ["effects.2.b", "effects.2.a"]
    assert {t.kept.outcome for t in report.targets if t.kept and t.subject == "application"} == {"not measured"}
    for text in (markdown.render(report), html.render(report)):
        assert "With what was kept" in text and "of the base in the same comparison" in text
    assert "; with what was kept: met 1, not measured" in markdown.render(report)


def test_the_documents_say_nothing_of_what_was_kept_where_nothing_was(ledger: Ledger) -> None:
    tried(ledger, *GOOD, decision="discard", why="a test fails")
    for text in (markdown.render(compose(ledger, RUN)), html.render(compose(ledger, RUN))):
        assert "what was kept" not in text.lower()


def test_what_does_not_hold_as_a_whole_meets_no_target(ledger: Ledger) -> None:
    put = tried(ledger, *GOOD, TAIL, together=False)
    assert isinstance(put.body, Outcome)
    whole = Kept(
        base_commit="f00",
        head_commit="f01",
        branch="",
        outcomes=(put.id,),
        comparisons=put.body.comparisons,
        whole=False,
        why="a regression of cpu",
    )
    ledger.put(RUN, "kept", whole, METHOD, "application", {"patch": b""})
    report = compose(ledger, RUN)
    assert {t.kept for t in report.targets} == {None}
    assert "With what was kept" not in html.render(report) + markdown.render(report)
    assert "targets" not in refused(ledger)


def _edited(kept: KeptTarget, **changes: Any) -> KeptTarget:
    return kept.model_copy(update=changes)


def _base(kept: KeptTarget) -> KeptTarget:
    assert kept.ref is not None
    return _edited(kept, ref=kept.ref.model_copy(update={"field": "effects.2.a"}))


FALSE: dict[str, tuple[Callable[[KeptTarget], KeptTarget | None], str]] = {
    "called missed": (lambda k: _edited(k, outcome="missed"), "is said to be missed with what was kept, and is met"),
    "left out": (lambda k: None, "is not judged with what was kept"),
    "judged by the base": (_base, "by another number than that of the comparison"),
    "another number shown": (lambda k: _edited(k, shown=Prose(text="fast")), "shows another number"),
}


@pytest.mark.parametrize(("edit", "why"), FALSE.values(), ids=FALSE)
def test_a_false_judgement_of_what_was_kept_is_refused(
    ledger: Ledger, edit: Callable[[KeptTarget], KeptTarget | None], why: str
) -> None:
    tried(ledger, *GOOD, TAIL)
    report = seal(compose(ledger, RUN), ledger)
    judged = p95(report, ranked(ledger).endpoint)
    assert judged.kept is not None
    false = judged.model_copy(update={"kept": edit(judged.kept)})
    edited = report.model_copy(update={"targets": tuple(false if t == judged else t for t in report.targets)})
    assert why in " ".join(r for c in check(edited, ledger).failed if c.name == "targets" for r in c.reasons)


def test_a_judgement_of_what_was_kept_where_nothing_was_is_refused(ledger: Ledger) -> None:
    tried(ledger, *GOOD, TAIL, decision="discard", why="a test fails")
    report = seal(compose(ledger, RUN), ledger)
    judged = report.targets[0]
    false = judged.model_copy(update={"kept": KeptTarget(outcome="met", shown=Prose(text="fast"))})
    edited = report.model_copy(update={"targets": (false, *report.targets[1:])})
    reasons = " ".join(r for c in check(edited, ledger).failed for r in c.reasons)
    assert "is judged with what was kept, and nothing was" in reasons


def test_every_metric_that_was_compared_is_in_the_report(ledger: Ledger) -> None:
    """Those that did not change stand beside the others, in JSON and HTML; the short document has what changed."""
    even = effect("rss.average", 1.0, "equivalent")
    tried(ledger, *GOOD, even)
    report = compose(ledger, RUN)
    assert report.kept is not None
    assert [m.metric for m in report.kept.metrics] == ["latency", "cpu"]
    assert [m.metric for m in report.kept.beside] == ["rss.average"]
    (one,) = report.experiments
    assert [m.metric for m in one.metrics] == ["latency", "cpu", "rss.average"], "all of the endpoint that it is about"
    assert one.beside == () and one.unchanged.text == "No further metric was compared."
    assert "The others that were compared" in html.render(report)
    assert "figures" not in refused(ledger)


def test_metrics_of_other_endpoints_that_did_not_change_stand_beside(ledger: Ledger) -> None:
    put = tried(ledger, *GOOD)
    assert isinstance(put.body, Outcome)
    own = ledger.get(put.body.comparisons[0]).body
    assert isinstance(own, Comparison)
    even, worse = effect("latency", 1.0, "equivalent"), effect("cpu", 1.2, "regressed", a=0.5)
    other = own.model_copy(update={"subject": "GET /health", "effects": (even, worse)})
    id = ledger.put(RUN, "comparison/1/other", other, METHOD, "GET /health").id
    body = put.body.model_copy(update={"number": 2, "comparisons": (*put.body.comparisons, id)})
    ledger.put(RUN, "outcome/2", body, METHOD, put.subject, {"files": b"{}"})
    second = compose(ledger, RUN).experiments[1]
    assert [(m.subject, m.metric) for m in second.metrics][-1] == ("GET /health", "cpu")
    assert [(m.subject, m.metric) for m in second.beside] == [("GET /health", "latency")]
    assert second.unchanged.text == "No change was seen in the others that were compared."
