"""What the caching rules share: the cache's use at one endpoint, with the evidence that each number is cited from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from perfcrew.core.cache_use import Access, Use, accesses, uses
from perfcrew.core.evidence import CacheGroup, TtlCurve
from perfcrew.core.findings import Hypothesis, Scores
from perfcrew.core.prose import Cited, Prose, write
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Trace
from perfcrew.rules import calls
from perfcrew.rules.costs import observed
from perfcrew.rules.places import Site, place
from perfcrew.rules.write import code, traced_values

FLAG_BYTES = 16
"""What is kept in so little says that something was, or how often; it is no answer that took work."""
Values = Mapping[str, Cited | str | None]
_CITED = {
    "reads": "reads_count",
    "hits": "hits_count",
    "misses": "misses_count",
    "ratio": "hit_share",
    "keys": "keys_count",
    "writes": "writes_count",
    "lasting": "without_ttl_count",
    "trips": "trips_count",
    "own": "total_ms",
    "largest": "largest_bytes",
    "hit_ms": "hit_ms",
    "work": "work_ms",
    "crowd": "stampede_count",
}


@dataclass(frozen=True)
class Cached:
    """One pattern's use from one line, and where the evidence keeps it."""

    scene: Scene
    traced: Traced
    use: Use
    at: int
    group: CacheGroup

    @cached_property
    def site(self) -> Site | None:
        """The line that asks the cache, or a shared client of it."""
        return calls.asking(self.scene.root, self.use.accesses[-1].span, self.scene.endpoint.handler)

    @property
    def pattern(self) -> str:
        return self.use.pattern

    @property
    def is_flag(self) -> bool:
        """Whether what is written under its keys is too little to be an answer: a mark, a count, a lock."""
        sizes = [g.largest_bytes for g in self.traced.seen.body.cache if g.pattern == self.pattern and g.writes_count]
        return bool(sizes) and max(sizes) <= FLAG_BYTES

    def of(self, trace: Trace) -> list[Access]:
        return [a for a in self.use.accesses if self.traced.traces[a.trace] is trace]

    def values(self) -> dict[str, Cited | str | None]:
        """Slots for texts, each cited from the evidence; None where it was not seen."""
        found = {name: self._cite(field) for name, field in _CITED.items()}
        where = {"line": code(str(self.site.place)) if self.site else None, "pattern": code(self.pattern)}
        seen = {"requests": self.traced.seen.cite("requests_count")}
        return {**traced_values(self.scene, self.traced), **found, **where, **seen, "ttl": self._ttl}

    @property
    def _ttl(self) -> Cited | None:
        """As the keys of this pattern are written, on whichever line."""
        groups = self.traced.seen.body.cache
        at = next((n for n, g in enumerate(groups) if g.pattern == self.pattern and g.ttl_s is not None), None)
        return None if at is None else self.traced.seen.cite(f"cache.{at}.ttl_s")

    def _cite(self, field: str) -> Cited | None:
        return self.traced.seen.cite(f"cache.{self.at}.{field}") if getattr(self.group, field) is not None else None


def cached(scene: Scene, traced: Traced | None = None) -> list[Cached]:
    """Every use that the evidence holds a group of; none where the endpoint asked no cache."""
    traced = traced or observed(scene)
    if traced is None or not traced.seen.body.cache:
        return []
    groups = {_key(group): n for n, group in enumerate(traced.seen.body.cache)}
    found = [(use, groups.get(_key_of(scene, use))) for use in uses(accesses(traced.traces))]
    return [Cached(scene, traced, use, n, traced.seen.body.cache[n]) for use, n in found if n is not None]


def _key(group: CacheGroup) -> tuple[str, str, int]:
    return group.pattern, group.place.file if group.place else "", group.place.line if group.place else 0


def _key_of(scene: Scene, use: Use) -> tuple[str, str, int]:
    stack = use.accesses[0].span.stack
    at = place(scene.root, stack[0]) if stack else None
    return use.pattern, at.file if at else "", at.line if at else 0


