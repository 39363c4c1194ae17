"""A thousand false reports are refused, a thousand honest ones are not: the rule book's texts and the narrator's."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.claims import told
from perfcrew.core.report import Report
from perfcrew.core.thinking import Narrative, Paragraph
from perfcrew.gate.held import Held
from perfcrew.gate.judge import decide, limits_of
from perfcrew.ledger import Ledger
from perfcrew.report.compose import compose
from tests.gate.mutations import KINDS, Mutant, Mutator, Writer
from tests.report.make_ledger import RUN, make

LIMITS = limits_of()
EACH = 170
"""Of each of the six kinds: more than a thousand in all."""


def narrated(ledger: Ledger) -> Narrative:
    """A narrator's text by references, and one in which it wrote the numerals itself."""
    key = "GET /authors"
    timed = next(e for e in ledger.find(RUN, "measurement", key) if getattr(e.body, "metric", "") == "latency")
    traced = ledger.find(RUN, "traces", key)[0]
    finding = next(s.finding for s in compose(ledger, RUN).findings if s.finding.rule == "DB101")
    half = f"Half of those who ask for `{key}` wait {{{{ {timed.id} . statistics.p50.value }}}} or more."
    rows = "It sends 51 statements for 100 rows."
    paragraphs = (
        Paragraph(about="summary", text=half, evidence=(timed.id,)),
        Paragraph(about=finding.id, text=rows, evidence=(traced.id,)),
    )
    return Narrative(reasoner="scripted:deep", paragraphs=paragraphs)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Held]:
    folder: Path = tmp_path_factory.mktemp("shop")
    with make(folder, load_steps=(), without=("POST /login", "GET /recommendations", "GET /health")) as ledger:
        return compose(ledger, RUN, narrated(ledger)), Held.read(ledger, RUN)


def test_the_narrator_is_among_those_whose_texts_are_changed(reviewed: tuple[Report, Held]) -> None:
    report, held = reviewed
    assert decide(report, held, LIMITS).passed
    changed = {path for path, _ in Mutator(report, held, seed=1).cited if "narrative" in path}
    assert len(changed) == 2


def of_the_narrator(mutator: Mutator) -> Mutator:
    mutator.cited = [(path, prose) for path, prose in mutator.cited if "narrative" in path]
    mutator.sections = [(path, prose) for path, prose in mutator.sections if "narrative" in path]
    return mutator


def written(report: Report, held: Held, writer: Writer, kind: str) -> Mutant:
    """The report with a sentence that the narrator wrote itself, taken as its text is before the gate sees it."""
    cited, text = writer.honest() if kind == "honest" else writer.false(kind, by_reference=False)
    said = told(text, [cited], held.items).prose
    return Mutant(report.model_copy(update={"narrative": said}), kind, ("narrative",), f"{cited}: {text}")


@pytest.mark.parametrize("kind", KINDS)
def test_false_reports_are_refused(kind: str, reviewed: tuple[Report, Held]) -> None:
    report, held = reviewed
    seed = 20261121 + KINDS.index(kind)
    whole, own = Mutator(report, held, seed), of_the_narrator(Mutator(report, held, seed))
    writer, escaped = Writer(held.items, seed), []
    for number in range(EACH):
        changed = whole if number % 2 else own
        mutant = changed.false(kind) if number % 3 else written(report, held, writer, kind)
        if decide(mutant.report, held, LIMITS).passed:
            escaped.append((number, mutant.what, mutant.where, mutant.text))
    assert escaped == []


def test_a_thousand_honest_reports_pass(reviewed: tuple[Report, Held]) -> None:
    report, held = reviewed
    mutator, writer = Mutator(report, held, seed=11202612), Writer(held.items, seed=11202612)
    refused = []
    for number in range(1000):
        mutant = mutator.honest() if number % 3 else written(report, held, writer, "honest")
        verdict = decide(mutant.report, held, LIMITS)
        if not verdict.passed:
            refused.append((number, mutant.text, [c.reasons for c in verdict.failed]))
    assert refused == []
