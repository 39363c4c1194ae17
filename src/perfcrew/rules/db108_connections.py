"""DB108: connections opened for each request, or waited for.

What it costs: opening one to a server takes several round trips and a process there; waiting for one is time in which
nothing is done, and it is paid by all requests at once.
Seen as: a warm request opens at least `connects` connections to a database server, which takes `min_ms` and
`min_share` of it; or a request waits `min_wait_ms` and `min_share` for its pool, by itself (it wants several at
once) or among copies of it that are sent at the same moment.
Not this: the first request of a process, which fills the pool; a SQLite file; as many requests as the pool has
connections for, which wait for the processor; a pool that gives its connections at
once.
Instead: one pool a process, kept for its life (no NullPool, no engine or connection made in the handler;
`CONN_MAX_AGE` or `"pool": True` in Django); connections given back before other work; as many as requests that need one
at the same moment, within what the server allows.
Confidence: 0.9: connections and waiting are counted exactly; 0.8 where only the copies sent at once waited.
The size of the pool is advised by Little's law (connections in use = requests a second × the time that each holds one),
with twice the root beside for bursts, within what the server that was measured on gives, divided by the processes that
the deployment asks for; what of these is not known is said.
Limits: how many requests arrive at once in production is not known; those that hold several connections are judged by
themselves. Where nobody names a peak (`[workload] peak_rps`), one is assumed. The server that was measured on may allow
more or less than production's, and a platform may start more processes. With a proxy (PgBouncer) opening is cheaper.
More connections than the server has cores for make each slower.
"""

from __future__ import annotations

from collections.abc import Iterable

from perfcrew.core import connections
from perfcrew.core.evidence import Connections
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, cite
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Span, Trace
from perfcrew.rules.costs import (
    busy_ms,
    fraction,
    latency_ms,
    latency_share,
    level,
    middle,
    observed,
    request_ms,
    scores,
    share_cited,
    typical,
)
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, site
from perfcrew.rules.pool_size import arithmetic, need_told, pool_size
from perfcrew.rules.recipes import flavour, pool
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB108"
CHURN, WAIT = "opened for each request", "waited for"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """At most one of each kind."""
    traced = observed(scene)
    used = traced.seen.body.connections if traced else None
    if traced is None or used is None or not traced.warm:
        return []
    found = [_churn(scene, traced, used, limits), _wait(scene, traced, used, limits)]
    return [f for f in found if f]


def _opened(trace: Trace) -> list[Span]:
    return [s for s in connections.named(trace, "CONNECT") if s.attributes.get("db.system.name") != "sqlite"]


def _churn(scene: Scene, traced: Traced, used: Connections, limits: Limits) -> Finding | None:
    part = middle([fraction(busy_ms(_opened(t)), request_ms(t)) for t in typical(traced)])
    where = _site(scene, (s for t in typical(traced) for s in _opened(t)))
    if used.connects_count < limits.connects or used.connect_ms < limits.min_ms or part < limits.min_share:
        return None
    if where is None:
        return None
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(where.place)),
        "opened": traced.seen.cite("connections.connects_count"),
        "took": traced.seen.cite("connections.connect_ms"),
        "part": share_cited(traced.seen, "connections.connect_ms", "counts.request_ms"),
    }
    prose = sentences(
        values,
        "A warm request to {endpoint} opens {opened} connections to its database at {line}.",
        "That takes {took} of the {request} as traced, which is {part}.",
        "It sends {statements} statements over them.",
    )
    prose, need = need_told(scene, prose)
    share = latency_share(part, 1.0, "time of opening connections over the traced request")
    at = level(part, part * latency_ms(scene), limits)
    case = Case(f"Connections are opened for each request in {_in(where)}", at, where, share, 0.9, CHURN)
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence, need], [_keep(scene, where, part)])


