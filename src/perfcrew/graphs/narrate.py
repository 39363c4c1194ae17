"""The narrator: prose around numbers that are put in by reference, judged by the gate before it is taken."""

from __future__ import annotations

from collections.abc import Iterator

from perfcrew.core.claims import told
from perfcrew.core.findings import Finding
from perfcrew.core.thinking import Narrative, Paragraph
from perfcrew.crew import prompts
from perfcrew.crew.answers import NarratorAnswer
from perfcrew.crew.cards import Budget
from perfcrew.crew.judging import LONGEST, has_markup
from perfcrew.crew.shown import is_shown
from perfcrew.crew.thinking import Judgement
from perfcrew.gate.held import Held
from perfcrew.gate.judge import decide
from perfcrew.graphs import thinking
from perfcrew.graphs.context import Context
from perfcrew.report.compose import compose
from perfcrew.report.thought import SUMMARY

BUDGET = Budget(calls=3, tokens=120_000, seconds=180)
SLOT = "narrative"


async def narrate(context: Context, findings: tuple[Finding, ...]) -> None:
    """Ask for the report's prose once; without a text that the gate lets pass there is none, which is said."""
    if not thinking.thinks(context) or context.has(SLOT) or context.has("exchange/narrator"):
        return

    def judge(answer: NarratorAnswer, name: str) -> Judgement[Narrative]:
        paragraphs = tuple(Paragraph(about=p.about, text=p.text, evidence=p.evidence) for p in answer.paragraphs)
        body = Narrative(reasoner=name, paragraphs=paragraphs)
        faults = tuple(dict.fromkeys([*_faults(context, body, findings)]))
        return Judgement(body, faults or tuple(_refused(context, body)))

    cited = {id for finding in findings for id in finding.evidence}
    evidence = [e for e in context.ledger.find(context.run) if e.id in cited or e.kind == "measurement"]
    prompt = prompts.narration(findings, [e for e in evidence if is_shown(e)], context.root)
    body = await thinking.put(context, "narrator", "deep", prompt, NarratorAnswer, judge, BUDGET)
    if body is not None:
        context.put(SLOT, body, context.method(body.reasoner))


def _faults(context: Context, body: Narrative, findings: tuple[Finding, ...]) -> Iterator[str]:
    known = {SUMMARY, *(finding.id for finding in findings)}
    said = [paragraph.about for paragraph in body.paragraphs]
    held = {e.id: e for e in context.ledger.find(context.run)}
    if SUMMARY not in said:
        yield "there is no paragraph about `summary`"
    yield from (f"there are two paragraphs about {about!r}" for about in said if said.count(about) > 1)
    for n, paragraph in enumerate(body.paragraphs):
        where = f"paragraphs[{n}]"
        if paragraph.about not in known:
            yield f"{where}.about: {paragraph.about!r} is neither `summary` nor a finding that stands"
        if not paragraph.text.strip() or len(paragraph.text) > LONGEST or has_markup(paragraph.text):
            yield f"{where}.text: plain words, at most {LONGEST} characters"
        yield from (f"{where}.text: {fault}" for fault in told(paragraph.text, paragraph.evidence, held).faults)


def _refused(context: Context, body: Narrative) -> list[str]:
    """What the gate says against a report with this text in it, as far as the text is to blame."""
    report = compose(context.ledger, context.run, body)
    verdict = decide(report, Held.read(context.ledger, context.run), context.settings.gate)
    return blamed([reason for check in verdict.failed for reason in check.reasons])


def blamed(reasons: list[str]) -> list[str]:
    """The reasons of the gate that are about the narrator's text."""
    return [r for r in reasons if r.startswith("narrative:") or ".narrative:" in r]
