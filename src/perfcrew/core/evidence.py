"""Evidence: immutable items of the ledger. Each has a typed body; large things are blobs, named by their hash.

Field names carry units (`_ms`, `_bytes`, `_share`); `unit_of` tells the unit of any number in a body.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from perfcrew.core.advice import IndexAdvice, IndexUsage
from perfcrew.core.base import Noun
from perfcrew.core.comparison import Comparison, Effect
from perfcrew.core.errors import LedgerError
from perfcrew.core.experiments import Kept, Outcome, Proposals, SuiteRun, Trial
from perfcrew.core.findings import Finding
from perfcrew.core.http_caching import Allows, Tag
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.metrics import METRICS, Direction, Unit
from perfcrew.core.pooling import ConnectionNeed
from perfcrew.core.project import Project
from perfcrew.core.prose import Ref
from perfcrew.core.targets import Outcome as TargetOutcome
from perfcrew.core.targets import Profile, Target
from perfcrew.core.thinking import Exchange, Lookup, Narrative, WrittenPatches
from perfcrew.core.vectors import VectorSearch
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
    context: str = ""
    """The user's words on what it is for; empty where nothing was said."""
    constraints: tuple[str, ...] = ()
    """What must hold, in the user's words."""
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


class CacheGroup(Noun):
    """Commands on keys of one pattern from one line. Reads are those of warm requests, all else of every request."""

    pattern: str
    place: Place | None
    """The innermost line, which may be a library's."""
    commands: tuple[str, ...]
    reads_count: int
    hits_count: int
    misses_count: int
    hit_share: float | None = None
    writes_count: int
    without_ttl_count: int
    """Keys that were written without a time to live, and neither given one later nor deleted."""
    keys_count: int
    trips_count: float
    """Round trips for one key alone, a request: the median of those that have any."""
    total_ms: float
    """A request's time in them, the median likewise."""
    largest_bytes: int
    ttl_s: float | None = None
    """As written, the median."""
    hit_ms: float | None = None
    """A round trip that hit, the median."""
    work_ms: float | None = None
    """From a miss to the write of the same key: what a hit saves."""
    stampede_count: int = 0
    """The most reads of one key that missed before anybody had filled it."""
    expired_count: int = 0
    new_keys_count: int = 0
    not_filled_count: int = 0
    removed_count: int = 0
    lost_count: int = 0
    """Reads that missed, by why: these five add up to `misses_count`."""


class Connections(Noun):
    """What one request does with connections to its databases: medians over the traced warm requests."""

    connects_count: float
    """Opened within the request, those to a SQLite file left out."""
    connect_ms: float
    checkouts_count: float
    """Taken from a pool."""
    wait_ms: float
    """For a pool to give one, without the opening."""
    at_once_count: float
    """The most that the request held at the same time."""
    commits_count: float
    pool_size_count: float | None = None
    """Connections that the (smallest) pool keeps; None where it has no bound, or there is none."""
    pool_overflow_count: float | None = None
    """Those that it opens beyond."""
    held_ms: float | None = None
    """Time in which they are held, that of several at once added up; waiting for a pool is not part of it."""


class Crowd(Noun):
    """Copies of one request, sent at the same moment, with the probe in the target."""

    copies_count: int
    answered_count: int
    """With a status below 400."""
    wait_ms: float
    """For a connection of the pool: the median over the copies."""
    wait_max_ms: float
    request_ms: float
    connects_count: int
    """Opened by all of them."""


class HeldTransaction(Noun):
    """A transaction by the line of its first statement: medians over the warm requests in which it occurs."""

    digest: str
    """Of the first statement's shape."""
    place: Place | None
    requests_count: int
    held_ms: float
    """From its begin to its commit or rollback, or to the end of the request."""
    statements_ms: float
    calls_ms: float
    """HTTP and model calls that were waited for meanwhile."""
    calls_count: float
    idle_ms: float
    """Neither: the connection is idle in a transaction."""
    writes_count: float
    ended: bool
    """Whether its end was seen within the request."""


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
    cache: tuple[CacheGroup, ...] = ()
    """Likewise."""
    at_once: int = 1
    """Requests under way at the same time, on a cache that was empty before."""
    connections: Connections | None = None
    crowd: Crowd | None = None
    transactions: tuple[HeldTransaction, ...] = ()
    """Those held longest."""
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
    read_rows: float | None = None
    """Rows that a scan looked at: those it gave and those it threw away."""
    loops_count: float | None = None
    """How often it was run."""
    method: str = ""
    """How it sorted or hashed, in the engine's words: `external merge`."""
    disk_bytes: float | None = None
    """What a sort or a hash wrote to disk, for want of memory."""
    batches_count: float | None = None
    """Parts that a hash was split into; one where it fitted into memory."""
    heap_fetches_count: float | None = None
    """Rows that an index alone should have answered, and that were looked up in the table all the same."""
    lossy_count: float | None = None
    """Pages of which a bitmap kept no single rows, for want of memory: all their rows are checked again."""
    hit_count: float | None = None
    """Pages found in the server's cache, those of the nodes below among them."""
    read_count: float | None = None
    """Pages that were not."""


