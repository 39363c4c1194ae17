"""CA209: a cache that costs more than what it saves.

What it costs: a round trip and parsing at every read, for work that would have taken no longer.
Seen as: reads of one pattern from one line whose hits take as long as what they save: the median round trip against
the median time from a miss to the write of the same key, times the hit ratio. At least `reads` reads, and `min_ms` a
request.
Not this: a cache that hits too seldom (CA202: mend that first), one whose work was not seen, work that spares another
service (its calls are counted, whatever they take), round trips that chatter makes long (CA204).
Instead: leave the cache out there, or keep the answer in the process.
Confidence: 0.8: on a server of the same host a round trip is as cheap as it gets.
Limits: times are stretched by the probe, those of many small statements most. Load that a cache takes off the database
is worth something that this does not see.
"""

from __future__ import annotations

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.scene import Scene, Traced
from perfcrew.rules.caching import Cached, cached, hypothesis, where
from perfcrew.rules.costs import fraction, latency_ms, latency_share, level, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA209"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a pattern and line that reads it."""
    return [_finding(one, limits) for one in cached(scene) if one.site is not None and _idle(one, limits)]


def _idle(one: Cached, limits: Limits) -> bool:
    group = one.group
    if group.hit_ms is None or group.work_ms is None or group.hit_share is None or group.reads_count < limits.reads:
        return False
    saves = group.work_ms * group.hit_share
    enough = group.total_ms >= limits.min_ms and group.hit_share >= limits.hit_ratio
    return enough and group.hit_ms >= saves * limits.worth and not _spares_calls(one.traced, one)


def _spares_calls(traced: Traced, one: Cached) -> bool:
    """Whether a request that missed called another service or a model."""
    missing = {a.trace for a in one.use.accesses if a.misses}
    return any(traced.traces[number].of("http", "model") for number in missing)


def _finding(one: Cached, limits: Limits) -> Finding:
    part = fraction(one.group.total_ms, one.traced.seen.body.counts.request_ms)
    assert one.site is not None
    case = Case(
        f"A cache that costs more than it saves, in {where(one)}",
        level(part, part * latency_ms(one.scene), limits),
        one.site,
        latency_share(part, 1.0, "time of its round trips over the traced request"),
        0.8,
        one.pattern,
    )
    prose = sentences(
        one.values(),
        "{line} reads keys like {pattern}, with a hit ratio of {ratio}.",
        "A hit takes {hit_ms}, and what it saves takes {work}.",
        "A request to {endpoint} spends {own} of its {request} there.",
    )
    return finding(ID, one.scene.endpoint.key, case, prose, [one.traced.seen.evidence], [_change(one, part)])


def _change(one: Cached, part: float) -> Hypothesis:
    return hypothesis(
        ID,
        "without",
        f"no cache for keys like `{one.pattern}`",
        "its round trips go away, and the work that comes instead is shorter",
        python("return await load(key)   # cheap: no cache"),
        scores(part, 0.8, effort=5, risk=4, reversibility=5),
        improvement=part * 0.5,
        trade_offs="The database is asked more often: look at its load, not only at this request's time.",
        alternatives=("keep it in the process, in a bounded dictionary with a short life",),
    )
