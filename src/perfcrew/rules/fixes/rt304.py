"""RT304: a bound for what grows with every request: the oldest entry leaves when a new one comes.

Declined where entries are read as if they were always there, where the container is handed on or filled by other
modules, and where it counts or collects what must be complete: where its length is told, or all of it gone over.
"""

from __future__ import annotations

import ast
import math
import re

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import imports, project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.listed import COUNTS
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.source import Function, dotted

_USUAL_ENTRIES = 1000
_FEWEST_ENTRIES = 0.45
"""A request; what leaves fewer behind is no growth."""
_FULL = 1.1
_KEPT_AT_MOST_BYTES = 64_000_000
_OF_DICTS = frozenset({"get", "pop", "clear", "setdefault"})
_OF_LISTS = frozenset({"append", "clear"})
_ALL_OF_IT = COUNTS | {"items", "values", "keys", "list", "tuple", "copy"}
_GONE = "The oldest entries are let go beyond {bound}: what asks for one of them must make it again, or finds nothing."


def fix(case: Case) -> list[Fix | Declined]:
    """A bound for a cached function, a dict or a list."""
    return attempt(case, "bound", lambda: _draft(case))


def _draft(case: Case) -> Draft:
    spot = locate(case, case.finding.place)
    name = case.finding.subject.rsplit(".", 1)[-1]
    cached = spot.text.function_named(name) if name else None
    if cached is not None:
        return _cached(case, spot, cached)
    name, statement = _container(spot, name)
    edits = Edits(spot.text)
    value = getattr(statement, "value", None)
    if _empty(value, ast.List, "list"):
        return _deque(case, spot, edits, name, statement)
    if _empty(value, ast.Dict, "dict") or dotted(getattr(value, "func", ast.Name(id=""))).endswith("OrderedDict"):
        return _ordered(case, spot, edits, name, statement)
    raise Unwritable(f"`{name}` is neither a plain dict nor a list that begins empty: bound it by hand")


def _bound(case: Case) -> int:
    """As many entries as some tens of megabytes hold, by what one request was measured to keep."""
    memory = case.scene.memory.body if case.scene and case.scene.memory else None
    kept = max((a.per_request_bytes for a in memory.allocations), default=0.0) if memory else 0.0
    if kept <= 0:
        return _USUAL_ENTRIES
    entries = max(100, min(10_000, round(_KEPT_AT_MOST_BYTES / kept)))
    step: int = 10 ** (len(str(entries)) - 1)
    return entries // step * step


def _bounded(case: Case, variant: str, title: str, files: dict[str, str | None], bound: int) -> Draft:
    """With the requests that it takes to fill what has now a bound, and some more."""
    memory = case.scene.memory.body if case.scene and case.scene.memory else None
    gained = [(c.after_count - c.before_count) / memory.requests_count for c in memory.containers] if memory else []
    settles = math.ceil(_FULL * bound / max(_FEWEST_ENTRIES, *gained, 0.0))
    return Draft(variant, title, files, (_GONE.format(bound=bound),), settles_requests=settles)


def _container(spot: Spot, name: str) -> tuple[str, ast.Assign | ast.AnnAssign]:
    """The module's statement that makes the container: by the finding's name, else by the line that stores."""
    stored = [
        n for n in ast.walk(spot.text.tree) if isinstance(n, (ast.Subscript, ast.Attribute)) and n.lineno == spot.line
    ]
    candidates = [name, *(n.value.id for n in stored if isinstance(n.value, ast.Name))]
    for statement in spot.text.tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id in candidates:
                return targets[0].id, statement
    raise Unwritable(
        f"no container of {spot.file}'s own top level is filled on line {spot.line}: bound what it keeps by hand"
    )


def _empty(value: ast.expr | None, literal: type[ast.expr], name: str) -> bool:
    if isinstance(value, literal):
        return not (getattr(value, "elts", None) or getattr(value, "keys", None))
    return isinstance(value, ast.Call) and dotted(value.func) == name and not value.args and not value.keywords


