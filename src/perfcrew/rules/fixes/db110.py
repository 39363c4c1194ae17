"""DB110: a loop of writes as one call: `executemany`, SQLAlchemy's bulk insert, Django's bulk methods; or one commit.

Only a loop that does nothing else, whose values are made without asking anybody, and whose rows nobody waits for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import NamedTuple

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import bulk_saved, imports, models, one_commit, one_in, project, pure, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import width_of
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.turning import around, same_in
from perfcrew.rules.source import covers, dotted, names

_CALLED = re.compile(r"(?P<head>.*?\b(?:executemany|execute_batch|execute|a?bulk_create)\()(?P<rest>.*)\)\Z")
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)
_TOGETHER = "All rows are sent together: a row that fails takes the others with it."
_HOOKS = "What the ORM does for each row by itself (events, defaults that are read back) is not done."
_GONE = "A row that is gone meanwhile is passed over: before, saving it raised."
_COMMITTED = "All rows stand or fall together; before, those that were committed stayed."
_SIGNALS = re.compile(r"\b(pre_save|post_save|pre_init|post_init)\b")


class _Write(NamedTuple):
    """The call in the loop that writes a row, and the loop."""

    loop: ast.For
    statement: ast.Expr
    call: ast.Call
    waits: bool
    condition: ast.expr | None
    """Of an `if` around it, which becomes the comprehension's."""


def fix(case: Case) -> list[Fix | Declined]:
    """One call for all rows where the loop only writes; where it ends with a commit or a flush, that after the loop."""
    ends = _ends_with_commit(case)
    if ends:
        return attempt(case, "commit", lambda: _commit_once(case))
    return attempt(case, "bulk", lambda: _bulk(case))


def _ends_with_commit(case: Case) -> bool:
    try:
        spot = locate(case, case.finding.place)
    except Unwritable:
        return False
    scope = spot.function or spot.text.tree
    loops = [n for n in ast.walk(scope) if isinstance(n, ast.For) and covers(n, spot.line)]
    return any(one_commit.boundary(loop.body[-1]) for loop in loops[-1:])


def _commit_once(case: Case) -> Draft:
    """Raises Unwritable where what follows a turn may need what was committed."""
    spot = locate(case, case.finding.place)
    loop = _loop(spot)
    last = loop.body[-1]
    _refuse_caught(spot, loop)
    name = one_commit.check(case, spot, loop)
    edits = Edits(spot.text)
    edits.after(loop, edits.code(last).strip())
    edits.remove(last)
    where = spot.function.name if spot.function else spot.file
    said = _COMMITTED if name == "commit" else _HOOKS
    return Draft(f"one {name}", f"One {name} after the rows of {where}", {spot.file: edits.result()}, (said,))


def _bulk(case: Case) -> Draft:
    spot = locate(case, case.finding.place)
    loop = _loop(spot)
    if bulk_saved.saving(loop) is not None:
        return _saved(case, spot, loop)
    write = _write(spot)
    edits = Edits(spot.text)
    writer = _writer(case, spot, edits, write)
    code, said = writer()
    edits.replace(write.loop, "\n".join(_within(case, spot, write.loop, line) for line in code.splitlines()))
    where = spot.function.name if spot.function else spot.file
    return Draft("bulk", f"Write the rows of {where} at once", {spot.file: edits.result()}, said)


def _saved(case: Case, spot: Spot, loop: ast.For) -> Draft:
    _refuse_caught(spot, loop)
    edits = Edits(spot.text)
    bulk_saved.write(case, spot, edits, loop)
    where = spot.function.name if spot.function else spot.file
    return Draft("bulk", f"Save the rows of {where} at once", {spot.file: edits.result()}, (_TOGETHER, _GONE))


def _within(case: Case, spot: Spot, loop: ast.For, line: str) -> str:
    """A call that is too long for the project's lines, its arguments on a line of their own."""
    if loop.col_offset + len(line) <= width_of(case.root, spot.text):
        return line
    called = _CALLED.match(line)
    if called is None:
        return line
    indent = re.match(r"\s*", line)
    blank = indent.group() if indent else ""
    return f"{called['head']}\n{blank}    {called['rest']}\n{blank})"


_Written = tuple[str, tuple[str, ...]]


