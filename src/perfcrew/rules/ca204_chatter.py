"""CA204: one round trip a key, where one for all would do.

What it costs: a round trip each; within one host some tenths of a millisecond, across a network a millisecond or more.
Seen as: at least `trips` commands for one key alone (GET, HGET, SET, EXISTS …) on keys of one pattern from one line
within one request, one after the other, in at least `traces_share` of the requests.
Not this: MGET, a pipeline, a script; the same key again (who waits for it, or counts); commands of different lines;
fewer; those that run at the same time; commands that wait for something (BLPOP), or whose answer decides the next key
in a list or a stream.
Instead: `MGET` for values, `HMGET` for fields of one hash, a pipeline for anything else; with Django's cache
`get_many`, `set_many` and `delete_many`.
Confidence: 0.9; 0.6 where the keys could come out of the answers before, as in a `while` loop.
Limits: the server is on the same host here, so the time that is saved in production is longer than the share says.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from perfcrew.core.cache_use import Access, alone
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.scene import Scene
from perfcrew.core.trace import Trace
from perfcrew.rules import calls, source
from perfcrew.rules.caching import Cached, cached, hypothesis, where
from perfcrew.rules.costs import (
    busy_ms,
    fraction,
    latency_ms,
    latency_share,
    level,
    middle,
    request_ms,
    scores,
    typical,
)
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA204"
SINGLE = frozenset(
    (
        *("GET", "HGET", "HGETALL", "EXISTS", "TTL", "SISMEMBER", "SMEMBERS", "GETEX", "STRLEN", "SCARD", "ZSCORE"),
        *("SET", "SETEX", "PSETEX", "SETNX", "HSET", "DEL", "UNLINK", "EXPIRE", "INCR", "INCRBY", "SADD", "ZADD"),
    )
)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_RECIPES = {
    "GET": "values = await redis.mget(keys)          # one round trip; None for those that are not there\n"
    "found = dict(zip(keys, values))",
    "HGET": "values = await redis.hmget(name, fields)   # of one hash; of several, a pipeline",
}
_PIPELINE = """
async with redis.pipeline(transaction=False) as pipe:
    for key, value in items:
        pipe.set(key, value, ex=60)
    await pipe.execute()                     # one round trip for all of them
"""


class Chatter(NamedTuple):
    """Its round trips in one request, and the part of it that they take."""

    one: Cached
    spans: int
    share: float
    command: str


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a pattern and line."""
    found = []
    for one in cached(scene):
        traces = typical(one.traced)
        groups = [g for trace in traces if (g := _chatter(one, trace, limits))]
        if one.site is not None and len(groups) >= max(1.0, limits.traces_share * len(traces)):
            found.append(_finding(one, groups, limits))
    return found


def _chatter(one: Cached, trace: Trace, limits: Limits) -> Chatter | None:
    each = [a for a in one.of(trace) if alone(a.span) and a.operation.command in SINGLE]
    if len({a.operation.key for a in each}) < limits.trips or not calls.sequential([a.span] for a in each):
        return None
    return Chatter(one, len(each), fraction(busy_ms(a.span for a in each), request_ms(trace)), _usual(each))


def _follows(one: Cached) -> bool:
    """Whether its line goes on by a condition, as who follows a list from key to key does."""
    text = source.read(one.scene.root / one.site.place.file) if one.site else None
    if text is None or one.site is None:
        return False
    line = one.site.place.line
    loops = [n for n in ast.walk(text.tree) if isinstance(n, _LOOPS) and source.covers(n, line)]
    return bool(loops) and isinstance(max(loops, key=lambda n: (n.lineno, n.col_offset)), ast.While)


def _usual(each: list[Access]) -> str:
    names = [a.operation.command for a in each]
    return max(set(names), key=names.count)


def _finding(one: Cached, groups: list[Chatter], limits: Limits) -> Finding:
    part = middle([g.share for g in groups])
    command = groups[0].command
    assert one.site is not None
    case = Case(
        f"One round trip to the cache for each key, in {where(one)}",
        level(part, part * latency_ms(one.scene), limits),
        one.site,
        latency_share(part, 1.0, "time of these round trips over the traced request"),
        0.6 if "{" not in one.pattern or _follows(one) else 0.9,
        one.pattern,
    )
    prose = sentences(
        {**one.values(), "command": f"`{command}`"},
        "{line} sends {command} for keys like {pattern}, one key at a time: {trips} round trips in a request to "
        "{endpoint}, one after the other.",
        "They take {own} of its {request} as traced, on a server of the same host.",
    )
    evidence = [one.traced.seen.evidence]
    return finding(ID, one.scene.endpoint.key, case, prose, evidence, [_change(one, part, groups[0])])


def _change(one: Cached, part: float, group: Chatter) -> Hypothesis:
    recipe = _RECIPES.get(group.command)
    return hypothesis(
        ID,
        "together",
        f"one round trip for all keys like `{one.pattern}`",
        "all round trips but one go away; the share is their traced time",
        python(recipe or _PIPELINE),
        scores(part, 0.9, effort=5, risk=4, reversibility=5),
        improvement=part * (1 - 1 / group.spans),
        trade_offs="All values are in memory at once: bound the number of keys; on a cluster they must share a slot.",
        alternatives=("a pipeline without a transaction, for commands of several kinds",),
    )
