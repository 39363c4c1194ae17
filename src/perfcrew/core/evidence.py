"""Evidence: immutable items of the ledger. Each has a typed body; large things are blobs, named by their hash.

Field names carry units (`_ms`, `_bytes`, `_share`); `unit_of` tells the unit of any number in a body.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from perfcrew.core.base import Noun
from perfcrew.core.comparison import Comparison, Effect
from perfcrew.core.errors import LedgerError
from perfcrew.core.experiments import Kept, Outcome, Proposals, SuiteRun, Trial
from perfcrew.core.findings import Finding
from perfcrew.core.metrics import METRICS, Direction, Unit
from perfcrew.core.project import Project
from perfcrew.core.prose import Ref
from perfcrew.core.targets import Outcome as TargetOutcome
from perfcrew.core.targets import Profile, Target
from perfcrew.core.thinking import Exchange, Lookup, Narrative, WrittenPatches
from perfcrew.core.web import Fingerprint, Place
from perfcrew.core.web import Plan as RequestPlan


class Method(Noun):
    """How something was measured, so that anyone can repeat it."""

    tool: str
    version: str
    command: tuple[str, ...] = ()
    settings: dict[str, JsonValue] = {}
    environment: str | None = None
    """Evidence id of the environment it was taken in."""


class Estimate(Noun):
    """A statistic with its interval (None where too few samples allow one), in the measurement's unit."""

    value: float
    low: float | None = None
    high: float | None = None
    level: float = 0.95


class Environment(Noun):
    kind: Literal["environment"] = "environment"
    cpu_model: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    packages: dict[str, str]
    commit: str | None
    dirty: bool | None
    load_average: float


class Frame(Noun):
    """Phase 0: what is reviewed, for whom, held to what, and everything that was assumed."""

    kind: Literal["frame"] = "frame"
    project: Project
    profile: Profile
    primary_metric: str
    scope: Literal["all", "changed", "endpoint"]
    base: str | None = None
    assumptions: tuple[str, ...] = ()
    settings: dict[str, JsonValue] = {}


class Survey(Noun):
    """Every endpoint found: how it is asked, or why it isn't."""

    kind: Literal["survey"] = "survey"
    plans: tuple[RequestPlan, ...]
    changed: dict[str, tuple[str, ...]] = {}
    """Endpoint key → the changed functions it executes; empty where everything is reviewed."""
    out_of_scope: tuple[str, ...] = ()


class Data(Noun):
    """The rows the clone held, by table: as found, and as measured."""

    kind: Literal["data"] = "data"
    engine: str
    how: Literal["as found", "generated", "multiplied", "seeded"]
    before: dict[str, int]
    after: dict[str, int]
    size: int | None = None
    note: str = ""


class Measurement(Noun):
    """Samples of one metric under one condition. `statistics` keys: p50, p95, p99, mean, max, min, value."""

    kind: Literal["measurement"] = "measurement"
    metric: str
    unit: Unit
    direction: Direction
    phase: Literal["cold", "warm", "any"] = "warm"
    load: str = ""
    """`closed c=1`, `open 40/s`, `1.0 x peak`."""
    runs: int
    count: int
    statistics: dict[str, Estimate]
    refused: dict[str, str] = {}
    """Statistics that were not computed, with the reason."""
    samples: tuple[float, ...] = ()
    """Medians or values a run, or all samples where they are few; the rest is in the `histogram` blob."""


class Counts(Noun):
    """Medians over the traced warm requests, exact metrics."""

    statements_count: float = 0
    rows: float = 0
    cache_count: float = 0
    http_count: float = 0
    model_count: float = 0
    response_bytes: float = 0
    statements_ms: float = 0
    request_ms: float = 0


class Stage(Noun):
    """A stage of the request's life: its own time, without what lies inside it."""

    name: str
    own_ms: float
    own_share: float
    spans_count: float


class TraceGroup(Noun):
    """Operations of one shape from one line: medians over the requests in which they occur."""

    operation: Literal["database", "http", "model"]
    shape: str
    """The statement or URL without its values, cut to length; `digest` is of the whole."""
    digest: str
    place: Place | None
    """The innermost line, which may be a library's; None where the probe saw no stack."""
    cold: bool = False
    """Of the first time a request was sent in a process; kept only where it repeats more than later on."""
    repeats_count: float
    parameters_count: float
    """Different parameters, or URLs; each operation counts where the probe could not tell."""
    total_ms: float
    """Time in which at least one of them was open, as traced."""


class Traces(Noun):
    """Traced requests of one endpoint at one size of data. The spans are in the blob `traces` (JSON lines, gzip)."""

    kind: Literal["traces"] = "traces"
    instrumented: bool
    mode: str
    size: int | None = None
    requests_count: int
    counts: Counts
    cold: Counts | None = None
    stages: tuple[Stage, ...] = ()
    groups: tuple[TraceGroup, ...] = ()
    """Those that repeat most and those that take longest, not all."""
    notes: tuple[str, ...] = ()