class IndexTrial(Noun):
    """An index that was built on a clone, and what it did for one statement, with all others of the advice."""

    ddl: str
    table: str
    columns: tuple[str, ...]
    """Its keys: columns, or expressions as SQL."""
    before_ms: tuple[float, ...]
    after_ms: tuple[float, ...]
    before_median_ms: float
    after_median_ms: float
    size_bytes: int | None
    used: bool
    after_nodes: tuple[PlanNode, ...] = ()
    index: IndexSpec | None = None
    """The whole of it, where it is more than its columns."""
    verdict: str = ""
    """Of the paired blocks of this statement; empty where they were too few."""
    partitioned: bool = False
    """Whether its table has partitions: PostgreSQL builds none on all of them CONCURRENTLY."""

    @property
    def spec(self) -> IndexSpec:
        """The index, whatever its kind."""
        return self.index or IndexSpec(table=self.table, keys=self.columns)


class PageTrial(Noun):
    """The first page of a statement with an OFFSET, and one far behind it, timed in turn on a clone."""

    result_rows: int
    """What the statement gives without a page."""
    skipped_rows: int
    """The offset of the later page."""
    first_ms: tuple[float, ...]
    later_ms: tuple[float, ...]
    first_median_ms: float
    later_median_ms: float
    later_read_rows: float | None = None
    """Rows that the scans of the later page looked at, where the engine counts them."""


class ExpressionTrial(Noun):
    """A column that is compared through an expression, and an index on that expression, built on a clone."""

    table: str
    column: str
    expression: str
    implicit: bool
    """The server put the cast in, since the value has another type than the column."""
    ddl: str
    """Empty where the engine refuses such an index."""
    defeated: str | None = None
    """An index that the plan uses once the column stands alone."""
    used: bool
    before_ms: tuple[float, ...]
    after_ms: tuple[float, ...]
    before_median_ms: float
    after_median_ms: float
    size_bytes: int | None = None


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
    trials_beside: tuple[IndexTrial, ...] = ()
    """The other advised indexes that its plan uses too: of each, what it adds beside all of them."""
    trial_refused: str = ""
    pages: PageTrial | None = None
    expression: ExpressionTrial | None = None


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


class Revisit(Noun):
    """The same GET asked again, as it was and as a client asks that kept the answer. Times are medians, in turn."""

    same: bool
    """Whether all full answers are the same byte for byte, once decoded."""
    answers_count: int
    etag: Tag = ""
    last_modified_age_s: float | None = None
    """How long before the first answer; None without a `Last-Modified` that could be read."""
    moved: tuple[str, ...] = ()
    """Validators that are not the same in all full answers."""
    allows: Allows = Allows()
    sets_cookies: bool = False
    with_credentials: bool = False
    conditional_status: int | None = None
    """What asking with the first answer's validators was answered; None where it carried none."""
    conditional_bytes: int | None = None
    turns_count: int = 0
    full_ms: float | None = None
    conditional_ms: float | None = None


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
    revisit: Revisit | None = None
    """None where it was not asked again: no GET, no whole answer with status 200, a stream, or too slow."""


class KeyGroup(Noun):
    """Keys of one pattern in a sample of a cache. Times to live are what was left of them."""

    pattern: str
    keys_count: int
    estimated_count: int
    """Of them on the whole server, by the sample's share."""
    without_ttl_count: int
    ttl_median_s: float | None = None
    ttl_max_s: float | None = None
    median_bytes: float | None = None
    largest_bytes: int | None = None
    total_bytes: int | None = None
    """Of the sample, with what the server needs beside the value."""
    type: str = ""
    encoding: str = ""