def _writer(case: Case, spot: Spot, edits: Edits, write: _Write) -> Callable[[], _Written]:
    """By what is called. Raises Unwritable for what is not known."""
    name = dotted(write.call.func)
    method = sight.last(name)
    if name.endswith(("objects.create", "objects.acreate")):
        return lambda: _django(case, spot, edits, write)
    if method != "execute":
        raise Unwritable(
            f"`{name or 'the call'}` is no `execute` or `objects.create` of which a form for many is known"
        )
    first = write.call.args[0] if write.call.args else None
    if isinstance(first, ast.Call) and sight.last(dotted(first.func)) == "values":
        return lambda: _insert(spot, edits, write, first)
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and _RETURNING.search(first.value):
        raise Unwritable("the statement gives something back for each row")
    if first is None or not same_in(write.loop, first):
        raise Unwritable("the statement's text differs from turn to turn")
    if _is_clause(first):
        return lambda: _with_rows(spot, edits, write, first)
    return lambda: _text(spot, edits, write, first)


def _is_clause(first: ast.expr) -> bool:
    """SQLAlchemy's `text(…)` or a statement, which takes a list of dicts."""
    return isinstance(first, ast.Call)


def _loop(spot: Spot) -> ast.For:
    scope = spot.function or spot.text.tree
    loops = [
        n for n in ast.walk(scope) if isinstance(n, ast.For) and covers(n, spot.line) and not covers(n.iter, spot.line)
    ]
    if not loops:
        raise Unwritable("the write is in no `for` loop of its own function: collect the rows where the loop is")
    inner = max(loops, key=lambda n: (n.lineno, n.col_offset))
    if inner.orelse or len(around(spot, inner)) > 0:
        raise Unwritable("only a single `for` loop without an `else` is rewritten by rule")
    return inner


def _write(spot: Spot) -> _Write:
    """Raises Unwritable where the loop does anything but write one row a turn."""
    loop = _loop(spot)
    body, condition = loop.body, None
    if len(body) == 1 and isinstance(body[0], ast.If) and not body[0].orelse:
        condition, body = body[0].test, body[0].body
    only = body[0] if len(body) == 1 else None
    if not isinstance(only, ast.Expr):
        raise Unwritable("the loop does more than to write one row a turn, or uses what the write gives back")
    value = only.value.value if isinstance(only.value, ast.Await) else only.value
    if not isinstance(value, ast.Call):
        raise Unwritable("the loop does more than to write one row a turn")
    found = _Write(loop, only, value, isinstance(only.value, ast.Await), condition)
    _refuse(spot, found)
    return found


def _refuse(spot: Spot, write: _Write) -> None:
    _refuse_caught(spot, write.loop)
    owner = dotted(write.call.func).split(".")[0]
    if owner in names(write.loop.iter, ast.Load) or owner in names(write.loop.target, ast.Store):
        raise Unwritable(f"`{owner}` is what the loop goes over: its rows are read while others are written")
    if isinstance(write.loop.iter, ast.Await) or not same_in(write.loop, write.call.func):
        raise Unwritable("who writes differs from turn to turn")
    parts = [*write.call.args, *(k.value for k in write.call.keywords), *([write.condition] if write.condition else [])]
    for node in (n for part in parts for n in ast.walk(part)):
        if isinstance(node, (ast.Await, ast.NamedExpr, ast.Yield, ast.Starred)):
            raise Unwritable("a row's values are waited for")
    _refuse_leak(spot, write.loop)


def _refuse_caught(spot: Spot, loop: ast.For) -> None:
    if any(isinstance(n, ast.Try) and n.handlers for n in spot.around(loop)):
        raise Unwritable("a `try` around the loop catches what a row's write raises: which rows stand would differ")


def _refuse_leak(spot: Spot, loop: ast.For) -> None:
    """The loop's own variable is gone with a comprehension."""
    inner = {id(n) for n in ast.walk(loop)}
    scope = spot.function or spot.text.tree
    outer = {n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and id(n) not in inner}
    leaked = sorted(names(loop.target, ast.Store) & outer)
    if leaked:
        raise Unwritable(f"`{leaked[0]}` is used outside of the loop too")


def _rows(edits: Edits, write: _Write, row: str) -> str:
    """The comprehension of all rows."""
    condition = f" if {edits.code(write.condition)}" if write.condition is not None else ""
    return f"[{row} for {one_in.target_code(write.loop)} in {edits.code(write.loop.iter)}{condition}]"


def _text(spot: Spot, edits: Edits, write: _Write, first: ast.expr) -> _Written:
    """DB-API (`execute(text, values)`) and asyncpg (`execute(text, one, other)`)."""
    values = write.call.args[1:]
    if write.call.keywords or not values:
        raise Unwritable("the statement's values aren't written out after its text")
    pure.check_all(spot, *values)
    assert isinstance(write.call.func, ast.Attribute)
    owner, text = edits.code(write.call.func.value), edits.code(first)
    asyncpg = write.waits and (len(values) > 1 or not isinstance(values[0], (ast.Tuple, ast.List, ast.Dict)))
    if asyncpg:
        row = f"({', '.join(edits.code(v) for v in values)},)" if len(values) == 1 else _tuple(edits, values)
        return f"await {owner}.executemany({text}, {_rows(edits, write, row)})", (_TOGETHER,)
    if len(values) != 1:
        raise Unwritable("the statement's values aren't one tuple or mapping")
    rows = _rows(edits, write, edits.code(values[0]))
    if _imports(spot, "psycopg2"):
        send = imports.bring(edits, "psycopg2.extras", "execute_batch")
        return f"{send}({owner}, {text}, {rows})", (_TOGETHER,)
    sends = owner if _has_executemany(spot, owner) else f"{owner}.cursor()"
    return f"{'await ' if write.waits else ''}{sends}.executemany({text}, {rows})", (_TOGETHER,)