def _cached(case: Case, spot: Spot, function: Function) -> Draft:
    """`@cache` and `@lru_cache(maxsize=None)` with a bound."""
    edits, bound = Edits(spot.text), _bound(case)
    for decorator in function.decorator_list:
        name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if imports.full_name(spot.text, name) in ("functools.cache", "functools.lru_cache"):
            edits.swap(decorator, f"{_lru_cache(edits, spot, name)}(maxsize={bound})")
            title = f"Bound the cache of {function.name}"
            return _bounded(case, "lru_cache", title, {spot.file: edits.result()}, bound)
    raise Unwritable(f"`{function.name}` is not cached by functools")


def _lru_cache(edits: Edits, spot: Spot, name: str) -> str:
    """How `lru_cache` is called here; an import of `cache` that is no longer used goes."""
    if "." in name:
        return f"{name.rsplit('.', 1)[0]}.lru_cache"
    if imports.full_name(spot.text, name) == "functools.lru_cache":
        return name
    statement = imports.statement_of(spot.text, name)
    uses = [n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == name]
    if statement is not None and len(uses) == 1:
        imports.without(edits, statement, name, "lru_cache")
        return "lru_cache"
    return imports.bring(edits, "functools", "lru_cache")


def _loads(case: Case, spot: Spot, name: str) -> list[ast.Name]:
    """Where the container is used. Raises Unwritable where other modules use it too, or another one takes its place."""
    other = project.used_elsewhere(case.root, spot.text.path, name, tests=False)
    if other is not None:
        raise Unwritable(f"{other} uses `{name}` of {spot.file} too")
    nodes = [n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == name]
    if sum(isinstance(n.ctx, ast.Store) for n in nodes) > 1:
        raise Unwritable(f"`{name}` is given another container elsewhere")
    return [n for n in nodes if isinstance(n.ctx, ast.Load)]


def _refuse_complete(spot: Spot, name: str, node: ast.Name) -> None:
    """Raises Unwritable where all of the container is gone over, or told how much it is."""
    parent = spot.parents[node]
    all_of_dict = isinstance(parent, ast.Attribute) and parent.attr in _ALL_OF_IT
    called = isinstance(parent, ast.Call) and last(dotted(parent.func)) in _ALL_OF_IT
    if all_of_dict or called or isinstance(parent, (ast.For, ast.AsyncFor, ast.comprehension)):
        raise Unwritable(f"line {node.lineno} counts or goes over `{name}`, which must be complete for it")


def _looked_up(node: ast.Name, parent: ast.AST) -> bool:
    """`… in container`."""
    return (
        isinstance(parent, ast.Compare)
        and node in parent.comparators
        and all(isinstance(o, (ast.In, ast.NotIn)) for o in parent.ops)
    )


def _length_in_bound(spot: Spot, node: ast.Name, bound: int) -> bool:
    """`len(container)` compared with numbers that it reaches with the bound as without it."""
    call = spot.parents[node]
    compared = spot.parents.get(call)
    if not (isinstance(call, ast.Call) and dotted(call.func) == "len" and isinstance(compared, ast.Compare)):
        return False
    others = [c for c in (compared.left, *compared.comparators) if c is not call]
    numbers = [_number(spot, c) for c in others]
    return all(n is not None and n < bound for n in numbers)


def _number(spot: Spot, node: ast.expr) -> int | None:
    """A number that is written out, or the module's only value of a name."""
    value: ast.expr | None = node
    if isinstance(node, ast.Name):
        named = (n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == node.id)
        made = [spot.parents[n] for n in named if isinstance(n.ctx, ast.Store)]
        of_module = len(made) == 1 and isinstance(made[0], ast.Assign) and made[0] in spot.text.tree.body
        value = made[0].value if of_module and isinstance(made[0], ast.Assign) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, int) else None


def _ordered(case: Case, spot: Spot, edits: Edits, name: str, statement: ast.Assign | ast.AnnAssign) -> Draft:
    bound, limit = _bound(case), _limit_name(spot, name)
    stores = [s for s in (_use_of_dict(spot, name, n, bound) for n in _loads(case, spot, name)) if s]
    if not stores:
        raise Unwritable(f"nothing is stored into `{name}` in {spot.file}")
    made = imports.bring(edits, "collections", "OrderedDict")
    if (
        isinstance(statement, ast.AnnAssign)
        and dotted(getattr(statement.annotation, "value", None) or ast.Name(id="")) == "dict"
    ):
        edits.swap(statement.annotation, re.sub(r"^dict", made, edits.code(statement.annotation)))
    if statement.value is not None and _empty(statement.value, ast.Dict, "dict"):
        edits.swap(statement.value, f"{made}()")
    edits.after(statement, f"{limit} = {bound}")
    for store in dict.fromkeys(stores):
        edits.after(store, f"if len({name}) > {limit}:\n    {name}.popitem(last=False)")
    title = f"Bound {name}: the oldest entry leaves when a new one comes"
    return _bounded(case, "OrderedDict", title, {spot.file: edits.result()}, bound)


