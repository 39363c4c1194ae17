"""The crew's thinking in a run: a model where one is configured, the rule book where there is none, or it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from perfcrew.core.base import Noun
from perfcrew.core.errors import PerfcrewError
from perfcrew.core.evidence import Evidence, Findings, Judgement
from perfcrew.core.findings import Finding
from perfcrew.core.spending import line, money
from perfcrew.core.thinking import Exchange
from perfcrew.crew import judging, prompts, rulebook
from perfcrew.crew.answers import ReviewerAnswer, SpecialistAnswer
from perfcrew.crew.cards import Budget, Card
from perfcrew.crew.desk import Desk
from perfcrew.crew.shown import is_shown
from perfcrew.crew.thinking import Judgement as Judged
from perfcrew.crew.thinking import Prompt, Thinking, ask
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps import asked as instruments
from perfcrew.report import state
from perfcrew.report.book import Book

STAGE = "crew"
REVIEWED = "findings/reviewed"
F = TypeVar("F", bound=Noun)
V = TypeVar("V")
_KINDS: dict[str, tuple[str, ...]] = {
    "traces": ("traces",),
    "scaling": ("scaling",),
    "plans": ("plan", "index advice", "index usage", "connection need"),
    "vectors": ("vectors",),
    "py-spy": ("profile",),
    "memory": ("memory",),
    "startup": ("startup",),
    "neighbour": ("neighbour",),
    "load": ("measurement", "peak"),
    "payload": ("payload",),
    "redis": ("cache server", "ttl curve"),
}
"""Of what a card's tools measure, the kinds of evidence that its prompt holds."""


def begin(context: Context, thinking: Thinking | None) -> None:
    """The run's models: what they cost before it was interrupted counts, and each answer's cost is told at once."""
    context.thinking = thinking
    if thinking is None:
        return
    before = [e.body.spent for e in context.ledger.find(context.run, "exchange") if isinstance(e.body, Exchange)]
    progress = context.progress(STAGE)
    thinking.begin(before, lambda own, run: progress.note(f"{line(own)}; all together {money(run)}"))


async def conclude(context: Context, card: Card, recognised: Sequence[Finding]) -> Findings:
    """What a specialist concludes, by a model if it can be, by the rule book otherwise."""
    book = rulebook.conclude(card, recognised)
    if not thinks(context):
        return book
    own = [f for f in recognised if f.rule in card.rules]
    desk = _desk(context, card)
    prompt = _question(context, card, own)

    def judge(answer: SpecialistAnswer, name: str) -> Judged[Findings]:
        return Judged(*judging.specialist(_bench(context, card, desk, name), answer, recognised))

    return await put(context, card.name, card.model, prompt, SpecialistAnswer, judge, card.budget, desk) or book


async def refute(
    context: Context,
    card: Card,
    ranked: Sequence[Finding],
    held: Mapping[str, Evidence],
    refused: Mapping[str, str],
) -> Findings:
    """What stands after the review. The rule book's objections are raised whatever a model says."""
    body = await _reviewed(context, card, ranked) if thinks(context) and ranked else None
    book = rulebook.refute(card, body.findings if body else ranked, held, refused)
    if body is None:
        return book
    return book.model_copy(
        update={"reasoner": body.reasoner, "objections": (*body.objections, *book.objections)},
    )


async def _reviewed(context: Context, card: Card, ranked: Sequence[Finding]) -> Findings | None:
    """The model's review, asked for once: a report that the gate sends back is not reviewed anew."""
    known = context.ledger.slot(context.run, REVIEWED)
    if known is not None and isinstance(known.body, Findings):
        return known.body
    desk = _desk(context, card)

    def judge(answer: ReviewerAnswer, name: str) -> Judged[Findings]:
        return Judged(*judging.reviewer(_bench(context, card, desk, name), answer, ranked))

    prompt = _question(context, card, ranked)
    body = await put(context, card.name, card.model, prompt, ReviewerAnswer, judge, card.budget, desk)
    if body is not None:
        kept = body.model_copy(update={"specialist": "crew"})
        context.put(REVIEWED, kept, context.method(body.reasoner))
    return body


def thinks(context: Context) -> bool:
    """Whether there is a model to ask, or a prompt to be shown instead."""
    return context.thinking is not None or context.wanted.show_prompts


