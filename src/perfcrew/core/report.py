"""The report: what a run found out, as typed sections. Every number of a text is a figure, every foreign word a quote.

Lists are whole; a renderer that bounds them counts what it leaves out from the list itself, so that no count of
ours is ever a text that could be wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import JsonValue

from perfcrew.core.base import Noun
from perfcrew.core.charts import Charts
from perfcrew.core.columns import GENERAL
from perfcrew.core.comparison import Comparison, pooled
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Environment, Evidence, Frame, Measurement, Startup, field, unit_of
from perfcrew.core.findings import LEVELS, Finding
from perfcrew.core.prose import Prose, Ref
from perfcrew.core.targets import Outcome, Target

SCHEMA_VERSION = 1
NOTHING = Prose(text="")


class CheckResult(Noun):
    """What one check of the gate decided. `note` says what a pass means, where there was nothing to check."""

    name: str
    passed: bool
    reasons: tuple[str, ...] = ()
    note: str = ""


class GateResult(Noun):
    """The verdict on a report: passed where every check did."""

    passed: bool
    checks: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.checks if not c.passed)


class Quote(Noun):
    """Words that stand in the ledger exactly so: `ref` leads to them."""

    text: str
    ref: Ref


class Reading(Noun):
    """One cell: a number with its interval, or the reason why there is none."""

    column: str
    value: Prose = Prose(text="not measured")
    interval: Prose = NOTHING
    refused: Quote | None = None

    @property
    def measured(self) -> bool:
        return bool(self.value.figures)


class EndpointState(Noun):
    """A row of the State of the System."""

    endpoint: str
    readings: tuple[Reading, ...]
    taken: Prose
    """How many requests in how many runs stand behind the latency."""

    def reading(self, key: str) -> Reading:
        return next((r for r in self.readings if r.column == key), Reading(column=key))


class LoadState(Noun):
    """Latency at one step of the load, of one endpoint or the whole mix."""

    load: str
    endpoint: str
    readings: tuple[Reading, ...]
    taken: Prose

    def reading(self, key: str) -> Reading:
        return next((r for r in self.readings if r.column == key), Reading(column=key))


class StageRow(Noun):
    name: str
    own: Prose
    share: Prose


Ready = Literal["ready", "not ready", "not judged"]


class Readiness(Noun):
    """Whether the application bears the load that it is expected to; `peak` is the evidence of what that is."""

    outcome: Ready
    peak: str
    said: Prose


class RequestLife(Noun):
    """Where the time of one traced request goes. Without instrumentation there are no stages, and it says so."""

    endpoint: str
    evidence: str
    instrumented: bool
    stages: tuple[StageRow, ...]
    notes: tuple[Quote, ...] = ()


class CacheRow(Noun):
    """A row of a cache's tables: its cells in the order of the columns of `core.cache_table`."""

    names: tuple[Quote, ...] = ()
    cells: tuple[Prose, ...]


class CacheLook(Noun):
    """The target's own cache server after a stage of the run."""

    evidence: str
    after: str
    version: Quote
    policy: Quote
    server: CacheRow
    groups: tuple[CacheRow, ...]
    """Keys by pattern, of a sample."""
    slow: tuple[CacheRow, ...]
    refused: tuple[Quote, ...] = ()
    """What could not be read, and why."""
    said: Prose = NOTHING


class CacheUse(Noun):
    """What was seen of the cache server. `hit_ratio` is that of the workload, after its warm-up."""

    hit_ratio: Prose = NOTHING
    looks: tuple[CacheLook, ...]


class KeptTarget(Noun):
    """A target held against the side with all that was kept, as it was compared with the base."""

    outcome: Outcome
    ref: Ref | None = None
    shown: Prose
    """The value with what was kept, and beside it the base's in the same comparison."""


class JudgedTarget(Noun):
    """One target held against one subject."""

    target: Target
    subject: str
    outcome: Outcome
    ref: Ref | None = None
    shown: Prose
    """The measured value, and whether its interval reaches over the bound."""
    bound: Prose
    kept: KeptTarget | None = None
    """The same with all that was kept; None where nothing was, or it does not hold as a whole."""


