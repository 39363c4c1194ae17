"""RT304: memory that grows with every request.

What it costs: the process grows until it is restarted or killed, and slows down before.
Seen as: a module's or class's container that gained at least `min_per_request` entries a request; or live objects of
a type that did, with a line of the application that allocates at least `min_bytes` a request and keeps them.
Not this: a cache with a bound (`lru_cache(maxsize=…)`, `deque(maxlen=…)`, an eviction beside the store), growth that
ends with the warm-up, pools, a resident size that grows though objects do not.
Instead: a bound and an expiry (`cachetools.TTLCache`), a weak reference, or a store outside of the process.
Confidence: 0.9 with container and line, 0.75 with objects and line, 0.7 with a container alone; 0.4 where entries
are deleted somewhere too.
Limits: a bounded cache that isn't full yet looks the same, where its bound is not in the source beside it. Growth in
C libraries shows in the resident size only, and is not reported.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from perfcrew.core.evidence import GrowingContainer, Memory
from perfcrew.core.findings import Finding, Hypothesis, Level, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.web import Place
from perfcrew.rules import modules
from perfcrew.rules.costs import fraction, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, is_application
from perfcrew.rules.places import text as text_of
from perfcrew.rules.recipes import python
from perfcrew.rules.source import Source, dotted
from perfcrew.rules.write import Case, code, finding, sentences

ID = "RT304"
_STORES = frozenset({"append", "add", "setdefault", "insert", "update", "appendleft", "extend", "put"})
_EVICTS = frozenset({"popitem", "popleft"})
_DELETES = frozenset({"pop", "clear", "discard", "remove"})
_OURS = re.compile(r"perfcrew|opentelemetry|tracemalloc")


class Growth(NamedTuple):
    """What grows: the container by its index in the evidence, or the type, and the line that keeps or allocates."""

    site: Site
    container: int | None
    objects: int | None
    allocation: int | None
    subject: str
    confidence: float


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """Containers by name; where none grows, the type that does with the line that allocates most."""
    memory = scene.memory
    if memory is None or memory.body.requests_count < limits.min_requests:
        return []
    grown = [g for g in (_container(scene, memory.body, i, limits) for i in _growing(memory.body, limits)) if g]
    if not grown and not _growing(memory.body, limits):
        grown = [g for g in (_objects(scene, memory.body, limits),) if g]
    return [_finding(scene, memory, growth, limits) for growth in grown]


def _growing(memory: Memory, limits: Limits) -> list[int]:
    """Containers that gained entries in step with the requests, the fastest first."""
    gained = [(c.after_count - c.before_count, i) for i, c in enumerate(memory.containers) if not _OURS.search(c.owner)]
    return [
        i for more, i in sorted(gained, key=lambda g: -g[0]) if more >= limits.min_per_request * memory.requests_count
    ]


def _container(scene: Scene, memory: Memory, index: int, limits: Limits) -> Growth | None:
    container = memory.containers[index]
    allocation = _allocation(scene, memory, limits)
    found = modules.owner(scene.root, container.owner)
    if found is None:
        if allocation is None:
            return None
        return Growth(
            Site(_named_place(scene, memory.allocations[allocation].place), None),
            index,
            None,
            allocation,
            container.owner,
            0.75,
        )
    text, name = found
    kept = _kept_at(text, name, container)
    if kept is None:
        return None
    line, sure = kept
    function = text.function_at(line)
    place = Place(file=_relative(scene, text), line=line, function=function.name if function else "")
    confidence = (0.9 if allocation is not None else 0.7) if sure else 0.4
    return Growth(Site(place, None), index, None, allocation, container.owner, confidence)


def _relative(scene: Scene, text: Source) -> str:
    return text.path.relative_to(scene.root).as_posix()


def _kept_at(text: Source, name: str, container: GrowingContainer) -> tuple[int, bool] | None:
    """The line that stores into the container, and whether nothing deletes; None where it has a bound."""
    cached = text.function_named(name)
    if cached is not None:
        return None if _bounded_cache(cached) else (cached.lineno, True)
    if _evicts(text, name) or _made_bounded(text, name):
        return None
    lines = [n.lineno for n in ast.walk(text.tree) if isinstance(n, ast.expr) and _stores(n, name)]
    made = [n.lineno for n in ast.walk(text.tree) if isinstance(n, ast.stmt) and _assigns(n, name)]
    return ((lines or made)[0], not _deletes(text, name)) if lines or made else None


def _bounded_cache(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """`lru_cache` without arguments holds 128 entries; `cache` and `maxsize=None` have no bound."""
    for decorator in function.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = dotted(call.func if call else decorator).rsplit(".", 1)[-1]
        if name == "lru_cache":
            given = [*(k.value for k in call.keywords if k.arg == "maxsize"), *call.args[:1]] if call else []
            return not (given and isinstance(given[0], ast.Constant) and given[0].value is None)
    return False


def _named(node: ast.AST, name: str) -> bool:
    return dotted(node).rsplit(".", 1)[-1] == name


def _stores(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Store) and _named(node.value, name)
    return isinstance(node, ast.Call) and _method(node, name) in _STORES


def _method(node: ast.Call, name: str) -> str:
    """The method that is called on the container, '' where it is called on something else."""
    return node.func.attr if isinstance(node.func, ast.Attribute) and _named(node.func.value, name) else ""


def _assigns(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(_named(t, name) for t in targets)


def _evicts(text: Source, name: str) -> bool:
    """Entries leave as others come: `popitem`, `popleft`, or a deletion where the size is looked at."""
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Call) and _method(node, name) in _EVICTS:
            return True
        if (
            isinstance(node, (ast.While, ast.If))
            and _measures(node.test, name)
            and any(_removes(n, name) for n in ast.walk(node))
        ):
            return True
    return False


def _measures(test: ast.AST, name: str) -> bool:
    sized = (n for n in ast.walk(test) if isinstance(n, ast.Call) and dotted(n.func) == "len" and n.args)
    return any(_named(n.args[0], name) for n in sized)


def _removes(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Del) and _named(node.value, name)
    return isinstance(node, ast.Call) and _method(node, name) in _DELETES


def _deletes(text: Source, name: str) -> bool:
    return any(_removes(node, name) for node in ast.walk(text.tree))


def _made_bounded(text: Source, name: str) -> bool:
    """Made with a bound: `deque(maxlen=100)`, `TTLCache(maxsize=…, ttl=…)`."""
    for node in ast.walk(text.tree):
        if _assigns(node, name) and isinstance(getattr(node, "value", None), ast.Call):
            arguments = {k.arg for k in node.value.keywords}  # type: ignore[attr-defined]
            if arguments & {"maxlen", "maxsize", "max_size", "max_entries"}:
                return True
    return False


def _allocation(scene: Scene, memory: Memory, limits: Limits) -> int | None:
    """The application's line that allocates most of what stays."""
    ours = [
        i
        for i, a in enumerate(memory.allocations)
        if is_application(scene.root, a.place.file) and a.per_request_bytes >= limits.min_bytes
    ]
    return max(ours, key=lambda i: memory.allocations[i].per_request_bytes, default=None)