class Scaling(Noun):
    """How one exact metric of an endpoint grows with the data. `growth` is the simplest model that fits."""

    kind: Literal["scaling"] = "scaling"
    metric: str
    by: Literal["rows", "page size"]
    sizes: tuple[float, ...]
    values: tuple[float, ...]
    growth: Literal["constant", "logarithmic", "linear", "quadratic", "unclear"]
    slope: float
    """Of the fitted model: per row, per log row, per row squared."""
    fit_share: float
    """R² of the fitted model, 0–1."""


class PlanNode(Noun):
    """One node of a query plan, engine's own words; depth 0 is the root."""

    depth: int
    operation: str
    relation: str | None = None
    index: str | None = None
    condition: str = ""
    rows: float | None = None
    estimated_rows: float | None = None
    removed_rows: float | None = None
    own_ms: float | None = None


class IndexTrial(Noun):
    """An index that was built on a clone, and what it did."""

    ddl: str
    table: str
    columns: tuple[str, ...]
    before_ms: tuple[float, ...]
    after_ms: tuple[float, ...]
    before_median_ms: float
    after_median_ms: float
    size_bytes: int | None
    used: bool
    after_nodes: tuple[PlanNode, ...] = ()


class QueryPlan(Noun):
    """The plan of one statement with its real parameters, and an index that was tried for it."""

    kind: Literal["plan"] = "plan"
    engine: str
    shape: str
    statement: str
    table_rows: dict[str, int] = {}
    nodes: tuple[PlanNode, ...]
    execution_ms: float | None = None
    trial: IndexTrial | None = None
    trial_refused: str = ""


class ProfileLine(Noun):
    """A line of the sampled profile: shares of all samples of the endpoint's run."""

    place: Place
    own_share: float
    total_share: float
    application: bool
    trigger: Place | None = None


class CpuProfile(Noun):
    """Samples of the target while one endpoint ran. Blobs: `speedscope` (opens in speedscope), `raw` (collapsed)."""

    kind: Literal["profile"] = "profile"
    samples_count: int
    idle_share: float
    requests_count: int
    request_ms: float
    lines: tuple[ProfileLine, ...]
    functions: tuple[ProfileLine, ...]


class LiveObjects(Noun):
    type: str
    before_count: int
    after_count: int
    per_request_count: float


class GrowingContainer(Noun):
    owner: str
    type: str
    before_count: int
    after_count: int


class Allocation(Noun):
    place: Place
    per_request_bytes: float
    blocks_count: int


class Memory(Noun):
    """Memory over repeated requests: resident size, live objects by type, containers and lines that keep growing."""

    kind: Literal["memory"] = "memory"
    requests_count: int
    rss_bytes: tuple[int, ...]
    slope_bytes: Estimate
    """Per request."""
    objects: tuple[LiveObjects, ...]
    containers: tuple[GrowingContainer, ...]
    allocations: tuple[Allocation, ...]


class ImportCost(Noun):
    module: str
    own_ms: float
    cumulative_ms: float
    importer: Place | None = None
    place: Place | None = None


class Startup(Noun):
    """From the start command to the first answer, and what was imported meanwhile."""

    kind: Literal["startup"] = "startup"
    start_ms: tuple[float, ...]
    median_ms: float
    imports: tuple[ImportCost, ...] = ()
    imports_total_ms: float = 0


class Neighbour(Noun):
    """A cheap endpoint's waiting, alone and while another one runs beside it."""

    kind: Literal["neighbour"] = "neighbour"
    neighbour: str
    alone_median_ms: float
    beside_median_ms: float
    beside_max_ms: float
    request_ms: float
    """Median time of the endpoint under test meanwhile."""
    stalls_count: int
    stall_max_ms: float
    stall_place: Place | None = None
    stall_trigger: Place | None = None


class Payload(Noun):
    """The answer as sent, and what compression would make of it."""

    kind: Literal["payload"] = "payload"
    content_type: str
    content_encoding: str
    sent_bytes: int
    decoded_bytes: int
    gzip_bytes: int
    items_count: int | None = None
    headers: dict[str, str] = {}
    fingerprints: tuple[Fingerprint, ...] = ()
    streamed: bool = False


class Log(Noun):
    """What the target printed; the whole is in the blob `log`."""

    kind: Literal["log"] = "log"
    size_bytes: int
    tail: str


class Failure(Noun):
    """Something that did not work: the run went on without it."""

    kind: Literal["failure"] = "failure"
    stage: str
    what: str
    error: str


class NotMeasured(Noun):
    """An endpoint that has no figures, and why: its status, or what was missing."""

    kind: Literal["not measured"] = "not measured"
    reason: str
    status: int | None = None


