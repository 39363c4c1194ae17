"""The narrator's text: numbers by reference, judged by the gate before it is taken, else gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.claims import told
from perfcrew.core.evidence import Evidence
from perfcrew.core.report import Report
from perfcrew.core.thinking import Narrative, Paragraph
from perfcrew.gate.held import Held
from perfcrew.gate.judge import decide, limits_of
from perfcrew.graphs import conclude
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from tests.crew.desk import one, shop
from tests.crew.scripted import NOTHING, Models, Scripted, call, in_turn
from tests.crew.thought import concluded, context, recognised, runtime
from tests.gate.mutations import KINDS, Writer
from tests.report.make_ledger import RUN
from tests.report.shop import METHOD


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with shop(tmp_path) as made:
        yield made


def p95(ledger: Ledger, key: str) -> str:
    found = [e for e in ledger.find(RUN, "measurement", key) if getattr(e.body, "metric", "") == "latency"]
    return found[0].id


def good(ledger: Ledger) -> list[dict[str, Any]]:
    id, traces = p95(ledger, "GET /authors"), one(ledger, "traces", "GET /authors").id
    first = next(f for f in recognised(ledger) if f.rule == "DB101")
    summary = f"Half of those who ask for `GET /authors` wait {{{{ {id} . statistics.p50.value }}}} or more."
    about = f"It sends {{{{ {traces} . counts.statements_count }}}} statements for 100 rows: one for each author."
    return [
        {"about": "summary", "text": summary, "evidence": [id]},
        {"about": first.id, "text": about, "evidence": [traces]},
    ]


def text(ledger: Ledger, words: str, about: str = "summary") -> list[dict[str, Any]]:
    id = p95(ledger, "GET /authors")
    paragraphs = good(ledger)
    wrong = {"about": about, "text": words.replace("T.", f"{id} ."), "evidence": [id]}
    return [wrong, *[p for p in paragraphs if p["about"] != about]]


async def told_by(ledger: Ledger, *answers: list[dict[str, Any]]) -> tuple[Report, Scripted, Any]:
    """The report of a run whose narrator gives these answers, one after the other."""
    model = Scripted(script=in_turn(*(call("NarratorAnswer", paragraphs=a) for a in answers)))
    rest = {"reviewer": call("ReviewerAnswer", struck=[], doubted=[])}

    def of(who: str) -> Scripted:
        return (
            model if who == "narrator" else Scripted(script=in_turn(rest.get(who, call("SpecialistAnswer", **NOTHING))))
        )

    made = context(ledger, Models(of))
    await concluded(made)
    await conclude.write({"run": RUN}, runtime(made))
    assert made.draft is not None
    return made.draft, model, made


async def test_its_text_stands_in_the_report_and_the_gate_passes_it(ledger: Ledger) -> None:
    report, _, made = await told_by(ledger, good(ledger))
    assert report.narrative.text.startswith("Half of those") and report.narrator == "scripted:deep"
    assert [f.refs[0].field for f in report.narrative.figures] == ["statistics.p50.value"]
    section = next(s for s in report.findings if s.finding.rule == "DB101")
    assert section.narrative.text == "It sends 51 statements for 100 rows: one for each author."
    assert decide(report, Held.read(ledger, RUN), limits_of()).passed
    document, page = markdown.render(report), html.render(report)
    for shown in (document, page):
        assert "In the words of scripted:deep" in shown and "What models were asked" in shown
        assert "0.0123" in shown or "0.07" in shown
    assert await conclude.gate({"run": RUN}, runtime(made)) == _published()


def _published() -> Any:
    from langgraph.types import Command

    return Command(goto="publish", update={"passed": True})


REFUSED = {
    "an invented number": "It takes 4,711 ms.",
    "a wrong unit": "It takes {{ T.statistics.p50.value }} s.",
    "a sign": "It takes -{{ T.statistics.p50.value }}.",
    "more digits": "It takes {{ T.statistics.p50.value }}000.",
    "twice": "It is twice as slow as it should be.",
    "a field that is none": "It takes {{ T.statistics.p42.value }}.",
    "a broken reference": "It takes {{ statistics }}.",
    "another endpoint's number": "`GET /books` takes {{ T.statistics.p50.value }}.",
    "a placeholder": "TODO: write this.",
    "markup": "<script>alert(1)</script> All is well.",
    "a link": "See [this](https://evil.example).",
    "nothing": " ",
    "a promise": "It would be 30 % faster.",
    "too long": "It is slow. " * 200,
}


@pytest.mark.parametrize("what", REFUSED)
async def test_it_goes_back_once_and_then_there_is_none(what: str, ledger: Ledger) -> None:
    report, model, _ = await told_by(ledger, text(ledger, REFUSED[what]))
    assert len(model.requests) == 2
    assert not report.narrative.text and not report.narrator
    assert report.summary.text
    assert any("narrator" in f.what.text for f in report.failures)
    assert decide(report, Held.read(ledger, RUN), limits_of()).passed


@pytest.mark.parametrize("what", ["an invented number", "another endpoint's number"])
async def test_what_is_corrected_is_taken(what: str, ledger: Ledger) -> None:
    report, model, _ = await told_by(ledger, text(ledger, REFUSED[what]), good(ledger))
    assert report.narrative.text and len(model.requests) == 2


async def test_no_summary_or_an_unknown_finding_goes_back(ledger: Ledger) -> None:
    report, model, _ = await told_by(ledger, good(ledger)[1:], text(ledger, "It is slow.", about="DB101-00000000"))
    assert "no paragraph about `summary`" in model.read
    assert not report.narrative.text


async def test_a_text_that_slipped_past_is_refused_by_the_gate_and_taken_out(ledger: Ledger) -> None:
    wrong = Paragraph(about="summary", text="It takes 4,711 ms.", evidence=(p95(ledger, "GET /authors"),))
    ledger.put(RUN, "narrative", Narrative(reasoner="scripted:deep", paragraphs=(wrong,)), METHOD)
    made = context(ledger)
    await concluded(made)
    await conclude.write({"run": RUN}, runtime(made))
    command = await conclude.gate({"run": RUN}, runtime(made))
    assert command.goto == "reviewer" and command.update == {"rewrites": 1, "withheld": []}
    await conclude.reviewer({"run": RUN, "rewrites": 1}, runtime(made))
    await conclude.write({"run": RUN, "rewrites": 1}, runtime(made))
    assert made.draft is not None and not made.draft.narrative.text
    assert (await conclude.gate({"run": RUN, "rewrites": 1}, runtime(made))).update == {"passed": True}


async def test_without_a_model_there_is_no_word_of_one(ledger: Ledger) -> None:
    made = context(ledger)
    await concluded(made)
    await conclude.write({"run": RUN}, runtime(made))
    assert made.draft is not None and not made.draft.thought and not made.draft.spent.text
    for shown in (markdown.render(made.draft), html.render(made.draft)):
        assert "In the words of" not in shown and "models were asked" not in shown


def test_a_thousand_honest_texts_are_taken_and_a_thousand_false_ones_are_not(ledger: Ledger) -> None:
    held: dict[str, Evidence] = {e.id: e for e in ledger.find(RUN)}
    writer = Writer(held, seed=20261121)
    honest = [writer.honest() for _ in range(1000)]
    refused = [(one.text, faults) for one in honest if (faults := told(one.text, [one.cited], held).faults)]
    false = [(kind, writer.false(kind)) for kind in KINDS for _ in range(170)]
    taken = [(kind, one.text) for kind, one in false if not told(one.text, [one.cited], held).faults]
    assert refused == []
    assert taken == []
