"""RT305: a slow start, because of what is done or imported at import.

What it costs: every start of a process: deployments, scaling out, cold containers, tests, reloads.
Seen as: a module of the application whose own import takes at least `min_ms` and `min_share` of the start, or a
library that a line of the application imports at that price.
Not this: the framework, the database layer and what an application can't do without, modules that are slow only
because of what they import (that is named instead), a start that is slow for another reason (migrations, waiting).
Instead: do the work when it is first needed (`functools.cache`), write its result to a file when building, or import
the library inside the function that uses it.
Confidence: 0.9 for the application's own work; 0.7 for a library, which may be needed at once anyway.
Limits: import times are taken in a start of their own, and are somewhat longer than without measuring. Work done in
a start-up handler is not an import.
"""

from __future__ import annotations

import ast
import re

from perfcrew.core.evidence import ImportCost, Startup
from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.prose import Cited, Prose, cite
from perfcrew.core.scene import ApplicationScene, Seen
from perfcrew.core.web import Place
from perfcrew.rules import modules, source
from perfcrew.rules.costs import fraction, level, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, is_application
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, code, finding, sentences

ID = "RT305"
_NEEDED = re.compile(
    r"fastapi|starlette|pydantic\w*|flask|django|quart|werkzeug|jinja2|uvicorn|hypercorn|gunicorn|sqlalchemy|sqlmodel|alembic"
    r"|asyncpg|psycopg2?|aiosqlite|redis|celery|rest_framework|asyncio|anyio|encodings|site|typing\w*|logging|email|http|urllib|ssl"
)


def recognise_application(app: ApplicationScene, limits: Limits) -> list[Finding]:
    """One finding a module or library; where both a module and its library qualify, each for its own time."""
    startup = app.startup
    if startup is None:
        return []
    own = [
        _own(app, startup, i, limits)
        for i, cost in enumerate(startup.body.imports)
        if _heavy(startup.body, cost.own_ms, limits)
    ]
    bought = [_library(app, startup, i, limits) for i in _libraries(app, startup.body, limits)]
    return [f for f in (*own, *bought) if f]


def _heavy(startup: Startup, spent_ms: float, limits: Limits) -> bool:
    return spent_ms >= limits.min_ms and fraction(spent_ms, startup.median_ms) >= limits.min_share


def _file(app: ApplicationScene, cost: ImportCost) -> str | None:
    """The module's file, relative, where it is the application's own."""
    if cost.place and is_application(app.root, cost.place.file) and _names(cost.place.file, cost.module):
        return cost.place.file
    found = modules.file_of(app.root, cost.module)
    return found.relative_to(app.root).as_posix() if found else None


def _names(file: str, module: str) -> bool:
    return file.endswith((module.replace(".", "/") + ".py", module.replace(".", "/") + "/__init__.py"))


def _own(app: ApplicationScene, startup: Seen[Startup], index: int, limits: Limits) -> Finding | None:
    cost = startup.body.imports[index]
    file = _file(app, cost)
    if file is None:
        return None
    line = heaviest(source.read(app.root / file))
    site = Site(Place(file=file, line=line, function="<module>"), cost.importer)
    title = f"Work at import in {code(cost.module)}"
    said = "{line} runs while {module} is imported, which takes {own} by itself."
    return _finding(startup, (index, f"imports.{index}.own_ms", cost.own_ms), site, title, said, 0.9, limits)


def _libraries(app: ApplicationScene, startup: Startup, limits: Limits) -> list[int]:
    """Top packages that a line of the application imports, by the time of all they bring."""
    return [
        i
        for i, cost in enumerate(startup.imports)
        if cost.importer is not None
        and is_application(app.root, cost.importer.file)
        and "." not in cost.module
        and not _NEEDED.fullmatch(cost.module)
        and _file(app, cost) is None
        and _heavy(startup, cost.cumulative_ms, limits)
    ]


