"""The State of the System: endpoints, load steps, stages, targets, and what was not measured."""

from __future__ import annotations

from fnmatch import fnmatchcase

from perfcrew.core.columns import COLUMNS, GENERAL, LATENCY, is_load_step, start_field
from perfcrew.core.evidence import Evidence, Frame, Measurement, NotMeasured, Survey, Traces
from perfcrew.core.experiments import Kept
from perfcrew.core.prose import Prose, write
from perfcrew.core.report import (
    EndpointState,
    JudgedTarget,
    KeptTarget,
    LoadState,
    Reading,
    RequestLife,
    StageRow,
    Unmeasured,
    end_towards_bound,
    meets,
    outcome_of,
    with_kept,
)
from perfcrew.core.targets import Outcome, Target
from perfcrew.report.book import Book, figure, measured, number, quote, readings, ref


def measured_endpoints(book: Book) -> tuple[str, ...]:
    """Endpoints with a warm latency, the slowest at the median first."""
    subjects = dict.fromkeys(e.subject for e in book.of("measurement") if e.subject != GENERAL)
    found = {key: item for key in subjects if (item := book.baseline(key, "latency"))}
    return tuple(sorted(found, key=lambda key: -_median(found[key])))


def _median(item: Evidence) -> float:
    body = item.body
    return body.statistics["p50"].value if isinstance(body, Measurement) and "p50" in body.statistics else 0.0


def state(book: Book) -> tuple[EndpointState, ...]:
    """A row for each endpoint that was measured."""
    rows = [(key, book.baseline(key, "latency")) for key in measured_endpoints(book)]
    return tuple(
        EndpointState(endpoint=key, readings=readings(book, key), taken=_taken(item)) for key, item in rows if item
    )


def _taken(item: Evidence) -> Prose:
    return write("{n} requests in {runs} runs", n=number(item, "count"), runs=number(item, "runs"))


def load(book: Book) -> tuple[LoadState, ...]:
    """Latency under multiples of the expected peak."""
    return tuple(
        LoadState(load=e.body.load, endpoint=e.subject, readings=_latencies(e), taken=_taken(e))
        for e in book.of("measurement")
        if isinstance(e.body, Measurement) and is_load_step(e.body.load) and e.body.metric == "latency"
    )


def _latencies(item: Evidence) -> tuple[Reading, ...]:
    assert isinstance(item.body, Measurement)
    return tuple(measured(item, c.key, c.key) for c in COLUMNS if c.key in LATENCY and c.key in item.body.statistics)


def life(book: Book, endpoint: str) -> RequestLife | None:
    """The stages of one endpoint's requests, as traced; None where it was not traced."""
    item = book.traces(endpoint)
    if item is None or not isinstance(item.body, Traces):
        return None
    rows = tuple(
        StageRow(
            name=stage.name,
            own=figure(number(item, f"stages.{n}.own_ms")),
            share=figure(number(item, f"stages.{n}.own_share")),
        )
        for n, stage in enumerate(item.body.stages)
    )
    notes = tuple(quote(item, f"notes.{n}") for n in range(len(item.body.notes)))
    return RequestLife(
        endpoint=endpoint, evidence=item.id, instrumented=item.body.instrumented, stages=rows, notes=notes
    )


def unmeasured(book: Book) -> tuple[Unmeasured, ...]:
    """Endpoints without figures, with the reason as the ledger has it."""
    found = {
        e.subject: Unmeasured(endpoint=e.subject, status=e.body.status, reason=quote(e, "reason"))
        for e in book.of("not measured")
        if isinstance(e.body, NotMeasured)
    }
    survey = book.first("survey")
    if survey is not None and isinstance(survey.body, Survey):
        for n, plan in enumerate(survey.body.plans):
            key = plan.endpoint.key
            if plan.skipped and key not in found and key not in survey.body.out_of_scope:
                found[key] = Unmeasured(endpoint=key, status=None, reason=quote(survey, f"plans.{n}.skipped"))
    return tuple(found[key] for key in sorted(found))