class Step(Noun):
    """What should happen next, and who should do it."""

    who: str
    what: Prose


class FindingSection(Noun):
    """One optimization of DOCTRINE C. `finding` stands in the ledger word for word at `source`."""

    finding: Finding
    source: Ref
    specialist: str
    problem: Prose
    narrative: Prose = NOTHING
    """The same in the narrator's words, where a model wrote any."""
    profiling: Prose
    strategy: Prose
    changes: Prose
    benchmark: tuple[Reading, ...]
    benchmark_note: Prose
    validation: Prose
    command: tuple[str, ...]
    monitoring: Prose
    budget: Prose
    """The latency that an alert and a regression test hold the endpoint to; empty where none was measured."""
    deployment: Prose
    next_steps: tuple[Step, ...]
    trade_offs: Prose

    @property
    def endpoint(self) -> str:
        return self.finding.endpoint or GENERAL


class ChangedMetric(Noun):
    """One metric before and after a change: medians, their ratio with its interval, and the verdict on it."""

    evidence: str
    subject: str
    metric: str
    role: str
    before: Prose
    after: Prose
    ratio: Prose
    """After over before, with the interval; empty where exact figures are compared."""
    verdict: str
    low: float | None = None
    value: float | None = None
    high: float | None = None
    """The ratio again, for the drawing."""


class TriedStep(Noun):
    name: str
    passed: bool | None
    said: Quote


class ExperimentSection(Noun):
    """One change that was tried alone: what was promised beforehand, what was found, and what was decided."""

    trial: str
    outcome: str
    """Evidence ids."""
    finding: str
    endpoint: str
    title: Quote
    decision: str
    why: Quote
    hypothesis: Quote
    expected: Prose
    criteria: tuple[Quote, ...]
    steps: tuple[TriedStep, ...]
    metrics: tuple[ChangedMetric, ...]
    """All that changed, and those of the endpoint and the application."""
    unchanged: Prose
    """What is said of the others."""
    beside: tuple[ChangedMetric, ...] = ()
    """The others that were compared: no change was seen in them."""
    diff: str
    trade_offs: tuple[Quote, ...] = ()
    settings: dict[str, str] = {}


class DeclinedChange(Noun):
    finding: str
    reason: Quote


class KeptSection(Noun):
    """All that was kept together against the base."""

    evidence: str
    branch: str
    base_commit: str
    head_commit: str
    whole: bool
    why: Quote
    metrics: tuple[ChangedMetric, ...]
    """All that changed, and those of the application."""
    beside: tuple[ChangedMetric, ...] = ()
    """The others that were compared: no change was seen in them."""
    patch: str


class Unmeasured(Noun):
    """An endpoint without figures: the status it answered with, where it answered, and the reason."""

    endpoint: str
    status: int | None
    reason: Quote


class TableRows(Noun):
    table: str
    before: Prose
    after: Prose


class DataUse(Noun):
    """The rows that were there when it was measured."""

    evidence: str
    engine: str
    how: str
    note: Quote | None
    tables: tuple[TableRows, ...]


class MethodRow(Noun):
    """How one kind of thing was measured; `evidence` is one item that was measured so."""

    kind: str
    tool: str
    version: str
    command: tuple[str, ...]
    settings: dict[str, JsonValue]
    evidence: str


class EnvironmentRow(Noun):
    evidence: str
    environment: Environment


class SpecialistStatus(Noun):
    """What a specialist did: the ids of what it found, what it objected to, or how it failed."""

    name: str
    reasoner: str
    findings: tuple[str, ...]
    objections: tuple[Quote, ...] = ()


class Thought(Noun):
    """What a model was asked on behalf of somebody, whether its answer was taken, and what it took."""

    who: str
    reasoner: str
    evidence: str
    answered: bool
    why: Quote | None
    sent_back: tuple[Quote, ...]
    limit: str = ""
    """The limit that ended it, if one did; `why` says by how much."""
    calls: Prose
    requests: Prose = NOTHING
    tokens_in: Prose
    tokens_cached: Prose
    tokens_out: Prose
    cost: Prose


