"""Drawings as inline SVG and plain markup. Each says in words what it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from perfcrew.core.base import Noun
from perfcrew.core.charts import Bar, Distribution, FlameFrame, Frontier, ScalingPlot, TtlPlot, Waterfall
from perfcrew.core.metrics import METRICS
from perfcrew.core.report import ChangedMetric
from perfcrew.core.units import show
from perfcrew.core.vectors import VectorSetting

WIDTH, HEIGHT, BINS = 240.0, 56.0, 48


class Axis(Noun):
    """A logarithmic axis shared by small multiples."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """0 to 1."""
        span = math.log(self.high / self.low)
        return min(1.0, max(0.0, math.log(max(value, self.low) / self.low) / span))

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Powers of ten inside, with how they are shown."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return tuple((self.at(10.0**n), show(10.0**n, "ms")) for n in range(first, last + 1))


def latency_axis(distributions: Sequence[Distribution]) -> Axis | None:
    """From the fastest to the slowest request of all endpoints; None where there is nothing to draw."""
    positive = [v for d in distributions for v in d.values_ms if v > 0]
    if not positive:
        return None
    low, high = min(positive) / 1.15, max(positive) * 1.15
    return Axis(low=low, high=high)


def histogram(distribution: Distribution, axis: Axis, marks: Sequence[tuple[str, float]]) -> Markup:
    """One distribution on the shared axis, with marks such as (`p95`, 61.2)."""
    counts = [0] * BINS
    for value, count in zip(distribution.values_ms, distribution.counts, strict=True):
        counts[min(BINS - 1, int(axis.at(value) * BINS))] += count
    tallest, step = max(counts), WIDTH / BINS
    bars = Markup().join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            _n(n * step), _n(HEIGHT - HEIGHT * 0.92 * c / tallest), _n(step - 0.6), _n(HEIGHT * 0.92 * c / tallest)
        )
        for n, c in enumerate(counts)
        if c
    )
    lines = Markup().join(_mark(name, axis.at(value) * WIDTH) for name, value in marks)
    ticks = Markup().join(
        Markup('<line class="tick" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(_n(at * WIDTH), _n(HEIGHT))
        for at, _ in axis.ticks
    )
    return Markup(
        '<svg class="hist" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}<g>{}</g>{}</svg>'
    ).format(_n(WIDTH), _n(HEIGHT), ticks, bars, lines)


def _mark(name: str, x: float) -> Markup:
    return Markup('<line class="mark {0}" x1="{1}" x2="{1}" y1="0" y2="{2}"/>').format(name, _n(x), _n(HEIGHT))


def scaling(plot: ScalingPlot) -> Markup:
    """Sizes against values, linear from zero, so that growth looks like growth."""
    width, height, left, bottom = 240.0, 130.0, 34.0, 18.0
    most_x, most_y = max((*plot.sizes, 1e-9)), max((*plot.values, 1e-9))
    points = [
        (left + (width - left - 8) * x / most_x, height - bottom - (height - bottom - 12) * y / most_y)
        for x, y in zip(plot.sizes, plot.values, strict=False)
    ]
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    dots = Markup().join(Markup('<circle cx="{}" cy="{}" r="3"/>').format(_n(x), _n(y)) for x, y in points)
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<path class="axis" d="M{l},8 V{b} H{r}"/><text x="{tl}" y="14" text-anchor="end">{top}</text>'
        '<text x="{tl}" y="{b}" text-anchor="end">0</text><text x="{r}" y="{h2}" text-anchor="end">{most}</text>'
        '<polyline points="{path}"/>{dots}</svg>'
    ).format(
        w=_n(width), h=_n(height), label=_in_words(plot), l=_n(left), b=_n(height - bottom), r=_n(width - 8),
        tl=_n(left - 5), h2=_n(height - 4), top=amount(plot.metric, most_y), most=_size(plot, most_x),
        path=path, dots=dots,
    )  # fmt: skip


FRONTIER_WIDTH, FRONTIER_HEIGHT = 300.0, 190.0
_LEFT, _BOTTOM = 40.0, 30.0


def frontier(plot: Frontier) -> Markup:
    """Recall upwards, times as fast as the exact search to the right (logarithmic); empty where nothing was tried."""
    if not plot.settings:
        return Markup("")
    lowest = min(0.5, math.floor(10 * min(s.recall_share for s in plot.settings)) / 10)
    axis = Axis(
        low=min(0.8, *(s.exact_ratio for s in plot.settings)), high=1.15 * max(s.exact_ratio for s in plot.settings)
    )

    def at(ratio: float, recall: float) -> tuple[str, str]:
        x = _LEFT + (FRONTIER_WIDTH - _LEFT - 10) * axis.at(ratio)
        y = FRONTIER_HEIGHT - _BOTTOM - (FRONTIER_HEIGHT - _BOTTOM - 12) * (recall - lowest) / (1 - lowest)
        return _n(x), _n(y)

    best = sorted((s for s in plot.settings if s.frontier), key=lambda s: s.exact_ratio)
    path = " ".join(",".join(at(s.exact_ratio, s.recall_share)) for s in best)
    dots = Markup().join(_way(s, at(s.exact_ratio, s.recall_share), s == plot.recommended) for s in plot.settings)
    right, asked = _n(FRONTIER_WIDTH - 10), at(1, plot.asked_share)[1]
    return Markup(
        '<svg class="plot frontier" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<path class="axis" d="M{l},8 V{b} H{r}"/><line class="asked" x1="{l}" x2="{r}" y1="{asked}" y2="{asked}"/>'
        '<text x="{tl}" y="14" text-anchor="end">100 %</text><text x="{tl}" y="{b}" text-anchor="end">{low}</text>'
        '<text x="{tl}" y="{asked}" text-anchor="end">{wanted}</text>'
        '<text x="{r}" y="{h2}" text-anchor="end">{most}</text>'
        '<text x="{one}" y="{h2}" text-anchor="middle">exact</text><polyline points="{path}"/>{dots}</svg>'
    ).format(
        w=_n(FRONTIER_WIDTH), h=_n(FRONTIER_HEIGHT), label=_swept_in_words(plot), l=_n(_LEFT), r=right,
        b=_n(FRONTIER_HEIGHT - _BOTTOM), asked=asked, tl=_n(_LEFT - 5), low=show(lowest, "fraction"),
        wanted=show(plot.asked_share, "fraction"), h2=_n(FRONTIER_HEIGHT - 14), one=at(1, 1)[0],
        most=f"{show(max(s.exact_ratio for s in plot.settings), 'ratio')} as fast", path=path, dots=dots,
    )  # fmt: skip


def _way(one: VectorSetting, at: tuple[str, str], chosen: bool) -> Markup:
    """A dot by the kind of index, hollow behind the frontier, ringed where it is recommended; its name on pointing."""
    kind = f"{one.access}{'' if one.frontier else ' behind'}"
    words = f"{one.said}: recall {show(one.recall_share, 'fraction')} in {show(one.median_ms, 'ms')}"
    ring = Markup('<circle class="ring" cx="{}" cy="{}" r="7"/>').format(*at) if chosen else Markup("")
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="3"><title>{}</title></circle>').format(kind, *at, words)
    return ring + dot


def _swept_in_words(plot: Frontier) -> str:
    best = ", ".join(
        f"{s.said} {show(s.recall_share, 'fraction')} at {show(s.exact_ratio, 'ratio')}"
        for s in plot.settings
        if s.frontier
    )
    chosen = f"; recommended: {plot.recommended.said}" if plot.recommended else "; none is recommended"
    return f"Recall of {plot.search}, against how many times as fast as exact search: {best}{chosen}"


def ttl(plot: TtlPlot) -> Markup:
    """Hit ratio against the logarithm of the time to live, what is stale of the hits dashed, the target as a line."""
    width, height, left, bottom = 240.0, 130.0, 34.0, 18.0
    axis = Axis(low=min(plot.ttls_s), high=max(plot.ttls_s) * 1.001)

    def line(values: Sequence[float]) -> str:
        pairs = zip(plot.ttls_s, values, strict=True)
        return " ".join(f"{_n(left + (width - left - 8) * axis.at(x))},{_n(_height(y))}" for x, y in pairs)

    def _height(share: float) -> float:
        return height - bottom - (height - bottom - 12) * share

    at = plot.advised
    chosen = Markup("")
    if at is not None:
        x = left + (width - left - 8) * axis.at(plot.ttls_s[at])
        chosen = Markup('<circle cx="{}" cy="{}" r="3.5"/>').format(_n(x), _n(_height(plot.hits[at])))
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<path class="axis" d="M{l},8 V{b} H{r} M{l},{t} H{r}"/><text x="{tl}" y="16" text-anchor="end">100 %</text>'
        '<text x="{tl}" y="{b}" text-anchor="end">0</text><text x="{l}" y="{h2}">{low}</text>'
        '<text x="{r}" y="{h2}" text-anchor="end">{high}</text><polyline points="{hits}"/>'
        '<polyline points="{stale}" stroke-dasharray="3 3"/>{chosen}</svg>'
    ).format(
        w=_n(width), h=_n(height), label=_ttl_in_words(plot), l=_n(left), b=_n(height - bottom), r=_n(width - 8),
        t=_n(_height(plot.target)), tl=_n(left - 5), h2=_n(height - 4), low=show(min(plot.ttls_s), "s"),
        high=show(max(plot.ttls_s), "s"), hits=line(plot.hits), chosen=chosen,
        stale=line(plot.stale) if plot.stale else "",
    )  # fmt: skip


def _ttl_in_words(plot: TtlPlot) -> str:
    pairs = ", ".join(f"{show(y, 'fraction')} at {show(x, 's')}" for x, y in zip(plot.ttls_s, plot.hits, strict=True))
    advised = f"; {show(plot.ttls_s[plot.advised], 's')} meets the target" if plot.advised is not None else ""
    return f"hit ratio of {plot.group} by time to live: {pairs}{advised}"


def _size(plot: ScalingPlot, size: float) -> str:
    shown = show(size, "count")
    return f"{shown} rows" if plot.by == "rows" else f"{plot.by} {shown}"


def amount(metric: str, value: float) -> str:
    """A value of a metric as it is shown."""
    known = METRICS.get(metric)
    return show(value, known.unit if known and known.unit not in ("rows",) else "count")


def _in_words(plot: ScalingPlot) -> str:
    pairs = ", ".join(
        f"{amount(plot.metric, y)} at {show(x, 'count')}" for x, y in zip(plot.sizes, plot.values, strict=False)
    )
    return f"{plot.metric} of {plot.endpoint} by {plot.by}: {pairs}; growth {plot.growth}"


class Row(Noun):
    """A row of a waterfall: a span, or many of one kind folded into one."""

    bar: Bar
    left: float
    width: float
    times: int = 1
    total_ms: float

    @property
    def shown(self) -> str:
        return show(self.total_ms, "ms")

    @property
    def start(self) -> str:
        return show(self.bar.start_ms, "ms")


def waterfall_rows(waterfall: Waterfall) -> list[Row]:
    """Spans in order; from the third on, a run of the same work from the same line is one row."""
    rows: list[Row] = []
    for bar in waterfall.bars:
        left = 100 * bar.start_ms / waterfall.total_ms
        end = 100 * (bar.start_ms + bar.duration_ms) / waterfall.total_ms
        last = rows[-1] if rows else None
        again = last and (last.bar.name, last.bar.place) == (bar.name, bar.place) and bar.repeated
        if last and again and last.bar.repeated:
            folded = {
                "times": last.times + 1,
                "width": max(0.3, end - last.left),
                "total_ms": last.total_ms + bar.duration_ms,
            }
            rows[-1] = last.model_copy(update=folded)
        else:
            rows.append(Row(bar=bar, left=left, width=max(0.3, end - left), total_ms=bar.duration_ms))
    return rows


class FlameBox(Noun):
    """A frame of the flame graph: percentages of the whole, depth from the top."""

    name: str
    left: float
    width: float
    depth: int
    samples: int
    application: bool


def flame_boxes(root: FlameFrame, application: Sequence[str]) -> list[FlameBox]:
    """The frames from the top down, without the root. `application`: files that are the target's own."""
    boxes: list[FlameBox] = []

    def lay(frame: FlameFrame, start: int, depth: int) -> None:
        at = start
        for child in frame.children:
            boxes.append(
                FlameBox(
                    name=child.name,
                    left=100 * at / root.samples,
                    width=100 * child.samples / root.samples,
                    depth=depth,
                    samples=child.samples,
                    application=any(f in child.name for f in application),
                )
            )
            lay(child, at, depth + 1)
            at += child.samples

    lay(root, 0, 0)
    return boxes


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


FOREST_RATIO = 2.0
"""At the edges of a forest plot's lane: half and twice as much."""


def forest(metric: ChangedMetric) -> Markup:
    """One ratio with its interval on a logarithmic lane, no change in the middle; empty for exact figures."""
    if metric.value is None or metric.low is None or metric.high is None:
        return Markup("")
    low, value, high = (_lane(x) for x in (metric.low, metric.value, metric.high))
    return Markup(
        '<svg class="forest" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="none" x1="50" x2="50" y1="0" y2="12"/><line class="reach" x1="{}" x2="{}" y1="6" y2="6"/>'
        '<rect class="{}" x="{}" y="2" width="3" height="8"/></svg>'
    ).format(_n(low), _n(high), metric.verdict.replace(" ", "-"), _n(value - 1.5))


def _lane(ratio: float) -> float:
    at = 50 + 50 * math.log(max(ratio, 1e-9)) / math.log(FOREST_RATIO)
    return min(99.0, max(1.0, at))