def targets(book: Book) -> tuple[JudgedTarget, ...]:
    """Each target of the profile, held against each subject that it applies to, and again with what was kept."""
    frame = book.first("frame")
    if frame is None or not isinstance(frame.body, Frame):
        return ()
    return tuple(
        _again(book, judged)
        for n, target in enumerate(frame.body.profile.targets)
        for judged in _judge(book, target, figure(number(frame, f"profile.targets.{n}.bound")))
    )


def _judge(book: Book, target: Target, bound: Prose) -> list[JudgedTarget]:
    if target.subject == GENERAL:
        subjects = [GENERAL]
    else:
        subjects = [s for s in measured_endpoints(book) if fnmatchcase(s, target.subject)] or [target.subject]
    return [_judge_one(book, target, bound, subject) for subject in subjects]


def _judge_one(book: Book, target: Target, bound: Prose, subject: str) -> JudgedTarget:
    phase = "cold" if target.metric.endswith(".cold") else "warm"
    item = book.baseline(subject, target.metric, phase)
    if item and isinstance(item.body, Measurement) and _answers(item.body, target):
        return _judged(item, f"statistics.{target.statistic}.value", target, bound)
    own, start = start_field(target.metric, target.statistic), book.first("startup", subject)
    if item is None and own and start:
        return _judged(start, own, target, bound)
    nothing = Prose(text="not measured")
    return JudgedTarget(target=target, subject=subject, outcome="not measured", shown=nothing, bound=bound)


def _answers(body: Measurement, target: Target) -> bool:
    return body.unit == target.unit and target.statistic in body.statistics


def _judged(item: Evidence, path: str, target: Target, bound: Prose) -> JudgedTarget:
    return JudgedTarget(
        target=target,
        subject=item.subject,
        outcome=outcome_of(target, item.body, path),
        ref=ref(item, path),
        shown=_shown(item, path, target),
        bound=bound,
    )


def _again(book: Book, judged: JudgedTarget) -> JudgedTarget:
    """With all that was kept, by the comparison with the base; as it is where nothing was, or it does not hold."""
    kept = book.first("kept")
    if kept is None or not isinstance(kept.body, Kept) or not kept.body.whole:
        return judged
    compared = [e for e in map(book.get, kept.body.comparisons) if e is not None]
    at = with_kept(compared, judged.target, judged.subject)
    item = book.get(at.evidence) if at else None
    if at is None or item is None:
        nothing = KeptTarget(outcome="not measured", shown=Prose(text="not measured"))
        return judged.model_copy(update={"kept": nothing})
    outcome = outcome_of(judged.target, item.body, at.field)
    shown = _kept_shown(item, at.field, judged.target, outcome)
    return judged.model_copy(update={"kept": KeptTarget(outcome=outcome, ref=at, shown=shown)})


def _kept_shown(item: Evidence, path: str, target: Target, outcome: Outcome) -> Prose:
    after, before = number(item, path), number(item, path.removesuffix("b") + "a")
    side = _SIDES[end_towards_bound(target, met=True)]
    open_ = f", with no {side} bound" if outcome == "met without bound" else ""
    return write(f"{{after}}{open_}, against {{before}} of the base in the same comparison", after=after, before=before)


def _shown(item: Evidence, path: str, target: Target) -> Prose:
    """The figure, and what its interval leaves open."""
    value, outcome = number(item, path), outcome_of(target, item.body, path)
    side = end_towards_bound(target, met=outcome != "missed")
    if outcome == "met without bound":
        return write("{value}, with no {side} bound", value=value, side=_SIDES[side])
    estimate = item.body.statistics[target.statistic] if isinstance(item.body, Measurement) else None
    end = getattr(estimate, side, None)
    if end is None or meets(target, end) == (outcome == "met"):
        return figure(value)
    reach = number(item, f"statistics.{target.statistic}.{side}")
    return write("{value}, though its interval reaches over the bound, to {end}", value=value, end=reach)


_SIDES = {"high": "upper", "low": "lower"}

__all__ = ["life", "load", "measured_endpoints", "ref", "state", "targets", "unmeasured"]