GOES_ON = "What was concluded before stands, and the rule book concluded the rest."


class FailureRow(Noun):
    """Something that did not work, and that the run went on without."""

    stage: Quote
    what: Quote
    error: Quote
    subject: str


class EvidenceEntry(Noun):
    id: str
    kind: str
    subject: str
    slot: str
    taken_at: datetime


class TargetSummary(Noun):
    """What was reviewed."""

    name: str
    framework: str
    root: str
    engine: str
    profile: str
    scope: str
    base: str | None
    primary_metric: str
    commit: str | None
    dirty: bool | None


class Purpose(Noun):
    """What the effort is for, in the user's words."""

    context: Quote | None = None
    constraints: tuple[Quote, ...] = ()

    @property
    def said(self) -> bool:
        return bool(self.context or self.constraints)


class Versions(Noun):
    perfcrew: str
    schema_version: int = SCHEMA_VERSION


class Report(Noun):
    """What was found out in one run. Sealed by the gate's verdict."""

    schema_version: int = SCHEMA_VERSION
    id: str
    run: str
    title: str
    created_at: datetime
    versions: Versions
    target: TargetSummary
    purpose: Purpose = Purpose()
    verdict: GateResult | None = None
    summary: Prose
    narrative: Prose = NOTHING
    """The whole in the narrator's words, where a model wrote any."""
    narrator: str = ""
    """The model that wrote it."""
    state: tuple[EndpointState, ...]
    startup: Reading
    targets: tuple[JudgedTarget, ...]
    workload: Prose
    load: tuple[LoadState, ...]
    readiness: Readiness | None = None
    """None where the mix was not borne."""
    life: tuple[RequestLife, ...]
    cache: CacheUse | None = None
    """None where the target has none, or none was looked at."""
    findings: tuple[FindingSection, ...]
    experiments: tuple[ExperimentSection, ...] = ()
    declined: tuple[DeclinedChange, ...] = ()
    kept: KeptSection | None = None
    not_measured: tuple[Unmeasured, ...]
    data: tuple[DataUse, ...]
    assumptions: tuple[Quote, ...]
    method: tuple[MethodRow, ...]
    unjudged: Prose = NOTHING
    """Rules that no table was large enough for; empty where all could judge."""
    reproduce: tuple[str, ...]
    environments: tuple[EnvironmentRow, ...]
    specialists: tuple[SpecialistStatus, ...]
    thought: tuple[Thought, ...] = ()
    spent: Prose = NOTHING
    """What all models took together; empty where none was asked."""
    failures: tuple[FailureRow, ...]
    trade_offs: Prose
    next_steps: tuple[Step, ...]
    charts: Charts
    evidence: tuple[EvidenceEntry, ...]
    document_lines: int = 0
    """Of the Markdown document."""

    @property
    def open_findings(self) -> tuple[FindingSection, ...]:
        """Findings that were neither ignored nor acknowledged."""
        return tuple(s for s in self.findings if s.finding.status == "open")

    @property
    def worst(self) -> str | None:
        """The highest level of an open finding, None where there is none."""
        return max((s.finding.level for s in self.open_findings), key=LEVELS.index, default=None)

    @property
    def limits(self) -> tuple[Quote, ...]:
        """The limits of models that were reached, each once, with what was spent against what was allowed."""
        found = {t.why.text: t.why for t in self.thought if t.limit and t.why is not None}
        return tuple(found.values())

    def life_of(self, endpoint: str) -> RequestLife | None:
        return next((r for r in self.life if r.endpoint == endpoint), None)