def _named_place(scene: Scene, place: Place) -> Place:
    """tracemalloc knows lines, not functions."""
    code_ = text_of(scene.root, place)
    function = code_.function_at(place.line) if code_ and not place.function else None
    return place.model_copy(update={"function": function.name}) if function else place


def _objects(scene: Scene, memory: Memory, limits: Limits) -> Growth | None:
    """A type that grows in step with the requests, with a line. Without a line it says too little."""
    allocation = _allocation(scene, memory, limits)
    grown = [
        i
        for i, o in enumerate(memory.objects)
        if o.per_request_count >= limits.min_per_request and not _OURS.search(o.type)
    ]
    if allocation is None or not grown:
        return None
    # The application's own types say more than a dict or a list.
    first = min(
        grown, key=lambda i: (memory.objects[i].type.startswith("builtins."), -memory.objects[i].per_request_count)
    )
    return Growth(
        Site(_named_place(scene, memory.allocations[allocation].place), None),
        None,
        first,
        allocation,
        memory.objects[first].type,
        0.75,
    )


def _finding(scene: Scene, memory: Seen[Memory], growth: Growth, limits: Limits) -> Finding:
    body = memory.body
    kept = body.allocations[growth.allocation].per_request_bytes if growth.allocation is not None else 0.0
    part = fraction(kept, max(body.slope_bytes.value, kept)) if kept else 1.0
    share = Share(
        fraction=round(part, 4),
        of="memory",
        basis="bytes kept by the line over the growth of the resident size a request",
    )
    where = growth.site.place
    title = f"Memory grows with requests in {code(where.function or where.file)}"
    case = Case(title, _level(kept, limits), growth.site, share, growth.confidence, growth.subject)
    prose = _prose(scene, memory, growth)
    return finding(ID, scene.endpoint.key, case, prose, [memory.evidence], [_hypothesis(growth, part)])


def _level(kept_bytes: float, limits: Limits) -> Level:
    return "high" if kept_bytes >= limits.high_bytes else "medium"


def _prose(scene: Scene, memory: Seen[Memory], growth: Growth) -> Prose:
    box, kind, line = growth.container, growth.objects, growth.allocation
    values: dict[str, Cited | str | None] = {
        "endpoint": code(scene.endpoint.key),
        "line": code(str(growth.site.place)),
        "requests": memory.cite("requests_count"),
        "what": code(growth.subject),
        "before": memory.cite(f"containers.{box}.before_count") if box is not None else None,
        "after": memory.cite(f"containers.{box}.after_count") if box is not None else None,
        "live": memory.cite(f"objects.{kind}.before_count") if kind is not None else None,
        "later": memory.cite(f"objects.{kind}.after_count") if kind is not None else None,
        "kept": memory.cite(f"allocations.{line}.per_request_bytes") if line is not None else None,
        "allocated": code(str(memory.body.allocations[line].place)) if line is not None else None,
        "slope": memory.cite("slope_bytes.value"),
    }
    return sentences(
        values,
        "{line} keeps something of every request to {endpoint} and never lets go of it.",
        "Over {requests} requests {what} grew from {before} to {after} entries.",
        "Over {requests} requests the live objects of {what} went from {live} to {later}.",
        "What {allocated} allocates and keeps is {kept} a request.",
        "The resident size grew by {slope} a request.",
    )


def _hypothesis(growth: Growth, part: float) -> Hypothesis:
    bound = """
from cachetools import TTLCache

_kept: TTLCache[str, Value] = TTLCache(maxsize=10_000, ttl=900)
"""
    return Hypothesis(
        id=f"{ID}-bound",
        change=f"a bound and an expiry for {code(growth.subject)}",
        metric="heap.growth",
        improvement=round(part, 3),
        because="with a bound the container stops growing, and with an expiry it shrinks again",
        kind="code",
        recipe=python(bound) + "\n\nWhere several processes share it, keep it in Redis with a time to live.",
        scores=scores(part, growth.confidence, effort=4, risk=4, reversibility=5),
        alternatives=(
            "`functools.lru_cache(maxsize=…)` where a function's results are kept",
            "keep only the key, and compute again when it is asked for",
        ),
        trade_offs="What was let go must be made again, or is gone: choose the bound by what users come back for.",
        rollback="Revert the commit.",
    )
