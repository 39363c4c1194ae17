"""RT303: a function that most of the processor time goes into.

What it costs: CPU time cannot be waited away: it bounds what a process serves, and in async code it blocks the rest.
Seen as: a function of the application whose own samples, and those of libraries that it calls to compute (frameworks,
drivers and serializers left out), are at least `min_share` of the profile and `min_ms` of processor time a request.
Not this: password hashing, key stretching and streams (long by design), the framework's own serialization and
routing, waiting of any kind (samples of threads that stand ready are left out), too few samples (`min_samples`,
`min_hits`).
Instead: a better algorithm, a library written in C or Rust, less data, keeping results, or doing it beforehand.
Confidence: 0.85; 0.7 below half of the profile.
Limits: samples show where the time goes, not whether it must. Own time within C code counts for the line that calls it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from perfcrew.core.evidence import CpuProfile
from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.web import Place
from perfcrew.rules import source
from perfcrew.rules.costs import level, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site
from perfcrew.rules.recipes import python
from perfcrew.rules.rt301_blocking_call import HASHING, hashing
from perfcrew.rules.write import Case, code, finding, sentences

ID = "RT303"
# Their time is the price of a statement, an answer or a call, which other rules judge: no algorithm of the target.
_INFRASTRUCTURE = re.compile(
    r"(site|dist)-packages/(sqlalchemy|django|rest_framework|fastapi|starlette|pydantic|pydantic_core|flask|werkzeug|quart"
    r"|uvicorn|hypercorn|gunicorn|uvloop|anyio|httptools|h11|h2|httpcore|httpx|requests|urllib3|aiohttp|asyncpg|psycopg\w*|aiosqlite"
    r"|redis|jinja2|opentelemetry|wrapt|asgiref|greenlet|_perfcrew_probe)(/|\.)"
    r"|/(asyncio|concurrent|importlib|logging|json|email|http|urllib|sqlite3)/|/(selectors|socket|ssl|threading|contextlib|queue)\.py$"
)
# Samplers can't always tell a thread that waits inside C code from one that works there.
_WAITING = re.compile(
    r"concurrent/futures/thread\.py$|asyncio/(runners|base_events)\.py$|/(selectors|threading|queue)\.py$"
    r"|/uvloop/|<frozen importlib"
)


def _streams(scene: Scene) -> bool:
    """A stream does its work while the reader reads: it is as long as what it writes."""
    return scene.payload is not None and scene.payload.body.streamed


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a function."""
    profile = scene.profile
    if profile is None or profile.body.samples_count < limits.min_samples or _streams(scene):
        return []
    cost = _by_function(scene.root, profile.body)
    cpu_ms = _cpu_ms(scene, profile.body)
    hits = limits.min_hits / profile.body.samples_count
    working = 1 - _waiting(profile.body)
    shares = [(i, min(1.0, part / working)) for i, part in cost.items() if part >= hits and working > 0]
    hot = [(i, part) for i, part in shares if part >= limits.min_share and part * cpu_ms >= limits.min_ms]
    named = [(i, part) for i, part in hot if not _by_design(scene, profile.body, i)]
    return [_finding(scene, profile, index, part, limits) for index, part in named]


def _by_function(root: Path, profile: CpuProfile) -> dict[int, float]:
    """Application functions, by their index, with their own share and that of the computing they hand to libraries.

    Comprehensions and lambdas belong to the function around them.
    """
    own: dict[tuple[str, str], list[int]] = {}
    for index, line in enumerate(profile.functions):
        if line.application:
            own.setdefault(_key(root, line.place), []).append(index)
    cost = {key: sum(profile.functions[i].own_share for i in indexes) for key, indexes in own.items()}
    for line in profile.functions:
        computes = not line.application and not _INFRASTRUCTURE.search(line.place.file)
        if computes and line.trigger and _key(root, line.trigger) in cost:
            cost[_key(root, line.trigger)] += line.own_share
    main = {key: max(indexes, key=lambda i: profile.functions[i].own_share) for key, indexes in own.items()}
    return {main[key]: min(1.0, part) for key, part in cost.items()}


def _waiting(profile: CpuProfile) -> float:
    """The part of the samples in which a thread stood ready for work, or the application was still being imported."""
    idle = (f.own_share for f in profile.functions if not f.application and _WAITING.search(f.place.file))
    return min(1.0, sum(idle))


def _key(root: Path, place: Place) -> tuple[str, str]:
    """File and function, as profiler and source both name it: without its class."""
    name = place.function.rsplit(".", 1)[-1]
    text = source.read(root / place.file) if name.startswith("<") else None
    around = text.function_at(place.line) if text else None
    return place.file, around.name if around else name


def _cpu_ms(scene: Scene, profile: CpuProfile) -> float:
    """Processor time a request as measured without the profiler, else the request's time while profiled."""
    measured = scene.measured("cpu")
    if measured:
        for name in ("p50", "mean", "value"):
            if name in measured.body.statistics:
                return measured.body.statistics[name].value
    return profile.request_ms