def canonical(report: Report) -> str:
    """The report as JSON with sorted keys: the same report is the same text, byte for byte."""
    return json.dumps(report.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def digest(report: Report) -> str:
    """SHA-256 of the canonical JSON without the verdict, which is made from the rest."""
    return hashlib.sha256(canonical(report.model_copy(update={"verdict": None})).encode()).hexdigest()


def meets(target: Target, value: float) -> bool:
    """Whether a value, in the target's unit, is on the right side of its bound."""
    if target.operator in ("<", "<="):
        return value < target.bound or (target.operator == "<=" and value == target.bound)
    return value > target.bound or (target.operator == ">=" and value == target.bound)


SAMPLED = ("p50", "p95", "p99", "mean")
"""Statistics that stand for more than what was seen, and so are within an interval, where there were enough samples."""
FEWEST_OF_A_MEDIAN = 6
"""Samples below which a median has no interval of 95 %."""


def outcome_of(target: Target, body: Any, path: str) -> Outcome:
    """What the number at that path of the evidence comes to; a figure that nothing bounds is not simply met."""
    if not meets(target, field(body, path)):
        return "missed"
    return "met" if _is_bounded(target, body, path) else "met without bound"


def _is_bounded(target: Target, body: Any, path: str) -> bool:
    if isinstance(body, Comparison):
        effect = body.effects[int(path.split(".")[1])]
        return effect.exact or effect.pairs_count >= FEWEST_OF_A_MEDIAN
    if isinstance(body, Startup):
        return len(body.start_ms) >= FEWEST_OF_A_MEDIAN
    if target.statistic not in SAMPLED or not isinstance(body, Measurement):
        return True
    return getattr(body.statistics[target.statistic], end_towards_bound(target, met=True)) is not None


def with_kept(compared: Iterable[Evidence], target: Target, subject: str) -> Ref | None:
    """The number of side B that answers a target, in the comparisons of all that was kept with the base."""
    found = {
        effect.metric: Ref(evidence=item.id, field=f"effects.{n}.b")
        for item in compared
        if isinstance(item.body, Comparison) and item.body.subject == subject and not item.body.refused
        for n, effect in enumerate(item.body.effects)
        if effect.unit == target.unit and effect.b is not None
    }
    return next((found[name] for name in _compared_as(target) if name in found), None)


def _compared_as(target: Target) -> tuple[str, ...]:
    """What a comparison calls the figure of a target, the likest first. It has nothing for the largest."""
    metric, statistic = target.metric, target.statistic
    if statistic in ("p50", "value"):
        return (metric,)
    return (pooled(metric, statistic), f"{metric}.{statistic}") if statistic in SAMPLED else ()


def end_towards_bound(target: Target, *, met: bool) -> Literal["low", "high"]:
    """The end of an interval that decides whether the figure holds: the worse one of what is met, else the better."""
    return "high" if target.operator.startswith("<") == met else "low"


def unit_at(body: Any, path: str) -> str:
    """The unit of the number at that path of a body: a target's bound has the target's, a promise is a fraction."""
    parts = path.split(".")
    if isinstance(body, Frame) and parts[:2] == ["profile", "targets"] and parts[-1] == "bound":
        return str(body.profile.targets[int(parts[2])].unit)
    if parts[-1] in ("improvement", "confidence", "level"):
        return "fraction"
    return unit_of(body, path)


def words_at(body: Any, path: str) -> str:
    """The text at a dotted path of a body, such as `assumptions.0`. LedgerError where there is none."""
    at = body
    for part in path.split("."):
        try:
            at = at[int(part)] if isinstance(at, tuple) else at[part] if isinstance(at, dict) else getattr(at, part)
        except (AttributeError, KeyError, IndexError, ValueError):
            raise LedgerError(f"{getattr(body, 'kind', 'the body')} has no field {path!r}") from None
    if not isinstance(at, str):
        raise LedgerError(f"field {path!r} is not a text")
    return at


def finding_at(body: Any, path: str) -> Finding:
    """The finding at `findings.N` of a body. LedgerError where there is none."""
    kind, _, index = path.partition(".")
    found = getattr(body, "findings", ()) if kind == "findings" else ()
    if not index.isdigit() or int(index) >= len(found):
        raise LedgerError(f"no finding at {path!r}")
    return Finding.model_validate(found[int(index)])
