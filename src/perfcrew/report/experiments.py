"""The experiments of a run: what was tried, what came of it, also of what did not work, and all that was kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfcrew.core.columns import GENERAL
from perfcrew.core.comparison import Comparison, Effect
from perfcrew.core.evidence import Evidence
from perfcrew.core.experiments import Kept, Outcome, Proposals, Trial
from perfcrew.core.prose import Prose, cite, write
from perfcrew.core.report import ChangedMetric, DeclinedChange, ExperimentSection, KeptSection, TriedStep
from perfcrew.report.book import Book, figure, number, quote, ref


def experiments(book: Book) -> tuple[ExperimentSection, ...]:
    """In the order in which they were tried."""
    found = [(e, e.body) for e in book.of("outcome") if isinstance(e.body, Outcome)]
    trials = [(item, body, book.get(body.trial)) for item, body in found]
    return tuple(  # one whose criteria are nowhere can't be told: the gate names it
        _section(book, item, body, trial, trial.body)
        for item, body, trial in trials
        if trial is not None and isinstance(trial.body, Trial)
    )


def declined(book: Book) -> tuple[DeclinedChange, ...]:
    """Changes that could not be written safely, with the reason."""
    return tuple(
        DeclinedChange(finding=e.body.finding, reason=quote(e, f"declined.{n}.reason"))
        for e in book.of("proposals")
        if isinstance(e.body, Proposals)
        for n in range(len(e.body.declined))
    )


def kept(book: Book) -> KeptSection | None:
    """All kept changes as a whole, None where nothing was kept."""
    item = book.first("kept")
    if item is None or not isinstance(item.body, Kept):
        return None
    body = item.body
    return KeptSection(
        evidence=item.id,
        branch=body.branch,
        base_commit=body.base_commit,
        head_commit=body.head_commit,
        whole=body.whole,
        why=quote(item, "why"),
        metrics=tuple(_metrics(book, body.comparisons)),
        beside=tuple(_metrics(book, body.comparisons, others=True)),
        patch=_text(book, item, "patch"),
    )


def _section(book: Book, item: Evidence, body: Outcome, trial: Evidence, said: Trial) -> ExperimentSection:
    shown = tuple(_metrics(book, body.comparisons, endpoint=said.endpoint))
    others = tuple(_metrics(book, body.comparisons, endpoint=said.endpoint, others=True))
    left = "No change was seen in the others that were compared." if others else "No further metric was compared."
    return ExperimentSection(
        trial=trial.id,
        outcome=item.id,
        finding=body.finding,
        endpoint=said.endpoint,
        title=quote(trial, "title"),
        decision=body.decision,
        why=quote(item, "why"),
        hypothesis=quote(trial, "hypothesis.change"),
        expected=_expected(trial, said),
        criteria=tuple(quote(trial, name) for name in ("success", "failure", "stopping")),
        steps=tuple(
            TriedStep(name=s.name, passed=s.passed, said=quote(item, f"steps.{n}.said"))
            for n, s in enumerate(body.steps)
        ),
        metrics=shown,
        unchanged=Prose(text=left if shown or others else ""),
        beside=others,
        diff=_text(book, trial, "diff"),
        trade_offs=tuple(quote(trial, f"trade_offs.{n}") for n in range(len(said.trade_offs))),
        settings=said.settings,
    )


def _expected(item: Evidence, trial: Trial) -> Prose:
    if trial.expected_share is None:
        return write("Expected: {metric} improves; by how much was not estimated.", metric=trial.metric)
    share = number(item, "expected_share")
    return write("Expected: {metric} improves by about {share}.", metric=trial.metric, share=share)


def _text(book: Book, item: Evidence, name: str) -> str:
    return book.ledger.blob(item.blobs[name]).decode(errors="replace") if name in item.blobs else ""


def _effects(book: Book, ids: Iterable[str]) -> Iterable[tuple[Evidence, int, Comparison, Effect]]:
    for evidence in ids:
        item = book.get(evidence)
        if item is not None and isinstance(item.body, Comparison):
            for n, effect in enumerate(item.body.effects):
                yield item, n, item.body, effect


def _metrics(
    book: Book, ids: Sequence[str], *, endpoint: str | None = None, others: bool = False
) -> Iterable[ChangedMetric]:
    """What changed, and all of the endpoint and the application; or the `others`."""
    for item, n, comparison, effect in _effects(book, ids):
        changed = effect.verdict in ("improved", "regressed")
        if (changed or comparison.subject in (endpoint, GENERAL)) != others:
            yield _metric(item, n, comparison, effect)


def _metric(item: Evidence, n: int, comparison: Comparison, effect: Effect) -> ChangedMetric:
    at = f"effects.{n}"
    ratio, none = effect.ratio, Prose(text="")
    said = none
    if ratio is not None:
        parts = {k: cite(getattr(ratio, k), "ratio", ref(item, f"{at}.ratio.{k}")) for k in ("value", "low", "high")}
        said = write("{value} ({low} to {high})" if ratio.bounded else "{value} (no bound yet)", parts)
    return ChangedMetric(
        evidence=item.id,
        subject=comparison.subject,
        metric=effect.metric,
        role=effect.role,
        before=figure(number(item, f"{at}.a")) if effect.a is not None else none,
        after=figure(number(item, f"{at}.b")) if effect.b is not None else none,
        ratio=said,
        verdict=effect.verdict or "no verdict",
        low=ratio.low if ratio else None,
        value=ratio.value if ratio else None,
        high=ratio.high if ratio else None,
    )
