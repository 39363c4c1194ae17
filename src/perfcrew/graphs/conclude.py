"""The second half of a review: from what was observed to a report that the gate has spoken about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from langgraph.errors import NodeError
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from perfcrew.core.evidence import Evidence, Findings, Timing
from perfcrew.core.findings import Finding
from perfcrew.core.report import GateResult, Report
from perfcrew.crew import cards, rulebook
from perfcrew.gate import check, seal
from perfcrew.graphs import scenes, thinking
from perfcrew.graphs.context import Context
from perfcrew.graphs.narrate import blamed, narrate
from perfcrew.graphs.state import SpecialistTask, State
from perfcrew.graphs.untouched import say_what_was_written
from perfcrew.report.compose import compose
from perfcrew.report.publish import publish_files
from perfcrew.report.thought import REFUSED
from perfcrew.rules import book, reach, silence

BOOK = "findings/rule book"
UNJUDGED = "out of reach"
RANKED = "findings/ranked"
FINAL = "findings/final"


async def recognise(state: State, runtime: Runtime[Context]) -> Command[Literal["specialist", "rank"]]:
    """Every rule looks at everything once; then each specialist is asked."""
    context = runtime.context
    context.progress("rules").note("looking at what was observed")
    if not context.has(BOOK):
        _recognised(context)
    tasks = [
        Send("specialist", SpecialistTask(run=context.run, specialist=name)) for name in context.policy.specialists
    ]
    return Command(goto=tasks or "rank")


def _recognised(context: Context) -> None:
    application = scenes.application(context.ledger, context.run)
    run = book.recognise(application, context.settings.rules)
    for failure in run.failures:
        context.failed("rules", f"{failure.rule} on {failure.endpoint}", failure.error)
    unjudged = reach.out_of_reach(application, run.silent, context.settings.rules)
    if unjudged is not None:
        context.put(UNJUDGED, unjudged, context.method("perfcrew rules"))
    found = silence.silenced(run.findings, context.root, context.config.ignore, context.config.acknowledge)
    body = Findings(specialist="rule book", reasoner=rulebook.NAME, findings=tuple(found))
    context.put(BOOK, body, context.method("perfcrew rules", rules=len(context.settings.rules)))


async def specialist(state: SpecialistTask, runtime: Runtime[Context]) -> dict[str, Any]:
    """One specialist concludes in its own field."""
    context, name = runtime.context, state["specialist"]
    card = cards.card(name, context.root)
    recognised = _findings(context, BOOK)
    context.progress("crew").note(f"{name}: {card.question}")
    body = await thinking.conclude(context, card, recognised)
    put = context.put(f"findings/specialist/{name}", body, context.method("perfcrew crew"))
    return {"specialists": {name: put.id}}


async def specialist_failed(state: SpecialistTask, error: NodeError, runtime: Runtime[Context]) -> dict[str, Any]:
    """A specialist that fails becomes a line in the report, and the run goes on: without a model where it had one."""
    context, name = runtime.context, state["specialist"]
    put = context.failed("crew", f"specialist {name}", error.error)
    if thinking.thinks(context):
        body = rulebook.conclude(cards.card(name, context.root), _findings(context, BOOK))
        put = context.put(f"findings/specialist/{name}", body, context.method("perfcrew crew"))
    return {"specialists": {name: put.id}}


async def rank(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """The specialists' findings in one list, in the order of what they cost."""
    context = runtime.context
    concluded = [f for name in context.policy.specialists for f in _findings(context, f"findings/specialist/{name}")]
    body = Findings(
        specialist="crew",
        reasoner=rulebook.NAME,
        findings=tuple(book.ranked(concluded, scenes.application(context.ledger, context.run))),
    )
    context.put(RANKED, body, context.method("perfcrew crew"))
    return {}


async def reviewer(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Tries to refute; what stands is what is reported. What the gate refused is struck."""
    context, number = runtime.context, state.get("rewrites", 0)
    card = cards.card(context.policy.reviewer, context.root)
    held = {e.id: e for e in context.ledger.find(context.run)}
    refused = dict.fromkeys(state.get("withheld", []), "the gate refused what was written of it")
    body = await thinking.refute(context, card, _findings(context, RANKED), held, refused)
    context.put(f"{FINAL}/{number}", body, context.method("perfcrew crew"))
    return {}


async def write(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """A draft of everything that the ledger holds."""
    context = runtime.context
    context.progress("report").note("writing")
    await narrate(context, tuple(_findings(context, f"{FINAL}/{state.get('rewrites', 0)}")))
    _timing(context)
    say_what_was_written(context)
    context.draft = compose(context.ledger, context.run)
    return {}


async def gate(state: State, runtime: Runtime[Context]) -> Command[Literal["reviewer", "publish"]]:
    """Code decides. A report that is refused goes back, at most as often as the policy allows."""
    context, number = runtime.context, state.get("rewrites", 0)
    report = context.draft or compose(context.ledger, context.run)
    result = check(report, context.ledger, context.settings.gate)
    known = set(state.get("withheld", []))
    words = blamed([reason for failed in result.failed for reason in failed.reasons])
    if words and not context.has(f"failure/report/{REFUSED}") and number < context.policy.rewrites:
        context.failed("report", REFUSED, f"the gate refused it: {words[0]}")
        return Command(goto="reviewer", update={"rewrites": number + 1, "withheld": sorted(known)})
    faulty = {s.finding.id for s in report.findings if _blamed(s.finding.id, result)} - known
    if result.passed or not faulty or number >= context.policy.rewrites:
        return Command(goto="publish", update={"passed": result.passed})
    return Command(goto="reviewer", update={"rewrites": number + 1, "withheld": sorted(known | faulty)})


def _blamed(finding: str, result: GateResult) -> bool:
    return any(finding in reason for check_result in result.failed for reason in check_result.reasons)


async def publish(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Seal the report with the verdict and render it; a refused one says so at its head."""
    runtime.context.published = publish_report(runtime.context)
    return {}


def publish_report(context: Context) -> Report:
    """Seal and render what the run holds; the report."""
    sealed = seal(context.draft or compose(context.ledger, context.run), context.ledger, context.settings.gate)
    publish_files(sealed, context.ledger, context.out)
    return sealed


def _findings(context: Context, slot: str) -> Sequence[Finding]:
    item: Evidence | None = context.ledger.slot(context.run, slot)
    return item.body.findings if item and isinstance(item.body, Findings) else ()


def _timing(context: Context) -> None:
    total_s = time.monotonic() - context.began
    measuring_s = min(context.measuring_s, total_s)
    thinking_s = min(context.thought.seconds, total_s - measuring_s)
    body = Timing(
        total_ms=total_s * 1e3,
        measuring_ms=measuring_s * 1e3,
        thinking_ms=thinking_s * 1e3,
        overhead_share=(total_s - measuring_s - thinking_s) / total_s,
    )
    context.put("timing", body, context.method("perfcrew"))
