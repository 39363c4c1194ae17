"""What something costs: times of spans, shares of the request, and how grave that is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from statistics import median
from typing import TypeVar

from perfcrew.core.evidence import Payload, field
from perfcrew.core.findings import LEVELS, Level, Scores, Share
from perfcrew.core.prose import Cited, cite
from perfcrew.core.scene import Scene, Seen, Traced
from perfcrew.core.trace import Span, Trace
from perfcrew.rules.limits import Limits

B = TypeVar("B")
_FILES = (
    "image/",
    "video/",
    "audio/",
    "application/pdf",
    "application/zip",
    "application/octet-stream",
    "font/",
    "text/event-stream",
)


def request_ms(trace: Trace) -> float:
    """How long the traced request took; without a server span, from the first to the last span."""
    if trace.server:
        return trace.server.duration_ms
    if not trace.spans:
        return 0.0
    return (max(s.end_ns for s in trace.spans) - min(s.start_ns for s in trace.spans)) / 1e6


def busy_ms(spans: Iterable[Span]) -> float:
    """Time in which at least one of the spans was running: concurrent ones count once."""
    total, end = 0, 0
    for span in sorted(spans, key=lambda s: s.start_ns):
        total += max(0, span.end_ns - max(span.start_ns, end))
        end = max(end, span.end_ns)
    return total / 1e6


def middle(values: Sequence[float]) -> float:
    """The median; zero of nothing."""
    return float(median(values)) if values else 0.0


def fraction(part: float, whole: float) -> float:
    """`part` of `whole`, 0–1; zero where there is no whole."""
    return max(0.0, min(1.0, part / whole)) if whole > 0 else 0.0


def typical(traced: Traced) -> tuple[Trace, ...]:
    """The warm traces, or all where none is: caches and first-time work make the cold ones another matter."""
    return traced.warm or traced.traces


def in_most(
    traced: Traced, limits: Limits, seen: Callable[[Trace], Iterable[B]], same: Callable[[B], Hashable]
) -> list[list[B]]:
    """What is seen in so many of the typical traces as the limits ask, in groups of the same."""
    traces, groups = typical(traced), dict[Hashable, list[B]]()
    for one in (one for trace in traces for one in seen(trace)):
        groups.setdefault(same(one), []).append(one)
    return [group for group in groups.values() if len(group) >= len(traces) * limits.traces_share]


def observed(scene: Scene) -> Traced | None:
    """The traces at the size that the baseline was measured at, None where nothing was instrumented."""
    seen = [t for t in scene.traced if t.seen.body.instrumented and t.traces]
    return seen[-1] if seen else None


def latency_ms(scene: Scene) -> float:
    """The endpoint's median latency as measured without instruments, else as traced; zero where neither was."""
    measured = scene.measured("latency")
    estimate = measured.body.statistics.get("p50") if measured else None
    if estimate:
        return estimate.value
    at = observed(scene)
    return at.seen.body.counts.request_ms if at else 0.0


def by_design(payload: Payload) -> bool:
    """Streams, media and downloads: large on purpose."""
    kind = payload.content_type.lower()
    headers = {name.lower(): value for name, value in payload.headers.items()}
    attached = "attachment" in headers.get("content-disposition", "")
    return payload.streamed or attached or (kind.startswith(_FILES) and "svg" not in kind)


def streams(scene: Scene) -> bool:
    """Whether the endpoint's answer is large on purpose; False where it was not looked at."""
    return scene.payload is not None and by_design(scene.payload.body)


def level(share: float, cost_ms: float, limits: Limits) -> Level:
    """`high` and `medium` need their share of the cost and their time, both."""
    if share >= limits.high_share and cost_ms >= limits.high_ms:
        return "high"
    if share >= limits.medium_share and cost_ms >= limits.medium_ms:
        return "medium"
    return "low"


def raised(at: Level, steps: int = 1) -> Level:
    """The level some steps up, or down."""
    return LEVELS[max(0, min(len(LEVELS) - 1, LEVELS.index(at) + steps))]


def share_cited(seen: Seen[B], part: str, whole: str) -> Cited | None:
    """One field of a body as a share of another, None where the whole is zero."""
    total = field(seen.body, whole)
    if total <= 0:
        return None
    return cite(field(seen.body, part) / total, "fraction", seen.ref(part), seen.ref(whole), derivation="share")


def scores(impact: float, evidence: float, *, effort: int, risk: int, reversibility: int, learning: int = 3) -> Scores:
    """Scores of a hypothesis: impact from the share it would remove (0–1), evidence from the confidence (0–1)."""
    return Scores(
        impact=_step(impact),
        evidence=_step(evidence),
        effort=effort,
        risk=risk,
        reversibility=reversibility,
        learning=learning,
    )


def _step(part: float) -> int:
    return max(1, min(5, 1 + round(part * 4)))


def latency_share(part_ms: float, whole_ms: float, basis: str) -> Share:
    """The share of the request's time."""
    return Share(fraction=round(fraction(part_ms, whole_ms), 4), of="latency", basis=basis)