def _wait(scene: Scene, traced: Traced, used: Connections, limits: Limits) -> Finding | None:
    crowd = traced.seen.body.crowd
    alone = fraction(used.wait_ms, traced.seen.body.counts.request_ms)
    beside = fraction(crowd.wait_ms, crowd.request_ms) if crowd else 0.0
    by_itself = used.wait_ms >= limits.min_wait_ms and alone >= limits.min_share and _runs_out(used, 1)
    among = (
        crowd is not None
        and crowd.wait_ms >= limits.min_wait_ms
        and beside >= limits.min_share
        and _runs_out(used, crowd.copies_count)
    )
    where = _site(scene, (s for t in typical(traced) for s in connections.named(t, "CHECKOUT")))
    if where is None or not (by_itself or among):
        return None
    part, cost = (alone, used.wait_ms) if by_itself else (beside, crowd.wait_ms if crowd else 0.0)
    basis = "time of waiting for the pool over the request, " + ("as traced" if by_itself else "among copies of it")
    case = Case(
        f"Requests wait for a connection in {_in(where)}",
        level(part, cost, limits),
        where,
        latency_share(part, 1.0, basis),
        0.9 if by_itself else 0.8,
        WAIT,
    )
    values = _waiting(scene, traced, used, where)
    prose = sentences(
        values,
        "{line} takes a connection of the pool.",
        "A request to {endpoint} by itself waits {alone} for it, of the {request} as traced."
        if by_itself
        else "By itself a request to {endpoint} takes {request} as traced.",
        "Of {copies} copies sent at the same moment the median one waited {waited} of its {beside}, which is {part}, "
        "and the last one {longest}.",
        "One request holds {several} connections at the same time."
        if used.at_once_count > 1
        else "One request holds one connection at a time.",
        "The pool keeps {size} connections and opens {more} beyond.",
    )
    prose, need = need_told(scene, prose)
    evidence = [traced.seen.evidence, need]
    return finding(ID, scene.endpoint.key, case, prose, evidence, [_size(scene, used, where, part)])


def _runs_out(used: Connections, requests: int) -> bool:
    """Whether so many requests want more than the pool gives. Where they don't, they waited for the processor."""
    if used.pool_size_count is None:
        return False
    gives = used.pool_size_count + (used.pool_overflow_count or 0)
    # One by itself never holds more than all: it is seen to hold them all.
    return used.at_once_count >= max(gives, 2) if requests == 1 else requests > gives


def _waiting(scene: Scene, traced: Traced, used: Connections, where: Site) -> dict[str, Cited | str | None]:
    seen, crowd = traced.seen, traced.seen.body.crowd
    known: dict[str, Cited | str | None] = dict.fromkeys(("copies", "waited", "beside", "part", "longest"))
    if crowd and crowd.request_ms > 0:
        refs = seen.ref("crowd.wait_ms"), seen.ref("crowd.request_ms")
        known = {
            "copies": seen.cite("crowd.copies_count"),
            "waited": seen.cite("crowd.wait_ms"),
            "beside": seen.cite("crowd.request_ms"),
            "part": cite(crowd.wait_ms / crowd.request_ms, "fraction", *refs, derivation="share"),
            "longest": seen.cite("crowd.wait_max_ms"),
        }
    return {
        **traced_values(scene, traced),
        **known,
        "line": code(str(where.place)),
        "alone": seen.cite("connections.wait_ms"),
        "several": seen.cite("connections.at_once_count"),
        "size": seen.cite("connections.pool_size_count") if used.pool_size_count is not None else None,
        "more": seen.cite("connections.pool_overflow_count") if used.pool_overflow_count is not None else None,
    }


def _site(scene: Scene, spans: Iterable[Span]) -> Site | None:
    return next((found for s in spans if (found := site(scene.root, s.stack, scene.endpoint.handler))), None)


def _in(where: Site) -> str:
    return code(where.place.function or where.place.file)


def _keep(scene: Scene, where: Site, part: float) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-keep",
        change="connections that are kept between requests",
        metric="latency",
        improvement=round(part, 3),
        because="a kept connection is there at once; the opening goes away for all requests but the first",
        kind="configuration",
        recipe=_recipe(scene, where),
        scores=scores(part, 0.9, effort=5, risk=4, reversibility=5),
        alternatives=("a proxy that pools (PgBouncer), where many processes share one server",),
        trade_offs="Each process keeps its connections open: processes times pool must stay below the server's bound.",
        rollback="Set it back; no data changes.",
    )


def _recipe(scene: Scene, where: Site) -> str:
    return arithmetic(scene) + "\n\n" + pool(flavour(scene.root, where.place), pool_size(scene))


def _size(scene: Scene, used: Connections, where: Site, part: float) -> Hypothesis:
    several = used.at_once_count > 1
    return Hypothesis(
        id=f"{ID}-pool",
        change="one connection for the whole request" if several else "a pool for as many requests as come at once",
        metric="latency",
        improvement=None,
        because="requests that hold several connections can wait for each other without end"
        if several
        else "what is waited for is the pool, and not the database; how much of it more connections spare depends on "
        "the server's cores",
        kind="code" if several else "configuration",
        recipe="Give the connection back before other work, and take one for the whole request, not several.\n\n"
        + _recipe(scene, where),
        scores=scores(part, 0.8, effort=4, risk=3, reversibility=5),
        alternatives=("fewer statements a request: the connection is held for a shorter time",),
        trade_offs="More connections than the server has cores for share them, and each takes memory there.",
        rollback="Set it back; no data changes.",
    )