def _library(app: ApplicationScene, startup: Seen[Startup], index: int, limits: Limits) -> Finding | None:
    cost = startup.body.imports[index]
    if cost.importer is None:
        return None
    title = f"A heavy import: {code(cost.module)}"
    said = "{line} imports {module}, which takes {own} with all that it brings."
    site = Site(cost.importer, None)
    return _finding(
        startup, (index, f"imports.{index}.cumulative_ms", cost.cumulative_ms), site, title, said, 0.7, limits
    )


def heaviest(text: source.Source | None) -> int:
    """The line of the module's statement that most looks like work: loops, and calls of the module's own functions."""
    if text is None:
        return 1
    scored = [(_work(text, s), -s.lineno) for s in text.tree.body]
    best = max(scored, default=(0, -1))
    return -best[1] if best[0] > 0 else 1


def _work(text: source.Source, statement: ast.stmt) -> int:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return 0
    defined = {f.name for f in text.functions}
    nodes = list(ast.walk(statement))
    called = [source.dotted(n.func).rsplit(".", 1)[-1] for n in nodes if isinstance(n, ast.Call)]
    loops = sum(
        isinstance(n, (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)) for n in nodes
    )
    return (
        2 * loops
        + 3 * sum(name in defined for name in called)
        + sum(name in ("open", "read_text", "load", "loads", "compile") for name in called)
    )


def _finding(
    startup: Seen[Startup],
    cost: tuple[int, str, float],
    site: Site,
    title: str,
    said: str,
    confidence: float,
    limits: Limits,
) -> Finding:
    index, path, spent = cost
    part = fraction(spent, startup.body.median_ms)
    share = Share(fraction=round(part, 4), of="startup", basis="time of the import over the median start")
    module = startup.body.imports[index].module
    case = Case(title, level(part, spent, limits), site, share, confidence, module)
    return finding(
        ID,
        None,
        case,
        _prose(startup, index, path, site, said),
        [startup.evidence],
        [_hypothesis(module, site, part, confidence)],
    )


def _prose(startup: Seen[Startup], index: int, path: str, site: Site, said: str) -> Prose:
    spent = startup.cite(path)
    share = startup.body.median_ms and cite(
        fraction_of(startup, path), "fraction", startup.ref(path), startup.ref("median_ms"), derivation="share"
    )
    values: dict[str, Cited | str | None] = {
        "line": code(str(site.place)),
        "from": code(str(site.trigger)) if site.trigger else None,
        "module": code(startup.body.imports[index].module),
        "own": spent,
        "start": startup.cite("median_ms"),
        "share": share or None,
    }
    return sentences(
        values,
        said,
        "It is imported at {from}.",
        "From the start command to the first answer it takes {start}; the import is {share} of that.",
    )


def fraction_of(startup: Seen[Startup], path: str) -> float:
    """The import's time over the median start, not cut off at 1: the gate computes it the same way."""
    cost = startup.body.imports[int(path.split(".")[1])]
    return (cost.own_ms if path.endswith("own_ms") else cost.cumulative_ms) / startup.body.median_ms


def _hypothesis(module: str, site: Site, part: float, confidence: float) -> Hypothesis:
    late = """
@functools.cache
def table() -> dict[Key, Value]:          # made when it is first asked for, then kept
    return {key: compute(key) for key in KEYS}


def handler():
    import heavy_library                  # or: imported by the one function that needs it
"""
    return Hypothesis(
        id=f"{ID}-late",
        change=f"doing the work of {code(module)} at {code(str(site.place))} when it is first needed",
        metric="startup",
        improvement=round(part, 3),
        because="the start no longer waits for it; the share is the import's part of the start",
        kind="code",
        recipe=python(late) + "\n\nWhere the result never changes, write it to a file when the package is built.",
        scores=scores(part, confidence, effort=4, risk=4, reversibility=5),
        trade_offs="The first request that needs it waits instead: warm it in the background where that matters.",
        rollback="Revert the commit.",
    )
