"""CA203: keys without a time to live, one more for each thing that is asked for.

What it costs: memory that only grows; when the server is full it refuses writes, or drops what is still needed.
Seen as: keys of one pattern with a changing part (an id, a hash), written without a time to live from one line, at
least `keys` different ones in the traced requests, none of them given a time later or deleted; and keys of that pattern
are a cache: a request was seen to miss one, and to write it then.
Not this: a fixed set of keys, keys that get a time by a later EXPIRE, keys that are deleted when their row is written,
counters, lists, sets, and what is written without a miss before (they hold data, as a cart does, and are no cache), a
`SET … KEEPTTL`, a hash with a bounded number of fields.
Instead: a time to live on every key of a cache, at the write itself; a `maxmemory` with an LRU policy as the net.
Confidence: 0.9 where the keys were found on the server without a time, 0.8 by the writes alone.
Limits: whether production's server has a limit and a policy that drops them is not known. Keys that another process
deletes are counted.
"""

from __future__ import annotations

from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.prose import Cited
from perfcrew.core.scene import ApplicationScene
from perfcrew.rules.caching import Cached, cached, hypothesis, where
from perfcrew.rules.costs import fraction, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA203"


def recognise_application(app: ApplicationScene, limits: Limits) -> list[Finding]:
    """One finding a pattern and line that writes it."""
    every = [one for scene in app.scenes for one in cached(scene)]
    filled = {one.pattern for one in every if one.group.work_ms is not None}
    return [
        _finding(app, one, limits)
        for one in every
        if "{" in one.pattern and one.pattern in filled and one.site is not None
        and one.group.without_ttl_count >= limits.keys
    ]  # fmt: skip


def _finding(app: ApplicationScene, one: Cached, limits: Limits) -> Finding:
    held = _on_server(app, one.pattern)
    bytes_ = max((group.total_bytes or 0 for seen in app.caches for group in seen.body.groups
                  if group.pattern == one.pattern), default=0)  # fmt: skip
    assert one.site is not None
    case = Case(
        f"Keys without a time to live, written in {where(one)}",
        "high" if bytes_ >= limits.high_bytes else "medium",
        one.site,
        Share(fraction=_part(app, one, bytes_), of="memory", basis="these keys of all that were looked at or written"),
        0.9 if held else 0.8,
        one.pattern,
    )
    values: dict[str, Cited | str | None] = {**one.values(), **dict.fromkeys(("held", "bytes"))}
    evidence = [one.traced.seen.evidence]
    if held:
        evidence.append(held[0])
        values |= {"held": held[1], "bytes": held[2]}
    prose = sentences(
        values,
        "{line} writes keys like {pattern} without a time to live: {lasting} different ones in the {requests} requests "
        "to {endpoint}, and nothing ends them.",
        "On the target's own server {held} of them were found without one.",
        "Those looked at take {bytes}.",
    )
    return finding(ID, one.scene.endpoint.key, case, prose, evidence, [_change(one)])


def _part(app: ApplicationScene, one: Cached, bytes_: int) -> float:
    """Of the bytes on the server, where it was looked at; else of the keys that the endpoint wrote."""
    whole = max((sum(g.total_bytes or 0 for g in seen.body.groups) for seen in app.caches), default=0)
    if whole and bytes_:
        return round(fraction(bytes_, whole), 4)
    written = [group for group in one.traced.seen.body.cache if group.writes_count]
    return round(fraction(one.group.without_ttl_count, sum(group.keys_count for group in written)), 4)


def _on_server(app: ApplicationScene, pattern: str) -> tuple[str, Cited, Cited | None] | None:
    """The last look at the server that found keys of this pattern without a time."""
    for seen in reversed(app.caches):
        for n, group in enumerate(seen.body.groups):
            if group.pattern == pattern and group.without_ttl_count:
                size = seen.cite(f"groups.{n}.total_bytes") if group.total_bytes is not None else None
                return seen.evidence, seen.cite(f"groups.{n}.without_ttl_count"), size
    return None


def _change(one: Cached) -> Hypothesis:
    return hypothesis(
        ID,
        "ttl",
        f"a time to live on keys like `{one.pattern}`",
        "what is not asked for again then leaves by itself, so the number of keys is bounded by what is asked in that "
        "time",
        python("await redis.set(key, value, ex=3600)   # at the write itself: a later EXPIRE can be missed"),
        scores(0.5, 0.9, effort=5, risk=4, reversibility=5),
        metric="rss.peak",
        trade_offs="What is asked for after that time is made again.",
        alternatives=("`maxmemory` with `allkeys-lru` on a server that holds nothing but caches",),
    )
