"""Every text that a rule writes: numbers are cited, and figures say what the evidence says."""

import importlib
import math
import re

import pytest

from perfcrew.core.evidence import field, unit_of
from perfcrew.core.findings import Finding
from perfcrew.core.numerals import touching, uncited
from perfcrew.core.prose import Figure, Prose
from perfcrew.core.scene import ApplicationScene, Scene, Seen
from perfcrew.core.units import read
from perfcrew.rules.catalog import entries

from .build import App, Found, run

RULES = [entry.id for entry in entries()]


def cases() -> list[tuple[str, str, Found]]:
    tables = ((rule, importlib.import_module(f".test_{rule.lower()}", __package__).FOUND) for rule in RULES)
    return [(rule, name, case) for rule, table in tables for name, case in table.items()]


def evidence(over: Scene | ApplicationScene) -> dict[str, object]:
    """Every body that the scene holds, by its id."""
    scenes = over.scenes if isinstance(over, ApplicationScene) else (over,)
    whole = (over.startup, over.index_usage, over.advice) if isinstance(over, ApplicationScene) else (over.advice,)
    found: list[Seen] = [s for s in whole if s]
    found += over.caches if isinstance(over, ApplicationScene) else ()
    for scene in scenes:
        found += [t.seen for t in (*scene.traced, *([scene.at_once] if scene.at_once else []))]
        found += [*scene.measurements, *scene.scaling, *scene.plans, *scene.ttl, *scene.vectors]
        found += [s for s in (scene.need, scene.profile, scene.memory, scene.neighbour, scene.payload, scene.data) if s]
    return {seen.evidence: seen.body for seen in found}


def computed(figure: Figure, bodies: dict[str, object]) -> float:
    values = [field(bodies[ref.evidence], ref.field) for ref in figure.refs]
    return values[0] / values[1] if figure.derivation in ("ratio", "share") else values[0]


@pytest.mark.parametrize(("rule", "case"), [(r, c) for r, _, c in cases()], ids=[f"{r}: {n}" for r, n, _ in cases()])
def test_the_text_says_what_the_evidence_says(app: App, rule: str, case: Found) -> None:
    over = case.build(app)
    bodies = evidence(over)
    (finding,) = run(rule, app, over)
    assert finding.prose.figures, "a finding without a number says nothing"
    assert uncited(finding.prose) == []
    assert touching(finding.prose) == []
    assert not re.search(r"\{\w+\}", re.sub(r"`[^`]*`", "", finding.prose.text)), "a slot was left open"
    for figure in finding.prose.figures:
        shown = read(finding.prose.text[figure.start : figure.end], figure.unit)
        assert shown is not None
        assert shown.stands_for(computed(figure, bodies))
        assert {ref.evidence for ref in figure.refs} <= set(finding.evidence), "cited, but not among its evidence"
        if figure.derivation == "value":
            assert figure.unit == unit_of(bodies[figure.refs[0].evidence], figure.refs[0].field)
    check_claims(finding)


def check_claims(finding: Finding) -> None:
    """What a finding claims in plain strings holds no number, names aside."""
    claims = [finding.title, finding.share.basis if finding.share else "", *(h.because for h in finding.hypotheses)]
    claims += [h.change for h in finding.hypotheses]
    assert [found for text in claims for found in uncited(Prose(text=text))] == []
    for hypothesis in finding.hypotheses:
        assert hypothesis.improvement is None or 0 <= hypothesis.improvement <= 1
        assert math.isfinite(hypothesis.scores.total)
        assert all(1 <= score <= 5 for score in hypothesis.scores.model_dump().values())
        assert hypothesis.recipe.count("```") % 2 == 0
        assert hypothesis.trade_offs
        assert hypothesis.rollback


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_more_look_alikes_than_bare_minimum(rule: str) -> None:
    module = importlib.import_module(f".test_{rule.lower()}", __package__)
    assert len(module.SILENT) >= 3
    assert len(module.SILENT) >= len(module.FOUND)