def _limit_name(spot: Spot, name: str) -> str:
    private = "_" if name.startswith("_") else ""
    wanted = f"{private}MAX_{name.strip('_').upper()}"
    return wanted if wanted not in spot.text.text else f"{wanted}_KEPT"


def _use_of_dict(spot: Spot, name: str, node: ast.Name, bound: int) -> ast.stmt | None:
    """The statement that stores, None for a harmless read. Raises Unwritable for any other use."""
    parent = spot.parents[node]
    statement = next(n for n in [parent, *_up(spot, parent)] if isinstance(n, ast.stmt))
    if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store):
        if isinstance(statement, ast.AugAssign):
            raise Unwritable(f"line {node.lineno} counts in `{name}`: letting go of entries would change the counts")
        return statement
    if isinstance(parent, ast.Attribute) and parent.attr == "setdefault":
        if not isinstance(statement, (ast.Assign, ast.Expr)):
            raise Unwritable(f"line {node.lineno} stores and reads in one expression")
        return statement
    if not _harmless_read(spot, name, node, bound):
        _refuse_complete(spot, name, node)
        raise Unwritable(f"line {node.lineno} uses `{name}` in a way that a bound could break")
    return None


def _up(spot: Spot, node: ast.AST) -> list[ast.AST]:
    found = []
    while node in spot.parents:
        node = spot.parents[node]
        found.append(node)
    return found


def _harmless_read(spot: Spot, name: str, node: ast.Name, bound: int) -> bool:
    parent = spot.parents[node]
    if isinstance(parent, ast.Attribute):
        call = spot.parents.get(parent)
        fails = parent.attr == "pop" and not (isinstance(call, ast.Call) and len(call.args) == 2)
        return parent.attr in _OF_DICTS and (not fails or _looked_for(spot, name, parent))
    if isinstance(parent, ast.Subscript):
        return _looked_for(spot, name, parent)
    return _looked_up(node, parent) or _length_in_bound(spot, node, bound)


def _looked_for(spot: Spot, name: str, read: ast.expr) -> bool:
    """Whether the function looks whether the entry is there, stores it itself, or catches that it is not."""
    function = next((n for n in _up(spot, read) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), None)
    for node in ast.walk(function) if function else ():
        if isinstance(node, ast.Compare) and any(dotted(c) == name for c in node.comparators):
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and dotted(node.value) == name:
            return True
        if isinstance(node, ast.ExceptHandler) and node.type and "KeyError" in ast.unparse(node.type):
            return True
    return False


def _deque(case: Case, spot: Spot, edits: Edits, name: str, statement: ast.Assign | ast.AnnAssign) -> Draft:
    bound = _bound(case)
    for node in _loads(case, spot, name):
        parent = spot.parents[node]
        method = isinstance(parent, ast.Attribute) and parent.attr in _OF_LISTS
        if not (method or _looked_up(node, parent) or _length_in_bound(spot, node, bound)):
            _refuse_complete(spot, name, node)
            raise Unwritable(f"line {node.lineno} uses `{name}` in a way that a deque can't be used")
    made = imports.bring(edits, "collections", "deque")
    if (
        isinstance(statement, ast.AnnAssign)
        and dotted(getattr(statement.annotation, "value", None) or ast.Name(id="")) == "list"
    ):
        edits.swap(statement.annotation, re.sub(r"^list", made, edits.code(statement.annotation)))
    if statement.value is not None:
        edits.swap(statement.value, f"{made}(maxlen={bound})")
    title = f"Bound {name}: the oldest entry leaves when a new one comes"
    return _bounded(case, "deque", title, {spot.file: edits.result()}, bound)