async def put(
    context: Context,
    who: str,
    tier: str,
    prompt: Prompt,
    form: type[F],
    judge: Callable[[F, str], Judged[V]],
    budget: Budget,
    desk: Desk | None = None,
) -> V | None:
    """Put a question to the model of a tier; None where nothing of it can be taken, which is then said.

    What was sent, and what came back, is kept before anything is concluded from it.
    """
    prompt = Prompt(context.redacted(prompt.system), context.redacted(prompt.question))
    if context.wanted.show_prompts:
        _show(context, who, prompt)
        return None
    if context.thinking is None or _asked_before(context, who):
        return None
    from perfcrew.crew.desk.tools import toolbox

    try:
        mind = context.thinking.mind(tier, who, budget)
    except PerfcrewError as error:
        context.failed(STAGE, f"the model of {who}", error)
        return None
    context.progress(STAGE).note(f"{who} ({mind.name}): asked")
    tools = toolbox(desk) if desk else ()
    with context.thought:
        done = await ask(mind, who, prompt, form, lambda answer: judge(answer, mind.name), budget, tools)
    _kept(context, done.exchange, done.sent, desk)
    return done.value


def _asked_before(context: Context, who: str) -> bool:
    """Whether a model was asked already. Nobody is asked twice for one thing; an answer that was lost is said."""
    known = context.ledger.slot(context.run, f"exchange/{who}")
    if known is not None and isinstance(known.body, Exchange) and known.body.answered:
        context.failed(
            STAGE, f"the answer for {who}", "the run was interrupted before it was kept; the rule book went on"
        )
    return known is not None


def _kept(context: Context, exchange: Exchange, sent: bytes, desk: Desk | None) -> None:
    who = exchange.who
    update = {"lookups_count": desk.lookups if desk else 0, "why": context.redacted(exchange.why)}
    body = exchange.model_copy(update=update)
    context.put(f"exchange/{who}", body, context.method(exchange.reasoner), blobs={"sent": sent})
    by = exchange.reasoner if exchange.answered else rulebook.NAME
    context.progress(STAGE).note(f"concluded by {by}; {line(body.spent)}")
    if not exchange.answered:
        context.failed(STAGE, f"the answer of {exchange.reasoner} for {who}", f"{body.why}; the rule book concluded")


def _show(context: Context, who: str, prompt: Prompt) -> None:
    """Write down what would be sent, scrubbed as it would be; nothing leaves."""
    from perfcrew.crew.scrub import scrub

    text, blanked = scrub(f"{prompt.system}\n\n{prompt.question}")
    file = context.out / "prompts" / f"{who.replace(' ', '-')}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    context.progress(STAGE).note(f"{who}: what would be sent is in {file} ({blanked} secrets blanked)")


def _desk(context: Context, card: Card) -> Desk:
    async def measure(instrument: str, endpoint: str) -> Sequence[Evidence]:
        return await instruments.measure(context, instrument, endpoint)

    return Desk(
        card.name,
        context.ledger,
        context.run,
        context.root,
        endpoints=tuple(p.endpoint.key for p in context.plans),
        instruments=tuple(t for t in card.tools if t in instruments.INSTRUMENTS),
        measure=measure,
        redact=context.redacted,
    )


def _bench(context: Context, card: Card, desk: Desk, name: str) -> judging.Bench:
    """Held anew for each answer: tools have measured meanwhile."""
    return judging.Bench(card, name, desk.held(), frozenset(desk.endpoints), desk.files, context.settings.gate)


def _question(context: Context, card: Card, seen: Sequence[Finding]) -> Prompt:
    """The prompt of a card: of the evidence that its tools measure, or that the findings cite, the costliest first."""
    items = [e for e in context.ledger.find(context.run) if is_shown(e)]
    cited = {id for finding in seen for id in finding.evidence}
    kinds = {kind for tool in card.tools for kind in _KINDS.get(tool, ())}
    evidence = [e for e in items if e.id in cited or e.kind in kinds]
    costly = sorted(context.plans, key=lambda p: -(context.baseline(p.endpoint.key) or 0.0))
    return prompts.question(
        card,
        context.settings.profile,
        _judgements(context),
        evidence,
        seen,
        [p.endpoint.key for p in costly],
        context.root,
        context.frame,
    )


def _judgements(context: Context) -> list[Judgement]:
    judged = state.targets(Book(context.ledger, context.run))
    return [Judgement(target=j.target, subject=j.subject, outcome=j.outcome, ref=j.ref) for j in judged]
