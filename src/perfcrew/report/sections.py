"""One section a finding: what DOCTRINE asks of each optimization, written from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfcrew.core.columns import GENERAL, STARTUP
from perfcrew.core.evidence import Findings
from perfcrew.core.experiments import Outcome
from perfcrew.core.findings import Finding
from perfcrew.core.prose import Prose, Ref, join
from perfcrew.core.report import FindingSection, JudgedTarget, Reading, Step
from perfcrew.report.book import Book, figure, reading, readings, ref
from perfcrew.report.wording import monitoring, number_of, safe, seen, share, strategy, users, validation

_ROLL_OUT = {
    "configuration": "A change of configuration: it needs a restart, and no migration.",
    "code": "A change of code: it goes out with an ordinary release, and needs no migration.",
    "schema": "A change of the schema: it needs a migration. Look at the lock that the statement takes before it runs "
    "on the live database; on PostgreSQL build indexes with `CONCURRENTLY`, outside a transaction.",
    "infrastructure": "A change of the infrastructure: apply it to a staging environment first, under the same load.",
}
_COSTS = {
    "configuration": "A setting that differs from its default has to be known to whoever runs the application.",
    "code": "The code that is faster is a little more to read and keep; measure memory along with time.",
    "schema": "An index or a column costs disk and makes each write of the table a little slower.",
    "infrastructure": "More machinery means more to pay, watch and keep up to date.",
}
_WHO: Mapping[str, tuple[tuple[str, str], ...]] = {
    "configuration": (("DevOps", "apply the setting in every environment, and restart"),),
    "code": (("Code review", "look at the change at this place, and for the same pattern beside it"),),
    "schema": (
        ("Code review", "look at the migration and its way back"),
        ("DevOps", "run the migration outside the busy hours, and watch locks and replication"),
    ),
    "infrastructure": (("DevOps", "plan the change and its cost"),),
}
NO_SPECIALISTS = ("rule book", "crew", "reviewer")
"""Authors of lists that bring several specialists' findings together."""
_FOR_PRODUCT = ("DB105", "HT403", "CA201")


def sections(book: Book, targets: Sequence[JudgedTarget]) -> tuple[FindingSection, ...]:
    """The findings that stand, in the order they were ranked in."""
    return tuple(_section(book, finding, at, targets) for finding, at in standing(book))


def standing(book: Book) -> list[tuple[Finding, Ref]]:
    """The reviewer's findings where it has spoken, those of all specialists otherwise; each with its place."""
    spoken = [(e, e.body) for e in book.of("findings") if isinstance(e.body, Findings)]
    last_word = [(e, body) for e, body in spoken if body.specialist == "reviewer"][-1:]
    found: dict[str, tuple[Finding, Ref]] = {}
    for item, body in last_word or spoken:
        for n, finding in enumerate(body.findings):
            found.setdefault(finding.id, (finding, ref(item, f"findings.{n}")))
    return list(found.values())


def _section(book: Book, finding: Finding, at: Ref, targets: Sequence[JudgedTarget]) -> FindingSection:
    return FindingSection(
        finding=finding,
        source=at,
        specialist=author(book, finding),
        problem=join([finding.prose, share(book, finding, at), users(book, finding, targets)]),
        profiling=_profiling(book, finding),
        strategy=strategy(book, finding, at),
        changes=_changes(book, finding),
        benchmark=_benchmark(book, finding),
        benchmark_note=_benchmark_note(book, finding),
        validation=validation(finding),
        command=_command(book, finding),
        monitoring=monitoring(finding),
        budget=_budget(book, finding, targets),
        deployment=Prose(text=_ROLL_OUT[_kind(finding)]),
        next_steps=_next_steps(finding),
        trade_offs=_trade_offs(finding),
    )


def _decided(book: Book, finding: Finding) -> list[Outcome]:
    return [e.body for e in book.of("outcome") if isinstance(e.body, Outcome) and e.body.finding == finding.id]


def _changes(book: Book, finding: Finding) -> Prose:
    """What was done about it: nothing, something that was dropped again, or a change that stands on the branch."""
    tried = _decided(book, finding)
    if any(o.decision == "keep" for o in tried):
        return Prose(text="A change was tried alone, proven and kept; its difference stands with the experiments.")
    if tried:
        return Prose(text="What was tried did not hold and was dropped; why stands with the experiments. The recipe:")
    if book.first("proposals"):
        return Prose(text="No change could be written safely by rule; why stands with the experiments. The recipe:")
    return Prose(text="Nothing was changed and nothing is proven: this review only measures. The recipe:")


def _benchmark_note(book: Book, finding: Finding) -> Prose:
    if any(o.decision == "keep" for o in _decided(book, finding)):
        return Prose(text="These are the figures before the change; before and after side by side: see the experiment.")
    return Prose(text="These are the figures before any change. After: not measured.")


def author(book: Book, finding: Finding) -> str:
    """The specialist who brought it up."""
    bodies = [e.body for e in book.of("findings") if isinstance(e.body, Findings)]
    names = [b.specialist for b in bodies if any(f.id == finding.id for f in b.findings)]
    return next((n for n in names if n not in NO_SPECIALISTS), names[0] if names else "reviewer")


def _kind(finding: Finding) -> str:
    return finding.hypotheses[0].kind if finding.hypotheses else "code"


def _profiling(book: Book, finding: Finding) -> Prose:
    """What the traces show, and what further evidence shows that the finding's own text does not tell already."""
    traces = book.traces(finding.endpoint) if finding.endpoint else None
    told = {r.evidence for f in finding.prose.figures for r in f.refs}
    others = [e for e in map(book.get, finding.evidence) if e is not None and e.kind != "traces" and e.id not in told]
    said = [seen(e) for e in ([traces] if traces else []) + others]
    return join(said) if any(p.text for p in said) else Prose(text="What was seen stands in the text above.")


def _benchmark(book: Book, finding: Finding) -> tuple[Reading, ...]:
    if finding.endpoint is None:
        return (reading(book, STARTUP, GENERAL),)
    return readings(book, finding.endpoint)


def _command(book: Book, finding: Finding) -> tuple[str, ...]:
    chosen = ("--endpoint", finding.endpoint) if finding.endpoint else ("--all",)
    return ("perfcrew", "review", book.run.root, *chosen)


def _budget(book: Book, finding: Finding, targets: Sequence[JudgedTarget]) -> Prose:
    """The target's bound where there is one, else today's p95."""
    if finding.endpoint is None:
        return Prose(text="")
    for judged in targets:
        held = judged.target.metric == "latency" and judged.target.statistic == "p95"
        if held and judged.subject == finding.endpoint:
            return judged.bound
    now = number_of(book, finding.endpoint, "p95") or number_of(book, finding.endpoint, "p50")
    return figure(now) if now else Prose(text="")


def _next_steps(finding: Finding) -> tuple[Step, ...]:
    steps = [*_WHO[_kind(finding)], ("Tests", "add the regression test to the project's suite")]
    if finding.rule in _FOR_PRODUCT:
        steps.append(("Product", "decide how much of the listing, or how fresh an answer, users really need"))
    return tuple(Step(who=who, what=Prose(text=what)) for who, what in steps)


def _trade_offs(finding: Finding) -> Prose:
    said = safe(finding.hypotheses[0].trade_offs) if finding.hypotheses else ""
    return Prose(text=said or _COSTS[_kind(finding)])