class Findings(Noun):
    """What one specialist concluded; `reasoner` is `rule book` or the model's name."""

    kind: Literal["findings"] = "findings"
    specialist: str
    reasoner: str
    findings: tuple[Finding, ...]
    questions: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()


class Judgement(Noun):
    """One target held against the ledger."""

    target: Target
    subject: str
    outcome: TargetOutcome
    ref: Ref | None = None


class Instance(Noun):
    """What one started instance gave for one endpoint (blob `run`), or its start; measurements combine several."""

    kind: Literal["instance"] = "instance"
    index: int
    start_ms: float


class Timing(Noun):
    """How long a run took, or what `resume` did of it, and how much of that an instance of the target was there."""

    kind: Literal["timing"] = "timing"
    total_ms: float
    measuring_ms: float
    thinking_ms: float = 0
    """In which a model was asked by at least one of the crew."""
    overhead_share: float
    """What was neither measuring, nor waiting for the target to start or end, nor for a model: our own work."""


class Published(Noun):
    """The digest of the report that was shipped, so that one edited by hand is recognised."""

    kind: Literal["published"] = "published"
    digest: str
    passed: bool


Body = Annotated[
    Environment
    | Frame
    | Survey
    | Data
    | Measurement
    | Traces
    | Scaling
    | QueryPlan
    | CpuProfile
    | Memory
    | Startup
    | Neighbour
    | Payload
    | Log
    | Failure
    | NotMeasured
    | Findings
    | Instance
    | Timing
    | Published
    | Comparison
    | Proposals
    | Trial
    | Outcome
    | SuiteRun
    | Kept
    | Lookup
    | Exchange
    | Narrative
    | WrittenPatches,
    Field(discriminator="kind"),
]


class Evidence(Noun):
    """An item of the ledger. `id` is made from its content; `slot` is its place within the run (one item a slot)."""

    id: str
    run: str
    slot: str
    subject: str
    """Endpoint key, or `application`."""
    body: Body
    method: Method
    blobs: dict[str, str] = {}
    """Name → sha256 of the content."""
    taken_at: datetime

    @property
    def kind(self) -> str:
        return self.body.kind


class Run(Noun):
    """One review."""

    id: str
    root: str
    workflow: str
    started_at: datetime
    options: dict[str, JsonValue] = {}
    """What was asked for, so that a resumed run asks for the same."""
    schema_version: int = 1


def field(body: Any, path: str) -> float:
    """The number at a dotted path, such as `statistics.p95.value` or `lines.3.own_share`.

    Raises LedgerError where there is no number.
    """
    at = body
    for part in path.split("."):
        try:
            at = (
                at[int(part)]
                if isinstance(at, (tuple, list))
                else at[part]
                if isinstance(at, dict)
                else getattr(at, part)
            )
        except (AttributeError, KeyError, IndexError, ValueError):
            raise LedgerError(f"{getattr(body, 'kind', 'the body')} has no field {path!r}") from None
    if isinstance(at, bool) or not isinstance(at, (int, float)):
        raise LedgerError(f"field {path!r} is not a number")
    return float(at)


def _effect_unit(effect: Effect, name: str) -> str:
    if name in ("a", "b", "a_samples", "b_samples"):
        return effect.unit
    if name in ("ratio", "log_ratios"):
        return "ratio"
    return "fraction" if name.endswith("_share") else "count"


def _scaling_unit(scaling: Scaling, name: str) -> str:
    """Of sizes, what they are sizes of; of values, the metric's own, as `db.rows` and `response.bytes` name it."""
    if name == "sizes":
        return "rows" if scaling.by == "rows" else "count"
    known = METRICS.get(scaling.metric)
    return known.unit if known else "count"


_SUFFIXES: tuple[tuple[str, str], ...] = (
    ("_bytes", "bytes"),
    ("_ms", "ms"),
    ("_s", "s"),
    ("_share", "fraction"),
    ("_count", "count"),
    ("_usd", "usd"),
    ("rows", "rows"),
    ("fraction", "fraction"),
)


def unit_of(body: Any, path: str) -> str:
    """The unit of the number at that path: the measurement's own, or the one its field name carries."""
    parts = path.split(".")
    if isinstance(body, Measurement) and parts[0] in ("statistics", "samples"):
        return body.unit
    if isinstance(body, Comparison) and parts[0] in ("effects", "cold") and len(parts) > 2:
        return _effect_unit((body.effects if parts[0] == "effects" else body.cold)[int(parts[1])], parts[2])
    if isinstance(body, Scaling) and parts[0] in ("sizes", "values"):
        return _scaling_unit(body, parts[0])
    if isinstance(body, Data) and parts[0] in ("before", "after"):
        return "rows"
    for part in reversed(parts):
        for suffix, unit in _SUFFIXES:
            if part.endswith(suffix):
                return unit
    return "count"