class SlowCommand(Noun):
    """An entry of the server's log of slow commands, by command and the pattern of its first key."""

    command: str
    pattern: str
    times_count: int
    longest_ms: float


class CacheServer(Noun):
    """A Redis after a stage of the run: what it counted meanwhile, its memory, and a sample of its keys."""

    kind: Literal["cache server"] = "cache server"
    version: str
    keys_count: int
    sampled_count: int
    hits_count: int
    misses_count: int
    hit_share: float | None = None
    evicted_count: int
    expired_count: int
    commands_count: int
    used_bytes: int
    peak_bytes: int
    resident_bytes: int
    fragmentation_share: float
    """Resident over used memory, as the server tells it; of a nearly empty one it means nothing."""
    limit_bytes: int
    """`maxmemory`; 0: none."""
    policy: str
    groups: tuple[KeyGroup, ...] = ()
    """The largest first, not all."""
    slow: tuple[SlowCommand, ...] = ()
    refused: dict[str, str] = {}
    """What could not be read, and why."""


class TtlPoint(Noun):
    """What one time to live gives by the model. `stale_share` is of the hits; None where no write was seen."""

    ttl_s: float
    hit_share: float
    stale_share: float | None
    peak_bytes: int


class Peak(Noun):
    """The load that the application is expected to bear, where that is from, and what its mix could reach."""

    kind: Literal["peak"] = "peak"
    expected_per_s: float
    source: Literal["given", "users", "profile", "capacity"]
    """As the user gave it; by the users, the user's or the profile's; or a part of the capacity."""
    users: int | None = None
    each_s: float | None = None
    """From one request of a user to the next."""
    each_assumed: bool = False
    """Whether nobody said how often users ask."""
    capacity_per_s: float | None = None
    """By the throughput of each endpoint alone and its share; None where it was not measured."""
    headroom_ratio: float | None = None
    """Capacity over the expected peak."""
    whole: bool
    """Whether the mix is of all endpoints, and not of those alone that a review was about."""
    left_out: tuple[float, ...] = ()
    """Steps that were not asked for, since they are far beyond the capacity."""

    @property
    def assumed(self) -> bool:
        """Whether the rate rests on what nobody said."""
        return self.source in ("profile", "capacity") or self.each_assumed


class TtlCurve(Noun):
    """Hit ratio and staleness of one group of reads against their time to live, predicted from the workload's mix."""

    kind: Literal["ttl curve"] = "ttl curve"
    of: Literal["cache", "statement"]
    group: str
    """A pattern of keys, or the shape of a statement that is not cached yet."""
    place: Place | None = None
    reads_count: int
    keys_count: int
    writes_count: int
    span_s: float
    rate_per_s: float | None = None
    """Of all requests together."""
    assumed_rate: bool = False
    """Whether nobody named the peak: it is the profile's users', or a part of the capacity as measured."""
    synthetic: bool = False
    """Whether the requests are perfcrew's own mix, for want of an access log or a recording."""
    deletes: bool = False
    """Whether the application deletes what it wrote before: then the model does."""
    target_share: float
    points: tuple[TtlPoint, ...]
    advised: int | None = None
    """Index of the smallest time to live that meets the target; None where none does."""


class Reach(Noun):
    """The rows that a table must have before a rule can judge."""

    rule: str
    least_rows: int


class OutOfReach(Noun):
    """Rules that found nothing, and could not have: no table that was measured is large enough."""

    kind: Literal["out of reach"] = "out of reach"
    rules: tuple[Reach, ...]
    table: str
    """The largest one."""
    largest_rows: int
    data: str
    """Evidence id of the rows that were there."""


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
    """How long a run took, or what `resume` did of it, and how much of that an instance of the target was there, or a
    clone of its data was measured."""

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
    | VectorSearch
    | CpuProfile
    | Memory
    | Startup
    | Neighbour
    | Payload
    | CacheServer
    | TtlCurve
    | OutOfReach
    | Peak
    | Log
    | Failure
    | NotMeasured
    | Findings
    | Instance
    | Timing
    | Published
    | IndexAdvice
    | IndexUsage
    | ConnectionNeed
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
    ("_per_s", "1/s"),
    ("_s", "s"),
    ("_share", "fraction"),
    ("_ratio", "ratio"),
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
