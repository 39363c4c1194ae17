"""CA205: several requests make the same answer at once, since none of them finds it in the cache.

What it costs: when a popular key ends, all who ask for it do its work together, just when the load is highest.
Seen as: the same request sent several times at once on an empty cache, and at least `misses` of them missed one key and
did its work, which takes `min_ms` or more, before anybody had filled it. Within one request, likewise for tasks.
Not this: one that makes the answer while the others wait (a lock, `SET NX`, a shared task), work that is cheaper than
waiting, requests that ask for different keys, the cold start of one request alone, a count or a mark (the window of a
rate limit: what is written is no answer, and the whole request lies between).
Instead: let one caller make it and the others wait or take the old one; renew before the end, at a random moment.
Confidence: 0.9: it was seen to happen.
Limits: only endpoints that filled the cache in their first request are asked at once; how many ask in production is
not known. Several processes behind a balancer do it as well, and a lock within one process does not help there.
"""

from __future__ import annotations

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.scene import Scene
from perfcrew.rules.caching import Cached, cached, hypothesis, where
from perfcrew.rules.costs import fraction, latency_ms, latency_share, level, observed, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA205"
_RECIPE = """
async def kept(key, make, ttl=60):
    while (value := await redis.get(key)) is None:
        if await redis.set(f"{key}:lock", "1", nx=True, ex=10):     # one makes it
            try:
                value = dump(await make())
                await redis.set(key, value, ex=ttl + random.randrange(ttl // 10 + 1))
                return value
            finally:
                await redis.delete(f"{key}:lock")
        await asyncio.sleep(0.02)                                   # the others wait for it
    return value
"""


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a pattern and line that reads it; where requests were sent at once, these are looked at."""
    traced = scene.at_once or observed(scene)
    crowded = [o for o in cached(scene, traced) if o.group.stampede_count >= limits.misses and not o.is_flag]
    return [_finding(one, limits) for one in crowded if (one.group.work_ms or 0.0) >= limits.min_ms and one.site]


def _finding(one: Cached, limits: Limits) -> Finding:
    part = fraction(one.group.work_ms or 0.0, one.traced.seen.body.counts.request_ms)
    assert one.site is not None
    case = Case(
        f"Several requests make one answer at once, in {where(one)}",
        level(part, max(part * latency_ms(one.scene), one.group.work_ms or 0.0), limits),
        one.site,
        latency_share(part, 1.0, "the work behind a miss over the traced request"),
        0.9,
        one.pattern,
    )
    together = one.traced.seen.cite("at_once") if one.traced.seen.body.at_once > 1 else None
    prose = sentences(
        {**one.values(), "together": together},
        "{line} reads keys like {pattern}.",
        "With {together} requests to {endpoint} at once on an empty cache,",
        "{crowd} reads of one key missed before anybody had filled it, and each did {work} of work.",
    )
    return finding(ID, one.scene.endpoint.key, case, prose, [one.traced.seen.evidence], [_change(one, part)])


def _change(one: Cached, part: float) -> Hypothesis:
    return hypothesis(
        ID,
        "one-makes-it",
        f"one caller makes what is kept under keys like `{one.pattern}`, the others wait for it",
        "the work is done once for all who ask at the same time",
        python(_RECIPE),
        scores(part, 0.9, effort=3, risk=3, reversibility=5),
        improvement=None,
        trade_offs="Who waits depends on who makes it: the lock needs a time to live, or one that dies blocks all.",
        alternatives=(
            "renew before the end: whoever reads a key that will soon end makes it anew, with a small probability",
            "serve the old answer while one caller makes the new one",
        ),
    )
