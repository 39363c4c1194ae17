"""CA202: a cache that is asked and seldom has the answer.

What it costs: the round trip and the work, both, at every miss; and memory for answers that nobody takes.
Seen as: warm requests that read keys of one pattern from one line at least `reads` times, with a hit ratio below
`hit_ratio`. The reason is told: the time to live was over, each request asks for another key, nobody keeps an answer
for some keys, keys are deleted before they are read again, or they were gone before their time.
Not this: the first request (a cache fills itself), flags and locks that are looked up and mostly absent (nobody writes
keys of that pattern), marks and counts (what is written is no larger than one), a key for each request that changes
something (idempotency keys), a queue, reads that hit often enough.
Instead: a longer time to live, with invalidation where the data are written; a key without what does not change the
answer; an entry for "there is none"; more memory, or smaller values.
Confidence: 0.9 where all misses have one reason, 0.75 else.
Limits: the traced requests are the same ones again, so the ratio is the best that this cache can give: users who ask
for different things see less. What is evicted in production for want of memory is kept here.
"""

from __future__ import annotations

from perfcrew.core.cache_use import Reason
from perfcrew.core.evidence import CacheGroup
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import join
from perfcrew.core.scene import ApplicationScene
from perfcrew.rules.caching import Cached, cached, hypothesis, ttl_advice, where
from perfcrew.rules.costs import fraction, latency_ms, latency_share, level, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA202"
_COUNTS: dict[Reason, str] = {
    "expired": "expired_count",
    "new key": "new_keys_count",
    "not filled": "not_filled_count",
    "removed": "removed_count",
    "lost": "lost_count",
}
_SAID: dict[Reason, str] = {
    "expired": "Of the misses, {why} came after the key's time to live was over; it is written with {ttl}.",
    "new key": "Of the misses, {why} asked for a key that no request had asked for before: the keys are finer than "
    "what is asked, as {keys} different ones show.",
    "not filled": "Of the misses, {why} asked for a key that had been missed before and that nobody had filled.",
    "removed": "Of the misses, {why} asked for a key that had been deleted since it was written.",
    "lost": "Of the misses, {why} asked for a key that was gone before its time: the server dropped it, or another "
    "client deleted it.",
}
_CHANGE: dict[Reason, str] = {
    "expired": "a time to live that outlasts the time between two requests, with invalidation at the writes",
    "new key": "a key made of nothing but what the answer depends on",
    "not filled": "keeping an entry for answers that are empty as well",
    "removed": "deleting a key where its own data are written, and nowhere else",
    "lost": "memory for what is kept, or smaller and fewer values",
}
_RECIPE: dict[Reason, str] = {
    "expired": "await redis.set(key, value, ex=LONGER_S)        # and, where the rows are written:\n"
    "await redis.delete(key)",
    "new key": 'key = f"v1:books:{genre}:{page}"   # no clock, no request id, no parameter that changes nothing',
    "not filled": 'await redis.set(key, "" if found is None else dump(found), ex=60)   # absence is an answer too',
    "removed": 'await redis.delete(f"v1:book:{book.id}")   # of the row that was written, not of the whole pattern',
    "lost": "# maxmemory and maxmemory-policy (allkeys-lru) of the server; ex=… on all that may go first",
}


def recognise_application(app: ApplicationScene, limits: Limits) -> list[Finding]:
    """One finding a pattern and line that reads it."""
    found = [one for scene in app.scenes for one in cached(scene) if one.site is not None]
    written = {one.pattern for one in found if one.group.writes_count}
    poor = [one for one in found if one.pattern in written and _poor(one.group, limits)]
    return [_finding(one, limits) for one in poor if not one.is_flag and not _is_once(one)]


def _is_once(one: Cached) -> bool:
    """Whether each of its keys is for one request that changes something, as an idempotency key is."""
    changes = one.scene.endpoint.method not in ("GET", "HEAD")
    return changes and not one.group.hits_count and reason(one.group) == "new key"


def _poor(group: CacheGroup, limits: Limits) -> bool:
    return group.reads_count >= limits.reads and (group.hit_share or 0.0) < limits.hit_ratio


def reason(group: CacheGroup) -> Reason:
    """Why most of its reads missed."""
    return max(_COUNTS, key=lambda r: getattr(group, _COUNTS[r]))


def _finding(one: Cached, limits: Limits) -> Finding:
    why, group, body = reason(one.group), one.group, one.traced.seen.body
    spent = (group.work_ms or 0.0) + (group.total_ms or 0.0)
    part = fraction(spent, body.counts.request_ms) * (1 - (group.hit_share or 0.0))
    sure = 0.9 if getattr(group, _COUNTS[why]) == group.misses_count else 0.75
    assert one.site is not None
    case = Case(
        f"A cache that seldom has the answer, in {where(one)}",
        level(part, part * latency_ms(one.scene), limits),
        one.site,
        latency_share(part, 1.0, "time of a miss and of the work behind it over the traced request, by the misses"),
        sure,
        one.pattern,
    )
    values = {**one.values(), "why": one.traced.seen.cite(f"cache.{one.at}.{_COUNTS[why]}")}
    prose = sentences(
        values,
        "{line} reads keys like {pattern}: {reads} times in the warm ones of {requests} requests to {endpoint}.",
        "It found {hits} of them, a hit ratio of {ratio}.",
        _SAID[why],
        "A miss costs {work} of work.",
    )
    advice = ttl_advice(one.scene, one.pattern)
    evidence = [one.traced.seen.evidence, advice.evidence]
    changes = [_change(one, why, part, sure, advice.table if why == "expired" else "")]
    return finding(ID, one.scene.endpoint.key, case, join([prose, advice.text]), evidence, changes)


def _change(one: Cached, why: Reason, part: float, sure: float, table: str) -> Hypothesis:
    return hypothesis(
        ID,
        why.replace(" ", "-"),
        f"{_CHANGE[why]}, for keys like `{one.pattern}`",
        "the misses have this one reason in the traced requests: without it they hit",
        python(_RECIPE[why]) + table,
        scores(part, sure, effort=4, risk=3, reversibility=5),
        improvement=part,
        trade_offs="A longer life means older answers: name the writes that must end it, and its size.",
        alternatives=("no cache there, where the answer can't be kept for long enough to be asked for again",),
        configuration=why == "lost",
    )
