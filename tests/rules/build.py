"""Builds what rules look at: small real source files, and the spans that a request through them would leave."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

from perfcrew.core.evidence import Counts, Estimate, Measurement, Scaling, Traces, TtlCurve, TtlPoint
from perfcrew.core.findings import Finding, Level
from perfcrew.core.project import Project
from perfcrew.core.scene import ApplicationScene, Scene, Seen, Traced
from perfcrew.core.trace import Block, Frame, LoadedEntity, Span, Trace
from perfcrew.core.web import Endpoint, Place, Plan, Request
from perfcrew.instruments.cached import cache_groups
from perfcrew.instruments.connections import connections, transactions
from perfcrew.instruments.repeats import groups
from perfcrew.rules import book
from perfcrew.rules.limits import Limits

ROOT = Path(__file__).parents[2]
MS = 1_000_000


@cache
def thresholds() -> dict[str, dict[str, float]]:
    """The defaults that ship."""
    loaded: dict[str, dict[str, float]] = yaml.safe_load((ROOT / "config/rules.yaml").read_text())
    return loaded


class App:
    """A target's tree under a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, file: str, source: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    def line(self, file: str, needle: str) -> int:
        """The only line that holds the needle."""
        lines = [n for n, text in enumerate((self.root / file).read_text().splitlines(), 1) if needle in text]
        assert len(lines) == 1, f"{needle!r} is on lines {lines} of {file}"
        return lines[0]

    def frame(self, file: str, needle: str, function: str = "f") -> Frame:
        return Frame(file=str(self.root / file), line=self.line(file, needle), function=function)

    def place(self, file: str, needle: str, function: str = "f") -> Place:
        return Place(file=file, line=self.line(file, needle), function=function)

    def library(self, file: str, line: int = 10, function: str = "g") -> Frame:
        """A frame of an installed package."""
        return Frame(file=f"/usr/lib/python3/site-packages/{file}", line=line, function=function)


@dataclass
class Shot:
    """One request on its way: spans follow one another unless `at_ms` says otherwise."""

    start_ms: float = 0.0
    repeat: int = 1
    request: int = 0
    spans: list[Span] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    now_ms: float = 1.0
    extra: dict[str, Any] = field(default_factory=dict)
    ids: Iterable[int] = field(default_factory=itertools.count)

    def span(self, kind: str, ms: float, stack: Sequence[Frame], at_ms: float | None = None, **attributes: Any) -> Shot:
        begin = self.start_ms + (self.now_ms if at_ms is None else at_ms)
        named = {name.replace("__", "."): value for name, value in attributes.items() if value is not None}
        self.spans.append(
            Span(
                trace="t",
                span=f"{next(iter(self.ids)):016x}{len(self.spans)}",
                kind=kind,  # type: ignore[arg-type]
                name=kind,
                start_ns=int(begin * MS),
                end_ns=int((begin + ms) * MS),
                attributes=named,
                stack=tuple(stack),
            )
        )
        self.now_ms = max(self.now_ms, begin - self.start_ms + ms)
        return self

    def sql(
        self, text: str, parameters: object, stack: Sequence[Frame], ms: float = 1.0, rows: int = 1, **more: Any
    ) -> Shot:
        """A statement; `parameters` None: the probe couldn't tell them."""
        return self.span(
            "database",
            ms,
            stack,
            db__query__text=text,
            db__response__returned_rows=rows,
            perfcrew__db__parameters_digest=None if parameters is None else repr(parameters),
            **more,
        )

    def cache(
        self,
        command: str,
        keys: str | Sequence[str],
        stack: Sequence[Frame],
        hit: bool | None = None,
        size: int = 0,
        ttl: float | None = None,
        ms: float = 0.5,
        at_ms: float | None = None,
        commands: int = 1,
    ) -> Shot:
        """A round trip to Redis; several keys: an MGET or a pipeline of them."""
        each = [keys] if isinstance(keys, str) else list(keys)
        told = json.dumps([[command, key, hit, size, ttl] for key in each])
        return self.span(
            "cache",
            ms,
            stack,
            at_ms,
            db__operation__name=command,
            perfcrew__cache__key=each[0],
            perfcrew__cache__commands=commands,
            perfcrew__cache__operations=told,
            perfcrew__cache__hit=hit,
        )

    def http(self, url: str, stack: Sequence[Frame], ms: float = 20.0, **more: Any) -> Shot:
        host = url.split("/")[2]
        more = {"http__request__method": "GET", "http__response__status_code": 200, **more}
        return self.span("http", ms, stack, url__full=url, server__address=host, **more)

    def block(self, ms: float, stack: Sequence[Frame], at_ms: float = 1.0) -> Shot:
        self.blocks.append(Block(start_ns=int((self.start_ms + at_ms) * MS), duration_ms=ms, stack=tuple(stack)))
        return self

    def wait(self, ms: float) -> Shot:
        self.now_ms += ms
        return self

    def loads(self, entity: str, columns: Mapping[str, int], read: Iterable[str], keys: Iterable[str] = ()) -> Shot:
        self.extra["loaded"] = {entity: LoadedEntity(table=entity.lower(), instances=10, columns=dict(columns))}
        self.extra["read"] = tuple(f"{entity}.{name}" for name in read)
        self.extra["response_keys"] = tuple(keys)
        return self

    def done(self, number: int) -> Trace:
        end = int((self.start_ms + self.now_ms + 1.0) * MS)
        server = Span(trace="t", span="s", kind="server", name="GET", start_ns=int(self.start_ms * MS), end_ns=end)
        return Trace(
            id=f"{number:032x}",
            request=self.request,
            repeat=self.repeat,
            server=server,
            spans=tuple(self.spans),
            blocks=tuple(self.blocks),
            **self.extra,
        )