class Advice(NamedTuple):
    """What the model of a cache says of times to live: a text, the evidence that it is cited from, and the table."""

    text: Prose
    evidence: str | None = None
    table: str = ""


def ttl_advice(scene: Scene, group: str) -> Advice:
    """For a pattern of keys, or a statement's shape; an empty text where the model had nothing to go by."""
    seen = next((one for one in scene.ttl if one.body.group == group), None)
    if seen is None or not seen.body.points:
        return Advice(Prose(text=""))
    at = seen.body.advised if seen.body.advised is not None else len(seen.body.points) - 1
    known = seen.body.points[at].stale_share is not None
    fields = {name: field for name, field in _OF_POINT.items() if known or name != "old"}
    values = {name: seen.cite(f"points.{at}.{field}") for name, field in fields.items()}
    if seen.body.rate_per_s is not None:
        values["rate"] = seen.cite("rate_per_s")
    said = (
        "By the model of a cache, with the workload's mix over {span}, a time to live of {life} is the least that "
        "meets the target: {would} of the reads would hit within that record."
        if seen.body.advised is not None
        else "By the model of a cache, with the workload's mix over {span}, no time to live meets the target: with "
        "{life}, {would} of the reads would hit within that record."
    )
    parts = (said, _mixed(seen.body), _assumed(seen.body), _aged(seen.body, known))
    text = write(" ".join(filter(None, parts)), {**values, "span": seen.cite("span_s")})
    return Advice(text, seen.evidence, _table(seen.body))


def _mixed(body: TtlCurve) -> str:
    if not body.synthetic:
        return ""
    return (
        "The mix is synthetic: it was replayed from requests of perfcrew's own, since no access log was given "
        "(`[workload] access_log`), and users ask for other things."
    )


def _assumed(body: TtlCurve) -> str:
    if body.rate_per_s is None or not body.assumed_rate:
        return ""
    return "It takes {rate}, which is an assumption: `peak_rps` was not given."


def _aged(body: TtlCurve, known: bool) -> str:
    if not known:
        return "How many of the hits would be older than a write is not known: no write was seen."
    end = "" if body.deletes else ", at most"
    return f"Of the hits, {{old}} would be older than a write{end}."


_OF_POINT = {"life": "ttl_s", "would": "hit_share", "old": "stale_share"}


def _table(body: TtlCurve) -> str:
    rows = [f"{p.ttl_s:>12.3g} s {p.hit_share:>10.1%} {_stale(p.stale_share)} {p.peak_bytes:>12}" for p in body.points]
    head = f"{'time to live':>14} {'hits':>10} {'stale':>10} {'bytes':>12}"
    return "\n\nAs the model has it:\n\n```text\n" + "\n".join([head, *rows]) + "\n```"


def _stale(share: float | None) -> str:
    return f"{'not known':>10}" if share is None else f"{share:>10.1%}"


def where(one: Cached) -> str:
    """The function or file that a title names."""
    site = one.site
    return code(site.place.function or site.place.file) if site else code(one.pattern)


def hypothesis(
    rule: str,
    what: str,
    change: str,
    because: str,
    recipe: str,
    rated: Scores,
    *,
    improvement: float | None = None,
    metric: str = "latency",
    trade_offs: str,
    rollback: str = "Revert the commit.",
    alternatives: Sequence[str] = (),
    configuration: bool = False,
) -> Hypothesis:
    """A change, its gain a fraction between zero and one."""
    return Hypothesis(
        id=f"{rule}-{what}",
        change=change,
        metric=metric,
        improvement=None if improvement is None else round(max(0.0, min(1.0, improvement)), 3),
        because=because,
        kind="configuration" if configuration else "code",
        recipe=recipe,
        scores=rated,
        alternatives=tuple(alternatives),
        trade_offs=trade_offs,
        rollback=rollback,
    )