def _by_design(scene: Scene, profile: CpuProfile, index: int) -> bool:
    """Key stretching on its hottest line, or in the library that it calls."""
    root, key = scene.root, _key(scene.root, profile.functions[index].place)
    hottest = _hottest(root, profile, index)
    called = [f.place for f in profile.functions if f.trigger and _key(root, f.trigger) == key]
    if hashing(str(root / hottest.file), hottest.line, hottest.function):
        return True
    return any(HASHING.search(p.file.rsplit("/", 2)[-2] if "/" in p.file else p.file + p.function) for p in called)


def _hottest(root: Path, profile: CpuProfile, index: int) -> Place:
    """The line with most samples of its own; else the line that calls the library where they are."""
    function = profile.functions[index].place
    key = _key(root, function)
    lines = [line for line in profile.lines if line.application and _key(root, line.place) == key]
    own = max(lines, key=lambda line: line.own_share, default=None)
    library = [line for line in profile.lines if line.trigger and _key(root, line.trigger) == key]
    called = max(library, key=lambda line: line.own_share, default=None)
    if called and called.trigger and called.own_share > (own.own_share if own else 0.0):
        place = called.trigger
    else:
        place = own.place if own and own.own_share > 0 else function
    return place.model_copy(update={"function": key[1]}) if function.function.startswith("<") else place


def _site(root: Path, at: Place) -> Site:
    """The hottest line, and the only line of its file that calls the function, where there is just one."""
    text = source.read(root / at.file)
    name = at.function.rsplit(".", 1)[-1]
    if text is None or not name:
        return Site(at, None)
    lines = {
        n.lineno
        for n in ast.walk(text.tree)
        if isinstance(n, ast.Call) and source.dotted(n.func).rsplit(".", 1)[-1] == name
    }
    callers = [(line, text.function_at(line)) for line in lines]
    others = [(line, f) for line, f in callers if f is not None and f.name != name]
    if len(others) != 1:
        return Site(at, None)
    line, function = others[0]
    return Site(at, Place(file=at.file, line=line, function=function.name if function else ""))


def _finding(scene: Scene, profile: Seen[CpuProfile], index: int, part: float, limits: Limits) -> Finding:
    site = _site(scene.root, _hottest(scene.root, profile.body, index))
    name = site.place.function
    confidence = 0.85 if part >= 0.5 else 0.7
    share = Share(
        fraction=round(part, 4),
        of="cpu",
        basis="samples in the function and in libraries that it calls to compute, over those in which a thread worked",
    )
    at = level(part, part * _cpu_ms(scene, profile.body), limits)
    title = f"A hot function: {code(name or site.place.file)}"
    case = Case(title, at, site, share, confidence, name)
    measured = scene.measured("cpu")
    prose = _prose(scene, profile, index, site)
    evidence = [profile.evidence, measured.evidence if measured else None]
    return finding(ID, scene.endpoint.key, case, prose, evidence, [_hypothesis(scene, site, part, confidence)])


def _prose(scene: Scene, profile: Seen[CpuProfile], index: int, site: Site) -> Prose:
    measured = scene.measured("cpu")
    name = next((n for n in ("p50", "mean", "value") if measured and n in measured.body.statistics), None)
    values: dict[str, Cited | str | None] = {
        "endpoint": code(scene.endpoint.key),
        "function": code(site.place.function),
        "line": code(str(site.place)),
        "from": code(str(site.trigger)) if site.trigger else None,
        "own": profile.cite(f"functions.{index}.own_share"),
        "total": profile.cite(f"functions.{index}.total_share"),
        "samples": profile.cite("samples_count"),
        "cpu": measured.cite(f"statistics.{name}.value") if measured and name else None,
    }
    return sentences(
        values,
        "While {endpoint} ran, {own} of {samples} samples were in {function} itself, and {total} in it and what it "
        "calls; {line} is its hottest line.",
        "It is called from {from}.",
        "A request takes {cpu} of processor time.",
    )


def _hypothesis(scene: Scene, site: Site, part: float, confidence: float) -> Hypothesis:
    keep = """
@lru_cache(maxsize=4096)              # a bound, and arguments that can be hashed
def costly(left: str, right: str) -> int: ...
"""
    return Hypothesis(
        id=f"{ID}-less",
        change=f"less work in {code(site.place.function or site.place.file)}",
        metric="cpu",
        improvement=round(part, 3),
        because="the function's share of the samples is the most that can be saved there",
        kind="code",
        recipe="In this order: call it less often (filter before, stop early, keep results), do it beforehand (when "
        "the data is written), "
        "give it to a library written in C or Rust, move it to a process of its own.\n\n" + python(keep),
        scores=scores(part, confidence, effort=3, risk=3, reversibility=5),
        alternatives=("a column or index that the database answers from", "a background job"),
        trade_offs="Kept results cost memory and age; a compiled library is one more dependency.",
        rollback="Revert the commit.",
    )