def counts(traces: Sequence[Trace]) -> Counts:
    """What an instrument would count, medians over the requests."""

    def over(value: Callable[[Trace], float]) -> float:
        return float(median([value(t) for t in traces])) if traces else 0.0

    return Counts(
        statements_count=over(lambda t: len(t.of("database"))),
        rows=over(lambda t: sum(s.attributes.get("db.response.returned_rows") or 0 for s in t.of("database"))),
        http_count=over(lambda t: len(t.of("http"))),
        model_count=over(lambda t: len(t.of("model"))),
        statements_ms=over(lambda t: sum(s.duration_ms for s in t.of("database"))),
        request_ms=over(lambda t: t.server.duration_ms if t.server else 0),
    )


def traced(shots: Sequence[Shot], size: int | None = None, instrumented: bool = True) -> Traced:
    """Traces of one size of data, one second apart."""
    for second, shot in enumerate(shots):
        moved = (second * 1000.0 - shot.start_ms) * MS
        shot.start_ms += moved / MS
        shot.spans = [
            s.model_copy(update={"start_ns": s.start_ns + int(moved), "end_ns": s.end_ns + int(moved)})
            for s in shot.spans
        ]
        shot.blocks = [b.model_copy(update={"start_ns": b.start_ns + int(moved)}) for b in shot.blocks]
    traces = tuple(shot.done(number) for number, shot in enumerate(shots))
    warm, cold = [t for t in traces if t.repeat], [t for t in traces if not t.repeat]
    body = Traces(
        instrumented=instrumented,
        mode="otel",
        size=size,
        requests_count=len(traces),
        counts=counts(warm or list(traces)),
        cold=counts(cold) if cold else None,
    )
    return Traced(Seen(f"traces-{size}", body), traces)


def grouped(app: App, one: Traced) -> Traced:
    """With the groups that the instrument makes of these traces."""
    made = {
        "groups": groups(one.traces, app.root),
        "cache": cache_groups(one.traces, app.root),
        "connections": connections(one.traces),
        "transactions": transactions(one.traces, app.root),
    }
    body = one.seen.body.model_copy(update=made)
    return Traced(Seen(one.seen.evidence, body), one.traces)


def scaling(
    metric: str, values: Sequence[float], growth: str, by: str = "rows", sizes: Sequence[float] = (200, 400, 800)
) -> Seen[Scaling]:
    body = Scaling(
        metric=metric, by=by, sizes=tuple(sizes), values=tuple(values), growth=growth, slope=1.0, fit_share=0.99
    )  # type: ignore[arg-type]
    return Seen(f"scaling-{metric}", body)


