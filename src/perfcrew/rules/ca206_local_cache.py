"""CA206: a cache within the process that has no bound, or that is made anew for each request.

What it costs: without a bound, memory for every argument ever seen, in every worker; made anew, all the work of a cache
and none of its hits.
Seen as: a function that the traced requests executed and that is kept by `functools.cache` or `lru_cache(maxsize=None)`
with arguments of open number; or a cache (`TTLCache`, `LRUCache`, `lru_cache(…)`) that such a function makes and keeps
in a local name.
Not this: a bound (`lru_cache` has one unless told otherwise), no arguments, arguments of few values (bool, an Enum, a
Literal), `cached_property`, a cache made once at the module or in `__init__`, growth that was measured (RT304).
Instead: `lru_cache(maxsize=1024)`, or `cachetools.TTLCache` with a size and a time, made once.
Confidence: 0.85 without a bound, 0.9 made anew; 0.95 on methods, where the instance is kept as well.
Limits: which arguments there will be is read from their annotations; dictionaries that are used as caches are told by
what was measured (RT304) alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Frame
from perfcrew.core.web import Place
from perfcrew.rules import source
from perfcrew.rules.caching import hypothesis
from perfcrew.rules.costs import fraction, observed, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, own, place
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "CA206"
_CACHES = frozenset(["TTLCache", "LRUCache", "LFUCache", "TLRUCache", "RRCache", "FIFOCache"])
_FEW = frozenset(["bool", "Literal", "None"])


class Local(NamedTuple):
    """A cache in the source: where, in which function, and what is wrong with it."""

    place: Place
    anew: bool
    method: bool


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a cache, in the functions that the requests were seen to execute."""
    traced = observed(scene)
    if traced is None:
        return []
    found = {str(one.place): one for frame in _executed(scene, traced) for one in _caches(scene, frame)}
    return [_finding(scene, traced, one) for one in found.values()]


def _executed(scene: Scene, traced: Traced) -> list[Frame]:
    """One frame for each function of the application that was seen on a stack."""
    found: dict[tuple[str, str], Frame] = {}
    for trace in traced.traces:
        for span in trace.spans:
            for frame in own(scene.root, span.stack):
                found.setdefault((frame.file, frame.function), frame)
        for ran in trace.functions:
            frame = Frame(file=ran.file, line=ran.first_line, function=ran.name)
            found.setdefault((ran.file, ran.name), frame)
    return list(found.values())


def _caches(scene: Scene, frame: Frame) -> Iterator[Local]:
    text = source.read(frame.file)
    function = text.function_at(frame.line) if text else None
    if function is None:
        return
    if any(_unbounded(d) for d in function.decorator_list) and _open(function):
        at = place(scene.root, Frame(file=frame.file, line=function.lineno, function=frame.function))
        yield Local(at, False, _parameters(function)[:1] in (["self"], ["cls"]))
    if function.name not in ("__init__", "lifespan", "create_app"):
        for line in _made(function):
            yield Local(place(scene.root, Frame(file=frame.file, line=line, function=frame.function)), True, False)


def _unbounded(decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Call):
        first = decorator.args[0] if decorator.args else None
        size = next((k.value for k in decorator.keywords if k.arg == "maxsize"), first)
        return _name(decorator.func) == "lru_cache" and isinstance(size, ast.Constant) and size.value is None
    return _name(decorator) == "cache" and _module(decorator) in ("functools", "")


def _module(node: ast.expr) -> str:
    return node.value.id if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""


def _open(function: source.Function) -> bool:
    """Whether it has an argument that may take any number of values; an instance is one."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return any(not _few(a.annotation) for a in given if a.arg != "cls")


def _few(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    names = {_name(n) for n in ast.walk(annotation) if isinstance(n, ast.Name | ast.Attribute)}
    return bool(names & _FEW) or any("Enum" in n or n.endswith(("Kind", "Mode", "Level")) for n in names)


def _parameters(function: source.Function) -> list[str]:
    return [a.arg for a in (*function.args.posonlyargs, *function.args.args)]


def _made(function: source.Function) -> Iterator[int]:
    """Lines on which a cache is made and kept in a local name."""
    outer = {n for node in source.inside(function) if isinstance(node, ast.Global) for n in node.names}
    for node in source.inside(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            called = node.value.func
            inner = called.func if isinstance(called, ast.Call) else called
            kept = node.targets[0].id not in outer and not _handed_on(function, node.targets[0].id)
            if kept and (_name(called) in _CACHES or _name(inner) == "lru_cache"):
                yield node.lineno


def _handed_on(function: source.Function, name: str) -> bool:
    """Whether the cache outlives the call: it is returned, or kept in an attribute or a container."""
    for node in source.inside(function):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == name:
            return True
        targets = node.targets if isinstance(node, ast.Assign) else []
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Name) and value.id == name and any(not isinstance(t, ast.Name) for t in targets):
            return True
    return False


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def _finding(scene: Scene, traced: Traced, one: Local) -> Finding:
    what = "made anew for each request" if one.anew else "without a bound"
    case = Case(
        f"A cache in the process {what}, in {code(one.place.function)}",
        "medium" if not one.anew or traced.seen.body.counts.request_ms else "low",
        Site(one.place, None),
        Share(fraction=_executing(scene, traced, one), of="memory", basis="the traced requests that executed it"),
        0.9 if one.anew else 0.95 if one.method else 0.85,
        "anew" if one.anew else "unbounded",
    )
    values = {
        **traced_values(scene, traced),
        "line": code(str(one.place)),
        "requests": traced.seen.cite("requests_count"),
    }
    said = (
        "{line} makes a cache and keeps it in a local name, so that it is empty at every call."
        if one.anew
        else "{line} keeps every answer for ever, one for each combination of arguments"
        + (" and with the instance that it belongs to." if one.method else ".")
    )
    prose = sentences(values, said, "The {requests} traced requests to {endpoint} executed it.")
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence], [_change(one)])


def _executing(scene: Scene, traced: Traced, one: Local) -> float:
    """The part of the requests whose stacks or functions show it."""
    at = (str(scene.root / one.place.file), one.place.function)
    ran = [
        {(f.file, f.function) for span in trace.spans for f in span.stack} | {(f.file, f.name) for f in trace.functions}
        for trace in traced.traces
    ]
    return round(fraction(sum(at in functions for functions in ran), len(ran)), 4)


def _change(one: Local) -> Hypothesis:
    bound = "@lru_cache(maxsize=1024)\ndef price(book_id: int) -> Decimal: ..."
    once = "PRICES = TTLCache(maxsize=1024, ttl=60)      # made once, at the module"
    return hypothesis(
        ID,
        "once" if one.anew else "bounded",
        f"{'one cache for all requests' if one.anew else 'a bound on the cache'} at {code(str(one.place))}",
        "the cache then outlives the request, and may hit"
        if one.anew
        else "memory is then bounded by the cache's size",
        python(once if one.anew else bound),
        scores(0.3, 0.9, effort=5, risk=4, reversibility=5),
        metric="latency" if one.anew else "rss.slope",
        trade_offs="What is dropped is made again. Answers that may change need a time to live as well.",
        alternatives=("a cache that all workers share, where they are many",),
    )