def _tuple(edits: Edits, values: list[ast.expr]) -> str:
    return f"({', '.join(edits.code(v) for v in values)})"


def _imports(spot: Spot, module: str) -> bool:
    found = [n for n in ast.walk(spot.text.tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    named = {a.name for n in found if isinstance(n, ast.Import) for a in n.names}
    named |= {n.module or "" for n in found if isinstance(n, ast.ImportFrom)}
    return any(name.split(".")[0] == module for name in named)


def _has_executemany(spot: Spot, owner: str) -> bool:
    """A cursor has it, and sqlite3's connection; psycopg's connection has not."""
    return bool(re.search(r"(cursor|cur)$", owner)) or _imports(spot, "sqlite3") or _imports(spot, "aiosqlite")


def _with_rows(spot: Spot, edits: Edits, write: _Write, first: ast.expr) -> _Written:
    values = write.call.args[1:]
    if len(values) != 1 or write.call.keywords or not isinstance(values[0], ast.Dict):
        raise Unwritable("the statement's values aren't one dict after it")
    if _RETURNING.search(ast.unparse(first)):
        raise Unwritable("the statement gives something back for each row")
    pure.check_all(spot, values[0])
    return _guarded(spot, edits, write, edits.code(first), edits.code(values[0])), (_TOGETHER,)


def _insert(spot: Spot, edits: Edits, write: _Write, first: ast.Call) -> _Written:
    """`session.execute(insert(Model).values(a=…))`."""
    assert isinstance(first.func, ast.Attribute)
    made = first.func.value
    plain = isinstance(made, ast.Call) and sight.last(dotted(made.func)) == "insert" and same_in(write.loop, made)
    if not plain or first.args or len(write.call.args) != 1 or any(k.arg is None for k in first.keywords):
        raise Unwritable("the statement is no plain `insert(…).values(name=value)`")
    pure.check_all(spot, *(k.value for k in first.keywords))
    row = "{" + ", ".join(f'"{k.arg}": {edits.code(k.value)}' for k in first.keywords) + "}"
    return _guarded(spot, edits, write, edits.code(made), row), (_TOGETHER, _HOOKS)


def _guarded(spot: Spot, edits: Edits, write: _Write, statement: str, row: str) -> str:
    """An empty list would be taken for no values at all, and one row of defaults be written."""
    assert isinstance(write.call.func, ast.Attribute)
    owner, wait = edits.code(write.call.func.value), "await " if write.waits else ""
    kept = sight.free_name(spot.function or spot.text.tree, "rows", "new_rows")
    return f"{kept} = {_rows(edits, write, row)}\nif {kept}:\n    {wait}{owner}.execute({statement}, {kept})"


def _django(case: Case, spot: Spot, edits: Edits, write: _Write) -> _Written:
    assert isinstance(write.call.func, ast.Attribute)
    manager = write.call.func.value
    assert isinstance(manager, ast.Attribute)
    model = models.read(case.root).named(dotted(manager.value))
    if model is None:
        raise Unwritable(f"`{dotted(manager.value)}` is not a model of the project that is known")
    if any(isinstance(n, ast.FunctionDef) and n.name == "save" for n in model.node.body):
        raise Unwritable(f"{model.name} has a `save` of its own, which `bulk_create` does not call")
    if any(_SIGNALS.search(text.text) for text in project.sources(case.root)):
        raise Unwritable("the project listens to signals of saving, which `bulk_create` does not send")
    if write.call.args or any(k.arg is None for k in write.call.keywords):
        raise Unwritable("the row's values aren't written out by name")
    pure.check_all(spot, *(k.value for k in write.call.keywords))
    values = ", ".join(f"{k.arg}={edits.code(k.value)}" for k in write.call.keywords)
    rows = _rows(edits, write, f"{edits.code(manager.value)}({values})")
    method = "abulk_create" if write.waits else "bulk_create"
    return f"{'await ' if write.waits else ''}{edits.code(manager)}.{method}({rows})", (_TOGETHER, _HOOKS)