def lives(group: str, advised: int | None = 1, of: str = "cache", writes: int = 0) -> Seen[TtlCurve]:
    """What the model says of times to live of one group of reads."""
    points = tuple(
        TtlPoint(ttl_s=ttl, hit_share=hits, stale_share=0.1 if writes else None, peak_bytes=1000)
        for ttl, hits in ((1.0, 0.3), (30.0, 0.82), (600.0, 0.95))
    )
    body = TtlCurve(
        of=of,  # type: ignore[arg-type]
        group=group,
        reads_count=400,
        keys_count=4,
        writes_count=writes,
        span_s=3600.0,
        target_share=0.8,
        points=points,
        advised=advised,
    )
    return Seen("ttl-curve", body)


def measured(metric: str, value: float, unit: str = "ms") -> Seen[Measurement]:
    body = Measurement(
        metric=metric, unit=unit, direction="lower", runs=3, count=60, statistics={"p50": Estimate(value=value)}
    )  # type: ignore[arg-type]
    return Seen(f"measured-{metric}", body)


def scene(
    app: App,
    *sizes: Traced,
    key: str = "GET /books",
    handler: Place | None = None,
    is_async: bool | None = True,
    requests: Sequence[str] = (),
    **rest: Any,
) -> Scene:
    """A scene of one endpoint; `rest` are the scene's own fields."""
    method, path = key.split(" ", 1)
    endpoint = Endpoint(method=method, path=path, source="openapi", handler=handler, is_async=is_async)
    asked = tuple(Request(endpoint=key, method=method, target=target) for target in (requests or (path,)))
    sizes = tuple(grouped(app, size) for size in sizes)
    return Scene(root=app.root, endpoint=endpoint, plan=Plan(endpoint=endpoint, requests=asked), traced=sizes, **rest)


def application(app: App, *scenes: Scene, **rest: Any) -> ApplicationScene:
    project = Project(
        root=app.root,
        name="shop",
        framework="fastapi",
        python=Path("/usr/bin/python3"),
        workdir=app.root,
        start=("uvicorn",),
    )
    return ApplicationScene(root=app.root, project=project, scenes=scenes, **rest)


def warm(make: Callable[[], Shot], times: int = 3) -> list[Shot]:
    """The same request several times, none of them the first."""
    return [make() for _ in range(times)]


class Found(NamedTuple):
    """A case that must be found: how it is built, and the finding's place, level, trigger and subject."""

    build: Callable[[App], Scene | ApplicationScene]
    file: str
    needle: str
    level: Level
    trigger: str | None = None
    subject: str | None = None
    trigger_file: str | None = None


Silent = Callable[[App], Scene | ApplicationScene]


def run(
    rule: str, app: App, over: Scene | ApplicationScene, limits: Mapping[str, float] | None = None
) -> list[Finding]:
    """One rule by itself, with the thresholds that ship."""
    (found,) = book.rules({rule})
    chosen = Limits(rule, {**thresholds()[rule], **(limits or {})})
    if found.of_application:
        return found.of_application(over if isinstance(over, ApplicationScene) else application(app, over), chosen)
    assert found.of_scene and isinstance(over, Scene)
    return found.of_scene(over, chosen)


def check_found(rule: str, app: App, case: Found) -> Finding:
    """Exactly one finding, where the case says."""
    (finding,) = run(rule, app, case.build(app))
    assert (finding.place.file, finding.place.line) == (case.file, app.line(case.file, case.needle))
    assert finding.level == case.level
    if case.trigger:
        assert finding.trigger is not None
        assert finding.trigger.line == app.line(case.trigger_file or case.file, case.trigger)
    if case.subject:
        assert case.subject in finding.subject
    assert finding.evidence
    assert 0 < finding.confidence <= 1
    assert finding.share is not None and 0 < finding.share.fraction <= 1
    assert 1 <= len(finding.hypotheses) <= 3
    return finding
